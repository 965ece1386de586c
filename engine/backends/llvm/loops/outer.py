"""Find results that are sums of outer products over a batch: a product of two matrices adds them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ....data import Structure
from ....programs import MAP, Loop, Part, Place, Program, Step, drop, size_of, values_in_tuple, whole
from ...layout import Layout
from .parts import order_of

_LEAST = 512  # numbers of such a result: fewer stand in the first cache however they are added up
_ROWS = 4  # of it, at least
ONES = -1  # stands for what makes columns that are 1


Piece = tuple[int, Part]  # a value, and where in a row it stands


class Outer(NamedTuple):
    """A result that is a sum of outer products: which output it is, and the values that make up its columns.

    Of the changed program that output is what makes its rows.
    """

    output: int
    columns: tuple[Piece, ...]

    @property
    def only(self) -> int | None:
        """The value that makes all columns, if one does."""
        return self.columns[0][0] if len(self.columns) == 1 else None


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
        if factors is None:
            continue
        row, pieces = factors
        columns = tuple([(args[k] if k >= 0 else ONES, part) for k, part in pieces])
        if all(k == ONES or k < layout.base or layout.varying[k] for k, _ in columns):
            steps[place] = Step(_with_result(op, result, row), args)
            found.append(Outer(output, columns))
    if not found:
        return program, []
    program = replace(program, steps=tuple(steps), result=_result(program, steps))
    return program, found


def _factors(op: Loop, result: int) -> tuple[int, list[Piece]] | None:
    """Return the value of a loop's body that multiplies all of a row of a result, and what inputs it multiplies."""
    if op.kind != MAP or result >= op.stacked:
        return None
    body, value = op.body, op.body.outputs[result]
    made = {
        first + k: (step, k)
        for step, first in zip(body.steps, body.firsts, strict=True)
        for k in range(step.op.results)
    }
    if value not in made:
        return None
    pieces = [(value, whole(body.value_shapes[value]))]
    placing, args = made[value][0]
    if isinstance(placing, Place):
        if order_of(placing) is None:
            return None
        pieces = list(zip(args, placing.parts, strict=True))
    rows, columns = set[int](), list[Piece]()
    for piece, part in pieces:
        factors = _product(body, op.rows, *made[piece]) if piece in made else None
        if factors is None and part.shape:
            return None
        row, column = factors or (piece, ONES)
        rows.add(row)
        columns.append((column, part))
    return (rows.pop(), columns) if len(rows) == 1 else None


def _product(body: Program, rows: int, step: Step, result: int) -> tuple[int, int] | None:
    """Return a number of a body and an input beside its rows whose product a step is."""
    op, args = step
    if isinstance(op, Loop):
        if op.kind != MAP or result >= op.stacked:
            return None
        found = _factor_of_rows(op, result)
        if found is None:
            return None
        row, column = args[found[0]], args[found[1]]
    elif op.name == "mul":
        row, column = sorted(args, key=lambda k: rows <= k < len(body.names))
    else:
        return None
    return (row, column) if rows <= column < len(body.names) and not rows <= row < len(body.names) else None


def _factor_of_rows(op: Loop, result: int) -> tuple[int, int] | None:
    """Return which shared argument of a map multiplies which row, if a result is no more than that."""
    body = op.body
    product = body.outputs[result]
    if product not in body.firsts:
        return None
    step = body.steps[body.firsts.index(product)]
    if step.op.name != "mul":
        return None
    column, row = sorted(step.args)
    is_so = column < op.rows <= row < len(body.names) and not body.shapes[column] and not body.shapes[row]
    return (row, column) if is_so else None


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
