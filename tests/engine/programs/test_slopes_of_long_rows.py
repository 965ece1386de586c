"""Derivatives of long rows of numbers that hold nan, infinities and extremes are, compiled, those of single numbers."""

from math import inf, nan

import chainrule as cr
import numpy as np
import pytest

COUNT = 600


def _with(**numbers):
    x = np.linspace(-1.0, 1.0, COUNT)
    for place, number in numbers.items():
        x[int(place[1:])] = number
    return x


POINTS = {
    "usual": _with(),
    "far apart": 1_000 * _with(),
    "zeros": np.zeros(COUNT),
    "nan": _with(_1=nan),
    "inf": _with(_1=inf),
    "-inf": _with(_1=-inf),
    "infs": _with(_1=inf, _70=inf),
    "both infs": _with(_1=inf, _70=-inf),
    "all inf": np.full(COUNT, inf),
    "all -inf": np.full(COUNT, -inf),
    "subnormal": 1e-310 * _with(),
    "least normal": 2.3e-308 * _with(),
    "great": 1e306 * _with(),
}
ROWS = {
    "logsumexp": cr.logsumexp,
    "norm": cr.norm,
    "softmax": lambda x: cr.softmax(x)[1],
    "log_softmax": lambda x: cr.log_softmax(x)[1],
    "log_softmax of another": lambda x: cr.log_softmax(x)[5],
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("row", ROWS)
def test_as_for_single_numbers(row, point):
    f, x = cr.value_and_grad(ROWS[row]), POINTS[point]
    value, gradient = f(x.tolist())
    for given in (x, x.tolist()):
        found, slope = cr.compile(f)(given)
        np.testing.assert_allclose(found, value, rtol=1e-12)
        np.testing.assert_allclose(slope, gradient, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("row", [cr.logsumexp, cr.norm])
def test_infinities_share_the_derivative(row):
    gradient = cr.compile(cr.grad(row))
    np.testing.assert_array_equal(np.flatnonzero(gradient(POINTS["inf"])), [1])
    assert gradient(POINTS["inf"])[1] == 1.0
    assert np.all(np.isnan(gradient(POINTS["nan"])))
    share = 1 / COUNT if row is cr.logsumexp else COUNT**-0.5
    assert gradient(POINTS["all inf"]) == pytest.approx(np.full(COUNT, share))


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e300])
def test_directions_of_very_small_and_great_vectors(size):
    gradient = cr.compile(cr.grad(cr.norm))(np.full(COUNT, size))
    assert gradient == pytest.approx(np.full(COUNT, COUNT**-0.5), rel=1e-12)


def test_a_nan_beside_an_infinity_leaves_the_length_infinite():
    value, gradient = cr.compile(cr.value_and_grad(cr.norm))(_with(_1=inf, _270=nan))
    assert value == inf
    assert np.isnan(gradient[1])
    assert np.isnan(gradient[270])


@pytest.mark.parametrize("row", [cr.logsumexp, cr.norm])
@pytest.mark.parametrize("backend", ["numpy", "python"])
def test_on_other_backends(row, backend):
    gradient = cr.compile(cr.grad(row), backend=backend)
    for point in ("usual", "nan", "infs", "all inf", "subnormal"):
        expected = cr.grad(row)(POINTS[point].tolist())
        np.testing.assert_allclose(gradient(POINTS[point]), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("row", [cr.logsumexp, cr.norm])
def test_in_a_batch(row):
    points = np.array(list(POINTS.values()))
    found = cr.compile(cr.grad(row), batch=0)(points)
    for point, gradient in zip(points, found, strict=True):
        np.testing.assert_allclose(gradient, cr.grad(row)(point.tolist()), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("count", [100, 300, 600])
def test_squares_of_lengths_are_smooth_at_the_origin(count):
    zeros, ones = np.zeros(count), np.ones(count)
    found = cr.compile(lambda x: cr.hvp(lambda x: cr.norm(x) ** 2, x, ones))(zeros)
    assert (found == 2.0).all()
    cube = cr.compile(cr.grad(lambda x: cr.norm(x) ** 4))(ones)
    assert np.abs(cube - 4.0 * count).max() < 1e-10 * count
