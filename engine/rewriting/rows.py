"""Where the numbers stand that the iterations of a map take: which come as one row, and how rows are put together.

A column has a value for each iteration. Columns of numbers that stand side by side, in one array or each iteration's in
an array of its own, are a block: the map gets its numbers in one row. Rows that stand in an array at equal distances
are a view of it; what is left is put together from such views, and from single numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..programs import Part, Program, View, row_at

Column = tuple[int, ...]  # a value for each iteration

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
    """Find blocks of columns, and the pieces of rows.

    Args:
        program: where the values are made.
        maker: the step that made each value, or -1.
    """

    def __init__(self, program: Program, maker: Sequence[int]) -> None:
        self.program, self.maker, self.shapes = program, maker, program.value_shapes

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
            line, end = lines[first], _even_end(lines, first)
            count = end - first
            if line is not None and line.source >= 0 and count * width >= _LEAST:
                step = lines[end - 1].start - line.start if count > 1 else 0
                place, part = (
                    Part(first * width, (count,), (width,)),
                    Part(line.start, (count,), (step // max(1, count - 1),)),
                )
                if width > 1:
                    place = Part(place.start, (count, width), (width, 1))
                    part = Part(part.start, (count, width), (*part.strides, line.step))
                found.append(Piece(place, line.source, part))
            else:
                values = [value for row in rows[first:end] for value in row]
                found += [Piece(row_at(k, shape), value, None) for k, value in enumerate(values, first * width)]
            first = end
        return found

    def _beside(self, columns: Sequence[Column]) -> Iterator[list[Column]]:
        """Yield columns that follow each other, as a rule, in arrays of each iteration together, others alone."""
        spots = [[self._spot(value) for value in column] for column in columns]
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
        spots = [self._spot(value) for value in values]
        source, start = spots[0]
        step = spots[1][1] - start if len(spots) > 1 else 0
        if source is None or any(spot != (source, start + k * step) for k, spot in enumerate(spots)):
            return None
        return Line(source, start, step)

    def _spot(self, value: int) -> tuple[int | None, int]:
        """Return of which array a number is, and which; None of numbers that are computed alone."""
        if value < len(self.program.names):
            return (-1, value) if not self.shapes[value] else (None, 0)
        maker = self.maker[value]
        if maker >= 0:
            op, args = self.program.steps[maker]
            if isinstance(op, View) and not op.shape and not op.stops:
                return args[0], op.part.start
        return None, 0


def _mostly_beside(before: Sequence[tuple[int | None, int]], after: Sequence[tuple[int | None, int]]) -> bool:
    """Return whether in most iterations two numbers are of one array that is no list of inputs."""
    found = [a[0] == b[0] and a[0] is not None and a[0] >= 0 for a, b in zip(before, after, strict=True)]
    return 2 * sum(found) > len(found)


def _even_end(lines: Sequence[Line | None], first: int) -> int:
    """Return where rows end that stand at equal distances in one array, from the first of them on."""
    line, end = lines[first], first + 1
    while end < len(lines) and line is not None:
        before, after = lines[end - 1], lines[end]
        if before is None or after is None or (after.source, after.step) != (line.source, line.step):
            break
        second = lines[first + 1]
        if second is None or after.start - before.start != second.start - line.start:
            break
        end += 1
    return end


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
