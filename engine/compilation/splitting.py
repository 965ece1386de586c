"""Split a program into its loops and the steps between them, each a program of its own, as `report` measures them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..data import NUMBER, Structure
from ..programs import Builder, Loop, Place, Program, View, drop, flat, size_of, varying


class Segment(NamedTuple):
    """Some steps of a program as a program: a loop, or what stands between two.

    Attributes:
        program: it takes the inputs that are numbers and the same for all samples as one list, those that differ as
            another, and then arrays, each as an argument.
        steps: which ones they are.
        loop: the loop, if it is one.
        varies: whether it differs from sample to sample.
        shared, own, arrays: the values that it takes, by their number in the whole program: numbers that are the same
            for all samples, numbers that differ, arrays.
        gives: the values that it gives, likewise.
        batched: for each argument, whether it differs from sample to sample.
        read: how many numbers it takes of each: of arrays those that it looks at.
        handed, returned: how many numbers it gives to other segments, and how many to the result alone.
    """

    program: Program
    steps: tuple[int, ...]
    loop: Loop | None
    varies: bool
    shared: tuple[int, ...]
    own: tuple[int, ...]
    arrays: tuple[int, ...]
    gives: tuple[int, ...]
    batched: tuple[bool, ...]
    read: dict[int, int]
    handed: int = 0
    returned: int = 0

    def taken(self) -> tuple[int, ...]:
        """Return the values that it takes, in the order of its inputs."""
        return (*self.shared, *self.own, *self.arrays)


def split(program: Program, batched: Sequence[bool]) -> list[Segment]:
    """Return the loops of a program and the steps between them, in order.

    What only looks at parts of arrays belongs to the steps that read these, and what only joins values to nobody: in
    machine code values are written where they go.

    >>> from chainrule import map, trace
    >>> import numpy as np
    >>> program = trace(lambda x, y: map(lambda x: x * x, x, reduce="sum") * y, np.zeros(300), 1.0)
    >>> [(segment.loop, len(segment.steps)) for segment in split(program, [False, False])]
    [(<map of lambda, 300 iterations>, 1), (None, 1)]
    """
    return _Splitter(program, batched).segments()


class _Splitter:
    """Knows of each value of a program who makes it and who needs it."""

    def __init__(self, program: Program, batched: Sequence[bool]) -> None:
        self.program = program
        self.varies = varying(program, batched)
        self.shapes = program.value_shapes
        self.maker = [-1] * program.offset
        for place, (op, _) in enumerate(program.steps):
            self.maker += [place] * op.results

    def segments(self) -> list[Segment]:
        """Return what `split` returns."""
        groups = self._groups()
        group_of = {place: k for k, group in enumerate(groups) for place in group}
        needed = {self._looked_at(k) for k in self.program.outputs}
        for place, (op, args) in enumerate(self.program.steps):
            if not isinstance(op, View):
                sources = map(self._looked_at, args)
                needed |= {k for k in sources if group_of.get(self.maker[k]) != group_of[place]}
        found = [self._segment(group, needed) for group in groups if not all(map(self._is_free, group))]
        read = {k for segment in found for k in segment.taken()}
        measured = {place for segment in found for place in segment.steps}
        for place in reversed(range(len(self.program.steps))):
            if place not in measured and self.program.firsts[place] in read:
                read.update(map(self._looked_at, self.program.steps[place].args))
        return [
            segment._replace(
                handed=sum([size_of(self.shapes[k]) for k in segment.gives if k in read]),
                returned=sum([size_of(self.shapes[k]) for k in segment.gives if k not in read]),
            )
            for segment in found
        ]

    def _groups(self) -> list[list[int]]:
        """Return the steps of each loop, and the runs of others that differ, or do not, from sample to sample."""
        groups: list[list[int]] = []
        before: object = None
        for place, ((op, _), first) in enumerate(zip(self.program.steps, self.program.firsts, strict=True)):
            kind = place if isinstance(op, Loop) else self.varies[first]
            if not groups or kind is not before:
                groups.append([])
            groups[-1].append(place)
            before = kind
        return groups

    def _is_free(self, place: int) -> bool:
        op = self.program.steps[place].op
        return isinstance(op, View) or (isinstance(op, Place) and op.fills)

    def _looked_at(self, value: int) -> int:
        """Return the value that a view looks at, by way of others; any other value is that itself."""
        while self.maker[value] >= 0 and isinstance(self.program.steps[self.maker[value]].op, View):
            value = self.program.steps[self.maker[value]].args[0]
        return value

    def _segment(self, group: Sequence[int], needed: set[int]) -> Segment:
        program, firsts = self.program, self.program.firsts
        taken = [place for place in group if not isinstance(program.steps[place].op, View)]
        views, read = self._sources(taken)
        shared, own = ([k for k in read if not self.shapes[k] and self.varies[k] is flag] for flag in (False, True))
        arrays = [k for k in read if self.shapes[k]]
        lists = [(flag, items) for flag, items in ((False, shared), (True, own)) if items]
        parts = [Structure("list", (NUMBER,) * len(items)) for _, items in lists]
        parts += [Structure("array", shape=self.shapes[k], whole=True) for k in arrays]
        inputs = [*shared, *own, *arrays]
        builder = Builder(len(inputs))
        new = {k: place for place, k in enumerate(inputs)}
        new |= {k: builder.constant(item) for k, item in enumerate(program.constants, len(program.names))}
        for place in sorted([*views, *taken]):
            op, args = program.steps[place]
            found = builder.results(op, tuple([new[k] for k in args]))
            new |= dict(zip(range(firsts[place], firsts[place] + op.results), found, strict=True))
        results = [k for place in taken for k in range(firsts[place], firsts[place] + program.steps[place].op.results)]
        gives = tuple([k for k in results if k in needed])
        names = tuple([f"x{k}" for k in range(len(inputs))])
        bare = Program(names, (), (), (), Structure("tuple", tuple(parts)), program.result, program.name)
        built = builder.finish(bare, [new[k] for k in gives])
        first = program.steps[group[0]].op
        return Segment(
            drop(flat(built, built.outputs)),
            tuple(taken),
            first if isinstance(first, Loop) else None,
            self.varies[firsts[group[0]]],
            tuple(shared),
            tuple(own),
            tuple(arrays),
            gives,
            (*[flag for flag, _ in lists], *[self.varies[k] for k in arrays]),
            read,
        )

    def _sources(self, taken: Sequence[int]) -> tuple[list[int], dict[int, int]]:
        """Return the views that some steps read through, and how many numbers they read of each other value."""
        inputs, steps, inside = len(self.program.names), self.program.steps, set(taken)
        views: set[int] = set()
        read: dict[int, int] = {}
        for value in dict.fromkeys([k for place in taken for k in steps[place].args]):
            source = self._looked_at(value)
            if self.maker[source] not in inside and not inputs <= source < self.program.offset:
                size = read.get(source, 0) + size_of(self.shapes[value])
                read[source] = min(size_of(self.shapes[source]), size)
            while value != source:
                views.add(self.maker[value])
                (value,) = steps[self.maker[value]].args
        return sorted(views), read
