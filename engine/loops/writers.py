"""Write into whole traced arrays where NumPy's functions write in place: `put`, `copyto`, ``add.at``, ``out=``.

Each comes down to a write by index, as code would write it itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..data import is_symbolic
from ..errors import TraceError
from ..graph import user_line
from ..operations import call_ufunc, table
from ..programs import ArrayTracer, shape_of, size_of
from .nests import elementwise, operand, shown
from .rearranging import broadcast, reshaped_to
from .writing import sliced, write


def assigned(target: Any, value: Any) -> Any:
    """Write a value to a whole array, and return this."""
    target[...] = value
    return target


def is_target(x: Any) -> bool:
    """Return whether a write to an array is one to a traced array: it is one, or shows a part of one."""
    return isinstance(x, ArrayTracer) or getattr(x, "slice_of", None) is not None


def _target(function: str, x: Any) -> ArrayTracer:
    found = getattr(x, "slice_of", None)
    if found is None and not isinstance(x, ArrayTracer):
        raise TraceError(
            f"numpy.{function} was to write traced numbers to an array of {getattr(x, 'dtype', type(x).__name__)} at "
            f"{user_line()}; write to a copy of a traced array, or compute a new one with numpy.where"
        )
    own: ArrayTracer = x if found is None else found
    return own


def _constant(function: str, what: str, x: Any) -> Any:
    """Return indices or truth values that are known; `TraceError` for traced ones."""
    items = x if isinstance(x, ArrayTracer) else np.asarray(x)
    if isinstance(items, ArrayTracer) or (items.dtype.kind == "O" and any(map(is_symbolic, items.flat))):
        raise TraceError(
            f"numpy.{function} of a traced array takes {what} that is known, but got a traced one at {user_line()}; "
            "compute a new array with numpy.where"
        )
    return items


def _cycled(values: Any, count: int) -> Any:
    """Return values, over and over, as a line of so many."""
    found = operand(values)
    if not shape_of(found):
        return found
    size = size_of(shape_of(found))
    line = reshaped_to(found, (size,))
    return line if size == count else line[np.arange(count) % size]


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write values at places, counted in order, as `numpy.put` does."""
    target, places = _target("put", a), _constant("put", "an index", ind).reshape(-1)
    size = size_of(target.shape)
    if mode != "raise":
        places = places % size if mode == "wrap" else np.clip(places, 0, size - 1)
    if places.size and (places.min() < -size or places.max() >= size):
        raise IndexError(f"index {places[(places < -size) | (places >= size)][0]} is out of bounds for size {size}")
    if places.size and shape_of(operand(v)) != (0,):
        write(target, np.unravel_index(places.astype(int) % size, target.shape), _cycled(v, places.size))


def _place(arr: Any, mask: Any, vals: Any) -> None:
    places = np.flatnonzero(np.ravel(_constant("place", "a mask", mask)))
    if places.size and not size_of(shape_of(operand(vals))):
        raise ValueError("Cannot insert from an empty array!")
    put(arr, places, vals)


def _putmask(a: Any, mask: Any, values: Any) -> None:
    target = _target("putmask", a)
    wide = _cycled(values, size_of(target.shape))
    wide = reshaped_to(wide, target.shape) if shape_of(wide) else wide
    copyto(target, wide, where=mask)


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    target, places = _target("put_along_axis", arr), _constant("put_along_axis", "an index", indices)
    if axis is None:
        put(target, places, _cycled(broadcast(values, places.shape), places.size))
        return
    # The places in the flat array, in NumPy's own words.
    marks = np.take_along_axis(np.arange(size_of(target.shape)).reshape(target.shape), places, axis)
    put(target, marks, _cycled(broadcast(values, marks.shape), marks.size))


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    target = _target("fill_diagonal", a)
    marks = np.zeros(target.shape, bool)
    np.fill_diagonal(marks, True, wrap)
    put(target, np.flatnonzero(marks), val)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write an array to another one, all of it or where conditions hold."""
    is_plain = not is_target(dst) and isinstance(dst, np.ndarray) and dst.dtype.kind == "O"
    target: Any = dst if is_plain else _target("copyto", dst)
    if where is True:
        target[...] = src
    else:
        target[...] = shown(elementwise(table.where, broadcast(where, target.shape), src, target))


def at(ufunc: np.ufunc, a: Any, indices: Any, *values: Any) -> None:
    """Apply a ufunc in place at indices, one after another: an index that comes twice counts twice."""
    name = f"{ufunc.__name__}.at"
    target, index = _target(name, a), indices if isinstance(indices, tuple) else (indices,)
    index = tuple([own if _is_plain(own) else _constant(name, "an index", own) for own in index])
    places = np.arange(size_of(target.shape)).reshape(target.shape)[index]
    unique, inverse = np.unique(places, return_inverse=True)
    where = np.unravel_index(unique, target.shape)
    chosen = np.empty(unique.size, object)
    chosen[:] = [sliced(target, tuple([int(own[k]) for own in where])) for k in range(unique.size)]
    given = [np.asarray(broadcast(own, places.shape)) if shape_of(operand(own)) else own for own in values]
    call_ufunc(ufunc, "at", (chosen, inverse.reshape(places.shape), *given), {})
    put(target, unique, chosen)


def _is_plain(index: Any) -> bool:
    return index is None or index is Ellipsis or isinstance(index, (int, slice))


WRITERS: dict[Any, Callable[..., None]] = {
    np.copyto: copyto,
    np.put: put,
    np.place: _place,
    np.putmask: _putmask,
    np.put_along_axis: _put_along_axis,
    np.fill_diagonal: _fill_diagonal,
}
"""NumPy's functions that write to the array that comes first."""


def without_out(
    function: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the array that a function is to write to, None if none, and the arguments without it."""
    out = kwargs.get("out")
    if out is not None:
        return out, tuple(args), {key: option for key, option in kwargs.items() if key != "out"}
    place = _place_of_out(function)
    if place is None or len(args) <= place or args[place] is None:
        return None, tuple(args), kwargs
    behind = args[place + 1 :]
    return args[place], (*args[:place], None, *behind) if behind else tuple(args[:place]), kwargs


@functools.cache
def _place_of_out(function: Any) -> int | None:
    """Return which argument of a function is `out`; None if it has none, or by name only."""
    try:
        given = inspect.signature(function).parameters
    except ValueError:  # of a function that does not say
        return None
    if "out" not in given or given["out"].kind is inspect.Parameter.KEYWORD_ONLY:
        return None
    return list(given).index("out")


class Flat:
    """The numbers of a whole traced array in order, as `ndarray.flat`: what is written to them is written to it."""

    def __init__(self, base: ArrayTracer) -> None:
        self.base = base

    def __len__(self) -> int:
        return size_of(self.base.shape)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.base.__whole__().numbers())

    def __getitem__(self, index: Any) -> Any:
        return sliced(reshaped_to(self.base, (len(self),)), index)

    def __setitem__(self, index: Any, value: Any) -> None:
        put(self.base, np.arange(len(self))[index], value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(list(self), object if dtype is None else dtype)
