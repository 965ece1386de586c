"""Find products of a matrix in what maps over its rows write out number by number, which is how short rows are traced.

A sum of products with a row's numbers becomes a loop; many sums over the rows, of what multiplies their numbers, become
a map over the columns. Both then take several rows and vectors of samples at a time, and are short to compile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

from ....operations import table
from ....programs import MAP, Builder, Loop, Part, Place, Program, Shape, Step, View, drop, values_in_tuple

_MANY = 32  # products with a row's numbers, at least

Products = tuple[int, int, int, int]  # the first sum, how many, the array of rows, the first of a row's numbers


class _Dot(NamedTuple):
    """A sum of products so far: of numbers of a row, from one on, with values of the body."""

    row: int
    start: int
    others: tuple[int, ...]


def with_products(program: Program) -> Program:
    """Return the program with products of a matrix where maps multiply a row's numbers one by one."""
    builder = Builder(len(program.names))
    values = [*range(len(program.names)), *map(builder.constant, program.constants)]
    is_same = True
    for op, args in program.steps:
        own = tuple([values[k] for k in args])
        if not isinstance(op, Loop) or op.kind != MAP:
            values += builder.results(op, own)
            continue
        new, own = _with_dots(builder, op, own)
        found = _products(new) if new.sums >= _MANY else None
        values += builder.results(new, own) if found is None else _as_matrix(builder, new, own, *found)
        is_same = is_same and new is op and found is None
    return program if is_same else builder.finish(program, [values[k] for k in program.outputs])


def _products(op: Loop) -> tuple[int, Products] | None:
    """Return what a map's body multiplies a row's numbers with, and where; None if its sums are no such products."""
    body = op.body
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
    around = _pair(Step(_dot(length, body.name), (0, 1)), (length,), body.name)
    total = builder.write(turned, (args[row],))
    array = builder.step(Loop(MAP, around, sums, 0, 1, 0), (total, results[stacked]))
    numbers = [builder.write(View((sums,), Part(k, (), ())), (array,)) for k in range(sums)]
    return [*results[:stacked], *numbers]


def _with_dots(builder: Builder, op: Loop, args: tuple[int, ...]) -> tuple[Loop, tuple[int, ...]]:
    """Return a map with loops for long sums of products of a row's numbers with shared ones, and its arguments."""
    body = op.body
    found = _dots(op)
    if not found:
        return op, args
    every = dict.fromkeys([dot.others for dot in found.values()])
    arrays = {others: len(body.names) + k for k, others in enumerate(every)}
    inner = Builder(len(body.names) + len(arrays))
    values = [*range(len(body.names)), *map(inner.constant, body.constants)]
    for (step, given), first in zip(body.steps, body.firsts, strict=True):
        dot = found.get(first)
        if dot is None:
            values += inner.results(step, tuple([values[k] for k in given]))
            continue
        count = len(dot.others)
        row = inner.write(View(body.shapes[dot.row], Part(dot.start, (count,), (1,))), (dot.row,))
        values.append(inner.step(_dot(count, body.name), (row, arrays[dot.others])))
    names = (*body.names, *[f"m{k}" for k in range(len(arrays))])
    shapes = [*body.shapes, *[(len(others),) for others in arrays]]
    frame = replace(body, names=names, arguments=values_in_tuple(shapes))
    new = op.change(body=drop(inner.finish(frame, [values[k] for k in body.outputs])))
    more = []
    for others in arrays:
        place = Place((len(others),), [Part(k, (), ()) for k in range(len(others))])
        more.append(builder.write(place, tuple([args[k] for k in others])))
    return new, (*args, *more)


def _dots(op: Loop) -> dict[int, _Dot]:
    """Return the long sums of products, in order, of a row's numbers with as many shared ones, by their values."""
    body = op.body
    uses = Counter([*body.outputs, *[k for _, args in body.steps for k in args]])
    made = dict(zip(body.firsts, body.steps, strict=True))
    zero = {k for k, item in enumerate(body.constants, len(body.names)) if item == 0.0}
    found: dict[int, _Dot] = {}
    for value, (step, args) in made.items():
        if step.name != "add":
            continue
        before, last = args
        factor = _factor(op, made, last) if uses[last] == 1 else None
        if factor is None:
            continue
        row, place, other = factor
        dot = found.get(before)
        if before in zero:
            found[value] = _Dot(row, place, (other,))
        elif dot is not None and uses[before] == 1 and row == dot.row and place == dot.start + len(dot.others):
            found[value] = _Dot(row, dot.start, (*dot.others, other))
            del found[before]
    return {value: dot for value, dot in found.items() if len(dot.others) >= _MANY}


def _factor(op: Loop, made: dict[int, Step], value: int) -> tuple[int, int, int] | None:
    """Return of a product with a row's number the row, which number it is, and the shared number it multiplies."""
    step = made.get(value)
    if step is None or step.op.name != "mul":
        return None
    for number, other in (step.args, step.args[::-1]):
        view = made.get(number)
        if view is None or not isinstance(view.op, View) or not op.rows <= other < len(op.body.names):
            continue
        (row,) = view.args
        if row < op.rows and len(op.body.shapes[row]) == 1 and not op.body.shapes[other]:
            return row, view.op.part.start, other
    return None


def _dot(length: int, name: str) -> Loop:
    """Return the loop that adds up the products of two arrays' numbers."""
    return Loop(MAP, _pair(Step(table.mul, (0, 1)), (), name), length, 0, 2, 1)


def _pair(step: Step, shape: Shape, name: str) -> Program:
    """Return the program of one step that makes a number of two values."""
    return Program(("w", "x"), (), (step,), (2,), values_in_tuple([shape, shape]), values_in_tuple([()]), name)
