"""Put samples of like length side by side: a vector of them runs as long as its longest.

Where samples say how many of their items take part (`length=` of `map` and `scan`) batches are sorted by these numbers,
and results are put back in order. Nobody has to ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends import Layout, buffers
from ..programs import COUNTED, Loop, Program, Structural

_LEAST = 16  # samples that are worth sorting: fewer are one or two vectors


class Grouping:
    """Sort the samples of a call by the numbers that counted scans count by.

    Attributes:
        keys: where these stand, by argument and place; none where no batch is sorted.
    """

    def __init__(self, layout: Layout, in_vectors: bool) -> None:
        self.layout = layout
        program = layout.program
        self.keys = [
            (layout.argument_of[k], layout.offsets[k])
            for k in sorted(_counting_inputs(program) if in_vectors and buffers.np is not None else ())
            if layout.varying[k] and not program.shapes[k]
        ]

    def order(self, arrays: Sequence[Any], n: int) -> Any:
        """Return the samples from the shortest to the longest; None where they stand so, or are few."""
        np = buffers.np
        if not self.keys or n < _LEAST:
            return None
        columns = [np.asarray(arrays[argument]).reshape(n, -1)[:, offset] for argument, offset in self.keys]
        order = np.lexsort(columns[::-1])
        return None if (order[1:] > order[:-1]).all() else order

    def sorted(self, arrays: Sequence[Any], n: int, order: Any) -> list[Any]:
        """Return the arrays of a call with samples in another order."""
        np = buffers.np
        return [
            np.ascontiguousarray(np.asarray(own).reshape(n, -1)[order]) if batched else own
            for own, batched in zip(arrays, self.layout.batched, strict=True)
        ]

    def put_back(self, out: Any, n: int, order: Any) -> None:
        """Put each sample's results where the sample was."""
        for start, size in self.layout.units if self.layout.per_sample else ():
            block = buffers.np.asarray(out)[n * start : n * (start + size)].reshape(n, size)
            block[order] = block.copy()


def _counting_inputs(program: Program) -> set[int]:
    """Return the inputs from which rows of the table compute how many iterations counted scans have."""
    made = dict(zip(program.firsts, program.steps, strict=True))
    waiting: list[int] = []
    for op, args in program.steps:
        if isinstance(op, Loop):
            first = op.carry + op.rows
            waiting += [args[k] for k in _counting_inputs(op.body) if k >= first]  # what all iterations share
            waiting += [args[first]] if op.kind == COUNTED else []
    found: set[int] = set()
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        step = made.get(value)
        if value < len(program.names):
            found.add(value)
        elif step is not None and not isinstance(step.op, Structural):
            waiting += step.args
    return found
