"""Try operations over the whole double range: draw points where rules break, and measure a row's error there.

`scan_points` draws arguments of every magnitude, and closer and closer to the edges of domains, to poles, kinks,
overflow and zeros; `deviations` compares a row with mpmath at one of them. The activations that have no row stand in
`COMPOSITES` as if they had one.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..derivatives import grad
from ..graph import Var, local_partials
from ..loops import log_softmax, softmax
from ..operations import Interval, Primitive, functions
from .exact import exact_partial, exact_value, relative_error

__all__ = ["COMPOSITES", "Deviation", "deviations", "scan", "scan_points", "second_partials", "value_error"]

# Where functions begin, end, bend, overflow, underflow or change their formula; of both signs.
_MARKS = (
    *(0.0, 0.1, 0.25, 1 / 3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0),
    *(math.pi / 4, math.pi / 2, math.pi, 1.5 * math.pi, 2 * math.pi, 3 * math.pi, 11.0, 22.0, 355.0),
    *(math.e, math.log(2.0), math.sqrt(0.5), math.sqrt(2.0), math.sqrt(3.0)),
    *(16.0, 17.5, 18.7, 19.1, 20.0, 22.0, 30.0, 33.3, 34.0, 36.05, 36.74, 37.43, 40.0, 44.0, 50.0, 64.0, 88.7, 100.0),
    *(5.8, 5.9, 8.3, 26.2, 26.55, 27.23, 37.5, 38.45, 38.57, 150.0, 354.2, 354.9, 355.2, 372.5, 512.0, 537.0),
    *(170.6, 171.6, 171.62, 178.0, 184.0, 307.0, 308.2, 323.0, 690.0, 700.0, 708.4, 709.78, 710.47, 744.4, 745.13),
    *(1022.0, 1023.0, 1024.0, 1074.0, 1e5, 1e8, 2.0**26, 2.0**27, 2.0**52, 2.0**53, 1e15, 1e16, 1e20),
    *(1e100, 1e150, 1.34e154, 1e160, 1e200, 1e300, 1e305, 8.98e307, 1.79e308),
    *(1e-5, 1e-8, 2.0**-26, 2.0**-53, 1e-20, 1e-100, 1.5e-154, 1e-160, 1e-200, 1e-300, 2.3e-308, 4.5e-308),
)  # fmt: skip
_GRID = [k / 16 for k in range(-96, 97)]


# These add from left to right, as a chain of + would: their values are compared beside the sum of what is added.
_CHAINS = ("sum", "mean", "dot")
_SHARES = ("softmax",)

# Where second partials are not asked for, by row.
_EXCLUDED: dict[str, Callable[..., bool]] = {
    # x**(y - 2) alone may overflow, however small y makes the product.
    "pow": lambda x, y: abs(x) < 1e-150,
    # So may 1 / (x**2 + y**2), however small x * y is beside it.
    "atan2": lambda y, x: max(abs(x), abs(y)) < 1e-150,
}


class Deviation(NamedTuple):
    """One comparison: `by` is () for the value, (i,) for a partial, (i, j) for a second partial."""

    by: tuple[int, ...]
    exact: Any
    got: float
    error: float


def scan(
    row: Primitive, count: int, order: int = 1, seed: int = 0
) -> Iterator[tuple[tuple[float, ...], list[Deviation]]]:
    """Yield `count` points at which something can be compared, and the comparisons.

    >>> from chainrule import exp
    >>> max(deviation.error for point, found in scan(exp, 20) for deviation in found) < 1e-12
    True
    """
    left = count
    for point in itertools.islice(scan_points(row, seed), 50 * count):
        if left == 0:
            return
        found = deviations(row, point, order)
        if found:
            left -= 1
            yield point, found


def deviations(row: Primitive, point: Sequence[float], order: int = 1) -> list[Deviation]:
    """Compare a row with its definition at a point: its value and, if that is a normal double, its partials.

    Numbers that are no normal doubles are left out, and so are partials on a kink. Second partials are compared where
    the first ones are normal too.
    """
    exact = exact_value(row, point)
    value = row.evaluate(*point)
    error = value_error(row, point, exact, value)
    if error is None:
        return []
    found = [Deviation((), exact, value, error)]
    if row.smooth is not None and not row.smooth(*point):
        return found
    places = [k for k, interval in enumerate(row.domain) if not interval.integers]
    partials = local_partials(row, value, point)
    for i in places:
        exact = exact_partial(row, point, i)
        error = relative_error(exact, partials[i])
        if error is not None:
            found.append(Deviation((i,), exact, partials[i], error))
    if order > 1 and len(found) > len(places):
        found += _second_deviations(row, point, places)
    return found


def value_error(row: Primitive, point: Sequence[float], exact: Any, got: float) -> float | None:
    """Return a value's relative error, as `relative_error` does; for chains of additions, relative to the summands."""
    error = relative_error(exact, got)
    if error is None or row.name not in _CHAINS:
        return error
    size = exact_value(row, [abs(x) for x in point])
    # A sum that overflows half way is as it is defined.
    return float(abs(got - exact) / (size or 1)) if math.isfinite(got) else None


def _second_deviations(row: Primitive, point: Sequence[float], places: Sequence[int]) -> Iterator[Deviation]:
    if row.name in _EXCLUDED and _EXCLUDED[row.name](*point):
        return
    got = second_partials(row, point)
    exact = {(i, j): exact_partial(row, point, i, j) for i in places for j in places}
    errors = {(i, j): relative_error(exact[i, j], got[i][j]) for i, j in exact}
    for i, j in exact:
        error = errors[i, j]
        # A 0 between infinities may be nan: x**2 - y**2 over the fourth power of something small, at x = y.
        if error is None or (exact[i, j] == 0 and None in errors.values()):
            continue
        if error > 1e-9:
            error = _conditioned_error(row, point, (i, j), exact[i, j], got[i][j])
        yield Deviation((i, j), exact[i, j], got[i][j], error)


def _conditioned_error(row: Primitive, point: Sequence[float], by: tuple[int, ...], exact: Any, got: float) -> float:
    """Return the error relative to the effect of moving arguments by a thousandth, which allows for a zero nearby."""
    # Shares depend on differences of arguments; where two are equal the zero is far from any argument's own size.
    least = 1.0 if row.name in _SHARES else 0.0
    moved = [max(abs(x), least) * abs(exact_partial(row, point, *by, k)) for k, x in enumerate(point)]
    return float(abs(got - exact) / (abs(exact) + max(moved) / 1000)) if math.isfinite(got) else math.inf


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


def scan_points(row: Primitive, seed: int = 0) -> Iterator[tuple[float, ...]]:
    """Draw an endless series of points for a row; the same seed gives the same points.

    They need not lie in the row's domain: a function is tried wherever it is defined.

    >>> from chainrule import hypot
    >>> len(next(scan_points(hypot)))
    2
    """
    source = random.Random(f"{row.name}/{seed}")
    while True:
        point = [_draw(source, row, position) for position in range(row.arity)]
        # Arguments that know of each other: equal, almost, of any ratio, a multiple, a product, a logarithm apart.
        for position in range(1, row.arity):
            if not row.domain[position].integers and not row.domain[position - 1].integers:
                point[position] = _related(source, point[:position], point[position])
        if row.arity > 1 and not any(interval.integers for interval in row.domain) and source.random() < 0.5:
            source.shuffle(point)
        if all(math.isfinite(x) for x in point):
            # mpmath has no -0.0.
            yield tuple([x + 0.0 for x in point])


def _draw(source: random.Random, row: Primitive, position: int) -> float:
    interval = row.domain[position]
    if interval.integers:
        return float(source.randint(math.floor(interval.low) + 1, math.ceil(interval.high) - 1))
    kind = source.random()
    if kind < 0.45:
        return _near(source, source.choice(_marks(row) if row.arity == 1 else _MARKS) * source.choice((1.0, -1.0)))
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        # Outside there is often nothing.
        if kind < 0.6:
            return _near(source, source.choice((interval.low, interval.high)))
        if kind < 0.8:
            return source.uniform(interval.low, interval.high)
    sign = -1.0 if source.random() < (0.5 if interval.low < 0.0 else 0.2) else 1.0
    return sign * 10.0 ** (source.uniform(-3.0, 3.0) if kind < 0.75 else source.uniform(-300.0, 300.0))


def _near(source: random.Random, x: float) -> float:
    """Move a power of two away from a mark, relatively or absolutely, or stay."""
    kind = source.random()
    step = source.choice((1.0, -1.0)) * 2.0 ** -source.randint(1, 60) * source.choice((1.0, source.uniform(1.0, 2.0)))
    if kind < 0.1:
        return x
    if kind < 0.2:
        return math.nextafter(x, source.choice((-math.inf, math.inf)))
    return x + step if kind < 0.6 or x == 0.0 else x + step * x


def _related(source: random.Random, others: Sequence[float], own: float) -> float:
    """Derive one argument from those before it, or leave it."""
    x = source.choice(others)
    kind = source.randrange(14)
    try:
        if kind < 5:
            return own
        if kind == 5:
            return source.choice((x, -x))
        if kind == 6:
            return source.choice((1.0, -1.0)) * _near(source, x)
        if kind == 7:
            return x * source.choice((1.0, -1.0)) * 10.0 ** source.uniform(-30.0, 30.0)
        if kind == 8:
            return x * source.choice((1.0, -1.0)) * 10.0 ** source.uniform(-330.0, 330.0)
        if kind == 9:
            return _near(source, x * source.randint(1, 1000))
        if kind == 10:
            return _near(source, x / source.randint(1, 1000))
        if kind == 11:
            return _near(source, -math.prod(others))
        if kind == 12:
            return x + source.uniform(-800.0, 800.0)
        # exp, pow and their kin reach the ends of the range here.
        return source.uniform(-745.0, 710.0) / math.log(abs(x))
    except (ZeroDivisionError, OverflowError, ValueError):
        return own


@functools.cache
def _marks(row: Primitive) -> tuple[float, ...]:
    """List a row's special points: those of every row, its domain's ends, and where it or its partial changes sign."""
    (interval,) = row.domain
    ends = [end for end in (interval.low, interval.high) if math.isfinite(end)]
    zeros: list[float] = []
    for function in (row.evaluate, lambda x: local_partials(row, row.evaluate(x), [x])[0]):
        found = [_zero(function, a, b) for a, b in itertools.pairwise(_GRID)]
        zeros += [x for x in found if x is not None]
    # So often that half of the points are near them.
    return (*_MARKS, *ends * 8, *zeros * (1 + 60 // (1 + len(zeros))))


def _zero(function: Callable[[float], float], a: float, b: float) -> float | None:
    low, high = function(a), function(b)
    if not low * high < 0.0:
        return None
    for _ in range(60):
        middle = 0.5 * (a + b)
        if function(middle) * low > 0.0:
            a = middle
        else:
            b = middle
    return a


def _composite(name: str, function: Callable[..., Any], domain: tuple[Interval, ...], **row: Any) -> Primitive:
    """Make a row, outside the registry, from a function made of rows: its partials come from the transforms."""
    return Primitive(
        name,
        name,
        evaluate=function,
        partials=lambda y, *xs: grad(function, argnums=tuple(range(len(xs))))(*xs),
        domain=domain,
        doc=function.__doc__ or "",
        **row,
    )


_R = Interval(-math.inf, math.inf)
_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805

COMPOSITES = (
    _composite(
        "hardtanh", functions.hardtanh, (_R,), smooth=lambda x: abs(x) != 1.0,
        exact=lambda mp, x: max(min(x, mp.mpf(1)), mp.mpf(-1)),
    ),
    _composite(
        "selu", functions.selu, (_R,), smooth=lambda x: x != 0.0,
        exact=lambda mp, x: mp.mpf(_SCALE) * (x if x > 0 else mp.mpf(_ALPHA) * mp.expm1(x)),
    ),
    _composite(
        "softmax", lambda *xs: softmax(xs)[0], (_R,) * 4,
        exact=lambda mp, *xs: 1 / mp.fsum(mp.exp(x - xs[0]) for x in xs),
    ),
    _composite(
        "log_softmax", lambda *xs: log_softmax(xs)[0], (_R,) * 4,
        exact=lambda mp, *xs: -_log_sum(mp, [x - xs[0] for x in xs]),
    ),
)  # fmt: skip
"""The activations that are functions, not rows, for scans; softmax and log_softmax by their first item."""


def _log_sum(mp: Any, xs: Sequence[Any]) -> Any:
    top = max(xs)
    others = list(xs)
    others.remove(top)
    return top + mp.log1p(mp.fsum(mp.exp(x - top) for x in others))
