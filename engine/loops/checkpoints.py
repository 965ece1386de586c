"""Run a scan as a scan of shorter ones, so that its derivative keeps only the carries that these start from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..operations import table
from ..programs import COUNTED, Loop, Part, Place, Shape, View, as_values, constants, contiguous, size_of, traced
from .bodies import as_step


def checkpointed(loop: Loop, args: Sequence[Any], levels: int) -> list[Any]:
    """Run a scan, or one that counts its iterations, with so many levels of shorter ones."""
    length, carry, rows = loop.length, loop.carry, loop.rows
    size = math.ceil(length ** (levels / (levels + 1)))
    if not levels or size >= length or size < 2:
        return as_step(loop, args)
    count, rest = divmod(length, size)
    args = as_values(args, loop.argument_shapes)
    shapes, columns, shared = loop.body.shapes, args[carry : carry + rows], args[carry + rows :]
    # What is left over comes last, which for a scan backwards is at the beginning.
    start = rest if loop.backwards else 0
    singles = shapes[carry : carry + rows]
    grouped = [
        _rows_of(column, start * size_of(single), (count, size, *single))
        for column, single in zip(columns, singles, strict=True)
    ]
    found = as_step(*_in_groups(loop, count, size, start, [*args[:carry], *grouped, *shared], levels))
    stacked = [
        _joined([array], (count * size, *shape)) for array, shape in zip(found[carry:], _stacked(loop), strict=True)
    ]
    if not rest:
        return [*found[:carry], *stacked]
    start = 0 if loop.backwards else count * size
    left = [
        _rows_of(column, start * size_of(shape), (rest, *shape)) for column, shape in zip(columns, singles, strict=True)
    ]
    if loop.kind == COUNTED:
        shared = [_within(shared[0], start, rest), *shared[1:]]
    more = checkpointed(loop.change(length=rest), [*found[:carry], *left, *shared], levels - 1)
    pairs = zip(stacked, more[carry:], _stacked(loop), strict=True)
    return [
        *more[:carry],
        *[_joined([b, a] if loop.backwards else [a, b], (length, *shape)) for a, b, shape in pairs],
    ]


def _in_groups(
    loop: Loop, count: int, size: int, start: int, args: list[Any], levels: int
) -> tuple[Loop, Sequence[Any]]:
    """Return the scan over groups of a scan's rows, the first of which begins at `start`, and its arguments."""
    end, part = loop.carry + loop.rows, loop.change(length=size)
    names, shapes = list(loop.body.names), list(loop.body.shapes)
    shapes[loop.carry : end] = [(size, *shape) for shape in shapes[loop.carry : end]]
    rows, run = loop.rows, lambda xs: checkpointed(part, xs, levels - 1)
    if loop.kind == COUNTED:
        # Each group gets the place of its first row, and tells from it how many of its rows take part.
        rows += 1
        names[end:end], shapes[end:end] = ["start", "groups"], [(), ()]
        given = args[end]
        groups = table.ceil(_within(given, start, count * size) / size)
        args[end:end] = [constants([float(start + k * size) for k in range(count)], (count,)), groups]

        def run(xs: Sequence[Any]) -> list[Any]:
            own = _within(xs[end + 2], xs[end], size)
            return checkpointed(part, [*xs[:end], own, *xs[end + 3 :]], levels - 1)

    body = traced(f"{loop.body.name} × {size}", names, run, shapes)
    return loop.change(body=body, length=count, rows=rows), args


def _within(length: Any, start: Any, most: int) -> Any:
    """Return how many of so many rows from one on take part where so many of all do."""
    return table.maximum(table.minimum(length - start, float(most)), 0.0)


def _stacked(loop: Loop) -> Sequence[Shape]:
    return loop.body.output_shapes[loop.carry : loop.carry + loop.stacked]


def _rows_of(array: Any, start: int, shape: Shape) -> Any:
    """Return some rows of an array from a number on; several rows may be joined to one."""
    return View(array.shape, Part(start, shape, contiguous(shape))).apply((array,))


def _joined(arrays: Sequence[Any], shape: Shape) -> Any:
    """Return the array of a shape that arrays are, one after another."""
    parts, start = [], 0
    for array in arrays:
        parts.append(Part(start, array.shape, contiguous(array.shape)))
        start += size_of(array.shape)
    return Place(shape, parts).apply(tuple(arrays))
