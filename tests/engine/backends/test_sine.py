"""Sines and cosines of machine code, compared with mpmath; groups of several vectors, compared with single ones."""

import math

import chainrule as cr
import mpmath
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import emission, sine
from chainrule.backends.llvm.machine import host


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "0")


def points():
    """Draw arguments of every size, including doubles next to multiples of pi/2 and pi/4, and the limit."""
    rng = np.random.default_rng(0)
    near = [k * math.pi / 4 for k in (*range(-40, 41), *rng.integers(-(2**25), 2**25, 300).tolist())]
    near += [math.nextafter(x, math.inf) for x in near] + [sine.LIMIT, math.nextafter(sine.LIMIT, 0.0)]
    sized = rng.choice([-1.0, 1.0], 600) * 2.0 ** rng.uniform(-1070, 1020, 600)
    return np.array([*near, *sized, *rng.uniform(-10, 10, 500), 5e-324, 1e22])


@pytest.mark.parametrize("function", [cr.sin, cr.cos])
def test_each_number_is_right_to_the_last_digits(function):
    xs = points()
    found = cr.compile(lambda x: (cr.sin(x), cr.cos(x)), batch=0, backend="llvm")(xs)[function is cr.cos]
    alone = cr.compile(function, batch=0, backend="llvm")(xs)
    assert np.array_equal(found, alone)
    exact = mpmath.sin if function is cr.sin else mpmath.cos
    with mpmath.workdps(400):
        for x, y in zip(xs.tolist(), found.tolist(), strict=True):
            true = exact(mpmath.mpf(x))
            assert abs(mpmath.mpf(y) - true) <= 1e-15 * abs(true) + mpmath.mpf(5e-324), x


def test_signed_zeros_infinities_and_nan():
    xs = np.array([0.0, -0.0, math.inf, -math.inf, math.nan])
    s, c = cr.compile(lambda x: (cr.sin(x), cr.cos(x)), batch=0, backend="llvm")(xs)
    assert s[:2].tolist() == [0.0, 0.0] and np.signbit(s[:2]).tolist() == [False, True]
    assert c[:2].tolist() == [1.0, 1.0]
    assert np.isnan(s[2:]).all() and np.isnan(c[2:]).all()


def everything(w, x):
    a = cr.sin(x[0] * w) + cr.exp(x[1])
    b = cr.where(a > x[1], cr.tanh(a), cr.hypot(a, x[0]))
    return [cr.cos(b) * cr.digamma(2.0 + x[1] * x[1]), cr.round(3.0 * a), b, w]


@pytest.mark.parametrize("vectors", [2, 4])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_groups_of_vectors_compute_what_single_ones_do(vectors, reduce, monkeypatch):
    rng = np.random.default_rng(1)
    for n in (0, 1, 5, 8, 15, 16, 17, 31, 100):
        xs = rng.normal(size=(n, 2))
        found = []
        for count in (1, vectors):
            monkeypatch.setattr(emission, "_vectors", lambda layout, count=count: count)
            found.append(cr.compile(everything, batch=1, reduce=reduce, backend="llvm")(0.7, xs))
        for one, many in zip(*found, strict=True):
            np.testing.assert_allclose(many, one, rtol=0 if reduce is None else 1e-14)


def test_a_chain_goes_in_groups_and_a_network_does_not():
    def chain(x):
        for _ in range(20):
            x = cr.sin(x)
        return x

    def wide(x):
        return cr.sum(cr.tanh(x + k) for k in range(50))

    chosen = []
    for f in (chain, wide):
        program = cr.trace(f, 1.0)
        chosen.append(emission._vectors(emission._Emission(program, (True,), None, host()).layout))
    assert chosen == [4, 1]
