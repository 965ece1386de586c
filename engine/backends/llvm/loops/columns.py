"""Find which numbers of a program should be contiguous, so that its maps can run one iteration per vector lane.

A map over the rows of a matrix reads one column of it for a vector of iterations. Where the matrix is shared by a loop
around the map, it is laid out once, outside, with each column side by side, and so are the sums of its gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ....programs import MAP, Loop, Program

Column = tuple[int, ...]


def takes_lanes(loop: Loop, lanes: int) -> bool:
    """Return whether a loop could run one iteration per vector lane.

    >>> from chainrule import map, trace
    >>> ((loop, _),) = trace(lambda xs: map(lambda x: x * x, xs), [1.0, 2.0, 3.0, 4.0]).steps
    >>> takes_lanes(loop, 4), takes_lanes(loop, 8)
    (True, False)
    """
    return loop.kind == MAP and loop.length >= lanes > 1


def input_columns(program: Program, lanes: int) -> Iterator[Column]:
    """Yield the numbers of the inputs that should be contiguous; an input may be in several columns."""
    inputs = len(program.names)
    for op, args in program.steps:
        if not isinstance(op, Loop):
            continue
        for column in _taken(op, args, lanes):
            if max(column) < inputs:
                yield column


def _taken(loop: Loop, args: Sequence[int], lanes: int) -> Iterator[Column]:
    if takes_lanes(loop, lanes):
        yield from (tuple(loop.column(args, j)) for j in range(loop.rows))
        return
    for column in shared_columns(loop, lanes):
        yield tuple([args[loop.carry + loop.length * loop.rows + k] for k in column])


def shared_columns(loop: Loop, lanes: int) -> Iterator[Column]:
    """Yield which of a loop's shared numbers should be contiguous, counted among these."""
    first = loop.carry + loop.rows
    for column in input_columns(loop.body, lanes):
        if min(column) >= first:
            yield tuple([k - first for k in column])


def output_columns(program: Program, lanes: int) -> Iterator[Column]:
    """Yield the places of the outputs that should be contiguous, of those that are output once."""
    places = {value: place for place, value in enumerate(program.outputs)}
    for (op, _), first in zip(program.steps, program.firsts, strict=True):
        if not isinstance(op, Loop):
            continue
        for column in _given(op, first, lanes):
            if all(value in places for value in column):
                yield tuple([places[value] for value in column])


def _given(loop: Loop, first: int, lanes: int) -> Iterator[Sequence[int]]:
    end = first + loop.carry + loop.length * loop.stacked
    if takes_lanes(loop, lanes):
        yield from (range(first + j, end, loop.stacked) for j in range(loop.stacked))
        return
    for column in summed_columns(loop, lanes):
        yield [end + k for k in column]


def summed_columns(loop: Loop, lanes: int) -> Iterator[Column]:
    """Yield which of a loop's sums should be contiguous, counted among these."""
    first = loop.carry + loop.stacked
    for column in output_columns(loop.body, lanes):
        if min(column) >= first:
            yield tuple([place - first for place in column])
