"""Answer for whole traced arrays what NumPy, Python's operators and chainrule's functions ask of an array.

What can't be done whole is done with the array's numbers, by the code that serves arrays of numbers (see
operations/arrays.py): the results are the same.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..data import array_of
from ..graph import user_line
from ..operations import call_ufunc, method_named, rule_of, table
from ..programs import ArrayTracer, Shape, shape_of, shown, size_of
from . import array_reductions as reductions
from . import rearranging as rearranged
from .indexing import item, taken
from .nests import conditions, elementwise, holds_conditions, operand

Function = Callable[..., Any]


def in_numbers(x: Any) -> Any:
    """Return what holds whole arrays with these as arrays of numbers."""
    if isinstance(x, ArrayTracer):
        return array_of(x.numbers(), x.shape)
    if type(x) in (list, tuple):
        return type(x)(map(in_numbers, x))
    if type(x) is dict:
        return {key: in_numbers(own) for key, own in x.items()}
    return x


def _refuse_out(options: dict[str, Any]) -> None:
    if any(isinstance(own, ArrayTracer) for own in options.get("out") or ()):
        refuse_writing()


def refuse_writing(*_: Any) -> Any:
    """Raise: a traced array is a value, not memory."""
    raise TypeError(
        f"a traced array can't be written to, as was asked for at {user_line()}; make a new one by "
        "numpy.where(mask, new, x), numpy.concatenate, or z = numpy.zeros(x.shape, object), which holds traced numbers"
    )


# ---- ufuncs ----

_REDUCE: dict[str, Function] = {
    "add": reductions.total,
    "multiply": reductions.product,
    "maximum": reductions.greatest,
    "minimum": functools.partial(reductions.greatest, row=table.minimum),
}
_ACCUMULATE = {"add": table.add, "multiply": table.mul}
_PRODUCTS: dict[str, Function] = {"matmul": reductions.matrix_product}


def call_whole_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Carry out a ufunc or its method on whole arrays."""
    _refuse_out(options)
    name = ufunc.__name__
    left = {key: own for key, own in options.items() if key not in ("dtype", "keepdims", "axis") and own is not None}
    if options.get("dtype") in (None, float, object, bool) and not left:
        own = _ufunc_on(name, ufunc, method, options)
        if own is not None:
            return shown_each(own(*inputs))
    given, kept = in_numbers(tuple(inputs)), in_numbers(dict(options))
    return call_ufunc(ufunc, method, given, kept)


def _ufunc_on(name: str, ufunc: np.ufunc, method: str, options: dict[str, Any]) -> Function | None:
    axis = options.get("axis", 0)
    if method == "reduce" and name in _REDUCE:
        return lambda x: _REDUCE[name](x, axis, bool(options.get("keepdims", False)))
    if method == "accumulate" and name in _ACCUMULATE:
        return lambda x: reductions.running(_ACCUMULATE[name], x, axis)
    if method not in ("__call__", "outer") or options.keys() - {"dtype"}:
        return None
    own = _PRODUCTS.get(name) or _by_number(name, ufunc)
    if own is None or method == "__call__":
        return own
    return lambda a, b: own(apart(operand(a), len(shape_of(operand(b)))), b)


def apart(x: Any, count: int) -> Any:
    """Return an array with axes of length 1 behind its own."""
    return rearranged.reshaped_to(x, (*shape_of(x), *(1,) * count)) if shape_of(x) else x


def _by_number(name: str, ufunc: np.ufunc) -> Function | None:
    if name in _LOGIC:
        return lambda *xs: _logic(name, *xs)
    rule, predicate = rule_of(ufunc)
    if rule is None:
        return None
    if predicate:
        return lambda *xs: conditions(rule, *xs)
    if ufunc.nout > 1:
        return lambda *xs: tuple([elementwise(_nth(rule, k), *xs) for k in range(ufunc.nout)])
    return lambda *xs: elementwise(rule, *xs)


def _nth(rule: Function, k: int) -> Function:
    def own(*xs: Any) -> Any:
        return rule(*xs)[k]

    own.__name__ = getattr(rule, "__name__", "rule")
    return own


_LOGIC: dict[str, Function] = {
    "bitwise_and": lambda a, b: table.where(a, b, 0.0),
    "bitwise_or": lambda a, b: table.where(a, 1.0, b),
    "bitwise_xor": lambda a, b: table.not_equal(a, b),
    "invert": lambda a: table.equal(a, 0.0),
}


def _logic(name: str, *xs: Any) -> Any:
    if not all(holds_conditions(x) or holds_conditions(np.asarray(x)) for x in map(_plain, xs)):
        raise TypeError(f"{name} takes comparisons of traced arrays only")
    return conditions(_LOGIC[name], *xs)


def _plain(x: Any) -> Any:
    """Return an array of conditions on single numbers, which is one of objects, as one of truth values if it is that."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "O":
        return True if all(getattr(k, "op", None) is not None and k.op.compares for k in x.flat) else x
    return x


def shown_each(found: Any) -> Any:
    """Return results as traced code gets them."""
    if type(found) in (tuple, list):
        return type(found)(map(shown, found))
    return shown(found)


# ---- functions of NumPy's that are no ufuncs ----


def call_whole_function(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out a function of NumPy's on whole arrays: whole where that is known, else on their numbers."""
    own = FUNCTIONS.get(function)
    if own is not None:
        given = {key: option for key, option in kwargs.items() if not _says_nothing(key, option)}
        try:
            bound = inspect.signature(own).bind(*args, **given)
        except TypeError:
            bound = None  # an option that is for numbers
        if bound is not None:
            return shown_each(own(*bound.args, **bound.kwargs))
    return function(*in_numbers(tuple(args)), **in_numbers(dict(kwargs)))


def _says_nothing(key: str, option: Any) -> bool:
    return (
        option is np._NoValue
        or (key in ("out", "dtype", "initial", "mean", "like") and option is None)
        or (key == "dtype" and option in (float, object))
        or (key == "where" and option is True)
    )


def _reshape(x: Any, *shape: Any, order: str = "C") -> Any:
    wanted = tuple(shape[0]) if len(shape) == 1 and np.ndim(shape[0]) else tuple(shape)
    if order != "C":
        return reductions.transposed(
            _reshape(reductions.transposed(x), *wanted[::-1])
        )
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


def _clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    low, high = a_min if min is None else min, a_max if max is None else max
    if low is None or high is None:
        bound = low if high is None else high
        return x if bound is None else elementwise(table.maximum if high is None else table.minimum, x, bound)
    return elementwise(table.clip, x, low, high)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    x = operand(x)
    axes = reductions.axes_of(axis, len(x.shape))
    if ord is None or (ord in (2, "fro") and len(axes) == (1 if ord == 2 else 2)):
        return reductions.norm(x, axis, keepdims)
    if len(axes) == 1 and ord in (1, np.inf, -np.inf):
        sizes = elementwise(table.abs, x)
        if ord == 1:
            return reductions.total(sizes, axis, keepdims)
        return reductions.greatest(sizes, axis, keepdims, table.maximum if ord > 0 else table.minimum)
    return np.linalg.norm(in_numbers(x), ord, axis, keepdims)


def _average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return reductions.mean(a, axis)
    if shape_of(operand(weights)) != shape_of(operand(a)):
        return np.average(in_numbers(a), axis, in_numbers(weights))
    product = reductions.total(elementwise(table.mul, a, weights), axis)
    return elementwise(table.div, product, reductions.total(weights, axis))


def _einsum(subscripts: Any, *arrays: Any) -> Any:
    if not isinstance(subscripts, str) or "." in subscripts:
        return np.einsum(subscripts, *in_numbers(arrays))
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    letters = given.split(",")
    if not arrow:
        result = "".join(sorted(letter for letter in set(given) - {","} if given.count(letter) == 1))
    return reductions.contracted(letters, result, arrays)


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


def _flat(x: Any, order: str = "C") -> Any:
    return _reshape(x, -1, order=order)


def _vdot(a: Any, b: Any) -> Any:
    return reductions.dot(_flat(a), _flat(b))


def _inner(a: Any, b: Any) -> Any:
    return reductions.dot(a, along_last(operand(b)))


def along_last(x: Any) -> Any:
    """Return an array whose last axis comes last but one, as `dot` takes it."""
    return rearranged.swapped(x, -1, -2) if len(shape_of(x)) > 1 else x


def _outer(a: Any, b: Any) -> Any:
    return elementwise(table.mul, apart(_flat(a), 1), _flat(b))


def _trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return reductions.total(rearranged.diagonal(x, offset, axis1, axis2), -1)


def _least(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return reductions.greatest(x, axis, keepdims, table.minimum)


def _greatest(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return reductions.greatest(x, axis, keepdims)


def _columns(arrays: Sequence[Any], axis: int) -> Any:
    xs = [operand(x) for x in arrays]
    least = 2 if axis == 0 else 1
    wide = [x if len(shape_of(x)) >= least else rearranged.reshaped_to(x, (1,) * (least - len(shape_of(x))) + shape_of(x)) for x in xs]
    return rearranged.concatenate(wide, 0 if all(len(shape_of(x)) == 1 for x in wide) else axis)


def _column_stack(tup: Sequence[Any]) -> Any:
    xs = [operand(x) for x in tup]
    return rearranged.concatenate([apart(x, 1) if len(shape_of(x)) == 1 else x for x in xs], 1)


FUNCTIONS: dict[Any, Function] = {
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
    np.einsum: _einsum,
    np.tensordot: _tensordot,
    np.trace: _trace,
    np.diagonal: rearranged.diagonal,
    np.where: _where,
    np.clip: _clip,
    np.reshape: lambda a, shape, order="C": _reshape(a, shape, order=order),
    np.ravel: _flat,
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
    np.diff: lambda a, n=1, axis=-1: rearranged.diff(a, n, axis),
    np.roll: lambda a, shift, axis=None: rearranged.rolled(a, shift, axis),
    np.flip: lambda m, axis=None: rearranged.flipped(m, axis),
    np.pad: rearranged.padded,
    np.repeat: rearranged.repeated,
    np.tile: lambda A, reps: rearranged.tiled(A, reps),  # noqa: N803
    np.take: lambda a, indices, axis=None: taken(operand(a), indices, axis),
    np.copy: lambda a: a,
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
    np.empty_like: _like(0.0),
    np.full_like: _like(0.0),
}


# ---- attributes and methods ----


def _copied(x: Any, *_: Any, **__: Any) -> Any:
    return x


def _as_numpy(x: Any, dtype: Any = None, copy: Any = None) -> Any:
    """Return the array of its numbers, for code that knows no traced arrays."""
    return np.asarray(in_numbers(x).view(np.ndarray), dtype)


def _each(x: Any) -> Any:
    return iter([shown(item(x, k)) for k in range(x.shape[0])])


def _binary(name: str) -> Function:
    ufunc = getattr(np, name)

    def own(x: Any, other: Any) -> Any:
        return ufunc(x, other) if _takes_part(other) else NotImplemented

    return own


def _reflected(name: str) -> Function:
    ufunc = getattr(np, name)

    def own(x: Any, other: Any) -> Any:
        return ufunc(other, x) if _takes_part(other) else NotImplemented

    return own


def _takes_part(other: Any) -> bool:
    return hasattr(type(other), "__apply__") or isinstance(other, (ArrayTracer, float, int, np.ndarray, np.generic, list, tuple))


_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "pow": "power",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "divmod": "divmod",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}


def _method(function: Any) -> Function:
    return lambda x, *args, **kwargs: call_whole_function(function, (x, *args), kwargs)


METHODS: dict[str, Function] = {
    **{f"__{name}__": _binary(ufunc) for name, ufunc in (_OPERATORS | _COMPARISONS).items()},
    **{f"__r{name}__": _reflected(ufunc) for name, ufunc in _OPERATORS.items()},
    "__neg__": lambda x: np.negative(x),
    "__pos__": lambda x: x,
    "__abs__": lambda x: np.abs(x),
    "__invert__": lambda x: np.invert(x),
    "__len__": lambda x: x.shape[0],
    "__iter__": _each,
    "__getitem__": lambda x, index: shown(item(x, index)),
    "__setitem__": refuse_writing,
    "__array__": _as_numpy,
    "__array_ufunc__": lambda x, ufunc, method, *inputs, **options: call_whole_ufunc(ufunc, method, inputs, options),
    "__array_function__": lambda x, function, types, args, kwargs: call_whole_function(function, args, kwargs),
    "reshape": lambda x, *shape, order="C": shown(_reshape(x, *shape, order=order)),
    "transpose": lambda x, *axes: shown(
        reductions.transposed(x, axes[0] if len(axes) == 1 and np.ndim(axes[0]) else axes or None)
    ),
    "flatten": _method(np.ravel),
    "tolist": lambda x: in_numbers(x).tolist(),
    "item": lambda x, *place: in_numbers(x).item(*place),
    "copy": _copied,
    "astype": _copied,
    "take": _method(np.take),
    **{
        name: _method(getattr(np, name))
        for name in (
            *("sum", "mean", "prod", "max", "min", "var", "std", "ptp", "cumsum", "cumprod", "dot", "trace"),
            *("diagonal", "clip", "ravel", "swapaxes", "squeeze", "repeat", "round", "argmax", "argmin", "argsort"),
            *("all", "any"),
        )
    },
}
"""What a traced array does beyond being a node, by the name of the method."""

PROPERTIES: dict[str, Function] = {
    "T": lambda x: shown(reductions.transposed(x)),
    "ndim": lambda x: len(x.shape),
    "size": lambda x: size_of(x.shape),
    "dtype": lambda x: np.dtype(object),
    "flat": lambda x: in_numbers(x).flat,
    "nbytes": lambda x: 8 * size_of(x.shape),
}


def attribute(x: Any, name: str) -> Any:
    """Return a row as a method, as numbers have it: ``x.sin()``."""
    row = method_named(name)
    if row is None:
        raise AttributeError(f"a traced array has no attribute {name!r}")
    return lambda *args: shown(elementwise(row, x, *args))
