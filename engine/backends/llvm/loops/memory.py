"""Say where the numbers of a program with loops stand in memory, and which of them differ from lane to lane."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

from ....programs.loop import WHILE, Loop
from ....programs.program import Program


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
        """Return a place for one number, perhaps one that was given back."""
        free = self._free.setdefault(width, [])
        if not free:
            start = self.block(max(64, width))
            free += range(start + max(64, width) - width, start - width, -width)
        return free.pop()

    def give_back(self, place: int, width: int) -> None:
        """Say that a slot may be used again."""
        self._free.setdefault(width, []).append(place)


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


def differing(program: Program, inputs: Sequence[bool]) -> list[bool]:
    """Tell of each value whether it differs from lane to lane where these inputs do."""
    flags = [*inputs, *[False] * len(program.constants)]
    for op, args in program.steps:
        if isinstance(op, Loop):
            flags += results_differ(op, inputs_differ(op, [flags[k] for k in args]))
        else:
            flags.append(any(flags[k] for k in args))
    return flags


def inputs_differ(loop: Loop, args: Sequence[bool], rows: bool = False) -> list[bool]:
    """Tell of each input of a loop's body whether it differs from lane to lane; `rows` says that all rows do."""
    start = loop.carry + loop.length * loop.rows
    flags = list(args[: loop.carry])
    flags += [True] * loop.rows if rows else [any(loop.column(args, j)) for j in range(loop.rows)]
    flags += args[start:]
    while True:
        found = _outputs(loop.body, flags)
        grown = [flag or (k < loop.carry and found[k]) for k, flag in enumerate(flags)]
        if loop.kind == WHILE and (any(grown[: loop.carry]) or _outputs(loop.condition, flags)[0]):
            # Lanes end at different times.
            grown[: loop.carry] = [True] * loop.carry
        if grown == flags:
            return flags
        flags = grown


def results_differ(loop: Loop, inputs: Sequence[bool]) -> list[bool]:
    """Tell of each result of a loop whether it differs, from the flags of its body's inputs."""
    found = _outputs(loop.body, inputs)
    end = loop.carry + loop.stacked
    return [*inputs[: loop.carry], *found[loop.carry : end] * loop.length, *found[end:]]


def _outputs(program: Program, inputs: Sequence[bool]) -> list[bool]:
    flags = differing(program, inputs)
    return [flags[k] for k in program.outputs]
