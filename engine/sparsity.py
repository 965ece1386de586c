"""Compute a sparse Jacobian or Hessian with few sweeps: find where it can be nonzero, and share sweeps by colour.

Columns that have no row in common can be found from one forward sweep along their sum, since every number that comes
out belongs to one of them; colouring the columns greedily groups them so (Curtis, Powell & Reid 1974). A banded matrix
takes as many sweeps as its band is wide, whatever its size.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from .errors import needing
from .sweeps import Recorded, forward, is_node, reverse
from .var import Var


def pattern(graph: Recorded) -> list[list[int]]:
    """List for each result the inputs that it can depend on."""
    reached: dict[int, int] = {}
    for place, node in enumerate(graph.inputs):
        reached[id(node)] = reached.get(id(node), 0) | (1 << place)
    for node in graph.order:
        bits = 0
        for arg, partial in zip(node.args, node.partials, strict=True):
            if id(arg) in reached and partial != 0.0:
                bits |= reached[id(arg)]
        reached[id(node)] = bits
    return [_places(reached.get(id(result), 0)) if is_node(result) else [] for result in graph.results]


def _places(bits: int) -> list[int]:
    places = []
    while bits:
        low = bits & -bits
        places.append(low.bit_length() - 1)
        bits ^= low
    return places


def colour(rows: Sequence[Sequence[int]], columns: int) -> list[int]:
    """Give each column a colour, such that columns of one colour have no row in common.

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


def sparse_jacobian(graph: Recorded) -> tuple[Any, int]:
    """Return the derivative of each result by each input as a SciPy CSR array, and how many sweeps it took."""
    rows = pattern(graph)
    height, width = len(graph.results), len(graph.inputs)
    columns: list[list[int]] = [[] for _ in range(width)]
    for row, places in enumerate(rows):
        for column in places:
            columns[column].append(row)
    by_column, by_row = colour(rows, width), colour(columns, height)
    entries: list[tuple[int, int, float]] = []
    if max(by_column, default=0) <= max(by_row, default=0):
        sweeps = max(by_column, default=-1) + 1
        for chosen in range(sweeps):
            found = forward(graph, [1.0 if c == chosen else 0.0 for c in by_column], False)
            entries += [(r, c, found[r]) for r, places in enumerate(rows) for c in places if by_column[c] == chosen]
    else:
        sweeps = max(by_row, default=-1) + 1
        for chosen in range(sweeps):
            found = reverse(graph, [1.0 if c == chosen else 0.0 for c in by_row], False)
            entries += [(r, c, found[c]) for c, places in enumerate(columns) for r in places if by_row[r] == chosen]
    sparse = _scipy_sparse()
    values = [value for _, _, value in entries]
    indices = ([row for row, _, _ in entries], [column for _, column, _ in entries])
    return sparse.coo_array((values, indices), shape=(height, width), dtype=float).tocsr(), sweeps


def _scipy_sparse() -> Any:
    with needing("sparse=True", "scipy"):
        return importlib.import_module("scipy.sparse")


def sparse_rows(function: str, graph: Recorded, inputs: Sequence[Any]) -> Any:
    """Return the sparse Jacobian of a graph of floats; `TypeError` where an input is somebody else's Var."""
    if any(type(node) is not Var or node.op is not None for node in inputs):
        raise TypeError(f"{function} with sparse=True expected arguments of floats but got Vars; nest without sparse")
    return sparse_jacobian(graph)[0]
