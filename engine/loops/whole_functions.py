"""NumPy's functions that are not ufuncs, for whole traced arrays: sums along axes, products, parts put together.

What can't be done whole is done with the array's numbers, by the code that serves arrays of numbers (see
operations/arrays.py): the results are the same.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..data import array_of
from ..errors import TraceError
from ..graph import user_line
from ..operations import table
from ..programs import ArrayTracer, Shape, Tracer, shape_of, size_of
from . import array_reductions as reductions
from . import products
from . import rearranging as rearranged
from .aliases import VIEWS, of_its_own, views, with_views
from .indexing import taken
from .nests import conditions, elementwise, operand, shown
from .writers import WRITERS, assigned, is_target, without_out

Function = Callable[..., Any]


def by_number(x: Any, given: list[tuple[ArrayTracer, Any]] | None = None) -> Any:
    """Return what holds whole arrays with these as arrays of numbers, and note which is which."""
    if isinstance(x, ArrayTracer):
        items = array_of(x.__whole__().numbers(), x.shape)
        if given is not None:
            given.append((x, items))
        return items
    if type(x) in (list, tuple):
        return type(x)([by_number(own, given) for own in x])
    if type(x) is dict:
        return {key: by_number(own, given) for key, own in x.items()}
    return x


def apart(x: Any, count: int) -> Any:
    """Return an array with axes of length 1 behind its own."""
    return rearranged.reshaped_to(x, (*shape_of(x), *(1,) * count)) if shape_of(x) else x


def shown_each(found: Any) -> Any:
    """Return results as traced code gets them."""
    if type(found) in (tuple, list):
        return type(found)(map(shown, found))
    return shown(found)


# ---- functions of NumPy's that are no ufuncs ----


def call_whole_function(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out a function of NumPy's on whole arrays: whole where that is known, else on their numbers."""
    writer = WRITERS.get(function)
    if writer is not None and (function is np.copyto or is_target(args[0] if args else next(iter(kwargs.values())))):
        return writer(*args, **kwargs)
    out, args, kwargs = without_out(function, args, kwargs)
    if out is not None:
        return assigned(out, call_whole_function(function, args, kwargs))
    found = _views(function, args, kwargs)
    if found is not None:
        return found
    own = FUNCTIONS.get(function)
    if own is not None:
        since = Tracer("").birth
        given = {key: option for key, option in kwargs.items() if not _says_nothing(key, option)}
        try:
            bound = inspect.signature(own).bind(*args, **given)
        except TypeError:
            bound = None  # an option that is for numbers
        if bound is not None:
            return shown_each(of_its_own(own(*bound.args, **bound.kwargs), since))
    return _on_numbers(function, args, kwargs)


def _views(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return the views that a function gives of the one array among its arguments; None where it gives none."""
    which = 1 if function is np.einsum and len(args) == 2 else 0
    x = args[which] if args and (which or function in VIEWS) else None
    x = getattr(x, "slice_of", None) if which and not isinstance(x, ArrayTracer) else x
    if not isinstance(x, ArrayTracer):
        return None
    return views(lambda x: function(*args[:which], x, *args[which + 1 :], **kwargs), x)


def _on_numbers(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out a function on arrays of numbers, which it may not write to; views of these are views."""
    given: list[tuple[ArrayTracer, Any]] = []
    numbers = by_number(tuple(args), given), by_number(dict(kwargs), given)
    for _, items in given:
        items.flags.writeable = False
    try:
        found = function(*numbers[0], **numbers[1])
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise TraceError(
            f"numpy.{getattr(function, '__name__', function)} writes to a traced array at {user_line()}, which traces "
            "can't follow; write to it by index, as x[...] = values"
        ) from error
    return with_views(found, given)


def _says_nothing(key: str, option: Any) -> bool:
    return (
        option is np._NoValue
        or (key in ("out", "dtype", "initial", "mean", "like") and option is None)
        or (key == "dtype" and option in (float, object))
        or (key == "where" and option is True)
    )


def reshape(x: Any, *shape: Any, order: str = "C") -> Any:
    """Return an array of another shape, of which one length may be -1; order "F" counts the first axis fastest."""
    wanted = tuple(shape[0]) if len(shape) == 1 and np.ndim(shape[0]) else tuple(shape)
    if order != "C":
        return reductions.transposed(reshape(reductions.transposed(x), *wanted[::-1]))
    return reductions.reshaped(x, _filled(wanted, size_of(shape_of(operand(x)))))


def _filled(wanted: Sequence[Any], size: int) -> Shape:
    """Return a shape with the length in place of -1 that gives so many numbers."""
    lengths = list(map(operator.index, wanted))
    if lengths.count(-1) == 1:
        others = size_of(tuple([length for length in lengths if length != -1]))
        lengths[lengths.index(-1)] = size // others if others else 0
    if size_of(tuple(lengths)) != size or min(lengths, default=0) < 0:
        raise ValueError(f"cannot reshape array of size {size} into shape {tuple(wanted)}")
    return tuple(lengths)


def _where(condition: Any, x: Any, y: Any) -> Any:
    return elementwise(table.where, condition, x, y)


def _clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = a_min if min is None else min, a_max if max is None else max
    if low is None or high is None:
        bound = low if high is None else high
        return x if bound is None else elementwise(table.maximum if high is None else table.minimum, x, bound)
    return elementwise(table.clip, x, low, high)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = operand(x)
    axes = reductions.axes_of(axis, len(x.shape))
    if ord is None or (ord in (2, "fro") and len(axes) == (1 if ord == 2 else 2)):
        return reductions.norm(x, axis, keepdims)
    if len(axes) == 1 and ord in (1, np.inf, -np.inf):
        sizes = elementwise(table.abs, x)
        if ord == 1:
            return reductions.total(sizes, axis, keepdims)
        return reductions.greatest(sizes, axis, keepdims, table.maximum if ord > 0 else table.minimum)
    return np.linalg.norm(by_number(x), ord, axis, keepdims)


def _average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return reductions.mean(a, axis)
    if shape_of(operand(weights)) != shape_of(operand(a)):
        return np.average(by_number(a), axis, by_number(weights))
    product = reductions.total(elementwise(table.mul, a, weights), axis)
    return elementwise(table.div, product, reductions.total(weights, axis))


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = operand(a), operand(b)
    first, second = (
        (list(range(len(a.shape) - axes, len(a.shape))), list(range(axes)))
        if isinstance(axes, int)
        else [list(np.atleast_1d(own)) for own in axes]
    )
    letters = list("abcdefghijkl"[: len(a.shape)])
    others = list("mnopqrstuvwx"[: len(b.shape)])
    for j, k in zip(first, second, strict=True):
        others[k % len(others)] = letters[j % len(letters)]
    joint = set(letters) & set(others)
    result = "".join([letter for letter in (*letters, *others) if letter not in joint])
    return reductions.contracted(["".join(letters), "".join(others)], result, [a, b])


def _like(value: Any) -> Function:
    def made(x: Any, *filled: Any, shape: Any = None) -> Any:
        # What is made to be written to holds traced numbers, too.
        return np.full(x.shape if shape is None else shape, filled[0] if filled else value, object)

    return made


def flat(x: Any, order: str = "C") -> Any:
    """Return an array of one dimension."""
    return reshape(x, -1, order=order)


def _vdot(a: Any, b: Any) -> Any:
    return reductions.dot(flat(a), flat(b))


def _inner(a: Any, b: Any) -> Any:
    return reductions.dot(a, along_last(operand(b)))


def along_last(x: Any) -> Any:
    """Return an array whose last axis comes last but one, as `dot` takes it."""
    return rearranged.swapped(x, -1, -2) if len(shape_of(x)) > 1 else x


def _outer(a: Any, b: Any) -> Any:
    return elementwise(table.mul, apart(flat(a), 1), flat(b))


def _trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return reductions.total(rearranged.diagonal(x, offset, axis1, axis2), -1)


def _least(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return reductions.greatest(x, axis, keepdims, table.minimum)


def _greatest(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return reductions.greatest(x, axis, keepdims)


def _columns(arrays: Sequence[Any], axis: int) -> Any:
    xs = [operand(x) for x in arrays]
    least = 2 if axis == 0 else 1
    wide = [
        x if len(shape_of(x)) >= least else rearranged.reshaped_to(x, (1,) * (least - len(shape_of(x))) + shape_of(x))
        for x in xs
    ]
    return rearranged.concatenate(wide, 0 if all(len(shape_of(x)) == 1 for x in wide) else axis)


def _column_stack(tup: Sequence[Any]) -> Any:
    xs = [operand(x) for x in tup]
    return rearranged.concatenate([apart(x, 1) if len(shape_of(x)) == 1 else x for x in xs], 1)


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    a = operand(a)
    (axis,) = reductions.axes_of(axis, len(shape_of(a)))
    xs = [operand(x) for x in (prepend, a, append) if x is not np._NoValue]
    one = tuple([1 if k == axis else length for k, length in enumerate(shape_of(a))])
    parts = [x if shape_of(x) else rearranged.broadcast(x, one) for x in xs]
    return rearranged.diff(rearranged.concatenate(parts, axis) if len(parts) > 1 else a, n, axis)


def _any(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return whether any number is not 0, as a condition."""
    count = reductions.total(elementwise(lambda x: table.not_equal(x, 0.0), a), axis, keepdims)
    return conditions(lambda x: table.less(0.0, x), count)


def _all(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return whether no number is 0, as a condition."""
    count = reductions.total(elementwise(lambda x: table.equal(x, 0.0), a), axis, keepdims)
    return conditions(lambda x: table.equal(x, 0.0), count)


def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    found = products.nan_to_num(x, nan, posinf, neginf)
    return found if copy else assigned(x, found)


FUNCTIONS: dict[Any, Function] = {
    np.count_nonzero: lambda a, axis=None, *, keepdims=False: reductions.total(
        elementwise(lambda x: table.where(table.not_equal(x, 0.0), 1.0, 0.0), a), axis, keepdims
    ),
    np.any: _any,
    np.all: _all,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: len(a.shape),
    np.size: lambda a, axis=None: reductions.count_along(a, axis),
    np.sum: lambda a, axis=None, *, keepdims=False: reductions.total(a, axis, keepdims),
    np.mean: lambda a, axis=None, *, keepdims=False: reductions.mean(a, axis, keepdims),
    np.prod: lambda a, axis=None, *, keepdims=False: reductions.product(a, axis, keepdims),
    np.max: lambda a, axis=None, *, keepdims=False: _greatest(a, axis, keepdims),
    np.min: lambda a, axis=None, *, keepdims=False: _least(a, axis, keepdims),
    np.amax: lambda a, axis=None, *, keepdims=False: _greatest(a, axis, keepdims),
    np.amin: lambda a, axis=None, *, keepdims=False: _least(a, axis, keepdims),
    np.ptp: lambda a, axis=None, *, keepdims=False: elementwise(
        lambda a, b: a - b, _greatest(a, axis, keepdims), _least(a, axis, keepdims)
    ),
    np.var: lambda a, axis=None, *, ddof=0, keepdims=False: reductions.variance(a, axis, ddof, keepdims),
    np.std: lambda a, axis=None, *, ddof=0, keepdims=False: reductions.deviation(a, axis, ddof, keepdims),
    np.average: _average,
    np.cumsum: lambda a, axis=None: reductions.running(table.add, a, axis),
    np.cumprod: lambda a, axis=None: reductions.running(table.mul, a, axis),
    np.linalg.norm: _norm,
    np.dot: reductions.dot,
    np.vdot: _vdot,
    np.inner: _inner,
    np.outer: _outer,
    np.einsum: products.einsum,
    np.convolve: products.convolve,
    np.correlate: products.correlate,
    np.kron: products.kron,
    np.cross: products.cross,
    np.linalg.cross: lambda x1, x2, axis=-1: products.cross(x1, x2, axis=axis),
    np.linalg.matrix_power: products.matrix_power,
    np.linalg.multi_dot: products.multi_dot,
    np.tril: lambda m, k=0: products.triangle(m, k, True),
    np.triu: lambda m, k=0: products.triangle(m, k, False),
    np.diag: products.diag,
    np.diagflat: lambda v, k=0: products.diag(flat(v), k),
    np.polyval: products.polyval,
    np.trapezoid: products.trapezoid,
    np.nansum: lambda a, axis=None, *, keepdims=False: products.nan_sum(a, axis, keepdims),
    np.nan_to_num: _nan_to_num,
    np.sinc: products.sinc,
    np.append: products.append,
    np.select: products.select,
    np.tensordot: _tensordot,
    np.trace: _trace,
    np.diagonal: rearranged.diagonal,
    np.where: _where,
    np.clip: _clip,
    np.reshape: lambda a, shape, order="C": reshape(a, shape, order=order),
    np.ravel: flat,
    np.transpose: lambda a, axes=None: reductions.transposed(a, axes),
    np.swapaxes: rearranged.swapped,
    np.moveaxis: rearranged.along,
    np.expand_dims: rearranged.expanded,
    np.squeeze: rearranged.squeezed,
    np.broadcast_to: lambda array, shape: rearranged.broadcast(array, tuple(np.atleast_1d(shape).tolist())),
    np.concatenate: lambda arrays, axis=0: rearranged.concatenate(arrays, axis),
    np.stack: lambda arrays, axis=0: rearranged.stack(arrays, axis),
    np.hstack: lambda tup: _columns(tup, 1),
    np.vstack: lambda tup: _columns(tup, 0),
    np.column_stack: _column_stack,
    np.split: lambda ary, indices_or_sections, axis=0: rearranged.split(ary, indices_or_sections, axis),
    np.diff: _diff,
    np.ediff1d: lambda ary: rearranged.diff(flat(ary)),
    np.roll: lambda a, shift, axis=None: rearranged.rolled(a, shift, axis),
    np.flip: lambda m, axis=None: rearranged.flipped(m, axis),
    np.pad: rearranged.padded,
    np.repeat: rearranged.repeated,
    np.tile: lambda A, reps: rearranged.tiled(A, reps),
    np.take: lambda a, indices, axis=None: taken(operand(a), indices, axis),
    np.copy: lambda a, order="K", subok=False: operand(a),
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
    np.empty_like: _like(0.0),
    np.full_like: _like(0.0),
}
