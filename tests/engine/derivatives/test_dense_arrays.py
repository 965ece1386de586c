"""Dense Jacobians and Hessians of whole arrays: the same as number by number, and one loop however many numbers."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

N = 260  # more than stays an array of numbers


def _same(found, expected):
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_same(found[key], expected[key]) for key in expected)
    if isinstance(expected, (list, tuple)):
        return all(_same(a, b) for a, b in zip(found, expected, strict=True))
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("mode", ["forward", "reverse", None])
@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_jacobian_of_neighbours(mode, backend):
    x = np.random.default_rng(0).normal(size=N)
    expected = np.zeros((N - 1, N))
    places = np.arange(N - 1)
    expected[places, places + 1], expected[places, places] = np.cos(x[1:]) * x[:-1], np.sin(x[1:])
    found = cr.compile(cr.jacobian(lambda x: np.sin(x[1:]) * x[:-1], mode=mode), backend=backend)(x)
    assert _same(found, expected)


def test_hessian_is_symmetric_to_the_bit():
    x = np.random.default_rng(1).normal(size=N)
    shares = np.exp(x) / np.exp(x).sum()
    found = cr.compile(cr.hessian(cr.logsumexp))(x)
    assert np.abs(found - (np.diag(shares) - np.outer(shares, shares))).max() < 1e-16
    assert (found == found.T).all()


def test_whole_arrays_beside_small_ones_and_numbers():
    draw = np.random.default_rng(2)
    p = {"w": draw.normal(size=(16, 17)), "v": draw.normal(size=17), "s": 3.0}

    def f(p):
        return {"z": np.tanh(p["w"] @ p["v"]) * p["s"], "all": p["w"] * p["s"], "one": p["s"] ** 2}

    assert _same(cr.compile(cr.jacobian(f))(p), cr.jacobian(f)(p))
    assert _same(
        cr.compile(cr.hessian(lambda p: np.sum(f(p)["z"] ** 2) + p["s"]))(p),
        cr.hessian(lambda p: np.sum(f(p)["z"] ** 2) + p["s"])(p),
    )


def test_steps_do_not_follow_the_size():
    counts = [len(cr.trace(cr.jacobian(lambda x: np.sin(x[1:]) * x[:-1]), np.ones(n))) for n in (N, 4 * N)]
    assert counts[0] == counts[1]
    counts = [len(cr.trace(cr.hessian(lambda x: np.sum(np.sin(x[1:]) * x[:-1])), np.ones(n))) for n in (N, 4 * N)]
    assert counts[0] == counts[1]


def test_results_that_close_over_a_variable_keep_their_arrays():
    s = cr.Var(2.0)
    product, plain = cr.compile(lambda y: (y * s, y + 1.0))(np.arange(300.0))
    assert product.shape == plain.shape == (300,)
    product[3].backward()
    assert s.grad == 3.0


def test_zeros_that_go_to_several_places():
    draw = np.random.default_rng(3)
    p = {"w": draw.normal(size=(16, 20)), "v": np.ones(20), "s": 3.0}

    def f(p):
        return cr.sum(np.tanh(p["w"] @ p["v"])) + p["s"] * p["w"].sum() ** 2

    assert _same(cr.compile(cr.hessian(f))(p), cr.hessian(f)(p))


@pytest.mark.parametrize("backend", BACKENDS)
def test_scans_of_whole_arrays(backend):
    """Their reverse takes carries that the scan stacks only then, outside of the map over the units."""
    x, direction = np.linspace(-1.0, 1.0, 300), np.cos(np.arange(300.0))
    products = lambda x: np.cumprod(1.0 + 0.01 * x)  # noqa: E731
    found = cr.compile(cr.jacobian(products), backend=backend)(x)
    factors = 1.0 + 0.01 * x
    np.testing.assert_allclose(found, np.tril(0.01 * products(x)[:, None] / factors), rtol=1e-12)

    def total(x):
        return np.sum(np.sin(cr.scan(lambda c, x: (cr.tanh(c * x + x), c), 0.5, x)[1]))

    hessian = cr.compile(cr.hessian(total), backend=backend)(x)
    along = cr.compile(lambda x: cr.hvp(total, (x,), (direction,)), backend=backend)(x)
    np.testing.assert_allclose(hessian @ direction, along, rtol=1e-10, atol=1e-12)
