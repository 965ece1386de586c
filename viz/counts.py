"""Read the whole numbers that options are: how many nodes, frames, points."""

from __future__ import annotations

import operator
from typing import Any

from chainrule.primitive import describe


def whole_number(number: Any, reader: str, name: str, least: int = 1) -> int:
    """Return an option of the function `reader` as an int, also where it is one of NumPy's.

    Errors: `TypeError` for what is no whole number, True and False among them, `ValueError` for one below `least`.

    >>> whole_number(3, "animate", "fps")
    3
    """
    try:
        if isinstance(number, bool):
            raise TypeError
        found = operator.index(number)
    except TypeError:
        raise TypeError(f"{reader} expected {name} as a whole number but got {describe(name, number)}") from None
    if found < least:
        raise ValueError(f"{reader} expected {name} of at least {least} but got {describe(name, number)}")
    return found
