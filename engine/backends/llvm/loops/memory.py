"""Say where the numbers of a program with loops stand in memory."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple


class Spot(NamedTuple):
    """Say where one number stands, in bytes from a pointer.

    `base` is the pointer as LLVM IR writes it. A number is one double for all lanes; or, if `wide`, a vector; or, with
    `lane`, one double for each lane, so many bytes apart. A wide spot with `fold` is a sum over a shorter vector of so
    many lanes, to which parts of longer ones are added.
    """

    base: str
    offset: int
    wide: bool = False
    lane: int = 0
    fold: int = 0

    @property
    def varies(self) -> bool:
        """Whether lanes differ."""
        return self.wide or self.lane != 0

    def moved(self, base: str, offset: int) -> Spot:
        """Return the spot as seen from another pointer."""
        return Spot(base, offset, self.wide, self.lane, self.fold)

    def further(self, distance: int) -> Spot:
        """Return the spot so many bytes on."""
        return Spot(self.base, self.offset + distance, self.wide, self.lane, self.fold)


class Sink(NamedTuple):
    """Say where an output goes: it is stored there, or added to what stands there; at the end where it is carried."""

    spot: Spot
    adds: bool = False
    late: bool = False


class Room:
    """Hand out places in a frame of memory, in bytes; `size` is how much there must be."""

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
        """Return where the block begins that a place lies in."""
        return self._starts[bisect.bisect(self._starts, place) - 1]

    def slot(self, width: int) -> int:
        """Return a place for one number, beside others of the same width."""
        free = self._free.setdefault(width, [])
        if not free:
            start = self.block(max(64, width))
            free += range(start + max(64, width) - width, start - width, -width)
        return free.pop()


def progression(spots: Sequence[Spot]) -> int | None:
    """Return how many bytes each spot is behind the one before it, None where they do not stand at equal distances.

    >>> progression([Spot("%r0", 8), Spot("%r0", 24), Spot("%r0", 40)])
    16
    """
    first = spots[0]
    if len(spots) == 1:
        return 0
    step = spots[1].offset - first.offset
    # Column by column, since a loop may have a million iterations.
    bases, offsets, *kinds = zip(*spots, strict=True)
    regular = all(column.count(column[0]) == len(spots) for column in (bases, *kinds))
    expected = range(first.offset, first.offset + step * len(spots), step) if step else [first.offset] * len(spots)
    return step if regular and offsets == tuple(expected) else None
