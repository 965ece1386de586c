"""Find what depends on what in a program, through loops: on batched arguments, wanted inputs, the vector's lane."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from ..operations import Primitive
from .loop import COUNTED, Loop
from .program import Program
from .views import View


def flow(
    program: Program,
    inputs: Sequence[bool],
    through: Callable[[Loop, Sequence[bool]], Sequence[bool]] | None = None,
    stops: Primitive | None = None,
) -> list[bool]:
    """Return for each value of a program whether it depends on an input that has a flag.

    Args:
        program: whose values are asked for.
        inputs: a flag for each input.
        through: returns the flags of a loop's results from those of its arguments; without it any argument reaches all.
        stops: an operation whose result counts as depending on nothing.
    """
    flags = [*map(bool, inputs), *[False] * len(program.constants)]
    for op, args in program.steps:
        if through is not None and isinstance(op, Loop):
            flags += through(op, [flags[k] for k in args])
        else:
            stopped = op is stops or (stops is not None and isinstance(op, View) and op.stops)
            flags += [not stopped and any(map(flags.__getitem__, args))] * op.results
    return flags


def reached_outputs(program: Program, inputs: Sequence[bool], stops: Primitive | None = None) -> list[bool]:
    """Return whether each output depends on the inputs that have a flag."""
    flags = flow(program, inputs, stops=stops)
    return [flags[k] for k in program.outputs]


def batched_inputs(program: Program, batched: Sequence[bool]) -> list[bool]:
    """Return whether each input belongs to an argument that carries a batch."""
    parts = zip(program.arguments.parts, batched, strict=True)
    return [flag for part, flag in parts for _ in range(part.count)]


def varying(program: Program, batched: Sequence[bool]) -> list[bool]:
    """Return whether each value depends on an argument that carries a batch."""
    return flow(program, batched_inputs(program, batched))


def waits(program: Program, counted: Sequence[bool]) -> list[int]:
    """Return for each step for how many of those that are counted, one after another, it waits."""
    level = [0] * program.offset
    own: list[int] = []
    for (op, args), counts in zip(program.steps, counted, strict=True):
        most = level[args[0]] if len(args) == 1 else max([level[k] for k in args], default=0)
        own.append(most)
        level += [most + counts] * op.results
    return own


def input_flags(loop: Loop, wanted: Sequence[bool]) -> list[bool]:
    """Return whether each input of a loop's body depends on arguments that count."""
    return _through_iterations(loop, wanted, reached_outputs)


def differing(program: Program, inputs: Sequence[bool]) -> list[bool]:
    """Return whether each value differs from lane to lane where these inputs do."""
    return flow(program, inputs, _results_differ)


def inputs_differ(loop: Loop, args: Sequence[bool]) -> list[bool]:
    """Return whether each input of a loop's body differs from lane to lane."""

    def outputs_of(body: Program, flags: Sequence[bool]) -> Sequence[bool]:
        found = _outputs_differ(body, flags)
        return [True] * len(found) if _ends_apart(loop, flags, found) else found

    return _through_iterations(loop, args, outputs_of)


def _through_iterations(
    loop: Loop, args: Sequence[bool], outputs_of: Callable[[Program, Sequence[bool]], Sequence[bool]]
) -> list[bool]:
    """Return the flags of a body's inputs: a carried number that gets one in any iteration has it in the next."""
    carry = loop.carry
    flags = list(args)
    while True:
        found = outputs_of(loop.body, flags)
        grown = [flag or (k < carry and found[k]) for k, flag in enumerate(flags)]
        if grown == flags:
            return flags
        flags = grown


def _ends_apart(loop: Loop, inputs: Sequence[bool], outputs: Sequence[bool]) -> bool:
    """Return whether lanes end at different times: where a carried number differs, or how many iterations there are."""
    if loop.kind == COUNTED:
        return inputs[loop.carry + loop.rows]
    if loop.condition is None:
        return False
    carry = loop.carry
    return any(inputs[:carry]) or any(outputs[:carry]) or _outputs_differ(loop.condition, inputs)[0]


def _results_differ(loop: Loop, args: Sequence[bool]) -> list[bool]:
    inputs = inputs_differ(loop, args)
    found = _outputs_differ(loop.body, inputs)
    if _ends_apart(loop, inputs, found):
        found = (True,) * len(found)
    return [*inputs[: loop.carry], *found[loop.carry :]]


def _outputs_differ(program: Program, inputs: Sequence[bool]) -> tuple[bool, ...]:
    return _found_to_differ(program, tuple(inputs))


@functools.lru_cache(maxsize=512)
def _found_to_differ(program: Program, inputs: tuple[bool, ...]) -> tuple[bool, ...]:
    flags = differing(program, inputs)
    return tuple([flags[k] for k in program.outputs])


def read_beyond(program: Program) -> frozenset[int]:
    """Return which stacked results of counted scans are read by others than counted scans of as many iterations."""
    counts: dict[int, int] = {}  # the value that says how many rows there are
    for (op, args), first in zip(program.steps, program.firsts, strict=True):
        if isinstance(op, Loop) and op.kind == COUNTED:
            stacked = range(first + op.carry, first + op.carry + op.stacked)
            counts.update(dict.fromkeys(stacked, args[op.carry + op.rows]))
    found = counts.keys() & program.outputs
    for op, args in program.steps if counts else ():
        rows, count = range(0), -1
        if isinstance(op, Loop) and op.kind == COUNTED:
            rows, count = range(op.carry, op.carry + op.rows), args[op.carry + op.rows]
        found |= {k for place, k in enumerate(args) if k in counts and (place not in rows or counts[k] != count)}
    return frozenset(found)
