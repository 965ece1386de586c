"""Kinks, poles and tails: the table of conventions, value and partials, one line a case."""

import math

import chainrule as cr
import pytest
from chainrule import Var

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
]


def same(x, y):
    """Equal, also nan to nan, but for the last bit."""
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
