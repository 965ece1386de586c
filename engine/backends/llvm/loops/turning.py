"""Turn sums of arrays inside out: a map over their numbers, each of which is a sum, that may stay in a register."""

from __future__ import annotations

from collections.abc import Sequence

from ....programs import MAP, Builder, Loop, Part, Program, Shape, Step, View, contiguous, values_in_tuple

_LEAST = 8  # numbers of an array that is summed


def turned(program: Program) -> Program:
    """Return the program with maps of sums where it has sums of maps, also in its loops.

    >>> import numpy as np
    >>> from chainrule import trace
    >>> program = trace(lambda a, b: a @ b, np.ones(300), np.ones((300, 400)))
    >>> [(op.length, op.sums) for op in program.rows_and_loops() if op.name == "map"]
    [(300, 1), (400, 0)]
    >>> [(op.length, op.sums) for op in turned(program).rows_and_loops() if op.name == "map"]
    [(400, 0), (300, 1)]
    """

    return _turned(program, {})


def _turned(program: Program, known: dict[Program, Program]) -> Program:
    if program in known:
        return known[program]
    builder, values = Builder.like(program)
    is_same = True
    for op, args in program.steps:
        own = tuple([values[k] for k in args])
        if not isinstance(op, Loop):
            values.append(builder.write(op, own))
            continue
        new = op.map_programs(lambda body: _turned(body, known))
        found = _inner(new)
        is_same = is_same and found is None and new is op
        first = builder.step(new, own) if found is None else _turn(builder, new, *found, own)
        values += range(first, first + op.results)
    known[program] = program if is_same else builder.finish(program, [values[k] for k in program.outputs])
    return known[program]


def _inner(op: Loop) -> tuple[Loop, Sequence[int]] | None:
    """Return the only step of a loop that does no more than sum what it stacks, and what that takes."""
    body = op.body
    if op.kind != MAP or op.stacked or not op.rows or len(body.steps) != 1:
        return None
    ((inner, args),) = body.steps
    if not isinstance(inner, Loop) or inner.kind != MAP or inner.sums or inner.length < _LEAST:
        return None
    if inner.body.has_loops or min(body.outputs) < body.offset or not any(k < op.rows for k in args):
        return None
    return inner, args


def _turn(builder: Builder, op: Loop, inner: Loop, taken: Sequence[int], args: Sequence[int]) -> int:
    length, count, body = inner.length, op.length, inner.body
    values = [*args, *map(builder.constant, op.body.constants)]
    given: list[int] = []
    shapes: list[Shape] = []  # of what one number's sum takes
    has_own: list[bool] = []  # whether each summand has a row of that
    for place, (value, shape) in enumerate(zip(taken, body.shapes, strict=True)):
        source = values[value]
        has_own.append(value < op.rows)
        if has_own[-1] and place < inner.rows:
            own = contiguous((count, length, *shape))
            part = Part(0, (length, count, *shape), (own[1], own[0], *own[2:]))
            source = builder.write(View((count, length, *shape), part), (source,))
        given.append(source)
        shapes.append((count, *shape) if has_own[-1] else shape)
    # Rows come first.
    order = sorted(range(len(given)), key=lambda k: not has_own[k])
    new = [*[order.index(k) for k in range(len(order))], *range(len(order), body.count)]
    each = body.renumbered(
        body.steps,
        new,
        names=tuple([body.names[k] for k in order]),
        arguments=values_in_tuple([body.shapes[k] for k in order]),
    )
    total = Loop(MAP, each, count, 0, sum(has_own), inner.stacked)
    first = len(given)
    around = Program(
        body.names,
        (),
        (Step(total, tuple(order)),),
        tuple([first + value - op.body.offset for value in op.body.outputs]),
        values_in_tuple(shapes),
        values_in_tuple([total.shapes[value - op.body.offset] for value in op.body.outputs]),
        op.body.name,
    )
    return builder.step(Loop(MAP, around, length, 0, inner.rows, 0), tuple(given))
