"""Call the functions that need no row of their own: each is made of rows, and differentiated through them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable

from ..data import is_unknown
from ..errors import describe
from . import table
from .methods import method
from .primitive import Scalar

__all__ = ["hardtanh", "log_softmax", "prod", "selu", "softmax", "take"]

# Klambauer et al. 2017, "Self-Normalizing Neural Networks": the fixed point at mean 0 and variance 1.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


MANY: dict[str, Callable[[list[Scalar]], list[Scalar]]] = {}
"""How a trace writes a function of many numbers as loops, by its name; set by long_sums.py."""

LEAST_MANY = 100
"""From so many numbers on it does. Measured, gradient of `softmax` of 100 numbers, written out and as loops: 0.9 and
0.2 s to compile, 9 and 10 us to run; of 200 numbers 2.0 and 0.4 s, 13 and 11 us."""


@method
def hardtanh(x: Scalar) -> Scalar:
    """Bring `x` into the range from -1 to 1; the derivative is 0 at both bounds.

    >>> hardtanh(0.5), hardtanh(-3.0)
    (0.5, -1.0)
    """
    return table.clip(x, -1.0, 1.0)


@method
def selu(x: Scalar) -> Scalar:
    """Return the self-normalising exponential linear unit.

    >>> selu(1.0)
    1.0507009873554805
    """
    return _SELU_SCALE * table.elu(x, _SELU_ALPHA)


def prod(xs: Iterable[Scalar]) -> Scalar:
    """Return the product of an iterable, 1 for an empty one.

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    items = _listed("prod", xs)
    # A 1 before the first of several would stand in every graph and formula.
    return functools.reduce(table.mul, items, *([] if len(items) > 1 else [1.0]))


def softmax(xs: Iterable[Scalar]) -> list[Scalar]:
    """Return exp(x) over the sum of all exp(x), for each x of an iterable.

    Derivatives keep their digits where one share is close to 1: that share is computed from the others.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    items = _listed("softmax", xs)
    if not items:
        return []
    if any(map(is_unknown, items)):
        return MANY["softmax"](items) if len(items) >= LEAST_MANY else table.shares(*items)
    powers, total = _relative_powers(items)
    return [power / total for power in powers]


def log_softmax(xs: Iterable[Scalar]) -> list[Scalar]:
    """Return the logarithm of each share of `softmax`, without underflow.

    >>> log_softmax([0.0, -1000.0])
    [-0.0, -1000.0]
    """
    items = _listed("log_softmax", xs)
    if not items:
        return []
    if any(map(is_unknown, items)):
        return MANY["log_softmax"](items) if len(items) >= LEAST_MANY else _symbolic_log_softmax(items)
    top = _position_of_greatest(items)
    # Of equal items, infinite ones too, the difference is 0.
    below = [table.strong_sub(x, items[top]) for x in items]
    if len(items) == 1:
        return [-below[0]]
    rest = table.log1p(table.sum([table.exp(x) for k, x in enumerate(below) if k != top]))
    return [-rest if k == top else x - rest for k, x in enumerate(below)]


def _symbolic_log_softmax(items: list[Scalar]) -> list[Scalar]:
    """Do the same where it is not known yet which item is the greatest: both cases, and a choice."""
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


def take(items: Iterable[Scalar], index: Scalar) -> Scalar:
    """Return the item at an index that may be computed; the derivative flows to that item.

    An index that is no whole number from 0 to the count of items less 1 gives nan, so that eager and compiled code
    agree. A compiled one looks through all items.

    >>> take([10.0, 20.0, 30.0], 1)
    20.0
    """
    chosen: Scalar = math.nan
    for place, item in enumerate(_listed("take", items)):
        chosen = table.where(index == place, item, chosen)
    return chosen


def _listed(function: str, items: Iterable[Scalar]) -> list[Scalar]:
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise TypeError(f"{function} expected an iterable of numbers but got {describe('items', items)}")
    return list(items)


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
