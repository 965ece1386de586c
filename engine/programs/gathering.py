"""Read rows of an array by index, and add rows to one: where they stand, numbers tell that a program computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..operations import use_row_at
from ..pickling import Reduced, pickled_as, unpickled
from .views import OfArrays, Shape, elements, size_of


def _row_at(index: Any, count: int) -> int | None:
    """Return which row an index asks for, one below 0 from the end; None where there is none, or a fraction."""
    place = getattr(index, "value", index)
    place = int(place) if abs(place) <= count and place % 1.0 == 0.0 else count
    place = place + count if place < 0 else place
    return place if place < count else None


@pickled_as("gather")
class Gather(OfArrays):
    """Read rows of an array by whole numbers; a row that is not there is nan.

    Args:
        of: the array's shape; its rows are along the first axis.
        index: the shape of the numbers that say which rows.

    Its arguments are the array and the numbers; its result has the shape ``index + of[1:]``.
    """

    def __init__(self, of: Shape, index: Shape) -> None:
        self._begin("gather", 2, ((*index, *of[1:]),))
        self.of, self.index = of, index
        self.__doc__ = "Read rows of an array by whole numbers."

    @property
    def argument_shapes(self) -> tuple[Shape, ...]:
        """The shape of each argument."""
        return self.of, self.index

    def on_lists(self, args: Sequence[Any]) -> Any:
        array, index = args
        size = size_of(self.of[1:])
        found: list[Any] = []
        for number in index if self.index else (index,):
            row = _row_at(number, self.of[0])
            found += [math.nan] * size if row is None else array[row * size : (row + 1) * size]
        return found if self.shape else found[0]

    def _fields(self) -> tuple[Any, ...]:
        return self.of, self.index

    def __repr__(self) -> str:
        return f"<gather of {self.index} from {self.of}>"

    def __reduce__(self) -> Reduced:
        return unpickled, ("gather", self.of, self.index)


@pickled_as("scatter")
class Scatter(OfArrays):
    """Add rows to an array of zeros, at places given by whole numbers.

    It is the derivative of what `Gather` reads. That is nan where there is no row, and so it is here: a row for no
    place that holds anything but 0 makes all of the array nan.

    Args:
        shape: the array's; its rows are along the first axis.
        index: the shape of the numbers that say where rows go.

    Its arguments are the numbers and the rows, an array of shape ``index + shape[1:]``.
    """

    def __init__(self, shape: Shape, index: Shape) -> None:
        self._begin("scatter", 2, (shape,))
        self.index = index
        self.__doc__ = "Add rows to an array of zeros, at places given by whole numbers."

    @property
    def argument_shapes(self) -> tuple[Shape, ...]:
        """The shape of each argument."""
        return self.index, (*self.index, *self.shape[1:])

    def on_lists(self, args: Sequence[Any]) -> Any:
        index: Any = args[0]
        rows: Any = args[1]
        size = size_of(self.shape[1:])
        found: list[Any] = [0.0] * size_of(self.shape)
        if not (self.index or self.shape[1:]):
            index, rows = (index,), (rows,)
        elif not self.index:
            index = (index,)
        lost: list[Any] = []
        for k, number in enumerate(index):
            row = _row_at(number, self.shape[0])
            if row is None:
                lost += rows[k * size : (k + 1) * size]
                continue
            for j in range(size):
                found[row * size + j] = found[row * size + j] + rows[k * size + j]
        for number in lost:
            if getattr(number, "value", number) != 0.0:
                found = [item + math.nan * number for item in found]
        return found

    def _fields(self) -> tuple[Any, ...]:
        return self.shape, self.index

    def __repr__(self) -> str:
        return f"<scatter of {self.index} into {self.shape}>"

    def __reduce__(self) -> Reduced:
        return unpickled, ("scatter", self.shape, self.index)


def _row_of(numbers: list[Any], size: int, index: Any) -> list[Any]:
    """Return one of several rows of so many numbers each, by an index that is not known yet."""
    shape = (len(numbers) // size, *((size,) if size > 1 else ()))
    found = Gather(shape, ()).apply((numbers, index))
    return [item.apply((found,)) for item in elements((size,))] if size > 1 else [found]


use_row_at(_row_of)
