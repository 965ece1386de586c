"""Count what programs do in a run: arithmetic, and functions such as `exp`, which take longer.

Most loops run as often as they say. Others run until a condition ends them, or as often as a number of the program
says: a program that counts along while it runs tells how often that was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from ..operations import Primitive, table
from ..programs import (
    CALL,
    COUNTED,
    WHILE,
    Loop,
    Place,
    Program,
    Scatter,
    Step,
    Structural,
    flat,
    size_of,
    with_constant,
)

_MANY = (table.sum, table.mean, table.dot)


class Tally(NamedTuple):
    """How many operations there are in a run.

    Attributes:
        flops: additions, products and what takes as long: a division, a comparison, a choice; `fma` is two.
        functions: all other operations of numbers.
    """

    flops: int = 0
    functions: int = 0

    def plus(self, other: Tally, times: int = 1) -> Tally:
        """Return the sum with another, which counts several times."""
        return Tally(self.flops + times * other.flops, self.functions + times * other.functions)


def operations(program: Program) -> Tally:
    """Count the operations of a program whose loops all run as often as they say.

    >>> from chainrule import dot, exp, trace
    >>> operations(trace(lambda x, y: exp(dot([x, y], [x, y])) / x, 1.0, 2.0))
    Tally(flops=4, functions=1)
    """
    return _operations(program.steps, {})


def operations_of(op: Primitive, arity: int) -> Tally:
    """Count the operations of a step with so many arguments."""
    return _operations_of(op, arity, {})


def is_fixed(op: Primitive) -> bool:
    """Return whether an operation does as much whatever it is given: it has no loops that end when they like."""
    if not isinstance(op, Loop):
        return True
    loops = [op, *[inner for program in op.programs() for inner in program.rows_and_loops() if isinstance(inner, Loop)]]
    return not any(loop.kind in (WHILE, COUNTED) for loop in loops)


def _operations(steps: Iterable[Step], known: dict[Program, Tally]) -> Tally:
    total = Tally()
    for op, args in steps:
        total = total.plus(_operations_of(op, len(args), known))
    return total


def _operations_of(op: Primitive, arity: int, known: dict[Program, Tally]) -> Tally:
    if isinstance(op, Loop):
        return Tally().plus(_iteration(op, known), max(1, op.length))
    if isinstance(op, Structural):
        return Tally(_added(op))
    if op in _MANY:
        return Tally(arity - (op is not table.mean))
    if op is table.fma:
        return Tally(2)
    return Tally(0 if op is table.pos else 1) if op.cheap else Tally(0, 1)


def _iteration(loop: Loop, known: dict[Program, Tally]) -> Tally:
    """Count the operations of one iteration, with those that add up its sums."""
    total = Tally(_sums(loop))
    for program in loop.programs():
        if program not in known:
            known[program] = _operations(program.steps, known)
        total = total.plus(known[program])
    return total


def _sums(loop: Loop) -> int:
    summed = loop.body.output_shapes[loop.carry + loop.stacked :]
    return sum(map(size_of, summed))


def _added(op: Structural) -> int:
    """Return how many numbers are added to others where arrays are put together."""
    if isinstance(op, Scatter):
        return size_of(op.argument_shapes[1])
    if isinstance(op, Place) and not op.fills:
        return max(0, sum([size_of(part.shape) for part in op.parts]) - size_of(op.shapes[0]))
    return 0


def counting(program: Program) -> Program:
    """Return the program that counts the operations of each step: its results are the flops, then the functions.

    Only steps that are not `is_fixed` have results; what tests the conditions of a while loop counts once an iteration.

    >>> from chainrule import trace, while_loop
    >>> program = trace(lambda x: while_loop(lambda x: x < 100.0, lambda x: x * x, x, limit=50), 3.0)
    >>> counting(program)(3.0), counting(program)(50.0)
    ((6.0, 0.0), (2.0, 0.0))
    """
    program, found = _with_counts(program, {})
    return flat(program, [*[flops for flops, _ in found], *[functions for _, functions in found]])


def _with_counts(program: Program, known: dict[Loop, Loop]) -> tuple[Program, list[tuple[int, int]]]:
    """Return the program with loops that count, and the numbers of the values that they count by."""
    new, steps, found, count = list(range(program.offset)), [], [], program.offset
    for op, args in program.steps:
        own = op if is_fixed(op) else _counting_loop(op, known)
        steps.append(Step(own, args))
        new += range(count, count + op.results)
        count += own.results
        if own is not op:
            found.append((count - 2, count - 1))
    return program.renumbered(steps, new), found


def _counting_loop(loop: Any, known: dict[Loop, Loop]) -> Loop:
    """Return the loop with two more sums: of the flops and of the functions of each iteration."""
    if loop in known:
        return known[loop]
    own = [step for step in loop.body.steps if is_fixed(step.op)]
    total = Tally(_sums(loop)).plus(_operations(own, {}))
    if loop.condition is not None:
        total = total.plus(operations(loop.condition))
    body, inner = _with_counts(loop.body, known)
    for k, number in enumerate(total):
        body, value = with_constant(body, float(number))
        moved = body.offset - loop.body.offset
        steps, count = list(body.steps), body.count
        for pair in inner:
            steps.append(Step(table.add, (value, pair[k] + moved)))
            value, count = count, count + 1
        body = flat(replace(body, steps=tuple(steps)), [*body.outputs, value])
    known[loop] = loop.change(body=body, sums=loop.sums + (0 if loop.kind == CALL else 2))
    return known[loop]
