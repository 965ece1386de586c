"""Find the powers of roots that come out of a loop: there, too, they are smooth where the roots are not.

Beside each number that an iteration hands on, and beside the result that is asked for, a second loop has its power,
which the table's rules know to be smooth where the number itself is a root (see operations/roots.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..operations import ROOTS, chosen, table, unscaled
from .loop import Loop
from .program import Program
from .tracer import Tracer, use_loop_powers
from .tracing import traced


def power_of_result(loop: Loop, args: Sequence[Any], place: int, exponent: float) -> Any:
    """Return the power of one result of a loop; None where it is no root, or a sum."""
    if not _is_root_of(loop, args, place):
        return None
    carry, rows, body = loop.carry, loop.rows, loop.body
    result = loop.result_at(place)
    column = loop.columns[result]
    wanted = [*range(carry), *([column] if column >= carry else [])]
    handed = {*range(carry), *[body.outputs[k] for k in wanted]}

    def powers(numbers: Sequence[Any], first: int) -> list[Any]:
        return [table.pow(x, exponent) if first + k in handed else 0.0 for k, x in enumerate(numbers)]

    doubled = [*args[:carry], *powers(args[:carry], 0)]
    for k in range(carry, carry + loop.length * rows, rows or 1):
        doubled += [*args[k : k + rows], *powers(args[k : k + rows], carry)]
    shared = args[len(args) - loop.shared :]
    doubled += [*shared, *powers(shared, carry + rows)]

    def split(xs: Sequence[Any], sizes: Sequence[int]) -> tuple[list[Any], list[Any]]:
        plain: list[Any] = []
        raised: list[Any] = []
        for size in sizes:
            plain, raised, xs = [*plain, *xs[:size]], [*raised, *xs[size : 2 * size]], xs[2 * size :]
        return plain, raised

    def both(xs: Sequence[Any]) -> list[Any]:
        plain, raised = split(xs, (carry, rows, loop.shared))
        found = body.run(plain)
        places = [body.outputs[k] for k in wanted]
        outputs = [
            raised[place] if place < len(raised) else table.pow(found[k], exponent)
            for k, place in zip(wanted, places, strict=True)
        ]
        return [*found[:carry], *outputs]

    names = _doubled(body.names, (carry, rows, loop.shared))
    condition = None
    if loop.condition is not None:
        asked = _doubled(loop.condition.names, (carry, loop.shared))
        condition = traced(
            loop.condition.name, asked, lambda xs: loop.condition.run(split(xs, (carry, loop.shared))[0])
        )
    program = traced(body.name, names, both)
    found = loop.change(body=program, carry=2 * carry, rows=2 * rows, sums=0, condition=condition).apply(tuple(doubled))
    return found[carry + column] if column < carry else found[2 * carry + (result - carry) // loop.stacked]


def _doubled(names: Sequence[str], sizes: Sequence[int]) -> list[str]:
    doubled: list[str] = []
    for size in sizes:
        own, names = names[:size], names[size:]
        doubled += [*own, *[f"power of {name}" for name in own]]
    return doubled


# ---- whether a root of the table comes out ----


def _is_root(x: Any) -> bool:
    """Tell of a traced number whether it is a root, or comes out of loops as one."""
    root = chosen(unscaled(x)[1])[1]
    if not isinstance(root, Tracer):
        return False
    return _is_root_of(root.args[0].loop, root.args[0].args, root.place) if root.place >= 0 else root.op in ROOTS


def _is_root_of(loop: Loop, args: Sequence[Any], place: int) -> bool:
    return _gives_root(loop, loop.columns[loop.result_at(place)], lambda position: _is_root(args[position]))


def _gives_root(loop: Loop, column: int, is_root: Callable[[int], bool]) -> bool:
    """Tell of an output of a loop's body whether it can be a root; `is_root` tells of the loop's arguments."""
    if column >= loop.carry + loop.stacked:
        return False
    seen: set[int] = set()
    waiting = [column]

    def of_input(place: int) -> bool:
        if place < loop.carry:
            waiting.append(place)
            return is_root(place)
        if place < loop.carry + loop.rows:
            return any(is_root(place + k * loop.rows) for k in range(loop.length))
        return is_root(place + (loop.length - 1) * loop.rows)

    while waiting:
        column = waiting.pop()
        if column in seen:
            continue
        seen.add(column)
        if column < loop.carry and is_root(column):  # a loop may end before it begins
            return True
        if _holds_root(loop.body, loop.body.outputs[column], of_input):
            return True
    return False


def _holds_root(program: Program, value: int, of_input: Callable[[int], bool]) -> bool:
    if value < len(program.names):
        return of_input(value)
    first = program.offset
    if value < first:
        return False
    step = 0
    while value >= first + program.steps[step].op.results:
        first += program.steps[step].op.results
        step += 1
    op, args = program.steps[step]
    if isinstance(op, Loop):
        return _gives_root(op, op.columns[value - first], lambda k: _holds_root(program, args[k], of_input))
    constants = [len(program.names) <= k < program.offset for k in args]
    if op is table.pow:
        return constants[1] and not program.constants[args[1] - len(program.names)].is_integer()
    if op is table.where:
        return any(constants[1:]) and _holds_root(program, args[2 if constants[1] else 1], of_input)
    if op in (table.neg, table.div) or (op is table.mul and any(constants)):
        return any(_holds_root(program, k, of_input) for k in args)
    return op in ROOTS


use_loop_powers(power_of_result)
