"""Build a program step by step, each distinct step once; `rewrite` rebuilds one by a rule for each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..operations import Primitive
from .loop import Loop
from .program import Program, Step


class Builder:
    """Build a program step by step; equal steps and equal constants appear once.

    Values have numbers of the builder's own, given as they come; `finish` numbers them as a `Program` does.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        # The results of a loop after the first stand as None behind it.
        self.made: list[float | Step | None] = []
        self._constants: dict[int, float] = {}  # by where they stand in `made`
        self._steps: list[Step] = []
        self._known: dict[tuple[object, ...], int] = {}

    def constant(self, number: float) -> int:
        """Return the number of the value that holds this constant."""
        return self._number((number.hex(),), number)

    def step(self, op: Primitive, args: tuple[int, ...]) -> int:
        """Return the number of an operation's value; a loop's other values have the numbers that follow."""
        key = tuple(sorted(args)) if op.commutes else args
        return self._number((op, key), Step(op, args))

    def _number(self, key: tuple[object, ...], item: float | Step) -> int:
        place = self._known.get(key)
        if place is None:
            place = self._known[key] = self.inputs + len(self.made)
            if isinstance(item, Step):
                self._steps.append(item)
            else:
                self._constants[len(self.made)] = item
            self.made.append(item)
            if isinstance(item, Step) and item.op.results != 1:
                self.made += [None] * (item.op.results - 1)
        return place

    def constant_of(self, place: int) -> float | None:
        """Return the constant that a value holds, or None if it is not a constant."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, float) else None

    def step_of(self, place: int) -> Step | None:
        """Return the operation that made a value; None for inputs, constants and results of loops."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, Step) and not isinstance(item.op, Loop) else None

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


def rewrite(program: Program, rule: Rule) -> Program:
    """Rebuild a program by calling `rule` on each step in turn, inner programs' steps included."""
    return _rewrite(program, rule, {})


def _rewrite(program: Program, rule: Rule, known: dict[int, tuple[Program, Program]]) -> Program:
    builder = Builder(len(program.names))
    values = list(range(len(program.names)))
    values += [builder.constant(number) for number in program.constants]

    def inner(body: Program) -> Program:
        # An inner program that stands in many places is rewritten once; it is kept so that its id stays its own.
        if id(body) not in known:
            known[id(body)] = (body, _rewrite(body, rule, known))
        return known[id(body)][1]

    for op, args in program.steps:
        places = tuple([values[k] for k in args])
        if isinstance(op, Loop):
            first = builder.step(op.map_programs(inner), places)
            values += range(first, first + op.results)
        else:
            values.append(rule(builder, op, places))
    return builder.finish(program, [values[k] for k in program.outputs])
