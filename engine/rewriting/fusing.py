"""Make one map of maps that hand arrays to each other row by row, so that these need not be stored.

What NumPy's functions of whole arrays are traced as comes as a map for each. A map that takes rows which another one
stacks computes them itself, if nothing between the two needs the array as a whole. Where one goes along rows of several
numbers and the other along all of these, the other becomes a map inside a map.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from ..operations import table
from ..programs import (
    MAP,
    Builder,
    Loop,
    Part,
    Place,
    Program,
    Shape,
    View,
    drop,
    size_of,
    whole,
)
from .inlining import body_of, called, inlined, unrolled

_FEW = 8  # rows of so many numbers are written out
_LARGEST = 500  # steps of a body


def fuse(program: Program, most: float = math.inf) -> Program:
    """Fuse maps.

    Args:
        program: what to rewrite, inner programs included.
        most: operations for each number that a map stacks, below which one that takes them may compute them itself.

    >>> import numpy as np
    >>> from chainrule import trace
    >>> print(fuse(trace(lambda x: np.sum(np.sin(x) * x), np.ones(1000))))
    lambda(x: [number × 1000]):
        v1 = map mul × 1000 over x, summing 1:
            mul(x):
                v1 = sin(x)
                v2 = v1 × x
                return (v2,)
        return v1
    """
    return _fused(program, most, {})


def _fused(program: Program, most: float, known: dict[int, tuple[Program, Program]]) -> Program:
    if id(program) not in known:
        found = program
        if _may_join(program):
            graph = _Graph(program, most)
            graph.fuse()
            if graph.changed:
                found = drop(graph.program())
        if found.has_loops:
            steps = [
                step._replace(op=step.op.map_programs(lambda body: _fused(body, most, known)))
                if isinstance(step.op, Loop)
                else step
                for step in found.steps
            ]
            if any(new.op is not old.op for new, old in zip(steps, found.steps, strict=True)):
                found = replace(found, steps=tuple(steps))
        known[id(program)] = (program, found)
    return known[id(program)][1]


def _may_join(program: Program) -> bool:
    """Return whether a map takes rows that another one stacks, or arrays that one stacks are added up."""
    if not program.has_loops:
        return False
    made: set[int] = set()  # what maps stack, and views of it
    for (op, args), first in zip(program.steps, program.firsts, strict=True):
        if _is_map(op):
            if not made.isdisjoint(args[: op.rows]):
                return True
            made.update(range(first, first + op.stacked))
        elif _is_in_order(op) and args[0] in made:
            made.add(first)
        elif type(op) is Place and not made.isdisjoint(args) and len({*op.parts}) < len(op.parts):
            return True
    return False


class _Unit:
    """A step, with the numbers of the values that it takes and gives, and where it stood in the program."""

    def __init__(self, op: Any, args: list[int], results: list[int], place: int) -> None:
        self.op, self.args, self.results, self.place = op, args, results, place
        self.behind = False  # whether it is a map, or depends on one


class _Graph:
    """The steps of a program while they are joined; values keep their numbers."""

    def __init__(self, program: Program, most: float) -> None:
        self.old, self.most, self.changed = program, most, False
        self.shapes = dict(enumerate(program.value_shapes))
        self.units: list[_Unit] = []
        self.maker: dict[int, _Unit] = {}
        self.instead: dict[int, int] = {}
        for place, ((op, args), first) in enumerate(zip(program.steps, program.firsts, strict=True)):
            self._add(_Unit(op, list(args), list(range(first, first + op.results)), place))

    def _add(self, unit: _Unit) -> None:
        self.units.append(unit)
        makers = [self.maker.get(self.now(value)) for value in unit.args]
        unit.behind = _is_map(unit.op) or any(own is not None and own.behind for own in makers)
        for value in unit.results:
            self.maker[value] = unit

    def _value(self, shape: Shape) -> int:
        value = len(self.shapes)
        self.shapes[value] = shape
        return value

    def _new(self, op: Any, args: Sequence[int], like: _Unit) -> list[int]:
        """Add a step that stands where another one stood; return its results."""
        found = [self._value(shape) for shape in op.shapes]
        self._add(_Unit(op, list(args), found, like.place))
        return found

    def now(self, value: int) -> int:
        """Return the number of what stands for a value now."""
        while value in self.instead:
            value = self.instead[value]
        return value

    def fuse(self) -> None:
        """Join what can be joined."""
        for unit in list(self.units):
            if type(unit.op) is Place:
                self._add_up(unit)
        for unit in list(self.units):
            while _is_map(unit.op):
                found = self._producer(unit)
                if found is None:
                    break
                self._join(found, unit)

    def _source(self, value: int) -> int:
        """Return the array that a value is in order, maybe of another shape."""
        value = self.now(value)
        unit = self.maker.get(value)
        if unit is not None and _is_in_order(unit.op):
            return self._source(unit.args[0])
        return value

    def _made_by(self, value: int) -> _Unit | None:
        """Return the map that stacks an array."""
        source = self._source(value)
        unit = self.maker.get(source)
        if unit is None or not _is_map(unit.op) or source not in unit.results[: unit.op.stacked]:
            return None
        return unit

    def _producer(self, unit: _Unit) -> _Unit | None:
        """Return a map whose rows this one takes, and that can be joined with it."""
        for value in unit.args[: unit.op.rows]:
            found = self._made_by(value)
            if found is not None and self._is_cheap(found) and self._fits(found, unit):
                return found
        return None

    def _is_cheap(self, unit: _Unit) -> bool:
        return bool(unit.op.work < self.most * sum(map(size_of, unit.op.shapes)))

    def _fits(self, first: _Unit, second: _Unit) -> bool:
        lengths = sorted((first.op.length, second.op.length))
        if first is second or not lengths[0] or lengths[1] % lengths[0]:
            return False
        if len(first.op.body) + len(second.op.body) > _LARGEST:
            return False
        taken = [value for value in second.args[: second.op.rows] if self._made_by(value) is first]
        # A longer map is taken apart where rows of it are rows of the other one, not numbers within them.
        for value in taken:
            if first.op.length > second.op.length and self.shapes[self._source(value)][1:]:
                return False
            if first.op.length < second.op.length and size_of(self.shapes[self.now(value)][1:]) != 1:
                return False
        others = {self.now(value) for value in second.args} - {self.now(value) for value in taken}
        shared = {self.now(value) for value in second.args[second.op.rows :]}
        return not shared & {self.now(value) for value in taken} and not self._reaches(first, others)

    def _reaches(self, first: _Unit, values: set[int]) -> bool:
        """Return whether any of some values depends on a unit."""
        seen: set[int] = set()
        waiting = list(values)
        while waiting:
            unit = self.maker.get(self.now(waiting.pop()))
            if unit is None or id(unit) in seen or not unit.behind:
                continue
            if unit is first:
                return True
            seen.add(id(unit))
            waiting += unit.args
        return False

    def _join(self, first: _Unit, second: _Unit) -> None:
        """Make one map of two, in place of the second."""
        length = min(first.op.length, second.op.length)
        for unit in (first, second):
            if unit.op.length > length:
                self._take_apart(unit, unit.op.length // length)
        a, b = first.op, second.op
        own = {value: k for k, value in enumerate(first.results[: a.stacked])}
        handed = {
            k: own[self._source(value)] for k, value in enumerate(second.args[: b.rows]) if self._source(value) in own
        }
        rows: dict[int, str] = {}
        shared: dict[int, str] = {}
        for unit in (first, second):
            for k, (value, name) in enumerate(zip(unit.args, unit.op.body.names, strict=True)):
                value = self.now(value)
                if k >= unit.op.rows and not self._is_number(value):
                    shared.setdefault(value, name)
                elif k < unit.op.rows and not (unit is second and k in handed):
                    rows.setdefault(value, name)
        order = {value: k for k, value in enumerate(rows)}
        behind = {value: k for k, value in enumerate(shared, len(rows))}
        builder = Builder(len(rows) + len(shared))

        def given(unit: _Unit, k: int) -> int:
            value = self.now(unit.args[k])
            if k < unit.op.rows:
                return order[value]
            return builder.constant(self._constant(value)) if self._is_number(value) else behind[value]

        made = inlined(builder, a.body, [given(first, k) for k in range(len(first.args))])
        taken = []
        for k in range(len(second.args)):
            if k not in handed:
                taken.append(given(second, k))
                continue
            of, shape = a.body.output_shapes[handed[k]], b.body.shapes[k]
            value = made[handed[k]]
            if of != shape:
                op = View(of, whole(shape)) if of else Place(shape, [Part(0, (), ())])
                value = builder.write(op, (value,))
            taken.append(value)
        found = inlined(builder, b.body, taken)
        outputs = [*made[: a.stacked], *found[: b.stacked], *made[a.stacked :], *found[b.stacked :]]
        results = [
            *first.results[: a.stacked],
            *second.results[: b.stacked],
            *first.results[a.stacked :],
            *second.results[b.stacked :],
        ]
        shapes = [self.shapes[value][1:] for value in rows] + [self.shapes[value] for value in shared]
        body = body_of(
            builder,
            (b if b.body.steps else a).body.name,
            [*rows.values(), *shared.values()],
            shapes,
            [
                *a.body.output_shapes[: a.stacked],
                *b.body.output_shapes[: b.stacked],
                *a.body.output_shapes[a.stacked :],
                *b.body.output_shapes[b.stacked :],
            ],
            outputs,
        )
        second.op = Loop(MAP, body, length, 0, len(rows), a.sums + b.sums)
        second.args, second.results = [*rows, *shared], results
        second.place = max(first.place, second.place)
        for value in results:
            self.maker[value] = second
        self.units.remove(first)
        self.changed = True

    def _is_number(self, value: int) -> bool:
        return type(self._constant(value)) is float

    def _constant(self, value: int) -> Any:
        inputs = len(self.old.names)
        return self.old.constants[value - inputs] if inputs <= value < self.old.offset else None

    def _take_apart(self, unit: _Unit, size: int) -> None:
        """Make a map along so many iterations at once, by a map inside."""
        loop, count = unit.op, unit.op.length // size
        shapes = [(size, *shape) for shape in loop.body.shapes[: loop.rows]] + list(loop.body.shapes[loop.rows :])
        builder = Builder(len(shapes))
        inner = loop.change(length=size)
        found = unrolled(builder, inner) if size <= _FEW else called(builder, inner, len(shapes))
        given = [(size, *shape) for shape in loop.body.output_shapes[: loop.stacked]]
        given += loop.body.output_shapes[loop.stacked :]
        body = body_of(builder, loop.body.name, loop.body.names, shapes, given, found)
        for k, value in enumerate(unit.args[: loop.rows]):
            value = self.now(value)
            of, shape = self.shapes[value], (count, *shapes[k])
            (unit.args[k],) = self._new(View(of, whole(shape)), [value], unit)
        unit.op = loop.change(body=body, length=count)
        for k, old in enumerate(unit.results[: loop.stacked]):
            new = self._value(unit.op.shapes[k])
            unit.results[k] = new
            self.maker[new] = unit
            view = View(self.shapes[new], whole(self.shapes[old]))
            (self.instead[old],) = self._new(view, [new], unit)

    def _add_up(self, unit: _Unit) -> None:
        """Add arrays that come to one place by a map, if maps made them."""
        by_part: dict[Part, list[int]] = {}
        for part, value in zip(unit.op.parts, unit.args, strict=True):
            by_part.setdefault(part, []).append(value)
        parts, args = [], []
        for part, values in by_part.items():
            if len(values) > 1 and size_of(part.shape) > 1 and any(self._made_by(value) for value in values):
                values = [self._sum_of(values, part.shape, unit)]
            parts += [part] * len(values)
            args += values
        if len(args) < len(unit.args):
            unit.op, unit.args, self.changed = Place(unit.op.shape, parts), args, True

    def _sum_of(self, values: Sequence[int], shape: Shape, like: _Unit) -> int:
        flat = (size_of(shape),)
        rows = [self._new(View(shape, whole(flat)), [value], like)[0] for value in values]
        builder = Builder(len(rows))
        total = 0
        for k in range(1, len(rows)):
            total = builder.step(table.add, (total, k))
        body = body_of(builder, "add", [f"x{k}" for k in range(len(rows))], [()] * len(rows), [()], [total])
        loop = Loop(MAP, body, flat[0], 0, len(rows), 0)
        (found,) = self._new(loop, rows, like)
        # Maps are joined in order: it has to stand before the step that takes it.
        self.units.insert(self.units.index(like), self.units.pop())
        return self._new(View(flat, whole(shape)), [found], like)[0]

    def program(self) -> Program:
        """Return the new program."""
        builder = Builder(len(self.old.names))
        new = list(range(len(self.old.names)))
        new += [builder.constant(number) for number in self.old.constants]
        numbers = dict(enumerate(new))
        for unit in self._order():
            args = tuple([numbers[self.now(value)] for value in unit.args])
            first = builder.write(unit.op, args)
            numbers.update(zip(unit.results, range(first, first + len(unit.results)), strict=True))
        return builder.finish(self.old, [numbers[self.now(value)] for value in self.old.outputs])

    def _order(self) -> Iterator[_Unit]:
        """Yield the units, each after what it takes, in the order of the program as far as can be."""
        takers: dict[int, list[_Unit]] = {}
        missing: dict[int, int] = {}
        for unit in self.units:
            makers = {id(own): own for value in unit.args if (own := self.maker.get(self.now(value))) is not None}
            missing[id(unit)] = len(makers)
            for key in makers:
                takers.setdefault(key, []).append(unit)
        rank = {id(unit): k for k, unit in enumerate(self.units)}
        ready = [(unit.place, rank[id(unit)], unit) for unit in self.units if not missing[id(unit)]]
        heapq.heapify(ready)
        while ready:
            unit = heapq.heappop(ready)[2]
            yield unit
            for taker in takers.get(id(unit), ()):
                missing[id(taker)] -= 1
                if not missing[id(taker)]:
                    heapq.heappush(ready, (taker.place, rank[id(taker)], taker))


def _is_in_order(op: Any) -> bool:
    """Return whether an operation gives all numbers of an array in order, in any shape."""
    if type(op) is View:
        return not op.stops and op.part == whole(op.shape) and size_of(op.of) == size_of(op.shape)
    return type(op) is Place and len(op.parts) == 1 and op.fills


def _is_map(op: Any) -> TypeGuard[Loop]:
    return isinstance(op, Loop) and op.kind == MAP
