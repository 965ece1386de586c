"""Find which arrays of a program should stand by columns, so that its maps can run one iteration per vector lane.

A map over the rows of a matrix reads one column of it for a vector of iterations. Where the matrix is shared by a loop
around the map, it is laid out once, outside, with each column side by side, and so are the sums of its gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from ....programs import MAP, Loop, Program


def takes_lanes(loop: Loop, lanes: int) -> bool:
    """Return whether a loop could run one iteration per vector lane.

    >>> from chainrule import map, trace
    >>> loop = next(op for op, _ in trace(lambda xs: map(lambda x: x * x, xs), [1.0] * 4).steps if op.name == "map")
    >>> takes_lanes(loop, 4), takes_lanes(loop, 8)
    (True, False)
    """
    return loop.kind == MAP and loop.length >= lanes > 1


def input_columns(program: Program, lanes: int) -> Iterator[int]:
    """Yield the inputs that should stand by columns."""
    inputs = len(program.names)
    for op, args in program.steps:
        if isinstance(op, Loop):
            yield from (value for value in _taken(op, args, lanes) if value < inputs)


def _taken(loop: Loop, args: Sequence[int], lanes: int) -> Iterator[int]:
    if takes_lanes(loop, lanes):
        yield from args[loop.carry : loop.carry + loop.rows]
    else:
        yield from (args[loop.carry + loop.rows + k] for k in shared_columns(loop, lanes))


@functools.lru_cache(maxsize=512)
def shared_columns(loop: Loop, lanes: int) -> tuple[int, ...]:
    """Return which of the values that a loop shares should stand by columns, counted among these."""
    first = loop.carry + loop.rows
    return tuple(dict.fromkeys(k - first for k in input_columns(loop.body, lanes) if k >= first))


def output_columns(program: Program, lanes: int) -> Iterator[int]:
    """Yield the places of the outputs that should stand by columns, of those that are output once."""
    places = {value: place for place, value in enumerate(program.outputs)}
    for (op, _), first in zip(program.steps, program.firsts, strict=True):
        if isinstance(op, Loop):
            yield from (places[value] for value in _given(op, first, lanes) if value in places)


def _given(loop: Loop, first: int, lanes: int) -> Iterator[int]:
    end = first + loop.carry + loop.stacked
    if takes_lanes(loop, lanes):
        yield from range(first + loop.carry, end)
    else:
        yield from (end + k for k in summed_columns(loop, lanes))


@functools.lru_cache(maxsize=512)
def summed_columns(loop: Loop, lanes: int) -> tuple[int, ...]:
    """Return which of a loop's sums should stand by columns, counted among these."""
    first = loop.carry + loop.stacked
    return tuple([place - first for place in output_columns(loop.body, lanes) if place >= first])
