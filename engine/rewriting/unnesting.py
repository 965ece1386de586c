"""Move work across inner programs: what does not change leaves its loop, small calls are inlined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..programs import CALL, COUNTED, WHILE, Builder, Loop, Program, Shape, Structural, arranged, values_in_tuple

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
                values.append(arranged(builder, op, own) if isinstance(op, Structural) else builder.step(op, own))
                continue
            new = op
            if not is_done:
                new = op.map_programs(once)
                if op.kind == CALL and (uses[op] <= 1 or len(new.body) <= _SMALL):
                    values += write(new.body, own, is_done=True)
                    continue
                new, own = _hoisted(builder, new, own)
            first = builder.step(new, own)
            values += range(first, first + new.results)
        return [values[k] for k in inner.outputs]

    return builder.finish(program, write(program, range(len(program.names))))


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
            places = tuple([outside[k] for k in own])
            outside[first] = arranged(builder, op, places) if isinstance(op, Structural) else builder.step(op, places)
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
