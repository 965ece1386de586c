"""Copy numbers from one place in memory to another: runs of them as vectors or by a small loop, not one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .memory import Spot

_RUN = 3  # numbers at equal distances, and more, are worth a loop
_LONG = 64  # doubles side by side that are copied by a call

Move = tuple[int, Spot]  # a value of a body, and where it goes


def move(body: Any, moves: Sequence[Move], *, adds: bool = False) -> None:
    """Copy values, or add them to what stands there; nothing that is read here may be written here."""
    if not adds:
        clear(body, [spot for value, spot in moves if _is_zero(body, value)])
        moves = [(value, spot) for value, spot in moves if not _is_zero(body, value)]
    for run in runs(body, moves):
        source, (_, target) = body.homes.get(run[0][0]), run[0]
        if len(run) == 1:
            _single(body, *run[0], adds)
            continue
        width = _width(body, target)
        steps = [_step([body.homes[value] for value, _ in run]), _step([spot for _, spot in run])]
        if steps != [width, width] or source.lane:
            _call(body, run, steps, adds)
        elif adds or len(run) * width <= 8 * _LONG:
            _store(body, target, _load(body, source, len(run) * width), adds)
        else:
            body.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n")
            pointers = [f"ptr {body.pointer(spot.base, spot.offset)}" for spot in (target, source)]
            body.lines.append(
                f"call void @llvm.memcpy.p0.p0.i64({', '.join(pointers)}, i64 {len(run) * width}, i1 false)"
            )


def clear(body: Any, spots: Sequence[Spot]) -> None:
    """Set places to 0."""
    start = 0
    for stop in range(1, len(spots) + 1):
        first, width = spots[start], _width(body, spots[start])
        if stop < len(spots) and spots[stop] == spots[stop - 1].further(width):
            continue
        if stop - start < _RUN or (first.lane and body.lanes > 1):
            for spot in spots[start:stop]:
                body.store((body.wide if spot.varies else body.plain).zero, spot)
        else:
            pointer, size = body.pointer(first.base, first.offset), (stop - start) * width
            body.lines.append(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {size}, i1 false)")
        start = stop


def _is_zero(body: Any, value: int) -> bool:
    constant = body.constant(value)
    return constant is not None and constant == 0.0 and math.copysign(1.0, constant) > 0.0


def exchange(body: Any, moves: Sequence[Move]) -> None:
    """Copy values where places that are written may be those of others: all are read first."""
    read: list[tuple[Spot, Any]] = []
    for run in runs(body, moves):
        source, target = body.homes.get(run[0][0]), run[0][1]
        width = _width(body, target)
        if (
            len(run) > 1
            and not (source.lane and body.lanes > 1)
            and _step([body.homes[k] for k, _ in run]) == width == _step([spot for _, spot in run])
        ):
            read.append((target, _load(body, source, len(run) * width)))
        else:
            read += [(spot, body.operand(value, spot.varies)) for value, spot in run]
    for target, found in read:
        if isinstance(found, str):
            body.store(found, target)
        else:
            _store(body, target, found, False)


def runs(body: Any, moves: Sequence[Move]) -> list[list[Move]]:
    """Cut moves into runs, in each of which sources and targets stand at equal distances in memory."""
    found: list[list[Move]] = []
    steps = (0, 0)
    for one in moves:
        run = found[-1] if found else []
        before = body.homes.get(run[-1][0]) if run else None
        source = body.homes.get(one[0])
        if before is not None and _plain(body, *one) and _same_kind(before, source) and _same_kind(run[-1][1], one[1]):
            step = (source.offset - before.offset, one[1].offset - run[-1][1].offset)
            if len(run) == 1 or step == steps:
                steps = step
                run.append(one)
                continue
        found.append([one])
    return [part for run in found for part in ([run] if len(run) >= _RUN else [[one] for one in run])]


def _plain(body: Any, value: int, target: Spot) -> bool:
    """Tell whether what a value is in memory can be copied as it is."""
    source = body.homes.get(value)
    if source is None or source.fold or target.fold:
        return False
    if body.lanes > 1 and (source.lane or target.lane):
        return target.wide and source.lane not in (0, 8)
    return bool(source.wide == target.wide)


def _same_kind(a: Spot, b: Spot) -> bool:
    return (a.base, a.wide, a.lane, a.fold) == (b.base, b.wide, b.lane, b.fold)


def _step(spots: Sequence[Spot]) -> int:
    return spots[1].offset - spots[0].offset


def _width(body: Any, spot: Spot) -> int:
    return 8 * (spot.fold or body.lanes) if spot.wide else 8


def _single(body: Any, value: int, spot: Spot, adds: bool) -> None:
    text = body.operand(value, spot.varies)
    body.store(body.sum(text, spot) if adds else text, spot)


def _pieces(body: Any, size: int) -> list[tuple[str, int]]:
    """Cut bytes into vectors and what is left: types and where they begin."""
    found, place, lanes = [], 0, max(1, body.module.machine.lanes)
    while place < size:
        while place + 8 * lanes > size:
            lanes //= 2
        found.append((f"<{lanes} x double>" if lanes > 1 else "double", place))
        place += 8 * lanes
    return found


def _load(body: Any, source: Spot, size: int) -> list[tuple[str, int, str]]:
    found = []
    for type_, place in _pieces(body, size):
        pointer, key = body.pointer(source.base, source.offset + place), next(body.temporary)
        body.lines.append(f"%x{key} = load {type_}, ptr {pointer}, align 8")
        found.append((type_, place, f"%x{key}"))
    return found


def _store(body: Any, target: Spot, pieces: Sequence[tuple[str, int, str]], adds: bool) -> None:
    for type_, place, text in pieces:
        pointer = body.pointer(target.base, target.offset + place)
        if adds:
            key = next(body.temporary)
            body.lines.append(f"%t{key} = load {type_}, ptr {pointer}, align 8\n%s{key} = fadd {type_} %t{key}, {text}")
            text = f"%s{key}"
        body.lines.append(f"store {type_} {text}, ptr {pointer}, align 8")


def _call(body: Any, run: Sequence[Move], steps: Sequence[int], adds: bool) -> None:
    """Call the function that copies numbers, or adds them, at any distances."""
    type_ = body.wide.type if run[0][1].wide else "double"
    spots = body.homes[run[0][0]], run[0][1]
    pointers = [f"ptr {body.pointer(spot.base, spot.offset)}" for spot in spots]
    name = body.module.mover(type_, adds, spots[0].lane if body.lanes > 1 else 0)
    body.lines.append(f"call void @{name}({', '.join(pointers)}, i64 {steps[0]}, i64 {steps[1]}, i64 {len(run)})")


def mover(name: str, type_: str, adds: bool, lane: int) -> str:
    """Write the function that copies or adds numbers of a type: from, to, the distances in bytes, and how many.

    With `lane` those of a vector are gathered, so many bytes apart.
    """
    load = _gathered(type_, lane) if lane else f"%x = load {type_}, ptr %p, align 8\n"
    add = f"%t = load {type_}, ptr %q, align 8\n%s = fadd {type_} %t, %x\n" if adds else ""
    return (
        f"define internal void @{name}(ptr %from, ptr %to, i64 %a, i64 %b, i64 %n) #2 {{\nenter:\nbr label %head\n"
        "head:\n%p = phi ptr [ %from, %enter ], [ %p1, %head ]\n%q = phi ptr [ %to, %enter ], [ %q1, %head ]\n"
        f"%k = phi i64 [ 0, %enter ], [ %k1, %head ]\n{load}{add}"
        f"store {type_} %{'s' if adds else 'x'}, ptr %q, align 8\n%p1 = getelementptr i8, ptr %p, i64 %a\n"
        "%q1 = getelementptr i8, ptr %q, i64 %b\n%k1 = add i64 %k, 1\n%more = icmp slt i64 %k1, %n\n"
        "br i1 %more, label %head, label %done\ndone:\nret void\n}\n"
    )


def _gathered(type_: str, lane: int) -> str:
    text, before, lanes = "", "poison", int(type_[1:].split(" ")[0])
    for k in range(lanes):
        after = "%x" if k == lanes - 1 else f"%g{k}"
        text += f"%l{k} = getelementptr i8, ptr %p, i64 {k * lane}\n%h{k} = load double, ptr %l{k}, align 8\n"
        text += f"{after} = insertelement {type_} {before}, double %h{k}, i64 {k}\n"
        before = after
    return text
