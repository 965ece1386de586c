"""Trace sums, dot products, logsumexp and softmax of many numbers as loops, so that a program does not grow with them.

Each is written with `map` and `scan` here; derivatives follow. Where the numbers stand side by side in memory, machine
code reads them there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from ..operations import functions, table
from ..programs import session
from .control_flow import map, scan

LONG = {"sum": 1_000, "mean": 1_000, "dot": 1_000, "logsumexp": 200}
"""From so many numbers on a traced row is a loop. Measured with gradient, unrolled and as a loop: `dot` of 1,000 took
3.4 and 0.9 s to compile, 5 and 9 us to run; `logsumexp` of 300 took 1.9 and 0.1 s, 14 and 11 us."""

_BLOCK = 64  # numbers whose maximum is found side by side


def _sum(xs: Sequence[Any]) -> Any:
    return map(lambda x: x, list(xs), reduce="sum")


def _mean(xs: Sequence[Any]) -> Any:
    return map(lambda x: x, list(xs), reduce="mean")


def _dot(xs: Sequence[Any]) -> Any:
    half = len(xs) // 2
    return map(lambda pair: pair[0] * pair[1], (list(xs[:half]), list(xs[half:])), reduce="sum")


def _log_sum_exp(xs: Sequence[Any]) -> Any:
    top = table.stop_gradient(_greatest(xs))

    def term(x: Any, top: Any) -> Any:
        power, is_top = table.exp(table.strong_sub(x, top)), x == top
        return power, table.where(is_top, 0.0, table.stop_gradient(power)), is_top

    total, rest, count = map(term, list(xs), top, reduce="sum")
    # The value leaves the exact 1 of the greatest number to log1p; the derivative is that of the plain sum.
    value = table.stop_gradient(table.log1p(rest + (count - 1.0)))
    plain = table.log(total)
    finite = table.less(table.abs(top), math.inf)
    return table.where(finite, top + value + (plain - table.stop_gradient(plain)), top)


def _greatest(xs: Sequence[Any]) -> Any:
    """Find the maximum block by block.

    Without a batch the greatest of each place in the blocks are kept, which vector lanes do side by side; in a batch
    the greatest so far of all, within each block by halves.
    """
    cut = len(xs) - len(xs) % _BLOCK
    blocks = [list(xs[k : k + _BLOCK]) for k in range(0, cut, _BLOCK)]
    if session.alone and len(blocks) > 1:
        tops, _ = scan(lambda tops, block: (map(_greater, (tops, block)), None), blocks[0], blocks[1:])
        top = _halves(tops)
    else:
        top, _ = scan(lambda top, block: (table.maximum(top, _halves(block)), None), xs[0], blocks)
    return functools.reduce(table.maximum, xs[cut:], top)


def _greater(pair: tuple[Any, Any]) -> Any:
    return table.maximum(*pair)


def _halves(xs: Sequence[Any]) -> Any:
    half = len(xs) // 2
    return table.maximum(_halves(xs[:half]), _halves(xs[half:])) if half else xs[0]


def _softmax(xs: Sequence[Any]) -> list[Any]:
    weights = _weights(_below(xs))
    return map(lambda item: table.fraction(item[0], item[1] + item[2]), (weights, *_others(weights)))


def _log_softmax(xs: Sequence[Any]) -> list[Any]:
    below = _below(xs)
    weights = _weights(below)

    def share(item: Any, total: Any) -> Any:
        x, weight, before, after = item
        # The weight of the greatest is exactly 1; the quotient is for the derivative, which does not pass the top.
        return table.where(x == 0.0, -table.log1p((before + after) / weight), x - total)

    return map(share, (below, weights, *_others(weights)), table.logsumexp(below))


def _below(xs: Sequence[Any]) -> list[Any]:
    """Return how far each number is below the greatest."""
    return map(table.strong_sub, list(xs), table.stop_gradient(_greatest(xs)))


def _weights(below: list[Any]) -> list[Any]:
    return map(table.exp, below)


def _others(weights: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return for each number the sum of those before it, and of those after it."""

    def add(total: Any, weight: Any) -> Any:
        return total + weight, total

    return scan(add, 0.0, weights)[1], scan(add, 0.0, weights, reverse=True)[1]


functions.MANY.update(softmax=_softmax, log_softmax=_log_softmax)
for _row, _loop in ((table.sum, _sum), (table.mean, _mean), (table.dot, _dot), (table.logsumexp, _log_sum_exp)):
    _row.long, _row.least = _loop, LONG[_row.name]
