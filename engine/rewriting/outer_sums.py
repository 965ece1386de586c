"""Take sums of outer products out of scans: their factors are stacked, and one product of two matrices follows.

The gradient by a matrix that all iterations multiply with is such a sum. In the scan each iteration would read and
write as many numbers as the matrix has; a product of matrices adds them up in registers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ..operations import Primitive, table
from ..programs import MAP, SCAN, Builder, Loop, Part, Program, Shape, View, drop, flat
from .inlining import body_of

_LONG = 32  # iterations, at least
_GAIN = 8  # numbers of a product for each of its factors' that are worth their stacking

Made = dict[int, tuple[Loop, tuple[int, ...], int]]  # of each result of a loop: that, its arguments, and which it is


class _Outer(NamedTuple):
    """The values of a body whose outer product is summed, and what multiplies them."""

    op: Primitive
    left: int
    right: int


def outer_sums_apart(program: Program) -> Program:
    """Return the program whose scans stack the factors of outer products that they would sum.

    >>> import numpy as np
    >>> from chainrule import grad, scan, trace
    >>> def f(w, xs):
    ...     return np.sum(scan(lambda c, x: (np.tanh(w @ c) + x, None), np.zeros(20), xs)[0])
    >>> traced = trace(grad(f), np.ones((20, 20)), np.ones((50, 20)))
    >>> [op.sums for op, _ in outer_sums_apart(traced).steps if op.name == "scan"]
    [0, 0]
    """
    return _apart(program, {}) if program.has_loops else program


def _apart(program: Program, known: dict[int, tuple[Program, Program]]) -> Program:
    if id(program) in known:
        return known[id(program)][1]
    builder, values = Builder.like(program)
    is_same = True
    for op, args in program.steps:
        own = tuple([values[k] for k in args])
        if not isinstance(op, Loop):
            values.append(builder.write(op, own))
            continue
        new = op.map_programs(lambda body: _apart(body, known) if body.has_loops else body)
        found = _outer_sums(new)
        is_same = is_same and new is op and not found
        values += _with_products(builder, new, found, own) if found else builder.results(new, own)
    result = program if is_same else builder.finish(program, [values[k] for k in program.outputs])
    known[id(program)] = program, result  # kept so that its id stays its own
    return result


def _outer_sums(loop: Loop) -> dict[int, _Outer]:
    """Return the sums of outer products, by their places among the outputs."""
    if loop.kind != SCAN or loop.length < _LONG or not loop.sums:
        return {}
    body, made = loop.body, _made(loop.body)
    uses = Counter([*body.outputs, *[k for _, args in body.steps for k in args]])
    found = {}
    for place in range(loop.carry + loop.stacked, len(body.outputs)):
        value = body.outputs[place]
        outer = _outer(made, value) if uses[value] == 1 and value in made else None
        if outer is not None:
            found[place] = outer
    return found


def _made(program: Program) -> Made:
    return {
        first + k: (op, args, k)
        for (op, args), first in zip(program.steps, program.firsts, strict=True)
        if isinstance(op, Loop)
        for k in range(op.results)
    }


def _outer(made: Made, value: int) -> _Outer | None:
    """Return the factors of an outer product: one of them is a row's number, the other all rows share."""
    rows, args, place = made[value]
    if not (rows.kind == MAP and place < rows.stacked):
        return None
    inside, inner_value = _made(rows.body), rows.body.outputs[place]
    if inner_value not in inside:
        return None
    columns, taken, place = inside[inner_value]
    if not (columns.kind == MAP and place < columns.stacked) or columns.length * rows.length < _GAIN * (
        columns.length + rows.length
    ):
        return None
    steps = dict(zip(columns.body.firsts, columns.body.steps, strict=True))
    step = steps.get(columns.body.outputs[place])
    if step is None or step.op not in (table.mul, table.strong_mul):
        return None
    left, right = [], []
    for factor in step.args:
        source = taken[factor] if factor < len(taken) else len(args)
        if source >= len(args):
            return None
        if factor >= columns.rows and source < rows.rows:
            left.append(args[source])
        elif factor < columns.rows and source >= rows.rows:
            right.append(args[source])
    return _Outer(step.op, left[0], right[0]) if len(left) == len(right) == 1 else None


def _with_products(builder: Builder, loop: Loop, found: dict[int, _Outer], args: tuple[int, ...]) -> list[int]:
    """Write a scan that stacks factors, and their products; return what its results were."""
    outputs, start = list(loop.body.outputs), loop.carry + loop.stacked
    factors = list(dict.fromkeys(value for outer in found.values() for value in (outer.left, outer.right)))
    sums = [place for place in range(start, len(outputs)) if place not in found]
    chosen = [*outputs[:start], *factors, *[outputs[place] for place in sums]]
    new = loop.change(body=drop(flat(loop.body, chosen)), sums=len(sums))
    first = builder.step(new, args)
    stacked = {value: first + start + k for k, value in enumerate(factors)}
    shapes = {value: new.shapes[start + k] for k, value in enumerate(factors)}
    kept = {place: first + start + len(factors) + k for k, place in enumerate(sums)}
    results = list(range(first, first + start))
    for place in range(start, len(outputs)):
        if place in kept:
            results.append(kept[place])
            continue
        op, left, right = found[place]
        results.append(_product(builder, op, (stacked[left], stacked[right]), (shapes[left], shapes[right])))
    return results


def _product(builder: Builder, op: Primitive, values: Sequence[int], shapes: Sequence[Shape]) -> int:
    """Write the sum of the outer products of the rows of two matrices; the longer rows stand side by side."""
    (length, rows), (_, columns) = shapes
    if rows > columns:
        found = _product(builder, op, values[::-1], shapes[::-1])
        return builder.write(View((columns, rows), Part(0, (rows, columns), (1, rows))), (found,))
    turned = builder.write(View((length, rows), Part(0, (rows, length), (1, rows))), (values[0],))
    each = Builder(2)
    number = each.step(op, (1, 0))
    one = Loop(MAP, body_of(each, "product", ("x", "y"), [(), ()], [()], [number]), columns, 0, 1, 0)
    row = Builder(2)
    scaled = row.step(one, (1, 0))
    total = Loop(MAP, body_of(row, "product", ("x", "y"), [(), (columns,)], [(columns,)], [scaled]), length, 0, 2, 1)
    every = Builder(2)
    added = every.step(total, (0, 1))
    around = body_of(every, "product", ("x", "y"), [(length,), (length, columns)], [(columns,)], [added])
    return builder.step(Loop(MAP, around, rows, 0, 1, 0), (turned, values[1]))
