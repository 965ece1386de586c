"""Unpack the arguments of a compiled function: structure, batch, and numbers in contiguous memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from numbers import Real
from typing import Any

from ..backends import buffers
from ..data import NUMBER, Structure, arranged, constant, flatten, held, is_constant, record_fields, unflatten
from ..errors import describe
from ..floats import Format
from ..programs import function_name


class Argument:
    """One argument, unpacked: the structure of a sample, the number of samples, and the numbers."""

    def __init__(self, value: Any, batched: bool, name: str) -> None:
        self.value = value
        self.name = name
        self.rows: int | None = None
        self.spread = batched and _is_number(value)  # one number for all samples
        self.symbolic = False
        self.numbers: list[float] | None = None  # of a list of floats, or of lists of them: sample by sample
        self.samples: list[list[Any]] = []  # of what else is no array
        self.parts: list[Any] = []  # of a batch of arrays
        self.pieces: list[Any] = []  # of what is shared: arrays, and lists of the numbers between them
        if batched and not self.spread:
            self.structure = self._batch(value)
        else:
            self.structure = self._shared(value, name)
        lists = [piece for piece in self.pieces if type(piece) is list]
        self.symbolic = not kinds((*self.samples, *lists)) <= {float}
        # What `Compiled.__call__` asks by.
        is_plain = self.structure.kind in ("array", "number") and self.structure.made is None
        self.key = self.structure.shape if is_plain else self.structure

    def _shared(self, value: Any, name: str) -> Structure:
        """Unpack what all samples share; arrays of numbers stay whole."""
        whole = buffers.ARRAY
        if whole is not None and type(value) is whole and value.shape and value.dtype.kind in "fiub":
            self.pieces.append(value)
            return _array(value.shape, value.dtype)
        if type(value) in (list, tuple) and not kinds([value]).isdisjoint((whole, list, tuple, dict)):
            parts = tuple([self._shared(item, f"{name}[{k}]") for k, item in enumerate(value)])
            return Structure("list" if type(value) is list else "tuple", parts)
        if type(value) is dict:
            parts = tuple([self._shared(item, f"{name}[{key!r}]") for key, item in value.items()])
            return Structure("dict", parts, tuple(value))
        keys = record_fields(value)
        if keys is not None:
            parts = tuple([self._shared(getattr(value, key), f"{name}.{key}") for key in keys])
            return Structure("record", parts, keys, made=type(value))
        numbers, structure = flatten(value, "compile", name)
        self.pieces.append(numbers)
        return structure

    def _batch(self, value: Any) -> Structure:
        if is_constant(value):
            return constant(value)
        if isinstance(value, (memoryview, array)) and buffers.np is not None:
            value = buffers.np.asarray(value)
        value = held(value, "compile", self.name)
        shape = getattr(value, "shape", None)
        if shape is not None and not hasattr(type(value), "__apply__"):
            if value.dtype.kind not in "fiubO":
                raise TypeError(f"{self.name} expected an array of real numbers but got dtype {value.dtype}")
            own = _array(tuple(shape[1:]), value.dtype) if len(shape) > 1 else NUMBER
            self._count(shape[0], value.dtype.kind == "O")
            if value.dtype.kind == "O":
                self._take(value, own)
            else:
                self.parts.append(value)
            return own
        if isinstance(value, list):
            self._count(len(value), True)
            rows_are = kinds([value])
            if rows_are == {float}:
                self.numbers = value
                return NUMBER
            if rows_are == {list} and len(set(map(len, value))) == 1 and kinds(value) == {float}:
                self.numbers = list(chain.from_iterable(value))
                return Structure("list", (NUMBER,) * len(value[0]))
            return self._take(value)
        keys = record_fields(value)
        if keys is not None:
            parts = tuple([self._batch(getattr(value, key)) for key in keys])
            return Structure("record", parts, keys, made=type(value))
        if isinstance(value, tuple):
            return Structure("tuple", tuple([self._batch(part) for part in value]))
        if isinstance(value, dict):
            return Structure("dict", tuple([self._batch(part) for part in value.values()]), tuple(value))
        raise TypeError(
            f"{self.name} expected a batch (an array, a list of samples, or a tuple or dict of arrays) but got "
            f"{describe(self.name, value)}"
        )

    def _take(self, rows: Iterable[Any], structure: Structure | None = None) -> Structure:
        """Keep the numbers of samples of one structure: that of the first unless one is given."""
        found = [flatten(row, "compile", f"{self.name}[{k}]") for k, row in enumerate(rows)]
        expected = structure or (found[0][1] if found else NUMBER)
        for k, (numbers, own) in enumerate(found):
            sample = arranged(numbers, own, expected)
            if sample is None:
                where = " at 0" if structure is None else ""
                raise ValueError(
                    f"{self.name} expected samples of one structure but got {expected}{where} and {own} at {k}"
                )
            self.samples.append(list(sample))
        return expected

    def _count(self, rows: int, listed: bool) -> None:
        if self.rows is not None and self.rows != rows:
            raise ValueError(f"{self.name} expected parts with batches of one size but got {self.rows} and {rows}")
        if self.rows is not None and (listed or self.samples or not self.parts):
            raise TypeError(f"{self.name} expected arrays inside a tuple or dict of a batch but got a list")
        self.rows = rows

    def memory(self, n: int, own: Format) -> Any:
        """Return the numbers as contiguous memory."""
        if self.spread:
            return buffers.pack(self.pieces[0] * n, own)
        if self.rows is None:
            return buffers.chain(self.pieces, own)
        if self.numbers is not None:
            return buffers.pack(self.numbers, own)
        if not self.parts:
            return buffers.pack(list(chain.from_iterable(self.samples)), own)
        return buffers.convert(self.parts[0], own) if len(self.parts) == 1 else buffers.join(self.parts, n, own)

    def sample(self, k: int) -> list[Any]:
        """Return the numbers of one sample."""
        if self.rows is None:
            return [x for piece in self.pieces for x in (piece if type(piece) is list else piece.ravel().tolist())]
        if self.numbers is not None:
            size = self.structure.size
            return self.numbers[k * size : (k + 1) * size]
        return self.samples[k] if self.samples else [float(x) for part in self.parts for x in part[k : k + 1].flat]

    def tree(self, k: int) -> Any:
        """Return one sample in its structure; an array that is no batch is a copy."""
        if self.structure.kind == "array" and self.pieces and type(self.pieces[0]) is buffers.ARRAY:
            return self.pieces[0].astype(float, order="C")
        return unflatten(self.structure, self.sample(k))


def _array(shape: tuple[int, ...], dtype: Any) -> Structure:
    return Structure("array", shape=shape, made=bool if dtype.kind == "b" else None)


def samples_in(packed: Sequence[Argument], f: Callable[..., Any]) -> int:
    """Return how many samples the batches among the arguments of a function have, 1 where there is none."""
    n, first = 1, None
    for argument in packed:
        if argument.rows is not None:
            if first is not None and argument.rows != n:
                raise ValueError(
                    f"{function_name(f)} expected batches of one size but got {first.name} with {n} samples "
                    f"and {argument.name} with {argument.rows}"
                )
            n, first = argument.rows, argument
        elif argument.spread and first is None and not any(other.rows is not None for other in packed):
            raise TypeError(
                f"{argument.name} expected a batch (an array, a list of samples, or a tuple or dict of arrays), or "
                f"another argument with one, but got {describe(argument.name, argument.value)}"
            )
    return n


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) or hasattr(type(value), "__apply__") or getattr(value, "shape", None) == ()


def kinds(lists: Iterable[Iterable[Any]]) -> set[type]:
    """Return the types of all items of all lists, in 20 nanoseconds per item."""
    return set(map(type, chain.from_iterable(lists)))


def stacked(result: Structure, rows: Sequence[Sequence[Any]], place: list[int]) -> Any:
    """Return the results of all samples as arrays of objects, or as lists if the result has no arrays."""
    if result.places is not None:
        start, make = place[0], result.places.array
        place[0] += result.size
        return [make(row[start : place[0]]) for row in rows]
    if result.kind in ("number", "array"):
        start = place[0]
        place[0] += result.size
        columns = [row[start : place[0]] for row in rows]
        if buffers.ARRAY is None:
            return [column[0] for column in columns]
        numbers = [number for column in columns for number in column]
        return unflatten(Structure("array", shape=(len(rows), *result.shape)), numbers)
    return result.build([stacked(part, rows, place) for part in result.parts])
