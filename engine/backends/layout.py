"""Say how arguments and results of a kernel lie in memory, the same for every backend.

A kernel is called as ``kernel(arrays, n, out)``: one contiguous array of doubles for each positional argument, its
numbers in order, with n rows where the argument carries a batch; and the array that results are written to. Without a
batch, or with a reduction, that is one number for each output. Else it holds, one after the other, for each number or
array of the result (a unit) a block of n rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..program import Program


class Layout:
    """Hold sizes and places for one program, its batched arguments and its reduction."""

    def __init__(self, program: Program, batched: Sequence[bool], reduce: str | None) -> None:
        self.batched = tuple(batched)
        self.reduce = reduce
        self.has_batch = any(batched)
        self.per_sample = self.has_batch and reduce is None
        self.sizes = [part.size for part in program.arguments.parts]
        self.units = [unit.size for unit in program.result.units()]

    def places(self, sample: int, n: int) -> Iterator[int]:
        """Yield where each output of a sample goes."""
        start = 0
        for size in self.units:
            first = n * start + sample * size
            yield from range(first, first + size)
            start += size

    def finish(self, total: float, n: int) -> float:
        """Make the result of a sum over the batch."""
        if self.reduce != "mean" or not self.has_batch:
            return total
        return total / n if n else math.nan
