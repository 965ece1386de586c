"""Write loops that end early as scans of all rows, each a branch: branches are what guards the user's own rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from ...operations import Primitive, table
from ...programs import COUNTED, SCAN, WHILE, Builder, Loop, Program, traced, zeros_of


@functools.lru_cache(maxsize=64)
def bounded(program: Program) -> Program:
    """Return the program with a scan for each while loop that stacks or sums, and for each counted scan.

    Each iteration is a branch, not taken after the loop's end: the values are the same, but all rows are looked at.
    """
    if not any(map(_ends_early, program.rows_and_loops())):
        return program
    builder, values = Builder.like(program)
    for op, args in program.steps:
        places = tuple([values[k] for k in args])
        inner = op.map_programs(bounded) if isinstance(op, Loop) else op
        if not _ends_early(inner):
            values += builder.results(inner, places)
        elif inner.kind == WHILE:
            values += builder.results(_of_while(inner), places)
        else:
            values += builder.results(_of_counted(inner), (builder.constant(0.0), *places))[1:]
    return builder.finish(program, [values[k] for k in program.outputs])


def _ends_early(op: Primitive) -> TypeGuard[Loop]:
    return isinstance(op, Loop) and (op.kind == COUNTED or (op.kind == WHILE and op.results > op.carry))


def _of_while(loop: Loop) -> Loop:
    def ask(xs: Sequence[Any]) -> Any:
        return loop.condition.run(xs)[0]

    return _scan(loop, loop.body.names, list(loop.body.shapes), loop.carry, ask, lambda xs: xs, lambda xs: [])


def _of_counted(loop: Loop) -> Loop:
    """Return the scan, which also carries how many rows it has looked at."""
    place = 1 + loop.carry + loop.rows

    def ask(xs: Sequence[Any]) -> Any:
        row = loop.length - 1.0 - xs[0] if loop.backwards else xs[0]
        return table.less(row, xs[place])

    names, shapes = ("row", *loop.body.names), [(), *loop.body.shapes]
    return _scan(loop, names, shapes, loop.carry + 1, ask, lambda xs: xs[1:], lambda xs: [xs[0] + 1.0])


def _scan(
    loop: Loop,
    names: Sequence[str],
    shapes: Sequence[Any],
    carry: int,
    ask: Callable[[Sequence[Any]], Any],
    own: Callable[[Sequence[Any]], Sequence[Any]],
    counts: Callable[[Sequence[Any]], list[Any]],
) -> Loop:
    """Return a scan whose body is a branch: taken where `ask` of the body's inputs holds.

    `own` picks from these the inputs of the loop's body, `counts` returns what is carried beside, first.
    """
    body = loop.body
    results = list(body.output_shapes)
    # The branch carries all results of the body: carried numbers as they were, others 0 where it is not taken.
    kept = len(results)
    branch_names = [*[f"result{k}" for k in range(kept)], *names]
    branch_shapes = [*results, *shapes]
    taken = traced(body.name, branch_names, lambda xs: body.run(own(xs[kept:])), branch_shapes)
    asked = traced("goes on", branch_names, lambda xs: [ask(xs[kept:])], branch_shapes)
    branch = Loop(WHILE, taken, 1, kept, 0, 0, condition=asked)

    def run(xs: Sequence[Any]) -> list[Any]:
        before = [*own(xs)[: loop.carry], *map(zeros_of, results[loop.carry :])]
        return [*counts(xs), *branch.apply((*before, *xs))]

    program = traced(body.name, names, run, shapes)
    return Loop(SCAN, program, loop.length, carry, loop.rows, loop.sums, loop.backwards)
