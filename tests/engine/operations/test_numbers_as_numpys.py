"""Numbers answer what NumPy's numbers and functions ask: `np.sinc`, `item`, and counts of conditions at any size."""

import math

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

SMALL, LARGE = np.array([0.5, -1.25, 0.0, 2.0]), np.linspace(-1.0, 1.3, 300)
BOTH = pytest.mark.parametrize("x", [SMALL, LARGE], ids=["small", "large"])


def slope(x):
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 0.0, (np.cos(math.pi * safe) - np.sinc(safe)) / safe)


@pytest.mark.parametrize("backend", BACKENDS)
def test_sinc_of_numbers(backend):
    assert np.sinc(cr.Var(0.5)).value == pytest.approx(2 / math.pi, rel=1e-15)
    for x in (0.5, -1.25, 0.0):
        right = float(slope(np.array(x)))
        assert cr.grad(lambda x: np.sinc(x))(x) == pytest.approx(right, rel=1e-14)
        compiled = cr.compile(cr.value_and_grad(lambda x: np.sinc(x)), backend=backend)
        assert compiled(x) == pytest.approx((np.sinc(x), right), rel=1e-14)


@BOTH
@pytest.mark.parametrize("backend", BACKENDS)
def test_sinc_of_arrays(x, backend):
    total = lambda x: np.sum(np.sinc(x))  # noqa: E731
    np.testing.assert_allclose(cr.grad(total)(x), slope(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(cr.compile(cr.grad(total), backend=backend)(x), slope(x), rtol=1e-12, atol=1e-14)
    mapped = cr.compile(lambda x: cr.map(lambda a: np.sinc(a), x), backend=backend)
    np.testing.assert_allclose(mapped(x), np.sinc(x), rtol=1e-14, atol=1e-16)


@BOTH
def test_a_number_of_an_array_is_its_own_item(x):
    f = lambda x: x[3].item() ** 2 + x.item(1)  # noqa: E731
    right = np.zeros(len(x))
    right[[1, 3]] = 1.0, 2 * x[3]
    assert cr.compile(f)(x) == pytest.approx(f(x), rel=1e-15)
    for gradient in (cr.grad(f), cr.compile(cr.grad(f))):
        np.testing.assert_allclose(gradient(x), right, rtol=1e-15)
    number = cr.Var(2.0)
    assert number.item() is number


@BOTH
@pytest.mark.parametrize("backend", BACKENDS)
def test_conditions_are_counted(x, backend):
    assert cr.compile(lambda x: np.count_nonzero(x > 0), backend=backend)(x) == np.count_nonzero(x > 0)
    f = lambda x: np.count_nonzero(x.reshape(2, -1), axis=1)  # noqa: E731
    np.testing.assert_array_equal(cr.compile(lambda x: f(x), backend=backend)(x), f(x))
    assert np.count_nonzero(cr.array([cr.Var(0.0), cr.Var(2.0)])) == 1
