"""Write arrays out as numbers, where straight-line code of a few is what a program comes to."""

from __future__ import annotations

from ...operations import table
from ...programs import Builder, Gather, Numbers, Place, Program, Scatter, View, number_names, size_of

_MOST = 2_000  # numbers of all values


def in_scalars(program: Program) -> Program:
    """Return a program without loops with a number for each number of its arrays; any other as it is.

    >>> import numpy as np
    >>> from chainrule import trace
    >>> in_scalars(trace(lambda x: x[3] * x[4], np.ones(300))).names[3:5]
    ('x[3]', 'x[4]')
    """
    if program.has_loops or not program.has_arrays:
        return program
    indexed = any(isinstance(op, (Gather, Scatter)) for op, _ in program.steps)
    if indexed or sum(map(size_of, program.value_shapes)) > _MOST:
        return program
    names: list[str] = []
    values: list[list[int]] = []  # the numbers of each value
    for name, leaf in zip(program.names, program.arguments.leaves(), strict=True):
        own = list(number_names(name, leaf.in_numbers()))
        values.append(list(range(len(names), len(names) + len(own))))
        names += own
    builder = Builder(len(names))
    for item in program.constants:
        values.append([builder.constant(x) for x in (item if isinstance(item, Numbers) else [item])])
    for op, args in program.steps:
        own_args = [values[k] for k in args]
        if isinstance(op, View):
            values.append([own_args[0][k] for k in op.part.places()])
        elif isinstance(op, Place):
            values.append(_placed(builder, op, own_args))
        else:
            values.append([builder.step(op, tuple([arg[0] for arg in own_args]))])
    arguments, result = program.arguments.in_numbers(), program.result.in_numbers()
    frame = Program(tuple(names), (), (), (), arguments, result, program.name, program.closed)
    return builder.finish(frame, [k for value in program.outputs for k in values[value]])


def _placed(builder: Builder, op: Place, args: list[list[int]]) -> list[int]:
    found: list[int | None] = [None] * size_of(op.shape)
    for part, own in zip(op.parts, args, strict=True):
        for place, value in zip(part.places(), own, strict=True):
            before = found[place]
            found[place] = value if before is None else builder.step(table.add, (before, value))
    return [builder.constant(0.0) if value is None else value for value in found]
