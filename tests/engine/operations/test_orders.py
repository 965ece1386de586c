"""Higher derivatives at and beside 0 and on axes, where a rule that is right to second order may be wrong."""

import itertools
import math
import random

import chainrule as cr
import pytest
from chainrule import PRIMITIVES, Interval, Primitive
from chainrule.operations.primitive import Reduction
from chainrule.testing import sample
from chainrule.testing.exact import exact_partial
from helpers import definition

mpmath = pytest.importorskip("mpmath")
ORDER = 6
ROWS = {name: row for name, row in PRIMITIVES.items() if not row.custom and row is not cr.stop_gradient}


def is_smooth(row, point, position):
    """Return whether a point is neither on an edge, kink or jump, nor right beside one."""
    for step in (-1e-8, 0.0, 1e-8):
        moved = [x + step if k == position else x for k, x in enumerate(point)]
        if not all(x in interval for x, interval in zip(moved, row.domain, strict=True)):
            return False
        if row.smooth is not None and not row.smooth(*moved):
            return False
    return True


POINTS = [
    pytest.param(row, (*point[:k], x, *point[k + 1 :]), k, id=f"{name}-{k}-{x}")
    for name, row in ROWS.items()
    for k, interval in enumerate(row.domain)
    if not interval.integers
    for point in sample(row, 1, seed=5)
    for x in (0.0, 1e-9, -1e-9, 0.1)
    if is_smooth(row, (*point[:k], x, *point[k + 1 :]), k)
]


@pytest.mark.parametrize(("row", "point", "position"), POINTS)
def test_smooth_rows_at_and_beside_0(row, point, position):
    def along(f, number=float):
        return lambda x: f(*[x if k == position else number(y) for k, y in enumerate(point)])

    x = point[position]
    with mpmath.workdps(60):
        expected = mpmath.taylor(along(definition(row), mpmath.mpf), mpmath.mpf(x), ORDER)
    nested = [along(lambda *xs: row.apply(xs))]
    for _ in range(ORDER):
        nested.append(cr.grad(nested[-1]))
    traced = cr.compile(lambda x: cr.taylor(nested[0], x, ORDER), backend="python")
    by_grad = [f(x) / math.factorial(k) for k, f in enumerate(nested)]
    for got in (cr.taylor(nested[0], x, ORDER), traced(x), by_grad):
        scale = max(map(abs, expected))
        assert all(
            abs(mine - theirs) <= 1e-9 * abs(theirs) + 1e-16 * scale for mine, theirs in zip(got, expected, strict=True)
        ), (got, expected)


def softmax(mp, *xs):
    return mp.exp(xs[0]) / mp.fsum(mp.exp(x) for x in xs)


# Functions of any number of numbers, with their definitions.
MANY = {
    **{name: (row.apply, row.exact) for name, row in ROWS.items() if isinstance(row, Reduction)},
    "softmax": (lambda xs: cr.softmax(xs)[0], softmax),
    "log_softmax": (lambda xs: cr.log_softmax(xs)[0], lambda mp, *xs: mp.log(softmax(mp, *xs))),
    "prod": (cr.prod, lambda mp, *xs: mp.fprod(xs)),
}
FUNCTIONS = [
    pytest.param(f, exact, (Interval(-math.inf, math.inf),) * count, lambda *xs: any(xs), id=f"{name}-{count}")
    for name, (f, exact) in MANY.items()
    for count in (1, 2, 3, 4)
    if name != "dot" or count % 2 == 0
] + [
    pytest.param(row.apply, row.exact or definition(row), row.domain, row.smooth, id=name)
    for name, row in ROWS.items()
    if row.arity > 1 and not isinstance(row, Reduction)
]


@pytest.mark.parametrize(("f", "exact", "domain", "smooth"), FUNCTIONS)
def test_third_partials_on_axes(f, exact, domain, smooth):
    """Zeros in all places but one, ties, and what is between."""
    count = len(domain)
    exact = exact if exact.__code__.co_varnames[0] == "mp" else lambda mp, *xs, f=exact: f(*xs)
    row = Primitive("f", "f", evaluate=lambda *xs: f(xs), partials=None, domain=domain, exact=exact)
    axes = [tuple(x if k == place else 0.0 for k in range(count)) for place in range(count) for x in (1.0, -2.0)]
    axes = axes if count < 4 else axes[::3]
    points = list(itertools.product((0.0, 1.0, -2.0), repeat=count))
    for point in axes + random.Random(0).sample(points, min(len(points), 4)):
        if not all(x in interval for x, interval in zip(point, domain, strict=True)):
            continue
        if smooth is not None and not smooth(*point):
            continue
        places = [k for k, interval in enumerate(domain) if not interval.integers]
        for by in itertools.combinations_with_replacement(places, 3):
            expected = exact_partial(row, point, *by)
            nested = row.evaluate
            for place in by:
                nested = cr.grad(nested, argnums=place)
            # A definition that rounds has no third differences to speak of.
            assert mpmath.isnan(expected) or nested(*point) == pytest.approx(float(expected), rel=1e-9, abs=1e-15), by


@pytest.mark.parametrize("beside", [0.0, 1e-9, 1e-6, 1e-3, 0.1, 0.45])
@pytest.mark.parametrize("others", [(1.0,), (1.0, 1e-3), (0.0, -2.0, 0.0)], ids=str)
def test_series_of_norm_beside_an_axis(beside, others):
    def f(t):
        return cr.norm([t, *others])

    with mpmath.workdps(60):
        expected = mpmath.taylor(lambda t: mpmath.norm([t, *map(mpmath.mpf, others)]), mpmath.mpf(beside), ORDER)
    for taylor in (lambda x: cr.taylor(f, x, ORDER), cr.compile(lambda x: cr.taylor(f, x, ORDER), backend="python")):
        assert taylor(beside) == pytest.approx([float(c) for c in expected], rel=1e-13, abs=1e-18)
