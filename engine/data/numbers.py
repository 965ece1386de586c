"""Check numbers that a caller passes: return those in range, and name what was expected of any other.

`describe` writes what came, for every message of the package.
"""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

from ..errors import describe
from .reading import real_of


def whole_number(reader: str, name: str, number: Any, least: int = 1, noun: str = "whole number") -> int:
    """Return a whole number of any type, NumPy's included, as an int; False and True are refused.

    Errors: `ValueError` for other numbers and for anything else.

    >>> whole_number("fit", "epochs", 3)
    3
    """
    found = operator.index(number) if is_index(number) else least - 1
    if found < least:
        raise ValueError(f"{reader} expected a {noun}, {least} or above, but got {describe(name, number)}")
    return found


def is_index(number: Any) -> bool:
    """Return whether something is a whole number of any type, NumPy's included, other than False and True.

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


def number_in(value: Any) -> Any:
    """Return the item of a zero-dimensional NumPy array of objects; anything else unchanged."""
    if getattr(value, "shape", None) == () and getattr(value.dtype, "kind", "") == "O":
        return value[()]
    return value


_EACH = "apply it to each item, [f(x) for x in xs], or to a numpy.array of floats"


def to_float(value: Any, function: str, argument: str, wanted: str = "a float or Var", several: str = _EACH) -> float:
    """Convert a real number of any type, another library's scalars included, to float.

    Errors: `TypeError` names the function and the argument, also for a `Var` and for a tensor that PyTorch
    differentiates by, whose derivative would be lost, and for a masked number; `OverflowError` for what is beyond
    doubles.
    """
    # NumPy registers spans of time as whole numbers.
    is_plain = isinstance(value, Real) and type(value).__name__ != "timedelta64"
    number = value if is_plain else real_of(value)
    if number is not None:
        try:
            found = float(number)
            if math.isinf(found) and number != found:
                raise OverflowError
            return found
        except OverflowError:
            got = describe(argument, value)
            raise OverflowError(f"{function} expected a number within the range of doubles but got {got}") from None
        except (TypeError, ValueError):
            pass  # a signalling nan: refused below
    got = describe(argument, value)
    if hasattr(type(value), "__apply__") and not is_symbolic(value):  # a Var, where its graph would end
        raise TypeError(f"{function} expected a plain number but got {got}; use its .value")
    raise TypeError(f"{function} expected {wanted} but got {got}{_advice(value, several)}")


def _advice(value: Any, several: str) -> str:
    if getattr(value, "requires_grad", False):
        return ", which PyTorch differentiates by; pass its detach()"
    if isinstance(value, str):
        return "; convert it with float()"
    if hasattr(value, "__iter__") and getattr(value, "shape", None) != ():
        return f"; {several}"
    return ""


def is_symbolic(x: Any) -> bool:
    """Return whether `x` is a number whose value is not known yet, so that code cannot branch on it."""
    return getattr(type(x), "__symbolic__", False)


def is_unknown(x: Any) -> bool:
    """Return whether code may not branch on `x`: a traced number, or a Var that the traced function closes over."""
    # Comparisons of such a Var are traced.
    return type(x) is not float and (is_symbolic(x) or is_symbolic(x == x))
