"""Run several iterations of a map as one, step by step side by side: what they share is fetched once for all."""

from __future__ import annotations

from dataclasses import replace

from ....operations import table
from ....programs import MAP, Loop, Program, Step, numbers_in_tuple

_SHARED = 4  # numbers that iterations share, at least: else there is nothing to gain


def blocked(loop: Loop, most: int) -> Loop:
    """Return the loop with as many iterations in one as divide its length, at most `most`.

    Arguments and results stay what they are and where they are. Only maps change whose body holds no loop.

    >>> from chainrule import dot, map, trace
    >>> ((loop, _),) = trace(lambda w, x: map(dot, w, x), [[1.0] * 4] * 6, [2.0] * 4).steps
    >>> [blocked(loop, most).length for most in (1, 2, 4)]
    [6, 3, 2]
    """
    if loop.kind != MAP or loop.shared < _SHARED or any(isinstance(op, Loop) for op, _ in loop.body.steps):
        return loop
    count = max(k for k in range(1, max(1, most) + 1) if loop.length % k == 0)
    if count == 1:
        return loop
    return loop.change(
        body=_several(loop.body, loop.rows, loop.stacked, count),
        length=loop.length // count,
        rows=count * loop.rows,
    )


def _several(body: Program, rows: int, stacked: int, count: int) -> Program:
    """Return the program of several iterations; what it sums is added up as soon as it is there."""
    names = (*body.names[:rows] * count, *body.names[rows:])
    steps: list[Step] = []
    made = len(names) + len(body.constants)
    places = [
        {k: copy * rows + k if k < rows else (count - 1) * rows + k for k in range(body.offset)}
        for copy in range(count)
    ]
    totals: dict[int, int] = {}
    summed = set(body.outputs[stacked:])

    def add_up(value: int) -> None:
        nonlocal made
        totals[value] = places[0][value]
        for own in places[1:]:
            steps.append(Step(table.add, (totals[value], own[value])))
            totals[value] = made
            made += 1

    for (op, args), value in zip(body.steps, body.firsts, strict=True):
        for own in places:
            steps.append(Step(op, tuple([own[k] for k in args])))
            own[value] = made
            made += 1
        if value in summed:
            add_up(value)
    for value in sorted(summed - totals.keys()):
        add_up(value)
    outputs = [own[value] for own in places for value in body.outputs[:stacked]]
    outputs += [totals[value] for value in body.outputs[stacked:]]
    return replace(
        body,
        names=names,
        steps=tuple(steps),
        outputs=tuple(outputs),
        arguments=numbers_in_tuple(len(names)),
        result=numbers_in_tuple(len(outputs)),
    )
