"""Expand loops in Taylor series: one loop carries and stacks the coefficients of a loop's results.

Each number of the loop that depends on the variable becomes its coefficients up to the order, and the body what it
makes of these; numbers that do not depend on it stay single. So the code grows with the order, not with the length of
the loop, and a while loop, whose end nobody knows while tracing, has series as others do: it ends where its numbers do.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..programs import Loop, input_flags, reached_outputs, traced
from .loop_rules import Flags
from .series import Expansion, Series, use_loop_series


def expand(loop: Loop, args: Sequence[Any]) -> list[Any]:
    """Return the results of a loop some of whose arguments are series, in the order of `Loop.apply`."""
    expansion = next(arg.expansion for arg in args if type(arg) is Series)
    order = expansion.order
    active = tuple(input_flags(loop, [type(arg) is Series for arg in args]))
    derived, reached = _expanded(loop, active, order)
    carry, rows = loop.carry, loop.rows
    flags = [*active[:carry], *active[carry : carry + rows] * loop.length, *active[carry + rows :]]
    found = iter(derived.apply(tuple(_coefficients(args, flags, order))))
    middle = carry + loop.stacked
    given = [*reached[:carry], *reached[carry:middle] * loop.length, *reached[middle:]]
    return list(_series(found, given, expansion))


@functools.lru_cache(maxsize=512)
def _expanded(loop: Loop, active: Flags, order: int) -> tuple[Loop, Flags]:
    """Return the loop that runs on coefficients of the active inputs, and which outputs have coefficients."""
    carry, rows, body = loop.carry, loop.rows, loop.body
    # A carried number that is constant in the end has coefficients, too, if it starts with some.
    reached = (*active[:carry], *reached_outputs(body, active)[carry:])

    def running(xs: Sequence[Any]) -> list[Any]:
        expansion = Expansion(order)
        found = expansion.run(body, list(_series(iter(xs), active, expansion)))
        return list(_coefficients(found, reached, order))

    def going_on(xs: Sequence[Any]) -> list[Any]:
        numbers = iter(xs)
        firsts = [list(islice(numbers, order * flag + 1)) for flag in active]
        return list(loop.condition.run([own[0] for own in firsts]))

    names = [f"{name}{k or ''}" for name, flag in zip(body.names, active, strict=True) for k in range(order * flag + 1)]
    derived = loop.change(
        body=traced(f"series {body.name}", names, running),
        carry=carry + order * sum(active[:carry]),
        rows=rows + order * sum(active[carry : carry + rows]),
        sums=loop.sums + order * sum(reached[carry + loop.stacked :]),
        condition=None if loop.condition is None else traced(loop.condition.name, names, going_on),
    )
    return derived, reached


def _coefficients(items: Iterable[Any], flags: Iterable[bool], order: int) -> Iterator[Any]:
    """Yield the coefficients of flagged items, and the others themselves."""
    for item, flag in zip(items, flags, strict=True):
        if not flag:
            yield item
        elif type(item) is Series:
            yield from [item.coefficient(k) for k in range(order + 1)]
        else:
            yield from [item, *[0.0] * order]


def _series(numbers: Iterator[Any], flags: Iterable[bool], expansion: Expansion) -> Iterator[Any]:
    """Yield series of the next coefficients for flagged items, and single numbers for the others."""
    for flag in flags:
        if flag:
            yield Series(expansion, coefficients=list(islice(numbers, expansion.order + 1)))
        else:
            yield next(numbers)


use_loop_series(expand)
