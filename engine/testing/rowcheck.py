"""Check a row against its definition: value, first and second partials, at points of its domain."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

from ..graph import local_partials
from ..operations import Interval, Primitive
from .exact import is_defined, show
from .gradcheck import check_grads
from .whole_range import deviations


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


def check_primitive(
    row: Primitive,
    points: Iterable[Sequence[float]] | None = None,
    *,
    order: int = 2,
    tolerance: float = 1e-12,
) -> int:
    """Compare a row with its definition at points of its domain, and return how many numbers were compared.

    Args:
        points: argument tuples; 20 from `sample` where left out.
        order: 1 for values and first partials, 2 for second ones too (those to 1,000 times the tolerance).
        tolerance: the greatest relative error; asked only where the true number is a normal double.

    Raises `AssertionError` that names the row, the point, expected and got. A row of your own without a definition in
    column `exact` is compared with differences of its values, as `check_grads` does it. What it says of itself is
    asked, too: that it `commutes`, that it `compares`.

    >>> from chainrule import tanh
    >>> check_primitive(tanh, [(0.5,), (-3.0,)])
    6
    """
    compared = 0
    for point in sample(row, 20) if points is None else points:
        xs = tuple([float(x) for x in point])
        _check_traits(row, xs)
        if not is_defined(row):
            try:
                check_grads(lambda *xs: row.apply(xs), *xs, order=order)
            except AssertionError as problem:
                raise AssertionError(f"{row.name}{xs}: {problem}") from None
            compared += 1
            continue
        for by, exact, got, error in deviations(row, xs, order):
            if error > (tolerance if len(by) < 2 else 1e3 * tolerance):
                what = ("{}", "the partial of {} by argument {}", "the second partial of {} by arguments {} and {}")
                name = what[len(by)].format(f"{row.name}{xs}", *by)
                raise AssertionError(f"{name}: expected {show(exact)} but got {got!r}, relative error {error:.1e}")
            compared += 1
    return compared


def _check_traits(row: Primitive, xs: tuple[float, ...]) -> None:
    """Raise where the row's columns promise of its value and partials what is not so."""
    value = row.evaluate(*xs)
    if row.commutes:
        for other in (xs[::-1], xs[1:] + xs[:1]):
            got = row.evaluate(*other)
            if _bits(got) != _bits(value):
                raise AssertionError(f"{row.name}{xs}: it commutes, but {value!r} became {got!r} for {other}")
    if row.compares:
        partials = list(local_partials(row, value, xs))
        if value not in (0.0, 1.0) or any(partials):
            raise AssertionError(
                f"{row.name}{xs}: it compares, but its value is {value!r} and its partials are {partials}; they should "
                "be 0 or 1, and 0"
            )


def _bits(x: float) -> str:
    return math.nan.hex() if x != x else x.hex()
