"""Where numbers cancel, compiled results are as near as `compile` promises: relative to the terms, not the sum."""

from fractions import Fraction

import chainrule as cr
import mpmath
import pytest
from helpers import BACKENDS
from hypothesis import given, settings
from hypothesis import strategies as st

FACTORS = st.floats(-1e3, 1e3, allow_subnormal=False)
TERMS = 6
UNIT = 2.0**-53


def polynomial(xs, ys, z):
    """Products that are added from left to right to a number that may cancel them."""
    total = z
    for x, y in zip(xs, ys, strict=True):
        total = total + x * y
    return total


def squared(xs, ys, z):
    return 0.5 * cr.square(polynomial(xs, ys, z))


EXAMPLE = [0.0] * TERMS, [0.0] * TERMS, 0.0
COMPILED = {name: cr.compile(polynomial, backend=name) for name in BACKENDS}
SLOPES = {name: cr.compile(cr.grad(squared, (0, 2)), backend=name) for name in BACKENDS}


@st.composite
def cancelling(draw):
    """Draw factors, and the number that their products, rounded one by one, cancel to exactly 0 or almost."""
    xs, ys = (draw(st.lists(FACTORS, min_size=TERMS, max_size=TERMS)) for _ in range(2))
    z = 0.0
    for x, y in zip(xs[::-1], ys[::-1], strict=True):
        z -= x * y
    return xs, ys, z + draw(st.sampled_from([0.0, 1e-15, -1e-13])) * abs(z)


@pytest.mark.parametrize("backend", BACKENDS)
@given(cancelling())
@settings(max_examples=200)
def test_sums_of_products_are_near_beside_the_sum_of_their_sizes(backend, point):
    xs, ys, z = point
    products = [Fraction(x) * Fraction(y) for x, y in zip(xs, ys, strict=True)]
    exact, size = sum(products, Fraction(z)), sum(map(abs, products), Fraction(abs(z)))
    bound = float(size) * (TERMS + 1) * UNIT + 1e-300
    found = COMPILED[backend](xs, ys, z)
    assert abs(Fraction(found) - exact) <= bound
    assert abs(found - polynomial(xs, ys, z)) <= 2 * bound, "and as near to what eager code gives"
    slopes, last = SLOPES[backend](xs, ys, z)
    assert abs(Fraction(last) - exact) <= bound
    for slope, y in zip(slopes, ys, strict=True):
        assert abs(Fraction(slope) - exact * Fraction(y)) <= abs(y) * bound * (1 + 4 * UNIT) + 1e-300


def near_zero(x):
    """Return y with exp(x) + exp(y) nearest to 1 in doubles."""
    return float(mpmath.log1p(-mpmath.exp(x)))


@pytest.mark.parametrize("backend", BACKENDS)
@given(st.floats(-30.0, -1e-3), st.floats(-1e-6, 1e-6))
@settings(max_examples=100)
def test_logarithms_of_sums_near_zero_have_an_absolute_error(backend, x, away):
    """Values to some units of 1e-16; derivatives do not cancel."""
    with mpmath.workdps(50):
        y = near_zero(x) + away
        powers = [mpmath.exp(number) for number in (x, y)]
        exact = mpmath.log(sum(powers))
        shares = [power / sum(powers) for power in powers]
    for f in LOGARITHMS[backend]:
        value, slopes = f(x, y)
        assert abs(value - exact) <= 5e-16 * max(1.0, abs(float(exact)))
        assert slopes == pytest.approx([float(share) for share in shares], rel=1e-12)


LOGARITHMS = {
    name: [
        cr.compile(cr.value_and_grad(f, (0, 1)), backend=name)
        for f in (lambda x, y: cr.logaddexp(x, y), lambda x, y: cr.logsumexp([x, y]))
    ]
    for name in BACKENDS
}
