"""Check the numbers that a caller gives: what is in range comes back, anything else is named with what was expected."""

from __future__ import annotations

import math
import operator
from typing import Any

from ..operations.primitive import describe, to_float


def whole_number(reader: str, name: str, number: Any, least: int = 1, noun: str = "whole number") -> int:
    """Return a whole number of any kind, NumPy's too, as Python's; False and True are none.

    Errors: `ValueError` for other numbers and for anything else.

    >>> whole_number("fit", "epochs", 3)
    3
    """
    found = operator.index(number) if is_index(number) else least - 1
    if found < least:
        raise ValueError(f"{reader} expected a {noun}, {least} or above, but got {describe(name, number)}")
    return found


def is_index(number: Any) -> bool:
    """Tell whether something is a whole number of any kind, NumPy's too, but neither False nor True.

    >>> is_index(3), is_index(True), is_index(3.0)
    (True, False, False)
    """
    if isinstance(number, bool):
        return False
    try:
        operator.index(number)
    except TypeError:
        return False
    return True


def number_within(reader: str, name: str, number: Any, below: float = math.inf, *, zero: bool = True) -> float:
    """Return a number from 0 to below `below` as a float.

    Args:
        reader, name: whose argument it is, for messages.
        number: a real number of any kind.
        below: the first number that is too large.
        zero: whether 0 is in range.

    Errors: `ValueError` for a number out of range, `TypeError` for what is none.

    >>> number_within("SGD", "momentum", 0.5, 1.0)
    0.5
    """
    found = to_float(number, reader, name)
    if not 0.0 <= found < below or (found == 0.0 and not zero):
        wanted = "a finite number, 0 or above," if zero else "a finite number above 0"
        if below < math.inf:
            wanted = f"a number from 0 to below {below:g}"
        raise ValueError(f"{reader} expected {wanted} but got {describe(name, number)}")
    return found
