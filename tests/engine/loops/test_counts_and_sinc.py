"""``np.count_nonzero`` and ``np.sinc`` give what NumPy does, for numbers, a few and whole arrays."""

import chainrule as cr
import numpy as np
import pytest


def same(f, n):
    x = np.linspace(-1.0, 1.3, n)
    plain = f(x.copy())
    found = cr.compile(f)(x)
    assert np.shape(found) == plain.shape
    np.testing.assert_allclose(np.asarray(found, float), plain, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("n", [16, 320])
def test_counts_of_conditions(n):
    same(lambda x: np.count_nonzero(x > 0.0) * 1.0, n)
    same(lambda x: np.count_nonzero(x.reshape(4, -1) > 0.0, axis=1, keepdims=True) * 1.0, n)


@pytest.mark.parametrize("n", [16, 320])
def test_sinc_of_what_has_no_sine_is_nan(n):
    x = np.linspace(-3.0, 3.3, n)
    x[:4] = np.inf, -np.inf, np.nan, 0.0
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(cr.compile(np.sinc)(x), np.sinc(x), atol=1e-15)


def test_sinc_of_a_number():
    slope = (np.cos(np.pi / 2) - np.sinc(0.5)) / 0.5
    assert np.sinc(cr.Var(0.5)).value == pytest.approx(np.sinc(0.5))
    assert cr.compile(np.sinc)(0.5) == pytest.approx(np.sinc(0.5))
    assert cr.grad(lambda a: np.sinc(a))(0.5) == pytest.approx(slope)
    found = cr.compile(lambda x: cr.map(lambda a: np.sinc(a), x))(np.array([0.5, 0.25]))
    np.testing.assert_allclose(found, np.sinc([0.5, 0.25]))
