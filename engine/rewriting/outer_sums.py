"""Take sums of outer products out of scans: their factors are stacked, and one product of two matrices follows.

The gradient by a matrix that all iterations multiply with is such a sum. In the scan each iteration would read and
write as many numbers as the matrix has; a product of matrices adds them up in registers. After a counted scan the
product is a sum over as many rows, too, for each of its numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..operations import Primitive, table
from ..programs import COUNTED, MAP, SCAN, Builder, Loop, Part, Place, Program, Shape, View, drop, flat, values_in_tuple
from .inlining import body_of

_LEAST = {SCAN: 32, COUNTED: 4}  # iterations, at least
_GAIN = {SCAN: 8, COUNTED: 2}  # numbers of a product for each of its factors' that are worth their stacking

Made = dict[int, tuple[Loop, tuple[int, ...], int]]  # of each result of a loop: that, its arguments, and which it is


class _Factor(NamedTuple):
    """A value of a body; or numbers there; or one `inside` for each row of a map, whose first result that value is."""

    value: int
    inside: int = -1
    numbers: tuple[int, ...] = ()


class _Outer(NamedTuple):
    """The factors whose outer product is summed, and what multiplies them."""

    op: Primitive
    left: _Factor
    right: _Factor


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
    if loop.kind not in _LEAST or loop.length < _LEAST[loop.kind] or not loop.sums:
        return {}
    body, made = loop.body, _made(loop.body)
    uses = Counter([*body.outputs, *[k for _, args in body.steps for k in args]])
    found = {}
    for place in range(loop.carry + loop.stacked, len(body.outputs)):
        value = body.outputs[place]
        outer = _outer(made, value, _GAIN[loop.kind]) if uses[value] == 1 and value in made else None
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


def _outer(made: Made, value: int, gain: int) -> _Outer | None:
    """Return the factors of an outer product: one of them is a row's number, the other all rows share."""
    rows, args, place = made[value]
    if not (rows.kind == MAP and place < rows.stacked):
        return None
    (length, *each), inner_value = rows.shapes[place], rows.body.outputs[place]
    if len(each) != 1 or each[0] * length < gain * (each[0] + length):
        return None
    inside = _made(rows.body)
    if inner_value not in inside:
        return _written_out(rows, args, value - place, inner_value)
    columns, taken, place = inside[inner_value]
    if not (columns.kind == MAP and place < columns.stacked):
        return None
    steps = dict(zip(columns.body.firsts, columns.body.steps, strict=True))
    step = steps.get(columns.body.outputs[place])
    if step is None or step.op not in (table.mul, table.strong_mul):
        return None
    left, right = [], []
    for factor in step.args:
        source = taken[factor] if factor < len(taken) else rows.body.count
        if factor < columns.rows and rows.rows <= source < len(args):
            right.append(_Factor(args[source]))
        elif factor >= columns.rows and source < rows.rows:
            left.append(_Factor(args[source]))
        elif factor >= columns.rows and rows.body.offset <= source < rows.body.count:
            left.append(_Factor(value - made[value][2], source))
    return _Outer(step.op, left[0], right[0]) if len(left) == len(right) == 1 else None


def _written_out(rows: Loop, args: Sequence[int], first: int, value: int) -> _Outer | None:
    """Return the factors where a row's number is multiplied by one shared number after another."""
    steps = dict(zip(rows.body.firsts, rows.body.steps, strict=True))
    place = steps.get(value)
    if place is None or not isinstance(place.op, Place) or not place.op.is_list:
        return None
    products = [steps.get(k) for k in place.args]
    op = products[0].op if products[0] is not None else None
    if op not in (table.mul, table.strong_mul):
        return None
    left: set[int] = set()
    right: list[int] = []
    for step in products:
        if step is None or step.op is not op:
            return None
        shared = [k for k in step.args if rows.rows <= k < len(args)]
        own = [k for k in step.args if k < rows.rows or k >= rows.body.offset]
        if len(shared) != 1 or len(own) != 1:
            return None
        left.update(own)
        right.append(args[shared[0]])
    if len(left) > 1:
        return None
    (number,) = left
    factor = _Factor(args[number]) if number < rows.rows else _Factor(first, number)
    return _Outer(op, factor, _Factor(-1, numbers=tuple(right)))


def _with_products(builder: Builder, loop: Loop, found: dict[int, _Outer], args: tuple[int, ...]) -> list[int]:
    """Write a scan that stacks factors, and their products; return what its results were."""
    start, end = loop.carry + loop.stacked, loop.carry + loop.rows
    factors = list(dict.fromkeys(factor for outer in found.values() for factor in (outer.left, outer.right)))
    given = {each: args[each.value] for each in factors if loop.carry <= each.value < end and each.inside < 0}
    others = [each for each in factors if each not in given]
    body, values = _with_factors(loop.body, others)
    sums = [place for place in range(start, len(body.outputs)) if place not in found]
    chosen = [*body.outputs[:start], *values, *[body.outputs[place] for place in sums]]
    new = loop.change(body=_with_sums_apart(drop(flat(body, chosen))), sums=len(sums))
    first = builder.step(new, args)
    shapes = {each: (loop.length, *loop.body.shapes[each.value]) for each in given}
    for k, each in enumerate(others, start):
        given[each], shapes[each] = first + k, new.shapes[k]
    kept = {place: first + start + len(others) + k for k, place in enumerate(sums)}
    results = list(range(first, first + start))
    count = args[end] if loop.kind == COUNTED else None
    for place in range(start, len(body.outputs)):
        if place in kept:
            results.append(kept[place])
            continue
        op, left, right = found[place]
        results.append(_product(builder, op, (given[left], given[right]), (shapes[left], shapes[right]), count))
    return results


def _with_factors(body: Program, factors: Sequence[_Factor]) -> tuple[Program, list[int]]:
    """Return the program with maps that stack the numbers inside them which are factors, and all factors' values."""
    inside: dict[int, list[int]] = {}
    for factor in factors:
        if factor.inside >= 0:
            inside.setdefault(factor.value, []).append(factor.inside)
    builder, values = Builder.like(body)
    known: dict[_Factor, int] = {}
    for (op, args), first in zip(body.steps, body.firsts, strict=True):
        own = tuple([values[k] for k in args])
        if not isinstance(op, Loop) or first not in inside:
            values += builder.results(op, own)
            continue
        more, outputs = inside[first], op.body.outputs
        chosen = [*outputs[: op.stacked], *more, *outputs[op.stacked :]]
        results = builder.results(op.change(body=flat(op.body, chosen)), own)
        values += [*results[: op.stacked], *results[op.stacked + len(more) :]]
        known.update({_Factor(first, value): results[op.stacked + k] for k, value in enumerate(more)})
    found = []
    for each in factors:
        if each.numbers:
            parts = [Part(k, (), ()) for k in range(len(each.numbers))]
            found.append(builder.write(Place((len(parts),), parts), tuple([values[k] for k in each.numbers])))
        else:
            found.append(known[each] if each.inside >= 0 else values[each.value])
    outputs = [*[values[k] for k in body.outputs], *found]
    shapes = builder.shapes_of(outputs, body.arguments)
    program = builder.finish(replace(body, result=values_in_tuple(shapes)), outputs)
    return flat(program, program.outputs[: len(body.outputs)]), list(program.outputs[len(body.outputs) :])


def _with_sums_apart(body: Program) -> Program:
    """Return the program with a map of its own for each sum of arrays that a map adds up beside other things."""
    builder, values = Builder.like(body)
    for op, args in body.steps:
        own = tuple([values[k] for k in args])
        if isinstance(op, Loop) and (place := _summed(op)) is not None:
            values += _sums_apart(builder, op, place, own)
        else:
            values += builder.results(op, own)
    return builder.finish(body, [values[k] for k in body.outputs])


def _summed(op: Loop) -> int | None:
    """Return the place of a map's step that is a map of numbers, and gives nothing but sums; None if it is all."""
    body = op.body
    if op.kind != MAP or not op.sums or (len(body.steps) == 1 and not op.stacked):
        return None
    if any(op.rows <= k < body.offset for k in body.outputs):
        return None
    uses = Counter([*body.outputs, *[k for _, args in body.steps for k in args]])
    totals = body.outputs[op.stacked :]
    for place, ((inner, args), first) in enumerate(zip(body.steps, body.firsts, strict=True)):
        if not isinstance(inner, Loop) or inner.kind != MAP or inner.sums or inner.body.has_loops:
            continue
        results = range(first, first + inner.results)
        takes_constants = any(len(body.names) <= k < body.offset for k in args)
        if all(k in totals and uses[k] == 1 for k in results) and not takes_constants:
            return place
    return None


def _sums_apart(builder: Builder, op: Loop, place: int, args: tuple[int, ...]) -> list[int]:
    """Write a map without the sums of one step, and that step as a map; return what its results were."""
    body = op.body
    (inner, taken), first = body.steps[place], body.firsts[place]
    made = [k for k in dict.fromkeys([*body.outputs[: op.stacked], *taken]) if k >= body.offset]
    sums = [value for value in body.outputs[op.stacked :] if not first <= value < first + inner.results]
    rest: Sequence[int] = ()
    if made or sums:
        rest = builder.results(op.change(body=drop(flat(body, [*made, *sums])), sums=len(sums)), args)
    source = dict(zip(made, rest, strict=False))
    source.update(enumerate(args))
    order = sorted(dict.fromkeys(taken), key=lambda k: op.rows <= k < len(args))  # rows come first
    rows = sum([not op.rows <= k < len(args) for k in order])
    one = Builder(len(order))
    total = one.step(inner, tuple([order.index(k) for k in taken]))
    shapes = [body.value_shapes[k] for k in order]
    names = [f"x{k}" for k in range(len(order))]
    around = body_of(one, body.name, names, shapes, inner.shapes, range(total, total + inner.results))
    found = builder.results(
        Loop(MAP, around, op.length, 0, rows, inner.results, op.backwards), tuple([source[k] for k in order])
    )
    own = dict(zip(range(first, first + inner.results), found, strict=True))
    own.update(zip(sums, rest[len(made) :], strict=True))
    return [*[source[k] for k in body.outputs[: op.stacked]], *[own[k] for k in body.outputs[op.stacked :]]]


def _product(builder: Builder, op: Primitive, values: Sequence[int], shapes: Sequence[Shape], count: int | None) -> int:
    """Write the sum of the outer products of the rows of two matrices, or of as many as a value counts."""
    (length, rows), (_, columns) = shapes
    if rows > columns and count is None:
        # The longer rows stand side by side.
        found = _product(builder, op, values[::-1], shapes[::-1], None)
        return builder.write(View((columns, rows), Part(0, (rows, columns), (1, rows))), (found,))
    turned = builder.write(View((length, rows), Part(0, (rows, length), (1, rows))), (values[0],))
    if count is not None:
        return _counted_product(builder, op, (turned, values[1], count), (length, rows, columns))
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


def _counted_product(builder: Builder, op: Primitive, args: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    """Write a map over the rows of the result, one over the numbers of each, and the sum of so many products."""
    length, rows, columns = sizes
    right = builder.write(View((length, columns), Part(0, (columns, length), (1, columns))), (args[1],))
    one = Builder(3)
    product = one.step(op, (0, 1))
    body = body_of(one, "product", ("x", "y", "iterations"), [(), (), ()], [()], [product])
    each = Builder(3)
    total = each.step(Loop(COUNTED, body, length, 0, 2, 1), (1, 0, 2))
    body = body_of(each, "product", ("y", "x", "iterations"), [(length,), (length,), ()], [()], [total])
    row = Builder(3)
    numbers = row.step(Loop(MAP, body, columns, 0, 1, 0), (1, 0, 2))
    shapes = [(length,), (columns, length), ()]
    body = body_of(row, "product", ("x", "y", "iterations"), shapes, [(columns,)], [numbers])
    return builder.step(Loop(MAP, body, rows, 0, 1, 0), (args[0], right, args[2]))
