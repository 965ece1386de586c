"""Find which inputs each result of a recorded graph can depend on, number by number.

Those of a number are the bits of an integer. Those of an array are a SciPy matrix of truth values, a row for each of
its numbers: operations that move numbers, and maps, are products with such matrices, however many numbers there are.
"""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..data import scipy_sparse
from ..programs import (
    CALL,
    COUNTED,
    MAP,
    WHILE,
    Gather,
    Loop,
    Numbers,
    Part,
    Place,
    Program,
    Shape,
    Structural,
    View,
    row_by_row,
    size_of,
    symbols,
)
from .sweeps import Recorded, between, is_node, partials_of

_AT_ONCE = 1 << 24  # octets of bits that are looked at together


def pattern(graph: Recorded, symbolic: bool = False) -> list[list[int]]:
    """List for each result the inputs that it can depend on; both are numbers."""
    reached: dict[int, Any] = {}
    for place, node in enumerate(graph.inputs):
        reached[id(node)] = reached.get(id(node), 0) | (1 << place)
    _spread(graph, reached, len(graph.inputs), symbolic)
    return [_places(reached.get(id(result), 0)) if is_node(result) else [] for result in graph.results]


def pattern_by_number(graph: Recorded) -> Any:
    """Return the matrix that tells for each number of the results which numbers of the inputs it can depend on."""
    numpy, sparse = importlib.import_module("numpy"), scipy_sparse()
    reached: dict[int, Any] = {}
    start, width = 0, sum([size_of(shape_of_node(node)) for node in graph.inputs])
    for node in graph.inputs:
        shape = shape_of_node(node)
        own = numpy.arange(start, start + size_of(shape))
        # An input may stand at several places.
        before = reached.get(id(node))
        if shape:
            found = _selecting(numpy.arange(len(own)), own, (len(own), width))
            reached[id(node)] = found if before is None else found + before
        else:
            reached[id(node)] = (before or 0) | (1 << start)
        start += len(own)
    _spread(graph, reached, width, True)
    rows = [
        _as_matrix(_known(reached, node, shape_of_node(node), width) if is_node(node) else 0, width)
        for node in graph.results
    ]
    found = sparse.vstack(rows, format="csr", dtype=bool) if rows else _nothing(0, width)
    found.sort_indices()
    return found


def shape_of_node(node: Any) -> Shape:
    """Return the shape of a recorded array, () of a number."""
    return getattr(node, "shape", ())


def places_of(part: Part) -> Any:
    """Return the place of each number of a part, in order, as a NumPy array."""
    numpy = importlib.import_module("numpy")
    found = numpy.array([part.start])
    for length, stride in zip(part.shape, part.strides, strict=True):
        found = (found[:, None] + stride * numpy.arange(length)).ravel()
    return found


def _rows_asked(index: Numbers, count: int) -> Any:
    """Return which row of an array with so many each index asks for, as a NumPy array; -1 for none."""
    numpy = importlib.import_module("numpy")
    asked = numpy.frombuffer(index.data).copy()
    asked[~((numpy.abs(asked) <= count) & (asked % 1.0 == 0.0))] = count
    asked[asked < 0] += count
    asked[asked >= count] = -1
    return asked.astype(int)


def numbers_asked(index: Numbers, of: Shape) -> Any:
    """Return which number of an array each number of the rows is that indices ask for; -1 for none."""
    numpy = importlib.import_module("numpy")
    size = size_of(of[1:])
    rows = _rows_asked(index, of[0])
    return numpy.where(rows[:, None] < 0, -1, rows[:, None] * size + numpy.arange(size)).ravel()


def _spread(graph: Recorded, reached: dict[int, Any], width: int, symbolic: bool) -> None:
    """Find what each node of a graph can depend on."""
    for node in graph.order:
        op = node.op
        if isinstance(op, Structural):
            if isinstance(op, Loop) and node.place >= 0:
                reached[id(node)] = reached[id(node.args[0])][_loop_of(node).result_at(node.place)]
                continue
            shapes = op.argument_shapes
            own = [_known(reached, arg, shape, width) for arg, shape in zip(node.args, shapes, strict=True)]
            through = _through(node.loop, own, width) if isinstance(op, Loop) else _moved(op, node.args, own, width)
            reached[id(node)] = through
            continue
        if not hasattr(type(node), "__apply__"):
            if id(node.args[0]) in reached:
                reached[id(node)] = reached[id(node.args[0])]
            continue
        bits = 0
        for arg, partial in zip(node.args, partials_of(node, symbolic), strict=True):
            if id(arg) in reached and (type(partial) is not float or partial != 0.0):
                bits |= reached[id(arg)]
        reached[id(node)] = bits


def _loop_of(node: Any) -> Loop:
    """Return the loop that a result comes out of."""
    loop: Loop = node.args[0].loop
    return loop


def _known(reached: dict[int, Any], arg: Any, shape: Shape, width: int) -> Any:
    found = reached.get(id(arg))
    if found is None:
        return _nothing(size_of(shape), width) if shape else 0
    return found


# ---- the forms ----


def _nothing(height: int, width: int) -> Any:
    return scipy_sparse().csr_array((height, width), dtype=bool)


def _selecting(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """Return the matrix that is true at these places."""
    numpy = importlib.import_module("numpy")
    return scipy_sparse().csr_array((numpy.ones(len(rows), bool), (rows, columns)), shape=shape)


def _as_matrix(known: Any, width: int) -> Any:
    """Return what a value depends on as a matrix, of one row for a number."""
    if not isinstance(known, int):
        return known
    places = _places(known)
    return _selecting([0] * len(places), places, (1, width))


def _as_value(matrix: Any, shape: Shape) -> Any:
    """Return the rows of a matrix as what a value of this shape depends on."""
    return matrix if shape else _bits(matrix)[0]


def _bits(matrix: Any) -> list[int]:
    """Return the bits of each row of a matrix."""
    numpy = importlib.import_module("numpy")
    columns, starts = matrix.indices.tolist(), matrix.indptr.tolist()
    found = []
    for first, last in itertools.pairwise(starts):
        if last - first < 8:
            found.append(functools.reduce(int.__or__, [1 << column for column in columns[first:last]], 0))
        else:
            octets = numpy.zeros(matrix.shape[1], numpy.uint8)
            octets[columns[first:last]] = 1
            found.append(int.from_bytes(numpy.packbits(octets, bitorder="little").tobytes(), "little"))
    return found


def _from_bits(numbers: Sequence[int], width: int) -> Any:
    """Return the matrix whose rows have these bits."""
    numpy, sparse = importlib.import_module("numpy"), scipy_sparse()
    size = -(-width // 8) or 1
    parts = []
    for some in _batches(numbers, max(1, _AT_ONCE // size)):
        data = b"".join([number.to_bytes(size, "little") for number in some])
        octets = numpy.frombuffer(data, numpy.uint8).reshape(len(some), size)
        row, place = octets.nonzero()
        octet, bit = numpy.unpackbits(octets[row, place], bitorder="little").reshape(-1, 8).nonzero()
        parts.append(_selecting(row[octet], 8 * place[octet] + bit, (len(some), width)))
    return sparse.vstack(parts, format="csr", dtype=bool) if parts else _nothing(0, width)


def _batches(items: Sequence[Any], count: int) -> Iterator[Sequence[Any]]:
    return (items[k : k + count] for k in range(0, len(items), count))


def _places(bits: int) -> list[int]:
    """List which bits are set."""
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


# ---- through operations ----


def _moved(op: Any, args: Sequence[Any], known: Sequence[Any], width: int) -> Any:
    """Return what the numbers depend on that a view or the like gives."""
    numpy = importlib.import_module("numpy")
    shape = op.shape
    if isinstance(op, View):
        return _nothing(size_of(shape), width) if op.stops else _as_value(known[0][places_of(op.part)], shape)
    if isinstance(op, Place):
        goals = numpy.concatenate([*map(places_of, op.parts), ()]).astype(int)
        given = range(len(goals))
        rows = scipy_sparse().vstack([_nothing(0, width), *[_as_matrix(own, width) for own in known]], format="csr")
        return _selecting(goals, given, (size_of(shape), len(goals))) @ rows
    is_gather = isinstance(op, Gather)
    index = args[1] if is_gather else args[0]
    rows = _as_matrix(known[0 if is_gather else 1], width)
    of = op.of if is_gather else shape
    if isinstance(index, Numbers):
        asked = numbers_asked(index, of)
    else:
        # It can be any row: each number of one is what any of them is.
        size = size_of(of[1:])
        count = rows.shape[0]
        rows = _selecting(numpy.arange(count) % max(1, size), numpy.arange(count), (size, count)) @ rows
        asked, is_gather = numpy.arange(size_of(shape)) % max(1, size), True
    here = asked >= 0
    places = numpy.arange(len(asked))[here]
    if is_gather:
        return _as_value(_selecting(places, asked[here], (size_of(shape), rows.shape[0])) @ rows, shape)
    return _selecting(asked[here], places, (size_of(shape), rows.shape[0])) @ rows


def _through(loop: Loop, args: Sequence[Any], width: int) -> list[Any]:
    """Return what each result of a loop can depend on, from what its arguments do."""
    if loop.kind == CALL or (loop.kind == MAP and not loop.carry):
        return _through_map(loop, args, width)
    bits = [own if isinstance(own, int) else _bits(own) for own in args]
    found = _in_turn(loop, bits)
    return [own if isinstance(own, int) else _from_bits(own, width) for own in found]


def _through_map(loop: Loop, args: Sequence[Any], width: int) -> list[Any]:
    """Return what each result of a map can depend on: of all iterations at once."""
    numpy = importlib.import_module("numpy")
    count = 1 if loop.kind == CALL else loop.length
    is_row = [loop.carry <= k < loop.carry + loop.rows for k in range(len(args))]
    # Where the numbers of the body's inputs stand among those of the arguments, and how far apart for each iteration.
    first: list[int] = []
    step: list[int] = []
    start = 0
    for shape, is_own in zip(loop.body.shapes, is_row, strict=True):
        size = size_of(shape)
        first += range(start, start + size)
        step += [size if is_own else 0] * size
        start += size * (count if is_own else 1)
    given = scipy_sparse().vstack([_nothing(0, width), *[_as_matrix(own, width) for own in args]], format="csr")
    needs, iterations = iter(_needs(loop.body)), numpy.arange(count)
    goals, sources, bounds = [], [], [0]
    for k, shape in enumerate(loop.body.output_shapes):
        size, stacked = size_of(shape), loop.carry <= k < loop.carry + loop.stacked
        for j in range(size):
            for own in next(needs):
                goals.append(bounds[-1] + j + (size if stacked else 0) * iterations)
                sources.append(first[own] + step[own] * iterations)
        bounds.append(bounds[-1] + size * (count if stacked else 1))
    nothing = numpy.arange(0)
    both = numpy.concatenate([nothing, *goals]), numpy.concatenate([nothing, *sources])
    found = _selecting(*both, (bounds[-1], given.shape[0])) @ given
    rows = [found[first:last] for first, last in itertools.pairwise(bounds)]
    return [_as_value(own, shape) for own, shape in zip(rows, loop.shapes, strict=True)]


def _in_turn(loop: Loop, args: Sequence[Any]) -> list[Any]:
    """Return what each result of a loop whose iterations carry something can depend on, as bits."""
    first, end = loop.carry, loop.carry + loop.rows
    needs = _needs(loop.body)
    carry, shared = list(args[:first]), list(args[end:])

    def run(inputs: Sequence[Any]) -> list[Any]:
        numbers = [bits for own in inputs for bits in (own if isinstance(own, list) else (own,))]
        found = []
        for own in needs:
            bits = 0
            for place in own:
                bits |= numbers[place]
            found.append(bits)
        return _grouped(found, loop.body.output_shapes)

    rows = [row_by_row(array, shape) for array, shape in zip(args[first:end], loop.body.shapes[first:end], strict=True)]
    given = loop.body.output_shapes[first:]
    if loop.kind in (WHILE, COUNTED):
        # It can end anywhere.
        either = [functools.reduce(_union, own) for own in rows]
        while True:
            found = run([*carry, *either, *shared])
            grown = [_union(old, new) for old, new in zip(carry, found, strict=False)]
            if grown == carry or loop.is_branch:
                break
            carry = grown
        middle = first + loop.stacked
        stacked = [own * loop.length if type(own) is list else [own] * loop.length for own in found[first:middle]]
        return [*grown, *stacked, *found[middle:]]
    kept: list[list[Any]] = [[None] * loop.length for _ in range(loop.stacked)]
    totals = [[0] * size_of(shape) if shape else 0 for shape in given[loop.stacked :]]
    for k in loop.iterations:
        found = run([*carry, *[column[k] for column in rows], *shared])
        carry = found[:first]
        for own, item in zip(kept, found[first:], strict=False):
            own[k] = item
        totals = [_union(old, new) for old, new in zip(totals, found[first + loop.stacked :], strict=True)]
    stacked = [
        [bits for item in own for bits in item] if shape else own for own, shape in zip(kept, given, strict=False)
    ]
    return [*carry, *stacked, *totals]


def _grouped(numbers: Sequence[Any], shapes: Sequence[Shape]) -> list[Any]:
    """Return numbers as values of these shapes, arrays as lists."""
    own = iter(numbers)
    return [list(itertools.islice(own, size_of(shape))) if shape else next(own) for shape in shapes]


def _union(a: Any, b: Any) -> Any:
    return [x | y for x, y in zip(a, b, strict=True)] if isinstance(a, list) else a | b


@functools.lru_cache(maxsize=512)
def _needs(program: Program) -> list[list[int]]:
    """List for each number of a program's outputs the numbers of the inputs that it can depend on smoothly."""
    inputs = symbols(program)
    found = pattern_by_number(between(inputs, program.run(inputs)))
    columns, starts = found.indices.tolist(), found.indptr.tolist()
    return [columns[first:last] for first, last in itertools.pairwise(starts)]
