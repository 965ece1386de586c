"""Keep the user's own rows from numbers that no sample has, where a backend runs all lanes of a vector at once.

While some samples of a batch go on in a while loop, or take a branch, a vector computes for the others, too; what comes
out is thrown away. For a row of the user's, which may raise, that is not good enough. So each such row inside a while
loop gets one argument more, whether its lane is alive, and is nan without being asked where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...operations import Interval, Primitive, table
from ...programs import COUNTED, WHILE, Builder, Loop, Program, values_in_tuple
from .bounded import bounded

_LIVE = Interval(0.0, 1.0)


def guard(program: Program) -> Program:
    """Return the program with guarded rows in its while loops and branches; other programs are returned unchanged.

    >>> from chainrule import trace, while_loop
    >>> plain = trace(lambda x: while_loop(lambda c: c < 9.0, lambda c: c * c, x), 2.0)
    >>> guard(plain) is plain
    True
    """
    if not (_has_own_row(program) and _has_own_row_in_while(program)):
        return program
    # A counted scan whose lanes end apart becomes branches, which are guarded.
    return _Guarding().program(bounded(program), alive=False)


def _has_own_row(program: Program) -> bool:
    return any(row.custom for row in program.rows())


def _has_own_row_in_while(program: Program) -> bool:
    loops = [op for op, _ in program.steps if isinstance(op, Loop)]
    return any(
        any(map(_has_own_row if op.kind in (WHILE, COUNTED) else _has_own_row_in_while, op.programs())) for op in loops
    )


class _Guarding:
    """Rewrite a program and its inner ones; each of the user's rows has the same guarded form in all of them."""

    def __init__(self) -> None:
        self.rows: dict[Primitive, Primitive] = {}

    def program(self, program: Program, *, alive: bool) -> Program:
        """Return the guarded program; with `alive`, its last input tells whether the lane is alive."""
        names = (*program.names, "alive") if alive else program.names
        builder = Builder(len(names))
        outputs = self.write(builder, program, range(len(program.names)), len(program.names) if alive else None)
        arguments = values_in_tuple([*program.shapes, ()]) if alive else program.arguments
        return builder.finish(replace(program, names=names, arguments=arguments), outputs)

    def write(self, builder: Builder, program: Program, places: Sequence[int], alive: int | None) -> list[int]:
        """Write the steps of a program on given values; the value `alive` tells whether the lane is alive."""
        values = [*places, *[builder.constant(number) for number in program.constants]]
        for op, args in program.steps:
            own = tuple([values[k] for k in args])
            if not isinstance(op, Loop):
                if op.custom and alive is not None:
                    op, own = self.rows.setdefault(op, _guarded(op)), (alive, *own)
                values.append(builder.step(op, own))
                continue
            ahead = 0  # results of the new loop before those of the old one
            if not any(map(_has_own_row, op.programs())):
                new = op
            elif op.kind == WHILE:
                own = (self._asked(builder, op, own, alive), *own)
                new, ahead = self._while(op), 1
            elif alive is None:
                new = op.map_programs(lambda body: self.program(body, alive=False))
            else:
                new, own = op.change(body=self.program(op.body, alive=True)), (*own, alive)
            values += builder.results(new, own)[ahead:]
        return [values[k] for k in program.outputs]

    def _asked(self, builder: Builder, op: Loop, places: Sequence[int], alive: int | None) -> int:
        """Return whether a lane that is alive goes on."""
        (asked,) = self.write(builder, op.condition, places, alive)
        return asked if alive is None else builder.step(table.where, (alive, asked, builder.constant(0.0)))

    def _while(self, op: Loop) -> Loop:
        """Return the loop with a first carry that tells whether it goes on, which is its condition."""
        names = ("alive", *op.body.names)
        frame = replace(op.body, names=names, arguments=values_in_tuple([(), *op.body.shapes]))
        builder = Builder(len(names))
        carry = self.write(builder, op.body, range(1, len(names)), 0)
        again = builder.constant(0.0)
        if not op.is_branch:
            again = self._asked(builder, op, [*carry[: op.carry], *range(1 + op.carry, len(names))], 0)
        result = values_in_tuple([(), *op.body.output_shapes])
        body = builder.finish(replace(frame, result=result), [again, *carry])
        condition = replace(frame, constants=(), steps=(), outputs=(0,), result=op.condition.result)
        return op.change(body=body, condition=replace(condition, name=op.condition.name), carry=op.carry + 1)


def _guarded(row: Primitive) -> Primitive:
    """Return the row that is evaluated only where its first argument is not 0."""
    evaluate = row.evaluate

    def evaluate_alive(alive: float, *xs: float) -> float:
        return evaluate(*xs) if alive else math.nan

    def refuse(y: Any, *xs: Any) -> Any:
        raise AssertionError("derivatives are taken before rows are guarded")

    guarded = Primitive(row.name, row.symbol, evaluate=evaluate_alive, partials=refuse, domain=(_LIVE, *row.domain))
    guarded.custom = True
    return guarded
