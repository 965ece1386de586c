"""Fit a program to numbers with fewer digits than doubles have."""

from __future__ import annotations

from dataclasses import replace

from ..floats import Format
from ..programs import COUNTED, LEAST_SCALE, Gather, Loop, Program, Scatter, Step

_SCALE = 1e-36  # what single precision needs for LEAST_SCALE


def narrowed(program: Program, own: Format) -> Program:
    """Return the program for numbers of a format.

    Errors: `ValueError` where rows are counted or chosen by whole numbers that the format has not all of.

    >>> from chainrule import take, trace
    >>> from chainrule.floats import SINGLE
    >>> import numpy as np
    >>> narrowed(trace(take, np.zeros(2**24 + 1), 3.0), SINGLE)
    Traceback (most recent call last):
    ...
    ValueError: float32 has whole numbers up to 16777216 but take reads one of 16777217 rows; use dtype="float64"
    """
    if own.digits >= 53:
        return program
    return _narrowed(program, own, {})


def _narrowed(program: Program, own: Format, known: dict[Program, Program]) -> Program:
    if program in known:
        return known[program]
    constants = tuple([_SCALE if item == LEAST_SCALE else item for item in program.constants])
    steps = []
    for op, args in program.steps:
        rows = _rows(op)
        if rows > own.whole:
            raise ValueError(
                f"{own.name} has whole numbers up to {own.whole} but {program.name} reads one of {rows} rows; use "
                'dtype="float64"'
            )
        new = op.map_programs(lambda body: _narrowed(body, own, known)) if isinstance(op, Loop) else op
        steps.append(Step(new, args))
    known[program] = replace(program, constants=constants, steps=tuple(steps))
    return known[program]


def _rows(op: object) -> int:
    """Return how many rows an operation chooses from by a number."""
    if isinstance(op, Gather):
        return op.of[0]
    if isinstance(op, Scatter):
        return op.shape[0]
    return op.length if isinstance(op, Loop) and op.kind == COUNTED else 0
