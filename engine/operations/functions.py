"""Call the functions that need no row of their own: each is made of rows, and differentiated through them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

from ..errors import describe
from . import table
from .methods import method
from .primitive import Scalar

__all__ = ["hardtanh", "prod", "selu", "take"]

# Klambauer et al. 2017, "Self-Normalizing Neural Networks": the fixed point at mean 0 and variance 1.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


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
    items = items_of("prod", xs)
    # A 1 before the first of several would stand in every graph and formula.
    return functools.reduce(table.mul, items, *([] if len(items) > 1 else [1.0]))


def take(items: Iterable[Scalar], index: Scalar) -> Scalar:
    """Return the item at an index that may be computed; the derivative flows to that item.

    An index that is no whole number from 0 to the count of items less 1 gives nan, so that eager and compiled code
    agree. A compiled one looks through all items.

    >>> take([10.0, 20.0, 30.0], 1)
    20.0
    """
    chosen: Scalar = math.nan
    for place, item in enumerate(items_of("take", items)):
        chosen = table.where(index == place, item, chosen)
    return chosen


def items_of(function: str, items: Iterable[Scalar]) -> list[Scalar]:
    """Return the items of an iterable that a function was given; `TypeError` where it is none."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise TypeError(f"{function} expected an iterable of numbers but got {describe('items', items)}")
    return list(items)
