"""Compute sparse Jacobians of functions of whole arrays: each sweep gives arrays, which are put in their places whole.

The places are found number by number, once, while tracing. What is traced is a few sweeps, as many as colours, over
arrays; where all columns of a colour have the same part in each row, as the parameters of many cameras have, passes
make one loop of all sweeps, whose body computes the block of one row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..data import Places, Sparse
from ..programs import ArrayTracer, Gather, Part, Scatter, Shape, Tracer, View, constants, regular, size_of, whole
from .sparsity import colour, pattern_by_number, use_sparse_arrays
from .sweeps import Recorded, forward, placed, reverse


def sparse_arrays(graph: Recorded, symmetric: bool, mode: str | None) -> Sparse:
    """Return the derivative of each number of the results by each of the inputs, as one whole array of entries."""
    rows = pattern_by_number(graph)
    width = sum([size_of(_shape(node)) for node in graph.inputs])
    height = len(rows)
    columns: list[list[int]] = [[] for _ in range(width)]
    for row, places in enumerate(rows):
        for column in places:
            columns[column].append(row)
    by_column, by_row = colour(_distinct(rows), width), colour(_distinct(columns), height)
    fewer = "forward" if (max(by_column, default=0), width) < (max(by_row, default=0), height) else "reverse"
    first = list(itertools.accumulate(map(len, rows), initial=0))
    place_of = {(r, c): first[r] + k for r, own in enumerate(rows) for k, c in enumerate(own)}
    is_forward = (mode or fewer) == "forward"
    if is_forward:
        by_column = _by_blocks(graph.inputs, rows, most=2 * max(by_column, default=0) + 2) or by_column
    colours, lines = (by_column, columns) if is_forward else (by_row, rows)
    found: list[tuple[Part, Any]] = []
    for chosen in range(max(colours, default=-1) + 1):
        own: dict[int, int] = {}  # by what the sweep gives: the place of the entry
        mirrored: dict[int, int] = {}  # the same of the entry on the other side of the diagonal
        for line, place in enumerate(colours):
            if place == chosen:
                for other in lines[line]:
                    key = (other, line) if is_forward else (line, other)
                    if not symmetric or key[0] >= key[1]:
                        own[other] = place_of[key]
                    if symmetric and key[0] > key[1]:
                        mirrored[other] = place_of[key[::-1]]
        given, wanted = (graph.inputs, graph.results) if is_forward else (graph.results, graph.inputs)
        seeds = list(_seeds(given, [1.0 if place == chosen else 0.0 for place in colours]))
        swept = forward(graph, seeds, True) if is_forward else reverse(graph, seeds, True)
        found += _entries(wanted, swept, own)
        found += _entries(wanted, swept, mirrored)
    total = len(place_of)
    parts, values = zip(*found, strict=True) if found else ((), ())
    filled = Places((height, width), tuple(map(tuple, rows)))
    return Sparse(filled, placed((total,), parts, values))


def _shape(node: Any) -> Shape:
    return getattr(node, "shape", ())


def _by_blocks(nodes: Sequence[Any], rows: Sequence[Sequence[int]], most: int) -> list[int] | None:
    """Colour the numbers of an array by where they stand in its rows: no sweep asks then which row it is of.

    None where a number of the results depends on several rows of an array, or where that takes too many colours.
    """
    colours: list[int] = []
    block: list[tuple[int, int]] = []  # of each input: its array, and the row
    count = 0
    for k, node in enumerate(nodes):
        shape = _shape(node)
        size = size_of(shape[1:])
        for row in range(shape[0] if shape else 1):
            colours += range(count, count + size)
            block += [(k, row)] * size
        count += size
    if count > most:
        return None
    for own in _distinct(rows):
        blocks = {block[column] for column in own}
        if len({array for array, _ in blocks}) < len(blocks):
            return None
    return colours


def _distinct(rows: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Return the rows without those that are there already: they tell nothing new of columns that meet."""
    return list(dict.fromkeys(map(tuple, rows)))


def _seeds(nodes: Sequence[Any], numbers: Sequence[float]) -> Iterator[Any]:
    """Yield for each node its part of the numbers; an array of equal rows as one row."""
    own = iter(numbers)
    for node in nodes:
        shape = _shape(node)
        if not shape:
            yield next(own)
            continue
        values = list(itertools.islice(own, size_of(shape)))
        if not any(values):
            yield 0.0
            continue
        size = size_of(shape[1:])
        row = values[:size]
        if len(shape) > 1 and row * shape[0] == values:
            table = constants(row, shape[1:])
            part = whole(shape[1:])
            spread = View(shape[1:], Part(0, shape, (0, *part.strides)))
            yield Tracer.__apply_structure__(spread, [table])
        else:
            yield constants(values, shape)


def _entries(nodes: Sequence[Any], swept: Sequence[Any], own: dict[int, int]) -> Iterator[tuple[Part, Any]]:
    """Yield where numbers that a sweep gave go among the entries, and these numbers: as whole arrays if possible."""
    start = 0
    for node, value in zip(nodes, swept, strict=True):
        shape = _shape(node)
        size = size_of(shape)
        taken = [k for k in range(start, start + size) if k in own]
        places = [own[k] for k in taken]
        start += size
        if not taken:
            continue
        if not shape:
            yield Part(places[0], (), ()), value
            continue
        if type(value) is not ArrayTracer:
            continue  # zero
        part = regular(places, shape) if len(taken) == size else None
        if part is not None:
            yield part, value
            continue
        flat = value.view(Part(0, (size,), (1,)))
        numbers = constants([float(k - start + size) for k in taken], (len(taken),))
        picked = Gather((size,), (len(taken),)).apply((flat, numbers))
        line = regular(places, (len(places),))
        if line is None:
            total = max(places) + 1
            where = constants(list(map(float, places)), (len(places),))
            yield whole((total,)), Scatter((total,), (len(places),)).apply((where, picked))
        else:
            yield line, picked


use_sparse_arrays(sparse_arrays)
