"""Build a program step by step, each distinct step once; `rewrite` rebuilds one by a rule for each step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..data import Structure
from ..operations import Primitive
from .loop import Loop
from .program import Program, Step
from .tables import Numbers, constants
from .views import Part, Place, Shape, Structural, View, regular, whole


class Builder:
    """Build a program step by step; equal steps and equal constants appear once.

    Values have numbers of the builder's own, given as they come; `finish` numbers them as a `Program` does.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        # The results of a loop after the first stand as None behind it.
        self.made: list[float | Numbers | Step | None] = []
        self._constants: dict[int, float | Numbers] = {}  # by where they stand in `made`
        self._steps: list[Step] = []
        self._known: dict[tuple[object, ...], int] = {}

    @classmethod
    def like(cls, program: Program) -> tuple[Builder, list[int]]:
        """Return a builder with a program's inputs and constants, and the numbers of their values."""
        builder, inputs = cls(len(program.names)), range(len(program.names))
        return builder, [*inputs, *map(builder.constant, program.constants)]

    def constant(self, number: float | Numbers) -> int:
        """Return the number of the value that holds this constant."""
        key = (number.hex() if isinstance(number, float) else number,)
        place = self._known.get(key)
        if place is None:
            place = self._known[key] = self.inputs + len(self.made)
            self._constants[len(self.made)] = number
            self.made.append(number)
        return place

    def step(self, op: Primitive, args: tuple[int, ...]) -> int:
        """Return the number of an operation's value; a loop's other values have the numbers that follow."""
        new = self.inputs + len(self.made)
        place = self._known.setdefault((op, tuple(sorted(args)) if op.commutes else args), new)
        if place == new:
            step = Step(op, args)
            self._steps.append(step)
            self.made.append(step)
            if op.results != 1:
                self.made += [None] * (op.results - 1)
        return place

    def write(self, op: Primitive, args: tuple[int, ...]) -> int:
        """Return the number of an operation's value as `step` does, of a view of a view that of one."""
        if isinstance(op, Structural) and not isinstance(op, Loop):
            return _arranged(self, op, args)
        return self.step(op, args)

    def results(self, op: Primitive, args: tuple[int, ...]) -> range:
        """Return the numbers of all values of an operation, which is written as by `write`."""
        first = self.write(op, args)
        return range(first, first + op.results)

    def constant_of(self, place: int) -> float | None:
        """Return the constant that a value holds, or None if it is not a constant."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, float) else None

    def table_of(self, place: int) -> Numbers | None:
        """Return the array of constants that a value is, or None if it is none."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, Numbers) else None

    def step_of(self, place: int) -> Step | None:
        """Return the operation that made a value; None for inputs, constants and results of loops."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, Step) and not isinstance(item.op, Loop) else None

    def shapes_of(self, places: Sequence[int], arguments: Structure) -> list[Shape]:
        """Return the shapes of values; `arguments` describe the inputs."""
        inputs = [leaf.shape for leaf in arguments.leaves()]
        found: list[Shape] = []
        for place in places:
            k = place - self.inputs
            if k < 0:
                found.append(inputs[place])
                continue
            first = k
            while self.made[first] is None:
                first -= 1
            item = self.made[first]
            own = item.op if isinstance(item, Step) else item
            if isinstance(own, Structural):
                found.append(own.shapes[k - first])
            else:
                found.append(own.shape if isinstance(own, Numbers) else ())
        return found

    def finish(self, program: Program, outputs: Sequence[int]) -> Program:
        """Return the program built so far, with the names and structures of `program`."""
        inputs, constants = self.inputs, self._constants
        place = list(range(inputs))
        done, before = inputs + len(constants), 0
        # Constants are numbered first; what stands between two of them keeps its order.
        for rank, k in enumerate([*constants, len(self.made)]):
            place += range(done, done + k - before)
            done, before = done + k - before, k + 1
            place.append(inputs + rank)
        return replace(
            program,
            constants=tuple(constants.values()),
            steps=tuple([Step(op, tuple([place[k] for k in args])) for op, args in self._steps]),
            outputs=tuple([place[k] for k in outputs]),
        )


Rule = Callable[[Builder, Primitive, tuple[int, ...]], int]


def rewrite(program: Program, rule: Rule, values_only: bool = False) -> Program:
    """Rebuild a program by calling `rule` on each step in turn, inner programs' steps included.

    With `values_only` views pass derivatives, since nobody takes any.
    """
    return _rewrite(program, rule, values_only, {})


def _rewrite(program: Program, rule: Rule, values_only: bool, known: dict[int, tuple[Program, Program]]) -> Program:
    builder, values = Builder.like(program)

    def inner(body: Program) -> Program:
        # An inner program that stands in many places is rewritten once; it is kept so that its id stays its own.
        if id(body) not in known:
            known[id(body)] = (body, _rewrite(body, rule, values_only, known))
        return known[id(body)][1]

    for op, args in program.steps:
        places = tuple([values[k] for k in args])
        if isinstance(op, Loop):
            values += builder.results(op.map_programs(inner), places)
        elif isinstance(op, Structural):
            if values_only and isinstance(op, View) and op.stops:
                op = View(op.of, op.part)
            values.append(builder.write(op, places))
        else:
            values.append(rule(builder, op, places))
    return builder.finish(program, [values[k] for k in program.outputs])


def _arranged(builder: Builder, op: Structural, args: tuple[int, ...]) -> int:
    """Return the value of an operation of views.py: a view of a view is one, one of all is the array itself."""
    if isinstance(op, View):
        return _seen(builder, op, args[0])
    if isinstance(op, Place) and args:
        if len(args) == 1 and op.fills and op.parts[0].shape:
            return _seen(builder, View(op.parts[0].shape, whole(op.shape)), args[0])
        if op.fills:
            known = itertools.takewhile(lambda number: number is not None, map(builder.constant_of, args))
            numbers = [number for number in known if number is not None]
            if len(numbers) == len(args):
                return builder.constant(constants(numbers, op.shape))
            joined = _joined(builder, op, args)
            if joined is not None:
                return joined
    return builder.step(op, args)


def _seen(builder: Builder, op: View, source: int) -> int:
    made = builder.made[source - builder.inputs] if source >= builder.inputs and not op.stops else None
    if isinstance(made, Numbers) and not op.shape:
        return builder.constant(made.part(op.part))
    if isinstance(made, Step) and isinstance(made.op, View) and not made.op.stops:
        found = op.after(made.op)
        if found is not None:
            return _seen(builder, found, made.args[0])
    if isinstance(made, Step) and isinstance(made.op, Place):
        found_part = made.op.part_with(op.part)
        if found_part is not None:
            which, start = found_part
            shape = made.op.parts[which].shape
            if not (shape or op.shape):
                return made.args[which]
            if shape:
                return _seen(builder, View(shape, op.part._replace(start=start)), made.args[which])
    return source if op.is_all and not op.stops else builder.step(op, (source,))


def _joined(builder: Builder, op: Place, args: tuple[int, ...]) -> int | None:
    """Return the view that numbers, or rows, are in order, if they are all of one array."""
    first = builder.step_of(args[0])
    if len(args) < 2 or first is None or not isinstance(first.op, View):
        return None
    source, starts, like = first.args[0], [], first.op.part
    for k in args:
        made = builder.step_of(k)
        if made is None or not isinstance(made.op, View) or made.args[0] != source or made.op.stops:
            return None
        if made.op.part[1:] != like[1:]:
            return None
        starts.append(made.op.part.start)
    if like.shape and op.shape != (len(args), *like.shape):
        return None
    part = regular(starts, (len(args),) if like.shape else op.shape)
    if part is not None:
        part = Part(part.start, op.shape, (*part.strides, *like.strides))
    return None if part is None else _seen(builder, View(first.op.of, part), source)
