"""Share a long map among threads: in parts of equal length, whose sums are added up in the order of the parts.

How many parts there are depends on the loop alone, so that results do not depend on how many threads there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ....programs import MAP, Loop
from .. import watch
from ..frame import POINTER
from ..machine import Machine
from ..turns import at, calls_of, moved_pointers
from . import moves
from .iterations import Iterations
from .memory import Sink, Spot, compact, size_in
from .module import Written

_LEAST = 1 << 19  # operations of a loop, about a tenth of a millisecond
_PART = 1 << 17  # operations of a part, at least
_MOST = 32  # parts
_MEMORY = 1 << 24  # bytes that the sums of all parts may take


class Shared:
    """Write the function of a map that threads share: of its iterations, so many parts of so many each."""

    def __init__(self, loop: Iterations, parts: tuple[int, int]) -> None:
        self.loop, self.parent, self.module, self.steps = loop, loop.parent, loop.module, loop.steps
        self.count, self.each = parts

    def write(self) -> Written:
        """Write the functions."""
        module, count, pointers = self.module, self.count, len(self.steps)
        op, inputs, every = self.loop.op, self.loop.inputs, self.loop.sinks
        stacked, totals = every[: op.stacked], [sink.spot for sink in every[op.stacked :]]
        own, size = self._sums(totals)
        sinks = [*stacked, *[Sink(spot, True) for spot in own]]
        module.shares = False  # no loop inside does
        whole = op.change(length=self.each)
        part = Iterations(self.parent, whole, inputs, sinks, (*self.steps, 0), self.loop.lanes).write()
        rest, left = Written([], 0), op.length - count * self.each
        if left:
            lanes = self._lanes_of(left)
            rest = Iterations(self.parent, op.change(length=left), inputs, every, self.steps, lanes).write()
        module.shares = True
        name, context = module.name("shared"), -(-POINTER * (pointers + 1) // 64) * 64
        part_name = self._define_part(part, size)
        frame = context + count * size
        text = "".join(at(f"c{k}", "%frame", POINTER * k) + f"store ptr %r{k}, ptr %c{k}\n" for k in range(pointers))
        text += at("sums", "%frame", context) + at(f"c{pointers}", "%frame", POINTER * pointers)
        text += f"store ptr %sums, ptr %c{pointers}\n" + at("f", "%frame", frame)
        module.declare(watch.SHARE_DECLARED)
        arguments = f"ptr %watch, ptr @{part_name}, ptr %frame, i64 {count}, ptr %f, i64 {part.size}"
        text += f"call void @chainrule_share({arguments})\n"
        if left:
            text += f"%w = add i64 0, {count * self.each}\n" + moved_pointers(self.steps, "%w", "w")
            text += calls_of(rest.names, [f"%w{k}" for k in range(pointers)], "%f")
        text += self._added_up(own, totals, context, size)
        parameters = ", ".join([*[f"ptr %r{k}" for k in range(pointers)], "ptr %frame, ptr %watch"])
        module.texts.append(f"define internal void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n")
        return Written([name], frame + max(part.size, rest.size))

    def _sums(self, totals: Sequence[Spot]) -> tuple[list[Spot], int]:
        """Place the sums of a part behind its own pointer; tell how many bytes they take."""
        found, size = [], 0
        for spot in totals:
            found.append(compact(f"%r{len(self.steps)}", size, spot, self.module.size))
            size += self.module.size * size_in(spot)
        return found, -(-size // 64) * 64

    def _lanes_of(self, length: int) -> int:
        """Return how many of so few iterations run side by side."""
        own, lanes = self.module.machine.lanes, self.loop.lanes
        if lanes == self.parent.lanes or length % lanes == 0:
            return lanes
        return own if length >= own else self.parent.lanes

    def _define_part(self, part: Written, size: int) -> str:
        """Write the function that runs one part, from where the pointers stand."""
        name, count = self.module.name("part"), len(self.steps)
        text = f"%first = mul i64 %k, {self.each}\n"
        for k in range(count + 1):
            text += at(f"c{k}", "%context", POINTER * k) + f"%r{k} = load ptr, ptr %c{k}\n"
        text += moved_pointers(self.steps, "%first") + f"%own = mul i64 %k, {size}\n"
        text += f"%q{count} = getelementptr i8, ptr %r{count}, i64 %own\n"
        if size:
            text += f"call void @llvm.memset.p0.i64(ptr %q{count}, i8 0, i64 {size}, i1 false)\n"
        text += calls_of(part.names, [f"%q{k}" for k in range(count + 1)])
        parameters = "ptr %context, i64 %k, ptr %frame, ptr %watch"
        self.module.texts.append(f"define internal void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n")
        return name

    def _added_up(self, own: Sequence[Spot], totals: Sequence[Spot], context: int, size: int) -> str:
        """Add the sums of all parts to where they are wanted."""
        parent, count = self.parent, self.count

        def write() -> None:
            for spot, total in zip(own, totals, strict=True):
                each = spot.moved("%frame", context + spot.offset)
                parts = each._replace(shape=(count, *spot.shape), strides=(size, *spot.strides))
                moves.copy(parent, parts, total._replace(shape=parts.shape, strides=(0, *total.strides)), adds=True)

        return parent.written(write)


def parts_of(
    op: Loop, machine: Machine, lanes: int, sinks: Sequence[Sink], steps: Sequence[int]
) -> tuple[int, int] | None:
    """Return into how many parts of how many iterations a map is cut; None if threads do not share it.

    A part is a multiple of so many iterations. Results of all iterations have places of their own.
    """
    if op.kind != MAP or op.work < _LEAST or any(row.custom for row in op.body.rows()):
        return None
    stacked, totals = sinks[: op.stacked], sinks[op.stacked :]
    axes = [_axes(sink.spot, steps[int(sink.spot.base[2:])], op.length) for sink in stacked]
    if not all(_is_apart(own, machine.size) for own in axes):
        return None
    if _any_meet([sink.spot for sink in stacked], axes, machine.size):
        return None
    size = machine.size * sum(size_in(sink.spot) for sink in totals)
    most = min(_MOST, op.work // _PART, _MEMORY // max(1, size), op.length // lanes)
    if most < 2:
        return None
    each = least = -(-op.length // most // lanes) * lanes
    while op.length % each and each < 2 * least:  # what is left over is written once more
        each += lanes
    each = least if op.length % each else each
    return (op.length // each, each) if op.length >= 2 * each else None


def _axes(spot: Spot, step: int, length: int) -> list[tuple[int, int]]:
    """Return the distances in memory along the axes of what iterations give, the shortest first, and the lengths."""
    return sorted([(step, length), *zip(spot.strides, spot.shape, strict=True)], key=lambda axis: abs(axis[0]))


def _is_apart(axes: Sequence[tuple[int, int]], size: int) -> bool:
    """Return whether no two numbers, of so many bytes, stand at the same place."""
    reached = size
    for distance, count in axes:
        if count > 1:
            if abs(distance) < reached:
                return False
            reached += abs(distance) * (count - 1)
    return True


def _any_meet(spots: Sequence[Spot], axes: Sequence[Sequence[tuple[int, int]]], size: int) -> bool:
    """Return whether an iteration may give a number where another one does."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for spot, own in zip(spots, axes, strict=True):
        ends = [distance * (count - 1) for distance, count in own]
        start, end = spot.offset + sum(min(0, end) for end in ends), spot.offset + sum(max(0, end) for end in ends)
        # All numbers are so far from the start, or a multiple of it.
        found.setdefault(spot.base, []).append((start, end, math.gcd(*[step for step, count in own if count > 1])))
    return any(meet(sorted(each), size) for each in found.values())


def meet(ranges: Sequence[tuple[int, int, int]], size: int = 8) -> bool:
    """Return whether any of some ranges, in order, have a number at one place; a range is a start, an end, a step."""
    near: list[tuple[int, int, int]] = []
    for start, end, step in ranges:
        near = [other for other in near if other[1] >= start]
        for before, _, other in near:
            apart = math.gcd(step, other)
            if not size <= (start - before) % max(1, apart) <= apart - size:
                return True
        near.append((start, end, step))
    return False
