"""Draw programs of arrays: views, places, gathers, scatters and nests of loops, with any shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from chainrule.operations import table
from chainrule.programs import (
    CALL,
    COUNTED,
    MAP,
    SCAN,
    WHILE,
    Gather,
    Loop,
    Numbers,
    Part,
    Place,
    Program,
    Scatter,
    Step,
    View,
    constants,
    values_in_tuple,
)
from hypothesis import strategies as st

shapes = st.lists(st.integers(1, 3), min_size=0, max_size=3).map(tuple)
ROWS = (table.add, table.sub, table.mul, table.sin, table.tanh, table.maximum)
INDICES = (-5.0, -3.0, -1.0, -0.5, 0.0, 1.0, 1.7, 2.0, 3.0, 4.0, math.nan, math.inf)
numbers = st.one_of(st.sampled_from(INDICES[:-2]), st.floats(-2.0, 2.0).map(lambda x: round(x, 2)))


class _Drawn:
    """Collect the steps of a program.

    Attributes:
        shapes: of the values so far.
        exact: those that no rounding is in: they can say which rows are meant.
        open: arrays of which only the rows of iterations that there were hold anything.
    """

    def __init__(self, draw: Any, given: list[tuple[int, ...]], depth: int) -> None:
        self.draw, self.given, self.depth = draw, given, depth
        self.constants: list[float | Numbers] = [0.5]
        for _ in range(draw(st.integers(0, 2))):
            shape = draw(shapes)
            items = draw(st.lists(st.sampled_from(INDICES), min_size=math.prod(shape), max_size=math.prod(shape)))
            self.constants.append(constants(items, shape) if shape else items[0])
        self.shapes = [*given, *[getattr(item, "shape", ()) for item in self.constants]]
        self.exact = set(range(len(self.shapes)))
        self.open: set[int] = set()
        self.steps: list[Step] = []

    @property
    def known(self) -> list[int]:
        """The values that anything may read."""
        return [place for place in range(len(self.shapes)) if place not in self.open]

    @property
    def arrays(self) -> list[int]:
        return [place for place in self.known if self.shapes[place]]

    def add(self, op: Any, *args: int, exact: bool = False) -> int:
        """Add a step; return the number of its first result."""
        first = len(self.shapes)
        self.steps.append(Step(op, args))
        self.shapes += getattr(op, "shapes", ((),))
        if exact and self.exact.issuperset(args):
            self.exact.add(first)
        return first

    def one_of(self, places: Any) -> int:
        return int(self.draw(st.sampled_from(list(places))))

    def number(self) -> int:
        """Return a number: one that there is, or one of an array."""
        place = self.one_of(self.known)
        return self.seen(place, ()) if self.shapes[place] else place

    def part(self, of: tuple[int, ...], shape: tuple[int, ...]) -> Part:
        """Draw some numbers of an array by start and strides."""
        size, strides = math.prod(of), []
        low = high = 0
        for length in shape:
            room = (size - 1 - (high - low)) // max(1, length - 1)
            stride = self.draw(st.integers(-room, room)) if length > 1 else self.draw(st.integers(-2, 2))
            low, high = low + min(0, stride * (length - 1)), high + max(0, stride * (length - 1))
            strides.append(stride)
        return Part(self.draw(st.integers(-low, size - 1 - high)), shape, tuple(strides))

    def regular(self, of: tuple[int, ...]) -> Part:
        """Draw a part as slices and a transposition give it."""
        array = np.arange(math.prod(of)).reshape(of)
        for axis, length in enumerate(of):
            first = self.draw(st.integers(0, length - 1))
            chosen = range(first, length) if self.draw(st.booleans()) else range(length - 1, -1, -1)
            array = np.take(array, chosen, axis)
        array = array.transpose(self.draw(st.permutations(range(array.ndim))))
        start = int(array.flat[0])
        strides = [int(np.take(array, 1, k).flat[0]) - start if array.shape[k] > 1 else 0 for k in range(array.ndim)]
        return Part(start, array.shape, tuple(strides))

    def seen(self, place: int, shape: tuple[int, ...] | None) -> int:
        of = self.shapes[place]
        part = self.regular(of) if shape is None and self.draw(st.booleans()) else None
        part = part or self.part(of, self.draw(shapes) if shape is None else shape)
        return self.add(View(of, part, self.draw(st.booleans())), place, exact=True)

    def of_shape(self, shape: tuple[int, ...]) -> int:
        """Return a value of a shape: one that there is, or a new one."""
        found = [place for place in self.known if self.shapes[place] == shape]
        if found and self.draw(st.integers(0, 3)):
            return self.one_of(found)
        arrays = self.arrays
        if not shape:
            return self.number()
        if arrays and self.draw(st.booleans()):
            return self.seen(self.one_of(arrays), shape)
        count = math.prod(shape)
        return self.add(Place(shape, [Part(k, (), ()) for k in range(count)]), *[self.number() for _ in range(count)])

    def step(self) -> None:
        """Add a step of any kind."""
        arrays = self.arrays
        kinds = ["row", "row", "place"] + ["view", "view", "gather", "scatter"] * bool(arrays)
        kind = self.draw(st.sampled_from(kinds + [MAP, MAP, SCAN, WHILE, CALL] * bool(self.depth)))
        if kind == "row":
            op = self.draw(st.sampled_from(ROWS))
            self.add(op, *[self.number() for _ in range(op.arity)])
        elif kind == "view":
            self.seen(self.one_of(arrays), None)
        elif kind == "place":
            self.placed()
        elif kind in ("gather", "scatter"):
            exact = self.one_of(place for place in self.exact)
            index = self.shapes[exact][:2]
            if index != self.shapes[exact]:
                exact = self.add(View(self.shapes[exact], self.part(self.shapes[exact], index)), exact, exact=True)
            if kind == "gather":
                source = self.one_of(arrays)
                self.add(Gather(self.shapes[source], index), source, exact, exact=True)
            else:
                shape = (self.draw(st.integers(1, 4)), *self.draw(shapes)[:2])
                self.add(Scatter(shape, index), exact, self.of_shape((*index, *shape[1:])))
        else:
            self.loop(kind)

    def placed(self) -> None:
        shape = self.draw(shapes.filter(bool))
        parts, args = [], []
        for _ in range(self.draw(st.integers(0, 3))):
            part = self.regular(shape) if self.draw(st.booleans()) else self.part(shape, self.draw(shapes))
            parts.append(part)
            args.append(self.of_shape(part.shape))
        self.add(Place(shape, parts), *args)

    def loop(self, kind: str) -> None:
        draw, few = self.draw, st.lists(shapes, max_size=2)
        length = draw(st.integers(0 if kind == WHILE else 1, 4)) if kind != CALL else 1
        carry = [(), *draw(few)] if kind == WHILE else draw(few) if kind == SCAN else []
        rows = draw(few) if kind in (MAP, SCAN) else []
        shared = draw(few) if kind != WHILE else [(), *draw(few)]
        inner = _Drawn(draw, [*carry, *rows, *shared], self.depth - 1)
        for _ in range(draw(st.integers(1, 3))):
            inner.step()
        outputs = [inner.of_shape(shape) for shape in carry]
        own = inner.known
        stacked = [inner.one_of(own) for _ in range(draw(st.integers(0 if kind == WHILE else 1, 2)))]
        stacked *= length > 0
        sums = [] if kind == CALL else [inner.one_of(own) for _ in range(draw(st.integers(0, 2)))]
        condition = None
        if kind == WHILE:
            # Ends by what is shared, which may differ from sample to sample; counts how often it went on.
            outputs[0] = inner.add(table.add, 0, len(carry) + len(shared))
            sums.append(len(carry) + len(shared))
            test = _Drawn(draw, [*carry, *shared], 0)
            end = test.add(table.minimum, len(carry), len(carry) + len(shared))
            condition = test.program([test.add(table.less, 0, end)])
        body = inner.program([*outputs, *stacked, *sums])
        backwards = kind in (MAP, SCAN) and draw(st.booleans())
        op = Loop(kind, body, length, len(carry), len(rows), len(sums), backwards, condition)
        args = [self.of_shape(shape) for shape in op.argument_shapes]
        first = self.add(op, *args)
        if kind == WHILE:
            kept = range(first + op.carry, first + op.carry + op.stacked)
            self.open.update(kept)
            if kept:
                # Half a number for each iteration.
                self.counted(list(kept), self.add(table.add, first + op.results - 1, first + op.results - 1), length)

    def counted(self, arrays: list[int], count: int, length: int) -> None:
        """Add a scan of as many iterations as a while loop had, over rows that it stacked."""
        draw = self.draw
        carry, shared = draw(st.lists(shapes, max_size=2)), draw(st.lists(shapes, max_size=1))
        rows = [self.shapes[place][1:] for place in arrays]
        inner = _Drawn(draw, [*carry, *rows, (), *shared], self.depth - 1)
        for _ in range(draw(st.integers(1, 3))):
            inner.step()
        outputs = [inner.of_shape(shape) for shape in carry]
        stacked = [inner.one_of(inner.known)] * draw(st.booleans())
        sums = [inner.one_of(inner.known)]
        body = inner.program([*outputs, *stacked, *sums])
        op = Loop(COUNTED, body, length, len(carry), len(rows), 1, draw(st.booleans()))
        args = [self.of_shape(shape) for shape in carry]
        first = self.add(op, *args, *arrays, count, *[self.of_shape(shape) for shape in shared])
        self.open.update(range(first + op.carry, first + op.carry + op.stacked))

    def program(self, outputs: list[int]) -> Program:
        inputs = len(self.given)
        names = tuple([f"x{k}" for k in range(inputs)])
        frame = values_in_tuple(self.given), values_in_tuple([self.shapes[k] for k in outputs])
        return Program(names, tuple(self.constants), tuple(self.steps), tuple(outputs), *frame, "drawn")


@st.composite
def array_programs(draw: Any, depth: int = 2) -> Program:
    """Draw a program; each of its inputs is an argument."""
    drawn = _Drawn(draw, draw(st.lists(shapes, min_size=1, max_size=3)), depth)
    for _ in range(draw(st.integers(1, 5))):
        drawn.step()
    results = [place for place in drawn.known if place >= len(drawn.given) + len(drawn.constants)]
    return drawn.program([drawn.one_of(results) for _ in range(draw(st.integers(1, 3)))] + results[-1:])


@st.composite
def programs_at_samples(draw: Any) -> tuple[Program, list[bool], list[list[list[float]]]]:
    """Draw a program, which of its arguments carry a batch, and its arguments for each sample, arrays as lists."""
    program = draw(array_programs())
    batched = [draw(st.booleans()) for _ in program.shapes]
    n = draw(st.integers(1, 3)) if any(batched) else 1
    columns = []
    for shape, flag in zip(program.shapes, batched, strict=True):
        size = math.prod(shape)
        rows = [draw(st.lists(numbers, min_size=size, max_size=size)) for _ in range(n if flag else 1)]
        columns.append(rows if flag else rows * n)
    return program, batched, [list(sample) for sample in zip(*columns, strict=True)]
