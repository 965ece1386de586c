"""Find results that are sums of outer products over a batch: a product of two matrices adds them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ....data import Structure
from ....programs import MAP, Loop, Program, Step, drop, size_of, values_in_tuple
from ...layout import Layout

_LEAST = 512  # numbers of such a result: fewer stand in the first cache however they are added up
_ROWS = 4  # of it, at least


class Outer(NamedTuple):
    """A result that is a sum of outer products: which output it is, and the value that makes its columns.

    Of the changed program that output is what makes its rows.
    """

    output: int
    columns: int


def outer_products(layout: Layout, lanes: int) -> tuple[Program, list[Outer]]:
    """Return the program with one factor in place of each result that is such a sum, and what these results are.

    Args:
        layout: of the program and what of it differs from sample to sample.
        lanes: of a vector; a row has as many numbers, at least.
    """
    program = layout.program
    if not layout.reduce:
        return program, []
    uses = Counter([*program.outputs, *[k for _, args in program.steps for k in args]])
    steps, found = list(program.steps), list[Outer]()
    made = {
        first + k: (place, k)
        for place, first in enumerate(program.firsts)
        if isinstance(op := program.steps[place].op, Loop)
        for k in range(op.results)
    }
    for output, value in enumerate(program.outputs):
        shape = program.value_shapes[value]
        if value not in made or uses[value] != 1 or not layout.varying[value] or len(shape) != 2:
            continue
        if size_of(shape) < _LEAST or shape[0] < _ROWS or shape[1] < lanes:
            continue
        place, result = made[value]
        op, args = steps[place]
        assert isinstance(op, Loop)
        factors = _factors(op, result)
        if factors is not None:
            row, column = factors
            steps[place] = Step(_with_result(op, result, row), args)
            found.append(Outer(output, args[column]))
    if not found:
        return program, []
    program = replace(program, steps=tuple(steps), result=_result(program, steps))
    return program, found


def _factors(op: Loop, result: int) -> tuple[int, int] | None:
    """Return the value of a loop's body that multiplies a row of a result, and which argument is that row."""
    if op.kind != MAP or result >= op.stacked:
        return None
    body = op.body
    value = body.outputs[result]
    for (inner, args), first in zip(body.steps, body.firsts, strict=True):
        if not isinstance(inner, Loop) or not first <= value < first + inner.stacked or inner.kind != MAP:
            continue
        product = inner.body.outputs[value - first]
        if product < inner.body.offset:
            return None
        place = inner.body.firsts.index(product) if product in inner.body.firsts else -1
        if place < 0 or inner.body.steps[place].op.name != "mul":
            return None
        row, column = sorted(inner.body.steps[place].args, reverse=True)
        if not column < inner.rows <= row < len(inner.body.names):
            return None
        if inner.body.shapes[column] or inner.body.shapes[row] or not op.rows <= args[column] < len(body.names):
            return None
        return args[row], args[column]
    return None


def _with_result(op: Loop, result: int, value: int) -> Loop:
    """Return a map that stacks another value of its body in place of a result."""
    body = op.body
    outputs = [value if k == result else old for k, old in enumerate(body.outputs)]
    shapes = [body.value_shapes[k] for k in outputs]
    return op.change(body=drop(replace(body, outputs=tuple(outputs), result=values_in_tuple(shapes))))


def _result(program: Program, steps: Sequence[Step]) -> Structure:
    """Return the structure of the result, each output by itself."""
    shapes = replace(program, steps=tuple(steps)).value_shapes
    return values_in_tuple([shapes[k] for k in program.outputs])
