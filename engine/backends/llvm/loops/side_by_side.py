"""Compute exponentials of single numbers as vectors, where several do not wait for one another.

The shares of fourteen classes in a scan take two vectors instead of fourteen calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from ....operations import Primitive, table
from ....programs import Builder, Program
from .module import Module

FEWEST = 4  # that are worth a vector


def exponentials_together(module: Module, program: Program) -> Program:
    """Return a program for single numbers whose exponentials stand next to those that they can be computed with."""
    machine = module.machine
    if not (machine.fused and machine.lanes >= FEWEST) or sum(is_exponential(op) for op, _ in program.steps) < FEWEST:
        return program
    waits = [0] * program.offset  # of each value, for how many exponentials one after another
    ranks: list[int] = []
    for op, args in program.steps:
        rank = 2 * max([waits[k] for k in args], default=0) + is_exponential(op)
        ranks.append(rank)
        waits += [(rank + 1) // 2] * op.results
    groups = Counter(rank for rank in ranks if rank % 2)
    if max(groups.values()) < FEWEST:
        return program
    builder, new = Builder.like(program)
    new += range(program.offset, program.count)
    for place in sorted(range(len(ranks)), key=ranks.__getitem__):
        (op, args), first = program.steps[place], program.firsts[place]
        new[first : first + op.results] = builder.results(op, tuple([new[k] for k in args]))
    return builder.finish(program, [new[k] for k in program.outputs])


def is_exponential(op: Primitive) -> bool:
    """Return whether a step is an exponential of the table's."""
    return op.name == "exp" and not op.custom


def next_to(program: Program, first: int, end: int) -> int:
    """Return how many steps from a place on, to another one at most, are exponentials."""
    return sum(1 for _ in takewhile(is_exponential, [op for op, _ in program.steps[first:end]]))


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
