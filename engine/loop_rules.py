"""Differentiate loops: the derivative of a loop is a loop over the derivative of its inner program.

In reverse a scan becomes a scan that runs backwards: it takes the carry that each iteration started from, which the
forward scan has stacked, computes the iteration again, and hands the gradient of the carry on. What comes out for each
row is stacked, what belongs to shared numbers is summed. A map has no carry, so its reverse is a map. Forwards, the
tangents are carried and stacked beside the numbers. Inner derivatives are traced, so second order, and loops inside
loops, need nothing more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import table
from .loop import CALL, MAP, SCAN, WHILE, Loop
from .program import Program, numbers_in_tuple
from .sweeps import between, forward, reverse
from .tracing import LoopNode, Tracer, listed, saved, saving

Flags = tuple[bool, ...]


def pull(node: LoopNode, gradients: dict[int, Any], wanted: Sequence[bool]) -> list[Any]:
    """Return the gradient by each argument of a loop, 0 where none is wanted, from those of some of its results."""
    loop, args = node.loop, node.args
    if loop.kind == WHILE:
        node = LoopNode(bounded(loop), args)
        return pull(node, gradients, wanted)
    if saved(loop) is None:
        more = LoopNode(saving(loop), args)
        return pull(more, _moved(loop, more.loop, gradients), wanted)
    carry, rows, length, stacked = loop.carry, loop.rows, loop.length, loop.stacked
    end = carry + length * stacked
    inputs = _input_flags(loop, wanted)
    given = [
        *[k in gradients for k in range(carry)],
        *[any(k in gradients for k in range(carry + j, end, stacked)) for j in range(stacked)],
        *[k in gradients for k in range(end, loop.results)],
    ]
    derived, active = _reverse_of(loop, tuple(inputs), tuple(given))
    # The arguments: gradients of the carry; carries, rows and gradients of each iteration; what is shared.
    starts = saved(loop) or []
    seeded = [j for j in range(stacked) if given[carry + j]]
    states = [node.result(carry + i * stacked + j) for i in range(length) for j in starts]
    columns: list[Any] = []
    for i in range(length):
        columns += states[i * carry : (i + 1) * carry]
        columns += args[carry + i * rows : carry + (i + 1) * rows]
        columns += [gradients.get(carry + i * stacked + j, 0.0) for j in seeded]
    sums = [gradients[end + k] for k in range(loop.sums) if given[carry + stacked + k]]
    first = [gradients.get(k, 0.0) for k in range(carry) if active[k]]
    found = derived.apply((*first, *columns, *args[carry + length * rows :], *sums))
    return _by_argument(loop, active, found)


def _moved(loop: Loop, more: Loop, gradients: dict[int, Any]) -> dict[int, Any]:
    """Return gradients by the places that results have in a loop that stacks more in each row."""
    carry, end, moved = loop.carry, loop.carry + loop.length * loop.stacked, {}
    for k, gradient in gradients.items():
        if k >= end:
            k += more.results - loop.results
        elif k >= carry:
            row, column = divmod(k - carry, loop.stacked)
            k = carry + row * more.stacked + column
        moved[k] = gradient
    return moved


def _input_flags(loop: Loop, wanted: Sequence[bool]) -> list[bool]:
    """Tell which inputs of the body depend on arguments that count."""
    start = loop.carry + loop.length * loop.rows
    flags = [*wanted[: loop.carry], *[any(loop.column(wanted, j)) for j in range(loop.rows)], *wanted[start:]]
    while True:
        reached = _reached(loop.body, flags)
        grown = [flag or (k < loop.carry and reached[k]) for k, flag in enumerate(flags)]
        if grown == flags:
            return flags
        flags = grown


def _reached(program: Program, flags: Sequence[bool]) -> list[bool]:
    """Tell which outputs depend on the inputs that have a flag."""
    known = [*flags, *[False] * len(program.constants)]
    for op, args in program.steps:
        known += [any(known[k] for k in args)] * op.results
    return [known[k] for k in program.outputs]


def _by_argument(loop: Loop, active: Sequence[bool], found: Sequence[Any]) -> list[Any]:
    """Give every argument its gradient: found are those of the active carry, rows and shared numbers."""
    carry, rows, length = loop.carry, loop.rows, loop.length
    items = iter(found)
    first = [next(items) if active[k] else 0.0 for k in range(carry)]
    middle = [next(items) if active[carry + j] else 0.0 for _ in range(length) for j in range(rows)]
    last = [next(items) if active[k] else 0.0 for k in range(carry + rows, carry + rows + loop.shared)]
    return [*first, *middle, *last]


@functools.lru_cache(maxsize=512)
def _reverse_of(loop: Loop, active: Flags, given: Flags) -> tuple[Loop, Flags]:
    """Return the loop that finds the gradients by the active inputs from those of the given outputs."""
    carry, rows, body = loop.carry, loop.rows, loop.body
    moving = [k for k in range(carry) if active[k]]
    seeded = [k for k in range(carry, len(body.outputs)) if given[k]]
    rows_seeded = sum(1 for k in seeded if k < carry + loop.stacked)

    def gradients(xs: Sequence[Any]) -> list[Any]:
        ahead, xs = list(xs[: len(moving)]), xs[len(moving) :]
        own, rest = xs[: carry + rows], xs[carry + rows :]
        seeds, shared, sums = (
            list(rest[:rows_seeded]),
            rest[rows_seeded : rows_seeded + loop.shared],
            rest[rows_seeded + loop.shared :],
        )
        inputs = [*own, *shared]
        results = body.run(inputs)
        sources = [x for x, flag in zip(inputs, active, strict=True) if flag]
        targets = [*[results[k] for k in moving], *[results[k] for k in seeded]]
        return reverse(between(sources, targets), [*ahead, *seeds, *sums], True)

    names = [
        *[f"d{body.names[k]}" for k in moving],
        *body.names[: carry + rows],
        *[f"d{k - carry}" for k in seeded if k < carry + loop.stacked],
        *body.names[carry + rows :],
        *[f"d{k - carry}" for k in seeded if k >= carry + loop.stacked],
    ]
    program = traced(f"reverse {body.name}", names, gradients)
    kind = SCAN if moving else CALL if loop.kind == CALL else MAP
    sums = 0 if kind == CALL else sum(active[carry + rows :])
    width = 0 if kind == CALL else carry + rows + rows_seeded
    backwards = kind == SCAN and not loop.backwards
    return Loop(kind, program, loop.length, len(moving), width, sums, backwards), active


def push(node: LoopNode, tangents: Sequence[Any]) -> list[Any]:
    """Return the tangent of each result of a loop from those of its arguments."""
    loop, args = node.loop, node.args
    moves = [type(tangent) is not float or tangent != 0.0 for tangent in tangents]
    if not any(moves):
        return [0.0] * loop.results
    carry, rows, length = loop.carry, loop.rows, loop.length
    active = tuple(_input_flags(loop, moves))
    derived, reached = _forward_of(loop, active)
    start = carry + length * rows
    first = [tangent for tangent, flag in zip(tangents[:carry], active[:carry], strict=True) if flag]
    columns: list[Any] = []
    own = [j for j in range(rows) if active[carry + j]]
    for i in range(length):
        at = carry + i * rows
        columns += args[at : at + rows]
        columns += [tangents[at + j] for j in own]
    shared = [t for t, flag in zip(tangents[start:], active[carry + rows :], strict=True) if flag]
    found = derived.apply((*args[:carry], *first, *columns, *args[start:], *shared))
    items = iter(found[carry:])
    moved = [next(items) if reached[k] else 0.0 for k in range(carry)]
    middle = range(carry, carry + loop.stacked)
    moved += [next(items) if reached[k] else 0.0 for _ in range(length) for k in middle]
    return moved + [next(items) if flag else 0.0 for flag in reached[carry + loop.stacked :]]


@functools.lru_cache(maxsize=512)
def _forward_of(loop: Loop, active: Flags) -> tuple[Loop, Flags]:
    """Return the loop that carries and stacks tangents beside numbers, and which outputs have one."""
    carry, rows, body = loop.carry, loop.rows, loop.body
    reached = list(_reached(body, active))
    # A carried number that starts at rest but moves later has a tangent from the start; so has one that only starts.
    reached[:carry] = active[:carry]
    counts = [carry, sum(active[:carry]), rows, sum(active[carry : carry + rows]), loop.shared]

    def split(xs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        parts, start = [], 0
        for count in counts:
            parts.append(xs[start : start + count])
            start += count
        return [*parts[0], *parts[2], *parts[4]], [*parts[1], *parts[3], *xs[start:]]

    def moving(xs: Sequence[Any]) -> list[Any]:
        numbers, tangents = split(xs)
        results = body.run(numbers)
        sources = [x for x, flag in zip(numbers, active, strict=True) if flag]
        targets = [result for result, flag in zip(results, reached, strict=True) if flag]
        found = forward(between(sources, targets), tangents, True)
        return [*results[:carry], *found]

    names = list(body.names)
    tangent_names = [f"d{name}" if flag else "" for name, flag in zip(names, active, strict=True)]
    ordered: list[str] = []
    for start, stop in ((0, carry), (carry, carry + rows), (carry + rows, len(names))):
        ordered += names[start:stop] + [name for name in tangent_names[start:stop] if name]
    program = traced(f"forward {body.name}", ordered, moving)
    condition = None
    if loop.condition is not None:
        condition = traced(loop.condition.name, ordered, lambda xs: loop.condition.run(split(xs)[0]))
    derived = loop.change(
        body=program,
        carry=carry + counts[1],
        rows=rows + counts[3],
        sums=sum(reached[carry + loop.stacked :]),
        condition=condition,
    )
    return derived, tuple(reached)


def bounded(loop: Loop) -> Loop:
    """Return the scan of as many iterations as a while loop has at most; after its end the carry stays."""
    if not loop.length:
        raise ValueError(
            f"while_loop of {loop.body.name} expected limit=, the greatest number of iterations, for a derivative in "
            "reverse mode (grad) but got none; pass a limit, or use jvp"
        )

    def step(xs: Sequence[Any]) -> list[Any]:
        more = loop.condition.run(xs)[0]
        return [table.where(more, new, old) for new, old in zip(loop.body.run(xs), xs, strict=False)]

    body = traced(f"{loop.body.name} while {loop.condition.name}", loop.body.names, step)
    return saving(Loop(SCAN, body, loop.length, loop.carry, 0, 0))


def traced(name: str, names: Sequence[str], f: Callable[[Sequence[Any]], list[Any]]) -> Program:
    """Trace a function of a flat list of numbers."""
    inputs = [Tracer(label) for label in names]
    outputs = f(inputs)
    return listed(name, inputs, outputs, numbers_in_tuple(len(names)), numbers_in_tuple(len(outputs)))


Loop.pull, Loop.push = pull, push
