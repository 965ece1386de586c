"""Check derivative rules: every row of the table against its definition at 50 digits and more.

`check_primitive` evaluates the definition with mpmath, differentiates that by differences with hundreds of digits,
and compares value, first and second partials. mpmath is needed when a check runs, not to import this module.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import MissingDependencyError
from .gradcheck import check_grads as check_grads
from .primitive import Interval, Primitive
from .strategies import Expression as Expression
from .strategies import arguments as arguments
from .strategies import expressions as expressions
from .var import Var, local_partials

__all__ = [
    "Expression",
    "arguments",
    "check_grads",
    "check_primitive",
    "exact_partial",
    "exact_value",
    "expressions",
    "sample",
    "second_partials",
]

# The least normal double: below it a double loses digits, and no relative bound is asked.
_LEAST_NORMAL = 2.2250738585072014e-308
_GREATEST = 1.7976931348623157e308


def sample(row: Primitive, count: int, seed: int = 0) -> list[tuple[float, ...]]:
    """Draw points of moderate size from a row's domain, off its kinks; the same seed gives the same points.

    >>> from chainrule import sqrt
    >>> [x > 0 for (x,) in sample(sqrt, 3)]
    [True, True, True]
    """
    source = random.Random(f"{row.name}/{seed}")
    points: list[tuple[float, ...]] = []
    while len(points) < count:
        point = tuple(_draw(source, interval) for interval in row.domain)
        if row.smooth is None or row.smooth(*point):
            points.append(point)
    return points


def _draw(source: random.Random, interval: Interval) -> float:
    low, high = interval.low, interval.high
    if interval.integers:
        return float(source.randint(math.floor(low) + 1, math.ceil(high) - 1))
    if math.isfinite(low) and math.isfinite(high):
        return source.uniform(low, high)
    size = math.exp(source.uniform(-5.0, 3.5))
    if math.isfinite(low):
        return low + size
    return high - size if math.isfinite(high) else source.choice((-1.0, 1.0)) * size


def exact_value(row: Primitive, point: Sequence[float], digits: int = 60) -> Any:
    """Evaluate the row's definition with mpmath to that many digits."""
    mp = _mpmath()
    with mp.workdps(digits):
        return _definition(row)(*[mp.mpf(x) for x in point])


def exact_partial(row: Primitive, point: Sequence[float], *by: int, digits: int = 200) -> Any:
    """Differentiate the row's definition by the arguments at the positions `by`, by central differences.

    The step is a power of ten so small, and the digits so many, that what is returned is right to far more
    than a double's digits; where values saturate (tanh at 300), digits are added until it is.

    >>> from chainrule import exp
    >>> float(exact_partial(exp, [0.0], 0)), float(exact_partial(exp, [1.0], 0, 0))
    (1.0, 2.718281828459045)
    """
    mp = _mpmath()
    # A result below the noise of its differences is either 0 or needs more digits: 16 times as many decide.
    for precision in (digits, 4 * digits, 16 * digits):
        with mp.workdps(precision):
            result, noise = _difference(row, [mp.mpf(x) for x in point], by, precision)
        if abs(result) > noise:
            return result
    return mp.mpf(0)


def _difference(row: Primitive, xs: list[Any], by: tuple[int, ...], digits: int) -> tuple[Any, Any]:
    mp = _mpmath()
    f = _definition(row)
    scale = mp.mpf(10) ** -(digits * 3 // 10)

    def differentiate(xs: list[Any], by: tuple[int, ...]) -> Any:
        if not by:
            return f(*xs)
        position, rest = by[0], by[1:]
        h = scale * (abs(xs[position]) or 1)
        up, down = list(xs), list(xs)
        up[position] += h
        down[position] -= h
        return (differentiate(up, rest) - differentiate(down, rest)) / (2 * h)

    noise = (abs(f(*xs)) + 1) * mp.mpf(10) ** (20 - digits)
    for position in by:
        noise /= scale * (abs(xs[position]) or 1)
    return differentiate(xs, by), noise


def second_partials(row: Primitive, point: Sequence[float]) -> list[list[float]]:
    """Differentiate the row's own rule once more: item i, j is the derivative by arguments i and j.

    >>> from chainrule import mul
    >>> second_partials(mul, [2.0, 3.0])
    [[0.0, 1.0], [1.0, 0.0]]
    """
    table = []
    for position in range(len(point)):
        xs = [Var(x) for x in point]
        partial = row.partials(row.apply(tuple(xs)), *xs)[position]
        if type(partial) is Var and partial.requires_grad:
            partial.backward()
        table.append([x.grad for x in xs])
    return table


def check_primitive(
    row: Primitive,
    points: Iterable[Sequence[float]] | None = None,
    *,
    order: int = 2,
    tolerance: float = 1e-12,
    digits: int = 200,
) -> int:
    """Compare a row with its definition at points of its domain, and return how many numbers were compared.

    Args:
        points: argument tuples; 20 from `sample` where left out.
        order: 1 for values and first partials, 2 for second ones too (those to 1,000 times the tolerance).
        tolerance: the greatest relative error; asked only where the true number is a normal double.
        digits: what the definition is evaluated with.

    Raises `AssertionError` that names the row, the point, expected and got.

    >>> from chainrule import tanh
    >>> check_primitive(tanh, [(0.5,), (-3.0,)])
    6
    """
    compared = 0
    smooth = [k for k, interval in enumerate(row.domain) if not interval.integers]
    for point in sample(row, 20) if points is None else points:
        xs = [float(x) for x in point]
        value = row.evaluate(*xs)
        compared += _compare(f"{row.name}{tuple(xs)}", exact_value(row, xs), value, tolerance)
        if not math.isfinite(value):
            continue
        partials = local_partials(row, value, xs)
        for i in smooth:
            name = f"the partial of {row.name}{tuple(xs)} by argument {i}"
            compared += _compare(name, exact_partial(row, xs, i, digits=digits), partials[i], tolerance)
        if order < 2:
            continue
        seconds = second_partials(row, xs)
        for i in smooth:
            for j in smooth:
                name = f"the second partial of {row.name}{tuple(xs)} by arguments {i} and {j}"
                exact = exact_partial(row, xs, i, j, digits=digits)
                compared += _compare(name, exact, seconds[i][j], 1e3 * tolerance)
    return compared


def _compare(what: str, exact: Any, got: float, tolerance: float) -> int:
    """Raise where `got` is wrong; return 1, or 0 where the true number is neither 0 nor a normal double."""
    size = abs(exact)
    if size == 0:
        if got != 0.0:
            raise AssertionError(f"{what}: expected 0 but got {got!r}")
        return 1
    if not (_LEAST_NORMAL <= size <= _GREATEST):
        return 0
    error = abs(got - exact) / size if math.isfinite(got) else math.inf
    if error > tolerance:
        raise AssertionError(
            f"{what}: expected {_MPMATH.nstr(exact, 17)} but got {got!r}, relative error {float(error):.1e}"
        )
    return 1


def _definition(row: Primitive) -> Any:
    mp = _mpmath()
    if row.exact is not None:
        exact = row.exact
        return lambda *xs: exact(mp, *xs)
    definition = getattr(mp, row.name, None)
    if definition is None:
        raise ValueError(f"check_primitive expected a definition in column 'exact' of row {row.name!r} but got None")
    return definition


_MPMATH: Any = None


def _mpmath() -> Any:
    global _MPMATH
    if _MPMATH is None:
        try:
            import mpmath
        except ImportError as error:
            raise MissingDependencyError(
                "chainrule.testing needs mpmath for exact values; install it with pip install mpmath"
            ) from error
        _MPMATH = mpmath.mp
    return _MPMATH
