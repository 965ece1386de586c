"""Arrays of constants, as bytes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from ..pickling import Reduced, pickled_as, unpickled
from .views import Part, Shape, View, size_of


@pickled_as("numbers")
class Numbers:
    """An array of constants in a program, compared by its bits.

    Args:
        data: the doubles, as bytes; nan counts as one number.
        shape: the array's.
    """

    __slots__ = ("_hash", "data", "shape")
    __apply_rank__ = 0

    def __init__(self, data: bytes, shape: Shape) -> None:
        self.data, self.shape = data, shape
        self._hash = hash((data, shape))

    @staticmethod
    def __apply_structure__(op: Any, args: Sequence[Any]) -> Any:
        """Return the result of an operation of views.py on constants alone."""
        return args[0].part(op.part) if type(op) is View else op.on_lists(_lists(args))

    @staticmethod
    def __apply_loop__(loop: Any, args: Sequence[Any]) -> list[Any]:
        """Return the results of a loop over constants alone."""
        found: list[Any] = loop.unroll(_lists(args))
        return found

    def __iter__(self) -> Iterator[float]:
        return iter(memoryview(self.data).cast("d"))

    def tolist(self) -> list[float]:
        """Return the numbers as a list."""
        return array("d", self.data).tolist()

    @staticmethod
    def of(found: Any) -> Numbers:
        """Return the numbers of a NumPy array; nobody lists them."""
        found = found.astype(float, copy=False)
        wrong = found != found
        if wrong.any():
            found = found.copy()
            found[wrong] = math.nan
        return Numbers(found.tobytes(), tuple(found.shape))

    def part(self, part: Part) -> Any:
        """Return a part: a number, or an array of constants."""
        own = memoryview(self.data).cast("d")
        if not part.shape:
            return own[part.start]
        if part.is_contiguous:
            return Numbers(self.data[8 * part.start : 8 * (part.start + size_of(part.shape))], part.shape)
        return Numbers(array("d", [own[k] for k in part.places()]).tobytes(), part.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and (self.data, self.shape) == (other.data, other.shape)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<numbers {list(self.shape)}>"

    def __reduce__(self) -> Reduced:
        return unpickled, ("numbers", self.data, self.shape)


def constants(numbers: Sequence[float], shape: Shape) -> Numbers:
    """Return an array of constants."""
    return Numbers(array("d", [x if x == x else math.nan for x in numbers]).tobytes(), shape)


def _lists(values: Sequence[Any]) -> list[Any]:
    return [value.tolist() if type(value) is Numbers else value for value in values]
