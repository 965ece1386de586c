"""Put whole arrays together and move their parts, as NumPy's functions of these names do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..programs import ArrayTracer, Numbers, Part, Place, Shape, Tracer, contiguous, shape_of, size_of
from .array_reductions import axes_of, reshaped, transposed
from .indexing import item
from .nests import base_of, elementwise, holds_conditions, operand, spread


def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Return arrays one after another along an axis."""
    xs = [operand(x) for x in arrays]
    if axis is None:
        xs, axis = [reshaped(x, (size_of(shape_of(x)),)) for x in xs], 0
    first = shape_of(xs[0])
    (axis,) = axes_of(axis, len(first))
    for x in xs:
        if len(shape_of(x)) != len(first) or any(
            a != b for k, (a, b) in enumerate(zip(shape_of(x), first, strict=True)) if k != axis
        ):
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match exactly, but got shapes "
                f"{' and '.join(str(shape_of(x)) for x in xs)}"
            )
    shape = (*first[:axis], sum([shape_of(x)[axis] for x in xs]), *first[axis + 1 :])
    strides = contiguous(shape)
    starts, start = [], 0
    for x in xs:
        starts.append(start)
        start += shape_of(x)[axis] * strides[axis]
    return put(shape, [(Part(k, shape_of(x), strides), x) for k, x in zip(starts, xs, strict=True)])


def put(shape: Shape, parts: Sequence[tuple[Part, Any]]) -> Any:
    """Return an array with these parts, which do not overlap, and 0 elsewhere."""
    parts = [(part, x) for part, x in parts if size_of(part.shape)]
    if not any(isinstance(x, ArrayTracer) or hasattr(type(x), "__apply__") for _, x in parts):
        found = np.zeros(size_of(shape))
        for part, x in parts:
            found[list(part.places())] = np.ravel(x)
        return found.reshape(shape)
    values = [Numbers.of(x) if isinstance(x, np.ndarray) else x for _, x in parts]
    found = Tracer.__apply_structure__(Place(shape, [part for part, _ in parts]), values)
    if isinstance(found, ArrayTracer) and all(holds_conditions(x) for _, x in parts):
        base_of(found).holds_conditions = True
    return found


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Return arrays of one shape along a new axis."""
    xs = [operand(x) for x in arrays]
    if len({shape_of(x) for x in xs}) > 1:
        raise ValueError("all input arrays must have the same shape")
    own = shape_of(xs[0])
    (axis,) = axes_of(axis, len(own) + 1)
    return concatenate([reshaped_to(x, (*own[:axis], 1, *own[axis:])) for x in xs], axis)


def reshaped_to(x: Any, shape: Shape) -> Any:
    """Return a value, a number too, as an array of a shape."""
    if shape_of(x):
        return reshaped(x, shape)
    return broadcast(x, shape)


def broadcast(x: Any, shape: Shape) -> Any:
    """Return an array as one of a shape that it broadcasts to."""
    x = operand(x)
    if np.broadcast_shapes(shape_of(x), shape) != tuple(shape):
        raise ValueError(f"could not broadcast an array of shape {shape_of(x)} to {tuple(shape)}")
    if isinstance(x, np.ndarray):
        return np.broadcast_to(x, shape)
    if not isinstance(x, ArrayTracer):
        if type(x) is float:
            return np.broadcast_to(x, shape)
        x = Tracer.__apply_structure__(Place((1,), [Part(0, (), ())]), [x])
    found = spread(x, tuple(shape))
    return found.source.view(Part(found.start, tuple(shape), found.strides))


def expanded(x: Any, axis: Any) -> Any:
    """Return an array with new axes of length 1."""
    x = operand(x)
    count = len(shape_of(x)) + (len(axis) if isinstance(axis, tuple) else 1)
    axes, left = axes_of(axis, count), iter(shape_of(x))
    return reshaped_to(x, tuple([1 if k in axes else next(left) for k in range(count)]))


def squeezed(x: Any, axis: Any = None) -> Any:
    """Return an array without its axes of length 1, or some of them."""
    x = operand(x)
    shape = shape_of(x)
    axes = axes_of(axis, len(shape)) if axis is not None else [k for k, length in enumerate(shape) if length == 1]
    if any(shape[k] != 1 for k in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshaped(x, tuple([length for k, length in enumerate(shape) if k not in axes]))


def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """Return the differences of neighbours along an axis, `n` times."""
    x = operand(x)
    (axis,) = axes_of(axis, len(shape_of(x)))
    ahead = (slice(None),) * axis
    for _ in range(n):
        x = operand(x)
        x = elementwise(lambda a, b: a - b, _at(x, (*ahead, slice(1, None))), _at(x, (*ahead, slice(None, -1))))
    return x


def _at(x: Any, index: Any) -> Any:
    return item(x, index) if isinstance(x, ArrayTracer) else x[index]


def rolled(x: Any, shift: Any, axis: Any = None) -> Any:
    """Return an array whose numbers are moved along axes, round the end."""
    x = operand(x)
    if axis is None:
        return reshaped(rolled(reshaped(x, (size_of(x.shape),)), shift, 0), x.shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    shifts = shift if isinstance(shift, tuple) else (shift,) * len(axes)
    for k, by in zip(axes_of(axes, len(x.shape)), shifts, strict=True):
        x = operand(x)
        by = by % x.shape[k] if x.shape[k] else 0
        ahead = (slice(None),) * k
        if by:
            x = concatenate([_at(x, (*ahead, slice(-by, None))), _at(x, (*ahead, slice(None, -by)))], k)
    return x


def flipped(x: Any, axis: Any = None) -> Any:
    """Return an array in reverse order along axes."""
    x = operand(x)
    axes = axes_of(axis, len(x.shape))
    return item(x, tuple([slice(None, None, -1) if k in axes else slice(None) for k in range(len(x.shape))]))


def padded(x: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0.0) -> Any:
    """Return an array with as many numbers before and behind each axis: one constant, or "edge", "reflect", "wrap"."""
    x = operand(x)
    widths = np.broadcast_to(np.asarray(pad_width, int), (len(x.shape), 2)).tolist()
    if mode == "constant" and np.ndim(constant_values) == 0:
        shape = tuple([before + length + behind for length, (before, behind) in zip(x.shape, widths, strict=True)])
        strides = contiguous(shape)
        start = sum([before * stride for (before, _), stride in zip(widths, strides, strict=True)])
        if type(operand(constant_values)) is float and operand(constant_values) == 0.0:
            return put(shape, [(Part(start, x.shape, strides), x)])
        for axis, (before, behind) in enumerate(widths):
            ends = [
                broadcast(constant_values, (*x.shape[:axis], width, *x.shape[axis + 1 :])) for width in (before, behind)
            ]
            x = concatenate([ends[0], x, ends[1]], axis)
        return x
    for axis, (before, behind) in enumerate(widths):
        places = np.pad(np.arange(x.shape[axis]), (before, behind), mode)
        x = item(x, (*(slice(None),) * axis, places))
    return x


def repeated(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return an array with each number, or row along an axis, several times."""
    x = operand(x)
    if axis is None:
        x, axis = reshaped(x, (size_of(x.shape),)), 0
    (axis,) = axes_of(axis, len(x.shape))
    if np.ndim(repeats):
        return item(x, (*(slice(None),) * axis, np.repeat(np.arange(x.shape[axis]), repeats)))
    shape, count = x.shape, int(repeats)
    x = expanded(x, axis + 1)
    found = broadcast(x, (*shape[: axis + 1], count, *shape[axis + 1 :]))
    return reshaped(found, (*shape[:axis], shape[axis] * count, *shape[axis + 1 :]))


def tiled(x: Any, reps: Any) -> Any:
    """Return an array several times along each axis."""
    x = operand(x)
    counts = tuple(reps) if np.ndim(reps) else (int(reps),)
    dimensions = max(len(counts), len(x.shape))
    counts = (1,) * (dimensions - len(counts)) + counts
    shape = (1,) * (dimensions - len(x.shape)) + x.shape
    x = reshaped(x, tuple([length for own in shape for length in (1, own)]))
    wide = broadcast(x, tuple([length for pair in zip(counts, shape, strict=True) for length in pair]))
    return reshaped(wide, tuple([count * own for count, own in zip(counts, shape, strict=True)]))


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonal of matrices, as the last axis."""
    x = operand(x)
    first, second = axes_of((axis1, axis2), len(x.shape))
    order = [*[k for k in range(len(x.shape)) if k not in (first, second)], first, second]
    x = transposed(x, order)
    rows, columns = x.shape[-2:]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    own = contiguous(x.shape)
    start = max(offset, 0) * own[-1] + max(-offset, 0) * own[-2]
    if not length:
        return np.zeros((*x.shape[:-2], 0))
    return x.view(Part(start, (*x.shape[:-2], length), (*own[:-2], own[-2] + own[-1])))


def split(x: Any, sections: Any, axis: int = 0) -> list[Any]:
    """Return the parts of an array between places along an axis, or as many of equal length."""
    x = operand(x)
    (axis,) = axes_of(axis, len(x.shape))
    if np.ndim(sections):
        ends = [0, *map(int, sections), x.shape[axis]]
    elif x.shape[axis] % int(sections):
        raise ValueError("array split does not result in an equal division")
    else:
        ends = list(range(0, x.shape[axis] + 1, x.shape[axis] // int(sections)))
    return [item(x, (*(slice(None),) * axis, slice(a, b))) for a, b in itertools.pairwise(ends)]


def along(x: Any, source: Any, destination: Any) -> Any:
    """Return an array with axes moved, as ``np.moveaxis`` does."""
    x = operand(x)
    sources, targets = axes_of(source, len(x.shape)), axes_of(destination, len(x.shape))
    order = [k for k in range(len(x.shape)) if k not in sources]
    for target, k in sorted(zip(targets, sources, strict=True)):
        order.insert(target, k)
    return transposed(x, order)


def swapped(x: Any, axis1: int, axis2: int) -> Any:
    """Return an array with two axes in each other's place."""
    x = operand(x)
    order = list(range(len(x.shape)))
    first, second = axes_of((axis1, axis2), len(order)) if axis1 % len(order) != axis2 % len(order) else (0, 0)
    order[first], order[second] = order[second], order[first]
    return transposed(x, order)
