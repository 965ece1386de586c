"""Make NumPy's functions follow the table's rows on chainrule's numbers, alone and in arrays.

NumPy knows an array of Vars as one of objects: it then compares, adds and calls methods item by item. That is right for
arithmetic and for functions that are methods, but a maximum by comparison loses nan and gives a tie to one side, and
many functions are missing. An `Array` is such an array whose functions call rows. Arrays that chainrule hands over, and
results of functions of Vars and Arrays, are Arrays; an array made by ``np.array`` is one after `chainrule.array`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data import is_unknown
from ..errors import TraceError
from ..pickling import Reduced, unpickled
from . import table
from .methods import method_row
from .primitive import is_whole, on_register
from .ufunc_rules import RULES
from .untraceable import refuse, symbolic_in, traced_in

# What NumPy does right by operators of the items, and faster, as it does rows that have an infix operator; 1/0 of plain
# floats is left to the rows.
_BY_OPERATORS = {"negative", "matmul", "vecdot", "matvec", "vecmat"}


_WRITERS = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal, np.nan_to_num}
_CHOICE = {"out", "where"}
_LOGIC = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"}  # which conditions have


def is_number(x: Any) -> bool:
    """Return whether `x` is a Var, a traced number or similar."""
    return hasattr(type(x), "__apply__")


class Array(np.ndarray[Any, Any]):
    """An array of Vars, traced numbers and floats; NumPy's functions of it follow chainrule's rows.

    >>> import chainrule
    >>> xs = chainrule.array([chainrule.Var(1.0), chainrule.Var(1.0)])
    >>> np.max(xs).backward()
    >>> [x.grad for x in xs]
    [0.5, 0.5]
    """

    __of_numbers__ = True
    slice_of: Any = None  # the part of a whole traced array that it shows

    def __getitem__(self, index: Any) -> Any:
        try:
            found = np.ndarray.__getitem__(self, index)
            is_slice = self.slice_of is not None and isinstance(found, np.ndarray) and not found.flags.writeable
            return self.slice_of[index] if is_slice else found
        except (IndexError, TraceError):
            taker = symbolic_in(index)
            if taker is None:
                raise
        return taker.__item_of__(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.slice_of is not None:
            self.slice_of[index] = value
        elif not self.flags.writeable and symbolic_in(self) is not None:
            raise TraceError("a slice of a slice of a traced array was written to: write to the array itself")
        elif _is_mask(index, self) and not np.shape(value):
            np.ndarray.__setitem__(self, ..., np.frompyfunc(table.where, 3, 1)(index, plain(value), self))
        else:
            np.ndarray.__setitem__(self, index, value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.get("out", ())
        if any(map(is_whole, out)):
            return NotImplemented
        target = getattr(inputs[0], "slice_of", None)
        if method == "at" and target is not None:
            return target.__array_ufunc__(ufunc, method, target, *inputs[1:])
        if len(out) == 1 and getattr(out[0], "slice_of", None) is not None:
            return out[0].slice_of.__array_ufunc__(ufunc, method, *inputs, **options)
        return apply_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        first = args[0] if function in _WRITERS else args[1] if function is np.einsum and len(args) == 2 else None
        for target in (kwargs.get("out"), first):
            whole = getattr(target, "slice_of", None)
            if whole is not None:  # which is written to, or may give a view
                return whole.__array_function__(function, types, args, kwargs)
        return apply_function(function, types, args, kwargs)

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __reduce__(self) -> Reduced:
        return unpickled, ("array", self.view(np.ndarray))

    @property
    def T(self) -> Any:
        """Return the array with its axes in reverse order."""
        return self.transpose()

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the array as one of another type; traced numbers are doubles."""
        symbolic = symbolic_in(self)
        if symbolic is not None:
            if not (args[3] if len(args) > 3 else kwargs.get("copy", True)) and np.dtype(dtype) in (float, object):
                return self
            return symbolic.__as_type__(self, np.dtype(dtype))
        return np.ndarray.astype(self, dtype, *args, **kwargs)

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        """Return the index of the greatest item, as NumPy does."""
        return values(self, "argmax").argmax(*args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> Any:
        """Return the index of the least item, as NumPy does."""
        return values(self, "argmin").argmin(*args, **kwargs)

    def argsort(self, *args: Any, **kwargs: Any) -> Any:
        """Return the order of the items, nan last, as NumPy does."""
        return values(self, "argsort").argsort(*args, **kwargs)

    def argpartition(self, *args: Any, **kwargs: Any) -> Any:
        """Return the order that puts one item in its place, nan last, as NumPy does."""
        return values(self, "argpartition").argpartition(*args, **kwargs)

    def partition(self, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> None:
        """Put one item in its place, nan last."""
        self[...] = np.take_along_axis(self.view(np.ndarray), self.argpartition(kth, axis, kind), axis)

    def searchsorted(self, v: Any, *args: Any, **kwargs: Any) -> Any:
        """Return where items would be inserted, nan last, as NumPy does."""
        return values(self, "searchsorted").searchsorted(values(array(v), "searchsorted"), *args, **kwargs)

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, **kwargs: Any) -> None:
        """Sort in place, nan last."""
        self[...] = np.take_along_axis(self.view(np.ndarray), self.argsort(axis=axis, kind=kind, **kwargs), axis)


def _moved(name: str) -> Callable[..., Any]:
    """Return a method that may give views: of a slice of a traced array it gives what the slice of NumPy's would."""

    def own(self: Array, *args: Any, **kwargs: Any) -> Any:
        if self.slice_of is not None:
            return getattr(self.slice_of, name)(*args, **kwargs)
        return getattr(np.ndarray, name)(self, *args, **kwargs)

    own.__name__, own.__doc__ = name, getattr(np.ndarray, name).__doc__
    return own


for _name in ("reshape", "ravel", "transpose", "swapaxes", "squeeze", "diagonal"):
    setattr(Array, _name, _moved(_name))


def _is_mask(index: Any, items: Any) -> bool:
    """Return whether an index is an array with a traced condition, or a truth value, for each of some items."""
    if not isinstance(index, np.ndarray) or index.dtype != object or index.shape != items.shape:
        return False
    return symbolic_in(index) is not None and all(
        isinstance(k, (bool, np.bool_)) or getattr(k, "is_condition", False) for k in index.flat
    )


def values(array: Any, function: str = "") -> Any:
    """Return the values of an array as doubles; traced numbers have none: `TraceError` names the function."""
    items = np.asarray(array)
    if items.dtype != object:
        return items
    if function and traced_in(items) is not None:
        refuse(traced_in(items), function)
    numbers = [float((x == x).value if is_unknown(x) else x.value) if is_number(x) else float(x) for x in items.ravel()]
    return np.array(numbers, float).reshape(items.shape)


_LISTS = (list, tuple)


class _Reading(NamedTuple):
    """How to read a ufunc of NumPy's."""

    rule: Callable[..., Any] | None
    item_by_item: Any  # the rule as a ufunc
    predicate: bool
    arithmetic: bool


@functools.cache
def read(ufunc: np.ufunc) -> _Reading:
    """Return how to read a ufunc of NumPy's."""
    name = ufunc.__name__
    row = method_row(name)
    rule = RULES.get(name) or row
    arithmetic = row is not None and row.infix != "" and not (row.compares or row.custom)
    # With None as identity several axes can be reduced in any order.
    own: Any = None if rule is None else np.frompyfunc(rule, ufunc.nin, ufunc.nout, identity=None)
    return _Reading(rule, own, not {"d->?", "dd->?"}.isdisjoint(ufunc.types), arithmetic or name in _BY_OPERATORS)


on_register(lambda row: read.cache_clear())


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Carry out a ufunc or its method (reduce, accumulate, outer, at ...) by the row of that name."""
    if any(map(is_whole, inputs)):
        return NotImplemented  # a whole array among them has its own way
    rule, item_by_item, predicate, arithmetic = read(ufunc)
    simple_call = method == "__call__" and not options
    if simple_call and rule is not None and not any(getattr(x, "ndim", type(x) in _LISTS) for x in inputs):
        return rule(*[_item(item) for item in inputs])
    if method == "__call__" and _holds_objects(options.get("where")):
        return _where_conditions(ufunc, inputs, options)
    given = [plain(item) for item in inputs]
    kept, out = ({}, ()) if simple_call else _options(ufunc, predicate, options)
    if method == "reduce" and "where" in kept and ufunc.identity is not None:
        kept.setdefault("initial", float(ufunc.identity))  # which NumPy leaves out for objects
    if method == "reduce" and _holds_objects(kept.get("where")):
        if "initial" not in kept:
            raise ValueError(f"{ufunc.__name__} expected initial=, since it is traced where no item may be chosen")
        given[0] = np.frompyfunc(table.where, 3, 1)(kept.pop("where"), given[0], kept["initial"])
    if arithmetic:
        try:
            with np.errstate(all="ignore"):
                return _result(getattr(ufunc, method)(*given, **kept), out)
        except (ZeroDivisionError, OverflowError):
            pass  # floats among the Vars: rows follow IEEE
    of_objects = any(_holds_objects(item) for item in given)
    if rule is None or not of_objects or kept.get("dtype", object) not in (object, bool):
        try:
            return _result(getattr(ufunc, method)(*given, **kept), out)
        except TypeError:
            if rule is not None or ufunc.__name__ in _LOGIC or traced_in(given) is None:
                raise
            refuse(traced_in(given), ufunc.__name__)
    kept.pop("dtype", None)
    if out and method == "__call__":
        kept["casting"] = "unsafe"  # of conditions, which become bool
    # Rows follow IEEE, as numbers alone do: there is nothing to warn of.
    with np.errstate(all="ignore"):
        if method == "reduce" and ufunc in (np.maximum, np.minimum) and _only_axes(kept):
            return _result(_greatest(ufunc, rule, given[0], kept.get("axis", 0), kept.get("keepdims", False)))
        found = getattr(item_by_item, method)(*given, **kept)
    return _result(_conditions(found) if predicate and not out else found, out)


def _where_conditions(ufunc: np.ufunc, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Carry out a ufunc where traced conditions hold; what it writes to is as it was elsewhere."""
    out: Sequence[Any] = options.get("out") or ()
    if len(out) != 1 or out[0] is None:
        raise TypeError(f"{ufunc.__name__} expected out=, one array, since where= is traced")
    found = apply_ufunc(ufunc, "__call__", inputs, {key: own for key, own in options.items() if key not in _CHOICE})
    out[0][...] = np.frompyfunc(table.where, 3, 1)(plain(options["where"]), plain(found), plain(out[0]))
    return out[0]


def _only_axes(options: dict[str, Any]) -> bool:
    return options.get("where", True) is True and options.keys() <= {"axis", "keepdims", "where"}


def _greatest(ufunc: np.ufunc, row: Callable[..., Any], items: Any, axis: Any, keepdims: bool) -> Any:
    """Join the items along axes by `maximum` or `minimum`, so that ties share the derivative evenly."""
    shape = ufunc.reduce(np.zeros(items.shape), axis=axis, keepdims=keepdims).shape  # with NumPy's own errors
    axes = range(items.ndim) if axis is None else [k % items.ndim for k in (axis if type(axis) is tuple else (axis,))]
    kept = [k for k in range(items.ndim) if k not in axes]
    counts = [math.prod([items.shape[k] for k in own]) for own in (kept, axes)]
    lines = items.transpose(*kept, *axes).reshape(counts)
    found = np.empty(counts[0], object)
    for k, line in enumerate(lines):
        found[k] = _shared(row, line.tolist())
    return found.reshape(shape) if shape else found[0]


def _shared(row: Callable[[Any, Any], Any], items: list[Any]) -> Any:
    """Join items by `maximum` or `minimum`; all that are equal to the result share its derivative evenly."""
    found = functools.reduce(row, items)
    if len(items) < 3 or not is_number(found):
        return found
    top = table.stop_gradient(found)
    flags = [x == top for x in items]
    if all(type(flag) is bool for flag in flags):
        items = [x for x, flag in zip(items, flags, strict=True) if flag]
        if len(items) < 3:
            return found  # of two the row itself gives each a half
        flags = [True] * len(items)
    # What is added is 0, so that -0.0 stays, and has the derivative that belongs to those equal to the result.
    moved = [
        table.where(flag, table.strong_sub(x, table.stop_gradient(x)), 0.0)
        for x, flag in zip(items, flags, strict=True)
        if is_number(x)
    ]
    return -(-top - table.sum(moved) / table.sum(flags))


def _holds_objects(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype.kind == "O"


def _options(ufunc: np.ufunc, predicate: bool, options: dict[str, Any]) -> tuple[dict[str, Any], Sequence[Any]]:
    """Return the options for plain arrays, and the output arrays as given."""
    out: Sequence[Any] = options.get("out", ())
    for item in out:
        if item is not None and item.dtype != object and not predicate:
            raise TypeError(
                f"{ufunc.__name__} expected an array of objects to write Vars to but got one of {item.dtype}; "
                "make it with astype(object), or compute a new array (a = a + x)"
            )
    kept = {name: plain(option) for name, option in options.items() if name != "out"}
    if kept.get("dtype", object) is None:
        del kept["dtype"]
    if out:
        kept["out"] = tuple([None if item is None else plain(item) for item in out])
    return kept, out


def plain(item: Any) -> Any:
    """Return an operand for NumPy's item-by-item code: an Array as a plain array, a number as a 0-d array."""
    if isinstance(item, Array):
        return item.view(np.ndarray)
    if is_number(item):
        array = np.empty((), object)
        array[()] = item
        return array
    return item


def _item(item: Any) -> Any:
    return item if is_number(item) or not hasattr(item, "item") else item.item()


def _conditions(found: Any) -> Any:
    """Return results as a bool array if they hold nothing else; conditions on traced numbers are numbers."""
    if isinstance(found, np.ndarray) and all(isinstance(item, (bool, np.bool_)) for item in found.flat):
        return found.astype(bool)
    return found


def _result(found: Any, out: Sequence[Any] = ()) -> Any:
    """Return results as Arrays, zero-dimensional ones as the number itself, and output arrays as given."""
    if type(found) is np.ndarray and not out:
        return found if found.dtype != object else found.view(Array) if found.ndim else found[()]
    if any(item is not None for item in out):
        given = tuple([own if item is None else item for item, own in zip(out, _several(found), strict=True)])
        return given if isinstance(found, tuple) else given[0]
    if type(found) in (tuple, list):
        return type(found)(map(_result, found))
    return found[()] if isinstance(found, Array) and not found.ndim else found


def _several(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


# ---- functions that are no ufuncs ----

_BLANK = {np.empty_like, np.full_like, np.ones_like, np.zeros_like}
_NONE = np.empty(0, object).view(Array)
_functions: dict[Any, Callable[..., Any]] = {}  # array_functions.py gives them


def use_functions(functions: dict[Any, Callable[..., Any]]) -> None:
    """Set what computes functions of NumPy's that are no ufuncs; the others NumPy itself computes."""
    _functions.update(functions)


def apply_function(function: Any, types: Iterable[type], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out a NumPy function on Arrays; numbers among its arguments become zero-dimensional Arrays."""
    if any(hasattr(kind, "__whole__") for kind in types):
        return NotImplemented
    own = _functions.get(function)
    try:
        if own is not None:
            with np.errstate(all="ignore"):
                return _result(own(*args, **kwargs))
        args, kwargs = _arrays(tuple(args)), _arrays(kwargs)
        found = np.ndarray.__array_function__(_NONE, function, (Array,), args, kwargs)
    except TypeError:  # of NumPy, which can't use objects, or `TraceError`
        number = traced_in([args, kwargs])
        if number is None or any(map(callable, [*args, *kwargs.values()])):
            raise
        refuse(number, function)
    # What is made to be written to stays an array.
    return found if function in _BLANK else _result(found)


def _arrays(tree: Any) -> Any:
    if type(tree) in (list, tuple):
        return type(tree)(map(_arrays, tree))
    if type(tree) is dict:
        return {key: _arrays(item) for key, item in tree.items()}
    return plain(tree).view(Array) if is_number(tree) else tree


def array(data: Any) -> Any:
    """Return an Array of a number, of nested lists of numbers, or of an array (see `numpy_calls.array`)."""
    return np.asarray(plain(data), object).view(Array)
