"""Compute a sparse Jacobian or Hessian with few sweeps: find where it can be nonzero, and share sweeps by colour.

Columns that have no row in common can be found from one forward sweep along their sum, since every number that comes
out belongs to one of them; colouring the columns greedily groups them so (Curtis, Powell & Reid 1974). A banded matrix
takes as many sweeps as its band is wide, whatever its size. In a trace the zeros are those of the code, whatever the
numbers: a program has the same places at each call.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ..data import Places, Sparse, is_symbolic, scipy_sparse
from ..graph import Var
from ..programs import WHILE, Loop, Program, Tracer
from .sweeps import Recorded, between, forward, is_node, partials_of, reverse


def pattern(graph: Recorded, symbolic: bool = False) -> list[list[int]]:
    """List for each result the inputs that it can depend on."""
    reached: dict[int, int] = {}
    loops: dict[int, list[int]] = {}
    for place, node in enumerate(graph.inputs):
        reached[id(node)] = reached.get(id(node), 0) | (1 << place)
    for node in graph.order:
        if isinstance(node.op, Loop):
            if node.place < 0:
                loops[id(node)] = _through(node.loop, [reached.get(id(arg), 0) for arg in node.args])
            else:
                reached[id(node)] = loops[id(node.args[0])][node.args[0].loop.result_at(node.place)]
            continue
        bits = 0
        for arg, partial in zip(node.args, partials_of(node, symbolic), strict=True):
            if id(arg) in reached and (type(partial) is not float or partial != 0.0):
                bits |= reached[id(arg)]
        reached[id(node)] = bits
    return [_places(reached.get(id(result), 0)) if is_node(result) else [] for result in graph.results]


def _through(loop: Loop, args: Sequence[int]) -> list[int]:
    """Return the inputs that each result of a loop can depend on, as bits, from those of its arguments."""
    first, rows, stacked = loop.carry, loop.rows, loop.stacked
    needs = _needs(loop.body)
    carry, shared = list(args[:first]), args[first + loop.length * rows :]

    def run(inputs: Sequence[int]) -> list[int]:
        found = []
        for own in needs:
            bits = 0
            for place in own:
                bits |= inputs[place]
            found.append(bits)
        return found

    if loop.kind == WHILE:
        while True:
            grown = [old | new for old, new in zip(carry, run([*carry, *shared]), strict=True)]
            if grown == carry or loop.is_branch:
                return grown
            carry = grown
    kept: list[list[int]] = [[] for _ in range(loop.length)]
    totals = [0] * loop.sums
    for k in loop.iterations:
        found = run([*carry, *args[first + k * rows : first + (k + 1) * rows], *shared])
        carry, kept[k] = found[:first], found[first : first + stacked]
        totals = [total | bits for total, bits in zip(totals, found[first + stacked :], strict=True)]
    return [*carry, *[bits for row in kept for bits in row], *totals]


@functools.lru_cache(maxsize=512)
def _needs(program: Program) -> list[list[int]]:
    """List for each output of a program the inputs that it can depend on smoothly."""
    inputs = [Tracer(name) for name in program.names]
    return pattern(between(inputs, program.run(inputs)), symbolic=True)


def _places(bits: int) -> list[int]:
    places = []
    while bits:
        low = bits & -bits
        places.append(low.bit_length() - 1)
        bits ^= low
    return places


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
    filled = Places((height, width), tuple(map(tuple, rows)))
    numbers = [entries[place] for place in filled]
    return Sparse(filled, numbers) if symbolic else filled.array(numbers), sweeps


def sparse_rows(function: str, graph: Recorded, inputs: Sequence[Any], mode: str | None = None) -> Any:
    """Return the sparse Jacobian of a graph of floats or traced numbers; `TypeError` if an input is a Var."""
    if any(map(is_symbolic, inputs)):
        return sparse_jacobian(graph, symbolic=True, symmetric=function == "hessian", mode=mode)[0]
    if any(type(node) is not Var or node.op is not None for node in inputs):
        raise TypeError(f"{function} with sparse=True expected arguments of floats but got Vars; nest without sparse")
    return sparse_jacobian(graph, symmetric=function == "hessian", mode=mode)[0]
