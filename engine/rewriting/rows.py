"""Where the numbers stand that the iterations of a map take: which come as one row, and how rows are put together.

A column has a value for each iteration. Columns of numbers that stand side by side, in one array or each iteration's in
an array of its own, are a block: the map gets its numbers in one row. Rows that stand in an array at equal distances
are a view of it; what is left is put together from such views, and from single numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..programs import Part, Program, View, number_at, row_at

Column = tuple[int, ...]  # a value for each iteration

Spot = tuple[int | None, int]
_NOWHERE: Spot = (None, 0)

_LEAST = 4  # numbers that are worth a view


class Piece(NamedTuple):
    """A part of an array that is put together: a value, or a part of one."""

    place: Part
    value: int
    part: Part | None


class Line(NamedTuple):
    """Numbers of an array at equal distances; -1 is the array of all inputs."""

    source: int
    start: int
    step: int


class Rows:
    """Find blocks of columns of a program's values, and the pieces of rows."""

    def __init__(self, program: Program) -> None:
        self.shapes = program.value_shapes
        # Of which array each number is, -1 for the inputs, and which; those that are computed alone are of none.
        self.spots: list[Spot] = [_NOWHERE] * program.count
        for k in range(len(program.names)):
            self.spots[k] = _NOWHERE if self.shapes[k] else (-1, k)
        for (op, args), first in zip(program.steps, program.firsts, strict=True):
            if type(op) is View and not op.shape and not op.stops:
                self.spots[first] = args[0], op.part.start

    def blocks(self, columns: Sequence[Column]) -> list[list[Column]]:
        """Put columns of numbers together that stand side by side: they come in one row."""
        alone: list[Column] = []
        lines: dict[tuple[int, int], list[tuple[int, int, Column]]] = {}
        for order, column in enumerate(columns):
            line = self._line(column)
            if line is None:
                alone.append(column)
            else:
                lines.setdefault((line.source, line.step), []).append((line.start, order, column))
        ranks = {column: order for order, column in enumerate(columns)}
        runs = [
            [column for _, _, column in run]
            for (_, step), own in lines.items()
            for run in _even_runs(sorted(own), step, len(columns[0]))
        ]
        return sorted([*self._beside(alone), *runs], key=lambda block: ranks[block[0]])

    def pieces(self, block: Sequence[Column]) -> list[Piece]:
        """Return what the rows of a block are put together from, iteration by iteration."""
        rows, shape, width = list(zip(*block, strict=True)), self.shapes[block[0][0]], len(block)
        lines = [None if shape else self._line(row) for row in rows]
        found: list[Piece] = []
        first = 0
        while first < len(rows):
            line, (count, step) = lines[first], _even_rows(lines, first)
            end = first + count
            if line is not None and line.source >= 0 and count * width >= _LEAST:
                place, part = Part(first * width, (count,), (width,)), Part(line.start, (count,), (step,))
                if width > 1:
                    place = Part(place.start, (count, width), (width, 1))
                    part = Part(part.start, (count, width), (*part.strides, line.step))
                found.append(Piece(place, line.source, part))
            else:
                values = [value for row in rows[first:end] for value in row]
                places = range(first * width, end * width)
                parts = [row_at(k, shape) for k in places] if shape else map(number_at, places)
                found += [Piece(part, value, None) for part, value in zip(parts, values, strict=True)]
            first = end
        return found

    def _beside(self, columns: Sequence[Column]) -> Iterator[list[Column]]:
        """Yield columns that follow each other, as a rule, in arrays of each iteration together, others alone."""
        spots = [[self.spots[value] for value in column] for column in columns]
        block: list[Column] = []
        for k, column in enumerate(columns):
            if block and not _mostly_beside(spots[k - 1], spots[k]):
                yield block
                block = []
            block.append(column)
        if block:
            yield block

    def _line(self, values: Sequence[int]) -> Line | None:
        """Return where numbers stand at equal distances; None where they do not."""
        source, start = self.spots[values[0]]
        if source is None:
            return None
        step = self.spots[values[1]][1] - start if len(values) > 1 else 0
        place = start
        for value in values:
            if self.spots[value] != (source, place):
                return None
            place += step
        return Line(source, start, step)


def _mostly_beside(before: Sequence[Spot], after: Sequence[Spot]) -> bool:
    """Return whether in most iterations two numbers are of one array that is no list of inputs."""
    found = [a[0] == b[0] and a[0] is not None and a[0] >= 0 for a, b in zip(before, after, strict=True)]
    return 2 * sum(found) > len(found)


def _even_rows(lines: Sequence[Line | None], first: int) -> tuple[int, int]:
    """Return how many rows, from the first on, stand at equal distances in one array, and the distance."""
    count, step = 1, 0
    for before, after in pairwise(lines[first:]):
        if before is None or after is None or (before.source, before.step) != (after.source, after.step):
            break
        distance = after.start - before.start
        if count > 1 and distance != step:
            break
        count, step = count + 1, distance
    return count, step


def _even_runs(
    line: Sequence[tuple[int, int, Column]], step: int, count: int
) -> Iterator[Sequence[tuple[int, int, Column]]]:
    """Split columns by their starts into runs at equal distances that have no number in common."""
    first = 0
    while first < len(line):
        end = first + 1
        distance = line[end][0] - line[first][0] if end < len(line) else 0
        while end < len(line) and line[end][0] - line[end - 1][0] == distance:
            width = distance * (end - first)
            if not (width < abs(step) or distance > abs(step) * (count - 1)):
                break
            end += 1
        yield line[first:end]
        first = end
