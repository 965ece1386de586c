"""What functions of NumPy's compute of single numbers, where no row of the table has their name."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from . import table
from .methods import comparisons


def _modf(x: Any) -> tuple[Any, Any]:
    infinite = table.abs(x) == table.inf
    return table.where(infinite, table.copysign(0.0, x), table.fmod(x, 1.0)), table.trunc(x)


def _fmax(row: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return lambda x, y: table.where(x != x, y, table.where(y != y, x, row(x, y)))


def _ldexp(x: Any, n: Any) -> Any:
    # In two steps, since a power alone may overflow.
    half = table.floor(0.5 * n)
    return x * table.pow(2.0, half) * table.pow(2.0, n - half)


_LN_2 = 0.6931471805599453
RULES: dict[str, Callable[..., Any]] = {
    **comparisons,
    "conjugate": lambda x: x,
    "divmod": lambda x, y: (table.floor_divide(x, y), table.remainder(x, y)),
    "fabs": table.abs,
    "float_power": table.pow,
    "fmax": _fmax(table.maximum),
    "fmin": _fmax(table.minimum),
    "heaviside": lambda x, half: table.where(x == 0, half, table.where(x != x, x, table.where(x > 0, 1.0, 0.0))),
    "isfinite": lambda x: table.abs(x) < table.inf,
    "isinf": lambda x: table.abs(x) == table.inf,
    "isnan": lambda x: x != x,
    "ldexp": _ldexp,
    "logaddexp2": lambda x, y: table.logaddexp(x * _LN_2, y * _LN_2) / _LN_2,
    "logical_and": lambda x, y: (x != 0) & (y != 0),
    "logical_not": lambda x: x == 0,
    "logical_or": lambda x, y: (x != 0) | (y != 0),
    "logical_xor": lambda x, y: (x != 0) != (y != 0),
    "modf": _modf,
    "signbit": lambda x: table.copysign(1.0, x) < 0,
}


def nan_to_num(nan: Any, posinf: Any, neginf: Any) -> Callable[[Any], Any]:
    """Return what ``np.nan_to_num`` makes of each number; None stands for the greatest double, or the least."""
    most = sys.float_info.max
    high, low = most if posinf is None else posinf, -most if neginf is None else neginf

    def number(x: Any) -> Any:
        finite = table.where(x == table.inf, high, table.where(x == -table.inf, low, x))
        return table.where(x != x, nan, finite)

    return number


def numpy_sinc(x: Any) -> Any:
    """Return what ``np.sinc`` gives: nan where a number has no sine."""
    return table.where(table.abs(x) == table.inf, math.nan, table.sinc(x))
