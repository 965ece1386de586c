"""Take nested lists, tuples, dicts, dataclasses and arrays of numbers apart, and put results together in their shape.

None, strings and members of an `Enum` are no numbers: they are part of the structure, and come back as they are.
All fields of a dataclass are data, also those that its ``__init__`` does not take; what puts it together runs neither
``__init__`` nor ``__post_init__``.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..forking import kept
from ..pickling import Reduced, pickled_as, unpickled
from .csr import Places, Sparse
from .numbers import number_in, to_float
from .reading import held


@pickled_as("structure")
@dataclass(frozen=True)
class Structure:
    """Describe a nested structure without its numbers.

    `kind` is "number", "array", "list", "tuple", "dict", "record" (a named tuple or dataclass), "sparse", "none" or
    "constant" (a string or the like); `keys` are those of a dict, the names of a record's fields, or the one constant;
    `shape` is that of an array, `made` the class of a record or constant, or bool for an array of truth values that is
    an argument of compiled code, `places` where a sparse matrix has its
    numbers, `parts` what stands inside. An array that is `whole` is one value, any other as many as it has numbers;
    so are nested lists of numbers, whose `shape` then is how many there are.
    """

    kind: str
    parts: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()
    shape: tuple[int, ...] = ()
    made: Any = None
    places: Places | None = None
    whole: bool = False

    @kept
    def count(self) -> int:
        """The number of values in it: a whole array is one."""
        if self.whole:
            return 1
        if not self.parts:
            return self.size
        return len(self.parts) if self.of_numbers else sum(part.count for part in self.parts)

    @kept
    def size(self) -> int:
        """The number of numbers in it."""
        if self.kind == "number":
            return 1
        if self.places is not None:
            return self.places.size
        count = 1
        for length in self.shape:
            count *= length
        if self.kind == "array":
            return count
        return len(self.parts) if self.of_numbers else sum(part.size for part in self.parts)

    @property
    def of_numbers(self) -> bool:
        """Whether all its parts are numbers."""
        return self.parts.count(NUMBER) == len(self.parts)

    def __hash__(self) -> int:
        # By what a glance tells: there may be a million parts.
        return hash((self.kind, len(self.parts), self.keys, self.shape, self.made))

    def kinds(self) -> set[str]:
        """Return the kinds of all that it holds, its own among them."""
        return {self.kind}.union(*[part.kinds() for part in {id(part): part for part in self.parts}.values()])

    def build(self, items: Sequence[Any]) -> Any:
        """Build a container of this kind from its rebuilt parts."""
        if self.kind == "list":
            return list(items)
        if self.kind == "tuple":
            return tuple(items)
        if self.kind == "dict":
            return dict(zip(self.keys, items, strict=True))
        if self.kind == "record":
            return _record(self.made, dict(zip(self.keys, items, strict=True)))
        return self.keys[0] if self.kind == "constant" else None

    def __reduce__(self) -> Reduced:
        return unpickled, (
            "structure",
            self.kind,
            self.parts,
            self.keys,
            self.shape,
            self.made,
            self.places,
            self.whole,
        )

    def leaves(self) -> Iterator[Structure]:
        """Yield the structure of each value."""
        if self.kind == "number" or self.whole:
            yield self
        elif self.parts:
            for part in self.parts:
                yield from part.leaves()
        else:
            yield from [NUMBER] * self.size

    def truths(self, start: int = 0) -> Iterator[int]:
        """Yield the places, counted from `start`, of the values that are truth values, or arrays of them."""
        if self.kind == "array":
            yield from range(start, start + self.count) if self.made is bool else ()
        elif not self.of_numbers:
            for part in self.parts:
                yield from part.truths(start)
                start += part.count

    def without_truths(self) -> Structure:
        """Return the structure in which arrays of truth values are arrays like others."""
        if self.kind == "array":
            return replace(self, made=None)
        if self.of_numbers:
            return self
        return replace(self, parts=tuple([part.without_truths() for part in self.parts]))

    def in_numbers(self) -> Structure:
        """Return the structure in which no array is whole."""
        if self.whole:
            return replace(self, whole=False, shape=self.shape if self.kind == "array" else ())
        if not any(part.has_whole for part in self.parts):
            return self
        return replace(self, parts=tuple([part.in_numbers() for part in self.parts]))

    def in_arrays(self, least: int) -> Structure:
        """Return the structure in which arrays of so many numbers and more are whole."""
        if self.kind == "array":
            return replace(self, whole=True) if self.size >= least and not self.whole else self
        if self.of_numbers or self.whole:
            return self
        parts = [part.in_arrays(least) if part.parts or part.kind == "array" else part for part in self.parts]
        if all(new is old for new, old in zip(parts, self.parts, strict=True)):
            return self
        return replace(self, parts=tuple(parts))

    def in_lists(self, least: int) -> Structure:
        """Return the structure in which nested lists of so many numbers and more are whole."""
        if self.whole or self.size < least:
            return self
        if self.kind in ("list", "tuple") and self.kinds() <= {"list", "tuple", "number"}:
            return replace(self, whole=True, shape=(self.size,))
        parts = [part.in_lists(least) for part in self.parts]
        if all(new is old for new, old in zip(parts, self.parts, strict=True)):
            return self
        return replace(self, parts=tuple(parts))

    def lists_apart(self) -> Structure:
        """Return the structure in which no list is whole."""
        if self.parts and self.whole:
            return self.in_numbers()
        return replace(self, parts=tuple([part.lists_apart() for part in self.parts])) if self.has_whole else self

    @kept
    def has_whole(self) -> bool:
        """Whether any array in it is whole."""
        return self.whole or (not self.of_numbers and any(part.has_whole for part in self.parts))

    def units(self) -> Iterator[Structure]:
        """Yield the numbers, arrays and sparse matrices in order; each has a block of the Jacobian."""
        if self.kind in ("number", "array", "sparse"):
            yield self
        for part in self.parts:
            yield from part.units()

    def __str__(self) -> str:
        if self.kind == "number":
            return "number"
        if self.whole and self.kind == "array":
            return f"[{' × '.join(map(str, ('number', *self.shape)))}]"
        if self.kind == "array":
            return f"array{list(self.shape)}"
        if self.places is not None:
            return f"sparse{list(self.places.shape)} of {self.size} numbers"
        if self.kind == "dict":
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(self.keys, self.parts, strict=True)) + "}"
        if self.kind == "record":
            fields = [f"{key}={part}" for key, part in zip(self.keys, self.parts, strict=True)]
            return f"{self.made.__name__}({', '.join(fields)})"
        if self.kind in ("none", "constant"):
            return repr(self.build(()))
        alike = len(self.parts) > 8 and all(part == self.parts[0] for part in self.parts)
        inside = f"{self.parts[0]} × {len(self.parts)}" if alike else ", ".join(map(str, self.parts))
        return f"[{inside}]" if self.kind == "list" else f"({inside}{',' if len(self.parts) == 1 else ''})"


NUMBER = Structure("number")
NONE = Structure("none")


def constant(value: Any) -> Structure:
    """Describe something that is not a number and is returned unchanged."""
    # A member of an Enum may equal a string.
    return NONE if value is None else Structure("constant", keys=(value,), made=type(value))


def flatten(
    tree: Any, function: str, name: str, others: bool = False, least: float = math.inf
) -> tuple[list[Any], Structure]:
    """List the numbers of a nested structure and describe it; a `TypeError` names anything that is not a number.

    Vars and other number types stay as they are, all else becomes a float. With `others`, what is no number is a
    constant of the structure, whatever it is. An array of at least so many plain numbers as `least` says is whole: one
    value, itself an array of doubles.

    >>> numbers, structure = flatten({"a": [1, 2.5], "b": 3}, "f", "x")
    >>> numbers, str(structure)
    ([1.0, 2.5, 3.0], "{'a': [number, number], 'b': number}")
    """
    numbers: list[Any] = []
    return numbers, _flatten(tree, function, name, numbers, others, least)


def _flatten(tree: Any, function: str, name: str, numbers: list[Any], others: bool, least: float) -> Structure:
    if type(tree) is float or hasattr(type(tree), "__apply__"):
        numbers.append(tree)
        return NUMBER
    if hasattr(type(tree), "__whole__"):
        numbers.append(tree.__whole__())
        return Structure("array", shape=tree.shape, whole=True)
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        kind = "list" if isinstance(tree, list) else "tuple"
        if all_numbers(tree):
            numbers.extend(tree)
            return Structure(kind, (NUMBER,) * len(tree))
        parts = tuple([_flatten(item, function, f"{name}[{k}]", numbers, others, least) for k, item in enumerate(tree)])
        return Structure(kind, parts)
    if isinstance(tree, Sparse):
        if hasattr(type(tree.numbers), "__whole__"):
            numbers.append(tree.numbers)
            return Structure("sparse", shape=(tree.places.size,), places=tree.places, whole=True)
        numbers.extend(tree.numbers)
        return Structure("sparse", places=tree.places)
    if isinstance(tree, dict):
        own = [_flatten(item, function, f"{name}[{key!r}]", numbers, others, least) for key, item in tree.items()]
        return Structure("dict", tuple(own), tuple(tree))
    tree = number_in(tree)
    if hasattr(type(tree), "__apply__"):
        numbers.append(tree)
        return NUMBER
    if is_constant(tree):
        return constant(tree)
    keys = record_fields(tree)
    if keys is not None:
        own = [_flatten(getattr(tree, key), function, f"{name}.{key}", numbers, others, least) for key in keys]
        return Structure("record", tuple(own), keys, made=type(tree))
    try:
        return _flatten_held(tree, function, name, numbers, others, least)
    except TypeError:
        if others:
            return constant(tree)
        raise


def _flatten_held(tree: Any, function: str, name: str, numbers: list[Any], others: bool, least: float) -> Structure:
    found = held(tree, function, name)
    if isinstance(found, list):
        return _flatten(found, function, name, numbers, others, least)
    shape = getattr(found, "shape", None)
    if shape and found.size >= least and found.dtype.kind in "fiub" and found.dtype.itemsize <= 8:
        numbers.append(found.astype(float, order="C", copy=False))
        return Structure("array", shape=tuple(shape), whole=True)
    if shape:
        items = _items(found)
        if not all_numbers(items):
            items = [item if hasattr(type(item), "__apply__") else to_float(item, function, name) for item in items]
        numbers.extend(items)
        return Structure("array", shape=tuple(shape))
    numbers.append(to_float(tree, function, name))
    return NUMBER


def is_constant(value: Any) -> bool:
    """Return whether something is kept unchanged: None, a string, a member of an `Enum` that is not a number."""
    if not isinstance(value, (str, enum.Enum)):
        return value is None
    return not isinstance(value, (int, float))


def record_fields(value: Any) -> tuple[str, ...] | None:
    """Name the fields of a named tuple or dataclass; None for anything else."""
    if isinstance(value, tuple):
        return getattr(value, "_fields", None)
    if not hasattr(type(value), "__dataclass_fields__"):
        return None
    return tuple([field.name for field in dataclasses.fields(value)])


def _record(kind: Any, fields: dict[str, Any]) -> Any:
    """Make a named tuple or dataclass without its ``__init__``, which may refuse a gradient, or no number yet."""
    if issubclass(kind, tuple):
        return kind._make(fields.values())
    made = object.__new__(kind)
    for name, item in fields.items():
        object.__setattr__(made, name, item)  # frozen ones, too
    return made


def all_numbers(items: Iterable[Any]) -> bool:
    """Return whether all items are floats, Vars and the like; a long list takes nanoseconds for each."""
    return all(kind is float or hasattr(kind, "__apply__") for kind in set(map(type, items)))


def _items(array: Any) -> Iterable[Any]:
    """List the numbers of an array, as floats where they are doubles."""
    double = array.dtype.kind == "f" and array.dtype.itemsize == 8
    items: Iterable[Any] = array.ravel().tolist() if double or array.dtype.kind == "O" else list(array.flat)
    return items


def unflatten(structure: Structure, numbers: Sequence[Any]) -> Any:
    """Build a nested structure from numbers; arrays hold floats, or objects if there are Vars.

    >>> unflatten(flatten(({"a": 1},), "f", "x")[1], [5.0])
    ({'a': 5.0},)
    """
    return _unflatten(structure, iter(numbers))


def _unflatten(structure: Structure, numbers: Iterator[Any]) -> Any:
    if structure.kind == "number":
        return next(numbers)
    if structure.whole and structure.places is not None:
        return structure.places.array(next(numbers))
    if structure.whole and structure.parts:
        found = next(numbers)
        own = found if type(found) is list else found.numbers() if hasattr(found, "numbers") else found.tolist()
        return _unflatten(structure.in_numbers(), iter(own))
    if structure.whole:
        found = next(numbers)
        return array_of(found, structure.shape) if type(found) is list else found
    if structure.kind == "array":
        return array_of(list(itertools.islice(numbers, structure.size)), structure.shape)
    if structure.places is not None:
        return structure.places.array(list(itertools.islice(numbers, structure.size)))
    if structure.of_numbers:
        return structure.build(list(itertools.islice(numbers, len(structure.parts))))
    return structure.build([_unflatten(part, numbers) for part in structure.parts])


def leaves(tree: Any, structure: Structure) -> Iterator[Any]:
    """Yield the leaf given in place of each number; None for each number of an array."""
    if structure.kind == "number":
        yield tree
    elif structure.kind == "array":
        yield from [None] * structure.count
    else:
        keys: Iterable[Any] = structure.keys if structure.kind == "dict" else range(len(structure.parts))
        if structure.kind == "record":
            tree = [getattr(tree, key) for key in structure.keys]
        for key, part in zip(keys, structure.parts, strict=False):
            yield from leaves(tree[key], part)


_array_class: Callable[[], Any]  # operations.methods gives it


def use_arrays(array_class: Callable[[], Any]) -> None:
    """Set how the class of arrays that hold Vars is found, whose functions are rows: it needs NumPy, so when asked."""
    global _array_class
    _array_class = array_class


def array_of(numbers: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Make a NumPy array of that shape; NumPy is loaded already, since only an array leads here."""
    numpy = sys.modules["numpy"]
    if set(map(type, numbers)) <= {float}:
        return numpy.array(numbers, float).reshape(shape)
    # Other ways look into each number, for a sequence.
    found = numpy.fromiter(numbers, object, len(numbers)).reshape(shape)
    return found.view(_array_class())
