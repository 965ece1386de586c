"""Move work across inner programs: what does not change leaves its loop, small calls are inlined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..programs import (
    CALL,
    COUNTED,
    WHILE,
    Builder,
    Loop,
    Numbers,
    Part,
    Place,
    Program,
    Shape,
    View,
    drop,
    flat,
    size_of,
    values_in_tuple,
)
from .simplifying import optimise

_FEW = 64  # constants that may stand in the code
_SMALL = 8  # steps of a function that are as well written where it is called

Placed = tuple[Loop, tuple[int, ...]]


def restructure(program: Program) -> Program:
    """Inline calls that are small or the only one of their function, and hoist out of loops what stays the same.

    >>> from chainrule import exp, function, map, trace
    >>> def f(xs, w):
    ...     return map(lambda x: function(exp)(w) * x, xs, reduce="sum")
    >>> print(restructure(trace(f, [1.0, 2.0], 1.0)))
    f(xs: [number, number], w):
        v1 = exp(w)
        v2 = map lambda × 2 over xs[0], xs[1] with w, v1, summing 1:
            lambda(x, w, hoisted):
                v1 = hoisted × x
                return v1
        return v2
    """
    return _restructured(program, {})


def _restructured(program: Program, known: dict[int, tuple[Program, Program]]) -> Program:
    uses = Counter(op for op, _ in program.steps if isinstance(op, Loop))
    builder = Builder(len(program.names))

    def once(body: Program) -> Program:
        if id(body) not in known:
            known[id(body)] = body, _restructured(body, known)  # kept so that its id stays its own
        return known[id(body)][1]

    def write(inner: Program, places: Sequence[int], is_done: bool = False) -> list[int]:
        values = [*places, *[builder.constant(number) for number in inner.constants]]
        for op, args in inner.steps:
            own = tuple([values[k] for k in args])
            if not isinstance(op, Loop):
                values.append(builder.write(op, own))
                continue
            if is_done:
                values += builder.results(op, own)
                continue
            new = op.map_programs(once)
            if op.kind == CALL and (uses[op] <= 1 or len(new.body) <= _SMALL):
                values += write(new.body, own, is_done=True)
                continue
            new, own = _with_constants(builder, *_without_equal_rows(builder, new, own))
            values += _summed_apart(builder, *_hoisted(builder, new, own))
        return [values[k] for k in inner.outputs]

    return builder.finish(program, write(program, range(len(program.names))))


def _with_constants(builder: Builder, loop: Loop, args: tuple[int, ...]) -> Placed:
    """Return a loop whose body has the constants that its iterations share, and its other arguments."""
    first = loop.carry + loop.rows + (loop.kind == COUNTED)  # which counts by a number that it shares
    known: dict[int, float | Numbers] = {}
    for k in range(first, len(args)):
        number, table = builder.constant_of(args[k]), builder.table_of(args[k])
        if number is not None:
            known[k] = number
        elif table is not None and size_of(table.shape) <= _FEW:
            known[k] = table
    if loop.kind == CALL or not known:
        return loop, args
    left = [k for k in range(len(args)) if k not in known]
    return loop.map_programs(lambda program: optimise(_rebuilt(program, left, known))), tuple([args[k] for k in left])


def _without_equal_rows(builder: Builder, loop: Loop, args: tuple[int, ...]) -> Placed:
    """Return a loop that shares what is the same row in each iteration."""
    first, end = loop.carry, loop.carry + loop.rows
    shared = {k: row for k in range(first, end) if (row := _equal_row(builder, args[k], loop, k)) is not None}
    if not shared:
        return loop, args
    left = [k for k in range(len(args)) if k not in shared]
    new = loop.change(body=_rebuilt(loop.body, [*left, *shared], {}), rows=loop.rows - len(shared))
    return new, (*[args[k] for k in left], *shared.values())


def _equal_row(builder: Builder, value: int, loop: Loop, position: int) -> int | None:
    """Return the row that all rows of an array are; None if they differ."""
    shape = loop.body.shapes[position]
    table, made = builder.table_of(value), builder.step_of(value)
    if table is not None and loop.length:
        size = len(table.data) // loop.length
        row = table.data[:size]
        if row * loop.length == table.data:
            return builder.constant(Numbers(row, shape) if shape else next(iter(Numbers(row, (1,)))))
    if made is not None and isinstance(made.op, Place):
        if not made.args:
            return builder.write(Place(shape, ()), ()) if shape else builder.constant(0.0)
        same = made.op.fills and len(made.args) == loop.length and set(made.args) == {made.args[0]}
        return made.args[0] if same and made.op.parts[0].shape == shape else None
    if made is not None and isinstance(made.op, View) and made.op.part.strides[0] == 0 and not made.op.stops:
        part = made.op.part
        return builder.write(View(made.op.of, Part(part.start, shape, part.strides[1:])), made.args)
    return None


def _rebuilt(program: Program, inputs: Sequence[int], known: Mapping[int, float | Numbers]) -> Program:
    """Return the program with some of its inputs, in this order, and constants in the place of others."""
    builder = Builder(len(inputs))
    places = {k: place for place, k in enumerate(inputs)} | {k: builder.constant(x) for k, x in known.items()}
    values = [places[k] for k in range(len(program.names))]
    values += [builder.constant(item) for item in program.constants]
    for op, args in program.steps:
        values += builder.results(op, tuple([values[k] for k in args]))
    frame = replace(
        program,
        names=tuple([program.names[k] for k in inputs]),
        arguments=values_in_tuple([program.shapes[k] for k in inputs]),
        constants=(),
        steps=(),
    )
    return builder.finish(frame, [values[k] for k in program.outputs])


def _hoisted(builder: Builder, loop: Loop, args: tuple[int, ...]) -> Placed:
    """Compute before a loop what its body computes of shared numbers alone, and return the loop that takes it."""
    body = loop.body
    inputs, start = len(body.names), loop.carry + loop.rows
    if loop.kind == CALL or loop.is_branch:
        return loop, args
    outside = {loop.carry + loop.rows + k: value for k, value in enumerate(args[start:])}
    outside.update({inputs + k: builder.constant(number) for k, number in enumerate(body.constants)})
    moved: list[int] = []
    for (op, own), first in zip(body.steps, body.firsts, strict=True):
        # A while loop may end at once, and a row of the user's runs for nobody then.
        may_move = not isinstance(op, Loop) and not (op.custom and loop.kind in (WHILE, COUNTED))
        if may_move and all(k in outside for k in own):
            outside[first] = builder.write(op, tuple([outside[k] for k in own]))
            moved.append(first)
    if not moved:
        return loop, args
    gone = set(moved)
    read = set(body.outputs)
    for (_, own), first in zip(body.steps, body.firsts, strict=True):
        read.update(() if first in gone else own)
    kept = [value for value in moved if value in read]
    shapes = [body.value_shapes[value] for value in kept]
    condition = loop.condition
    if condition is not None:
        condition = _renumbered(condition, shapes, {}, set())
    new = loop.change(
        body=_renumbered(body, shapes, {v: inputs + k for k, v in enumerate(kept)}, gone), condition=condition
    )
    return new, (*args, *[outside[value] for value in kept])


def _summed_apart(builder: Builder, loop: Loop, args: tuple[int, ...]) -> list[int]:
    """Write a loop; of a sum of arrays with the same parts it adds up the parts, which are put together afterwards.

    So the gradient by a part of an array that all iterations share is no sum of whole arrays.
    """
    body, start = loop.body, loop.carry + loop.stacked
    made = dict(zip(body.firsts, body.steps, strict=True))
    placed = [made.get(value) for value in body.outputs[start:]]
    placed = [step if step is not None and isinstance(step.op, Place) else None for step in placed]
    if not any(placed):
        return list(builder.results(loop, args))
    outputs = list(body.outputs[:start])
    for value, step in zip(body.outputs[start:], placed, strict=True):
        outputs += (value,) if step is None else step.args
    new = loop.change(body=drop(flat(body, outputs)), sums=len(outputs) - start)
    first = builder.step(new, args)
    found = list(range(first, first + start))
    place = first + start
    for step in placed:
        count = 1 if step is None else len(step.args)
        own = tuple(range(place, place + count))
        found.append(own[0] if step is None else builder.write(step.op, own))
        place += count
    return found


def _renumbered(program: Program, shapes: Sequence[Shape], new: dict[int, int], gone: set[int]) -> Program:
    """Return the program with more inputs, of these shapes, some of which replace values removed from it."""
    more = len(shapes)
    names = (*program.names, *["hoisted"] * more)
    places = {k: k if k < len(program.names) else k + more for k in range(program.offset)} | new
    count = program.offset + more
    kept = [(step, first) for step, first in zip(program.steps, program.firsts, strict=True) if first not in gone]
    for (op, _), first in kept:
        for k in range(op.results):
            places[first + k] = count + k
        count += op.results
    steps = [step for step, _ in kept]
    return program.renumbered(steps, places, names=names, arguments=values_in_tuple([*program.shapes, *shapes]))
