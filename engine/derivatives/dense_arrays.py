"""Compute Jacobians and Hessians of functions of whole arrays: one sweep, run by a map for each unit of an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..data import Structure
from ..operations import table
from ..programs import (
    MAP,
    ArrayTracer,
    Loop,
    Numbers,
    Part,
    Scatter,
    Shape,
    Tracer,
    constants,
    contiguous,
    listed,
    shape_of,
    shown,
    size_of,
    symbol,
    traced,
    values_in_tuple,
    whole,
)
from .sweeps import Recorded, forward, placed, reverse

Sweep = Callable[[Sequence[Any]], Sequence[Any]]


def holds_whole_arrays(nodes: Sequence[Any], *structures: Structure) -> bool:
    """Return whether there are whole arrays, and no lists that are one."""
    return any(type(node) is ArrayTracer for node in nodes) and all(map(_is_simple, structures))


def _is_simple(structure: Structure) -> bool:
    return not (structure.whole and structure.parts) and all(map(_is_simple, structure.parts))


def dense_arrays(graph: Recorded, mode: str | None) -> list[list[Any]]:
    """Return for each result and each input the derivative: an array of both shapes, or a number."""
    heights, widths = [sum([size_of(shape_of(node)) for node in nodes]) for nodes in (graph.results, graph.inputs)]
    if mode == "reverse" or (mode is None and heights <= widths):
        return [_swept(k, graph.results, lambda seeds: reverse(graph, seeds, True)) for k in range(len(graph.results))]
    inputs = range(len(graph.inputs))
    columns = [_swept(k, graph.inputs, lambda tangents: forward(graph, tangents, True)) for k in inputs]
    shapes = [shape_of(node) for node in graph.inputs]
    return [
        [_turned(block, shape_of(result), own) for block, own in zip(blocks, shapes, strict=True)]
        for result, blocks in zip(graph.results, zip(*columns, strict=True), strict=True)
    ]


def _swept(place: int, nodes: Sequence[Any], sweep: Sweep) -> list[Any]:
    """Return what a sweep gives for each unit of one node, as arrays whose first axes are the node's."""
    shape = shape_of(nodes[place])
    if not shape:
        return list(sweep([1.0 if k == place else 0.0 for k in range(len(nodes))]))
    size = size_of(shape)
    number = symbol("unit", ())
    unit = Scatter((size,), ()).apply((number, 1.0)).view(whole(shape))
    found = sweep([unit if k == place else 0.0 for k in range(len(nodes))])
    outside: list[Any] = []
    arguments, result = values_in_tuple([()]), values_in_tuple(map(shape_of, found))
    body = listed("unit", [number], list(found), arguments, result, number.birth, outside)
    stacked = Tracer.__apply_loop__(Loop(MAP, body, size, 0, 1, 0), (_count(size), *outside))
    return [array.view(whole((*shape, *array.shape[1:]))) for array in stacked]


def _count(size: int) -> Numbers:
    return constants([float(k) for k in range(size)], (size,))


def _turned(block: Any, first: Shape, last: Shape) -> Any:
    """Return an array whose axes are `last`, then `first`, with these the other way round."""
    if not first or not last:
        return block
    strides = (*contiguous(first), *[size_of(first) * stride for stride in contiguous(last)])
    return block.view(Part(0, (*first, *last), strides))


def mirrored_blocks(blocks: list[list[Any]], shapes: Sequence[Shape]) -> list[list[Any]]:
    """Return the blocks of a symmetric matrix: those below the diagonal count, and on it the numbers below it."""
    return [
        [
            _symmetric(blocks[i][i], shape)
            if i == j
            else blocks[i][j]
            if j < i
            else _turned(blocks[j][i], shape, shapes[j])
            for j in range(len(shapes))
        ]
        for i, shape in enumerate(shapes)
    ]


def _symmetric(block: Any, shape: Shape) -> Any:
    if not shape or type(block) is not ArrayTracer:
        return block
    size = size_of(shape)
    rows, columns = block.view(Part(0, (size, size), (size, 1))), block.view(Part(0, (size, size), (1, size)))
    numbers = _count(size)
    choose = traced(
        "below",
        ["below", "above", "column", "row"],
        lambda xs: [table.where(table.less(xs[3], xs[2]), xs[1], xs[0])],
    )
    inner = Loop(MAP, choose, size, 0, 3, 0)
    along = traced(
        "row",
        ["below", "above", "row", "columns"],
        lambda xs: inner.apply((xs[0], xs[1], xs[3], xs[2])),
        [(size,), (size,), (), (size,)],
    )
    (found,) = Loop(MAP, along, size, 0, 3, 0).apply((rows, columns, numbers, numbers))
    return found.view(whole((*shape, *shape)))


def arranged_blocks(rows: Structure, columns: Structure, blocks: Sequence[Sequence[Any]]) -> Any:
    """Arrange blocks as the structure of the result, each part holding that of the argument."""
    return _built(rows, iter(blocks), lambda unit, own: _built(columns, zip(*own, strict=True), _joined_to(unit)))


def _built(structure: Structure, items: Iterator[Any], make: Callable[[Structure, list[Any]], Any]) -> Any:
    """Build a structure; what stands for a number or an array is made of the items of its values."""
    if structure.kind in ("number", "array"):
        return make(structure, [next(items) for _ in range(structure.count)])
    return structure.build([_built(part, items, make) for part in structure.parts])


def _joined_to(row: Structure) -> Callable[[Structure, list[Any]], Any]:
    """Return what joins the blocks of an array, or a number, of the result and one of the argument."""

    def join(column: Structure, own: list[Any]) -> Any:
        shape, width = (*row.shape, *column.shape), size_of(column.shape)
        parts, values = [], []
        for j, blocks in enumerate(own):
            for i, block in enumerate(blocks):
                if type(block) is float and block == 0.0:
                    continue
                first, last = [unit.shape if unit.whole else () for unit in (row, column)]
                start = (0 if row.whole else i * width) + (0 if column.whole else j)
                strides = (*[width * stride for stride in contiguous(first)], *contiguous(last))
                parts.append(Part(start, (*first, *last), strides))
                values.append(block)
        if not shape:
            return values[0] if values else 0.0
        return shown(placed(shape, parts, values))

    return join
