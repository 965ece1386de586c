"""The values of nested structures: number by number, or with arrays that are one value each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..data import NUMBER, Structure
from .tables import Numbers
from .views import Shape, size_of


def in_arrays(values: Sequence[Any], structure: Structure, expected: Structure) -> list[Any]:
    """Return values for a structure that has other arrays whole: of each of these the list of its numbers."""
    numbers = iter(in_numbers(values, structure))
    return [
        list(itertools.islice(numbers, size_of(leaf.shape))) if leaf.shape else next(numbers)
        for leaf in expected.leaves()
    ]


def in_numbers(values: Sequence[Any], structure: Structure) -> Iterator[Any]:
    """Yield the numbers of values, those of arrays in order."""
    for value, leaf in zip(values, structure.leaves(), strict=True):
        if leaf.shape:
            yield from value if type(value) is list else _numbers_in(value)
        else:
            yield value


def as_array(array: Any, traced: bool) -> Any:
    """Return an array as a program takes it: a list of numbers, beside traced ones a node or constants."""
    if hasattr(type(array), "__whole__"):
        return array
    return Numbers.of(array) if traced else array.ravel().tolist()


def _numbers_in(array: Any) -> Sequence[Any]:
    """List the numbers of a traced array, of constants, or of a NumPy array."""
    if hasattr(array, "numbers"):
        found: list[Any] = array.numbers()
        return found
    return array.tolist() if type(array) is Numbers else array.ravel().tolist()


def values_in_tuple(shapes: Iterable[Shape]) -> Structure:
    """Describe a tuple of values of these shapes."""
    return Structure(
        "tuple", tuple([Structure("array", shape=shape, whole=True) if shape else NUMBER for shape in shapes])
    )
