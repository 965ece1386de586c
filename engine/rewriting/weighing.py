"""Weigh programs, in operands: how much one does in a run, and how much code it is."""

from __future__ import annotations

from collections.abc import Sequence

from ..operations import Primitive, table
from ..programs import Loop, Place, Program, Structural, regular, size_of

_OF_LOOP = 20  # operands that a loop counts for: so much code stands where it is called
_PACK = 2  # operands that a copy of a number counts for, and an operation that is not cheap:
_FUNCTION = 10


def work(program: Program) -> int:
    """Return how many operands the steps of a program take in one run; a loop counts as one step with some."""
    return sum([operands(op, args) for op, args in program.steps])


def operands(op: Primitive, args: Sequence[int]) -> int:
    """Return how many operands a step takes; what only says where numbers stand takes none."""
    if isinstance(op, Structural):
        return _OF_LOOP if isinstance(op, Loop) else 0
    return 0 if op is table.pos else len(args)


def size(program: Program) -> int:
    """Return a program's approximate code size in operands: inner programs once, and what is packed for them."""
    total, seen = 0, set()
    for op, args in program.steps:
        if not isinstance(op, Loop):
            if isinstance(op, Place):
                total += 0 if _regular(program, op, args) else _PACK * len(args)
            elif not isinstance(op, Structural):
                total += len(args) if op.cheap else _FUNCTION
            continue
        for inner in op.programs():
            if inner not in seen:
                seen.add(inner)
                total += size(inner)
    return total


def _regular(program: Program, op: Place, args: Sequence[int]) -> bool:
    """Return whether what is put into an array is constant, or numbers that come at equal distances along each axis."""
    inputs = len(program.names)
    if all(inputs <= k < program.offset for k in args) or len(args) < 2:
        return True
    return regular(args, op.shape if len(args) == size_of(op.shape) else (len(args),)) is not None
