"""The functions that need no row of their own: each is made of rows, and differentiated through them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

from ..data import is_symbolic
from ..errors import describe
from . import table
from .methods import method
from .primitive import Scalar, is_array, is_whole, on_arrays

__all__ = ["hardtanh", "prod", "selu", "take"]

# Klambauer et al. 2017, "Self-Normalizing Neural Networks": the fixed point at mean 0 and variance 1.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


@method
def hardtanh(x: Scalar) -> Scalar:
    """Limit `x` to the range from -1 to 1; the derivative is 0 at both bounds.

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


LEAST_MANY = 200  # from so many traced numbers on a product is a loop
_long_product: Callable[[list[Scalar]], Scalar]  # long_sums.py gives it


def use_long_product(product: Callable[[list[Scalar]], Scalar]) -> None:
    """Set how a product of many traced numbers is written: as a loop, of which these rooms know nothing yet."""
    global _long_product
    _long_product = product


def prod(xs: Any, axis: Any = None, keepdims: bool = False) -> Scalar:
    """Return the product of an iterable, 1 for an empty one; of an array of all numbers, or along axes.

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    if is_array(xs):
        return on_arrays(prod, [xs], axis=axis, keepdims=keepdims)
    if axis is not None or keepdims:
        raise TypeError("prod takes axis and keepdims of arrays only")
    items = items_of("prod", xs)
    if len(items) >= LEAST_MANY and any(map(is_symbolic, items)):
        return _long_product(items)
    # A 1 before the first of several would stand in every graph and formula.
    return functools.reduce(table.mul, items, *([] if len(items) > 1 else [1.0]))


def take(items: Any, index: Any) -> Scalar:
    """Return the item at an index that may be computed; the derivative flows to that item.

    Of an array with several axes it is a row; an array of indices gives an array of such rows. There an index below 0
    counts from the end, as in NumPy.

    An index that is no whole number from 0 to the count of items less 1 gives nan, so that eager and compiled code
    agree. Of an array that is nan as a derivative by all its numbers, too; of a list it is a constant. A compiled one
    looks through all items of a list.

    >>> take([10.0, 20.0, 30.0], 1)
    20.0
    """
    if is_array(index) or is_whole(items) or (is_array(items) and (items.ndim > 1 or items.dtype == object)):
        return on_arrays(take, [items, index])
    chosen: Scalar = math.nan
    for place, item in enumerate(items_of("take", items)):
        chosen = table.where(index == place, item, chosen)
    return chosen


def items_of(function: str, items: Iterable[Scalar]) -> list[Scalar]:
    """Return the items of an iterable argument; `TypeError` if it is not iterable."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise TypeError(f"{function} expected an iterable of numbers but got {describe('items', items)}")
    return list(items)
