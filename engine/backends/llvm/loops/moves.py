"""Copy numbers from one place in memory to another: runs of them as vectors or by a small loop, not one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .memory import Spot
from .writer import Writer

_WORTH_A_LOOP = 3  # numbers at equal distances, at least
_LONG = 64  # doubles side by side that are copied by a call

Move = tuple[int, Spot]  # a value, and where it goes


class _Piece(NamedTuple):
    """Hold what was read: its type, how many bytes behind the first, and what it is called."""

    type: str
    place: int
    text: str


def move(writer: Writer, moves: Sequence[Move], *, adds: bool = False) -> None:
    """Copy values, or add them to what stands there; nothing that is read here may be written here."""
    if not adds:
        clear(writer, [spot for value, spot in moves if _is_zero(writer, value)])
        moves = [(value, spot) for value, spot in moves if not _is_zero(writer, value)]
    for run in _runs(writer, moves):
        value, target = run[0]
        if len(run) == 1:
            text = writer.operand(value, target.varies)
            writer.store(writer.sum(text, target) if adds else text, target)
            continue
        source, width = writer.homes[value], _width(writer, target)
        steps = (_step([writer.homes[value] for value, _ in run]), _step([spot for _, spot in run]))
        if steps != (width, width) or source.lane:
            _call(writer, run, steps, adds)
        elif adds or len(run) * width <= 8 * _LONG:
            _store(writer, target, _load(writer, source, len(run) * width), adds)
        else:
            writer.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n")
            pointers = [f"ptr {writer.pointer(spot.base, spot.offset)}" for spot in (target, source)]
            writer.lines.append(
                f"call void @llvm.memcpy.p0.p0.i64({', '.join(pointers)}, i64 {len(run) * width}, i1 false)"
            )


def clear(writer: Writer, spots: Sequence[Spot]) -> None:
    """Set places to 0."""
    start = 0
    for stop in range(1, len(spots) + 1):
        first, width = spots[start], _width(writer, spots[start])
        if stop < len(spots) and spots[stop] == spots[stop - 1].further(width):
            continue
        if stop - start < _WORTH_A_LOOP or (first.lane and writer.lanes > 1):
            for spot in spots[start:stop]:
                writer.store((writer.wide if spot.varies else writer.plain).zero, spot)
        else:
            pointer, size = writer.pointer(first.base, first.offset), (stop - start) * width
            writer.lines.append(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {size}, i1 false)")
        start = stop


def _is_zero(writer: Writer, value: int) -> bool:
    constant = writer.constant(value)
    return constant is not None and constant == 0.0 and math.copysign(1.0, constant) > 0.0


def exchange(writer: Writer, moves: Sequence[Move]) -> None:
    """Copy values where places that are written may be those of others: all are read first."""
    read: list[tuple[Spot, str | list[_Piece]]] = []
    for run in _runs(writer, moves):
        value, target = run[0]
        if len(run) > 1 and _contiguous(writer, run):
            read.append((target, _load(writer, writer.homes[value], len(run) * _width(writer, target))))
        else:
            read += [(spot, writer.operand(value, spot.varies)) for value, spot in run]
    for target, found in read:
        if isinstance(found, str):
            writer.store(found, target)
        else:
            _store(writer, target, found, False)


def _contiguous(writer: Writer, run: Sequence[Move]) -> bool:
    """Tell whether both what a run reads and what it writes stands side by side."""
    homes, width = [writer.homes[value] for value, _ in run], _width(writer, run[0][1])
    is_spread = homes[0].lane and writer.lanes > 1
    return not is_spread and _step(homes) == width == _step([spot for _, spot in run])


def _runs(writer: Writer, moves: Sequence[Move]) -> list[list[Move]]:
    """Cut moves into runs, in each of which sources and targets stand at equal distances in memory."""
    found: list[list[Move]] = []
    steps = (0, 0)
    last: Spot | None = None  # where the value before stands
    for one in moves:
        source, target = writer.homes.get(one[0]), one[1]
        before, last = last, source
        if before is not None and source is not None and _copies(writer, source, target):
            run = found[-1]
            if _same_kind(before, source) and _same_kind(run[-1][1], target):
                step = (source.offset - before.offset, target.offset - run[-1][1].offset)
                if len(run) == 1 or step == steps:
                    steps = step
                    run.append(one)
                    continue
        found.append([one])
    return [part for run in found for part in ([run] if len(run) >= _WORTH_A_LOOP else [[one] for one in run])]


def _copies(writer: Writer, source: Spot, target: Spot) -> bool:
    """Tell whether what stands in memory can be copied as it is."""
    if source.fold or target.fold:
        return False
    if writer.lanes > 1 and (source.lane or target.lane):
        return target.wide and source.lane not in (0, 8)
    return source.wide == target.wide


def _same_kind(a: Spot, b: Spot) -> bool:
    return (a.base, a.wide, a.lane, a.fold) == (b.base, b.wide, b.lane, b.fold)


def _step(spots: Sequence[Spot]) -> int:
    return spots[1].offset - spots[0].offset


def _width(writer: Writer, spot: Spot) -> int:
    return 8 * (spot.fold or writer.lanes) if spot.wide else 8


def _cut(size: int, lanes: int) -> list[tuple[str, int]]:
    """Cut bytes into vectors and what is left: types and where they begin."""
    found, place = [], 0
    while place < size:
        while place + 8 * lanes > size:
            lanes //= 2
        found.append((f"<{lanes} x double>" if lanes > 1 else "double", place))
        place += 8 * lanes
    return found


def _load(writer: Writer, source: Spot, size: int) -> list[_Piece]:
    found = []
    for type_, place in _cut(size, writer.module.machine.lanes):
        pointer, key = writer.pointer(source.base, source.offset + place), writer.temporary()
        writer.lines.append(f"%x{key} = load {type_}, ptr {pointer}, align 8")
        found.append(_Piece(type_, place, f"%x{key}"))
    return found


def _store(writer: Writer, target: Spot, pieces: Sequence[_Piece], adds: bool) -> None:
    for type_, place, text in pieces:
        pointer = writer.pointer(target.base, target.offset + place)
        if adds:
            key = writer.temporary()
            writer.lines.append(
                f"%t{key} = load {type_}, ptr {pointer}, align 8\n%s{key} = fadd {type_} %t{key}, {text}"
            )
            text = f"%s{key}"
        writer.lines.append(f"store {type_} {text}, ptr {pointer}, align 8")


def _call(writer: Writer, run: Sequence[Move], steps: tuple[int, int], adds: bool) -> None:
    """Call the function that copies numbers, or adds them, at any distances."""
    type_ = writer.wide.type if run[0][1].wide else "double"
    spots = writer.homes[run[0][0]], run[0][1]
    pointers = [f"ptr {writer.pointer(spot.base, spot.offset)}" for spot in spots]
    name = writer.module.mover(type_, adds, spots[0].lane if writer.lanes > 1 else 0)
    writer.lines.append(f"call void @{name}({', '.join(pointers)}, i64 {steps[0]}, i64 {steps[1]}, i64 {len(run)})")
