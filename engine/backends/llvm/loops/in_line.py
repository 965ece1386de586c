"""Write the iterations of a short body in line: what they add up stays in registers until the loop is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ....operations import table
from ....programs import Loop, Program, Step
from .memory import Sink, Spot

_KEEP_NAN = {"add", "sub", "mul", "neg", "fma", "strong_mul"}  # rows whose result is nan wherever an argument is


class Line(NamedTuple):
    """The text of one iteration, the sums that it adds to in registers, and what holds them after it."""

    text: str
    sums: list[Spot]
    found: list[str]
    size: int  # of its frame, in bytes

    def phis(self, index: str, lanes: int) -> str:
        """Write the sums as the loop over an index finds them."""
        return "".join(
            f"%sum.{k} = phi {type_of(spot, lanes)} [ {_zero(spot)}, %{index}.enter ], [ {text}, %{index}.latch ]\n"
            for k, (spot, text) in enumerate(zip(self.sums, self.found, strict=True))
        )

    def add_up(self, lanes: int) -> str:
        """Add the sums to those in memory."""
        text = ""
        for k, spot in enumerate(self.sums):
            type_ = type_of(spot, lanes)
            text += (
                f"%sum.at{k} = getelementptr i8, ptr {spot.base}, i64 {spot.offset}\n"
                f"%sum.old{k} = load {type_}, ptr %sum.at{k}, align 8\n"
                f"%sum.new{k} = fadd {type_} %sum.old{k}, %sum.{k}\n"
                f"store {type_} %sum.new{k}, ptr %sum.at{k}, align 8\n"
            )
        return text

    def is_nan(self, lanes: int) -> str:
        """Write whether any sum is nan, `%sum.bad`; it may be said of infinite ones, too."""
        of_type: dict[str, list[str]] = {}
        for k, spot in enumerate(self.sums):
            of_type.setdefault(type_of(spot, lanes), []).append(f"%sum.{k}")
        text, bad = "", "0"
        for kind, (type_, (first, *others)) in enumerate(of_type.items()):
            for k, other in enumerate(others):
                text += f"%sum.all{kind}.{k} = fadd {type_} {first}, {other}\n"
                first = f"%sum.all{kind}.{k}"
            text += f"%sum.nan{kind} = fcmp uno {type_} {first}, {first}\n"
            found = f"%sum.nan{kind}"
            if type_ != "double":
                count = int(type_[1:].split()[0])
                text += f"%sum.bits{kind} = bitcast <{count} x i1> %sum.nan{kind} to i{count}\n"
                text += f"%sum.any{kind} = icmp ne i{count} %sum.bits{kind}, 0\n"
                found = f"%sum.any{kind}"
            text += f"%sum.bad{kind} = or i1 {bad}, {found}\n"
            bad = f"%sum.bad{kind}"
        return f"{text}%sum.bad = or i1 {bad}, 0\n"


def type_of(spot: Spot, lanes: int) -> str:
    """Return the type of a sum."""
    count = spot.fold or (lanes if spot.wide else 1)
    return f"<{count} x double>" if count > 1 else "double"


def _zero(spot: Spot) -> str:
    return "zeroinitializer" if spot.wide else "0.0"


def is_held(sink: Sink, steps: Sequence[int]) -> bool:
    """Return whether a sum can stay in a register: a number in one place, whose pointer moves by none of the steps."""
    spot, which = sink.spot, int(sink.spot.base[2:])
    return sink.adds and not (spot.shape or spot.lane or any(steps[which : which + 1]))


def in_plain_products(body: Program, checked: Sequence[bool]) -> Program:
    """Return the body with plain products for those where a zero is stronger than nan, as far as nan would show.

    Args:
        body: of a loop.
        checked: for each output, whether somebody looks for nan in it.
    """
    lost = {value for value, is_checked in zip(body.outputs, checked, strict=True) if not is_checked}
    steps = list(body.steps)
    for place in range(len(steps) - 1, -1, -1):
        op, args = steps[place]
        if isinstance(op, Loop) or op.custom or op.name not in _KEEP_NAN or body.firsts[place] in lost:
            lost.update(args)
        elif op is table.strong_mul:
            steps[place] = Step(table.mul, args)
    return body if steps == list(body.steps) else replace(body, steps=tuple(steps))
