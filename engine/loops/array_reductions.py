"""Reduce whole arrays along axes: sums and products as maps, the greatest and running sums as scans."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..operations import table
from ..programs import (
    MAP,
    SCAN,
    ArrayTracer,
    Loop,
    Shape,
    Tracer,
    axes_in_order,
    folded,
    length,
    log_sum_exp,
    product_sum,
    shape_of,
    shown,
    size_of,
    stopped,
    whole,
)
from .nests import Seen, computed, elementwise, operand, program_of, seen

Axes = int | tuple[int, ...] | None


def axes_of(axis: Axes, dimensions: int) -> tuple[int, ...]:
    """Return the axes that an argument `axis` means, from 0 on."""
    if axis is None:
        return tuple(range(dimensions))
    found = []
    for k in axis if isinstance(axis, tuple) else (axis,):
        if not -dimensions <= k < dimensions:
            raise np.exceptions.AxisError(k, dimensions)
        found.append(int(k) % dimensions)
    if len(set(found)) < len(found):
        raise ValueError("duplicate value in 'axis'")
    return tuple(found)


def count_along(x: Any, axis: Axes) -> int:
    """Return how many numbers are reduced to one."""
    return size_of(tuple([x.shape[k] for k in axes_of(axis, len(x.shape))]))


def with_axes(found: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """Return a reduced array, with axes of length 1 in place of those that were reduced if these are kept."""
    if not keepdims:
        return found
    axes = axes_of(axis, len(x.shape))
    return reshaped(found, tuple([1 if k in axes else length for k, length in enumerate(x.shape)]))


def reshaped(x: Any, shape: Shape) -> Any:
    """Return a value as an array of another shape."""
    x = operand(x)
    if not isinstance(x, ArrayTracer):
        return operand(np.asarray(x, object).reshape(shape)) if shape else x
    return x.view(whole(shape))


def total(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return sums along axes."""
    x = operand(x)
    found = computed(lambda x: x, [seen(x)], x.shape, axes_of(axis, len(x.shape)))
    return with_axes(found, x, axis, keepdims)


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return means along axes."""
    count = float(count_along(x, axis))
    return _scaled(total(x, axis, keepdims), 1.0 / count if count else np.nan, count)


def _scaled(x: Any, factor: float, count: float) -> Any:
    return x / count if not isinstance(x, ArrayTracer) else elementwise(lambda x: x / count, x)


def variance(x: Any, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Return variances along axes."""
    apart = elementwise(lambda x, mean: x - mean, x, mean(x, axis, True))
    count = count_along(x, axis) - ddof
    found = total(elementwise(table.square, apart), axis, keepdims)
    return elementwise(lambda x: table.div(x, float(count)), found)


def deviation(x: Any, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Return standard deviations along axes."""
    return elementwise(table.sqrt, variance(x, axis, ddof, keepdims))


def lines(f: Callable[[Any], Any], x: Any, axis: Axes, keepdims: bool = False) -> Any:
    """Return a function of one-dimensional arrays for each line of an array along axes, which count as one.

    The function gets a traced array, or, of a few numbers, one that holds them; it returns a number.
    """
    found = by_line(f, operand(x), axes_of(axis, len(x.shape)))
    return with_axes(found, x, axis, keepdims)


def by_line(f: Callable[[Any], Any], x: Any, axes: Sequence[int]) -> Any:
    """The same with axes from 0 on; where the function returns a line, that is the last axis."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    x = x.view(axes_in_order(x.shape, [*kept, *axes]))
    return _over(f, x.view(whole((*x.shape[: len(kept)], size_of(x.shape[len(kept) :])))))


def _over(f: Callable[[Any], Any], x: Any) -> Any:
    if len(x.shape) == 1:
        return operand(f(shown(x)))
    if 0 in x.shape:
        return np.zeros(x.shape[:-1])
    body = program_of(getattr(f, "__name__", "f").strip("<>"), lambda xs: _over(f, xs[0]), [x.shape[1:]])
    (found,) = Tracer.__apply_loop__(Loop(MAP, body, x.shape[0], 0, 1, 0), [x])
    return found


def greatest(x: Any, axis: Axes = None, keepdims: bool = False, row: Any = table.maximum) -> Any:
    """Return the greatest numbers along axes; those that are equal share the derivative."""
    if not count_along(x, axis):
        raise ValueError(f"zero-size array to reduction operation {row.name} which has no identity")
    return lines(functools.partial(_greatest_of, row), x, axis, keepdims)


def _greatest_of(row: Any, xs: Any) -> Any:
    if not isinstance(xs, ArrayTracer):
        return getattr(np, row.name).reduce(xs)
    top = stopped(folded(row, xs))

    def share(x: Any, top: Any) -> Any:
        is_top = x == top
        # What is added is 0, so that -0.0 stays, and has the derivative that belongs to those equal to the greatest.
        return table.where(is_top, table.strong_sub(x, table.stop_gradient(x)), 0.0), is_top

    body = program_of("winners", lambda values: share(*values), [(), ()])
    moved, count = Tracer.__apply_loop__(Loop(MAP, body, xs.shape[0], 0, 1, 2), (xs, top))
    return -(-top - moved / count)


def product(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return products along axes."""
    return lines(_line_product, x, axis, keepdims)


def _line_product(xs: Any) -> Any:
    return functools.reduce(table.mul, xs.tolist()) if not isinstance(xs, ArrayTracer) else folded(table.mul, xs)


def norm(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the lengths of vectors along axes."""
    return lines(lambda xs: length(xs) if isinstance(xs, ArrayTracer) else table.norm(xs.tolist()), x, axis, keepdims)


def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the logarithms of sums of exponentials along axes."""
    return lines(
        lambda xs: log_sum_exp(xs) if isinstance(xs, ArrayTracer) else table.logsumexp(xs.tolist()), x, axis, keepdims
    )


def mapped_lines(f: Callable[[Any], Any], x: Any, axis: int) -> Any:
    """Return a function from a line of numbers to one of as many, along an axis."""
    x = operand(x)
    (axis,) = axes_of(axis, len(x.shape))
    found = by_line(lambda xs: f(xs if isinstance(xs, ArrayTracer) else xs.tolist()), x, [axis])
    return moved_axis(found, -1, axis)


def running(row: Any, x: Any, axis: int | None = None) -> Any:
    """Return running sums or products along an axis; without one of all numbers in order."""
    x = operand(x)
    if axis is None:
        x, axis = reshaped(x, (size_of(x.shape),)), 0
    (axis,) = axes_of(axis, len(x.shape))
    found = by_line(functools.partial(_running_line, row), x, [axis])
    return moved_axis(found, -1, axis)


def _running_line(row: Any, xs: Any) -> Any:
    if not isinstance(xs, ArrayTracer):
        found = list(xs.tolist()[:1])
        for x in xs.tolist()[1:]:
            found.append(row(found[-1], x))
        return np.array(found, object)

    def step(values: Sequence[Any]) -> tuple[Any, Any]:
        found = row(*values)
        return found, found

    start = 1.0 if row is table.mul else 0.0
    body = program_of("running", step, [(), ()])
    return Tracer.__apply_loop__(Loop(SCAN, body, xs.shape[0], 1, 1, 0), (start, xs))[1]


def moved_axis(x: Any, source: int, target: int) -> Any:
    """Return an array with one axis at another place."""
    order = list(range(len(x.shape)))
    order.insert(target % len(order), order.pop(source))
    return transposed(x, order)


def transposed(x: Any, order: Sequence[int] | None = None) -> Any:
    """Return an array with its axes in another order; without one in reverse."""
    x = operand(x)
    dimensions = len(x.shape)
    order = range(dimensions)[::-1] if order is None else axes_of(tuple(order), dimensions)
    if len(order) != dimensions:
        raise ValueError("axes don't match array")
    if isinstance(x, np.ndarray):
        return x.transpose(*order)
    return x.view(axes_in_order(x.shape, order))


def contracted(letters: Sequence[str], result: str, xs: Sequence[Any]) -> Any:
    """Return the sums of products that an `einsum` of these letters means, one string of letters for each array."""
    lengths: dict[str, int] = {}
    operands = [operand(x) for x in xs]
    for own, x in zip(letters, operands, strict=True):
        if len(own) != len(shape_of(x)):
            raise ValueError(f"einsum expected {len(own)} dimensions for {own!r} but got shape {shape_of(x)}")
        for letter, count in zip(own, shape_of(x), strict=True):
            if lengths.setdefault(letter, count) != count:
                raise ValueError(f"axes of different lengths: {lengths[letter]} and {count}")
    axes = [*result, *[letter for letter in lengths if letter not in result]]
    views = []
    for own, x in zip(letters, operands, strict=True):
        found = seen(x)
        strides = [0] * len(axes)
        for letter, stride in zip(own, found.strides, strict=True):
            strides[axes.index(letter)] += stride
        views.append(Seen(found.source, found.start, tuple(strides)))
    shape = tuple([lengths[letter] for letter in axes])
    return computed(multiplied, views, shape, range(len(result), len(axes)))


def multiplied(*xs: Any) -> Any:
    return functools.reduce(table.mul, xs)


def matrix_product(a: Any, b: Any) -> Any:
    """Return ``a @ b``."""
    a, b = operand(a), operand(b)
    if not shape_of(a) or not shape_of(b):
        raise ValueError("matmul: Input operand does not have enough dimensions")
    first, second = _letters(a, "ik"), _letters(b, "kj")
    if shape_of(a)[-1] != shape_of(b)[-min(2, len(shape_of(b)))]:
        raise ValueError(f"matmul: shapes {shape_of(a)} and {shape_of(b)} not aligned")
    ahead = np.broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2])
    outer = "abcdefgh"[: len(ahead)]
    pairs = []
    for x, own in ((a, first), (b, second)):
        count = len(shape_of(x)) - len(own)
        names = [
            (letter, k)
            for k, letter in enumerate(outer[len(outer) - count :])
            if shape_of(x)[k] == ahead[len(ahead) - count + k]
        ]
        left = [k for _, k in names] + list(range(count, len(shape_of(x))))
        x = x if len(left) == len(shape_of(x)) else reshaped(x, tuple([shape_of(x)[k] for k in left]))
        pairs.append(("".join([letter for letter, _ in names]) + own, x))
    result = outer + first.replace("k", "") + second.replace("k", "")
    return contracted([own for own, _ in pairs], result, [x for _, x in pairs])


def _letters(x: Any, two: str) -> str:
    return "k" if len(shape_of(x)) == 1 else two


def dot(a: Any, b: Any) -> Any:
    """Return the dot product of arrays, as ``np.dot`` does."""
    a, b = operand(a), operand(b)
    if not shape_of(a) or not shape_of(b):
        return elementwise(table.mul, a, b)
    first = "abcdefgh"[: len(shape_of(a)) - 1]
    second = "pqrstuvw"[: len(shape_of(b)) - 1]
    own = second if len(shape_of(b)) == 1 else second[:-1]
    right = f"{own}k{second[-1:]}" if len(shape_of(b)) > 1 else "k"
    if shape_of(a)[-1] != shape_of(b)[-min(2, len(shape_of(b)))]:
        raise ValueError(f"shapes {shape_of(a)} and {shape_of(b)} not aligned")
    if not first + second and any(isinstance(x, ArrayTracer) for x in (a, b)):
        return product_sum(*[x if isinstance(x, ArrayTracer) else x.tolist() for x in (a, b)])
    return contracted([f"{first}k", right], first + second, [a, b])
