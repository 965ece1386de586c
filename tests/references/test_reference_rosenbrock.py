"""Compare gradient, Hessian and their product for Rosenbrock's function with SciPy's, and minimise with ours."""

import itertools

import chainrule as cr
import pytest

np = pytest.importorskip("numpy")
optimize = pytest.importorskip("scipy.optimize")

SIZES = [2, 3, 5, 8]
STARTS = [[-1.2, 1.0], [2.0, -1.5, 0.5], [-3.0, -1.0, -3.0, -1.0], [1.3, 0.7, 0.8, 1.9, 1.2]]


def rosenbrock(x):
    """Return the function for any sequence of floats, Vars or an array of either."""
    return cr.sum(100 * (right - left**2) ** 2 + (1 - left) ** 2 for left, right in itertools.pairwise(x))


def vectorised(x):
    """Return the same by NumPy's operations on whole arrays, which then hold Vars."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0)


def points(size, count):
    """Return points of very different magnitudes, and near the valley that the minimisers follow."""
    draw = np.random.default_rng(size)
    spread = [draw.normal(size=size) * 10.0 ** draw.uniform(-3, 2) for _ in range(count // 2)]
    valley = [1.0 + draw.normal(size=size) * 10.0 ** draw.uniform(-8, -1) for _ in range(count - count // 2)]
    return spread + valley


def rounding(x, order):
    """Return how far apart two correct evaluations of a derivative of that order may be at `x`."""
    size = 1.0 + np.abs(x).max()
    return 400 * size ** (4 - order) * len(x) * 4e-16


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("function", [rosenbrock, vectorised, optimize.rosen])
def test_derivatives_are_scipys(function, size):
    value_and_grad, hessian = cr.value_and_grad(function), cr.hessian(function)
    for x in points(size, 10):
        v = np.cos(np.arange(size) + x)
        value, gradient = value_and_grad(x)
        table = hessian(x)
        assert type(gradient) is type(table) is np.ndarray
        assert gradient.dtype == table.dtype == float
        assert gradient.shape == (size,)
        assert table.shape == (size, size)
        assert value == pytest.approx(optimize.rosen(x), rel=1e-13, abs=0)
        np.testing.assert_allclose(gradient, optimize.rosen_der(x), rtol=0, atol=rounding(x, 1))
        np.testing.assert_allclose(table, optimize.rosen_hess(x), rtol=0, atol=rounding(x, 2))
        np.testing.assert_allclose(
            cr.hvp(function, x, v), optimize.rosen_hess_prod(x, v), rtol=0, atol=4 * rounding(x, 2)
        )


@pytest.mark.parametrize("size", SIZES)
def test_derivatives_are_exact_where_the_arithmetic_is(size):
    # Whole numbers of this size leave nothing to round, so every digit must agree.
    draw = np.random.default_rng(size)
    for _ in range(20):
        x, v = draw.integers(-100, 101, size=(2, size)).astype(float)
        np.testing.assert_array_equal(cr.grad(rosenbrock)(x), optimize.rosen_der(x))
        np.testing.assert_array_equal(cr.hessian(rosenbrock)(x), optimize.rosen_hess(x))
        np.testing.assert_array_equal(cr.hvp(rosenbrock, x, v), optimize.rosen_hess_prod(x, v))


def test_lists_and_tuples_give_what_arrays_give():
    x, v = [0.3, -1.7, 2.2, 0.9], [1.0, 0.5, -2.0, 0.25]
    array, direction = np.array(x), np.array(v)
    gradient, table = cr.grad(rosenbrock)(x), cr.hessian(rosenbrock)(x)
    assert type(gradient) is list and type(table) is list and type(table[0]) is list
    assert gradient == cr.grad(rosenbrock)(array).tolist()
    assert cr.grad(rosenbrock)(tuple(x)) == tuple(gradient)
    assert table == cr.hessian(rosenbrock)(array).tolist()
    assert cr.hvp(rosenbrock, x, v) == cr.hvp(rosenbrock, array, direction).tolist()


def test_hessian_of_a_chain_has_three_diagonals():
    x = np.linspace(-2.0, 2.0, 12)
    table = cr.hessian(rosenbrock)(x)
    far = np.abs(np.subtract.outer(np.arange(12), np.arange(12))) > 1
    assert not table[far].any()
    np.testing.assert_array_equal(table, table.T)


def test_the_minimum_and_the_second_minimum():
    gradient, hessian = cr.grad(rosenbrock), cr.hessian(rosenbrock)
    for size in SIZES:
        ones = np.ones(size)
        assert not gradient(ones).any()
        assert np.linalg.eigvalsh(hessian(ones)).min() > 0
    # From four variables on there is another, not far from (-1, 1, ..., 1): Kok and Sandrock (2009), "Locating and
    # characterizing the stationary points of the extended Rosenbrock function".
    nearby = optimize.minimize(rosenbrock, [-1.0, 1.0, 1.0, 1.0], jac=gradient, hess=hessian, method="trust-exact")
    np.testing.assert_allclose(nearby.x, [-0.775659, 0.613093, 0.382063, 0.145972], rtol=0, atol=1e-6)
    assert nearby.fun == pytest.approx(3.70143, rel=1e-6)


@pytest.mark.parametrize("start", STARTS, ids=len)
@pytest.mark.parametrize("method", ["Newton-CG", "trust-exact", "BFGS"])
def test_minimisers_reach_the_minimum(method, start):
    second = {
        "Newton-CG": {"hessp": lambda x, v: cr.hvp(rosenbrock, x, v), "options": {"xtol": 1e-12}},
        "trust-exact": {"hess": cr.hessian(rosenbrock), "options": {"gtol": 1e-10}},
        "BFGS": {"options": {"gtol": 1e-8}},
    }
    found = optimize.minimize(cr.value_and_grad(rosenbrock), np.array(start), jac=True, method=method, **second[method])
    assert found.success, found.message
    np.testing.assert_allclose(found.x, 1.0, rtol=0, atol=1e-7)
    assert found.fun < 1e-15
