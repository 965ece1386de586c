"""Run loops that end early with NumPy: while loops, and the counted scans that are their derivatives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..programs import WHILE, Loop
from .array_moves import joined_lanes, kind_of, with_lanes

Array = Any
Run = Callable[[Sequence[Array]], list[Array]]


def repeat(op: Loop, body: Run, condition: Run | None, args: Sequence[Array]) -> list[Array]:
    """Iterate while any sample goes on; those that have ended, or wait for their first row, take no part."""
    own = [len(shape) for shape in op.argument_shapes]
    lanes = joined_lanes(args, own)
    if not lanes:
        return _alone(op, body, condition, args)
    values = [_in_one_lane(x, axes, lanes) for x, axes in zip(args, own, strict=True)]
    results = _results(op, (math.prod(lanes),), args)
    if condition is None:
        _counted(op, body, values, own, results)
    else:
        _while(op, body, condition, values, own, results)
    return [x.reshape((*x.shape[:-1], *lanes)) for x in results]


def _results(op: Loop, lanes: tuple[int, ...], args: Sequence[Array]) -> list[Array]:
    """Make room for results; rows to which nothing comes stay 0."""
    return [np.zeros((*shape, *lanes), kind_of(args)) for shape in op.shapes]


def _alone(op: Loop, body: Run, condition: Run | None, args: Sequence[Array]) -> list[Array]:
    first, end = op.carry, op.carry + op.rows
    carry, columns, shared = list(args[:first]), args[first:end], args[end:]
    results = _results(op, (), args)
    for k in _places(op, shared[0] if condition is None else 0.0):
        if condition is not None and condition([*carry, *shared])[0] == 0.0:
            break
        found = body([*carry, *[column[k] for column in columns], *shared])
        carry = found[:first]
        for result, x in zip(results[first : first + op.stacked], found[first:], strict=False):
            result[k] = x
        for place in range(first + op.stacked, op.results):
            results[place] = results[place] + found[place]
    return [*carry, *results[first:]]


def _places(op: Loop, count: Any) -> Iterable[int]:
    """Return the rows of the iterations, in order; of a counted scan there are so many."""
    if op.kind == WHILE:
        return range(op.length) if op.length else itertools.count()
    most = min(op.length, int(count))
    return range(most - 1, -1, -1) if op.backwards else range(most)


def _while(
    op: Loop, body: Run, condition: Run, values: Sequence[Array], own: Sequence[int], results: Sequence[Array]
) -> None:
    first = op.carry
    carry, shared = values[:first], values[first:]
    places = np.arange(results[0].shape[-1])  # of the samples that go on
    for k in _places(op, 0.0):
        going = np.broadcast_to(condition([*carry, *shared])[0] != 0.0, places.shape)
        if not going.all():
            _leave(results, carry, own, places[~going], ~going)
            places = places[going]
            carry = [_chosen(x, axes, going) for x, axes in zip(carry, own, strict=False)]
            shared = [_chosen(x, axes, going) for x, axes in zip(shared, own[first:], strict=True)]
        if not len(places):
            return
        found = body([*carry, *shared])
        carry = found[:first]
        _keep(op, results, found, places, k)
    _leave(results, carry, own, places, np.full(len(places), True))


def _counted(op: Loop, body: Run, values: Sequence[Array], own: Sequence[int], results: Sequence[Array]) -> None:
    first, end = op.carry, op.carry + op.rows
    every = np.arange(math.prod(results[0].shape[-1:]))
    counts = np.broadcast_to(values[end], every.shape)
    _leave(results, values[:first], own, every, np.full(len(every), True))
    for k in _places(op, counts.max(initial=0.0)):
        going = counts > k
        places = every[going]
        taken = [*results[:first], *[x[k] for x in values[first:end]], *values[end:]]
        axes = [*own[:first], *[count - 1 for count in own[first:end]], *own[end:]]
        found = body([_chosen(x, count, going) for x, count in zip(taken, axes, strict=True)])
        _leave(results, found[:first], own, places, np.full(len(places), True))
        _keep(op, results, found, places, k)


def _keep(op: Loop, results: Sequence[Array], found: Sequence[Array], places: Array, k: int) -> None:
    """Store what an iteration stacks, and add what it sums, for the samples at some places."""
    for place in range(op.carry, op.results):
        x = with_lanes(found[place], len(op.body.output_shapes[place]), 1)
        if place < op.carry + op.stacked:
            results[place][k][..., places] = x
        else:
            results[place][..., places] += x


def _in_one_lane(x: Array, own: int, lanes: tuple[int, ...]) -> Array:
    """Return a value with all its lanes as one, unless it has none."""
    if np.ndim(x) == own:
        return x
    shape = np.shape(x)[:own]
    return np.broadcast_to(with_lanes(x, own, len(lanes)), (*shape, *lanes)).reshape((*shape, -1))


def _chosen(x: Array, own: int, going: Array) -> Array:
    """Return a value in some of its lanes; one that is the same in all stays as it is."""
    return x[..., going] if np.ndim(x) > own and x.shape[-1] == len(going) else x


def _leave(results: Sequence[Array], carry: Sequence[Array], own: Sequence[int], places: Array, ended: Array) -> None:
    """Store the carry of samples that have ended."""
    for result, x, axes in zip(results, carry, own, strict=False):
        result[..., places] = with_lanes(_chosen(x, axes, ended), axes, 1)
