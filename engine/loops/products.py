"""Products of whole arrays that NumPy has functions for, beside `dot` and `matmul`: each is one step or a few."""

from __future__ import annotations

import functools
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TraceError
from ..graph import user_line
from ..operations import nan_to_num as number_rule
from ..operations import numpy_sinc, table
from ..programs import ArrayTracer, Part, Shape, contiguous, shape_of, size_of
from . import array_reductions as reductions
from . import rearranging as rearranged
from .indexing import item
from .nests import Seen, computed, elementwise, operand, seen


def einsum(subscripts: Any, *arrays: Any, optimize: Any = False) -> Any:
    """Return sums of products as ``np.einsum`` does; subscripts may be lists of numbers, each behind its array."""
    if not isinstance(subscripts, str):
        subscripts, given_arrays = _as_text([subscripts, *arrays])
        arrays = tuple(given_arrays)
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    letters, xs = given.split(","), [operand(x) for x in arrays]
    if not arrow:
        named = sorted(letter for letter in set(given) - {",", "."} if given.count(letter) == 1)
        result = ("..." if "..." in given else "") + "".join(named)
    if "..." in given:
        letters, result, xs = _without_dots(letters, result, xs)
    return reductions.contracted(letters, result, xs)


def _as_text(given: Sequence[Any]) -> tuple[str, list[Any]]:
    def text(places: Any) -> str:
        return "".join(["..." if place is Ellipsis else string.ascii_letters[place] for place in places])

    arrays, places = given[: len(given) // 2 * 2 : 2], given[1::2]
    arrow = f"->{text(given[-1])}" if len(given) % 2 else ""
    return ",".join(map(text, places)) + arrow, list(arrays)


def _without_dots(letters: Sequence[str], result: str, xs: Sequence[Any]) -> tuple[list[str], str, list[Any]]:
    """Give the axes that "..." stands for letters; what broadcasts along one does not have it."""
    free = [letter for letter in string.ascii_uppercase if letter not in "".join([*letters, result])]
    counts = [len(shape_of(x)) - len(own.replace("...", "")) for own, x in zip(letters, xs, strict=True)]
    names = free[: max([count for count, own in zip(counts, letters, strict=True) if "..." in own])]
    ahead = [
        shape_of(x)[(place := own.index("...")) : place + count] if "..." in own else ()
        for own, x, count in zip(letters, xs, counts, strict=True)
    ]
    lengths = np.broadcast_shapes(*ahead)
    found, arrays = [], []
    for own, x, shape in zip(letters, xs, ahead, strict=True):
        first = own.index("...") if "..." in own else 0
        dots, index = "", list[Any]([slice(None)] * len(shape_of(x)))
        for k, (name, length) in enumerate(zip(names[len(names) - len(shape) :], shape, strict=True)):
            if length == lengths[len(lengths) - len(shape) + k]:
                dots += name
            else:
                index[first + k] = 0
        found.append(own.replace("...", dots))
        arrays.append(_at(x, tuple(index)) if 0 in index else x)
    return found, result.replace("...", "".join(names)), arrays


def _at(x: Any, index: Any) -> Any:
    return item(x, index) if isinstance(x, ArrayTracer) else x[index]


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Return ``np.convolve``: for each shift of a short line along a longer one the sum of products."""
    a, v = operand(a), operand(v)
    if len(shape_of(a)) > 1 or len(shape_of(v)) > 1:
        raise ValueError("object too deep for desired array")
    a, v = [x if shape_of(x) else rearranged.broadcast(x, (1,)) for x in (a, v)]
    if shape_of(v)[0] > shape_of(a)[0]:
        a, v = v, a
    if not shape_of(v)[0]:
        raise ValueError("a cannot be empty" if not shape_of(a)[0] else "v cannot be empty")
    return _slid(a, rearranged.flipped(v) if isinstance(v, ArrayTracer) else v[::-1], mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Return ``np.correlate``, which reads the second line forwards."""
    a, v = operand(a), operand(v)
    if shape_of(v)[0] > shape_of(a)[0]:
        found = _slid(v, a, mode)
        return rearranged.flipped(found)
    return _slid(a, v, mode)


def _slid(a: Any, v: Any, mode: str) -> Any:
    """Return sums of products of a line with parts of a longer one, one number further each time."""
    n, m = shape_of(a)[0], shape_of(v)[0]
    before, behind = {"valid": (0, 0), "same": (m // 2, (m - 1) // 2), "full": (m - 1, m - 1)}[mode]
    count = n + before + behind - m + 1

    def windows(line: Any) -> Seen:
        found = seen(line)
        return Seen(found.source, found.start, (found.strides[0], found.strides[0]))

    weights = seen(v)
    weights = Seen(weights.source, weights.start, (0, *weights.strides))
    if not before + behind:
        return computed(reductions.multiplied, [windows(a), weights], (count, m), (1,))
    line = rearranged.put((n + before + behind,), [(Part(before, (n,), (1,)), a)])
    there = np.zeros(n + before + behind)
    there[before : before + n] = 1.0

    def product(x: Any, weight: Any, is_there: Any) -> Any:
        return table.where(is_there, x * weight, 0.0)  # beyond the ends nothing is added, whatever the weight is

    return computed(product, [windows(line), weights, windows(there)], (count, m), (1,))


def kron(a: Any, b: Any) -> Any:
    """Return the Kronecker product."""
    a, b = operand(a), operand(b)
    count = max(len(shape_of(a)), len(shape_of(b)))
    first, second = [(1,) * (count - len(shape_of(x))) + shape_of(x) for x in (a, b)]
    wide = [
        rearranged.reshaped_to(x, tuple([length for k in shape for length in ((k, 1) if x is a else (1, k))]))
        for x, shape in ((a, first), (b, second))
    ]
    found = elementwise(table.mul, *wide)
    return reductions.reshaped(found, tuple([j * k for j, k in zip(first, second, strict=True)]))


def matrix_power(a: Any, n: int) -> Any:
    """Return a power of square matrices, by squaring."""
    a = operand(a)
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    if n < 0:
        raise TraceError(
            f"numpy.linalg.matrix_power to {n} needs an inverse, which a trace does not have, at {user_line()}; take "
            "the power of the inverse that was found outside, or solve by steps of your own"
        )
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1]), a.shape).copy()
    found, square = None, a
    while n:
        if n % 2:
            found = square if found is None else reductions.matrix_product(found, square)
        n //= 2
        square = reductions.matrix_product(square, square) if n else square
    return found


def multi_dot(arrays: Sequence[Any]) -> Any:
    """Return the product of several matrices, the first and the last of which may be vectors."""
    xs = [operand(x) for x in arrays]
    if len(shape_of(xs[-1])) == 1:
        return functools.reduce(lambda right, left: reductions.dot(left, right), xs[::-1])
    return functools.reduce(reductions.dot, xs)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Return the cross products of vectors of three numbers."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = rearranged.along(a, axisa, -1), rearranged.along(b, axisb, -1)
    if shape_of(a)[-1] != 3 or shape_of(b)[-1] != 3:
        raise ValueError("cross of traced arrays takes vectors of 3 numbers; add a 0 to those of 2")
    (a0, a1, a2), (b0, b1, b2) = [[_at(x, (..., k)) for k in range(3)] for x in (a, b)]

    def minor(p: Any, q: Any, r: Any, s: Any) -> Any:
        return p * q - r * s

    parts = [
        elementwise(minor, a1, b2, a2, b1),
        elementwise(minor, a2, b0, a0, b2),
        elementwise(minor, a0, b1, a1, b0),
    ]
    found = rearranged.stack(parts, len(shape_of(parts[0])))
    return rearranged.along(found, -1, axisc) if len(shape_of(found)) > 1 else found


def triangle(x: Any, k: int, is_lower: bool) -> Any:
    """Return matrices with 0 above a diagonal, or below it."""
    x = operand(x)
    mask = np.tri(x.shape[-2], x.shape[-1], k if is_lower else k - 1) == (1.0 if is_lower else 0.0)
    return elementwise(table.where, mask, x, 0.0)


def diag(x: Any, k: int = 0) -> Any:
    """Return the diagonal of a matrix, or the matrix with a diagonal."""
    x = operand(x)
    if len(x.shape) != 1:
        return rearranged.diagonal(x, k)
    size = x.shape[0] + abs(k)
    shape: Shape = (size, size)
    start = k if k > 0 else -k * size
    return rearranged.put(shape, [(Part(start, x.shape, (sum(contiguous(shape)),)), x)])


def polyval(p: Any, x: Any) -> Any:
    """Return the values of a polynomial, by Horner's rule."""
    p, x = operand(p), operand(x)
    found: Any = elementwise(lambda x: table.mul(x, 0.0), x) if not shape_of(p)[0] else None
    for k in range(shape_of(p)[0]):
        own = _at(p, k)
        found = own if found is None else elementwise(lambda y, x, c: y * x + c, found, x, own)
    return found if shape_of(p)[0] > 1 else rearranged.broadcast(found, shape_of(x))


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Return integrals by the trapezoidal rule."""
    y = operand(y)
    (axis,) = reductions.axes_of(axis, len(shape_of(y)))
    if x is None:
        step = operand(dx)
    else:
        step = rearranged.diff(x)
        if len(shape_of(step)) == 1:
            step = rearranged.reshaped_to(step, _lengths(y, axis))
    ahead = (slice(None),) * axis
    ends = [_at(y, (*ahead, own)) for own in (slice(1, None), slice(None, -1))]
    return reductions.total(elementwise(lambda d, a, b: d * (a + b) / 2.0, step, *ends), axis)


def _lengths(y: Any, axis: int) -> Shape:
    return tuple([length - 1 if k == axis else 1 for k, length in enumerate(shape_of(y))])


def nan_sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return sums of what is no nan."""
    return reductions.total(elementwise(lambda x: table.where(x == x, x, 0.0), x), axis, keepdims)


def nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Return numbers in place of nan and infinities."""
    return elementwise(number_rule(nan, posinf, neginf), x)


def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), as ``np.sinc`` does."""
    return elementwise(numpy_sinc, x)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Return an array with others behind it."""
    arr, values = operand(arr), operand(values)
    if axis is None:
        arr, values = [rearranged.reshaped_to(x, (size_of(shape_of(x)),)) for x in (arr, values)]
    return rearranged.concatenate([arr, values], 0 if axis is None else axis)


def select(condlist: Any, choicelist: Any, default: Any = 0.0) -> Any:
    """Return of several arrays the numbers where the first of several conditions holds."""
    found = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = elementwise(table.where, condition, choice, found)
    return found
