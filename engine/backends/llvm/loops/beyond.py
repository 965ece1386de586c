"""Set to 0 what a counted scan stacks for rows that take no part: beyond the last of all lanes, and of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..driver import loop
from . import moves
from .memory import Spot
from .writer import Writer


def cleared(writer: Writer, stacked: Sequence[Spot], steps: Sequence[int], length: int, lanes: int) -> str:
    """Write the loops over rows beyond %n, and where there are `lanes`, which end apart, beyond %counts of each.

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
        symbol = f"llvm.vector.reduce.fmin.v{lanes}f64"
        writer.module.declare(f"declare double @{symbol}({writer.wide.type})\n")
        text += f"%fewest = call double @{symbol}({writer.wide.type} %counts)\n%least = fptosi double %fewest to i64\n"
        text += rows("some", "%least", "%n", keep, takes_part("takes", "%some", lanes))
    return text + rows("none", "%n", f"{length}", lambda spot: moves.clear(writer, spot))


def takes_part(name: str, row: str, lanes: int) -> str:
    """Write in which lanes a row of a counted scan takes part, by %counts."""
    type_ = f"<{lanes} x double>"
    return (
        f"%{name}.d = sitofp i64 {row} to double\n%{name}.i = insertelement {type_} poison, double %{name}.d, i64 0\n"
        f"%{name}.s = shufflevector {type_} %{name}.i, {type_} poison, <{lanes} x i32> zeroinitializer\n"
        f"%{name} = fcmp olt {type_} %{name}.s, %counts\n"
    )
