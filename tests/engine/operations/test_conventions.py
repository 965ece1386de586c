"""Kinks, poles and tails: the table of conventions, value and partials, one line a case."""

import math

import chainrule as cr
import pytest
from chainrule import Var
from chainrule.testing import second_partials

inf, nan = math.inf, math.nan

CASES = [
    ("relu", (0.0,), 0.0, (0.0,)),
    ("abs", (0.0,), 0.0, (0.0,)),
    ("sign", (0.0,), 0.0, (0.0,)),
    ("leaky_relu", (0.0, 0.1), 0.0, (0.1, 0.0)),
    ("elu", (0.0, 2.0), 0.0, (1.0, 0.0)),
    ("maximum", (3.0, 3.0), 3.0, (0.5, 0.5)),
    ("minimum", (3.0, 3.0), 3.0, (0.5, 0.5)),
    ("clip", (1.0, 0.0, 1.0), 1.0, (0.0, 0.0, 0.0)),
    ("clip", (0.0, 0.0, 1.0), 0.0, (0.0, 0.0, 0.0)),
    ("pow", (0.0, 0.0), 1.0, (0.0, 0.0)),
    ("pow", (0.0, 2.0), 0.0, (0.0, 0.0)),
    ("pow", (0.0, 0.5), 0.0, (inf, 0.0)),
    ("pow", (0.0, -1.0), inf, (-inf, -inf)),
    ("pow", (-2.0, 3.0), -8.0, (12.0, nan)),
    ("sqrt", (0.0,), 0.0, (inf,)),
    ("log", (0.0,), -inf, (inf,)),
    ("log", (-1.0,), nan, (nan,)),
    ("div", (1.0, 0.0), inf, (inf, -inf)),
    ("atan2", (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot", (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot", (3e200, 4e200), 5e200, (0.6, 0.8)),
    ("fmod", (-7.0, 3.0), -1.0, (1.0, 2.0)),
    ("remainder", (-7.0, 3.0), 2.0, (1.0, 3.0)),
    ("xlogy", (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("exp", (1000.0,), inf, (inf,)),
    ("log2", (-1.0,), nan, (nan,)),
    ("log10", (-1.0,), nan, (nan,)),
    ("log1p", (-1.0,), -inf, (inf,)),
    ("log1p", (-2.0,), nan, (nan,)),
    ("atanh", (2.0,), nan, (nan,)),
    ("asin", (2.0,), nan, (nan,)),
    ("where", (1.0, 2.0, 3.0), 2.0, (0.0, 1.0, 0.0)),
    # A bound above the other: what minimum(maximum(x, low), high) gives.
    ("clip", (0.0, 5.0, 3.0), 3.0, (0.0, 0.0, 1.0)),
    ("clip", (9.0, 5.0, 3.0), 3.0, (0.0, 0.0, 1.0)),
    # From the side where the function is, -0.0 is 0.
    ("sqrt", (-0.0,), -0.0, (inf,)),
    ("log", (-0.0,), -inf, (inf,)),
    ("log2", (-0.0,), -inf, (inf,)),
    ("log10", (-0.0,), -inf, (inf,)),
    ("abs", (-0.0,), 0.0, (0.0,)),
    ("relu", (-0.0,), 0.0, (0.0,)),
    ("copysign", (2.0, -0.0), -2.0, (-1.0, 0.0)),
    ("div", (1.0, -0.0), -inf, (-inf, -inf)),
    ("atan2", (0.0, -0.0), math.pi, (0.0, 0.0)),
    ("atan2", (-0.0, 1.0), -0.0, (1.0, 0.0)),
    ("pow", (-0.0, 3.0), -0.0, (0.0, 0.0)),
    ("pow", (-0.0, -1.0), -inf, (-inf, -inf)),
    # Infinities: the limit, where there is one.
    ("abs", (-inf,), inf, (-1.0,)),
    ("sqrt", (inf,), inf, (0.0,)),
    ("rsqrt", (inf,), 0.0, (0.0,)),
    ("cbrt", (-inf,), -inf, (0.0,)),
    ("reciprocal", (-inf,), 0.0, (0.0,)),
    ("div", (1.0, inf), 0.0, (0.0, 0.0)),
    ("pow", (inf, 2.0), inf, (inf, inf)),
    ("pow", (inf, -1.0), 0.0, (0.0, 0.0)),
    ("exp", (-inf,), 0.0, (0.0,)),
    ("exp2", (-inf,), 0.0, (0.0,)),
    ("expm1", (-inf,), -1.0, (0.0,)),
    ("exp_remainder", (-inf,), -1.0, (0.0,)),
    ("log", (inf,), inf, (0.0,)),
    ("log1p", (inf,), inf, (0.0,)),
    ("xlogy", (0.0, inf), 0.0, (inf, 0.0)),
    ("atan", (-inf,), -math.pi / 2, (0.0,)),
    ("atan2", (inf, 1.0), math.pi / 2, (0.0, 0.0)),
    ("atan2", (inf, inf), math.pi / 4, (0.0, 0.0)),
    ("asinh", (inf,), inf, (0.0,)),
    ("acosh", (inf,), inf, (0.0,)),
    ("tanh", (inf,), 1.0, (0.0,)),
    ("tanh", (-inf,), -1.0, (0.0,)),
    ("sigmoid", (inf,), 1.0, (0.0,)),
    ("sigmoid", (-inf,), 0.0, (0.0,)),
    ("log_sigmoid", (-inf,), -inf, (1.0,)),
    ("log_sigmoid", (inf,), 0.0, (0.0,)),
    ("softplus", (-inf,), 0.0, (0.0,)),
    ("softplus", (inf,), inf, (1.0,)),
    ("softsign", (inf,), 1.0, (0.0,)),
    ("softsign", (-inf,), -1.0, (0.0,)),
    ("elu", (-inf, 2.0), -2.0, (0.0, -1.0)),
    ("celu", (-inf, 2.0), -2.0, (0.0, -1.0)),
    ("gelu", (-inf,), 0.0, (0.0,)),
    ("gelu", (inf,), inf, (1.0,)),
    ("silu", (-inf,), 0.0, (0.0,)),
    ("silu", (inf,), inf, (1.0,)),
    ("mish", (-inf,), 0.0, (0.0,)),
    ("mish", (inf,), inf, (1.0,)),
    ("erf", (inf,), 1.0, (0.0,)),
    ("erfc", (-inf,), 2.0, (0.0,)),
    ("erfinv", (1.0,), inf, (inf,)),
    ("normal_pdf", (-inf,), 0.0, (0.0,)),
    ("normal_cdf", (inf,), 1.0, (0.0,)),
    ("sinc", (inf,), 0.0, (0.0,)),
    ("sin", (inf,), nan, (nan,)),
    ("gamma", (inf,), inf, (inf,)),
    ("gamma", (-inf,), nan, (nan,)),
    ("digamma", (inf,), inf, (0.0,)),
    ("hypot", (inf, 1.0), inf, (1.0, 0.0)),
    ("hypot", (-1.0, inf), inf, (0.0, 1.0)),
    ("unit", (-inf, 1.0), -1.0, (0.0, 0.0)),
    ("fraction", (inf, 1.0), 1.0, (0.0, 0.0)),
    ("fmod", (-1.0, inf), -1.0, (1.0, 0.0)),
    ("remainder", (-1.0, inf), inf, (1.0, 1.0)),
    # Two infinities count as equal, and equal arguments share.
    ("maximum", (inf, inf), inf, (0.5, 0.5)),
    ("logaddexp", (-inf, -inf), -inf, (0.5, 0.5)),
    ("logaddexp", (inf, inf), inf, (0.5, 0.5)),
    ("logaddexp", (inf, 1.0), inf, (1.0, 0.0)),
    ("logaddexp", (-inf, 1.0), 1.0, (0.0, 1.0)),
    # Poles left of 0: digamma has no value where gamma has none.
    ("gamma", (-2.0,), nan, (nan,)),
    ("gamma", (-0.0,), -inf, (-inf,)),
    ("lgamma", (-2.0,), inf, (nan,)),
    ("lgamma", (0.0,), inf, (-inf,)),
    ("digamma", (-2.0,), nan, (inf,)),
]


def same(x, y):
    """Return whether numbers are equal up to the last bit; nan equals nan."""
    return x == pytest.approx(y, rel=2.3e-16, abs=0.0, nan_ok=True)


@pytest.mark.parametrize(("name", "point", "value", "partials"), CASES, ids=lambda case: str(case))
def test_value_and_partials(name, point, value, partials):
    node = cr.PRIMITIVES[name](*[Var(x) for x in point])
    assert same(node.value, value)
    assert all(same(got, expected) for got, expected in zip(node.partials, partials, strict=True)), node.partials
    # Whatever is a constant instead of a Var, the other partials stay.
    for position in range(len(point)):
        args = [Var(x) if k == position else x for k, x in enumerate(point)]
        assert same(cr.PRIMITIVES[name](*args).partials[position], partials[position])


@pytest.mark.parametrize(
    ("operator", "point", "partials"),
    [
        (lambda x, y: x**y, (0.0, 0.0), (0.0, 0.0)),
        (lambda x, y: x**y, (0.0, 0.5), (inf, 0.0)),
        (lambda x, y: x / y, (1.0, 0.0), (inf, -inf)),
        (lambda x, y: x % y, (-7.0, 3.0), (1.0, 3.0)),
    ],
)
def test_operators_follow_the_rows(operator, point, partials):
    x, y = point
    assert operator(Var(x), Var(y)).partials == partials
    assert operator(Var(x), y).partials[0] == partials[0]
    assert operator(x, Var(y)).partials[1] == partials[1]


@pytest.mark.parametrize(
    ("name", "x", "derivative"),
    [
        ("sigmoid", 40.0, 4.248354255291589e-18),
        ("tanh", 20.0, 1.6993417021166355e-17),
        ("expm1", -50.0, 1.9287498479639178e-22),
        ("sinc", 1e-9, -3.289868133696453e-09),
    ],
)
def test_tails(name, x, derivative):
    assert cr.PRIMITIVES[name](Var(x)).partials[0] == pytest.approx(derivative, rel=1e-15)


def test_values_in_the_tails():
    assert cr.softplus(21.0) == pytest.approx(21.00000000075826, rel=1e-15)
    assert math.isnan(cr.maximum(nan, 1.0)) and math.isnan(cr.maximum(1.0, nan))
    assert cr.fma(0.1, 10.0, -1.0) == 5.551115123125783e-17
    assert cr.round(2.5) == 2.0 and cr.round(-0.4) == 0.0


def test_softmax_keeps_small_derivatives():
    x, y = Var(50.0), Var(0.0)
    cr.softmax([x, y])[0].backward()
    share = math.exp(-50.0)
    assert x.grad == pytest.approx(share, rel=1e-15) and y.grad == pytest.approx(-share, rel=1e-15)
    x.zero_grad()
    cr.log_softmax([x, y])[0].backward()
    assert x.grad == pytest.approx(share, rel=1e-15)


def test_softmax_of_huge_numbers():
    xs = [Var(1e300), Var(1e300), Var(-1e300)]
    shares = cr.softmax(xs)
    assert [share.value for share in shares] == [0.5, 0.5, 0.0]
    total = cr.logsumexp(xs)
    assert total.partials == (0.5, 0.5, 0.0)


# Operations that give a number although an argument is nan, with that position: C's and Python's functions do so, and
# a choice is not made of what it did not choose.
FORGIVING = {
    ("hypot", 0): (nan, inf),
    ("hypot", 1): (inf, nan),
    ("pow", 0): (nan, 0.0),
    ("pow", 1): (1.0, nan),
    ("copysign", 1): (1.0, nan),
    ("where", 0): (nan, 1.0, 2.0),
    ("where", 1): (0.0, nan, 2.0),
    ("where", 2): (1.0, 1.0, nan),
    ("leaky_relu", 1): (1.0, nan),
    ("elu", 1): (1.0, nan),
    ("celu", 1): (1.0, nan),
    ("strong_mul", 0): (nan, 0.0),
    ("strong_mul", 1): (0.0, nan),
    **{(name, 0): (nan, 1.0) for name in ("less", "less_equal", "equal", "not_equal")},
    **{(name, 1): (1.0, nan) for name in ("less", "less_equal", "equal", "not_equal")},
}


@pytest.mark.parametrize("name", cr.PRIMITIVES)
def test_nan_in_nan_out(name):
    row = cr.PRIMITIVES[name]
    for position in range(row.arity):
        if (name, position) in FORGIVING:
            assert not math.isnan(row.evaluate(*FORGIVING[name, position]))
            continue
        for other in (0.0, 1.0, -2.5):
            point = [other] * row.arity
            point[position] = nan
            assert math.isnan(row.evaluate(*point)), point


def test_nan_is_on_neither_side_of_a_comparison():
    for name in ("maximum", "minimum"):
        assert cr.PRIMITIVES[name](Var(nan), Var(1.0)).partials == (0.0, 0.0)
    assert cr.relu(Var(nan)).partials == (0.0,)


@pytest.mark.parametrize("function", [cr.logsumexp, lambda xs: cr.softmax(xs)[0], lambda xs: cr.log_softmax(xs)[1]])
@pytest.mark.parametrize("others", [[-inf], [-inf, -inf]])
def test_minus_infinity_takes_no_share(function, others):
    plain, masked = [Var(0.3), Var(-1.2)], [Var(0.3), Var(-1.2), *map(Var, others)]
    result, expected = function(masked), function(plain)
    result.backward()
    expected.backward()
    assert result.value == expected.value
    assert [x.grad for x in masked] == [x.grad for x in plain] + [0.0] * len(others)


@pytest.mark.parametrize("x", [inf, -inf])
def test_equal_infinities_share(x):
    xs = [Var(x), Var(x)]
    assert [share.value for share in cr.softmax(xs)] == [0.5, 0.5]
    assert [share.value for share in cr.log_softmax(xs)] == [-math.log(2.0)] * 2
    total = cr.logsumexp(xs)
    assert total.value == x
    assert total.partials == (0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "point", "by", "expected"),
    [
        ("pow", (0.0, 2.0), (0, 0), 2.0),
        ("pow", (0.0, 3.0), (0, 0), 0.0),
        ("pow", (0.0, 1.0), (0, 0), 0.0),
        ("pow", (-2.0, 3.0), (0, 0), -12.0),
        ("sinc", (0.0,), (0, 0), -(math.pi**2) / 3),
        ("tanh", (0.0,), (0, 0), 0.0),
        ("tanh", (inf,), (0, 0), 0.0),
        ("sigmoid", (-inf,), (0, 0), 0.0),
        ("softplus", (0.0,), (0, 0), 0.25),
        ("softplus", (800.0,), (0, 0), 0.0),
        ("hypot", (0.0, 2.0), (0, 0), 0.5),
        ("hypot", (0.0, 2.0), (1, 1), 0.0),
        ("hypot", (0.0, 0.0), (0, 0), 0.0),
        ("norm", (0.0, 0.0, 2.0), (0, 0), 0.5),
        ("norm", (0.0, 0.0, 2.0), (2, 2), 0.0),
        ("atan", (0.0,), (0, 0), 0.0),
        ("gelu", (0.0,), (0, 0), math.sqrt(2.0 / math.pi)),
        ("silu", (0.0,), (0, 0), 0.5),
        ("mish", (0.0,), (0, 0), 0.64),
        ("logaddexp", (3.0, 3.0), (0, 1), -0.25),
        ("xlogy", (0.0, 4.0), (0, 1), 0.25),
    ],
)
def test_second_partials_at_edges(name, point, by, expected):
    found = second_partials(cr.PRIMITIVES[name], point)
    assert found[by[0]][by[1]] == pytest.approx(expected, rel=1e-15, abs=0.0)


# Smooth functions written through a kink or a pole: at it the chain rule has 0 times something, and exactly 0 wins.
# Powers of norm, hypot, abs, sqrt, cbrt and of x**fraction are what they should be (test_roots.py); these are not.
@pytest.mark.parametrize(
    ("f", "order", "got", "smooth"),
    [
        pytest.param(lambda x: cr.maximum(x, -x) ** 2, 2, 0.0, 2.0, id="maximum(x, -x)**2"),
        pytest.param(lambda x: abs(x) * abs(1.0 * x), 2, 0.0, 2.0, id="abs(x) * abs(x), twice computed"),
        pytest.param(lambda x: cr.cbrt(x**3), 1, 0.0, 1.0, id="cbrt(x**3)"),
        pytest.param(lambda x: cr.exp(cr.log(x)), 1, 0.0, 1.0, id="exp(log(x))"),
        pytest.param(lambda x: cr.sqrt(x**4), 2, 0.0, 2.0, id="sqrt(x**4)"),
        pytest.param(lambda x: (x**4) ** 1.5, 6, 0.0, 720.0, id="(x**4)**1.5"),
        pytest.param(lambda x: cr.relu(x) - cr.relu(-x), 1, 0.0, 1.0, id="relu(x) - relu(-x)"),
    ],
)
def test_smooth_functions_through_a_kink(f, order, got, smooth):
    nested = f
    for _ in range(order):
        nested = cr.grad(nested)
    assert nested(0.0) == got != smooth
