"""Answer for whole traced arrays what NumPy, Python's operators and chainrule's functions ask of an array."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data import is_symbolic
from ..errors import TraceError
from ..graph import user_line
from ..operations import Primitive, Reduction, call_ufunc, method_named, prod, rule_of, table, take
from ..programs import ArrayTracer, Gather, Numbers, Tracer, shape_of, size_of
from . import array_reductions as reductions
from .aliases import of_its_own
from .indexing import gathered, is_mask
from .nests import conditions, elementwise, holds_conditions, operand, shown
from .whole_functions import Function, apart, by_number, call_whole_function, reshape, shown_each
from .writers import Flat, assigned, at, copyto, is_target, put
from .writing import as_numbers, copy_of, sliced, write


def item_of(array: Any, index: Any) -> Any:
    """Return what a traced index chooses of an array of numbers."""
    return shown(gathered(array, index))


# ---- chainrule's own functions ----

_REDUCTIONS: dict[Any, Function] = {
    table.sum: reductions.total,
    table.mean: reductions.mean,
    table.norm: reductions.norm,
    table.logsumexp: reductions.logsumexp,
    prod: reductions.product,
}


def call_on_arrays(function: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Apply a row to each number of arrays, or a function of many numbers along axes."""
    since = Tracer("").birth
    if function is take:
        return shown(of_its_own(_taken(*args), since))
    if function is table.dot:
        return shown(reductions.dot(*args))
    if function in _REDUCTIONS:
        return shown(of_its_own(_REDUCTIONS[function](*args, **options), since))
    if isinstance(function, Reduction):
        return function(*by_number(tuple(args)), **options)
    if not isinstance(function, Primitive):  # of a line of numbers to another one
        axis = -1 if options.get("axis") is None else options["axis"]
        return shown(reductions.mapped_lines(function, args[0], axis))
    return shown((conditions if function.compares else elementwise)(function, *args))


def _taken(rows: Any, index: Any) -> Any:
    """Return rows by whole numbers, those below 0 from the end; nan where there is none."""
    index = list(index) if isinstance(index, tuple) else index
    places = index if isinstance(index, ArrayTracer) else operand(index)
    if not isinstance(rows, ArrayTracer) or isinstance(places, ArrayTracer) or is_symbolic(places):
        return gathered(rows, index)
    rows, places = rows.__whole__(), np.asarray(places, float)
    count = rows.shape[0]
    if np.all((places >= -count) & (places < count) & (places == np.trunc(places))):
        return gathered(rows, places.astype(int))  # which may be a view
    return Gather(rows.shape, places.shape).apply((rows, Numbers.of(places) if places.shape else float(places)))


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
    if method == "at" and is_target(inputs[0]):
        return at(ufunc, *inputs)
    out = options.pop("out", None) or ()
    if any(map(is_target, out)):
        where = options.pop("where", True)
        if where is not True and method != "reduce":
            return _written(out, call_whole_ufunc(ufunc, method, inputs, options), where)
        return _written(
            out, call_whole_ufunc(ufunc, method, inputs, options | ({} if where is True else {"where": where}))
        )
    if out:
        options["out"] = out
    since = Tracer("").birth
    name = ufunc.__name__
    left = {key: own for key, own in options.items() if key not in ("dtype", "keepdims", "axis") and own is not None}
    if options.get("dtype") in (None, float, object, bool) and not left:
        own = _ufunc_on(name, ufunc, method, options)
        if own is not None:
            return shown_each(of_its_own(own(*inputs), since))
    given, kept = by_number(tuple(inputs)), by_number(dict(options))
    return call_ufunc(ufunc, method, given, kept)


def _written(out: Sequence[Any], found: Any, where: Any = True) -> Any:
    """Write results to arrays, all of them or where conditions hold, and return these."""
    several = found if isinstance(found, tuple) else (found,)
    for target, own in zip(out, several, strict=True):
        if target is not None:
            copyto(target, own, where=where)
    given = tuple([own if target is None else target for target, own in zip(out, several, strict=True)])
    return given if isinstance(found, tuple) else given[0]


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
    """Return an array of objects that are all conditions as True, which is one; anything else unchanged."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "O":
        return True if all(getattr(k, "op", None) is not None and k.op.compares for k in x.flat) else x
    return x


# ---- attributes and methods ----


def as_type(x: Any, dtype: Any) -> Any:
    """Return a traced array as doubles, and conditions as 1 and 0 in any type; `TraceError` for anything else."""
    if np.dtype(dtype) in (np.dtype(float), np.dtype(object)):
        return copy_of(x)
    if not is_mask(x):
        raise TraceError(
            f"a traced array holds doubles, but astype({np.dtype(dtype).name}) was called at {user_line()}; write "
            "chainrule.trunc(x) for whole numbers, or x != 0 for truth values"
        )
    return copy_of(x) if np.dtype(dtype) == bool else shown(elementwise(_one_or_zero, x))


def _cast(x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    return x if not copy and np.dtype(dtype) in (np.dtype(float), np.dtype(object)) else as_type(x, dtype)


def _one_or_zero(condition: Any) -> Any:
    return table.where(condition, 1.0, 0.0)


def _as_numpy(x: Any, dtype: Any = None, copy: Any = None) -> Any:
    """Return the array of its numbers, for code that knows no traced arrays; it only reads unless it is a copy."""
    if copy or dtype not in (None, object):
        return np.asarray(by_number(x).view(np.ndarray), dtype)
    return as_numbers(x)


def _each(x: Any) -> Any:
    return iter([sliced(x, k) for k in range(x.shape[0])])


def _binary(name: str) -> Function:
    ufunc = getattr(np, name)

    def own(x: Any, other: Any) -> Any:
        return ufunc(x, other) if _takes_part(other) else NotImplemented

    return own


def _in_place(name: str) -> Function:
    ufunc = getattr(np, name)

    def own(x: Any, other: Any) -> Any:
        return assigned(x, ufunc(x, other)) if _takes_part(other) else NotImplemented

    return own


def _reflected(name: str) -> Function:
    ufunc = getattr(np, name)

    def own(x: Any, other: Any) -> Any:
        return ufunc(other, x) if _takes_part(other) else NotImplemented

    return own


def _takes_part(other: Any) -> bool:
    return hasattr(type(other), "__apply__") or isinstance(
        other, (ArrayTracer, float, int, np.ndarray, np.generic, list, tuple)
    )


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


def _refuse(what: str, advice: str) -> Function:
    def own(x: Any, *_: Any) -> Any:
        raise TraceError(f"a traced array has no values yet, but {what} at {user_line()}; {advice}")

    return own


METHODS: dict[str, Function] = {
    **{f"__{name}__": _binary(ufunc) for name, ufunc in (_OPERATORS | _COMPARISONS).items()},
    **{f"__r{name}__": _reflected(ufunc) for name, ufunc in _OPERATORS.items()},
    **{f"__i{name}__": _in_place(ufunc) for name, ufunc in _OPERATORS.items() if name != "divmod"},
    "__neg__": lambda x: np.negative(x),
    "__pos__": copy_of,
    "__abs__": lambda x: np.abs(x),
    "__invert__": lambda x: np.invert(x),
    "__len__": lambda x: x.shape[0],
    "__iter__": _each,
    "__getitem__": sliced,
    "__setitem__": write,
    "fill": lambda x, value: write(x, ..., value),
    "__bool__": _refuse("a condition (if, while, and, or, not) was asked for", "write numpy.where or chainrule.where"),
    "__float__": _refuse("float() or a function of math was called", "call NumPy's functions or chainrule's"),
    "__int__": _refuse("int() was called", "use numpy.floor, trunc or rint"),
    "__index__": _refuse("it was used as an index or a count", "write chainrule.take(items, index)"),
    "__array__": _as_numpy,
    "__copy__": copy_of,
    "__deepcopy__": lambda x, memo: copy_of(x),
    "__on_arrays__": lambda x, function, args, options: call_on_arrays(function, args, options),
    "__array_ufunc__": lambda x, ufunc, method, *inputs, **options: call_whole_ufunc(ufunc, method, inputs, options),
    "__array_function__": lambda x, function, types, args, kwargs: call_whole_function(function, args, kwargs),
    "reshape": lambda x, *shape, order="C": call_whole_function(
        np.reshape, (x, shape[0] if len(shape) == 1 else shape), {"order": order}
    ),
    "transpose": lambda x, *axes: call_whole_function(
        np.transpose, (x, axes[0] if len(axes) == 1 and (axes[0] is None or np.ndim(axes[0])) else axes or None), {}
    ),
    "flatten": lambda x, order="C": copy_of(reshape(x, -1, order=order)),
    "tolist": lambda x: by_number(x).tolist(),
    "item": lambda x, *place: by_number(x).item(*place),
    "put": put,
    "compress": lambda x, condition, axis=None, out=None: call_whole_function(
        np.compress, (condition, x, axis), {"out": out}
    ),
    "copy": lambda x, order="C": copy_of(x),
    "astype": _cast,
    "take": _method(np.take),
    **{
        name: _method(getattr(np, name))
        for name in (
            *("sum", "mean", "prod", "max", "min", "var", "std", "ptp", "cumsum", "cumprod", "dot", "trace"),
            *(
                "choose",
                "diagonal",
                "clip",
                "ravel",
                "swapaxes",
                "squeeze",
                "repeat",
                "round",
                "argmax",
                "argmin",
                "argsort",
            ),
            *("all", "any", "sort", "partition", "argpartition", "searchsorted", "nonzero"),
        )
    },
}
"""What a traced array does beyond being a node, by the name of the method."""

PROPERTIES: dict[str, Function] = {
    "T": lambda x: call_whole_function(np.transpose, (x,), {}),
    "mT": lambda x: call_whole_function(np.matrix_transpose, (x,), {}),
    "real": lambda x: x,
    "imag": lambda x: np.zeros(x.shape),
    "ndim": lambda x: len(x.shape),
    "size": lambda x: size_of(x.shape),
    "dtype": lambda x: np.dtype(object),
    "flat": Flat,
    "nbytes": lambda x: 8 * size_of(x.shape),
}


def attribute(x: Any, name: str) -> Any:
    """Return a row as a method, as numbers have it: ``x.sin()``."""
    row = method_named(name)
    if row is None:
        raise AttributeError(f"a traced array has no attribute {name!r}")
    return lambda *args: shown(elementwise(row, x, *args))
