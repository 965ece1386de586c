"""Compute sparse Jacobians of functions of whole arrays: each sweep gives arrays, which are put in their places whole.

The places are found once, while tracing. What is traced is a few sweeps, as many as colours, over arrays: along the
inputs, or along what they are moved to before anything is computed, whichever takes fewer. Where all columns of a
colour have the same part in each row, as the parameters of many cameras have, passes make one loop of all sweeps, whose
body computes the block of one row.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..data import Places, Sparse, is_symbolic
from ..graph import Var
from ..programs import ArrayTracer, Gather, Numbers, Part, Scatter, Shape, Tracer, View, contiguous, size_of, whole
from .moved_inputs import from_moved
from .patterns import pattern_by_number, shape_of_node
from .sparsity import colour, sparse_jacobian
from .sweeps import Recorded, forward, placed, reverse

_BITS = 62  # of one integer that NumPy holds
_AXIS = 64  # rows or columns of an array that are put in their places one by one


class _Entries(NamedTuple):
    """The derivatives that may differ from 0: of which numbers of a graph's results, by which of its inputs."""

    graph: Recorded
    rows: Any
    columns: Any


class _Sweeps(NamedTuple):
    """How to find all entries: the direction, and the colour of each number that is swept along."""

    entries: _Entries
    is_forward: bool
    colours: Any


def sparse_arrays(graph: Recorded, symmetric: bool, mode: str | None) -> Sparse:
    """Return the derivative of each number of the results by each of the inputs, as one whole array of entries."""
    numpy = importlib.import_module("numpy")
    height, width = (sum([size_of(shape_of_node(node)) for node in nodes]) for nodes in (graph.results, graph.inputs))
    moved = None if symmetric else from_moved(graph)
    given = _entries_of(graph if moved is None else moved.graph)
    if moved is not None:
        here = moved.numbers[given.columns] >= 0
        given = _Entries(given.graph, given.rows[here], given.columns[here])
    columns = given.columns if moved is None else moved.numbers[given.columns]
    # Several entries by moved inputs may be parts of one.
    keys = given.rows * width + columns
    order = numpy.argsort(keys, kind="stable")
    keys = keys[order]
    is_first = numpy.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    goals = numpy.empty(len(keys), int)
    goals[order] = numpy.cumsum(is_first) - 1
    row_of, column_of = numpy.divmod(keys[is_first], max(1, width))
    ways = [given] if moved is None else [_Entries(graph, row_of, column_of), given]
    sweeps = _fewest(ways, mode)
    goals = goals if sweeps.entries is given else numpy.arange(len(row_of))
    found: list[tuple[Part, Any]] = []
    for chosen, swept in enumerate(_swept(sweeps)):
        wanted, other, own = _of_sweep(sweeps, chosen)
        if symmetric:  # the part below the diagonal counts, and is that above it, too
            found += _placed(wanted, swept, other, own & (row_of > column_of), _mirrored(row_of, column_of))
            own &= row_of >= column_of
        found += _placed(wanted, swept, other, own, goals)
    parts, values = zip(*found, strict=True) if found else ((), ())
    starts = numpy.searchsorted(row_of, numpy.arange(height + 1))
    return Sparse(Places.of_arrays((height, width), starts, column_of), placed((len(row_of),), parts, values))


def _entries_of(graph: Recorded) -> _Entries:
    numpy = importlib.import_module("numpy")
    found = pattern_by_number(graph)
    return _Entries(
        graph, numpy.repeat(numpy.arange(found.shape[0]), numpy.diff(found.indptr)), found.indices.astype(int)
    )


def _swept(sweeps: _Sweeps) -> Iterator[Sequence[Any]]:
    """Yield what the sweep along each colour gives."""
    graph = sweeps.entries.graph
    for chosen in range(sweeps.colours.max(initial=-1) + 1):
        seeds = list(_seeds(graph.inputs if sweeps.is_forward else graph.results, (sweeps.colours == chosen) * 1.0))
        yield forward(graph, seeds, True) if sweeps.is_forward else reverse(graph, seeds, True)


def _of_sweep(sweeps: _Sweeps, chosen: int) -> tuple[Sequence[Any], Any, Any]:
    """Return what a sweep gives derivatives of or by, which number of these each entry is at, and if it finds it."""
    graph, rows, columns = sweeps.entries
    if sweeps.is_forward:
        return graph.results, rows, sweeps.colours[columns] == chosen
    return graph.inputs, columns, sweeps.colours[rows] == chosen


def _mirrored(row_of: Any, column_of: Any) -> Any:
    """Return for each entry of a symmetric matrix the place of the one on the other side of the diagonal."""
    numpy = importlib.import_module("numpy")
    found = numpy.empty(len(row_of), int)
    found[numpy.lexsort((row_of, column_of))] = numpy.arange(len(row_of))
    return found


def _fewest(ways: Sequence[_Entries], mode: str | None) -> _Sweeps:
    """Return the way that takes the fewest sweeps; of those that take as many the first, along fewer numbers."""
    numpy = importlib.import_module("numpy")
    options = []
    for place, entries in enumerate(ways):
        for is_forward in (True, False):
            swept, across = (entries.columns, entries.rows) if is_forward else (entries.rows, entries.columns)
            nodes = entries.graph.inputs if is_forward else entries.graph.results
            # Those that meet in one place take a sweep each.
            least = int(numpy.bincount(across, minlength=1).max())
            size = sum([size_of(shape_of_node(node)) for node in nodes])
            if mode in (None, "forward" if is_forward else "reverse"):
                # Of two that take as many, reverse, unless forwards goes along fewer numbers.
                options.append((least, place, size, is_forward, entries, nodes, swept, across))
    best: tuple[tuple[int, int, int, bool], _Sweeps] | None = None
    for least, place, size, is_forward, entries, nodes, swept, across in sorted(options, key=lambda own: own[:4]):
        if best is None or (least, place, size, is_forward) < best[0]:
            colours = _colours([shape_of_node(node) for node in nodes], swept, across)
            count = int(colours.max(initial=-1)) + 1
            if best is None or (count, place, size, is_forward) < best[0]:
                best = (count, place, size, is_forward), _Sweeps(entries, is_forward, colours)
    assert best is not None  # one option has the mode
    return best[1]


def _colours(shapes: Sequence[Shape], swept: Any, across: Any) -> Any:
    """Colour the numbers that are swept along so that those of one colour share no place across.

    Args:
        shapes: of the values that are swept along.
        swept, across: of each entry the number of these, and the place.

    Numbers of an array that stand at one place of its rows, or of its columns, have one colour if they may.
    """
    numpy = importlib.import_module("numpy")
    order = numpy.argsort(swept, kind="stable")
    swept, across = swept[order], across[order]
    groups, start, count = [], 0, 0
    for shape in shapes:
        size = size_of(shape)
        first, last = numpy.searchsorted(swept, (start, start + size))
        own = _grouped(shape, swept[first:last] - start, across[first:last])
        groups.append(own + count)
        count += int(own.max(initial=-1)) + 1
        start += size
    group_of = numpy.concatenate([*groups, numpy.arange(0)])
    pairs = numpy.sort(across * max(1, count) + group_of[swept])
    place, group = numpy.divmod(pairs[numpy.diff(pairs, prepend=-1) > 0], max(1, count))
    return numpy.array(colour(_together(place, group, count), count), int)[group_of]


def _together(place: Any, group: Any, count: int) -> list[tuple[int, ...]]:
    """List which groups meet in a place, each set of them once.

    Args:
        place: in order, for each that meets there.
        group: which group it is.
        count: how many groups there are.
    """
    numpy = importlib.import_module("numpy")
    if not len(place):
        return []
    starts = numpy.flatnonzero(numpy.diff(place, prepend=-1))
    if count <= _BITS:
        found = set(numpy.bitwise_or.reduceat(1 << group, starts).tolist())
        return [tuple([k for k in range(count) if bits >> k & 1]) for bits in sorted(found)]
    bounds, listed = [*starts.tolist(), len(place)], group.tolist()
    return list(dict.fromkeys([tuple(listed[first:last]) for first, last in pairwise(bounds)]))


def _grouped(shape: Shape, swept: Any, across: Any) -> Any:
    """Return for each number of an array the group that it may be swept along with; alone if need be."""
    numpy = importlib.import_module("numpy")
    each = numpy.arange(size_of(shape))
    if not shape or not len(each):
        return each
    for groups in sorted((each % size_of(shape[1:]), each // shape[-1]), key=lambda own: own[-1]):
        keys = numpy.sort(across * (groups[-1] + 1) + groups[swept])
        if (keys[1:] != keys[:-1]).all():
            return groups
    return each


def _seeds(nodes: Sequence[Any], numbers: Any) -> Iterator[Any]:
    """Yield for each node its part of the numbers."""
    start = 0
    for node in nodes:
        shape = shape_of_node(node)
        own = numbers[start : start + size_of(shape)].reshape(shape)
        start += size_of(shape)
        if not own.any():
            yield 0.0
        elif not shape:
            yield float(own)
        else:
            yield _repeating(own)


def _repeating(numbers: Any) -> Any:
    """Return constants as an array of a trace, which holds those once that repeat along an axis."""
    shape, kept = numbers.shape, numbers
    for axis in range(len(shape)):
        first = kept.take([0], axis)
        kept = first if (kept == first).all() else kept
    if kept.size == numbers.size:
        return Numbers(numbers.tobytes(), shape)
    own = tuple([length for length in kept.shape if length > 1]) or (1,)
    steps = iter(contiguous(own))
    strides = tuple([next(steps) if length > 1 else 0 for length in kept.shape])
    return Tracer.__apply_structure__(View(own, Part(0, shape, strides)), [Numbers(kept.tobytes(), own)])


def _placed(nodes: Sequence[Any], swept: Sequence[Any], other: Any, chosen: Any, goals: Any) -> Iterator[Any]:
    """Yield where numbers that a sweep gave go among the entries, and these numbers: as whole arrays if possible.

    Args:
        nodes, swept: what the sweep gave, and for what.
        other: for each entry which of these numbers it is.
        chosen: whether the entry is one of this sweep.
        goals: where each entry goes.
    """
    numpy = importlib.import_module("numpy")
    taken, goals = other[chosen], goals[chosen]
    order = numpy.argsort(taken, kind="stable")
    taken, goals = taken[order], goals[order]
    start = 0
    for node, value in zip(nodes, swept, strict=True):
        shape = shape_of_node(node)
        size = size_of(shape)
        first, last = numpy.searchsorted(taken, (start, start + size))
        own, goal = taken[first:last] - start, goals[first:last]
        start += size
        if not len(own) or (not shape and type(value) is float and value == 0.0):
            continue
        if not shape:
            yield Part(int(goal[0]), (), ()), value
            continue
        parts = _in_parts(shape, own, goal)
        if parts is not None:
            for seen, part in parts:
                yield part, Tracer.__apply_structure__(View(shape, seen), [value])
            continue
        flat = Tracer.__apply_structure__(View(shape, Part(0, (size,), (1,))), [value])
        picked = Gather((size,), own.shape).apply((flat, Numbers.of(own)))
        line = _regular(goal, own.shape)
        if line is not None:
            yield line, picked
        else:
            total = (int(goal.max()) + 1,)
            yield whole(total), Scatter(total, own.shape).apply((Numbers.of(goal), picked))


def _in_parts(shape: Shape, own: Any, goal: Any) -> list[tuple[Part, Part]] | None:
    """Return parts of an array that hold the numbers asked for, and the parts where they go; None if there are few.

    The array goes whole, or its rows or columns each.
    """
    numpy = importlib.import_module("numpy")
    size = size_of(shape)
    if len(own) == size:
        part = _regular(goal, shape)
        if part is not None:
            return [(whole(shape), part)]
    goals = numpy.full(size, -1)
    goals[own] = goal
    for axis in (len(shape) - 1, 0):
        lines = numpy.moveaxis(goals.reshape(shape), axis, 0)
        if len(shape) == 1 or len(lines) > _AXIS:
            continue
        rest = tuple(numpy.delete(shape, axis).tolist())
        strides = contiguous(shape)
        found = []
        for k, line in enumerate(lines):
            if (line < 0).all():
                continue
            part = None if (line < 0).any() else _regular(line, rest)
            if part is None:
                break
            found.append((Part(k * strides[axis], rest, (*strides[:axis], *strides[axis + 1 :])), part))
        else:
            return found
    return None


def _regular(places: Any, shape: Shape) -> Part | None:
    """Return the part whose numbers, in order, stand at these places, if strides give them."""
    numpy = importlib.import_module("numpy")
    grid = places.reshape(shape)
    start, expected, strides = grid.flat[0], 0, []
    for axis, length in enumerate(shape):
        step = (grid.take(1, axis).flat[0] - start) if length > 1 else 0
        strides.append(int(step))
        expected = numpy.expand_dims(expected, -1) + step * numpy.arange(length)
    apart = all(stride for stride, length in zip(strides, shape, strict=True) if length > 1)  # else they are added up
    return Part(int(start), shape, tuple(strides)) if apart and (grid == start + expected).all() else None


def sparse_rows(function: str, graph: Recorded, inputs: Sequence[Any], mode: str | None = None) -> Any:
    """Return the sparse Jacobian of a graph of floats or traced numbers; `TypeError` if an input is a Var."""
    if any(type(node) is ArrayTracer for node in (*graph.inputs, *graph.results)):
        return sparse_arrays(graph, function == "hessian", mode)
    if any(map(is_symbolic, inputs)):
        return sparse_jacobian(graph, symbolic=True, symmetric=function == "hessian", mode=mode)[0]
    if any(type(node) is not Var or node.op is not None for node in inputs):
        raise TypeError(f"{function} with sparse=True expected arguments of floats but got Vars; nest without sparse")
    return sparse_jacobian(graph, symmetric=function == "hessian", mode=mode)[0]
