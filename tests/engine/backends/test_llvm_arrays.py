"""Machine code of programs that hold arrays: random programs of views, places, gathers, scatters and loops."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import build
from chainrule.operations import table
from chainrule.programs import (
    CALL,
    COUNTED,
    MAP,
    SCAN,
    WHILE,
    Gather,
    Loop,
    LoopNode,
    Part,
    Place,
    Scatter,
    View,
    as_values,
    constants,
    contiguous,
    shape_of,
    size_of,
    traced,
)
from chainrule.programs.tracer import structural


def moved(op, *args):
    """Return the node of an operation of views.py."""
    return structural(op, as_values(args, op.argument_shapes))


class Maker:
    """Write a random program: values are added to those there are."""

    def __init__(self, seed):
        self.draw = random.Random(seed)

    def shape(self, most=3):
        return tuple([self.draw.choice((1, 2, 3, 5, 9, 17)) for _ in range(self.draw.randint(0, most))])

    def program(self, shapes, outputs, steps, depth):
        """Return a program of inputs of these shapes, with so many steps and at most so many outputs."""

        def run(inputs):
            values = list(inputs)
            for _ in range(steps):
                values += self.step(values, depth)
            return self.results(values, outputs)

        return traced("made", [f"x{k}" for k in range(len(shapes))], run, shapes)

    def results(self, values, outputs):
        """Return some values, the latest more often."""
        if self.draw.random() < 0.6:
            return values[-outputs:]
        return self.draw.sample(values, min(outputs, len(values)))

    def number(self, values):
        value = self.draw.choice(values)
        shape = shape_of(value)
        if not shape:
            return value
        if not size_of(shape):
            return 1.5
        return moved(View(shape, Part(self.draw.randrange(size_of(shape)), (), ())), value)

    def array(self, values):
        found = [value for value in values if shape_of(value)]
        return self.draw.choice(found) if found else self.of_shape(values, (self.draw.choice((2, 3, 9, 17)),))

    def of_shape(self, values, shape):
        """Return a value of a shape: one there is, a part of one, or one that is put together."""
        found = [value for value in values if shape_of(value) == shape]
        if found and self.draw.random() < 0.8:
            return self.draw.choice(found)
        if not shape:
            return self.number(values)
        larger = [value for value in values if shape_of(value) and size_of(shape_of(value)) >= size_of(shape)]
        if larger and self.draw.random() < 0.6:
            value = self.draw.choice(larger)
            return moved(View(shape_of(value), Part(0, shape, contiguous(shape))), value)
        if self.draw.random() < 0.3:
            return constants([self.draw.uniform(-1.0, 1.0) for _ in range(size_of(shape))], shape)
        return self.place(values, shape)

    def part(self, shape):
        """Return a random part of an array: slices, turned axes, diagonals, repeated numbers."""
        draw, start, axes = self.draw, 0, []
        for length, stride in zip(shape, contiguous(shape), strict=True):
            kind = draw.random()
            first = draw.randrange(length)
            if kind < 0.3:
                start += first * stride
            elif kind < 0.8:
                step = draw.choice((1, 1, 1, 2, -1))
                count = draw.randint(1, (length - first - 1) // step + 1 if step > 0 else first + 1)
                start += first * stride
                axes.append((count, step * stride))
            elif kind < 0.9:
                axes.append((length, stride))
            else:
                start += first * stride
                axes.append((draw.randint(1, 3), 0))
        if draw.random() < 0.3:
            draw.shuffle(axes)
        if len(axes) == 2 and draw.random() < 0.2 and axes[0][0] == axes[1][0]:
            axes = [(axes[0][0], axes[0][1] + axes[1][1])]
        return Part(start, tuple([a for a, _ in axes]), tuple([b for _, b in axes]))

    def place(self, values, shape):
        parts, args = [], []
        if self.draw.random() < 0.4 and len(shape):
            own, start = shape[1:], 0
            for _ in range(shape[0]):
                parts.append(Part(start, own, contiguous(own)))
                start += size_of(own)
        else:
            parts = [self.part(shape) for _ in range(self.draw.randint(1, 4))]
            parts = [part for part in parts if 0 not in part.strides] or [Part(0, (), ())]
        for part in parts:
            find = self.of_shape if self.draw.random() < 0.5 else self.simple
            args.append(find(values, part.shape))
        return moved(Place(shape, parts), *args)

    def simple(self, values, shape):
        if not shape:
            return self.number(values)
        for value in self.draw.sample(values, len(values)):
            own = shape_of(value)
            if own and size_of(own) >= size_of(shape):
                return value if own == shape else moved(View(own, Part(0, shape, contiguous(shape))), value)
        return constants([self.draw.uniform(-1.0, 1.0) for _ in range(size_of(shape))], shape)

    def index(self, values, shape, count):
        """Return whole numbers, some of no row; they differ between samples if values do."""
        if self.draw.random() < 0.4 and shape:
            return constants([float(self.draw.randint(-count - 1, count)) for _ in range(size_of(shape))], shape)
        numbers = [table.round(self.number(values) * float(count)) for _ in range(size_of(shape))]
        if not shape:
            return numbers[0]
        return moved(Place(shape, [Part(k, (), ()) for k in range(len(numbers))]), *numbers)

    def step(self, values, depth):
        kind = self.draw.random()
        if kind < 0.25 or (not depth and kind < 0.45):
            a, b = self.number(values), self.number(values)
            return [self.draw.choice((a + b, a * b, table.tanh(a) * b, table.where(a < b, a, b), table.sin(a + b)))]
        if kind < 0.45:
            return self.loop(values, depth - 1)
        if kind < 0.6:
            value = self.array(values)
            return [moved(View(shape_of(value), self.part(shape_of(value))), value)]
        if kind < 0.75:
            return [self.place(values, self.shape() or (3,))]
        if kind < 0.85:
            value, shape = self.array(values), self.shape(1)
            return [moved(Gather(shape_of(value), shape), value, self.index(values, shape, shape_of(value)[0]))]
        if kind < 0.92:
            shape, index = self.shape(2) or (4,), self.shape(1)
            rows = self.of_shape(values, (*index, *shape[1:]))
            return [moved(Scatter(shape, index), self.index(values, index, shape[0]), rows)]
        return self.loop(values, depth - 1) if depth else []

    def loop(self, values, depth):
        draw = self.draw
        kind = draw.choice((MAP, MAP, SCAN, CALL, WHILE, COUNTED))
        length = draw.choice((1, 2, 3, 4, 5, 9, 17, 21, 33))
        count = {SCAN: draw.randint(0, 3), WHILE: draw.randint(1, 2), COUNTED: draw.randint(1, 2)}.get(kind, 0)
        carry = [draw.choice(((), (), (3,), (2, 2), (9,))) for _ in range(count)]
        rows = [self.shape(2) for _ in range(draw.randint(1, 3) if kind in (MAP, SCAN, COUNTED) else 0)]
        shared = draw.sample(values, min(len(values), draw.randint(0 if rows else 1, 3)))
        if kind == COUNTED:
            times = table.round(table.abs(table.minimum(self.number(values), 3.0)) * draw.choice((1.5, 4.5, 9.0)))
            shared.insert(0, table.where(times < 30.0, times, 1.0))
        shapes = [*carry, *rows, *map(shape_of, shared)]
        own = draw.randint(0 if kind in (WHILE, COUNTED) else 1, 3)

        def run(inputs):
            found = list(inputs)
            for _ in range(draw.randint(1, 5)):
                found += self.step(found, depth)
            others = [draw.choice(found[-4:]) for _ in range(own)]
            return [*[self.bounded(found, shape) for shape in carry], *others]

        condition = None
        if kind == WHILE:
            length = draw.choice((1, 3))
            condition = traced(
                "condition", ["c"] * len(shapes), lambda inputs: [self.number(inputs) < self.number(inputs)], shapes
            )
        body = traced("body", ["b"] * len(shapes), run, shapes)
        # What stands in rows that a while loop did not come to is anything.
        sums = draw.randint(0, own) if kind in (MAP, SCAN) else own if kind in (WHILE, COUNTED) else 0
        length = 1 if kind == CALL else length
        backwards = kind in (SCAN, COUNTED) and draw.random() < 0.3
        op = Loop(kind, body, length, len(carry), len(rows), sums, backwards, condition)
        args = [self.of_shape(values, shape) for shape in op.argument_shapes[: len(carry) + len(rows)]]
        return LoopNode(op, (*args, *shared)).results()

    def bounded(self, values, shape):
        return self.of_shape(values, shape) if shape else table.tanh(self.number(values))


def flat(item):
    return item if isinstance(item, list) else [item]


def check(seed, n, reduce, batch):
    maker = Maker(seed)
    shapes = [maker.shape(2) for _ in range(maker.draw.randint(1, 3))] + [()]
    program = maker.program(shapes, maker.draw.randint(1, 3), maker.draw.randint(2, 7), 2)
    draw = np.random.default_rng(seed)
    batched = [bool(batch) and (k == 0 or maker.draw.random() < 0.5) for k in range(len(shapes))]
    arrays = [
        draw.uniform(-1.0, 1.0, size=(n, *shape) if flag else shape)
        for shape, flag in zip(shapes, batched, strict=True)
    ]
    samples = []
    for k in range(n if batch else 1):
        given_values = [a[k] if flag else a for a, flag in zip(arrays, batched, strict=True)]
        found = program.run([float(v) if not v.shape else v.ravel().tolist() for v in given_values])
        samples.append(np.array(list(itertools.chain(*map(flat, found))), float))
    samples = np.array(samples)
    if np.any(np.abs(samples[~np.isnan(samples)]) > 1e6):
        return
    kernel = build(program, batched, reduce)
    per_sample = batch and reduce is None
    out = np.full(samples.size if per_sample else samples.shape[1], 7.0)
    kernel(
        [
            np.ascontiguousarray(a.reshape(n, -1) if flag else a.ravel())
            for a, flag in zip(arrays, batched, strict=True)
        ],
        n,
        out,
    )
    if per_sample:
        expected, start = [], 0
        for unit in program.result.units():
            expected.append(samples[:, start : start + unit.size].ravel())
            start += unit.size
        expected = np.concatenate(expected)
    else:
        expected = samples[0] if not batch else samples.sum(0) if reduce == "sum" else samples.mean(0)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-9, err_msg=f"{program}")


BATCHES = [(0, None), (3, None), (37, None), (37, "sum"), (5, "mean"), (64, "sum")]


@settings(max_examples=100)
@given(st.integers(0, 10**9), st.sampled_from(BATCHES))
def test_random_programs(seed, batch):
    n, reduce = batch
    check(seed, max(n, 1), reduce, n > 0)
