"""Compute a sparse Jacobian or Hessian with few sweeps: find where it can be nonzero, and share sweeps by colour.

Columns that have no row in common can be found from one forward sweep along their sum, since every number that comes
out belongs to one of them; colouring the columns greedily groups them so (Curtis, Powell & Reid 1974). A banded matrix
takes as many sweeps as its band is wide, whatever its size. In a trace the zeros are those of the code, whatever the
numbers: a program has the same places at each call.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..data import Places, Sparse, is_symbolic, scipy_sparse
from ..graph import Var
from ..programs import (
    CALL,
    COUNTED,
    MAP,
    WHILE,
    ArrayTracer,
    Gather,
    Loop,
    Numbers,
    Place,
    Program,
    Shape,
    Structural,
    View,
    in_numbers,
    row_by_row,
    size_of,
    symbols,
)
from .sweeps import Recorded, between, forward, is_node, partials_of, reverse

_LONG = 512  # bits that NumPy lists sooner

_sparse_arrays: Callable[[Recorded, bool, str | None], Sparse]  # sparse_arrays.py gives it


def use_sparse_arrays(compute: Callable[[Recorded, bool, str | None], Sparse]) -> None:
    """Set what computes sparse derivatives of whole arrays: another module, which imports this one."""
    global _sparse_arrays
    _sparse_arrays = compute


def pattern(graph: Recorded, symbolic: bool = False) -> list[list[int]]:
    """List for each result the inputs that it can depend on; both are numbers."""
    reached: dict[int, Any] = {}
    for place, node in enumerate(graph.inputs):
        reached[id(node)] = reached.get(id(node), 0) | (1 << place)
    _spread(graph, reached, symbolic)
    return [_places(reached.get(id(result), 0)) if is_node(result) else [] for result in graph.results]


def pattern_by_number(graph: Recorded) -> list[list[int]]:
    """List for each number of the results the numbers of the inputs that it can depend on."""
    return _dependences(graph, True)


def _dependences(graph: Recorded, symbolic: bool) -> list[list[int]]:
    reached: dict[int, Any] = {}
    start = 0
    for node in graph.inputs:
        shape = getattr(node, "shape", ())
        bits = [1 << k for k in range(start, start + size_of(shape))]
        reached[id(node)] = bits if shape else bits[0]
        start += size_of(shape)
    _spread(graph, reached, symbolic)
    known: dict[int, list[int]] = {}
    found: list[list[int]] = []
    for result in graph.results:
        shape = getattr(result, "shape", ())
        own: Any = _bits(reached, result, shape) if is_node(result) else 0
        for each in own if shape else (own,):
            if each not in known:
                known[each] = _places(each)
            found.append(known[each])
    return found


def _spread(graph: Recorded, reached: dict[int, Any], symbolic: bool) -> None:
    """Find what each node of a graph can depend on, as bits; of an array a list of them."""
    for node in graph.order:
        op = node.op
        if isinstance(op, Structural):
            if isinstance(op, Loop) and node.place >= 0:
                reached[id(node)] = reached[id(node.args[0])][op_of(node).result_at(node.place)]
                continue
            shapes = op.argument_shapes
            own = [_bits(reached, arg, shape) for arg, shape in zip(node.args, shapes, strict=True)]
            reached[id(node)] = _through(node.loop, own) if isinstance(op, Loop) else _moved(op, node.args, own)
            continue
        if not hasattr(type(node), "__apply__"):
            reached[id(node)] = reached.get(id(node.args[0]), 0)
            continue
        bits = 0
        for arg, partial in zip(node.args, partials_of(node, symbolic), strict=True):
            if id(arg) in reached and (type(partial) is not float or partial != 0.0):
                bits |= reached[id(arg)]
        reached[id(node)] = bits


def op_of(node: Any) -> Loop:
    """Return the loop that a result comes out of."""
    loop: Loop = node.args[0].loop
    return loop


def _bits(reached: dict[int, Any], arg: Any, shape: Shape) -> Any:
    return reached.get(id(arg), [0] * size_of(shape) if shape else 0)


def _moved(op: Any, args: Sequence[Any], bits: Sequence[Any]) -> Any:
    """Return what the numbers depend on that a view or the like gives."""
    if isinstance(op, View):
        if op.stops:
            return [0] * size_of(op.shape) if op.shape else 0
        return op.on_lists(bits)
    if isinstance(op, Place):
        found = [0] * size_of(op.shape)
        for part, own in zip(op.parts, bits, strict=True):
            for place, number in zip(part.places(), own if part.shape else (own,), strict=True):
                found[place] |= number
        return found
    index = args[1] if isinstance(op, Gather) else args[0]
    if isinstance(index, Numbers):
        rows = index.tolist()
        if isinstance(op, Gather):
            return [0 if bit != bit else bit for bit in op.on_lists([bits[0], rows])]
        found = [0] * size_of(op.shape)
        size = size_of(op.shape[1:])
        for k, row in enumerate(rows):
            for j in range(size):
                found[int(row) % op.shape[0] * size + j] |= bits[1][k * size + j]
        return found
    # It can be any row.
    size = size_of((op.of if isinstance(op, Gather) else op.shape)[1:])
    numbers = bits[0 if isinstance(op, Gather) else 1]
    numbers = numbers if isinstance(numbers, list) else [numbers]
    columns = [functools.reduce(int.__or__, numbers[j::size], 0) for j in range(size)]
    whole = columns * (size_of(op.shape) // size if size else 0)
    return whole if op.shape else whole[0]


def _through(loop: Loop, args: Sequence[Any]) -> list[Any]:
    """Return the inputs that each result of a loop can depend on, as bits, from those of its arguments."""
    first, end = loop.carry, loop.carry + loop.rows
    needs = _needs(loop.body)
    carry, shared = list(args[:first]), list(args[end:])

    def run(inputs: Sequence[Any]) -> list[Any]:
        numbers = list(in_numbers(inputs, loop.body.arguments))
        found = []
        for own in needs:
            bits = 0
            for place in own:
                bits |= numbers[place]
            found.append(bits)
        return grouped(found, loop.body.output_shapes)

    if loop.kind == CALL:
        return run(args)
    if loop.kind == MAP and not first:
        return _through_map(loop, needs, args)
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


def _through_map(loop: Loop, needs: Sequence[Sequence[int]], args: Sequence[Any]) -> list[Any]:
    """Return the bits of a map's results: of all iterations of a number at once."""
    columns: list[Any] = []  # of each number of the body's inputs: a list of its bits, or those of all iterations
    for k, (arg, shape) in enumerate(zip(args, loop.body.shapes, strict=True)):
        size = size_of(shape)
        if k >= loop.rows:
            columns += arg if shape else [arg]
        else:
            columns += [arg[j::size] for j in range(size)]
    found: list[list[int]] = []
    for own in needs:
        same = functools.reduce(int.__or__, [columns[k] for k in own if isinstance(columns[k], int)], 0)
        varying = [columns[k] for k in own if not isinstance(columns[k], int)]
        if varying:
            found.append([functools.reduce(int.__or__, bits, same) for bits in zip(*varying, strict=True)])
        else:
            found.append([same] * loop.length)
    results: list[Any] = []
    start = 0
    for k, shape in enumerate(loop.body.output_shapes):
        own_columns = found[start : start + size_of(shape)]
        start += size_of(shape)
        if k < loop.stacked:
            results.append([bits for row in zip(*own_columns, strict=True) for bits in row])
        else:
            totals = [functools.reduce(int.__or__, column, 0) for column in own_columns]
            results.append(totals if shape else totals[0])
    return results


def grouped(numbers: Sequence[Any], shapes: Sequence[Shape]) -> list[Any]:
    """Return numbers as values of these shapes, arrays as lists."""
    own = iter(numbers)
    return [list(itertools.islice(own, size_of(shape))) if shape else next(own) for shape in shapes]


def _union(a: Any, b: Any) -> Any:
    return [x | y for x, y in zip(a, b, strict=True)] if isinstance(a, list) else a | b


@functools.lru_cache(maxsize=512)
def _needs(program: Program) -> list[list[int]]:
    """List for each number of a program's outputs the numbers of the inputs that it can depend on smoothly."""
    inputs = symbols(program)
    return _dependences(between(inputs, program.run(inputs)), True)


def _places(bits: int) -> list[int]:
    count = bits.bit_length()
    if count > _LONG and "numpy" in sys.modules:
        numpy = sys.modules["numpy"]
        octets = numpy.frombuffer(bits.to_bytes(-(-count // 8), "little"), numpy.uint8)
        found: list[int] = numpy.flatnonzero(numpy.unpackbits(octets, bitorder="little")).tolist()
        return found
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
    if any(type(node) is ArrayTracer for node in (*graph.inputs, *graph.results)):
        return _sparse_arrays(graph, function == "hessian", mode)
    if any(map(is_symbolic, inputs)):
        return sparse_jacobian(graph, symbolic=True, symmetric=function == "hessian", mode=mode)[0]
    if any(type(node) is not Var or node.op is not None for node in inputs):
        raise TypeError(f"{function} with sparse=True expected arguments of floats but got Vars; nest without sparse")
    return sparse_jacobian(graph, symmetric=function == "hessian", mode=mode)[0]
