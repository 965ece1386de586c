"""Slopes of powers, error functions and lengths are within 5 units in the last place, in single precision, too."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

mp = pytest.importorskip("mpmath").mp.clone()
mp.prec = 200
RANGE = {"float32": (2.0**-126, 2.0**128, 2.0**-23), "float64": (2.0**-1022, mp.ldexp(1, 1024), 2.0**-52)}
dtypes = pytest.mark.parametrize("dtype", RANGE)


def worst(found, exact, dtype):
    """Return by how many units numbers differ from exact ones, where these are normal."""
    least, most, eps = RANGE[dtype]
    fits = [(mp.mpf(float(x)), y) for x, y in zip(found, exact, strict=True) if least * 100 <= abs(y) < most / 2]
    assert len(fits) > len(found) // 8
    return max(float(abs(x / y - 1)) for x, y in fits) / eps


def slope_of_power(x, y):
    x, y = mp.mpf(float(x)), mp.mpf(float(y))
    return y * x ** (y - 1)


@dtypes
@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_powers(dtype, backend):
    rng = np.random.default_rng(0)
    reach = 36 if dtype == "float32" else 300
    size = 10.0 ** rng.uniform(-reach, reach, 600)
    exponent = rng.choice([-1.0, 1.0], 600) * 10.0 ** rng.uniform(-7, 1.5, 600)
    x, y = (np.append(own, more).astype(dtype) for own, more in ((size, [1e-38, 1e-30]), (exponent, [1e-6, -3.9])))
    found = cr.compile(cr.grad(lambda x, y: x**y), batch=("x", "y"), dtype=dtype, backend=backend)(x, y)
    assert worst(found, [slope_of_power(*own) for own in zip(x, y, strict=True)], dtype) <= 5.0


@dtypes
@pytest.mark.parametrize("exponent", [1e-6, 0.1, -0.1, 0.3, -3.9, 0.9])
def test_powers_by_constants(dtype, exponent):
    own = np.dtype(dtype).type(exponent)
    x = np.array([1e-38, 1e-10, 0.3, 1.0, 2.0, 7e9, 3e37], dtype)
    found = cr.compile(cr.grad(lambda x: x ** float(own)), batch="x", dtype=dtype)(x)
    assert worst(found, [slope_of_power(x, own) for x in x], dtype) <= 12.0
    if abs(exponent) < 0.5:
        assert worst(found, [slope_of_power(x, own) for x in x], dtype) <= 5.0


LARGE = [2.0**24 + 2, 2.0**25, 2.0**53, 2.0**53 + 2, 2.0**54, 1e10, 1e17, -(2.0**24), -(2.0**53), -(2.0**54), 1e300]


@pytest.mark.parametrize("y", LARGE)
def test_large_even_powers_of_minus_one_fall(y):
    # (-1)**(y - 1) is -1, since y is even.
    assert cr.grad(lambda x, y: x**y)(-1.0, y) == -y
    assert cr.grad(lambda x: x**y)(-1.0) == -y


@dtypes
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_large_even_powers_of_minus_one_fall(backend, dtype):
    def compiled(f, **options):
        return cr.compile(cr.grad(f), dtype=dtype, backend=backend, **options)

    exponents = [y for y in LARGE if abs(y) < RANGE[dtype][1]]
    right = [-float(np.dtype(dtype).type(y)) for y in exponents]
    by_both = compiled(lambda x, y: x**y, batch=("x", "y"))
    np.testing.assert_array_equal(by_both([-1.0] * len(right), exponents), right)
    for y, slope in zip(exponents, right, strict=True):
        assert compiled(lambda x, y: x**y)(-1.0, y) == slope
        assert compiled(lambda x, y=y: x**y)(-1.0) == slope


def test_large_odd_powers_of_minus_one_rise():
    for y in (2.0**24 - 1, 2.0**53 - 1, -(2.0**53 - 1)):
        assert cr.grad(lambda x, y: x**y)(-1.0, y) == y
        assert cr.compile(cr.grad(lambda x, y: x**y))(-1.0, y) == y
    assert cr.compile(cr.grad(lambda x, y: x**y), dtype="float32")(-1.0, 2.0**24 - 1) == 2.0**24 - 1


@dtypes
@pytest.mark.parametrize("name", ["erf", "erfc"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_error_functions(name, dtype, backend):
    f, sign = getattr(cr, name), 1 if name == "erf" else -1
    x = np.append(np.random.default_rng(1).uniform(-9.2, 9.2, 400), [-6.975, 0.0, 1e-30]).astype(dtype)
    found = cr.compile(cr.grad(lambda x: f(x)), batch="x", dtype=dtype, backend=backend)(x)
    exact = [sign * 2 / mp.sqrt(mp.pi) * mp.exp(-(mp.mpf(float(x)) ** 2)) for x in x]
    assert worst(found, exact, dtype) <= 5.0
    far = cr.compile(cr.grad(lambda x: f(x)), batch="x", dtype=dtype, backend=backend)([np.inf, -np.inf, 1e30])
    np.testing.assert_array_equal(far, np.zeros(3))


@dtypes
@pytest.mark.parametrize("backend", BACKENDS)
def test_lengths(dtype, backend):
    rng = np.random.default_rng(2)
    x, y = (10.0 ** rng.uniform(-44, 38, 500) * rng.choice([-1, 1], 500) for _ in range(2))
    x = np.append(x, [3e38, 3e38, 1e-44, 3e38, 0.0]).astype(dtype)
    y = np.append(y, [3e38, -1e38, 1e-44, 1e10, 2e-45]).astype(dtype)
    found = cr.compile(cr.grad(lambda x, y: cr.hypot(x, y)), batch=("x", "y"), dtype=dtype, backend=backend)(x, y)
    assert np.isfinite(found).all()
    exact = [mp.mpf(float(x)) / mp.hypot(float(x), float(y)) for x, y in zip(x, y, strict=True)]
    assert worst(found, exact, dtype) <= 5.0
