"""Compute sparse Jacobians of functions of whole arrays: each sweep gives arrays, which are put in their places whole.

The places are found number by number, once, while tracing. What is traced is a few sweeps, as many as colours, over
arrays; where all columns of a colour have the same part in each row, as the parameters of many cameras have, passes
make one loop of all sweeps, whose body computes the block of one row.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..data import Places, Sparse
from ..programs import Gather, Numbers, Part, Scatter, Shape, Tracer, View, contiguous, size_of, whole
from .sparsity import colour, pattern_by_number, use_sparse_arrays
from .sweeps import Recorded, forward, placed, reverse


def sparse_arrays(graph: Recorded, symmetric: bool, mode: str | None) -> Sparse:
    """Return the derivative of each number of the results by each of the inputs, as one whole array of entries."""
    numpy = importlib.import_module("numpy")
    rows = pattern_by_number(graph)
    width = sum([size_of(_shape(node)) for node in graph.inputs])
    filled = Places((len(rows), width), tuple(map(tuple, rows)))
    row_of = numpy.repeat(numpy.arange(len(rows)), list(map(len, rows)))
    column_of = numpy.fromiter(itertools.chain.from_iterable(rows), int, len(row_of))
    is_forward, colours = _colours(graph, rows, row_of, column_of, mode)
    if is_forward:
        given, wanted, other, colour_of = graph.inputs, graph.results, row_of, colours[column_of]
    else:
        given, wanted, other, colour_of = graph.results, graph.inputs, column_of, colours[row_of]
    found: list[tuple[Part, Any]] = []
    for chosen in range(colours.max(initial=-1) + 1):
        seeds = list(_seeds(given, (colours == chosen).astype(float)))
        swept = forward(graph, seeds, True) if is_forward else reverse(graph, seeds, True)
        own = colour_of == chosen
        if symmetric:  # the part below the diagonal counts, and is that above it, too
            found += _entries(wanted, swept, other, own & (row_of > column_of), _mirrored(row_of, column_of))
            own &= row_of >= column_of
        found += _entries(wanted, swept, other, own, numpy.arange(len(row_of)))
    parts, values = zip(*found, strict=True) if found else ((), ())
    return Sparse(filled, placed((len(row_of),), parts, values))


def _mirrored(row_of: Any, column_of: Any) -> Any:
    """Return for each entry of a symmetric matrix the place of the one on the other side of the diagonal."""
    numpy = importlib.import_module("numpy")
    found = numpy.empty(len(row_of), int)
    found[numpy.lexsort((row_of, column_of))] = numpy.arange(len(row_of))
    return found


def _colours(
    graph: Recorded, rows: Sequence[Sequence[int]], row_of: Any, column_of: Any, mode: str | None
) -> tuple[bool, Any]:
    """Return whether to sweep forwards, and the colour of each number that is swept along.

    Entries are in the rows `row_of` and the columns `column_of`.
    """
    numpy = importlib.import_module("numpy")
    shapes = [_shape(node) for node in graph.inputs]
    width = sum(map(size_of, shapes))
    blocks = None if mode == "reverse" else _by_blocks(shapes, row_of, column_of)
    # Rows that share a column take a sweep each in reverse.
    shared = numpy.bincount(column_of, minlength=1).max()
    if blocks is not None and (mode == "forward" or blocks.max(initial=0) < shared):
        return True, blocks
    columns: list[list[int]] = [[] for _ in range(width)]
    for row, places in enumerate(rows):
        for column in places:
            columns[column].append(row)
    by_column = colour(_distinct(rows), width) if mode != "reverse" else []
    by_row = colour(_distinct(columns), len(rows)) if mode != "forward" else []
    fewer = (max(by_column, default=0), width) < (max(by_row, default=0), len(rows))
    is_forward = mode == "forward" or (mode is None and fewer)
    return is_forward, numpy.array(by_column if is_forward else by_row, int)


def _shape(node: Any) -> Shape:
    return getattr(node, "shape", ())


def _by_blocks(shapes: Sequence[Shape], row_of: Any, column_of: Any) -> Any:
    """Colour the numbers of an array by where they stand in its rows: no sweep asks then which row it is of.

    None where a number of the results depends on several rows of an array.
    """
    numpy = importlib.import_module("numpy")
    sizes = [size_of(shape[1:]) for shape in shapes]
    starts = [0, *itertools.accumulate(sizes)]
    colours = numpy.concatenate(
        [
            start + numpy.arange(size_of(shape)) % max(1, size)
            for start, shape, size in zip(starts, shapes, sizes, strict=False)
        ]
    )
    arrays = numpy.repeat(numpy.arange(len(shapes)), list(map(size_of, shapes)))
    own_rows = numpy.concatenate(
        [numpy.arange(size_of(shape)) // max(1, size) for shape, size in zip(shapes, sizes, strict=True)]
    )
    # Of each number of the results and each array the row that one entry has, which all of them must have.
    key, row = row_of * len(shapes) + arrays[column_of], own_rows[column_of]
    known = numpy.zeros(key.max(initial=0) + 1, int)
    known[key] = row
    return colours if (known[key] == row).all() else None


def _distinct(rows: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Return the rows without those that are there already: they tell nothing new of columns that meet."""
    return list(dict.fromkeys(map(tuple, rows)))


def _seeds(nodes: Sequence[Any], numbers: Any) -> Iterator[Any]:
    """Yield for each node its part of the numbers; an array of equal rows as one row."""
    start = 0
    for node in nodes:
        shape = _shape(node)
        own = numbers[start : start + size_of(shape)].reshape(shape)
        start += size_of(shape)
        if not own.any():
            yield 0.0
        elif not shape:
            yield float(own)
        elif len(shape) > 1 and (own == own[0]).all():
            spread = View(shape[1:], Part(0, shape, (0, *contiguous(shape[1:]))))
            yield Tracer.__apply_structure__(spread, [Numbers(own[0].tobytes(), shape[1:])])
        else:
            yield Numbers(own.tobytes(), shape)


def _entries(nodes: Sequence[Any], swept: Sequence[Any], other: Any, chosen: Any, places: Any) -> Iterator[Any]:
    """Yield where numbers that a sweep gave go among the entries, and these numbers: as whole arrays if possible.

    Args:
        nodes, swept: what the sweep gave, and for what.
        other: for each entry which of these numbers it is.
        chosen: whether the entry is one of this sweep.
        places: where each entry goes.
    """
    numpy = importlib.import_module("numpy")
    taken, places = other[chosen], places[chosen]
    order = numpy.argsort(taken, kind="stable")
    taken, places = taken[order], places[order]
    start = 0
    for node, value in zip(nodes, swept, strict=True):
        shape = _shape(node)
        size = size_of(shape)
        first, last = numpy.searchsorted(taken, (start, start + size))
        own, goal = taken[first:last] - start, places[first:last]
        start += size
        if not len(own) or (not shape and type(value) is float and value == 0.0):
            continue
        if not shape:
            yield Part(int(goal[0]), (), ()), value
        elif len(own) == size and (part := _regular(goal, shape)) is not None:
            yield part, value
        else:
            flat = Tracer.__apply_structure__(View(shape, Part(0, (size,), (1,))), [value])
            picked = Gather((size,), own.shape).apply((flat, Numbers.of(own)))
            line = _regular(goal, own.shape)
            if line is not None:
                yield line, picked
            else:
                total = (int(goal.max()) + 1,)
                yield whole(total), Scatter(total, own.shape).apply((Numbers.of(goal), picked))


def _regular(places: Any, shape: Shape) -> Part | None:
    """Return the part whose numbers, in order, stand at these places, if strides give them."""
    numpy = importlib.import_module("numpy")
    grid = places.reshape(shape)
    start, expected, strides = grid.flat[0], 0, []
    for axis, length in enumerate(shape):
        step = (grid.take(1, axis).flat[0] - start) if length > 1 else 0
        strides.append(int(step))
        expected = numpy.expand_dims(expected, -1) + step * numpy.arange(length)
    return Part(int(start), shape, tuple(strides)) if (grid == start + expected).all() else None


use_sparse_arrays(sparse_arrays)
