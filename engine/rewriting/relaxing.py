"""Turn strong products into plain ones where a difference would show as nan in an output."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from ..operations import PRIMITIVES, Primitive, table
from ..programs import WHILE, Gather, Loop, Program, Scatter, Step, Structural

_INDEX = {Gather: 1, Scatter: 0}


def relax(program: Program) -> Program:
    """Make plain products of strong ones where a difference would show as nan in an output.

    A strong product is 0 where a factor is; a plain one differs from it only where the other factor is nan or
    infinite, and is nan there. Where every operation from there on passes a nan on, whoever finds no nan in the outputs
    has the strong result; who finds one has to run the program itself. Products that reach a comparison, or another
    operation that can hide a nan, stay as they are.
    """
    return _relaxed(program, bytes([1]) * len(program.outputs))[0]


def _relaxed(program: Program, seen: Sequence[int]) -> tuple[Program, bytearray]:
    """Relax a program some of whose outputs are `seen`; also return whether a nan in each input would be seen."""
    shows = bytearray(b"\1" * program.count)
    for k, flag in zip(program.outputs, seen, strict=True):
        shows[k] &= flag
    steps = list(program.steps)
    for place in range(len(steps) - 1, -1, -1):
        (op, args), first = steps[place], program.firsts[place]
        if isinstance(op, Loop):
            op, flags = _relaxed_loop(op, bytes(shows[first : first + op.results]))
            steps[place] = Step(op, args)
            for k, flag in zip(args, flags, strict=True):
                shows[k] &= flag
            continue
        if isinstance(op, Structural):
            for position, k in enumerate(args):
                shows[k] &= (
                    shows[first] if not (isinstance(op, (Gather, Scatter)) and position == _INDEX[type(op)]) else 0
                )
            continue
        if op is table.strong_mul and shows[first]:
            steps[place] = Step(table.mul, args)
        for position, k in enumerate(args):
            if not (shows[first] and passes_nan(op, position)):
                shows[k] = 0
    return replace(program, steps=tuple(steps)), shows[: len(program.names)]


@functools.lru_cache(maxsize=512)
def _relaxed_loop(loop: Loop, seen: bytes) -> tuple[Loop, bytes]:
    """Relax a loop some of whose results are `seen`; also return whether a nan in each argument would be seen."""
    carry, outputs = loop.carry, bytearray(seen)
    if loop.kind == WHILE:
        # A nan in what the condition reads can end the loop too early.
        return loop, bytes(loop.arity)
    while True:
        body, inputs = _relaxed(loop.body, outputs)
        # A nan in a carried number is seen at the end, or by way of the next iteration.
        fewer = bytes(map(min, outputs[:carry], inputs[:carry]))
        if fewer == outputs[:carry]:
            break
        outputs[:carry] = fewer
    return loop.change(body=body), bytes(inputs)


def passes_nan(op: Primitive, position: int) -> bool:
    """Return whether a nan in this argument always reaches the result, unless the result ignores the argument.

    The branches of `where` count: one not taken has no effect. So do the factors of a strong product: where the other
    factor is 0, the result is 0 either way.
    """
    if op is table.where:
        return position > 0
    if op in (table.sum, table.mean, table.dot, table.strong_mul):
        return True
    return PRIMITIVES.get(op.name) is op and not op.custom and _found_to_pass_nan(op.name, position)


@functools.cache
def _found_to_pass_nan(name: str, position: int) -> bool:
    op = PRIMITIVES[name]
    edges = (0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 3.0, math.inf, -math.inf)
    for others in itertools.product(edges, repeat=op.arity - 1):
        value = op.evaluate(*others[:position], math.nan, *others[position:])
        if value == value:
            return False
    return True
