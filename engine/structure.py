"""Take nested lists, tuples, dicts and NumPy arrays of numbers apart, and put results together in the same shape."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .primitive import describe, to_float


@dataclass(frozen=True)
class Structure:
    """Describe a nested structure without its numbers.

    `kind` is "number", "array", "list", "tuple", "dict" or "none"; `keys` are those of a dict, `shape` that of an
    array, `parts` what stands inside.
    """

    kind: str
    parts: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()
    shape: tuple[int, ...] = ()

    @functools.cached_property
    def size(self) -> int:
        """How many numbers it holds."""
        if self.kind == "number":
            return 1
        count = 1
        for length in self.shape:
            count *= length
        return count if self.kind == "array" else sum(part.size for part in self.parts)

    def units(self) -> Iterator[Structure]:
        """Yield the numbers and arrays in order: what a block of a Jacobian belongs to."""
        if self.kind in ("number", "array"):
            yield self
        for part in self.parts:
            yield from part.units()

    def __str__(self) -> str:
        if self.kind == "number":
            return "number"
        if self.kind == "array":
            return f"array{list(self.shape)}"
        if self.kind == "dict":
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(self.keys, self.parts, strict=True)) + "}"
        alike = len(self.parts) > 8 and all(part == self.parts[0] for part in self.parts)
        inside = f"{self.parts[0]} × {len(self.parts)}" if alike else ", ".join(map(str, self.parts))
        return f"[{inside}]" if self.kind == "list" else f"({inside}{',' if len(self.parts) == 1 else ''})"


NUMBER = Structure("number")


def flatten(tree: Any, function: str, name: str) -> tuple[list[Any], Structure]:
    """List the numbers of a nested structure, and describe it; `TypeError` names what is no number.

    Vars and other number types stay as they are, all else becomes a float.

    >>> numbers, structure = flatten({"a": [1, 2.5], "b": 3}, "f", "x")
    >>> numbers, str(structure)
    ([1.0, 2.5, 3.0], "{'a': [number, number], 'b': number}")
    """
    numbers: list[Any] = []
    return numbers, _flatten(tree, function, name, numbers)


def _flatten(tree: Any, function: str, name: str, numbers: list[Any]) -> Structure:
    if type(tree) is float or hasattr(type(tree), "__apply__"):
        numbers.append(tree)
        return NUMBER
    if isinstance(tree, (list, tuple)):
        if hasattr(tree, "_fields"):
            raise TypeError(f"{function} expected lists, tuples, dicts or arrays but got {describe(name, tree)}")
        if all_numbers(tree):
            numbers.extend(tree)
            return Structure("list" if isinstance(tree, list) else "tuple", (NUMBER,) * len(tree))
        parts = tuple(_flatten(item, function, f"{name}[{k}]", numbers) for k, item in enumerate(tree))
        return Structure("list" if isinstance(tree, list) else "tuple", parts)
    if isinstance(tree, dict):
        parts = tuple(_flatten(item, function, f"{name}[{key!r}]", numbers) for key, item in tree.items())
        return Structure("dict", parts, tuple(tree))
    shape = getattr(tree, "shape", None)
    if shape:
        items = _items(tree)
        if not all_numbers(items):
            items = [item if hasattr(type(item), "__apply__") else to_float(item, function, name) for item in items]
        numbers.extend(items)
        return Structure("array", shape=tuple(shape))
    numbers.append(to_float(tree, function, name))
    return NUMBER


def all_numbers(items: Iterable[Any]) -> bool:
    """Tell whether all items are floats, Vars and the like; a long list takes nanoseconds for each."""
    return all(kind is float or hasattr(kind, "__apply__") for kind in set(map(type, items)))


def _items(array: Any) -> Iterable[Any]:
    """List the numbers of an array, as floats where they are doubles."""
    double = array.dtype.kind == "f" and array.dtype.itemsize == 8
    items: Iterable[Any] = array.ravel().tolist() if double or array.dtype.kind == "O" else list(array.flat)
    return items


def unflatten(structure: Structure, numbers: Sequence[Any]) -> Any:
    """Put numbers together as `structure` says; arrays are of floats, or of objects where there are Vars.

    >>> unflatten(flatten(({"a": 1},), "f", "x")[1], [5.0])
    ({'a': 5.0},)
    """
    return _unflatten(structure, iter(numbers))


def _unflatten(structure: Structure, numbers: Iterator[Any]) -> Any:
    if structure.kind == "number":
        return next(numbers)
    if structure.kind == "array":
        return array_of(list(itertools.islice(numbers, structure.size)), structure.shape)
    if structure.kind != "dict" and structure.parts.count(NUMBER) == len(structure.parts):
        flat = itertools.islice(numbers, len(structure.parts))
        return list(flat) if structure.kind == "list" else tuple(flat)
    items = [_unflatten(part, numbers) for part in structure.parts]
    if structure.kind == "dict":
        return dict(zip(structure.keys, items, strict=True))
    return items if structure.kind == "list" else tuple(items)


def array_of(numbers: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Make a NumPy array of that shape; NumPy is loaded, since only an array asks for one."""
    numpy = sys.modules["numpy"]
    if set(map(type, numbers)) <= {float}:
        return numpy.array(numbers, float).reshape(shape)
    # Other ways look into each number, for a sequence.
    return numpy.fromiter(numbers, object, len(numbers)).reshape(shape)


def blocks(rows: Structure, columns: Structure, matrix: Sequence[Sequence[Any]]) -> Any:
    """Arrange a matrix of derivatives as the structure of the result, each part holding that of the argument.

    Where both parts are arrays or numbers, the block has the shape of the one followed by that of the other.

    >>> two = flatten([0, 0], "f", "x")[1]
    >>> blocks(NUMBER, two, [[1.0, 2.0]]), blocks(two, two, [[1.0, 2.0], [3.0, 4.0]])
    ([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]])
    """
    return _rows(rows, columns, matrix, iter(range(rows.size)))


def _rows(rows: Structure, columns: Structure, matrix: Sequence[Sequence[Any]], places: Iterator[int]) -> Any:
    if rows.kind in ("number", "array"):
        own = [matrix[next(places)] for _ in range(rows.size)]
        return _columns(rows, columns, own, iter(range(columns.size)))
    items = [_rows(part, columns, matrix, places) for part in rows.parts]
    if rows.kind == "dict":
        return dict(zip(rows.keys, items, strict=True))
    return items if rows.kind == "list" else tuple(items)


def _columns(unit: Structure, columns: Structure, own: Sequence[Sequence[Any]], places: Iterator[int]) -> Any:
    if columns.kind in ("number", "array"):
        chosen = [next(places) for _ in range(columns.size)]
        numbers = [row[place] for row in own for place in chosen]
        shape = unit.shape + columns.shape
        return array_of(numbers, shape) if shape else numbers[0]
    items = [_columns(unit, part, own, places) for part in columns.parts]
    if columns.kind == "dict":
        return dict(zip(columns.keys, items, strict=True))
    return items if columns.kind == "list" else tuple(items)
