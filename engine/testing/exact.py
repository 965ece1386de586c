"""Compute a row's true value and derivatives at any doubles with mpmath, right to 30 digits and more.

A derivative is a central difference of the definition with steps so small, and digits so many, that it is right to far
more than a double's digits; two steps must agree. Nothing here uses the rules that are to be checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import needing
from ..operations import Primitive

__all__ = ["exact_partial", "exact_value", "relative_error", "show"]

# The least normal double: below it a double loses digits, and no relative bound is asked.
LEAST_NORMAL = 2.2250738585072014e-308
GREATEST = 1.7976931348623157e308

# Steps by their distance from an argument's size, in digits: the second is for jumps that stand close (fmod).
_STEP, _SHORT_STEP = 40, 700
# Differences smaller than this are of no double.
_NOTHING = -340


def exact_value(row: Primitive, point: Sequence[float], digits: int = 50) -> Any:
    """Evaluate the row's definition with mpmath to that many digits; nan if it is not a real number.

    >>> from chainrule import exp
    >>> float(exact_value(exp, [1.0]))
    2.718281828459045
    """
    mp = _mpmath()
    # Sums like 1e300 + 1e-300 in a definition lose nothing.
    with mp.workdps(digits + _spread(point)):
        return _real(_definition(row), [mp.mpf(x) for x in point])


def exact_partial(row: Primitive, point: Sequence[float], *by: int, digits: int = 30) -> Any:
    """Differentiate the row's definition by the arguments at the positions `by`, by central differences.

    Returns 0 where the result is exactly 0 or too small for any double, and nan where there is none.

    >>> from chainrule import exp
    >>> float(exact_partial(exp, [0.0], 0)), float(exact_partial(exp, [1.0], 0, 0))
    (1.0, 2.718281828459045)
    """
    mp = _mpmath()
    f = _definition(row)
    for step in (_STEP, _SHORT_STEP) if row.smooth is None else (_SHORT_STEP,):
        least = math.floor(min([_magnitude(x) for x in point if x] + [0.0]))
        # The decimal exponent of each step.
        steps = [(min(0, math.floor(_magnitude(point[i]))) if point[i] else least) - step for i in by]
        precision = digits + 30 + _spread(point) - sum(steps)
        with mp.workdps(precision):
            found, noise = _difference(f, [mp.mpf(x) for x in point], by, steps)
        if mp.isfinite(found) and abs(found) <= noise * mp.mpf(10) ** digits:
            # Either it is 0, or lost beside the value (tanh at 300): so many digits decide that no double is missed.
            size = 0 if noise == 0 else max(0, math.ceil(float(mp.log10(noise))) + precision - _NOTHING)
            precision = max(precision, size + digits)
            with mp.workdps(precision):
                found, noise = _difference(f, [mp.mpf(x) for x in point], by, steps)
            if abs(found) <= noise * mp.mpf(10) ** digits:
                return mp.mpf(0)
        with mp.workdps(precision + 10 * len(by)):
            again, _ = _difference(f, [mp.mpf(x) for x in point], by, [exponent - 5 for exponent in steps])
            if abs(found - again) <= abs(again) * mp.mpf(10) ** (10 - digits):
                return again
    return mp.nan


def relative_error(exact: Any, got: float) -> float | None:
    """Return abs(got - exact) / abs(exact); None where there is no bound: the true number is not a normal double.

    >>> relative_error(4.0, 5.0), relative_error(0.0, 0.0), relative_error(1e-320, 0.0)
    (0.25, 0.0, None)
    """
    size = abs(exact)
    if size == 0:
        return 0.0 if abs(got) < LEAST_NORMAL else math.inf
    if not (LEAST_NORMAL <= size <= GREATEST):
        return None
    return float(abs(got - exact) / size) if math.isfinite(got) else math.inf


def show(exact: Any) -> str:
    """Write an exact number with as many digits as a double has."""
    text: str = _mpmath().nstr(exact, 17)
    return text


def _difference(f: Callable[..., Any], xs: list[Any], by: tuple[int, ...], steps: Sequence[int]) -> tuple[Any, Any]:
    """Return the central difference quotient, and how far rounding in `f` can change it."""
    mp = _mpmath()
    if not by:
        value = _real(f, xs)
        return value, abs(value) * mp.eps * 1000
    h = mp.mpf(10) ** steps[0]
    up, down = list(xs), list(xs)
    up[by[0]] += h
    down[by[0]] -= h
    above, noise = _difference(f, up, by[1:], steps[1:])
    below, more = _difference(f, down, by[1:], steps[1:])
    return (above - below) / (2 * h), (noise + more) / (2 * h)


def _real(f: Callable[..., Any], xs: list[Any]) -> Any:
    mp = _mpmath()
    try:
        value = f(*xs)
    except (ValueError, ArithmeticError):
        return mp.nan
    return mp.nan if isinstance(value, mp.mpc) else mp.mpf(value)


def _magnitude(x: float) -> float:
    return math.log10(abs(x)) if x else 0.0


def _spread(point: Sequence[float]) -> int:
    """Return how many decimal digits lie between the least and the greatest of the arguments and 1."""
    sizes = [0.0, *map(_magnitude, point)]
    return math.ceil(max(sizes) - min(sizes))


def is_defined(row: Primitive) -> bool:
    """Return whether a row has a definition to compare with: its own, or the mpmath function of that name."""
    return row.exact is not None or (not row.custom and hasattr(_mpmath(), row.name))


def _definition(row: Primitive) -> Callable[..., Any]:
    mp = _mpmath()
    if row.exact is not None:
        exact = row.exact
        return lambda *xs: exact(mp, *xs)
    definition: Callable[..., Any] | None = getattr(mp, row.name, None)
    if definition is None:
        raise ValueError(f"check_primitive expected a definition in column 'exact' of row {row.name!r} but got None")
    return definition


_MPMATH: Any = None


def _mpmath() -> Any:
    global _MPMATH
    if _MPMATH is None:
        with needing("chainrule.testing", "mpmath"):
            import mpmath
        _MPMATH = mpmath.mp
    return _MPMATH
