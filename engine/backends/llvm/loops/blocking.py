"""Run several iterations of a map as one, step by step side by side: what they share is fetched once for all."""

from __future__ import annotations

from dataclasses import replace

from ....operations import table
from ....programs import MAP, Loop, Place, Program, Step, View, row_at, size_of, values_in_tuple

_SHARED = 4  # numbers that iterations share, at least: else there is nothing to gain


def blocked(loop: Loop, most: int) -> Loop:
    """Return the loop with as many iterations in one as divide its length, at most `most`.

    Arguments and results stay what they are and where they are, but for a second axis along the iterations in one. Only
    maps change whose body holds no loop, and adds up no arrays.

    >>> from chainrule import dot, map, trace
    >>> program = trace(lambda w, x: map(dot, w, x), [[1.0] * 4] * 6, [2.0] * 4)
    >>> loop = next(op for op, _ in program.steps if op.name == "map")
    >>> [blocked(loop, most).length for most in (1, 2, 4)]
    [6, 3, 2]
    """
    if loop.kind != MAP or any(isinstance(op, Loop) for op, _ in loop.body.steps):
        return loop
    shapes, given = loop.body.shapes, loop.body.output_shapes
    if sum(map(size_of, shapes[loop.rows :])) < _SHARED or any(given[loop.stacked :]):
        return loop
    count = max(k for k in range(1, max(1, most) + 1) if loop.length % k == 0)
    if count == 1:
        return loop
    return loop.change(body=_several(loop.body, loop.rows, loop.stacked, count), length=loop.length // count)


def _several(body: Program, rows: int, stacked: int, count: int) -> Program:
    """Return the program of several iterations; what it sums is added up as soon as it is computed."""
    inputs, shapes, given = len(body.names), body.shapes, body.output_shapes
    steps: list[Step] = []
    made = body.offset
    places = [{k: k for k in range(rows, body.offset)} for _ in range(count)]

    def add(op: object, args: tuple[int, ...]) -> int:
        nonlocal made
        steps.append(Step(op, args))  # type: ignore[arg-type]
        made += 1
        return made - 1

    for copy, own in enumerate(places):
        for k, shape in enumerate(shapes[:rows]):
            own[k] = add(View((count, *shape), row_at(copy, shape)), (k,))
    totals: dict[int, int] = {}
    summed = set(body.outputs[stacked:])

    def add_up(value: int) -> None:
        totals[value] = places[0][value]
        for own in places[1:]:
            totals[value] = add(table.add, (totals[value], own[value]))

    for (op, args), value in zip(body.steps, body.firsts, strict=True):
        for own in places:
            own[value] = add(op, tuple([own[k] for k in args]))
        if value in summed:
            add_up(value)
    for value in sorted(summed - totals.keys()):
        add_up(value)
    outputs = []
    for value, shape in zip(body.outputs[:stacked], given, strict=False):
        parts = [row_at(copy, shape) for copy in range(count)]
        outputs.append(add(Place((count, *shape), parts), tuple([own[value] for own in places])))
    outputs += [totals[value] for value in body.outputs[stacked:]]
    taken = [*[(count, *shape) for shape in shapes[:rows]], *shapes[rows:inputs]]
    found = [*[(count, *shape) for shape in given[:stacked]], *given[stacked:]]
    return replace(
        body,
        steps=tuple(steps),
        outputs=tuple(outputs),
        arguments=values_in_tuple(taken),
        result=values_in_tuple(found),
    )
