"""Write bodies of loops as steps of another program, and what was written as a body."""

from __future__ import annotations

from collections.abc import Sequence

from ..operations import table
from ..programs import (
    Builder,
    Loop,
    Place,
    Program,
    Shape,
    View,
    row_at,
    values_in_tuple,
    whole,
)


def inlined(builder: Builder, body: Program, args: Sequence[int]) -> list[int]:
    """Write the steps of a body, and return the numbers of its outputs."""
    values = [*args, *[builder.constant(number) for number in body.constants]]
    for op, own in body.steps:
        places = tuple([values[k] for k in own])
        values += builder.results(op, places)
    return [values[k] for k in body.outputs]


def called(builder: Builder, loop: Loop, count: int) -> list[int]:
    """Write a loop that takes the first so many values, and return the numbers of its results."""
    return list(builder.results(loop, tuple(range(count))))


def unrolled(builder: Builder, loop: Loop) -> list[int]:
    """Write a map out, and return the numbers of its results."""
    found = []
    for k in range(loop.length):
        args = list(range(len(loop.body.names)))
        for row, shape in enumerate(loop.body.shapes[: loop.rows]):
            args[row] = builder.write(View((loop.length, *shape), row_at(k, shape)), (row,))
        found.append(inlined(builder, loop.body, args))
    results = []
    for j, shape in enumerate(loop.body.output_shapes[: loop.stacked]):
        parts = [row_at(k, shape) for k in range(loop.length)]
        place = Place((loop.length, *shape), parts)
        results.append(builder.write(place, tuple([own[j] for own in found])))
    for j, shape in enumerate(loop.body.output_shapes[loop.stacked :], loop.stacked):
        total = found[0][j]
        for own in found[1:]:
            if shape:
                total = builder.step(Place(shape, [whole(shape)] * 2), (total, own[j]))
            else:
                total = builder.step(table.add, (total, own[j]))
        results.append(total)
    return results


def body_of(
    builder: Builder,
    name: str,
    names: Sequence[str],
    shapes: Sequence[Shape],
    given: Sequence[Shape],
    outputs: Sequence[int],
) -> Program:
    """Return what a builder has written as the body of a loop; its inputs and outputs have such shapes."""
    used: set[str] = set()
    unique = []
    for k, own in enumerate(names):
        unique.append(own if own not in used else f"{own}{k}")
        used.add(unique[-1])
    frame = Program(tuple(unique), (), (), (), values_in_tuple(shapes), values_in_tuple(given), name)
    return builder.finish(frame, outputs)
