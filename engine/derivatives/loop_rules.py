"""Differentiate loops: the derivative of a loop is a loop over the derivative of its inner program.

In reverse a scan becomes a scan that runs backwards: it takes the carry that each iteration started from, which the
forward scan has stacked, computes the iteration again, and hands the gradient of the carry on. What comes out for each
row is stacked, what belongs to shared numbers is summed. A map has no carry, so its reverse is a map, and that of a
branch is a branch on the same condition. That of a while loop is a scan of as many iterations as there were. Forwards,
the tangents are carried and stacked beside the numbers. Inner derivatives are traced, so second order, and loops inside
loops, need nothing more.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ..programs import (
    CALL,
    COUNTED,
    MAP,
    SCAN,
    WHILE,
    ArrayTracer,
    Loop,
    LoopNode,
    Place,
    Program,
    Shape,
    Structural,
    Tracer,
    View,
    as_values,
    counted,
    input_flags,
    listed,
    reached_outputs,
    shape_of,
    size_of,
    symbol,
    symbols,
    traced,
    values_in_tuple,
    zeros,
)
from .sweeps import between, forward, is_node, reverse, use_loop_rules

Flags = tuple[bool, ...]


def pull(node: LoopNode, gradients: dict[int, Any], wanted: Sequence[bool]) -> list[Any]:
    """Return the gradient by each argument of a loop, 0 if not wanted, from those of some of its results.

    `gradients` has them by the results' places, see `Loop.result_at`. The loop is made to stack what that takes, and a
    while loop to count its iterations, too.
    """
    loop, args, inserted = node.loop, node.args, 0
    if loop.is_branch:
        return _pull_branch(loop, args, gradients, wanted)
    carry, rows = loop.carry, loop.rows
    if loop.kind == WHILE:
        count = node.counted()
        loop, inserted = _counted(node.loop), 1
        args, wanted = (*args[:carry], count, *args[carry:]), [*wanted[:carry], False, *wanted[carry:]]
    own_places = [loop.place_of(k) for k in range(loop.results)]
    given = [place in gradients for place in own_places]
    derived, active, kept = _reverse_of(loop, tuple(input_flags(loop, wanted)), tuple(given))
    # The arguments: gradients of the carry; the rows: carries, rows, what is kept, gradients; what is shared.
    own = [*node.keep(range(carry)), *args[carry : carry + rows], *node.keep([k - inserted for k in kept])]
    own += [gradients[place] for place in own_places[carry : carry + loop.stacked] if place in gradients]
    shapes = loop.body.shapes
    ahead = [gradients[k] if k in gradients else zeros(shapes[k]) for k in range(carry) if active[k]]
    sums = [gradients[place] for place in own_places[carry + loop.stacked :] if place in gradients]
    found = iter(derived.apply((*ahead, *own, *args[carry + rows :], *sums)))
    every = [next(found) if flag else 0.0 for flag in active]
    return [*every[:carry], *every[carry + inserted :]]


def _counted(loop: Loop) -> Loop:
    """Return a while loop as the counted scan that it is once the number of its iterations is known."""
    if not loop.length:
        raise ValueError(
            f"while_loop of {loop.body.name} expected limit=, the greatest number of iterations, for a derivative in "
            "reverse mode (grad) but got none; pass a limit, or use jvp"
        )
    return counted(loop)


@functools.lru_cache(maxsize=512)
def _reverse_of(loop: Loop, active: Flags, given: Flags) -> tuple[Loop, Flags, tuple[int, ...]]:
    """Return the loop that computes the gradients by the active inputs from those of the given outputs.

    It takes some values of the body, too, whose numbers come last: what is expensive to recompute is kept.
    """
    carry, rows, body = loop.carry, loop.rows, loop.body
    moving = [k for k in range(carry) if active[k]]
    seeded = [k for k in range(carry, len(body.outputs)) if given[k]]
    stacked = [k for k in seeded if k < carry + loop.stacked]
    inputs, given_shapes = symbols(body), body.output_shapes
    ahead = [symbol(f"d{body.names[k]}", body.shapes[k]) for k in moving]
    seeds = [symbol(f"d{k - carry}", given_shapes[k]) for k in seeded]
    values = body.values(inputs)
    since = Tracer("").birth
    sources = [x for x, flag in zip(inputs, active, strict=True) if flag]
    targets = [values[body.outputs[k]] for k in (*moving, *seeded)]
    outputs = reverse(between(sources, targets), [*ahead, *seeds], True)
    least = _EXPENSIVE_IN_SCAN if moving else EXPENSIVE
    kept = _expensive(body, values, outputs, since, least, loop.length, body.outputs[carry : carry + loop.stacked])
    own = [*inputs[: carry + rows], *[values[k] for k in kept], *seeds[: len(stacked)]]
    every = [*ahead, *own, *inputs[carry + rows :], *seeds[len(stacked) :]]
    structures = values_in_tuple(map(shape_of, every)), values_in_tuple(map(shape_of, outputs))
    program = listed(f"reverse {body.name}", every, outputs, *structures)
    kind = loop.kind if loop.kind in (CALL, COUNTED) else SCAN if moving else MAP
    sums = 0 if kind == CALL else sum(active[carry + rows :])
    width = 0 if kind == CALL else len(own)
    backwards = bool(moving) and not loop.backwards  # iterations that hand nothing on may as well run forwards
    return Loop(kind, program, loop.length, len(moving), width, sums, backwards), active, kept


EXPENSIVE = 24
"""Operations that a number must take for it to be kept, not computed again. In a layer of 128 neurons with 64 inputs
kept sums took 9.0 ms, sums computed again 14.3 ms."""

_EXPENSIVE_IN_SCAN = 400
"""The same in a scan, which as a rule is long, so that its trace grows with what is kept: 10,000 steps of Runge-Kutta
took 1.5 s to compile with 24, 0.7 s with 400, and 0.55 and 0.60 ms to run."""


_KEPT = 4_000_000
"""How many numbers may be kept of what an inner loop computes, each by `_FUNCTION` operations. An LSTM of 2 layers, 14
units, 4,096 steps, keeps 0.5 million."""

_FUNCTION = 10
"""Operations that a function such as exp counts for; arrays of which each number takes as many are kept. A GPT that
kept the powers of its attention took 230 us for a step of 16 names, 245 us when it computed them again."""


def _effort(op: Loop) -> int:
    """Return about how many operations a loop takes; what is not cheap counts more."""
    own = 0
    for inner, args in op.body.steps:
        if isinstance(inner, Loop):
            own += _effort(inner)
        elif not isinstance(inner, Structural):
            own += len(args) if inner.cheap else _FUNCTION
    return max(1, op.length) * own


def _expensive(
    body: Program,
    values: Sequence[Any],
    outputs: Sequence[Any],
    since: int,
    least: int,
    length: int,
    stacked: Sequence[int],
) -> tuple[int, ...]:
    """List the values of a body that its derivative, traced since then, uses and that take many operations.

    A function such as exp is many where its values are `stacked` anyhow.
    """
    used: set[int] = set()
    seen: set[int] = set()
    stack = [item for item in outputs if isinstance(item, (Tracer, ArrayTracer))]
    while stack:
        tracer = stack.pop()
        if id(tracer) in seen:
            continue
        seen.add(id(tracer))
        if tracer.birth < since:
            used.add(id(tracer))
        if tracer.birth >= since or type(tracer.op) in (View, Place):
            stack.extend([arg for arg in tracer.args if isinstance(arg, (Tracer, ArrayTracer))])
    kept: list[int] = []
    cost = [0] * body.offset
    for (op, args), first in zip(body.steps, body.firsts, strict=True):
        total = sum([cost[k] for k in set(args)]) + (op.work if isinstance(op, Structural) else len(args))
        own = [k for k in range(first, first + op.results) if id(values[k]) in used and is_node(values[k])]
        if isinstance(op, Loop):
            counts = [size_of(shape) for shape in op.shapes]
            many = sum([size_of(shape_of(values[k])) for k in own])
            wanted = _effort(op) >= _FUNCTION * sum(counts) and many * length <= _KEPT
        elif isinstance(op, Structural):
            wanted = False
        else:
            wanted = total >= least or (not op.cheap and first in stacked)
        if own and wanted:
            kept += own
            total = 0
        cost += [total] * op.results
    return tuple(kept)


def _pull_branch(loop: Loop, args: Sequence[Any], gradients: dict[int, Any], wanted: Sequence[bool]) -> list[Any]:
    """The `pull` of a branch: gradients of the carry go through its body or past it."""
    carry = loop.carry
    moved = tuple([k for k in range(carry) if k in gradients or wanted[k]])
    given = tuple([k in gradients for k in moved])
    shapes = loop.body.shapes
    start = [gradients[k] if k in gradients else zeros(shapes[k]) for k in moved]
    start += [zeros(shape) for shape, flag in zip(shapes[carry:], wanted[carry:], strict=True) if flag]
    found = _reverse_branch(loop, tuple(wanted), moved, given).apply((*start, *args))
    by_carry = dict(zip(moved, found[: len(moved)], strict=True))
    by_shared = iter(found[len(moved) :])
    return [by_carry.get(k, 0.0) for k in range(carry)] + [next(by_shared) if flag else 0.0 for flag in wanted[carry:]]


@functools.lru_cache(maxsize=512)
def _reverse_branch(loop: Loop, wanted: Flags, moved: tuple[int, ...], given: Flags) -> Loop:
    """Return the branch that turns gradients of carried numbers after a branch into those before it.

    It carries the gradients of the `moved` ones, of which some are `given`, and those by shared numbers, from 0.
    """
    carry, body, condition = loop.carry, loop.body, loop.condition
    shared = [name for name, flag in zip(body.names[carry:], wanted[carry:], strict=True) if flag]
    names = [*[f"d{body.names[k]}" for k in moved], *[f"d{name}" for name in shared], *body.names]
    own = [shape for shape, flag in zip(body.shapes[carry:], wanted[carry:], strict=True) if flag]
    shapes = [*[body.shapes[k] for k in moved], *own, *body.shapes]
    first = len(names) - len(body.names)

    def pulled(xs: Sequence[Any]) -> list[Any]:
        inputs, seeds = xs[first:], [seed for seed, flag in zip(xs, given, strict=False) if flag]
        results = body.run(inputs)
        sources = [x for x, flag in zip(inputs, wanted, strict=True) if flag]
        targets = [results[k] for k, flag in zip(moved, given, strict=True) if flag]
        found = iter(reverse(between(sources, targets), seeds, True))
        every = [next(found) if flag else zeros(shape) for flag, shape in zip(wanted, body.shapes, strict=True)]
        return [every[k] for k in moved] + [x for x, flag in zip(every[carry:], wanted[carry:], strict=True) if flag]

    program = traced(f"reverse {body.name}", names, pulled, shapes)
    asked = traced(condition.name, names, lambda xs: condition.run(xs[first:]), shapes)
    return Loop(WHILE, program, 1, first, 0, 0, condition=asked)


def push(node: LoopNode, tangents: Sequence[Any]) -> dict[int, Any]:
    """Return the tangents of a loop's results, by their places, from those of its arguments."""
    loop, args = node.loop, node.args
    moves = [type(tangent) is not float or tangent != 0.0 for tangent in tangents]
    if not any(moves):
        return {}
    carry, rows = loop.carry, loop.rows
    active = tuple(input_flags(loop, moves))
    derived, reached = _forward_of(loop, active)
    shapes = loop.argument_shapes
    every = [(t if flag else zeros(shape)) for t, flag, shape in zip(tangents, moves, shapes, strict=True)]
    own = [tangent for tangent, flag in zip(every, active, strict=True) if flag]
    first, second = sum(active[:carry]), sum(active[: carry + rows])
    start = carry + rows
    given = (*args[:carry], *own[:first], *args[carry:start], *own[first:second], *args[start:], *own[second:])
    found = iter(derived.apply(given)[carry:])
    moved = [next(found) if flag else 0.0 for flag in reached]
    return {loop.place_of(k): tangent for k, tangent in enumerate(moved)}


@functools.lru_cache(maxsize=512)
def _forward_of(loop: Loop, active: Flags) -> tuple[Loop, Flags]:
    """Return the loop that carries and stacks tangents beside numbers, and which outputs have one."""
    carry, rows, body = loop.carry, loop.rows, loop.body
    reached = list(reached_outputs(body, active))
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
        results = as_values(body.run(numbers), body.output_shapes)
        sources = [x for x, flag in zip(numbers, active, strict=True) if flag]
        targets = [result for result, flag in zip(results, reached, strict=True) if flag]
        found = forward(between(sources, targets), tangents, True)
        return [*results[:carry], *found]

    names = list(body.names)
    tangent_names = [f"d{name}" if flag else "" for name, flag in zip(names, active, strict=True)]
    ordered: list[str] = []
    shapes: list[Shape] = []
    for start, stop in ((0, carry), (carry, carry + rows), (carry + rows, len(names))):
        ordered += names[start:stop] + [name for name in tangent_names[start:stop] if name]
        shapes += body.shapes[start:stop]
        shapes += [shape for shape, flag in zip(body.shapes[start:stop], active[start:stop], strict=True) if flag]
    program = traced(f"forward {body.name}", ordered, moving, shapes)
    condition = None
    if loop.condition is not None:
        condition = traced(loop.condition.name, ordered, lambda xs: loop.condition.run(split(xs)[0]), shapes)
    derived = loop.change(
        body=program,
        carry=carry + counts[1],
        rows=rows + counts[3],
        sums=sum(reached[carry + loop.stacked :]),
        condition=condition,
    )
    return derived, tuple(reached)


use_loop_rules(pull, push)
