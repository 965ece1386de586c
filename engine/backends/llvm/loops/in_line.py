"""Write the iterations of a short body in line: what they add up stays in registers until the loop is over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from ....operations import table
from ....programs import Program, Step
from .memory import Sink, Spot

_KEEP_NAN = {"add", "sub", "mul", "neg", "fma", "strong_mul"}  # rows whose result is nan wherever an argument is

_LINES = 12  # of a body whose iterations run side by side, at most
_WAITING = 4  # sums side by side that keep the processor busy while each waits for its last addition


class Line(NamedTuple):
    """The text of one iteration, the sums that it adds to in registers, and what holds them after it."""

    text: str
    sums: list[Spot]
    types: list[str]  # of the sums
    found: list[str]
    size: int  # of its frame, in bytes
    align: int  # of the sums in memory
    copy: str = ""  # how its names end

    def side_by_side(self, vectors: int, stop: str, step: int) -> int:
        """Return how many iterations are worth running in one turn, with sums of their own, each so many vectors."""
        chains = vectors * len(self.sums)
        if not chains or not stop.isdigit() or self.text.count("\n") > _LINES:
            return 1
        turns = int(stop) // step
        return next((k for k in (4, 3, 2) if k * chains <= _WAITING and turns % k == 0 and turns > k), 1)

    def phis(self, index: str) -> str:
        """Write the sums as the loop over an index finds them."""
        return "".join(
            f"%sum.{k}{self.copy} = phi {type_} [ {_zero(spot)}, %{index}.enter ], [ {text}, %{index}.latch ]\n"
            for k, (spot, type_, text) in enumerate(zip(self.sums, self.types, self.found, strict=True))
        )

    def ended(self, copies: Sequence[Line], slow: str) -> str:
        """Add the sums, and those of copies, to memory after the loop; `slow` does so where they are nan, if given."""
        text, totals = "", []
        for k, type_ in enumerate(self.types):
            total = f"%sum.{k}"
            for own in copies:
                text += f"{total}.and{own.copy} = fadd {type_} {total}, %sum.{k}{own.copy}\n"
                total = f"{total}.and{own.copy}"
            totals.append(total)
        if not slow:
            return text + self.add_up(totals)
        # Sums that are nan are computed again, as they were meant.
        return (
            f"{text}{self.is_nan(totals)}br i1 %sum.bad, label %sum.again, label %sum.good\n"
            f"sum.again:\n{slow}br label %sum.over\n"
            f"sum.good:\n{self.add_up(totals)}br label %sum.over\nsum.over:\n"
        )

    def add_up(self, totals: Sequence[str]) -> str:
        """Add the sums to those in memory."""
        text = ""
        for k, (spot, type_, total) in enumerate(zip(self.sums, self.types, totals, strict=True)):
            text += (
                f"%sum.at{k} = getelementptr i8, ptr {spot.base}, i64 {spot.offset}\n"
                f"%sum.old{k} = load {type_}, ptr %sum.at{k}, align {self.align}\n"
                f"%sum.new{k} = fadd {type_} %sum.old{k}, {total}\n"
                f"store {type_} %sum.new{k}, ptr %sum.at{k}, align {self.align}\n"
            )
        return text

    def is_nan(self, totals: Sequence[str]) -> str:
        """Write whether any sum is nan, `%sum.bad`; it may be said of infinite ones, too."""
        return any_nan("sum", list(zip(self.types, totals, strict=True)))


def any_nan(name: str, values: Sequence[tuple[str, str]]) -> str:
    """Write whether any value, of these types, is nan, `%name.bad`; it may be said of infinite ones, too."""
    of_type: dict[str, list[str]] = {}
    for type_, value in values:
        of_type.setdefault(type_, []).append(value)
    text, bad = "", "0"
    for kind, (type_, (first, *others)) in enumerate(of_type.items()):
        for k, other in enumerate(others):
            text += f"%{name}.all{kind}.{k} = fadd {type_} {first}, {other}\n"
            first = f"%{name}.all{kind}.{k}"
        found = f"%{name}.nan{kind}"
        text += f"{found} = fcmp uno {type_} {first}, {first}\n"
        if type_.startswith("<"):
            count = int(type_[1:].split()[0])
            text += f"%{name}.bits{kind} = bitcast <{count} x i1> {found} to i{count}\n"
            found = f"%{name}.any{kind}"
            text += f"{found} = icmp ne i{count} %{name}.bits{kind}, 0\n"
        text += f"%{name}.bad{kind} = or i1 {bad}, {found}\n"
        bad = f"%{name}.bad{kind}"
    return f"{text}%{name}.bad = or i1 {bad}, 0\n"


def _zero(spot: Spot) -> str:
    return "zeroinitializer" if spot.wide else "0.0"


def is_held(sink: Sink, steps: Sequence[int]) -> bool:
    """Return whether a sum can stay in a register: a number in one place, whose pointer moves by none of the steps."""
    spot, which = sink.spot, int(sink.spot.base[2:])
    return sink.adds and not (spot.shape or spot.lane or any(steps[which : which + 1]))


def in_plain_products(body: Program, sinks: Sequence[Sink], sums: Collection[int]) -> tuple[Program, set[int]]:
    """Return a body with plain products for those where a zero is stronger than nan, as far as nan shows in outputs.

    With it come the outputs, by their place, that may then be nan instead of what they should be; they are numbers. If
    some are none of the `sums` that stay in registers, then whatever else is added to memory is one of them: none of it
    is written before all are known.
    """
    shapes = body.value_shapes
    numbers = [place for place, value in enumerate(body.outputs) if not shapes[value]]
    plain, doubtful = _in_plain_products(body, numbers)
    others = [place for place, sink in enumerate(sinks) if sink.adds and place not in sums]
    if doubtful.issubset(sums) or doubtful.issuperset(others):
        return plain, doubtful
    return _in_plain_products(body, sums)


def _in_plain_products(body: Program, checked: Collection[int]) -> tuple[Program, set[int]]:
    lost = {value for place, value in enumerate(body.outputs) if place not in checked}
    steps = list(body.steps)
    for place in range(len(steps) - 1, -1, -1):
        op, args = steps[place]
        if op.custom or op.name not in _KEEP_NAN or body.firsts[place] in lost:
            lost.update(args)
        elif op is table.strong_mul:
            steps[place] = Step(table.mul, args)
    changed: set[int] = set()
    for (op, args), (old, _), value in zip(steps, body.steps, body.firsts, strict=True):
        if op is not old or not changed.isdisjoint(args):
            changed.add(value)
    if not changed:
        return body, set()
    outputs = {place for place, value in enumerate(body.outputs) if value in changed}
    return replace(body, steps=tuple(steps)), outputs
