"""The rest of Python's `math`, so that ``import chainrule as math`` goes on working for Vars."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from math import comb as comb
from math import factorial as factorial
from math import gcd as gcd
from math import isqrt as isqrt
from math import lcm as lcm
from math import nextafter as nextafter
from math import perm as perm
from math import ulp as ulp
from typing import Any

from .table import copysign, norm, trunc, where

pi, e, tau, inf, nan = math.pi, math.e, math.tau, math.inf, math.nan

_STEP = 1022  # 2.0**-1022 is the least normal number


def isnan(x: Any) -> Any:
    """Return whether x is nan; in a trace as a number that is 1 or 0.

    >>> isnan(nan), isnan(1.0)
    (True, False)
    """
    return x != x


def isinf(x: Any) -> Any:
    """Return whether x is infinite.

    >>> isinf(-inf), isinf(nan)
    (True, False)
    """
    return abs(x) == inf


def isfinite(x: Any) -> Any:
    """Return whether x is neither infinite nor nan.

    >>> isfinite(1.0), isfinite(nan), isfinite(inf)
    (True, False, False)
    """
    return abs(x) < inf


def isclose(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> Any:
    """Return whether two numbers differ by at most `rel_tol` of the greater, or by `abs_tol`.

    >>> isclose(1.0, 1.0 + 1e-12), isclose(inf, 1.0), isclose(inf, inf)
    (True, False, True)
    """
    if rel_tol < 0.0 or abs_tol < 0.0:
        raise ValueError(f"isclose expected tolerances of 0 or above but got rel_tol={rel_tol!r}, abs_tol={abs_tol!r}")
    difference = abs(a - b)
    near = (difference <= rel_tol * abs(a)) | (difference <= rel_tol * abs(b)) | (difference <= abs_tol)
    return (a == b) | (near & (difference < inf))


def ldexp(x: Any, i: int) -> Any:
    """Return x * 2**i, rounded once.

    >>> ldexp(0.75, 4), ldexp(5e-324, 1074)
    (12.0, 1.0)
    """
    i = max(-3 * _STEP, min(3 * _STEP, operator.index(i)))
    steps, rest = divmod(abs(i), _STEP)
    sign = 1 if i >= 0 else -1
    x = x * 2.0 ** (sign * rest)  # first, so that only the last product can round
    for _ in range(steps):
        x = x * 2.0 ** (sign * _STEP)
    return x


def frexp(x: Any) -> tuple[Any, int]:
    """Return (m, i) with ``x == m * 2**i`` and m from 0.5 to below 1, or 0; it needs the value of x.

    >>> frexp(12.0)
    (0.75, 4)
    """
    value = getattr(x, "value", x)
    mantissa, exponent = math.frexp(value)
    return (mantissa if value is x else ldexp(x, -exponent)), exponent


def modf(x: Any) -> tuple[Any, Any]:
    """Return the fraction and the whole part of x, both with its sign.

    >>> modf(-2.5)
    (-0.5, -2.0)
    """
    whole = trunc(x)
    # An infinity has no fraction, and 0 keeps the sign.
    return copysign(where(isinf(x), 0.0, x - whole), x), whole


def dist(p: Sequence[Any], q: Sequence[Any]) -> Any:
    """Return the Euclidean distance of two points.

    >>> dist([1.0, 2.0], [4.0, 6.0])
    5.0
    """
    if len(p) != len(q):
        raise ValueError(f"dist expected points of the same dimension but got {len(p)} and {len(q)}")
    return norm([a - b for a, b in zip(p, q, strict=True)])


def fsum(numbers: Iterable[Any]) -> Any:
    """Return the sum; of floats exactly rounded, of Vars and in traces added from left to right.

    >>> fsum([0.1] * 10), sum([0.1] * 10)
    (1.0, 0.9999999999999999)
    """
    items = list(numbers)
    if all(isinstance(item, float | int) for item in items):
        return math.fsum(items)
    return sum(items[1:], items[0])
