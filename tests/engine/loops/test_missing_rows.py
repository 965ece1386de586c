"""An index for which there is no row reads nan, and so are the derivatives by the array: everywhere, in all modes."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

SIZES = pytest.mark.parametrize("n", [5, 300])
BACKEND = pytest.mark.parametrize("backend", BACKENDS)
MISSING = [1e9, -1e9, 2.5, np.nan, np.inf]


def number(x, index):
    return x[index] * 2.0 + x[0] ** 2


def row(x, index):
    return cr.sum(cr.sin(x.reshape(-1, 5)[index]))


def taken(x, index):
    return cr.take(x, index) * x[1]


@BACKEND
@SIZES
@pytest.mark.parametrize("f", [number, row, taken])
@pytest.mark.parametrize("index", MISSING)
def test_a_missing_row_makes_value_and_derivatives_nan(backend, n, f, index):
    x, direction = np.linspace(0.1, 2.0, n), np.ones(n)
    value, slopes = cr.compile(cr.value_and_grad(f), backend=backend)(x, index)
    assert np.isnan(value)
    assert np.isnan(slopes).all()
    both = cr.compile(lambda x, i: cr.jvp(f, (x, i), (direction, 0.0)), backend=backend)(x, index)
    assert np.isnan(both).all()
    second = cr.compile(lambda x, i: cr.hvp(lambda x: f(x, i), (x,), (direction,)), backend=backend)(x, index)
    assert np.isnan(second).any() or f is not row  # the second derivative of a line is that of x[0]**2


@BACKEND
@SIZES
def test_one_missing_row_among_others(backend, n):
    def f(x, index):
        return cr.sum(cr.sin(x[index]))

    x = np.linspace(0.1, 2.0, n)
    compiled = cr.compile(cr.value_and_grad(f), backend=backend)
    assert np.isnan(compiled(x, np.array([1.0, 2.0, n]))[1]).all()
    value, slopes = compiled(x, np.array([1.0, -1.0, 1.0]))
    expected = np.zeros(n)
    np.add.at(expected, [1, -1, 1], np.cos(x[[1, -1, 1]]))
    assert value == pytest.approx(np.sin(x[[1, -1, 1]]).sum(), rel=1e-14)
    np.testing.assert_allclose(slopes, expected, rtol=1e-14)


@BACKEND
@SIZES
def test_what_is_not_chosen_reads_nothing(backend, n):
    def f(x, index):
        return cr.sum(cr.where(index < n, x[index] ** 2, 0.0))

    x, index = np.linspace(0.1, 2.0, n), np.array([1.0, 1e9, 0.0, 3.0 * n, 1.0])
    value, slopes = cr.compile(cr.value_and_grad(f), backend=backend)(x, index)
    expected = np.zeros(n)
    np.add.at(expected, [1, 0, 1], 2 * x[[1, 0, 1]])
    assert value == pytest.approx((x[[1, 0, 1]] ** 2).sum(), rel=1e-14)
    np.testing.assert_allclose(slopes, expected, rtol=1e-14)
    tangent = np.cos(x)
    moved = cr.compile(lambda *xs: cr.jvp(f, xs, (tangent, np.zeros(5)))[1], backend=backend)(x, index)
    assert moved == pytest.approx(expected @ tangent, rel=1e-13)


@BACKEND
@SIZES
def test_in_a_batch_each_sample_for_itself(backend, n):
    x = np.linspace(0.1, 2.0, n)
    index = np.array([1.0, 1e9, 3.0, 2.5, 0.0, 1.0, 2.0, 3.0, 4.0, np.nan, -1.0])
    there = np.isfinite(index) & (index < n) & (index % 1 == 0)
    for f in (number, row):
        known = there & (index < n / 5) if f is row else there
        _, slopes = cr.compile(cr.value_and_grad(f), batch=("index",), backend=backend)(x, index)
        np.testing.assert_array_equal(np.isnan(slopes).all(1), ~known)
        assert np.isfinite(slopes[known]).all()
    many = np.stack([index] * 7, 1)
    _, slopes = cr.compile(cr.value_and_grad(row), batch=("index",), backend=backend)(x, many)
    np.testing.assert_array_equal(np.isnan(slopes).all(1), ~known)
    assert np.isfinite(slopes[known]).all()


@SIZES
def test_eager_take_of_vars(n):
    x = np.linspace(0.1, 2.0, n)
    for index in MISSING:
        value, slopes = cr.value_and_grad(lambda x, index=index: cr.take(x, index))(x)
        assert np.isnan(value)
        assert np.isnan(slopes).all()
    slopes = cr.grad(lambda x: cr.sum(cr.take(x, np.array([1.0, 1.0, -1.0]))))(x)
    np.testing.assert_array_equal(slopes, np.bincount([1, 1, n - 1], minlength=n))
