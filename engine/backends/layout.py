"""Decide what of a program runs once and what for every sample, and where its numbers are stored.

A kernel is called as ``kernel(arrays, n, out)``: one contiguous array of doubles for each positional argument, its
numbers in order, with n rows where the argument carries a batch; and the array that results are written to. Without a
batch, or with a reduction, that is the numbers of the outputs. Else it holds, one after the other, for each number or
array of the result (a unit) a block of n rows.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

from ..programs import Program, size_of, varying


class Layout:
    """Describe a program for one choice of batched arguments and reduction.

    Attributes:
        inputs, base: how many inputs there are, and the number of the first step's value.
        starts, sizes: the first number and how many there are, for each positional argument.
        argument_of, offsets: the positional argument that each input belongs to, and where in it its numbers start.
        varying: for each value, whether it differs from sample to sample.
        shared_steps, sample_steps: which steps run once, which for every sample.
        units: first position, and how many numbers, for each number or array of the result.
        outputs: how many numbers there are in the result.
        output_starts: the position of the first number of each output.
        positions: of the first number of each value that is an output, wherever it stands.
    """

    def __init__(self, program: Program, batched: Sequence[bool], reduce: str | None) -> None:
        self.program = program
        self.batched = tuple(batched)
        self.reduce = reduce if any(batched) else None
        self.inputs = len(program.names)
        self.base = self.inputs + len(program.constants)
        self.sizes = [part.size for part in program.arguments.parts]
        self.starts: list[int] = []
        self.argument_of: list[int] = []
        self.offsets: list[int] = []
        start = 0
        for argument, part in enumerate(program.arguments.parts):
            self.starts.append(start)
            start += part.size
            offset = 0
            for leaf in part.leaves():
                self.argument_of.append(argument)
                self.offsets.append(offset)
                offset += size_of(leaf.shape)
        self.varying = varying(program, self.batched)
        self.shared_steps: list[int] = []
        self.sample_steps: list[int] = []
        for place, first in enumerate(program.firsts):
            (self.sample_steps if self.varying[first] else self.shared_steps).append(place)
        self.units: list[tuple[int, int]] = []
        self.outputs = 0
        for unit in program.result.units():
            self.units.append((self.outputs, unit.size))
            self.outputs += unit.size
        self.output_starts = list(itertools.accumulate(map(size_of, program.output_shapes), initial=0))[:-1]
        self.positions: dict[int, list[int]] = {}
        for position, value in zip(self.output_starts, program.outputs, strict=True):
            self.positions.setdefault(value, []).append(position)

    @property
    def numbers(self) -> int:
        """How many numbers the arguments have, those of one sample."""
        return sum(self.sizes)

    @property
    def has_batch(self) -> bool:
        """Whether any argument is batched."""
        return any(self.batched)

    @property
    def per_sample(self) -> bool:
        """Whether each sample has its own results."""
        return self.has_batch and self.reduce is None

    def inputs_of(self, argument: int) -> range:
        """Return the inputs that a positional argument holds."""
        return range(bisect.bisect_left(self.argument_of, argument), bisect.bisect(self.argument_of, argument))

    def unit_at(self, position: int) -> int:
        """Return the unit that a position belongs to."""
        return bisect.bisect(self.units, (position, math.inf)) - 1

    def places(self, sample: int, n: int) -> Iterator[int]:
        """Yield where each output of a sample goes."""
        for start, size in self.units:
            first = n * start + sample * size
            yield from range(first, first + size)

    def finish(self, total: float, n: int) -> float:
        """Turn a sum over the batch into the result."""
        if self.reduce != "mean":
            return total
        return total / n if n else math.nan

    def exported(self) -> set[int]:
        """List the shared values that samples or the reduced result read."""
        varies, steps = self.varying, self.program.steps
        found = {arg for place in self.sample_steps for arg in steps[place].args if not varies[arg]}
        if self.has_batch:
            found.update(value for value in self.program.outputs if not varies[value])
        return found
