"""Trace sums, means, dot products and logsumexp of many numbers as loops, so that a program does not grow with them.

Their derivatives are those of loops. Where the numbers stand side by side in memory, machine code reads them there.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..data import NUMBER, Structure, flatten, unflatten
from ..graph import session
from ..operations import table
from .loop import MAP, SCAN, Loop
from .naming import function_name, input_names
from .program import Program, numbers_in_tuple
from .tracer import Tracer, use_long_forms
from .tracing import listed

LONG = {"sum": 1_000, "mean": 1_000, "dot": 1_000, "logsumexp": 200}
"""From so many numbers on a traced row is a loop. Measured with gradient, unrolled and as a loop: `dot` of 1,000 took
3.4 and 0.9 s to compile, 5 and 9 us to run; `logsumexp` of 300 took 1.9 and 0.1 s, 14 and 11 us."""

_BLOCK = 64  # numbers whose maximum is found side by side
_PAIR = Structure("tuple", (NUMBER, NUMBER))
_NUMBERS = Structure("list", (NUMBER,) * _BLOCK)


def _sum(xs: Sequence[Any]) -> Any:
    (total,) = _sums(lambda x: x, NUMBER, xs)
    return total


def _mean(xs: Sequence[Any]) -> Any:
    return _sum(xs) / len(xs)


def _dot(xs: Sequence[Any]) -> Any:
    half = len(xs) // 2
    (total,) = _sums(lambda pair: pair[0] * pair[1], _PAIR, _in_pairs(xs[:half], xs[half:]))
    return total


def _log_sum_exp(xs: Sequence[Any]) -> Any:
    top = table.stop_gradient(greatest(xs))

    def term(x: Any, top: Any) -> Any:
        power, is_top = table.exp(table.strong_sub(x, top)), x == top
        return power, table.where(is_top, 0.0, table.stop_gradient(power)), is_top

    total, rest, count = _sums(term, NUMBER, xs, top)
    # The value leaves the exact 1 of the greatest number to log1p; the derivative is that of the plain sum.
    value = table.stop_gradient(table.log1p(rest + (count - 1.0)))
    plain = table.log(total)
    finite = table.less(table.abs(top), math.inf)
    return table.where(finite, top + value + (plain - table.stop_gradient(plain)), top)


def greatest(xs: Sequence[Any]) -> Any:
    """Find the maximum of many traced numbers block by block.

    Without a batch the greatest of each place in the blocks are kept, which vector lanes do side by side; in a batch
    the greatest so far of all, within each block by halves.
    """
    cut = len(xs) - len(xs) % _BLOCK
    if session.alone and cut > _BLOCK:
        greater = Loop(MAP, _body(_greater, _PAIR), _BLOCK, 0, 2, 0)
        body = _body(lambda tops, block: greater.apply(_in_pairs(tops, block)), _NUMBERS, _NUMBERS)
        top = _halves(Loop(SCAN, body, cut // _BLOCK - 1, _BLOCK, _BLOCK, 0).apply(tuple(xs[:cut])))
    else:
        body = _body(lambda top, block: table.maximum(top, _halves(block)), NUMBER, _NUMBERS)
        (top,) = Loop(SCAN, body, cut // _BLOCK, 1, _BLOCK, 0).apply((xs[0], *xs[:cut]))
    return functools.reduce(table.maximum, xs[cut:], top)


def _greater(pair: tuple[Any, Any]) -> Any:
    return table.maximum(*pair)


def _halves(xs: Sequence[Any]) -> Any:
    half = len(xs) // 2
    return table.maximum(_halves(xs[:half]), _halves(xs[half:])) if half else xs[0]


def _in_pairs(xs: Sequence[Any], ys: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(itertools.chain.from_iterable(zip(xs, ys, strict=True)))


def _sums(f: Callable[..., Any], item: Structure, numbers: Sequence[Any], *shared: Any) -> list[Any]:
    """Return the sums over many items of each number that a function of one returns."""
    body = _body(f, item, *[NUMBER] * len(shared))
    loop = Loop(MAP, body, len(numbers) // item.size, 0, item.size, len(body.outputs))
    return loop.apply((*numbers, *shared))


def _body(f: Callable[..., Any], *arguments: Structure) -> Program:
    """Trace a function of such arguments as the body of a loop."""
    structure = Structure("tuple", arguments)
    inputs = [Tracer(name) for name in input_names(f, structure)]
    outputs, _ = flatten(f(*unflatten(structure, inputs)), "trace", "the result")
    result = NUMBER if len(outputs) == 1 else numbers_in_tuple(len(outputs))
    return listed(function_name(f), inputs, outputs, structure, result)


_FORMS = {table.sum: _sum, table.mean: _mean, table.dot: _dot, table.logsumexp: _log_sum_exp}
use_long_forms({row: (LONG[row.name] * row.iterables, form) for row, form in _FORMS.items()})
