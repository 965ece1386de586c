"""Write arrays out: a program in which every value is a number, for backends that know nothing else."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..operations import table
from ..programs import (
    CALL,
    WHILE,
    Builder,
    Gather,
    Loop,
    Numbers,
    Place,
    Program,
    Shape,
    Step,
    View,
    number_names,
    size_of,
)
from .bounded import bounded


class FlatLoop(Loop):
    """A loop whose arguments and results are numbers: the carry, one row after another, then what is shared.

    `rows`, `carry`, `stacked` and `sums` count numbers, and the results are the carry at the end, then the stacked
    rows, then the sums.
    """

    def __init__(
        self,
        kind: str,
        body: Any,
        length: int,
        carry: int,
        rows: int,
        sums: int,
        backwards: bool = False,
        condition: Any = None,
    ) -> None:
        super().__init__(kind, body, length, carry, rows, sums, backwards, condition)
        self.arity = carry + length * rows + self.shared
        self.results = carry + length * self.stacked + sums
        self.shapes = ((),) * self.results

    def unroll(self, args: Sequence[Any]) -> list[Any]:
        """Run the iterations one after another."""
        first, rows, stacked = self.carry, self.rows, self.stacked
        carry, shared = list(args[:first]), list(args[first + self.length * rows :])
        if self.kind == WHILE:
            count = 0
            while (not self.length or count < self.length) and self.condition.run([*carry, *shared])[0]:
                carry = self.body.run([*carry, *shared])
                count += 1
            return carry
        kept: list[list[Any]] = [[] for _ in range(self.length)]
        totals: list[Any] = [0.0] * self.sums
        for k in self.iterations:
            found = self.body.run([*carry, *args[first + k * rows : first + (k + 1) * rows], *shared])
            carry, kept[k] = found[:first], found[first : first + stacked]
            totals = [total + number for total, number in zip(totals, found[first + stacked :], strict=True)]
        return [*carry, *[number for row in kept for number in row], *totals]

    def change(self, **fields: Any) -> FlatLoop:
        """Return the loop with some fields replaced."""
        names = ("kind", "body", "length", "carry", "rows", "sums", "backwards", "condition")
        return FlatLoop(**dict(zip(names, self._fields(), strict=True)) | fields)

    def flags_of_inputs(self, args: Sequence[bool]) -> list[bool]:
        """Return a flag for each input of the body from those of the arguments."""
        carry, end = self.carry, self.carry + self.length * self.rows
        return [*args[:carry], *[any(self.column(args, j)) for j in range(self.rows)], *args[end:]]

    def flags_of_results(self, outputs: Sequence[bool]) -> list[bool]:
        """Return a flag for each result from those of the body's outputs."""
        end = self.carry + self.stacked
        return [*outputs[: self.carry], *outputs[self.carry : end] * self.length, *outputs[end:]]

    def narrowed(self, args: Sequence[int], used: Sequence[int], closed: Any, with_inputs: Any) -> Any:
        """Return a step that computes only the used results of a loop, and which these are."""
        carry, stacked, length = self.carry, self.stacked, self.length
        end = carry + length * stacked
        outputs = [*used[:carry]]
        outputs += [any(used[carry + j : end : stacked]) for j in range(stacked)]
        outputs += used[end:]
        body, wanted, read = closed(self, outputs)
        if all(wanted) and all(read) and body == self.body:
            return Step(self, tuple(args)), list(range(self.results))
        kept = [k for k, flag in enumerate(read) if flag]
        own = [k - carry for k in kept if carry <= k < carry + self.rows]
        start = carry + length * self.rows
        positions = [k for k in kept if k < carry]
        positions += [carry + i * self.rows + j for i in range(length) for j in own]
        positions += [start + k - carry - self.rows for k in kept if k >= carry + self.rows]
        condition = self.condition
        if condition is not None:
            condition = with_inputs(condition, [k if k < carry else k - self.rows for k in kept])
        new = self.change(
            body=with_inputs(body, kept),
            carry=sum(map(bool, wanted[:carry])),
            rows=len(own),
            sums=sum(map(bool, wanted[carry + stacked :])),
            condition=condition,
        )
        columns = [j for j in range(stacked) if wanted[carry + j]]
        left = [k for k in range(carry) if wanted[k]]
        left += [carry + i * stacked + j for i in range(length) for j in columns]
        left += [end + k for k in range(self.sums) if wanted[carry + stacked + k]]
        return Step(new, tuple([args[k] for k in positions])), left

    def column(self, args: Sequence[Any], row: int) -> Sequence[Any]:
        """Return the argument that one number of the row is in each iteration."""
        return args[self.carry + row : self.carry + self.length * self.rows : self.rows]


@functools.lru_cache(maxsize=64)
def flat(program: Program) -> Program:
    """Return the program with each array written out as its numbers.

    >>> from chainrule import map, trace
    >>> program = trace(lambda xs: map(lambda x: x * x, xs), [1.0, 2.0])
    >>> [len(args) for _, args in flat(program).steps]
    [2]
    """
    program = bounded(program)
    if not program.has_arrays and not any(type(op) is Loop for op, _ in program.steps):
        return program
    names: list[str] = []
    values: list[Sequence[int]] = []
    for name, leaf in zip(program.names, program.arguments.leaves(), strict=True):
        own = list(number_names(name, leaf.in_numbers()))
        values.append(range(len(names), len(names) + len(own)))
        names += own
    builder = Builder(len(names))
    for item in program.constants:
        numbers = item.tolist() if isinstance(item, Numbers) else [item]
        values.append([builder.constant(number) for number in numbers])
    for op, args in program.steps:
        values += _written(builder, op, [values[k] for k in args])
    outputs = [k for value in program.outputs for k in values[value]]
    arguments, result = program.arguments.in_numbers(), program.result.in_numbers()
    frame = Program(tuple(names), (), (), (), arguments, result, program.name, program.closed)
    return builder.finish(frame, outputs)


def _written(builder: Builder, op: Any, args: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Write a step, and return the numbers of each of its results."""
    if isinstance(op, Loop):
        return _loop(builder, op, args)
    if isinstance(op, View):
        return [[args[0][k] for k in op.part.places()]]
    if isinstance(op, Place):
        found: list[int | None] = [None] * size_of(op.shape)
        for part, own in zip(op.parts, args, strict=True):
            for place, value in zip(part.places(), own, strict=True):
                before = found[place]
                found[place] = value if before is None else builder.step(table.add, (before, value))
        zero = builder.constant(0.0)
        return [[zero if value is None else value for value in found]]
    if isinstance(op, Gather):
        return [_gather(builder, op, *args)]
    if hasattr(op, "index"):
        return [_scatter(builder, op, *args)]
    return [[builder.step(op, tuple([own[0] for own in args]))]]


def _is_row(builder: Builder, index: int, row: int, count: int) -> int:
    known = builder.constant_of(index)
    if known is not None:
        return builder.constant(float(int(known) in (row, row - count)))
    tests = [builder.step(table.equal, (index, builder.constant(float(k)))) for k in (row, row - count)]
    return builder.step(table.where, (tests[0], builder.constant(1.0), tests[1]))


def _choice(builder: Builder, condition: int, a: int, b: int) -> int:
    known = builder.constant_of(condition)
    if known is not None:
        return a if known else b
    return builder.step(table.where, (condition, a, b))


def _gather(builder: Builder, op: Gather, array: Sequence[int], index: Sequence[int]) -> list[int]:
    size, count = size_of(op.of[1:]), op.of[0]
    found: list[int] = []
    for place in index:
        row = [builder.constant(float("nan"))] * size
        for k in range(count):
            condition = _is_row(builder, place, k, count)
            row = [_choice(builder, condition, array[k * size + j], row[j]) for j in range(size)]
        found += row
    return found


def _scatter(builder: Builder, op: Any, index: Sequence[int], rows: Sequence[int]) -> list[int]:
    size, count = size_of(op.shape[1:]), op.shape[0]
    zero = builder.constant(0.0)
    found = [zero] * (size * count)
    for m, place in enumerate(index):
        for k in range(count):
            condition = _is_row(builder, place, k, count)
            for j in range(size):
                own = _choice(builder, condition, rows[m * size + j], zero)
                if own != zero:
                    before = found[k * size + j]
                    found[k * size + j] = own if before == zero else builder.step(table.add, (before, own))
    return found


def _loop(builder: Builder, op: Loop, args: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    first, end = op.carry, op.carry + op.rows
    shapes, given = op.body.shapes, op.body.output_shapes
    sizes = [size_of(shape) for shape in shapes[first:end]]
    body = flat(op.body)
    condition = None if op.condition is None else flat(op.condition)
    carry, sums = _count(shapes[:first]), _count(given[first + op.stacked :])
    loop = FlatLoop(op.kind, body, op.length, carry, sum(sizes), sums, op.backwards, condition)
    numbers = list(itertools.chain(*args[:first]))
    columns = list(zip(args[first:end], sizes, strict=True))
    for k in range(op.length if columns else 0):
        for column, size in columns:
            numbers += column[k * size : (k + 1) * size]
    numbers += itertools.chain(*args[end:])
    start = builder.step(loop, tuple(numbers))
    return list(_results(op, loop, start, given))


def _count(shapes: Sequence[Shape]) -> int:
    return sum(map(size_of, shapes))


def _results(op: Loop, loop: FlatLoop, start: int, given: Sequence[Shape]) -> Iterator[Sequence[int]]:
    place = start
    for shape in given[: op.carry]:
        yield range(place, place + size_of(shape))
        place += size_of(shape)
    for shape in given[op.carry : op.carry + op.stacked]:
        size = size_of(shape)
        length = 1 if op.kind == CALL else op.length
        yield [place + k * loop.stacked + j for k in range(length) for j in range(size)]
        place += size
    place = start + loop.carry + loop.length * loop.stacked
    for shape in given[op.carry + op.stacked :]:
        yield range(place, place + size_of(shape))
        place += size_of(shape)
