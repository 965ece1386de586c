"""How many of the items along a leading axis take part in a loop: all, so many, or as many as a traced number says."""

from __future__ import annotations

from typing import Any

from ..data import NUMBER, flatten, is_index
from ..errors import describe
from ..operations import table
from .bodies import any_traced, seen


def length_of(function: str, length: Any, count: int) -> Any:
    """Return how many of `count` items there are: an int, or a traced whole number from 0 to `count`.

    `ValueError` for a number that is known, and is none of these. Of a traced one the whole part counts, within these
    limits; nan counts as 0.
    """
    number = length
    if not is_index(length) and not isinstance(length, (bool, str)):
        numbers, structure = flatten(length, function, "length")
        if structure is not NUMBER:
            raise TypeError(f"{function} expected one number as length but got {describe('length', length)}")
        (number,) = seen(numbers)
    if any_traced([number]):
        given = table.stop_gradient(number)
        below = table.where(table.less(given, float(count)), table.floor(given), float(count))
        return table.where(table.less(0.0, given), below, 0.0)
    known = getattr(number, "value", number)
    if isinstance(known, (bool, str)) or not (known >= 0 and known % 1 == 0):
        raise ValueError(
            f"{function} expected a whole number of iterations, 0 or above, but got {describe('length', length)}"
        )
    return int(known)
