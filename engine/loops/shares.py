"""Call `softmax` and `log_softmax`: on floats and Vars, on a few traced numbers, and on many of them as loops.

Each is made of rows, and differentiated through them. On floats and Vars it is known which number is the greatest; a
trace computes both cases and chooses; a long trace uses `map` and `scan`, so that a program does not grow with it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

from ..data import is_unknown
from ..operations import Scalar, is_array, is_whole, items_of, on_arrays, table
from ..programs import greatest
from .control_flow import map, scan

__all__ = ["log_softmax", "softmax"]

LEAST_MANY = 100
"""From so many numbers on a trace writes them as loops. Measured, gradient of `softmax` of 100 numbers, written out and
as loops: 0.9 and 0.2 s to compile, 9 and 10 us to run; of 200 numbers 2.0 and 0.4 s, 13 and 11 us."""


def softmax(xs: Iterable[Scalar], axis: int | None = None) -> Any:
    """Return exp(x) over the sum of all exp(x), for each x of an iterable, or along an axis of an array (the last).

    Derivatives keep their digits where one share is close to 1: that share is computed from the others.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    if is_array(xs):
        return on_arrays(_softmax_of_line, [xs], axis=-1 if axis is None else axis)
    if axis is not None:
        raise TypeError("softmax takes an axis of arrays only")
    items = items_of("softmax", xs)
    if not items:
        return []
    if any(is_unknown(x) for x in items):
        return _long_softmax(items) if len(items) >= LEAST_MANY else table.shares(*items)
    if any(x != x for x in items):
        return _all_lost(items)
    powers, total = _relative_powers(items)
    return [power / total for power in powers]


def log_softmax(xs: Iterable[Scalar], axis: int | None = None) -> Any:
    """Return the logarithm of each share of `softmax`, without underflow; of an array along an axis (the last).

    >>> log_softmax([0.0, -1000.0])
    [-0.0, -1000.0]
    """
    if is_array(xs):
        return on_arrays(_log_softmax_of_line, [xs], axis=-1 if axis is None else axis)
    if axis is not None:
        raise TypeError("log_softmax takes an axis of arrays only")
    items = items_of("log_softmax", xs)
    if not items:
        return []
    if any(is_unknown(x) for x in items):
        return _long_log_softmax(items) if len(items) >= LEAST_MANY else _symbolic_log_softmax(items)
    if any(x != x for x in items):
        return _all_lost(items)
    top = _position_of_greatest(items)
    # Of equal items, infinite ones too, the difference is 0.
    below = [table.strong_sub(x, items[top]) for x in items]
    if len(items) == 1:
        return [-below[0]]
    rest = table.log1p(table.sum([table.exp(x) for k, x in enumerate(below) if k != top]))
    return [-rest if k == top else x - rest for k, x in enumerate(below)]


def _all_lost(items: list[Scalar]) -> list[Scalar]:
    """Return nan for each item, and by each: one of them is nan, so no share is known."""
    lost = math.nan * table.sum(items)
    return [+lost for _ in items]


def _symbolic_log_softmax(items: list[Scalar]) -> list[Scalar]:
    """The same if it is not known yet which item is the greatest: compute both cases, and choose."""
    top = table.stop_gradient(functools.reduce(table.maximum, items))
    below = [table.strong_sub(x, top) for x in items]
    powers = [table.exp(x) for x in below]
    rests = table.sums_of_others(powers)
    total = table.logsumexp(below)
    # The power of the greatest is exactly 1; the quotient by it is for the derivative, which does not pass `top`.
    return [
        table.where(x == 0.0, -table.log1p(rest / power), x - total)
        for x, power, rest in zip(below, powers, rests, strict=True)
    ]


def _relative_powers(items: list[Scalar]) -> tuple[list[Scalar], Scalar]:
    """Return exp(x - greatest) for each x, exactly 1.0 for the greatest, and their sum."""
    top = _position_of_greatest(items)
    alone = len(items) == 1  # then the 1 has to be a Var where the item is, and nan where that is
    powers = [
        1.0 if k == top and not alone else table.exp(table.strong_sub(x, items[top])) for k, x in enumerate(items)
    ]
    return powers, table.sum(powers)


def _position_of_greatest(items: list[Scalar]) -> int:
    return max(range(len(items)), key=items.__getitem__)


# ---- of lines of arrays, and of many traced numbers ----


def _softmax_of_line(xs: Any) -> Any:
    return _long_softmax(xs) if is_whole(xs) else softmax(xs)


def _log_softmax_of_line(xs: Any) -> Any:
    return _long_log_softmax(xs) if is_whole(xs) else log_softmax(xs)


def _long_softmax(xs: Any) -> Any:
    weights = _weights(_below(xs))
    return map(lambda item: table.share(item[0], item[1] + item[2]), (weights, *_others(weights)))


def _long_log_softmax(xs: Any) -> Any:
    below = _below(xs)
    weights = _weights(below)

    def share(item: Any, total: Any) -> Any:
        x, weight, before, after = item
        # The weight of the greatest is exactly 1; the quotient is for the derivative, which does not pass the top.
        return table.where(x == 0.0, -table.log1p((before + after) / weight), x - total)

    return map(share, (below, weights, *_others(weights)), table.logsumexp(below))


def _below(xs: Any) -> Any:
    """Return how far each number is below the greatest."""
    return map(table.strong_sub, xs if is_whole(xs) else list(xs), table.stop_gradient(greatest(xs)))


def _weights(below: Any) -> Any:
    return map(table.exp, below)


def _others(weights: Any) -> tuple[Any, Any]:
    """Return for each number the sum of those before it, and of those after it."""

    def add(total: Any, weight: Any) -> Any:
        return total + weight, total

    return scan(add, 0.0, weights)[1], scan(add, 0.0, weights, reverse=True)[1]
