"""Where the values of a program with loops are stored in memory."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

from ....programs import Part, Shape, contiguous, seen_through, size_of, whole


class Spot(NamedTuple):
    """Where a number or an array is stored, in bytes from a pointer.

    `base` is the pointer as LLVM IR writes it. A number is one for all lanes; or, if `wide`, a vector; or, with
    `lane`, one for each lane, so many bytes apart. A wide spot with `fold` is a sum over a shorter vector of so
    many lanes, to which parts of longer ones are added. The numbers of an array are alike, with `strides` in bytes
    along the axes of its `shape`.
    """

    base: str
    offset: int
    wide: bool = False
    lane: int = 0
    fold: int = 0
    shape: Shape = ()
    strides: tuple[int, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether lanes differ."""
        return self.wide or self.lane != 0

    def moved(self, base: str, offset: int) -> Spot:
        """Return the spot relative to another pointer."""
        return self._replace(base=base, offset=offset)

    def further(self, distance: int) -> Spot:
        """Return the spot so many bytes on."""
        return self._replace(offset=self.offset + distance)

    def row(self) -> tuple[Spot, int]:
        """Return where the first row of an array stands, and how many bytes it is to the next.

        >>> Spot("%r0", 8, shape=(5, 3), strides=(24, 8)).row()[1]
        24
        """
        return self._replace(shape=self.shape[1:], strides=self.strides[1:]), self.strides[0]

    def in_rows_of(self, count: int) -> Spot:
        """Return an array as one of groups of so many rows."""
        length, step = self.shape[0], self.strides[0]
        return self._replace(
            shape=(length // count, count, *self.shape[1:]), strides=(step * count, step, *self.strides[1:])
        )

    def part(self, part: Part) -> Spot | None:
        """Return where a part of an array stands, unless no strides give it."""
        if not part.shape:  # a number, of which there may be thousands
            place, offset = part.start, self.offset
            for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
                place, index = divmod(place, length)
                offset += index * stride
            return Spot(self.base, offset, self.wide, self.lane, self.fold)
        axes = merged(self.shape, self.strides)
        shape, strides = tuple([length for length, _ in axes]), tuple([step for _, step in axes])
        found = seen_through(part, shape, self.offset, strides)
        return None if found is None else self._replace(offset=found[0], shape=part.shape, strides=found[1])

    def of_shape(self, shape: Shape) -> Spot | None:
        """Return the same numbers in another shape, unless no strides give it."""
        return self.part(whole(shape))


def merged(shape: Shape, *strides: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the length of each axis and its strides, with axes as one that are one in memory.

    >>> merged((2, 3, 4), (96, 32, 8), (200, 32, 8))
    [(2, 96, 200), (12, 8, 8)]
    """
    found: list[tuple[int, ...]] = []
    for length, *steps in zip(shape, *strides, strict=True):
        if length == 1:
            continue
        if found and found[-1][1:] == tuple([length * step for step in steps]):
            found[-1] = (found[-1][0] * length, *steps)
        else:
            found.append((length, *steps))
    return found


def in_order_of_memory(shape: Shape, strides: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the same for one array, with its axes in the order in which they lie, however it runs through them.

    >>> in_order_of_memory((3, 4), (8, 24))
    [(12, 8)]
    """
    order = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
    return merged(tuple([shape[axis] for axis in order]), tuple([strides[axis] for axis in order]))


class Sink(NamedTuple):
    """The target of an output: it is stored there or added to what is there; a carried one is written at the end."""

    spot: Spot
    adds: bool = False
    late: bool = False


def in_order(
    base: str, offset: int, shape: Shape, width: int, wide: bool = False, lane: int = 0, fold: int = 0
) -> Spot:
    """Return the spot of numbers side by side, each so many bytes wide."""
    strides = tuple([width * stride for stride in contiguous(shape)])
    return Spot(base, offset, wide, lane, fold, shape, strides)


def by_columns(base: str, offset: int, shape: Shape, width: int, wide: bool = False) -> Spot:
    """Return the spot of an array that has its rows' first numbers side by side, then their second ones, and so on."""
    strides = (width, *[width * shape[0] * stride for stride in contiguous(shape[1:])])
    return Spot(base, offset, wide, shape=shape, strides=strides)


def compact(base: str, offset: int, like: Spot, width: int) -> Spot:
    """Return the spot of numbers side by side whose axes follow each other as in another array.

    >>> compact("%r0", 0, Spot("%r1", 0, shape=(2, 3, 4), strides=(8, 640, 80)), 8).strides
    (8, 64, 16)
    """
    strides, step = [0] * len(like.shape), width
    for axis in sorted(range(len(like.shape)), key=lambda axis: (abs(like.strides[axis]), -axis)):
        strides[axis] = step
        step *= like.shape[axis]
    return Spot(base, offset, shape=like.shape, strides=tuple(strides))


def together(spots: Sequence[Spot], shape: Shape) -> Spot | None:
    """Return the array that numbers or rows are in order, if they stand at equal distances.

    >>> together([Spot("%r0", 8), Spot("%r0", 24), Spot("%r0", 40)], (3,)).strides
    (16,)
    """
    first = spots[0]
    step = spots[1].offset - first.offset if len(spots) > 1 else 0
    # Column by column, since there may be a million numbers.
    bases, offsets, *kinds = zip(*spots, strict=True)
    if not all(column.count(column[0]) == len(spots) for column in (bases, *kinds)):
        return None
    expected = range(first.offset, first.offset + step * len(spots), step) if step else [first.offset] * len(spots)
    if offsets != tuple(expected):
        return None
    found = first._replace(shape=(len(spots), *first.shape), strides=(step, *first.strides))
    return found if found.shape == shape else found.of_shape(shape)


class Room:
    """Allocate places in a frame of memory, in bytes; `size` is how much is needed."""

    def __init__(self) -> None:
        self.size = 0
        self._starts: list[int] = []
        self._free: dict[int, list[int]] = {}

    def block(self, size: int) -> int:
        """Return a new place, at a multiple of 64."""
        place = self.size
        self._starts.append(place)
        self.size += -(-size // 64) * 64
        return place

    def block_of(self, place: int) -> int:
        """Return the beginning of the block that contains a place."""
        return self._starts[bisect.bisect(self._starts, place) - 1]

    def slot(self, width: int) -> int:
        """Return a place for one number, beside others of the same width."""
        free = self._free.setdefault(width, [])
        if not free:
            start = self.block(max(64, width))
            free += range(start + max(64, width) - width, start - width, -width)
        return free.pop()


def size_in(spot: Spot) -> int:
    """Return how many numbers stand at a spot."""
    return size_of(spot.shape)
