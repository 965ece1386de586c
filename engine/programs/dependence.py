"""Find what depends on what in a program, through loops: on batched arguments, wanted inputs, or the lane."""

from __future__ import annotations

from collections.abc import Sequence

from .loop import WHILE, Loop
from .program import Program


def varying(program: Program, batched: Sequence[bool]) -> bytearray:
    """Return whether each value depends on an argument that carries a batch."""
    found = bytearray()
    for part, flag in zip(program.arguments.parts, batched, strict=True):
        found += bytes([flag]) * part.size
    found += bytes(len(program.constants))
    for op, args in program.steps:
        found += bytes([any(map(found.__getitem__, args))]) * op.results
    return found


def input_flags(loop: Loop, wanted: Sequence[bool]) -> list[bool]:
    """Return which inputs of the body depend on the flagged arguments."""
    start = loop.carry + loop.length * loop.rows
    flags = [*wanted[: loop.carry], *[any(loop.column(wanted, j)) for j in range(loop.rows)], *wanted[start:]]
    while True:
        reached = reached_outputs(loop.body, flags)
        grown = [flag or (k < loop.carry and reached[k]) for k, flag in enumerate(flags)]
        if grown == flags:
            return flags
        flags = grown


def reached_outputs(program: Program, flags: Sequence[bool]) -> list[bool]:
    """Return which outputs depend on the flagged inputs."""
    known = [*flags, *[False] * len(program.constants)]
    for op, args in program.steps:
        known += [any(known[k] for k in args)] * op.results
    return [known[k] for k in program.outputs]


def differing(program: Program, inputs: Sequence[bool]) -> list[bool]:
    """Return whether each value differs between lanes if the given inputs do."""
    flags = [*inputs, *[False] * len(program.constants)]
    for op, args in program.steps:
        if isinstance(op, Loop):
            flags += results_differ(op, inputs_differ(op, [flags[k] for k in args]))
        else:
            flags.append(any(flags[k] for k in args))
    return flags


def inputs_differ(loop: Loop, args: Sequence[bool], rows: bool = False) -> list[bool]:
    """Return whether each input of a loop's body differs between lanes; `rows` says that all rows do."""
    start = loop.carry + loop.length * loop.rows
    flags = list(args[: loop.carry])
    flags += [True] * loop.rows if rows else [any(loop.column(args, j)) for j in range(loop.rows)]
    flags += args[start:]
    while True:
        found = _outputs(loop.body, flags)
        grown = [flag or (k < loop.carry and found[k]) for k, flag in enumerate(flags)]
        if loop.kind == WHILE and (any(grown[: loop.carry]) or _outputs(loop.condition, flags)[0]):
            # Lanes end at different times.
            grown[: loop.carry] = [True] * loop.carry
        if grown == flags:
            return flags
        flags = grown


def results_differ(loop: Loop, inputs: Sequence[bool]) -> list[bool]:
    """Return whether each result of a loop differs between lanes, from the flags of its body's inputs."""
    found = _outputs(loop.body, inputs)
    end = loop.carry + loop.stacked
    return [*inputs[: loop.carry], *found[loop.carry : end] * loop.length, *found[end:]]


def _outputs(program: Program, inputs: Sequence[bool]) -> list[bool]:
    flags = differing(program, inputs)
    return [flags[k] for k in program.outputs]
