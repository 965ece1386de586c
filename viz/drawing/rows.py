"""Cut a long drawing into rows, as lines of text are cut, where a single line leads from one column to the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from .columns import Band, Slot

_BETWEEN = 44.0  # rows
_ASIDE = 16.0  # how far the line to the next row goes past both ends of rows
_ROUND = 8.0  # the radius of its corners

Point = tuple[float, float]


class Rows:
    """Where each row begins and how far down it stands; `cuts` are the columns after which another begins."""

    def __init__(self, columns: Sequence[Sequence[Slot]], bands: Sequence[Band], longest: float) -> None:
        self.cuts: set[int] = set()
        self.starts = [0.0]
        possible: list[int] = []
        for number in range(1, len(columns) - 1):
            if bands[number].begin - self.starts[-1] > longest and possible:
                cut = possible[-1]
                self.cuts.add(cut)
                self.starts.append(bands[cut].end)
                possible = [other for other in possible if other > cut]
            if number < len(columns) - 2 and sum([len(slot.after) for slot in columns[number]]) == 1:
                possible.append(number)
        ends = [*sorted(self.cuts), len(columns) - 2]
        self.offsets, self.lanes = [0.0], [0.0]  # the lane of the line to a row, above it
        self.longest = 0.0
        bottom, first = 0.0, 1
        for row, last in enumerate(ends):
            slots = [slot for column in columns[first : last + 1] for slot in column]
            top = min([slot.v - slot.above for slot in slots], default=0.0)
            if row:
                self.offsets.append(bottom + _BETWEEN - top)
                self.lanes.append(bottom + _BETWEEN / 2)
            bottom = max([slot.v + slot.below for slot in slots], default=0.0) + self.offsets[row]
            self.longest = max(self.longest, bands[last].begin - self.starts[row])
            first = last + 1

    def at(self, point: Point) -> Point:
        """Return where a point of the long drawing stands in its row."""
        row = self._row(point)
        return point[0] - self.starts[row], point[1] + self.offsets[row]

    def joined(self, pieces: list[list[Point]]) -> list[Point]:
        """Return the curve through all pieces of a line, each of which lies in one row."""
        points = [self.at(point) for point in pieces[0]]
        for piece in pieces[1:]:
            (x, y), lane = points[-1], self.lanes[self._row(piece[0])]
            to_x, to_y = self.at(piece[0])
            corners = [(x, y), (x + _ASIDE, y), (x + _ASIDE, lane), (-_ASIDE, lane), (-_ASIDE, to_y), (to_x, to_y)]
            points += rounded(corners)
            points += [self.at(point) for point in piece[1:]]
        return points

    def _row(self, point: Point) -> int:
        return bisect_right(self.starts, point[0] + 1e-6) - 1


def rounded(corners: list[Point]) -> list[Point]:
    """Return the Bézier curves along a way with right angles, after its first point.

    >>> rounded([(0.0, 0.0), (30.0, 0.0)])
    [(10.0, 0.0), (20.0, 0.0), (30.0, 0.0)]
    """
    points: list[Point] = []
    before = corners[0]
    for (x, y), (next_x, next_y) in pairwise(corners[1:]):
        start = _towards((x, y), before)
        points += _straight(before, start)
        before = _towards((x, y), (next_x, next_y))
        points += [(x, y), (x, y), before]
    return points + _straight(before, corners[-1])


def _towards(corner: Point, other: Point) -> Point:
    """Return the point where a rounded corner begins."""
    way = abs(other[0] - corner[0]) + abs(other[1] - corner[1]) or 1.0
    share = min(_ROUND, way / 2) / way
    return corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share


def _straight(start: Point, end: Point) -> list[Point]:
    (x, y), (to_x, to_y) = start, end
    return [(x + (to_x - x) * k / 3, y + (to_y - y) * k / 3) for k in (1, 2, 3)]
