"""The greatest and least numbers of arrays share the derivative evenly where they are equal, however many they are."""

import chainrule as cr
import numpy as np
import pytest

FUNCTIONS = {
    "max": np.max,
    "min": lambda x: -np.min(-x),
    "method": lambda x: x.max(),
    "reduce": np.maximum.reduce,
    "along an axis": lambda x: np.sum(np.max(np.stack([x, x], axis=1), axis=0, keepdims=True)) / 2,
    "along all axes": lambda x: np.max(x[np.newaxis, :, np.newaxis], axis=(2, 1))[0],
    "ptp": lambda x: np.ptp(x),
}


@pytest.mark.parametrize("count", [2, 3, 5, 200, 300])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_ties_share_evenly(name, count):
    f = cr.value_and_grad(FUNCTIONS[name])
    x = np.full(count, 2.0)
    x[0] = 1.0
    expected = np.where(x == 2.0, 1 / (count - 1), 0.0)
    if name == "ptp":
        expected[0] = -1.0
    for value, gradient in (f(x), cr.compile(f)(x)):
        assert value == (1.0 if name == "ptp" else 2.0)
        assert np.asarray(gradient, float) == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize("count", [3, 300])
def test_ties_of_infinities_and_zeros(count):
    f = cr.value_and_grad(np.max)
    for number in (np.inf, -np.inf, -0.0):
        for value, gradient in (f(np.full(count, number)), cr.compile(f)(np.full(count, number))):
            assert value == number
            assert np.signbit(value) == np.signbit(number)
            assert np.asarray(gradient, float) == pytest.approx(np.full(count, 1 / count), rel=1e-14)


@pytest.mark.parametrize("count", [3, 300])
def test_a_nan_is_the_greatest_and_has_no_derivative(count):
    x = np.ones(count)
    x[1] = np.nan
    for f in (cr.value_and_grad(np.max), cr.compile(cr.value_and_grad(np.max))):
        value, gradient = f(x)
        assert np.isnan(value)
        assert not np.any(np.asarray(gradient, float))


def test_second_derivatives_pass_shared_ties():
    f = lambda x: np.max(x) ** 2  # noqa: E731
    for hessian in (cr.hessian(f)(np.ones(3)), cr.compile(cr.hessian(f))(np.ones(3))):
        assert np.asarray(hessian, float) == pytest.approx(np.full((3, 3), 2 / 9))


def test_numbers_among_vars_take_their_share():
    x, y = cr.Var(1.0), cr.Var(1.0)
    np.max(cr.array([x, 1.0, y])).backward()
    assert [x.grad, y.grad] == pytest.approx([1 / 3, 1 / 3])


def test_empty_axes_are_numpys_errors():
    with pytest.raises(ValueError, match="zero-size array to reduction operation maximum"):
        np.max(cr.array([cr.Var(1.0)])[:0])
    with pytest.raises(np.exceptions.AxisError):
        np.max(cr.array([cr.Var(1.0)]), axis=1)


@pytest.mark.parametrize("shape", [(100, 4), (4, 100)])
@pytest.mark.parametrize("function", [np.max, np.min])
def test_lines_of_large_arrays(function, shape):
    x = np.ones(shape)
    x[:, 0] = 3.0 if function is np.min else 0.0
    gradient = cr.grad(lambda x: np.sum(function(x, axis=1)))
    expected = np.where(x == 1.0, 1 / (shape[1] - 1), 0.0)
    for found in (gradient(x), cr.compile(gradient)(x)):
        assert np.asarray(found, float) == pytest.approx(expected, rel=1e-14, abs=0)
        assert not np.any(np.signbit(np.asarray(found, float)))
