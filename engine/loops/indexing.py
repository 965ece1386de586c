"""Index whole traced arrays as NumPy's: what slices give is a view, what index arrays give is gathered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import is_symbolic
from ..errors import TraceError
from ..graph import user_line
from ..operations import table
from ..programs import (
    ArrayTracer,
    Gather,
    Numbers,
    Part,
    Shape,
    are_conditions,
    axes_in_order,
    contiguous,
    shape_of,
    size_of,
    whole,
)
from .nests import elementwise, holds_conditions, operand


def item(x: ArrayTracer, index: Any) -> Any:
    """Return ``x[index]``."""
    part, axes, chosen = located(x.shape, index)
    if 0 in part.shape:
        return _empty(part.shape, axes, chosen)
    part, axes, chosen = _with_slices(part, axes, chosen)
    seen = x.view(part)
    return _chosen(seen, axes, chosen) if chosen else seen


def located(of: Shape, index: Any) -> tuple[Part, list[int], list[Any]]:
    """Return the part of an array of a shape that an index is, the axes of it that index arrays choose from, these."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [_as_index(part) for part in parts]
    parts = _without_ellipsis(parts, len(of))
    start, axes, shape, strides = 0, [], [], []  # of the view; which of its axes have index arrays
    axis = 0
    own = contiguous(of)
    chosen: list[Any] = []
    for part in parts:
        if part is None:
            shape.append(1)
            strides.append(0)
            continue
        length, stride = of[axis], own[axis]
        axis += 1
        if isinstance(part, int):
            start += _place(part, length, axis - 1) * stride
        elif isinstance(part, slice):
            places = range(length)[part]
            start += places.start * stride if len(places) else 0
            shape.append(len(places))
            strides.append(stride * places.step)
        else:
            axes.append(len(shape))
            chosen.append(part)
            shape.append(length)
            strides.append(stride)
    return Part(start, tuple(shape), tuple(strides)), axes, chosen


def _with_slices(part: Part, axes: list[int], chosen: list[Any]) -> tuple[Part, list[int], list[Any]]:
    """Return the part with what one array of constants chooses at equal distances as what a slice would give."""
    index = chosen[0] if len(chosen) == 1 else None
    if not isinstance(index, np.ndarray) or index.ndim != 1 or not index.size:
        return part, axes, chosen
    places = _checked(index, part.shape[axes[0]], axes[0])
    step = int(places[1] - places[0]) if places.size > 1 else 1
    if np.any(np.diff(places) != step):
        return part, axes, chosen
    shape, strides, axis = list(part.shape), list(part.strides), axes[0]
    start = part.start + int(places[0]) * strides[axis]
    shape[axis], strides[axis] = len(places), step * strides[axis]
    return Part(start, tuple(shape), tuple(strides)), [], []


def _empty(shape: Sequence[int], axes: Sequence[int], chosen: Sequence[Any]) -> Any:
    index: list[Any] = [slice(None)] * len(shape)
    for axis, part in zip(axes, chosen, strict=True):
        index[axis] = part
    return np.zeros(shape)[tuple(index)]


def is_mask(x: Any) -> bool:
    """Return whether an array holds traced conditions: a whole one, or one of numbers."""
    return holds_conditions(x) if isinstance(x, ArrayTracer) else all(map(_is_truth, x.flat))


def _as_index(part: Any) -> Any:
    """Return one index as an int, a slice, None, Ellipsis, an array of whole numbers or traced ones."""
    if part is None or part is Ellipsis:
        return part
    if isinstance(part, slice):
        return slice(*[None if end is None else _whole(end) for end in (part.start, part.stop, part.step)])
    if isinstance(part, ArrayTracer):
        if is_mask(part):
            _refuse_mask()
        return part.__whole__()
    if is_symbolic(part):
        return part
    if isinstance(part, float) and hasattr(type(part), "__index__"):
        return int(part)  # a count of iterations
    array = np.asarray(part)
    if array.dtype.kind == "O" and any(map(is_symbolic, array.flat)):
        if array.shape and is_mask(array):
            _refuse_mask()
        return operand(array)
    if array.dtype.kind == "b" or not array.size:
        return array.astype(array.dtype if array.dtype.kind == "b" else int)
    if array.dtype.kind not in "iu":
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are "
            f"valid indices, but got {part!r}"
        )
    return int(array) if not array.shape else array


def _is_truth(number: Any) -> bool:
    """Return whether a number is True, False or a traced condition; one of two constants may be an index."""
    is_choice = getattr(number, "op", None) is table.where and set(map(type, number.args[1:])) == {float}
    return are_conditions(number) and not is_choice


def _refuse_mask() -> None:
    raise TraceError(
        f"a traced array was indexed by traced conditions at {user_line()}, so its length is not known; write "
        "chainrule.where(mask, x, 0.0) or numpy.where instead"
    )


def _whole(end: Any) -> int:
    if is_symbolic(end):
        return int(end)  # which says what to do
    return int(np.asarray(end).item()) if not isinstance(end, int) else end


def _without_ellipsis(parts: list[Any], dimensions: int) -> list[Any]:
    """Return an index for each axis; masks become index arrays."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype.kind == "b":
            found += part.nonzero() if part.ndim else _refuse_truth(part)
        else:
            found.append(part)
    taken = sum([part is not None and part is not Ellipsis for part in found])
    if taken > dimensions:
        raise IndexError(f"too many indices for array: array is {dimensions}-dimensional, but {taken} were indexed")
    rest = [slice(None)] * (dimensions - taken)
    places = [k for k, part in enumerate(found) if part is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not places:
        return [*found, *rest]
    return [*found[: places[0]], *rest, *found[places[0] + 1 :]]


def _refuse_truth(part: Any) -> Any:
    raise IndexError(f"a truth value as an index of a traced array: {bool(part)}; index by None to add an axis")


def _place(index: int, length: int, axis: int) -> int:
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")
    return index % length


def _chosen(x: Any, axes: Sequence[int], parts: Sequence[Any]) -> Any:
    """Return an array whose axes are indexed by arrays: its rows along these axes, counted as one, are gathered."""
    lengths = [x.shape[axis] for axis in axes]
    index_shape = np.broadcast_shapes(*map(shape_of, parts))
    rest = [axis for axis in range(len(x.shape)) if axis not in axes]
    index = _one_index([_checked(*own) for own in zip(parts, lengths, axes, strict=True)], lengths)
    if not size_of(index_shape):
        shape = _shape_with(index_shape, [x.shape[axis] for axis in rest], axes, rest)
        return np.zeros(shape)
    of = (size_of(tuple(lengths)), *[x.shape[axis] for axis in rest])
    rows = x.view(axes_in_order(x.shape, [*axes, *rest])).view(whole(of))
    if isinstance(index, np.ndarray):
        index = Numbers.of(np.broadcast_to(index, index_shape)) if index_shape else float(index)
    elif isinstance(index, ArrayTracer) and index.shape != index_shape:
        index = elementwise(lambda k, _: k, index, np.zeros(index_shape))
    found = Gather(of, index_shape).apply((rows, index))
    if not isinstance(found, ArrayTracer) or not rest or not index_shape:
        return found
    # NumPy puts the axes of the index where those that it chooses from were, if these are neighbours.
    count = len(index_shape)
    first = axes[0] if list(axes) == list(range(axes[0], axes[0] + len(axes))) else 0
    order = [*range(count, count + first), *range(count), *range(count + first, len(found.shape))]
    return found.view(axes_in_order(found.shape, order))


def _shape_with(index: Shape, left: Sequence[int], axes: Sequence[int], rest: Sequence[int]) -> Shape:
    first = axes[0] if list(axes) == list(range(axes[0], axes[0] + len(axes))) else 0
    return (*left[:first], *index, *left[first:])


def _checked(index: Any, length: int, axis: int) -> Any:
    """Return an index from 0 on; `IndexError` where constants are out of range."""
    if not isinstance(index, np.ndarray):
        return index
    outside = (index < -length) | (index >= length)
    if outside.any():
        raise IndexError(f"index {index[outside].flat[0]} is out of bounds for axis {axis} with size {length}")
    return np.where(index < 0, index + length, index)


def _one_index(parts: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Return one index for several axes that are counted as one."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, np.ndarray) for part in parts):
        strides = contiguous(tuple(lengths))
        return sum([part * stride for part, stride in zip(parts, strides, strict=True)])

    def counted(*places: Any) -> Any:
        found: Any = 0.0
        for place, length in zip(places, lengths, strict=True):
            place = table.where(place < 0.0, place + length, place)
            there = (place >= 0.0) & (place < length) & (place == table.trunc(place))
            found = table.where(there, found * length + place, math.nan)
        return found

    return elementwise(counted, *parts)


def taken(x: Any, index: Any, axis: int | None = None) -> Any:
    """Return rows along an axis by index, as ``np.take`` does; without one of all numbers in order."""
    if axis is None:
        return item(x.view(Part(0, (size_of(x.shape),), (1,))), index)
    axis = axis % len(x.shape)
    return item(x, (*[slice(None)] * axis, index))


def gathered(rows: Any, index: Any) -> Any:
    """Return rows of an array of any kind by an index that may be traced."""
    array = operand(rows)
    if isinstance(array, ArrayTracer):
        return item(array, index)
    parts = [_as_index(part) for part in (index if isinstance(index, tuple) else (index,))]
    if any(part is None or part is Ellipsis or isinstance(part, slice) for part in parts):
        raise IndexError(
            "an array of constants with a traced index takes numbers along its first axes, and nothing else"
        )
    lengths = array.shape[: len(parts)]
    checked = [
        part if is_symbolic(part) or isinstance(part, ArrayTracer) else _checked(np.asarray(part), length, axis)
        for axis, (part, length) in enumerate(zip(parts, lengths, strict=True))
    ]
    places = operand(_one_index(checked, lengths))
    known = Numbers.of(array.reshape(-1, *array.shape[len(parts) :]))
    return Gather(known.shape, shape_of(places)).apply(
        (known, Numbers.of(places) if isinstance(places, np.ndarray) else places)
    )
