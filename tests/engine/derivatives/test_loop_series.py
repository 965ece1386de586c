"""Taylor series through loops inside loops, with traced numbers from outside: every pair, every backend."""

import itertools
import math

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS, loops_of

# Each runs `f` on a number in a loop of its own.
LOOPS = {
    "function": lambda f, x: cr.function(f)(x),
    "map": lambda f, x: cr.map(f, [x, 2.0 * x], reduce="sum"),
    "scan": lambda f, x: cr.scan(lambda c, k: (f(c) + k * x, None), x, [0.5, 0.25])[0],
    "fori_loop": lambda f, x: cr.fori_loop(0, 2, lambda k, c: f(c) + k, x),
    "while_loop": lambda f, x: cr.while_loop(lambda c: c[0] < 2.0, lambda c: (c[0] + 1.0, f(c[1])), (0.0, x))[1],
    "bounded": lambda f, x: cr.while_loop(lambda c: c < 3.0, lambda c: c + 1.0 + cr.square(f(c)), x, limit=9),
    "cond": lambda f, x: cr.cond(x < 0.5, f, cr.sin, x),
    "switch": lambda f, x: cr.switch(2.0 * x, [cr.cos, f, cr.sin], x),
}
PAIRS = list(itertools.product(LOOPS, repeat=2))


def nest(outer, inner):
    def f(w, s):
        return LOOPS[outer](lambda x: LOOPS[inner](lambda y: cr.tanh(w * y * s) + 0.1 * y, x + s), s)

    return f


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_series_of_nests(outer, inner, backend):
    pytest.importorskip({"python": "chainrule", "numpy": "numpy", "llvm": "llvmlite"}[backend])
    f = nest(outer, inner)

    def series(w, t):
        return cr.taylor(lambda s: f(w, s), t, 3)

    expected = series(0.7, 0.3)
    np.testing.assert_allclose(cr.compile(series, backend=backend)(0.7, 0.3), expected, 1e-12, 1e-13)
    many = cr.compile(series, batch=("w", "t"), backend=backend)([0.7, 0.1, 0.7], [0.1, 0.2, 0.3])
    np.testing.assert_allclose([column[2] for column in many], expected, 1e-12, 1e-13)


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_derivatives_through_series_of_nests(outer, inner):
    f = nest(outer, inner)

    def moved(w, t):
        return cr.jvp(lambda w, t: cr.taylor(lambda s: f(w, s), t, 2), (w, t), (1.0, 0.5))[1]

    def pulled(w, t):
        return cr.grad(lambda w, t: sum(cr.taylor(lambda s: f(w, s), t, 2)), (0, 1))(w, t)

    expected = moved(0.7, 0.3)
    np.testing.assert_allclose(cr.compile(moved, backend="python")(0.7, 0.3), expected, 1e-11, 1e-12)
    if "while_loop" not in (outer, inner):
        found = cr.compile(pulled, backend="python")(0.7, 0.3)
        np.testing.assert_allclose(found, pulled(0.7, 0.3), 1e-11, 1e-12)


def test_series_by_a_number_that_the_body_closes_over():
    def net(p, t):
        return cr.map(lambda row: cr.map(lambda w: w * t, row, reduce="sum"), p, reduce="sum")

    def slope(p, t):
        return cr.taylor(lambda s: net(p, s), t, 1)

    assert cr.compile(slope, backend="python")([[1.0, 2.0], [3.0, 4.0]], 0.5) == [5.0, 10.0]


def test_a_loop_stays_a_loop_however_long():
    def series(t, n):
        return cr.taylor(lambda s: cr.scan(lambda c, _: (cr.sin(c) + s, None), s, None, length=n)[0], t, 2)

    short, long = (cr.trace(lambda t, n=n: series(t, n), 0.5) for n in (10, 1000))
    assert len(short) == len(long) and [op.length for op in loops_of(long)] == [1000]
    np.testing.assert_allclose(long(0.5), series(0.5, 1000), 1e-12)


def test_a_while_loop_ends_where_its_numbers_do():
    # Powers of t: x**(2**k) until it is above 100, at t = 3 after 3 squarings.
    found = cr.compile(lambda t: cr.taylor(lambda s: cr.while_loop(lambda c: c < 100.0, cr.square, s), t, 4))(3.0)
    np.testing.assert_allclose(found, [math.comb(8, k) * 3.0 ** (8 - k) for k in range(5)], 1e-13)


def test_series_of_a_carry_that_becomes_constant():
    def f(s, w):
        return cr.scan(lambda c, k: ((c[1], w * k), c[0]), (s, s * s), [1.0, 2.0, 3.0])

    def series(w, t):
        return cr.taylor(lambda s: f(s, w), t, 2)

    expected, found = series(2.0, 3.0), cr.compile(series, backend="python")(2.0, 3.0)
    assert found == expected


def test_whole_arrays_have_series_of_arrays():
    weights = np.sin(np.arange(400.0)).reshape(20, 20)

    def f(t):
        waves = cr.map(lambda row: np.sum(np.sin(row * t)), weights)
        carry, last = cr.scan(lambda c, w: (np.cos(c) * t + w, c[3]), weights * t, waves)
        return carry[2, 5] + np.sum(last) + np.sum(carry[:, ::2])

    expected = cr.taylor(f, 0.7, 4)
    found = cr.compile(lambda t: cr.taylor(f, t, 4))(0.7)
    assert found == pytest.approx(expected, rel=1e-10)


def test_a_carried_array_that_becomes_a_constant_has_series_and_tangents():
    start, table = np.ones((20, 20)), np.arange(400.0).reshape(20, 20)

    def f(t):
        end, seen = cr.scan(lambda c, x: (table, c[1, 2] * x), start * t, [1.0, 2.0, 3.0])
        return end[3, 4] * t + cr.sum(seen)

    # 64 t, then t + 2 * 22 + 3 * 22
    found = cr.compile(lambda t: cr.taylor(f, t, 2))(0.5)
    assert found == pytest.approx([64.0 * 0.5 + 0.5 + 110.0, 65.0, 0.0])
    assert cr.compile(lambda t: cr.jvp(f, (t,), (1.0,)))(0.5) == pytest.approx((142.5, 65.0))
    assert cr.compile(cr.grad(f))(0.5) == pytest.approx(65.0)
