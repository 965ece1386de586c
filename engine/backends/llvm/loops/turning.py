"""Turn sums of arrays inside out: a map over their numbers, each of which is a sum, that may stay in a register.

So are as many sums of products with the numbers of a row: they are products of a matrix with what else is multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....operations import table
from ....programs import (
    MAP,
    Builder,
    Loop,
    Part,
    Program,
    Shape,
    Step,
    View,
    contiguous,
    drop,
    values_in_tuple,
)

_LEAST = 8  # numbers of an array that is summed
_MANY = 32  # sums of products with a row's numbers, from which on they stay in no registers

Products = tuple[int, int, int, int]  # the first sum, how many, the array of rows, the first of a row's numbers


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


def with_products(program: Program) -> Program:
    """Return the program with products of a matrix where it has many sums of what multiplies a row's numbers."""
    builder = Builder(len(program.names))
    values = [*range(len(program.names)), *map(builder.constant, program.constants)]
    is_same = True
    for op, args in program.steps:
        own = tuple([values[k] for k in args])
        found = _products(op) if isinstance(op, Loop) and op.sums >= _MANY else None
        if found is None or not isinstance(op, Loop):
            values += builder.results(op, own)
        else:
            is_same = False
            values += _as_matrix(builder, op, own, *found)
    return program if is_same else builder.finish(program, [values[k] for k in program.outputs])


def _products(op: Loop) -> tuple[int, Products] | None:
    """Return what a map's body multiplies a row's numbers with, and where; None if its sums are no such products."""
    body = op.body
    if op.kind != MAP:
        return None
    made = dict(zip(body.firsts, body.steps, strict=True))
    factors, rows, places = set[int](), set[int](), []
    for value in body.outputs[op.stacked :]:
        step = made.get(value)
        if step is None or step.op.name != "mul":
            return None
        seen = [
            (k, made[k]) for k in step.args if k in made and isinstance(made[k].op, View) and made[k].args[0] < op.rows
        ]
        if len(seen) != 1:
            return None
        ((number, (view, (row,))),) = seen
        assert isinstance(view, View)
        factors.add(step.args[0] if step.args[1] == number else step.args[1])
        rows.add(row)
        places.append(view.part.start)
    (row, *more), (factor, *others) = rows, factors
    if more or others or len(body.shapes[row]) != 1 or places != list(range(places[0], places[0] + op.sums)):
        return None
    return factor, (op.stacked, op.sums, row, places[0])


def _as_matrix(builder: Builder, op: Loop, args: tuple[int, ...], factor: int, found: Products) -> list[int]:
    """Write the loop without its sums, and the product of matrix and vector that these are."""
    stacked, sums, row, start = found
    body, length = op.body, op.length
    outputs = (*body.outputs[:stacked], factor)
    shapes = [body.value_shapes[k] for k in outputs]
    rest = op.change(body=drop(replace(body, outputs=outputs, result=values_in_tuple(shapes))), sums=0)
    results = builder.results(rest, args)
    (width,) = body.shapes[row]
    turned = View((length, width), Part(start, (sums, length), (1, width)))
    product = Program(
        ("w", "d"), (), (Step(table.mul, (0, 1)),), (2,), values_in_tuple([(), ()]), values_in_tuple([()]), body.name
    )
    dot = Loop(MAP, product, length, 0, 2, 1)
    shapes = [(length,), (length,)]
    around = Program(
        ("w", "d"), (), (Step(dot, (0, 1)),), (2,), values_in_tuple(shapes), values_in_tuple([()]), body.name
    )
    total = builder.write(turned, (args[row],))
    array = builder.step(Loop(MAP, around, sums, 0, 1, 0), (total, results[stacked]))
    numbers = [builder.write(View((sums,), Part(k, (), ())), (array,)) for k in range(sums)]
    return [*results[:stacked], *numbers]
