"""Arrange what derivatives take and give: directions by argument, matrices by result and argument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .structure import Structure, array_of


def in_tuples(args: Any, tangents: Any) -> tuple[tuple[Any, ...], Any]:
    """Return the arguments as a tuple, also a single one, and a direction likewise."""
    if not isinstance(args, tuple) or hasattr(args, "_fields"):
        args, tangents = (args,), (tangents,)
    elif (not isinstance(tangents, tuple) or hasattr(tangents, "_fields")) and len(args) == 1:
        tangents = (tangents,)
    return args, tangents


def blocks(rows: Structure, columns: Structure, matrix: Sequence[Sequence[Any]]) -> Any:
    """Arrange a matrix of derivatives as the structure of the result, each part holding that of the argument.

    Where both parts are arrays or numbers, the block has the shape of the one followed by that of the other.

    >>> from chainrule.data import NUMBER, flatten
    >>> two = flatten([0, 0], "f", "x")[1]
    >>> blocks(NUMBER, two, [[1.0, 2.0]]), blocks(two, two, [[1.0, 2.0], [3.0, 4.0]])
    ([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]])
    """
    return _rows(rows, columns, matrix, iter(range(rows.size)))


def _rows(rows: Structure, columns: Structure, matrix: Sequence[Sequence[Any]], places: Iterator[int]) -> Any:
    if rows.kind in ("number", "array"):
        own = [matrix[next(places)] for _ in range(rows.size)]
        return _columns(rows, columns, own, iter(range(columns.size)))
    return rows.build([_rows(part, columns, matrix, places) for part in rows.parts])


def _columns(unit: Structure, columns: Structure, own: Sequence[Sequence[Any]], places: Iterator[int]) -> Any:
    if columns.kind in ("number", "array"):
        chosen = [next(places) for _ in range(columns.size)]
        numbers = [row[place] for row in own for place in chosen]
        shape = unit.shape + columns.shape
        return array_of(numbers, shape) if shape else numbers[0]
    return columns.build([_columns(unit, part, own, places) for part in columns.parts])
