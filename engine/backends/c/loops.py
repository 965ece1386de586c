"""Write the loops of a program as C: a loop around the call of a function for the inner program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...programs import WHILE, Loop, Program
from .places import Frame, Place, Statement, array, copied, moved, runs, step_between


class Function(NamedTuple):
    """What callers of the function of an inner program need to know."""

    name: str
    work: int  # how many doubles it works in

    def call(self, x: str, y: str) -> str:
        """Write a call; the caller's name for the function's working memory is ``more``."""
        return f"{self.name}({x}, {y}{', more' if self.work else ''});"


class _Column(NamedTuple):
    """Where one number of a row is found in each iteration."""

    first: int  # the value in the first iteration, -1 for one in scratch memory
    stride: int
    place: Place = ("", None)


def loop(
    op: Loop, args: Sequence[int], value: int, frame: Frame, functions: Mapping[Program, Function]
) -> Iterator[Statement]:
    """Yield the statements of a loop; its results are the values from `value` on, whose places are chosen here.

    In scratch memory stand, one after another, what the inner program takes, what it returns, columns of rows that no
    stride leads through, and what inner functions work in.
    """
    results = frame.take(op.results)
    frame.places[value : value + op.results] = [("work", results + k) for k in range(op.results)]
    if op.kind != WHILE and not op.length:
        yield from frame.move(args[: op.carry], array("work", results))
        yield Statement(lambda: (f"work[{results + op.carry + k}] = 0.0;" for k in range(op.sums)), ())
        return
    size = len(op.body.names) + len(op.body.outputs)
    columns = []
    for number in range(op.rows):
        values = op.column(args, number)
        stride = _stride([frame.places[k] for k in values])
        if stride is None:
            yield from frame.move(values, array("scratch", size))
            columns.append(_Column(-1, 1, ("scratch", size)))
            size += op.length
        else:
            columns.append(_Column(values[0], stride))
    yield from frame.move(args[: op.carry], array("scratch"))
    yield from frame.move(args[op.carry + op.length * op.rows :], array("scratch", op.carry + op.rows))
    inner = max(functions[program].work for program in op.programs())
    frame.scratch = max(frame.scratch, size + inner)

    def lines() -> Iterator[str]:
        frame.used.update(["work", "scratch"] if op.results else ["scratch"])
        yield "{"
        yield f"    double *const item = scratch, *const made = scratch + {len(op.body.names)};"
        if inner:
            yield f"    double *const more = scratch + {size};"
        inside = _while(op, functions) if op.kind == WHILE else _counted(op, columns, results, frame, functions)
        yield from ("    " + line for line in inside)
        yield from ("    " + line for line in copied(array("item"), array("work", results), op.carry))
        yield "}"

    yield Statement(lines, [column.first for column in columns if column.first >= 0])


def _stride(places: Sequence[Place]) -> int | None:
    """Return the stride between all places, or None if they are not equally spaced."""
    if len(places) < 2:
        return 0
    stride = step_between(places[0], places[1])
    alike = all(step_between(*pair) == stride for pair in pairwise(places))
    return stride if alike else None


def _counted(
    op: Loop, columns: Sequence[_Column], results: int, frame: Frame, functions: Mapping[Program, Function]
) -> Iterator[str]:
    carry, stacked, sums = op.carry, results + op.carry, results + op.carry + op.length * op.stacked
    for k in range(op.sums):
        yield f"work[{sums + k}] = 0.0;"
    yield f"for (size_t j = 0; j < {op.length}; j++) {{"
    if op.stacked or any(column.stride for column in columns):
        yield f"    const size_t row = {f'{op.length - 1} - j' if op.backwards else 'j'};"
    yield from ("    " + line for line in _rows(carry, columns, frame))
    yield f"    {functions[op.body].call('item', 'made')}"
    after = [
        *copied(array("made"), array("item"), carry),
        *copied(array("made", carry), array("work", stacked, (op.stacked, "row")), op.stacked),
        *copied(array("made", carry + op.stacked), array("work", sums), op.sums, "+="),
    ]
    yield from ("    " + line for line in after)
    yield "}"


def _rows(first: int, columns: Sequence[_Column], frame: Frame) -> Iterator[str]:
    """Yield the lines that load one row; adjacent numbers are loaded at once."""
    places = [column.place if column.first < 0 else frame.places[column.first] for column in columns]
    # Where strides differ no run leads from one to the next.
    named = [(f"{place[0]} {column.stride}", place[1]) for place, column in zip(places, columns, strict=True)]
    for run in runs(named):
        place, step = places[run.start], (columns[run.start].stride, "row")
        if run.stride == 1:
            size = f"{run.length} * sizeof(double)"
            yield f"memcpy(item + {first + run.start}, &{frame.element(place, step)}, {size});"
        elif run.length > 1:
            yield f"for (size_t k = 0; k < {run.length}; k++)"
            target = moved(first + run.start, (1, "k"))
            yield f"    item[{target}] = {frame.element(place, step, (run.stride, 'k'))};"
        else:
            yield f"item[{first + run.start}] = {frame.element(place, step)};"


def _while(op: Loop, functions: Mapping[Program, Function]) -> Iterator[str]:
    yield f"for (size_t j = 0; {f'j < {op.length}' if op.length else '1'}; j++) {{"
    yield f"    {functions[op.condition].call('item', 'made')}"
    yield "    if (made[0] == 0.0) break;"
    yield f"    {functions[op.body].call('item', 'made')}"
    yield from ("    " + line for line in copied(array("made"), array("item"), op.carry))
    yield "}"
