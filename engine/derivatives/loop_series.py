"""Expand loops in Taylor series: one loop carries and stacks the coefficients of a loop's results.

Each number or array of the loop that depends on the variable becomes its coefficients up to the order, and the body
what it makes of these; values that do not depend on it stay single. So the code grows with the order, not with the
length of the loop, and a while loop, whose end nobody knows while tracing, has series as others do: it ends where its
numbers do.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..programs import Loop, Shape, as_values, input_flags, reached_outputs, traced
from .loop_rules import Flags
from .series import Expansion, coefficient_of, expansion_of, has_series, series_of, use_loop_series


def expand(loop: Loop, args: Sequence[Any]) -> list[Any]:
    """Return the results of a loop some of whose arguments are series, in the order of `Loop.apply`."""
    expansion = expansion_of(args)
    active = tuple(input_flags(loop, list(map(has_series, args))))
    derived, reached = _expanded(loop, active, expansion.order)
    found = derived.apply(tuple(_coefficients(args, active, expansion.order)))
    return list(_series(iter(found), loop.shapes, reached, expansion))


@functools.lru_cache(maxsize=512)
def _expanded(loop: Loop, active: Flags, order: int) -> tuple[Loop, Flags]:
    """Return the loop that runs on coefficients of the active inputs, and which outputs have coefficients."""
    carry, rows, body = loop.carry, loop.rows, loop.body
    # A carried number that is constant in the end has coefficients, too, if it starts with some.
    reached = (*active[:carry], *reached_outputs(body, active)[carry:])

    def running(xs: Sequence[Any]) -> list[Any]:
        expansion = Expansion(order)
        found = expansion.run(body, list(_series(iter(xs), body.shapes, active, expansion)))
        shapes = [
            shape for shape, flag in zip(body.output_shapes, reached, strict=True) for _ in range(order * flag + 1)
        ]
        return as_values(list(_coefficients(found, reached, order)), shapes)

    def going_on(xs: Sequence[Any]) -> list[Any]:
        values = iter(xs)
        firsts = [list(islice(values, order * flag + 1)) for flag in active]
        return list(loop.condition.run([own[0] for own in firsts]))

    names = [f"{name}{k or ''}" for name, flag in zip(body.names, active, strict=True) for k in range(order * flag + 1)]
    shapes = [shape for shape, flag in zip(body.shapes, active, strict=True) for _ in range(order * flag + 1)]
    derived = loop.change(
        body=traced(f"series {body.name}", names, running, shapes),
        carry=carry + order * sum(active[:carry]),
        rows=rows + order * sum(active[carry : carry + rows]),
        sums=loop.sums + order * sum(reached[carry + loop.stacked :]),
        condition=None if loop.condition is None else traced(loop.condition.name, names, going_on, shapes),
    )
    return derived, reached


def _coefficients(items: Iterable[Any], flags: Iterable[bool], order: int) -> Iterator[Any]:
    """Yield the coefficients of flagged items, and the others themselves."""
    for item, flag in zip(items, flags, strict=True):
        yield from [coefficient_of(item, k) for k in range(order + 1)] if flag else [item]


def _series(
    values: Iterator[Any], shapes: Iterable[Shape], flags: Iterable[bool], expansion: Expansion
) -> Iterator[Any]:
    """Yield series of the next coefficients for flagged items, and single values for the others."""
    for shape, flag in zip(shapes, flags, strict=True):
        yield series_of(expansion, shape, list(islice(values, expansion.order + 1))) if flag else next(values)


use_loop_series(expand)
