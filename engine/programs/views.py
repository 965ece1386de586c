"""Arrays in programs: what takes them apart and puts them together, in one step each.

A value of a program is a number, or an array with a shape. Rows of the table and loops compute with numbers and arrays;
the two operations of this module, and the two of gathering.py, only say where numbers stand. `View` and `Place` are
each other's derivative, and so are `Gather` and `Scatter`. In machine code a view is another way to count the same
memory.

Outside of a trace an array is a list of its numbers, in order (the last index counts fastest).
"""

from __future__ import annotations

import bisect
import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..forking import kept
from ..operations import Primitive
from ..pickling import Reduced, pickled_as, unpickled

Shape = tuple[int, ...]


def size_of(shape: Shape) -> int:
    """Return how many numbers an array of this shape has; a number has one."""
    return math.prod(shape)


@functools.lru_cache(maxsize=1024)
def contiguous(shape: Shape) -> tuple[int, ...]:
    """Return the strides of an array whose numbers stand side by side.

    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


class Part(NamedTuple):
    """Some numbers of an array: index (i, j, ...) means number ``start + i * strides[0] + j * strides[1] + ...``."""

    start: int
    shape: Shape
    strides: tuple[int, ...]

    def places(self) -> Sequence[int]:
        """Return the place of each number, in order."""
        if self.is_contiguous:
            return range(self.start, self.start + size_of(self.shape))
        found = [self.start]
        for length, stride in zip(self.shape, self.strides, strict=True):
            found = [place + k * stride for place in found for k in range(length)]
        return found

    @property
    def is_contiguous(self) -> bool:
        """Whether the numbers stand side by side, in order."""
        return not self.shape or all(
            length == 1 or stride == own
            for length, stride, own in zip(self.shape, self.strides, contiguous(self.shape), strict=True)
        )


def whole(shape: Shape) -> Part:
    """Return the part that is a whole array."""
    return row_at(0, shape)


def row_at(k: int, shape: Shape) -> Part:
    """Return the part that is one row of an array of rows, each of this shape."""
    return Part(k * size_of(shape), shape, contiguous(shape))


def axes_in_order(shape: Shape, order: Sequence[int]) -> Part:
    """Return the part that is a whole array of a shape, with its axes in another order.

    >>> axes_in_order((2, 3), [1, 0])
    Part(start=0, shape=(3, 2), strides=(1, 3))
    """
    strides = contiguous(shape)
    return Part(0, tuple([shape[k] for k in order]), tuple([strides[k] for k in order]))


def seen_through(part: Part, of: Shape, start: int, strides: Sequence[int]) -> tuple[int, tuple[int, ...]] | None:
    """Find a part of an array that stands anywhere, index (i, j, ...) at ``start + i * strides[0] + ...``.

    Args:
        part: of an array of shape `of`, counted in order.
        of: the array's shape.
        start, strides: where the array stands, in any unit.

    Returns where the part starts, and its strides; None where no strides give it, as when rows that stand apart are
    joined.

    >>> seen_through(Part(1, (2,), (3,)), (2, 3), 100, (8, 80))  # column 1 of a transposed matrix
    (180, (8,))
    """
    if size_of(part.shape) == 0:
        return start, (0,) * len(part.shape)
    own = contiguous(of)
    if tuple(strides) == own:
        return start + part.start, part.strides
    low = part.start + sum(
        min(0, stride * (length - 1)) for length, stride in zip(part.shape, part.strides, strict=True)
    )
    digits = []
    for axis in own:
        digit, low = divmod(low, axis)
        digits.append(digit)
    most = list(digits)
    found = []
    begin = start + sum(digit * stride for digit, stride in zip(digits, strides, strict=True))
    for length, stride in zip(part.shape, part.strides, strict=True):
        rest, moved = abs(stride), 0
        if length == 1:
            found.append(0)
            continue
        for axis, unit in enumerate(own):
            digit, rest = divmod(rest, unit)
            most[axis] += digit * (length - 1)
            moved += digit * strides[axis]
        if stride < 0:
            begin += moved * (length - 1)
            moved = -moved
        found.append(moved)
    if any(digit >= length for digit, length in zip(most, of, strict=True)):
        return None
    return begin, tuple(found)


def regular(starts: Sequence[int], shape: Shape) -> Part | None:
    """Return the part whose numbers, in order, stand at these places, if strides give them."""
    strides = []
    step = 1
    for length in reversed(shape):
        strides.append(starts[step] - starts[0] if length > 1 else 0)
        step *= length
    part = Part(starts[0], shape, tuple(reversed(strides)))
    return part if list(part.places()) == list(starts) else None


class Structural(Primitive):
    """An operation that is no row of the table: it takes and gives values of any shape.

    Attributes:
        shapes: of its results.
    """

    shapes: tuple[Shape, ...]
    custom = False
    replay = record = fast = fast_type = None

    @property
    def argument_shapes(self) -> tuple[Shape, ...]:
        """The shape of each argument."""
        raise NotImplementedError

    def _begin(self, name: str, arity: int, shapes: tuple[Shape, ...]) -> None:
        self.name = self.__name__ = self.symbol = name
        self.arity, self.shapes, self.results = arity, shapes, len(shapes)

    def name_of(self, position: int) -> str:
        """Name one argument, for messages."""
        return f"value {position}"

    def _fields(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and hash(self) == hash(other) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return self._hash

    @kept
    def _hash(self) -> int:
        return hash((type(self).__name__, self._fields()))

    @kept
    def work(self) -> int:
        """Roughly how many operations a run takes."""
        return 0


class OfArrays(Structural):
    """An operation that gives one value, and only moves numbers."""

    @property
    def shape(self) -> Shape:
        """The shape of its result."""
        return self.shapes[0]

    def apply(self, args: tuple[Any, ...]) -> Any:
        """Return the result: a node if any number is traced, else a number or the list of an array's numbers."""
        taker = taker_of(args, "__apply_structure__")
        return self.on_lists(args) if taker is None else taker.__apply_structure__(self, args)

    def on_lists(self, args: Sequence[Any]) -> Any:
        """Return the result for arrays as lists of numbers."""
        raise NotImplementedError


def taker_of(args: Sequence[Any], method: str) -> Any:
    """Return the type of a number, also inside lists, that does an operation itself: the one of the highest rank."""
    kinds = set(map(type, args))
    if list in kinds:
        kinds.update(*[map(type, arg) for arg in args if type(arg) is list])
    takers = [kind for kind in kinds if hasattr(kind, method)]
    return max(takers, key=operator.attrgetter("__apply_rank__")) if takers else None


class View(OfArrays):
    """Look at some numbers of an array, where they stand.

    Args:
        of: the array's shape.
        part: which numbers, counted in order.
        stops: whether no derivative passes.
    """

    # Of all views alike: there may be one for each number of an array.
    name = symbol = __name__ = "view"

    def __init__(self, of: Shape, part: Part, stops: bool = False) -> None:
        self.arity, self.shapes = 1, (part.shape,)
        self.of, self.part, self.stops = of, part, stops

    @kept
    def is_all(self) -> bool:
        """Whether it looks at the whole array, as it is."""
        return self.part == whole(self.of)

    def on_lists(self, args: Sequence[Any]) -> Any:
        array = args[0]
        if not self.part.shape:
            return array[self.part.start]
        if self.part.is_contiguous:
            return array[self.part.start : self.part.start + size_of(self.part.shape)]
        return [array[k] for k in self.part.places()]

    @property
    def argument_shapes(self) -> tuple[Shape, ...]:
        """The shape of each argument."""
        return (self.of,)

    def after(self, other: View) -> View | None:
        """Return the view of what another looks at; None where it takes two."""
        found = seen_through(self.part, other.part.shape, other.part.start, other.part.strides)
        if found is None or other.stops != self.stops:
            return None
        return View(other.of, Part(found[0], self.part.shape, found[1]), self.stops)

    def _fields(self) -> tuple[Any, ...]:
        return self.of, self.part, self.stops

    def __repr__(self) -> str:
        return f"<view of {self.of}: {tuple(self.part)}>"

    def __reduce__(self) -> Reduced:
        return unpickled, ("view", self.of, tuple(self.part), self.stops)


@pickled_as("view")
def _view(of: Shape, part: Any, stops: bool) -> View:
    return View(of, Part(*part), stops)


@functools.lru_cache(maxsize=1 << 14)
def number_at(k: int) -> Part:
    """Return the part that is one number."""
    return Part(k, (), ())


def elements(of: Shape) -> Sequence[View]:
    """Return the views of each number of an array."""
    return _elements(of) if size_of(of) <= _KEPT else _elements.__wrapped__(of)


@functools.lru_cache(maxsize=32)
def _elements(of: Shape) -> tuple[View, ...]:
    return tuple([View(of, number_at(k)) for k in range(size_of(of))])


_KEPT = 4_096  # views of one array that are kept for others of its shape


class Place(OfArrays):
    """Put numbers and arrays into an array; where several meet they are added, where none is there is 0.

    Args:
        shape: the array's.
        parts: where each argument goes.
    """

    def __init__(self, shape: Shape, parts: Sequence[Part]) -> None:
        self._begin("place", len(parts), (shape,))
        self.parts = tuple(parts)
        self.__doc__ = "Put numbers and arrays into an array."

    def on_lists(self, args: Sequence[Any]) -> Any:
        if self.is_list:
            return list(args)
        if len(args) == 1 and self.parts[0] == whole(self.shape):
            return args[0]
        found: list[Any] = [None] * size_of(self.shape)
        for arg, part in zip(args, self.parts, strict=True):
            for place, number in zip(part.places(), arg if part.shape else (arg,), strict=True):
                before = found[place]
                found[place] = number if before is None else before + number
        return [0.0 if number is None else number for number in found]

    @property
    def argument_shapes(self) -> tuple[Shape, ...]:
        """The shape of each argument."""
        return tuple([part.shape for part in self.parts])

    @kept
    def is_list(self) -> bool:
        """Whether its arguments are the array's numbers, one by one."""
        return self.fills and not any(part.shape for part in self.parts)

    @kept
    def fills(self) -> bool:
        """Whether each argument stands side by side after the one before, so that together they are the array."""
        end = 0
        for start, shape, strides in self.parts:
            if start != end or (shape and not Part(start, shape, strides).is_contiguous):
                return False
            end += size_of(shape) if shape else 1
        return end == size_of(self.shape)

    def part_with(self, part: Part) -> tuple[int, int] | None:
        """Return which argument a part of the array is of, and where in it the part starts; None if of several."""
        if not self.fills or not size_of(part.shape):
            return None
        ends = [stride * (length - 1) for length, stride in zip(part.shape, part.strides, strict=True)]
        low = part.start + sum(min(0, end) for end in ends)
        which = bisect.bisect(self._starts, low) - 1
        own = self.parts[which]
        if part.start + sum(max(0, end) for end in ends) >= own.start + size_of(own.shape):
            return None
        return which, part.start - own.start

    @kept
    def _starts(self) -> list[int]:
        return [part.start for part in self.parts]

    def _fields(self) -> tuple[Any, ...]:
        return self.shape, self.parts

    def __repr__(self) -> str:
        return f"<place of {len(self.parts)} into {self.shape}>"

    def __reduce__(self) -> Reduced:
        return unpickled, ("place", self.shape, tuple(map(tuple, self.parts)))


@pickled_as("place")
def _place(shape: Shape, parts: Any) -> Place:
    return Place(shape, tuple([Part(*part) for part in parts]))
