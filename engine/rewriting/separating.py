"""Put long arrays together from parts that do not overlap: what overlaps is added by a map, for lanes and threads."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from ..operations import table
from ..programs import MAP, Builder, Loop, Part, Place, Program, View, contiguous, size_of
from .inlining import body_of

_LEAST = 1 << 12  # numbers of an array
_MOST = 16  # parts


def separate(program: Program) -> Program:
    """Return the program with maps in place of sums of long parts that overlap.

    >>> import numpy as np
    >>> from chainrule import grad, trace
    >>> program = trace(grad(lambda x: np.sum(x[1:] * x[:-1])), np.ones(9000))
    >>> [sum(op.name == "map" for op, _ in own.steps) for own in (program, separate(program))]
    [1, 2]
    """
    if not any(isinstance(op, Place) and _overlaps(op) for op, _ in program.steps):
        return program
    builder, values = Builder.like(program)
    for op, args in program.steps:
        own = tuple([values[k] for k in args])
        if isinstance(op, Place) and _overlaps(op):
            values.append(_separated(builder, op, own))
        else:
            values += builder.results(op, own)
    return builder.finish(program, [values[k] for k in program.outputs])


def _overlaps(op: Place) -> bool:
    """Return whether a long array is put together from a few runs of numbers, of which some overlap."""
    if size_of(op.shape) < _LEAST or not 1 < len(op.parts) <= _MOST:
        return False
    if not all(part.shape and part.is_contiguous for part in op.parts):
        return False
    ends = sorted([(part.start, part.start + size_of(part.shape)) for part in op.parts])
    return any(start < end for (_, end), (start, _) in itertools.pairwise(ends))


def _separated(builder: Builder, op: Place, args: Sequence[int]) -> int:
    bounds = [(part.start, part.start + size_of(part.shape)) for part in op.parts]
    marks = sorted({mark for pair in bounds for mark in pair})
    parts, found = [], []
    for start, stop in itertools.pairwise(marks):
        shape = (stop - start,)
        own = [
            builder.write(View(part.shape, Part(start - first, shape, (1,))), (arg,))
            for part, arg, (first, end) in zip(op.parts, args, bounds, strict=True)
            if first <= start and stop <= end
        ]
        if own:
            parts.append(Part(start, shape, contiguous(shape)))
            found.append(_total(builder, own, stop - start))
    return builder.write(Place(op.shape, parts), tuple(found))


def _total(builder: Builder, values: Sequence[int], length: int) -> int:
    """Write the sum of arrays of numbers."""
    if len(values) == 1:
        return values[0]
    body, count = Builder(len(values)), len(values)
    total = functools.reduce(lambda a, b: body.step(table.add, (a, b)), range(count))
    names = [f"x{k}" for k in range(count)]
    added = body_of(body, "add", names, [()] * count, [()], [total])
    return builder.step(Loop(MAP, added, length, 0, count, 0), tuple(values))
