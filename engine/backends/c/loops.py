"""Write the loops of a program as C: a loop around the call of a function for the inner program."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ...programs import CALL, COUNTED, MAP, SCAN, WHILE, Loop, Program, Shape, size_of
from .places import Frame, Slot, Statement, Target, array, copied, moved, runs, zeroed


class Function(NamedTuple):
    """What callers of the function of an inner program need to know.

    It takes x: what is carried, arrays too, then the numbers of the row, then the shared numbers. Other arrays are read
    where they stand, each by a pointer of its own. It returns y: the outputs, one after the other.
    """

    name: str
    work: int  # how many doubles it works in

    def call(self, x: str, y: str, pointers: Sequence[str]) -> str:
        """Write a call; the caller's name for the function's working memory is ``more``."""
        return f"{self.name}({', '.join([x, y, *pointers, *['more'] * bool(self.work)])});"


FunctionOf = Callable[[Program, int, Sequence[tuple[int, ...]]], Function]
"""Returns the function of an inner program, from how much it carries and the strides of the arrays that it reads."""


def reach(shape: Shape, strides: Sequence[int]) -> int:
    """Return how far before its first number an array begins.

    >>> reach((3, 2), (2, -1))
    1
    """
    return -sum(min(0, stride * (length - 1)) for length, stride in zip(shape, strides, strict=True))


def loop(op: Loop, args: Sequence[int], value: int, frame: Frame, function_of: FunctionOf) -> Iterator[Statement]:
    """Yield the statements of a loop; its results are the values from `value` on, whose places are chosen here.

    In scratch memory stand, one after another, what the inner program takes, what it returns, and what inner functions
    work in.
    """
    results = [frame.take_array(shape) for shape in op.shapes]
    frame.slots[value : value + op.results] = results
    if op.kind in (MAP, SCAN) and not op.length:
        if op.carry:
            yield from frame.move(args[: op.carry], _at(results[0]))
        yield Statement(lambda: _zeroed(op, results, frame), ())
        return
    written = _Written(op, args, results, frame, function_of)
    carry, shared = op.carry, args[op.carry + op.rows :]
    yield from frame.move(args[:carry], array("scratch"))
    yield from frame.move([k for k in shared if not frame.shapes[k]], array("scratch", written.shared))
    yield Statement(written.lines, ())


def _at(slot: Slot, *steps: tuple[int, str]) -> Target:
    assert slot.place is not None
    return array(slot.name, slot.place, *steps)


def _zeroed(op: Loop, results: Sequence[Slot], frame: Frame) -> Iterator[str]:
    """Yield lines that set the sums to 0."""
    first = op.carry + op.stacked
    count = sum(map(size_of, op.shapes[first:]))
    if count:
        frame.used.add("work")
        yield from zeroed(_at(results[first]), count)


class _Written:
    """Write a loop whose iterations call a function."""

    def __init__(
        self, op: Loop, args: Sequence[int], results: Sequence[Slot], frame: Frame, function_of: FunctionOf
    ) -> None:
        self.op, self.args, self.frame, self.results = op, args, frame, results
        # A call takes what it gets as it is: nothing is a row.
        shapes, self.end = op.body.shapes, op.carry + (op.rows if op.kind != CALL else 0)
        self.carried = sum(map(size_of, shapes[: op.carry]))
        numbers = [k for k, shape in enumerate(shapes) if k >= op.carry and not shape]
        self.rows = [k for k in numbers if k < self.end]
        self.shared = self.carried + len(self.rows)
        self.arrays = [k for k, shape in enumerate(shapes) if k >= op.carry and shape]
        own = [frame.slot(args[k]).strides for k in self.arrays]
        strides = [item[1:] if k < self.end else item for k, item in zip(self.arrays, own, strict=True)]
        self.functions = [function_of(program, op.carry, strides) for program in op.programs()]
        self.taken = self.carried + len(numbers)
        sizes = list(map(size_of, op.body.output_shapes))
        self.starts = list(itertools.accumulate(sizes, initial=0))  # of the outputs
        # A condition needs a place for what it returns.
        self.given = max(self.starts[-1], 1) if op.kind == WHILE else self.starts[-1]
        self.inner = max(function.work for function in self.functions)
        frame.scratch = max(frame.scratch, self.taken + self.given + self.inner)

    def lines(self) -> Iterator[str]:
        op, frame = self.op, self.frame
        frame.used.update(["work", "scratch"] if self.starts[-1] else ["scratch"])
        yield "{"
        yield f"    double *const item = scratch, *const made = scratch + {self.taken};"
        if self.inner:
            yield f"    double *const more = scratch + {self.taken + self.given};"
        inside = self._once if op.kind == CALL else self._iterations
        yield from ("    " + line for line in inside())
        if op.carry:
            yield from ("    " + line for line in copied(array("item"), _at(self.results[0]), self.carried))
        yield "}"

    def _once(self) -> Iterator[str]:
        yield self._call(self.functions[0])
        if self.results:
            yield from copied(array("made"), _at(self.results[0]), self.starts[-1])

    def _call(self, function: Function) -> str:
        shapes, pointers = self.op.body.shapes, []
        for k in self.arrays:
            slot = self.frame.slot(self.args[k])
            assert slot.place is not None
            if not size_of(shapes[k]):
                pointers.append("item")
                continue
            strides, steps = (slot.strides[1:], slot.along("row")) if k < self.end else (slot.strides, [])
            low = slot._replace(place=slot.place - reach(shapes[k], strides))
            pointers.append(f"&{self.frame.element(low, *steps)}")
        return function.call("item", "made", pointers)

    def _iterations(self) -> Iterator[str]:
        op, most = self.op, f"j < {self.op.length}"
        sums = op.carry + op.stacked
        yield from _zeroed(op, self.results, self.frame)
        inside = [*self._rows(), self._call(self.functions[0]), *copied(array("made"), array("item"), self.carried)]
        inside += self._stacked()
        if op.sums:
            count = self.starts[-1] - self.starts[sums]
            inside += copied(array("made", self.starts[sums]), _at(self.results[sums]), count, "+=")
        row = f"{op.length - 1} - j" if op.backwards else "j"
        if op.kind == COUNTED:
            given = f"item[{self.shared}]"
            yield f"const size_t count = {given} < {op.length}.0 ? (size_t){given} : {op.length};"
            for k in range(op.carry, sums):
                yield from zeroed(_at(self.results[k]), size_of(op.shapes[k]))
            most, row = "j < count", "count - 1 - j" if op.backwards else "j"
        elif op.kind == WHILE:
            most = most if op.length else "1"
            inside = [self._call(self.functions[1]), "if (made[0] == 0.0) break;", *inside]
        yield f"for (size_t j = 0; {most}; j++) {{"
        if any(re.search(r"\brow\b", line) for line in inside):
            yield f"    const size_t row = {row};"
        yield from ("    " + line for line in inside)
        yield "}"

    def _rows(self) -> Iterator[str]:
        """Yield the lines that load the numbers of one row; those at equal distances are loaded at once."""
        frame, first = self.frame, self.carried
        slots = [frame.slot(self.args[k]) for k in self.rows]
        strides = [slot.strides[0] for slot in slots]
        # Where strides differ no run leads from one to the next.
        named = [Slot(f"{slot.name} {stride}", slot.place) for slot, stride in zip(slots, strides, strict=True)]
        for run in runs(named):
            slot, step = slots[run.start], (strides[run.start], "row")
            if run.stride == 1:
                size = f"{run.length} * sizeof(double)"
                yield f"memcpy(item + {first + run.start}, &{frame.element(slot, step)}, {size});"
            elif run.length > 1:
                yield f"for (size_t k = 0; k < {run.length}; k++)"
                target = moved(first + run.start, (1, "k"))
                yield f"    item[{target}] = {frame.element(slot, step, (run.stride, 'k'))};"
            else:
                yield f"item[{first + run.start}] = {frame.element(slot, step)};"

    def _stacked(self) -> Iterator[str]:
        """Yield the lines that store what an iteration has to stack."""
        op, first, end = self.op, self.op.carry, self.op.carry + self.op.stacked
        shapes = op.body.output_shapes
        for is_array, group in itertools.groupby(range(first, end), lambda k: bool(shapes[k])):
            alike = list(group)
            if not is_array:
                # Their columns stand one after another.
                source, target = array("made", self.starts[alike[0]]), _at(self.results[alike[0]], (1, "row"))
                yield from copied(source, target, len(alike), stride=op.length)
                continue
            for k in alike:
                target = _at(self.results[k], *self.results[k].along("row"))
                yield from copied(array("made", self.starts[k]), target, size_of(shapes[k]))
