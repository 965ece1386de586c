"""Find which arrays of a program should stand by columns, so that its maps can run one iteration per vector lane.

A map over the rows of a matrix reads one column of it for a vector of iterations. Where the matrix is shared by a loop
around the map, it is laid out once, outside, with each column side by side, and so are the sums of its gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence

from ....programs import MAP, Loop, Program, View

_LONG = 4  # vectors of an inner map, at least, so that it takes the lanes rather than the map around it
_FEW = 4  # lanes that are worth a vector, where a loop does not fill a whole one
_MOSTLY = 0.9  # share of the work that is done by such maps


@functools.lru_cache(maxsize=512)
def takes_lanes(loop: Loop, lanes: int, anyhow: bool = False) -> bool:
    """Return whether a loop could run one iteration per vector lane, and, but `anyhow`, no loop inside does better.

    >>> from chainrule import map, trace
    >>> loop = next(op for op, _ in trace(lambda xs: map(lambda x: x * x, xs), [1.0] * 4).steps if op.name == "map")
    >>> takes_lanes(loop, 4), lanes_for(loop, 8)
    (True, 4)
    """
    if loop.kind != MAP or lanes == 1 or loop.length < min(lanes, _FEW):
        return False
    if loop.length < lanes:
        return not any(isinstance(op, Loop) and op.length >= lanes for op in loop.body.rows_and_loops())
    return anyhow or not _leaves_lanes(loop, lanes)


def lanes_for(loop: Loop, lanes: int) -> int:
    """Return how many lanes a loop takes that takes any: fewer than a vector has where it runs less often."""
    while loop.length < lanes > _FEW:
        lanes //= 2
    return lanes


def _leaves_lanes(loop: Loop, lanes: int) -> bool:
    """Return whether nearly all of an iteration's work is done by long inner maps over numbers side by side."""
    body, work = loop.body, 0
    seen = {value: args[0] for (op, args), value in zip(body.steps, body.firsts, strict=True) if isinstance(op, View)}
    for op, args in body.steps:
        if not isinstance(op, Loop) or op.length < _LONG * lanes:
            continue
        if takes_lanes(op, lanes):
            sources = zip(op.body.shapes[: op.rows], args, strict=False)
            shared = range(loop.rows, len(body.names))
            fits = all(not shape or seen.get(value, value) in shared for shape, value in sources)
        else:
            fits = op.kind == MAP and _leaves_lanes(op, lanes)
        work += op.work if fits else 0
    return work * loop.length >= _MOSTLY * loop.work


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


def output_columns(program: Program, lanes: int, across: Collection[int] = ()) -> Iterator[int]:
    """Yield the places of the outputs that should stand by columns, of those that are output once.

    The inputs `across` are arrays whose rows lie side by side: maps over them take the lanes anyhow.
    """
    places = {value: place for place, value in enumerate(program.outputs)}
    for (op, args), first in zip(program.steps, program.firsts, strict=True):
        if isinstance(op, Loop):
            yield from (places[value] for value in _given(op, args, first, lanes, across) if value in places)


def _given(loop: Loop, args: Sequence[int], first: int, lanes: int, across: Collection[int]) -> Iterator[int]:
    end, rows = first + loop.carry + loop.stacked, loop.carry + loop.rows
    if takes_lanes(loop, lanes, any(k in across for k in args[loop.carry : rows])):
        yield from range(first + loop.carry, end)
    else:
        inner = frozenset([k for k in range(rows, len(args)) if args[k] in across])
        yield from (end + k for k in summed_columns(loop, lanes, inner))


@functools.lru_cache(maxsize=512)
def summed_columns(loop: Loop, lanes: int, across: frozenset[int] = frozenset()) -> tuple[int, ...]:
    """Return which of a loop's sums should stand by columns, counted among these; `across` are inputs of its body."""
    first = loop.carry + loop.stacked
    return tuple([place - first for place in output_columns(loop.body, lanes, across) if place >= first])
