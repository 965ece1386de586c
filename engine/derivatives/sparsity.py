"""Compute a sparse Jacobian or Hessian with few sweeps: find where it can be nonzero, and share sweeps by colour.

Columns that have no row in common can be found from one forward sweep along their sum, since every number that comes
out belongs to one of them; colouring the columns greedily groups them so (Curtis, Powell & Reid 1974). A banded matrix
takes as many sweeps as its band is wide, whatever its size. In a trace the zeros are those of the code, whatever the
numbers: a program has the same places at each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data import Places, Sparse, scipy_sparse
from .patterns import pattern
from .sweeps import Recorded, forward, reverse


def colour(rows: Sequence[Sequence[int]], columns: int) -> list[int]:
    """Colour the columns so that those of one colour share no row.

    >>> colour([[0, 1], [1, 2], [2, 3]], 4)
    [0, 1, 0, 1]
    """
    rows_of: list[list[int]] = [[] for _ in range(columns)]
    for row, places in enumerate(rows):
        for column in places:
            rows_of[column].append(row)
    colours = [-1] * columns
    for column in range(columns):
        taken = {colours[other] for row in rows_of[column] for other in rows[row]}
        choice = 0
        while choice in taken:
            choice += 1
        colours[column] = choice
    return colours


def sparse_jacobian(
    graph: Recorded, symbolic: bool = False, symmetric: bool = False, mode: str | None = None
) -> tuple[Any, int]:
    """Return the derivative of each result by each input, and the number of sweeps that it took.

    It is a SciPy CSR array, or with `symbolic` the traced numbers of one. Of a `symmetric` one, a Hessian, the part
    below the diagonal counts, as in the dense one. Without a `mode` it is the one with fewer sweeps; of two that
    take as many, the one that the dense one uses, so that both have nan in the same places.
    """
    scipy_sparse()
    rows = pattern(graph, symbolic)
    height, width = len(graph.results), len(graph.inputs)
    columns: list[list[int]] = [[] for _ in range(width)]
    for row, places in enumerate(rows):
        for column in places:
            columns[column].append(row)
    by_column, by_row = colour(rows, width), colour(columns, height)
    entries: dict[tuple[int, int], Any] = {}
    fewer = "forward" if (max(by_column, default=0), width) < (max(by_row, default=0), height) else "reverse"
    if (mode or fewer) == "forward":
        sweeps = max(by_column, default=-1) + 1
        for chosen in range(sweeps):
            found = forward(graph, [1.0 if c == chosen else 0.0 for c in by_column], symbolic)
            own = [(r, c) for r, places in enumerate(rows) for c in places if by_column[c] == chosen]
            entries.update({(r, c): found[r] for r, c in own})
    else:
        sweeps = max(by_row, default=-1) + 1
        for chosen in range(sweeps):
            found = reverse(graph, [1.0 if c == chosen else 0.0 for c in by_row], symbolic)
            own = [(r, c) for c, places in enumerate(columns) for r in places if by_row[r] == chosen]
            entries.update({(r, c): found[c] for r, c in own})
    if symmetric:
        lower = {place: number for place, number in entries.items() if place[0] >= place[1]}
        entries = lower | {(c, r): number for (r, c), number in lower.items()}
        rows = [[] for _ in range(height)]
        for r, c in sorted(entries):
            rows[r].append(c)
    filled = Places.of_rows((height, width), rows)
    numbers = [entries[place] for place in filled]
    return Sparse(filled, numbers) if symbolic else filled.array(numbers), sweeps
