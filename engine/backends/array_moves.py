"""Move numbers between NumPy's arrays: views, places, gathers and scatters of the values of numpy_.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..programs import Gather, Part, Place, Scatter, View, contiguous, seen_through, size_of
from .meeting import added, meets_itself

Array = Any  # the axes of the value, then the lanes: iterations of maps and samples


def kind_of(xs: Sequence[Array]) -> Any:
    """Return the dtype of what is computed from some values; doubles where there are none."""
    return np.result_type(np.float32, *xs) if len(xs) else np.float64


def lanes_of(x: Array, own: int) -> tuple[int, ...]:
    """Return the lanes of a value with so many axes of its own."""
    return tuple(np.shape(x)[own:])


def with_lanes(x: Array, own: int, depth: int) -> Array:
    """Give a value at least so many lanes, new ones of length 1 before the others."""
    missing = depth + own - np.ndim(x)
    return x if missing <= 0 else np.reshape(x, (*np.shape(x)[:own], *[1] * missing, *np.shape(x)[own:]))


def joined_lanes(xs: Sequence[Array], own: Sequence[int]) -> tuple[int, ...]:
    """Return the lanes that values have together."""
    return np.broadcast_shapes(*[lanes_of(x, count) for x, count in zip(xs, own, strict=True)])


def added_up(x: Array, y: Array, own: int) -> Array:
    """Add two values of the same shape."""
    depth = max(np.ndim(x), np.ndim(y)) - own
    return with_lanes(x, own, depth) + with_lanes(y, own, depth)


def stacked(items: Sequence[Array], own: int) -> Array:
    """Return values of the same shape as the rows of an array."""
    lanes = joined_lanes(items, [own] * len(items))
    found = np.empty((len(items), *np.shape(items[0])[:own], *lanes), kind_of(items))
    for k, item in enumerate(items):
        found[k] = with_lanes(item, own, len(lanes))
    return found


def seen(op: View) -> Callable[[Array], Array]:
    """Return what looks at a part of an array."""
    part, of = op.part, op.of
    if not size_of(part.shape):
        return lambda x: np.empty((*part.shape, *lanes_of(x, len(of))), kind_of([x]))
    first = np.unravel_index(part.start, of)
    if not part.shape:
        return lambda x: x[first]
    corner = tuple([slice(k, k + 1) for k in first])

    def look(x: Array) -> Array:
        strides = _strides(op, x)
        if strides is None:
            x = np.ascontiguousarray(x)
            strides = _strides(op, x)
        lanes = len(of)
        return as_strided(x[corner], (*part.shape, *x.shape[lanes:]), (*strides, *x.strides[lanes:]))  # type: ignore[misc]

    return look


def _strides(op: View, x: Array) -> tuple[int, ...] | None:
    """Return the strides of a part of an array in bytes; None where there are none."""
    own = contiguous(op.of)
    # An axis of length 1 may have any stride.
    last = next((k for k in range(len(own) - 1, -1, -1) if op.of[k] > 1), 0)
    unit = x.strides[last] // own[last]
    strides = [own[k] * unit if op.of[k] == 1 else x.strides[k] for k in range(len(own))]
    if strides == [stride * unit for stride in own]:
        return tuple([stride * unit for stride in op.part.strides])
    found = seen_through(op.part, op.of, 0, strides)
    return None if found is None else found[1]


def placed(op: Place) -> Callable[..., Array]:
    """Return what puts values into an array."""
    own = [len(part.shape) for part in op.parts]
    adds = added(op)
    size = size_of(op.shape)
    alone = op.fills and not any(own)

    def put(*xs: Array) -> Array:
        lanes = joined_lanes(xs, own)
        if alone and not lanes:
            return np.array(xs, kind_of(xs)).reshape(op.shape)
        flat = (np.empty if op.fills else np.zeros)((size, *lanes), kind_of(xs))
        for part, adding in zip(op.parts, adds, strict=True):
            if adding:
                # To -0.0 anything is added as it is.
                _part_of(flat, part)[...] = -0.0
        for part, adding, x in zip(op.parts, adds, xs, strict=True):
            x = with_lanes(x, len(part.shape), len(lanes))
            if adding:
                _add(flat, part, x)
            else:
                _part_of(flat, part)[...] = x
        return flat.reshape((*op.shape, *lanes))

    return put


def _part_of(flat: Array, part: Part) -> Array:
    """Look at a part of an array that is given as a row of its numbers."""
    if not part.shape:
        return flat[part.start : part.start + 1].reshape(flat.shape[1:])
    unit = flat.strides[0]
    strides = [stride * unit for stride in part.strides]
    return as_strided(flat[part.start :], (*part.shape, *flat.shape[1:]), (*strides, *flat.strides[1:]))


def _add(flat: Array, part: Part, x: Array) -> None:
    """Add a value into a part, whose numbers may stand at the same place."""
    if not meets_itself(part):
        target = _part_of(flat, part)
        target += x
        return
    lengths = [length if length > 1 else size_of(part.shape) + 1 for length in part.shape]
    still = [k for k, stride in enumerate(part.strides) if stride == 0 and part.shape[k] > 1]
    axis = still[0] if still else lengths.index(min(lengths))
    rest = Part(part.start, *[item[:axis] + item[axis + 1 :] for item in part[1:]])
    if still:
        _add(flat, rest, x.sum(axis=axis))
        return
    for k in range(part.shape[axis]):
        _add(flat, rest._replace(start=part.start + k * part.strides[axis]), np.take(x, k, axis))


def _rows_at(index: Array, count: int) -> Array:
    """Return which rows are asked for, those below 0 from the end; `count` where there is none, or a fraction."""
    rows = np.where((np.abs(index) <= count) & (index == np.trunc(index)), index, count).astype(np.intp)
    return np.where(rows < 0, rows + count, rows)


def _grid(lengths: Sequence[int], before: int, after: int) -> list[Array]:
    """Return the index along each of some axes, among others before and after them."""
    axes = [np.arange(length) for length in lengths]
    return [axis.reshape((*[1] * (before + k), -1, *[1] * (len(axes) - k - 1 + after))) for k, axis in enumerate(axes)]


def gathered(op: Gather) -> Callable[[Array, Array], Array]:
    """Return what reads rows of an array by whole numbers."""
    count, row, own = op.of[0], op.of[1:], len(op.index)

    def read(x: Array, index: Array) -> Array:
        depth = max(np.ndim(x) - len(op.of), np.ndim(index) - own)
        x, index = with_lanes(x, len(op.of), depth), with_lanes(index, own, depth)
        rows = _rows_at(index, count)
        rows = rows.reshape((*rows.shape[:own], *[1] * len(row), *rows.shape[own:]))
        if not count:
            return np.full(np.broadcast_shapes(rows.shape, (*row, *lanes_of(x, len(op.of)))), np.nan, kind_of([x]))
        lanes = _grid(lanes_of(x, len(op.of)), own + len(row), 0)
        found = x[(np.minimum(rows, count - 1), *_grid(row, own, depth), *lanes)]
        return np.where(rows < count, found, np.nan)

    return read


def scattered(op: Scatter) -> Callable[[Array, Array], Array]:
    """Return what adds rows to an array of zeros, at places given by whole numbers."""
    count, row, own = op.shape[0], op.shape[1:], len(op.index)

    def add(index: Array, items: Array) -> Array:
        depth = max(np.ndim(index) - own, np.ndim(items) - own - len(row))
        index, items = with_lanes(index, own, depth), with_lanes(items, own + len(row), depth)
        lanes = joined_lanes([index, items], [own, own + len(row)])
        rows = _rows_at(index, count)
        rows = rows.reshape((*rows.shape[:own], *[1] * len(row), *rows.shape[own:]))
        found = np.zeros((count + 1, *row, *lanes), kind_of([items]))  # what is for no row goes into the last
        np.add.at(found, (rows, *_grid(row, own, depth), *_grid(lanes, own + len(row), 0)), items)
        if (rows == count).any():
            lost = (rows == count) & (items != 0.0)
            found[:, ..., lost.any(axis=tuple(range(own + len(row))))] = np.nan
        return found[:count]

    return add
