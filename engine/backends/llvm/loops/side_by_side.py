"""Compute exponentials of single numbers as vectors, where several do not wait for one another.

The shares of fourteen classes in a scan take two vectors instead of fourteen calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress, takewhile

from ....operations import Primitive, table
from ....programs import Program, waits
from .module import Module

_FEWEST = 4  # that are worth a vector


def exponentials_together(module: Module, program: Program) -> Program:
    """Return a program for single numbers whose exponentials stand next to those that they can be computed with."""
    spells = _spells(module)
    flags = [spells(op) for op, _ in program.steps]
    if sum(flags) < _FEWEST:
        return program
    waiting = waits(program, flags)
    if max(Counter(compress(waiting, flags)).values()) < _FEWEST:
        return program
    return program.reordered(sorted(range(len(flags)), key=lambda place: (waiting[place], flags[place])))


def next_to(module: Module, program: Program, first: int, end: int) -> int:
    """Return how many steps from a place on, up to another, are exponentials of values before it; 0 if too few."""
    spells, start = _spells(module), program.firsts[first]
    steps = map(program.steps.__getitem__, range(first, end))
    count = sum(1 for _ in takewhile(lambda step: spells(step.op) and step.args[0] < start, steps))
    return count if count >= _FEWEST else 0


def _spells(module: Module) -> Callable[[Primitive], bool]:
    """Return whether an operation is an exponential, as a function: of none where vectors hold too few."""
    lanes = module.machine.lanes
    return module.operations(lanes if lanes >= _FEWEST else 1).spells


def exponentials(module: Module, operands: Sequence[str], names: Sequence[str], key: int) -> list[str]:
    """Write the exponentials of some numbers, as vectors that are full but for the last."""
    lanes = module.machine.lanes
    operations, lines = module.operations(lanes), list[str]()
    type_, scalar = operations.type, module.scalar
    for start in range(0, len(operands), lanes):
        name, vector = f"side{key}.{start}", "zeroinitializer"
        for lane, text in enumerate(operands[start : start + lanes]):
            lines.append(f"%{name}.{lane} = insertelement {type_} {vector}, {scalar} {text}, i64 {lane}")
            vector = f"%{name}.{lane}"
        lines.append(operations.template(table.exp, True).format(vector, v=name))
        for lane, given in enumerate(names[start : start + lanes]):
            lines.append(f"{given} = extractelement {type_} %v{name}, i64 {lane}")
    return lines
