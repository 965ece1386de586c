"""Recognise unrolled loops: steps that do the same to different numbers become one `map`.

A layer of neurons, written as `nn.MLP` or as a comprehension of dot products, is a map over the neurons, and its
derivative, taken of the map, is one too. So the time to compile follows the size of the code that was written. Where
a derivative is taken while tracing, what is differentiated is recognised first.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..data import Structure
from ..operations import Primitive, table
from ..programs import (
    MAP,
    Builder,
    Loop,
    Part,
    Place,
    Program,
    Shape,
    Step,
    Structural,
    View,
    drop,
    row_at,
    values_in_tuple,
)
from .long_chains import chains_joined
from .repetition import Group, Repetition
from .rows import Column, Rows
from .weighing import operands, size, work

WORK = 4_000
"""Programs of fewer operands stay as they are where they run for several samples, or iterations of a map, at once:
straight-line code is fastest then. Measured, loss and gradient of an MLP with relu for 100 and 1,024 samples, written
out and as maps: 2-16-16-1 (700 operands) took 20 and 28, 103 and 112 us to run, 0.3 and 0.15 s to compile; 16-64-64-1
(10,800 operands) 212 and 267, 2,312 and 2,536 us to run, 6.8 and 0.8 s to compile."""

WORK_ALONE = 500
"""The same where they do not, and a map can fill the vector's lanes. Measured: 1,000 steps of an LSTM cell (1,900
operands) took 5.1 and 2.8 ms to run, 2.7 and 0.9 s to compile."""

_FUNCTION = 20  # operands that a function counts for, which machine code spells out
_SMALL = 32  # operands of a group that are as well written out
_LEVELS = 6  # of maps inside maps
_LONG = 20_000
"""From so many operands on small groups count together, and loops that are left are compared loosely. Measured: the
loss of a GPT of lists for a word of 15 letters (250,000 operands) becomes 230 steps instead of 4,000; the derivative of
a layer of maps (12,000) took 2.5 s to compile instead of 2.0, and as long to run."""

_WORDS = 3  # operations that a body is named by
_GAIN = 0.5  # of the size that may be left, for maps to be worth their packing


def recognise(program: Program, alone: bool = False) -> Program:
    """Return the program with maps in place of steps that do the same to different numbers; values do not change.

    A layer becomes one map, the same layer at several places a map of that map. Programs that are short, or mostly
    something else, come back as they are.

    Args:
        program: what to rewrite, inner programs of loops included.
        alone: whether it runs without a batch, so that maps can take the lanes of vectors.

    >>> from chainrule import dot, tanh, trace
    >>> def layer(w, x):
    ...     return [tanh(dot(row, x)) for row in w]
    >>> print(recognise(trace(layer, [[1.0] * 20] * 20, [1.0] * 20), alone=True))
    layer(w: [[number × 20] × 20], x: [number × 20]):
        v1 = map dot_tanh × 20 over w[0][0]…w[19][19] with x[0]…x[19]:
            dot_tanh(row: [number × 20], shared: [number × 20]):
                v1 = dot(row[0]…row[19], shared[0]…shared[19])
                v2 = tanh(v1)
                return v2
        return [v1[0]…v1[19]]
    """
    return _recognise(program, alone, {})


Known = dict[tuple[int, bool], tuple[Program, Program]]


def _recognise(program: Program, alone: bool, known: Known) -> Program:
    key = id(program), alone
    if key not in known:
        # Kept beside its result, so that its id stays its own.
        known[key] = (program, _recognise_once(program, alone, known))
    return known[key][1]


def _recognise_once(program: Program, alone: bool, known: Known) -> Program:
    if program.has_loops:
        program = _with_inner(program, alone, known)
    amount = work(program)
    if amount < WORK_ALONE if alone else amount + _FUNCTION * _functions(program) < WORK:
        return program
    program = found = chains_joined(program)
    is_long = amount >= _LONG
    for _ in range(_LEVELS):
        repetition = Repetition(found)
        groups = _large(repetition, is_long)
        if not groups and is_long:
            repetition = Repetition(found, loosely=True)
            groups = [group for group in _large(repetition, is_long) if _has_loops(found, group)]
        if not groups:
            break
        found = drop(_Rewriting(repetition, groups).program())
    return found if size(found) < _GAIN * size(program) else program


def _functions(program: Program) -> int:
    """Return how many steps are functions such as tanh."""
    return sum([not (op.cheap or isinstance(op, Structural)) for op, _ in program.steps])


def _with_inner(program: Program, alone: bool, known: Known) -> Program:
    """Return the program with inner programs recognised, too; a map runs one iteration per vector lane."""

    def inner(op: Primitive) -> Primitive:
        if not isinstance(op, Loop):
            return op
        return op.map_programs(lambda body: _recognise(body, alone and op.kind != MAP, known))

    ops = [inner(op) for op, _ in program.steps]
    if all(new is op for new, (op, _) in zip(ops, program.steps, strict=True)):
        return program
    return replace(program, steps=tuple([Step(op, args) for op, (_, args) in zip(ops, program.steps, strict=True)]))


def _large(repetition: Repetition, together: bool) -> list[Group]:
    """Find the groups that are large enough; those that do the same count `together`, since one loop may take them."""
    program, groups = repetition.program, repetition.groups()
    kinds = [(k if not together else -1, *_kind(program, group)) for k, group in enumerate(groups)]
    total = Counter[tuple[object, ...]]()
    for group, kind in zip(groups, kinds, strict=True):
        total[kind] += group.length * sum([operands(*program.steps[column[0]]) for column in group.columns])
    found = [group for group, kind in zip(groups, kinds, strict=True) if total[kind] >= max(1, _SMALL)]
    # Loops around others can only be seen when those are there.
    return [group for group in found if group.split] or found


def _kind(program: Program, group: Group) -> tuple[object, ...]:
    return group.split, group.length, *[program.steps[column[0]].op for column in group.columns]


def _has_loops(program: Program, group: Group) -> bool:
    return any(isinstance(program.steps[column[0]].op, Loop) for column in group.columns)


_INNER, _ROW, _SHARED, _CONSTANT = range(4)
_Source = tuple[int, int]  # one of these, and which value


class _Rewriting:
    """Rewrite a program with a map for each group."""

    def __init__(self, repetition: Repetition, groups: Sequence[Group]) -> None:
        self.old, self.maker, self.groups = repetition.program, repetition.maker, groups
        self.root, self.shapes, self.places = repetition.root, repetition.program.value_shapes, repetition.places
        self.rows = Rows(self.old)
        self.unit_of: list[int | Group] = list(range(len(self.old.steps)))
        for group in groups:
            for place in itertools.chain(*group.columns):
                self.unit_of[place] = group
        self.builder = Builder(len(self.old.names))
        # The number of each value in the builder; views of inputs and constants are written when they are asked for.
        self.new = list(range(len(self.old.names))) + [-1] * (self.old.count - len(self.old.names))
        for k, number in enumerate(self.old.constants, len(self.old.names)):
            self.new[k] = self.builder.constant(number)
        self.outside = set(self.old.outputs)  # values that others take than the group that made them
        for unit, (_, args) in zip(self.unit_of, self.old.steps, strict=True):
            self.outside.update([k for k in args if not self._is_inside(k, unit)])
        self.sums = self._sums()
        self.summed: set[int] = set()

    def _is_inside(self, value: int, unit: int | Group) -> bool:
        """Return whether a value is made by a unit, or is a view of what that makes."""
        return self.root[value] >= 0 and self.unit_of[self.root[value]] is unit

    def _sums(self) -> dict[tuple[int, ...], int]:
        """Return the place of each sum whose summands nothing else uses, by these summands."""
        uses = Counter(itertools.chain(self.old.outputs, *[args for _, args in self.old.steps]))
        return {
            args: place
            for place, (op, args) in enumerate(self.old.steps)
            if op is table.sum and self.unit_of[place] == place and all(uses[k] == 1 for k in args)
        }

    def program(self) -> Program:
        """Return the new program."""
        for unit in self._order():
            if isinstance(unit, Group):
                self._write(unit)
            elif unit not in self.summed:
                op, args = self.old.steps[unit]
                self._number(unit, self.builder.write(op, tuple(map(self._now, args))))
        return self.builder.finish(self.old, list(map(self._now, self.old.outputs)))

    def _now(self, value: int) -> int:
        """Return the number of a value in the builder."""
        if self.new[value] < 0:
            op, (of,) = self.old.steps[self.maker[value]]
            self.new[value] = self.builder.write(op, (self._now(of),))
        return self.new[value]

    def _order(self) -> Iterator[int | Group]:
        """Yield steps and groups, each as soon as its arguments are computed, in the program's order if possible."""
        units = [self.unit_of[place] for place in self.places]
        takers: dict[int | Group, set[int | Group]] = {unit: set() for unit in units}
        missing = dict.fromkeys(units, 0)
        places: dict[int | Group, int] = {}
        for place, unit in zip(self.places, units, strict=True):
            places.setdefault(unit, place)
            for k in self.old.steps[place].args:
                if self.root[k] < 0 or self._is_inside(k, unit):
                    continue
                made = self.unit_of[self.maker[k]]
                if made is not unit and unit not in takers[made]:
                    takers[made].add(unit)
                    missing[unit] += 1
        ready = [(places[unit], unit) for unit, count in missing.items() if not count]
        heapq.heapify(ready)
        while ready:
            _, unit = heapq.heappop(ready)
            yield unit
            for taker in takers[unit]:
                missing[taker] -= 1
                if not missing[taker]:
                    heapq.heappush(ready, (places[taker], taker))

    def _number(self, place: int, first: int) -> None:
        start = self.old.firsts[place]
        for k in range(self.old.steps[place].op.results):
            self.new[start + k] = first + k

    def _write(self, group: Group) -> None:
        """Write the map of a group: what differs between iterations comes in rows, the rest is shared."""
        steps, firsts = self.old.steps, self.old.firsts
        rows: dict[tuple[int, ...], int] = {}
        shared: dict[int, int] = {}
        taken = [
            [self._source(values, group, rows, shared) for values in zip(*[steps[k].args for k in column], strict=True)]
            for column in group.columns
        ]
        blocks = self.rows.blocks(list(rows))
        body = Builder(len(blocks) + len(shared))
        of_row = {
            column: body.write(View((len(block),), Part(k, (), ())), (place,)) if len(block) > 1 else place
            for place, block in enumerate(blocks)
            for k, column in enumerate(block)
        }
        row = [of_row[values] for values in rows]
        known: dict[int, int] = {}  # the body's numbers for values of the first iteration
        stacked: list[tuple[int, tuple[int, ...]]] = []
        sums: list[tuple[int, int]] = []

        def number_of(source: _Source) -> int:
            kind, k = source
            if kind == _CONSTANT:
                return body.constant(self.old.constants[k - len(self.old.names)])
            if kind == _INNER and k not in known:  # a view of what is made here
                op, (of,) = steps[self.maker[k]]
                known[k] = body.write(op, (number_of((_INNER, of)),))
            if kind == _INNER:
                return known[k]
            return row[k] if kind == _ROW else len(blocks) + k

        for column, own in zip(group.columns, taken, strict=True):
            op = steps[column[0]].op
            first = body.write(op, tuple(map(number_of, own)))
            for k in range(op.results):
                known[firsts[column[0]] + k] = first + k
                values = tuple([firsts[place] + k for place in column])
                if values in self.sums:
                    sums.append((first + k, self.sums[values]))
                elif any(value in self.outside for value in values):
                    stacked.append((first + k, values))
        outputs = [output for output, _ in stacked] + [output for output, _ in sums]
        row_shapes = [(len(block),) if len(block) > 1 else self.shapes[block[0][0]] for block in blocks]
        shared_shapes = [self.shapes[k] for k in shared]
        frame = _frame([steps[column[0]].op for column in group.columns], row_shapes, shared_shapes, body, outputs)
        loop = Loop(MAP, body.finish(frame, outputs), group.length, 0, len(blocks), len(sums))
        args = [self._stacked(block, shape) for block, shape in zip(blocks, row_shapes, strict=True)]
        made = self.builder.step(loop, (*args, *map(self._now, shared)))
        for position, (_, values) in enumerate(stacked):
            shape = self.shapes[values[0]]
            for k, value in enumerate(values):
                view = View((group.length, *shape), row_at(k, shape))
                self.new[value] = self.builder.write(view, (made + position,))
        for position, (_, place) in enumerate(sums):
            self.summed.add(place)
            self.new[firsts[place]] = made + len(stacked) + position

    def _stacked(self, block: Sequence[Column], shape: Shape) -> int:
        """Return the array that has these values, iteration by iteration, as rows."""
        pieces = self.rows.pieces(block)
        args = [
            self._now(value)
            if part is None
            else self.builder.write(View(self.shapes[value], part), (self._now(value),))
            for _, value, part in pieces
        ]
        op = Place((len(block[0]), *shape), [place for place, _, _ in pieces])
        return self.builder.write(op, tuple(args))

    def _source(
        self, values: tuple[int, ...], group: Group, rows: dict[tuple[int, ...], int], shared: dict[int, int]
    ) -> _Source:
        """Return where the body finds an argument of its iterations, and add it to the rows or the shared numbers."""
        k = values[0]
        if self._is_inside(k, group):
            return _INNER, k
        if any(value != k for value in values):
            return _ROW, rows.setdefault(values, len(rows))
        if len(self.old.names) <= k < self.old.offset:
            return _CONSTANT, k
        return _SHARED, shared.setdefault(k, len(shared))


def _frame(
    ops: Sequence[Primitive], rows: Sequence[Shape], shared: Sequence[Shape], body: Builder, outputs: Sequence[int]
) -> Program:
    """Return the empty body of a map that applies some operations."""
    parts = [(name, shapes) for name, shapes in (("row", rows), ("shared", shared)) if shapes]
    names = [f"{name}[{k}]" if len(own) > 1 else name for name, own in parts for k in range(len(own))]
    structures = []
    for _, own in parts:
        each = values_in_tuple(own).parts
        structures.append(Structure("list", each) if len(own) > 1 else each[0])
    words = list(dict.fromkeys(op.body.name if isinstance(op, Loop) else op.name for op in ops if op.name != "place"))
    name = "_".join(words if len(words) <= _WORDS else [words[0], "to", words[-1]]) or "place"
    arguments = Structure("tuple", tuple(structures))
    result = values_in_tuple(body.shapes_of(outputs, arguments))
    return Program(tuple(names), (), (), (), arguments, result.parts[0] if len(outputs) == 1 else result, name)
