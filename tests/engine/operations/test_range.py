"""Values and derivatives over the whole double range, against mpmath; the full scan is demos/accuracy.py.

No operation is named but in data: a new row is scanned without a new line.
"""

import itertools
import math

import chainrule as cr
import pytest
from chainrule import PRIMITIVES, Interval, Primitive, Var
from chainrule.graph.var import local_partials
from chainrule.testing.exact import exact_partial, exact_value, relative_error
from chainrule.testing.whole_range import COMPOSITES, deviations, scan, scan_points, second_partials

ROWS = {row.name: row for row in (*PRIMITIVES.values(), *COMPOSITES)}
FIRST, SECOND = 1e-12, 1e-9

# (thread, operation, point, by which arguments, derivative): what other libraries were reported to return 0, inf or
# nan for, with the number that the thread expects, or mpmath gives where the thread shows another type of float.
REPORTED = [
    ("pytorch#192406", "expm1", (-40.0,), (0,), 4.248354255291589e-18),
    ("pytorch#192407", "exp2", (1024.0,), (0,), 1.2460659279417838e308),
    ("pytorch#192408", "exp2", (1024.0,), (0, 0), 8.637070847446594e307),
    ("pytorch#193006", "norm", (1e200, 1.0, 1.0), (1,), 1e-200),
    ("pytorch#193040", "atan2", (2e-160, 2e-160), (0,), 2.5e159),
    ("pytorch#195527", "sigmoid", (40.0,), (0,), 4.248354255291589e-18),
    ("pytorch#195527", "sigmoid", (40.0,), (0, 0), -4.248354255291589e-18),
    ("pytorch#195527", "tanh", (20.0,), (0,), 1.6993417021166355e-17),
    ("pytorch#195527", "tanh", (20.0,), (0, 0), -3.398683404233271e-17),
    ("pytorch#195681", "sigmoid", (37.42994775023705,), (0,), 5.551115123125775e-17),
    ("pytorch#195682", "silu", (40.410841513445845,), (0, 0), -1.0820525268131133e-16),
    ("pytorch#195685", "tanh", (-9.010913848876953,), (0,), 5.9604584379258085e-08),
    ("pytorch#196703", "sinc", (0.0,), (0, 0), -(math.pi**2) / 3),
    ("jax#39794", "expm1", (-40.0,), (0,), 4.248354255291589e-18),
    ("jax#39795", "elu", (-40.0, 1.0), (0,), 4.248354255291589e-18),
    ("jax#39796", "selu", (-40.0,), (0,), 7.469173854063243e-18),
    ("jax#39799", "sqrt", (5e-324,), (0,), 2.2494568972715982e161),
    ("jax#39801", "tanh", (1e-300,), (0, 0), -2e-300),
    ("jax#40382", "exp2", (1024.0000000000002,), (0,), 1.2460659279419801e308),
    ("jax#40384", "log_softmax", (37.42994775023705, 0.0), (0,), 5.551115123125776e-17),
    ("jax#40384", "log_softmax", (37.42994775023705, 0.0), (1,), -5.551115123125776e-17),
    ("jax#40386", "softmax", (37.42994775023705, 0.0), (0,), 5.551115123125775e-17),
    ("jax#40387", "softplus", (37.42994775023705,), (0, 0), 5.551115123125775e-17),
    ("jax#40634", "asinh", (1e200,), (0,), 1e-200),
    ("jax#40634", "acosh", (1e200,), (0,), 1e-200),
]

# What this library itself once had wrong.
MENDED = [
    ("celu", (-1e-300, 1e300)),
    ("clip", (0.0, 5.0, 3.0)),
    ("digamma", (-0.5040830082644554,)),
    ("digamma", (-5.6671624415568855,)),
    ("elu", (-740.0, 1e300)),
    ("fmod", (1e300, 3.7e5)),
    ("fraction", (1e160, 1e160)),
    ("fraction", (1e308, 1e308)),
    ("gamma", (-0.5040830082644554,)),
    ("gelu", (-0.7517915246935645,)),
    ("gelu", (-1.4142135623730951,)),
    ("lgamma", (1.0000000000000002,)),
    ("lgamma", (-2.7476826467274127,)),
    ("lgamma", (-1.5734984731623904,)),
    ("logaddexp", (-math.log(2.0), -math.log(2.0))),
    ("logaddexp", (-1e-5, -11.5129254649702)),
    ("logsumexp", (-1.0986122886681098, -1.0986122886681098, -1.09861228)),
    ("mish", (-1.1924312145154952,)),
    ("norm", (1.0, 1e-9, 1e-12)),
    ("norm", (1e-200, 1e200, 3e180)),
    ("polygamma", (2.0, -5.470879)),
    ("pow", (5e-324, 1e-300)),
    ("remainder", (1.7e308, -0.9e308)),
    ("share", (1.0, 1e-300)),
    ("sigmoid", (-700.0,)),
    ("silu", (-1.2784645427610737,)),
    ("silu", (-714.9,)),
    ("silu", (1e-8,)),
    ("sinc", (-3.47088972434702,)),
    ("sinc", (5.481536650607196,)),
    ("tanh", (350.0,)),
    ("unit", (5e-324, 5e-324)),
    ("unit", (1.7e308, 1.7e308)),
    ("xlogy", (1e-300, 1e-310)),
]


def derivative(row, point, by):
    if len(by) == 1:
        return local_partials(row, row.evaluate(*point), point)[by[0]]
    return second_partials(row, point)[by[0]][by[1]]


def wrong(found):
    return [item for item in found if item.error > (FIRST if len(item.by) < 2 else SECOND)]


@pytest.mark.parametrize("name", ROWS)
def test_values_and_partials(name):
    for point, found in scan(ROWS[name], 16):
        assert not wrong(found), point


@pytest.mark.parametrize("name", ROWS)
def test_second_partials(name):
    for point, found in scan(ROWS[name], 3, order=2, seed=1):
        assert not wrong(found), point


@pytest.mark.parametrize(("name", "point"), MENDED, ids=str)
def test_mended(name, point):
    found = deviations(ROWS[name], point, order=2)
    assert found
    assert not wrong(found)


@pytest.mark.parametrize(("thread", "name", "point", "by", "expected"), REPORTED)
def test_reported_elsewhere(thread, name, point, by, expected):
    assert derivative(ROWS[name], point, by) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("thread", "name", "point", "by", "expected"), [case for case in REPORTED if len(case[2]) == 1]
)
def test_reported_elsewhere_through_the_transforms(thread, name, point, by, expected):
    """The same by reverse over reverse, and by forward over forward."""
    row, (x,) = ROWS[name], point

    def slope(x):
        return cr.jvp(row.evaluate if row in COMPOSITES else row, (x,), (1.0,))[1]

    reverse = cr.grad(row) if len(by) == 1 else cr.grad(cr.grad(row))
    forward = slope(x) if len(by) == 1 else cr.jvp(slope, (x,), (1.0,))[1]
    assert reverse(x) == pytest.approx(expected, rel=1e-14)
    assert forward == pytest.approx(expected, rel=1e-14)


class TestTheReference:
    """Differences with enough digits equal what is known in closed form."""

    @pytest.mark.parametrize(
        ("name", "point", "by", "closed"),
        [
            ("sin", (1e300,), (0,), lambda mp, x: mp.cos(x)),
            ("sin", (1e300,), (0, 0), lambda mp, x: -mp.sin(x)),
            ("tanh", (300.0,), (0,), lambda mp, x: mp.sech(x) ** 2),
            ("tanh", (354.0,), (0, 0), lambda mp, x: -2 * mp.sech(x) ** 2 * mp.tanh(x)),
            ("gamma", (170.0,), (0,), lambda mp, x: mp.gamma(x) * mp.digamma(x)),
            ("gamma", (-170.00000000001,), (0,), lambda mp, x: mp.gamma(x) * mp.digamma(x)),
            ("exp", (1e-300,), (0,), lambda mp, x: mp.exp(x)),
            ("log1p", (1e-300,), (0, 0), lambda mp, x: -1 / (1 + x) ** 2),
            ("log", (1e-300,), (0,), lambda mp, x: 1 / x),
            ("tan", (1e22,), (0,), lambda mp, x: 1 + mp.tan(x) ** 2),
            ("erf", (26.0,), (0,), lambda mp, x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
            ("atan", (1e150,), (0,), lambda mp, x: 1 / (1 + x * x)),
            ("floor", (1e15 + 0.5,), (0,), lambda mp, x: mp.mpf(0)),
            ("fmod", (1e300, 0.7), (1,), lambda mp, x, y: -mp.floor(x / y)),
            ("pow", (1.0000000000000002, 1e18), (0,), lambda mp, x, y: y * x ** (y - 1)),
            ("logaddexp", (1e300, 1e300), (0,), lambda mp, x, y: mp.mpf(0.5)),
            ("hypot", (1e-100, 1e150), (0,), lambda mp, x, y: x / mp.hypot(x, y)),
        ],
    )
    def test_closed_forms(self, name, point, by, closed):
        mpmath = pytest.importorskip("mpmath")
        with mpmath.workdps(400):
            known = closed(mpmath.mp, *[mpmath.mpf(x) for x in point])
            found = exact_partial(PRIMITIVES[name], point, *by)
            assert abs(found - known) <= abs(known) * mpmath.mpf(10) ** -19

    def test_no_value_outside_the_reals(self):
        assert math.isnan(exact_value(cr.log, (-1.0,)))
        assert math.isnan(exact_value(cr.pow, (-1.0, 0.5)))
        assert math.isnan(exact_value(cr.gamma, (-1.0,)))
        assert math.isnan(exact_partial(cr.pow, (-2.0, 3.0), 1))

    def test_what_no_double_holds_is_not_asked_for(self):
        assert relative_error(exact_partial(cr.exp, (-745.0,), 0), 0.0) is None
        assert exact_partial(cr.tanh, (1000.0,), 0) == 0
        assert deviations(cr.exp, (1000.0,)) == []


class TestTheScan:
    # Rules that most libraries have or had, and where they go wrong.
    NAIVE = (
        (cr.tanh, lambda y, x: (1 - y * y,)),
        (cr.sigmoid, lambda y, x: (y * (1 - y),)),
        (cr.expm1, lambda y, x: (y + 1,)),
        (cr.asinh, lambda y, x: (1 / cr.sqrt(x * x + 1),)),
        (cr.asin, lambda y, x: (1 / cr.sqrt(1 - x * x),)),
        (cr.gelu, lambda y, x: (cr.normal_cdf(x) + x * cr.normal_pdf(x),)),
        (cr.sinc, lambda y, x: (cr.where(x == 0, 0.0, (cr.cos(math.pi * x) - y) / x),)),
        (cr.hypot, lambda r, x, y: (x / cr.sqrt(x * x + y * y), y / cr.sqrt(x * x + y * y))),
        (cr.atan2, lambda z, y, x: (x / (x * x + y * y), -y / (x * x + y * y))),
        (cr.div, lambda z, x, y: (1 / y, -x / (y * y))),
        (cr.logsumexp, lambda z, *xs: [cr.exp(x - z) for x in xs]),
    )

    @pytest.mark.parametrize(("row", "partials"), NAIVE, ids=[row.name for row, _ in NAIVE])
    def test_finds_what_naive_rules_lose(self, row, partials):
        naive = Primitive(
            row.name, row.symbol, evaluate=row.evaluate, partials=partials, domain=row.domain, exact=row.exact
        )
        assert any(wrong(found) for _, found in scan(naive, 500))

    def test_points_reach_everywhere(self):
        points = [x for (x,) in itertools.islice(scan_points(cr.sin), 4000)]
        sizes = [abs(x) for x in points if x]
        assert min(sizes) < 1e-299 and max(sizes) > 1e299
        assert 0.4 < sum(x > 0 for x in points) / len(points) < 0.6
        assert any(0 < abs(x - 1.0) < 1e-15 for x in points)
        edge = [1 - x for (x,) in itertools.islice(scan_points(cr.atanh), 4000)]
        assert sum(0 < distance < 1e-3 for distance in edge) > 100

    def test_points_are_the_same_for_the_same_seed(self):
        first, second, other = [list(itertools.islice(scan_points(cr.pow, seed), 50)) for seed in (1, 1, 2)]
        assert first == second != other

    def test_arguments_meet(self):
        pairs = list(itertools.islice(scan_points(cr.atan2), 2000))
        assert any(x == y for x, y in pairs) and any(x and abs(y / x) > 1e200 for x, y in pairs)

    def test_kinks_are_left_out(self):
        assert [item.by for item in deviations(cr.relu, (0.0,))] == [()]
        assert [item.by for item in deviations(cr.relu, (0.5,))] == [(), (0,)]

    def test_zeros_of_second_partials_are_judged_by_what_is_near(self):
        # At 1 + 2**-50 the second derivative of the density is as small as the rounding in it.
        (*_, second) = deviations(cr.normal_pdf, (1 + 2.0**-50,), order=2)
        assert second.by == (0, 0) and second.error < SECOND
        assert second.got != float(second.exact)

    def test_a_row_of_ones_own(self):
        cube = Primitive(
            "cube",
            "x³",
            evaluate=lambda x: x * x * x,
            partials=lambda y, x: (3 * x * x,),
            domain=(Interval(-math.inf, math.inf),),
            exact=lambda mp, x: x**3,
        )
        assert not [found for _, found in scan(cube, 30, order=2) if wrong(found)]
        assert cube.apply((Var(2.0),)).value == 8.0
