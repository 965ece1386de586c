"""Write how many rows of a counted scan take part, in each lane, and set to 0 what it stacks for the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..turns import loop
from . import moves
from .memory import Spot
from .module import Module
from .writer import Writer


def cleared(writer: Writer, stacked: Sequence[Spot], steps: Sequence[int], length: int, lanes: int) -> str:
    """Write the loops over rows beyond %n, and where there are `lanes`, which end apart, from %least on by %counts.

    Args:
        writer: of the function that the scan is in.
        stacked: where the results of the first iteration stand, seen from %r0, %r1, ...
        steps: by how many bytes these move on from one iteration to the next.
        length: how many rows there are.
        lanes: how many lanes end apart; 0 where they end together.
    """
    if not stacked:
        return ""

    def rows(name: str, start: str, stop: str, each: Callable[[Spot], None], before: str = "") -> str:
        regions = sorted({int(spot.base[2:]) for spot in stacked})
        text = "".join(
            f"%{name}.o{k} = mul i64 %{name}, {steps[k]}\n"
            f"%{name}.r{k} = getelementptr i8, ptr %r{k}, i64 %{name}.o{k}\n"
            for k in regions
        )
        lines, writer.lines = writer.lines, []
        for spot in stacked:
            each(spot._replace(base=f"%{name}.r{spot.base[2:]}"))
        text, writer.lines = before + text + "".join(f"{line}\n" for line in writer.lines), lines
        return loop(name, start, stop, 1, text)

    def keep(spot: Spot) -> None:
        mask, type_ = f"<{lanes} x i1>", writer.wide.type

        def choose(own: list[Spot], which: Sequence[str]) -> None:
            key, text = writer.temporary(), writer.load(own[0])
            writer.lines.append(f"%z{key} = select {mask} {which[0]}, {type_} {text}, {type_} {writer.wide.zero}")
            writer.store(f"%z{key}", own[0])

        moves.walk(writer, ("keep",), [spot], choose, [f"{mask} %takes"])

    text = ""
    if lanes:
        text += rows("some", "%least", "%n", keep, takes_part(writer.module, "takes", "%some", lanes))
    return text + rows("none", "%n", f"{length}", lambda spot: moves.clear(writer, spot))


def iterations(module: Module, spot: Spot, length: int, lanes: int) -> str:
    """Write how many iterations of a counted scan there are: %n, in lanes that differ %counts, of which %least is one.

    A number at a `spot` says it, of at most `length`.
    """
    machine, scalar = module.machine, module.scalar
    text = f"%cp = getelementptr i8, ptr {spot.base}, i64 {spot.offset}\n"
    if spot.varies:
        type_ = machine.type(lanes)
        text += f"%counts = load {type_}, ptr %cp, align {module.size}\n"
        for name, reduction in (("most", "fmax"), ("fewest", "fmin")):
            symbol = f"llvm.vector.reduce.{reduction}.{machine.suffix(lanes)}"
            module.declare(f"declare {scalar} @{symbol}({type_})\n")
            text += f"%{name} = call nnan {scalar} @{symbol}({type_} %counts)\n"
        text += f"%least = fptosi {scalar} %fewest to i64\n"
    else:
        text += f"%most = load {scalar}, ptr %cp, align {module.size}\n"
    return text + (
        f"%given = fptosi {scalar} %most to i64\n%over = icmp sgt i64 %given, {length}\n"
        f"%n = select i1 %over, i64 {length}, i64 %given\n"
    )


def takes_part(module: Module, name: str, row: str, lanes: int) -> str:
    """Write in which lanes a row of a counted scan takes part, by %counts."""
    type_, scalar = module.machine.type(lanes), module.scalar
    return (
        f"%{name}.d = sitofp i64 {row} to {scalar}\n"
        f"%{name}.i = insertelement {type_} poison, {scalar} %{name}.d, i64 0\n"
        f"%{name}.s = shufflevector {type_} %{name}.i, {type_} poison, <{lanes} x i32> zeroinitializer\n"
        f"%{name} = fcmp olt {type_} %{name}.s, %counts\n"
    )
