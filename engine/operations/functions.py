"""The functions that need no row of their own: each is made of rows, and differentiated through them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

from ..data import arranged, flatten, is_symbolic, is_unknown, unflatten
from ..errors import describe
from . import table
from .methods import method
from .primitive import Scalar, is_array, on_arrays

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


_FEW = 8  # numbers that are chosen from one after another where an index is not known yet
_row_at: Callable[[list[Scalar], int, Scalar], list[Scalar]]  # gathering.py gives it


def use_row_at(row_at: Callable[[list[Scalar], int, Scalar], list[Scalar]]) -> None:
    """Set how a row is read by an index that is not known yet: an operation of programs."""
    global _row_at
    _row_at = row_at


def take(items: Any, index: Any) -> Any:
    """Return the item at an index that may be computed; the derivative flows to that item.

    Items may be rows: lists, tuples and dicts of numbers that are alike. Of an array with several axes it is a row; an
    array of indices gives an array of such rows.

    The index is a whole number, an integer or a float. Of an array, of rows that are arrays and by an array of indices
    one below 0 counts from the end, as in NumPy and in ``array[index]``; a list has no item below 0. An index for which
    there is no item gives nan, so that eager and compiled code agree: NumPy's own ``array[index]`` with a constant
    raises `IndexError`. Of an array that is nan as a derivative by all its numbers, too; of a list it is a constant. A
    compiled one reads the item where it stands; of a few numbers in a list it looks at each.

    >>> take([10.0, 20.0, 30.0], 1)
    20.0
    >>> take([(1.0, 2.0), (3.0, 4.0)], 1)
    (3.0, 4.0)
    """
    if is_array(index) or is_array(items):
        return on_arrays(take, [items, index])
    rows = items_of("take", items)
    if any(map(is_array, rows)):
        return on_arrays(take, [rows, index])
    if not any(isinstance(row, (list, tuple, dict)) for row in rows):
        return _read(rows, 1, index)[0]
    numbers: list[Scalar] = []
    expected = None
    for k, row in enumerate(rows):
        own, found = flatten(row, "take", f"items[{k}]")
        expected = expected or found
        placed = arranged(own, found, expected)
        if placed is None:
            raise ValueError(f"take expected items of one structure but got {expected} at 0 and {found} at {k}")
        numbers += placed
    assert expected is not None
    return unflatten(expected, _read(numbers, expected.size, index))


def _read(numbers: list[Scalar], size: int, index: Any) -> list[Scalar]:
    """Return the row at an index of rows of so many numbers each."""
    if is_unknown(index) and len(numbers) > _FEW * size:
        count = float(len(numbers) // size)
        is_whole_one = table.where(table.less(index, count), table.equal(index, table.floor(index)), 0.0)
        is_there = table.where(table.less(index, 0.0), 0.0, is_whole_one)
        row = _row_at(numbers, size, table.where(is_there, index, 0.0))
        return [table.where(is_there, item, math.nan) for item in row]
    chosen: list[Scalar] = [math.nan] * size
    for place in range(len(numbers) // size if size else 0):
        is_here = index == place
        if is_here is False:
            continue  # which is known
        row = numbers[place * size : (place + 1) * size]
        chosen = [table.where(is_here, item, other) for item, other in zip(row, chosen, strict=True)]
    return chosen


def items_of(function: str, items: Iterable[Scalar]) -> list[Scalar]:
    """Return the items of an iterable argument; `TypeError` if it is not iterable."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise TypeError(f"{function} expected an iterable of numbers but got {describe('items', items)}")
    return list(items)
