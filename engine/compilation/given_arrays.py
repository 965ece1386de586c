"""Put results of a compiled function into arrays that the caller gives, so that large ones are not made anew."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from ..backends import buffers
from ..data import Structure, record_fields
from ..errors import describe
from ..floats import DOUBLE, Format

_memory = (ctypes.c_char * 0).from_buffer  # a fifth of the time that NumPy takes to describe an array
_Name = Callable[[], str]  # of a part, which only errors ask for


def _out() -> str:
    return "out"


def _result() -> str:
    return "result"


class Given:
    """Hold what a call got as ``out``: for each number or array of the result an array, or None.

    Args:
        out: in the structure of the result, arrays of a format, contiguous and writable. None stands for a part that is
            made anew, as numbers are that are no batch's: anything may stand there.
        result: the structure of the result.
        rows: how many samples have results of their own, None without a batch or with a reduction.
        format: of the numbers.

    Errors: `TypeError` for another structure or kind of array, `ValueError` for other shapes, and arrays that overlap.
    """

    def __init__(self, out: Any, result: Structure, rows: int | None, format: Format = DOUBLE) -> None:
        self.result, self.format = result, format
        self.dtype = _dtype(format)
        self.lead = () if rows is None else (rows,)
        self.arrays: list[Any] = []
        self._take(out, result, _out)
        given = [array for array in self.arrays if array is not None]
        bounds = sorted([(_address(array), array.nbytes) for array in given]) if len(given) > 1 else []
        if any(start + size > after for (start, size), (after, _) in pairwise(bounds)):
            raise ValueError(
                "out expected arrays that do not overlap but got some that share memory; pass one for each"
            )

    def _take(self, out: Any, result: Structure, name: _Name) -> None:
        """Add the arrays that stand for the numbers and arrays of a part of the result."""
        kind = result.kind
        if kind == "number" and not self.lead:
            self.arrays.append(None)
        elif out is None:
            self.arrays += [None] * len([*result.units()])
        elif kind in ("number", "array"):
            self.arrays.append(self._checked(out, (*self.lead, *result.shape), name))
        elif result.places is not None:
            raise TypeError(
                f"{name()} expected None in the place of a sparse matrix, which is made anew, "
                f"but got {_told(name, out)}"
            )
        elif result.parts:
            for k, (item, part) in enumerate(zip(_items(out, result, name), result.parts, strict=True)):
                self._take(item, part, lambda k=k: f"{name()}{_labels(result)[k]}")  # type: ignore[misc]

    def _checked(self, array: Any, shape: tuple[int, ...], name: _Name) -> Any:
        flags = array.flags if type(array) is buffers.ARRAY else None
        if flags is not None and array.dtype is self.dtype and array.shape == shape and flags.carray:
            return array
        if type(array) is not buffers.ARRAY or array.dtype != self.dtype or not array.dtype.isnative:
            kind = "doubles" if self.format is DOUBLE else self.format.name
            raise TypeError(f"{name()} expected an array of {kind} of shape {shape} but got {_told(name, array)}")
        if array.shape != shape:
            raise ValueError(f"{name()} expected an array of shape {shape} but got one of shape {array.shape}")
        if not array.flags.c_contiguous or not array.flags.writeable:
            wrong = "one that is read-only" if array.flags.c_contiguous else f"one with strides {array.strides}"
            raise ValueError(f"{name()} expected a contiguous array that may be written to but got {wrong}")
        return array

    def memory(self, units: Sequence[tuple[int, int]], arguments: Sequence[Any]) -> Any:
        """Return the memory that a kernel may write all its results to, None where results have to be copied.

        That is the one array of the result, or what an earlier call's result lies in.

        Args:
            units: where each number or array starts among a sample's numbers, and how many it has.
            arguments: what the kernel reads.
        """
        n = self.lead[0] if self.lead else 1
        given = [(array, start) for array, (start, _) in zip(self.arrays, units, strict=True) if array is not None]
        numbers = 0 if self.lead else sum(part.kind == "number" for part in self.result.units())
        if not given or len(given) + numbers < len(units):
            return None
        whole = given[0][0]
        if len(units) > 1:
            whole = whole.base
        size = n * sum([size for _, size in units])
        if type(whole) is not buffers.ARRAY or whole.dtype != self.dtype or whole.size != size:
            return None
        if not whole.flags.c_contiguous or not whole.flags.writeable:
            return None
        first = _address(whole)
        if any(_address(array) != first + self.format.size * n * start for array, start in given if array.size):
            return None
        if any(buffers.np.may_share_memory(whole, argument) for argument in arguments):
            return None  # arguments are read while results are written
        return whole.reshape(-1)

    def filled(self, found: Any, written: bool = False) -> Any:
        """Return a result with the given arrays in their places; what it holds is copied to them unless it was."""
        return self._filled(found, self.result, iter(self.arrays), written)

    def _filled(self, found: Any, result: Structure, arrays: Iterator[Any], written: bool) -> Any:
        if result.kind in ("number", "array", "sparse"):
            array = next(arrays)
            if array is None:
                return found
            if not written:
                array[...] = found
            return array
        items = _items(found, result, _result) if result.parts else ()
        parts = zip(items, result.parts, strict=True)
        return result.build([self._filled(item, part, arrays, written) for item, part in parts])


def _items(tree: Any, structure: Structure, name: _Name) -> Sequence[Any]:
    """List what a list, tuple, dict or record of this structure holds."""
    kind, keys = structure.kind, structure.keys
    if kind == "record" and type(tree) is structure.made:
        return [getattr(tree, key) for key in record_fields(tree) or ()]
    if kind == "dict" and isinstance(tree, dict) and set(tree) == set(keys):
        return [tree[key] for key in keys]
    wanted = {"list": list, "tuple": tuple}.get(kind)
    if wanted is None or not isinstance(tree, wanted) or len(tree) != len(structure.parts):
        raise TypeError(f"{name()} expected the structure of the result, {structure}, but got {_told(name, tree)}")
    return tree


def _labels(structure: Structure) -> list[str]:
    if structure.kind == "record":
        return [f".{key}" for key in structure.keys]
    return [f"[{key!r}]" for key in structure.keys or range(len(structure.parts))]


def _told(name: _Name, value: Any) -> str:
    if type(value) is buffers.ARRAY:
        return f"an array of {value.dtype} of shape {value.shape}"
    return describe(name(), value)


@cache
def _dtype(format: Format) -> Any:
    return buffers.np.dtype(format.name)


def _address(array: Any) -> int:
    """Return where the numbers of an array that may be written to begin."""
    return ctypes.addressof(_memory(array))
