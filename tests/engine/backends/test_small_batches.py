"""Batches of any size: full blocks of vectors, then single vectors, then one that is filled up with copies."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.backends.llvm import source

pytest.importorskip("llvmlite")
SIZES = (0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 63, 64, 65, 100)


def network(w, v, x, y):
    hidden = cr.map(lambda row, x: cr.tanh(cr.dot(row, x)), w, x)
    return cr.square(cr.dot(v, hidden) - y)


def by_hand(w, v, x, y):
    """Return each sample's loss and gradients."""
    hidden = np.tanh(x @ w.T)
    errors = hidden @ v - y
    inner = 2 * errors[:, None] * (1 - hidden**2) * v
    return errors**2, inner[:, :, None] * x[:, None, :], 2 * errors[:, None] * hidden, inner @ w


def wave(a, b, x):
    """Wait for one operation after another, so that several vectors go side by side."""
    for _ in range(20):
        x = cr.sin(a * x + b)
    return x


@pytest.fixture(scope="module")
def numbers():
    draw = np.random.default_rng(5)
    return draw.normal(size=(9, 20)), draw.normal(size=9), draw.normal(size=(100, 20)), draw.normal(size=100)


@pytest.mark.parametrize("threads", [1, 2])
def test_loops_of_every_batch_size_equal_numpy(numbers, threads):
    w, v, xs, ys = numbers
    options = {"batch": ("x", "y"), "backend": "llvm", "threads": threads}
    total = cr.compile(cr.value_and_grad(network, (0, 1)), reduce="sum", **options)
    each = cr.compile(cr.value_and_grad(network, 2), **options)
    for n in SIZES:
        x, y = xs[:n], ys[:n]
        losses, by_w, by_v, by_x = by_hand(w, v, x, y)
        found, (dw, dv) = total(w, v, x, y)
        np.testing.assert_allclose(found, losses.sum(), rtol=1e-11)
        np.testing.assert_allclose(dw, by_w.sum(0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(dv, by_v.sum(0), rtol=1e-10, atol=1e-12)
        if n:
            found, dx = each(w, v, x, y)
            np.testing.assert_allclose(found, losses, rtol=1e-11)
            np.testing.assert_allclose(dx, by_x, rtol=1e-10, atol=1e-12)


def test_straight_lines_of_every_batch_size_equal_numpy(numbers):
    xs = numbers[3]
    total = cr.compile(cr.value_and_grad(wave, (0, 1)), batch="x", reduce="sum", backend="llvm")
    each = cr.compile(cr.value_and_grad(wave, 2), batch="x", backend="llvm")
    for n in SIZES:
        value, by_a, by_b, by_x = xs[:n], np.zeros(n), np.zeros(n), np.ones(n)
        for _ in range(20):
            slope = np.cos(0.7 * value + 0.2)
            by_a, by_b, by_x = slope * (value + 0.7 * by_a), slope * (1.0 + 0.7 * by_b), slope * 0.7 * by_x
            value = np.sin(0.7 * value + 0.2)
        found, slopes = total(0.7, 0.2, xs[:n])
        np.testing.assert_allclose([found, *slopes], [value.sum(), by_a.sum(), by_b.sum()], rtol=1e-10, atol=1e-12)
        if n:
            found, slopes = each(0.7, 0.2, xs[:n])
            np.testing.assert_allclose([found, slopes], [value, by_x], rtol=1e-10, atol=1e-13)


def test_copies_that_fill_up_a_vector_add_nothing_that_is_not_finite():
    """A copy's infinity, or nan, is no number of the sum."""
    total = cr.compile(cr.value_and_grad(lambda a, x: a / x), batch="x", reduce="sum", backend="llvm")
    assert total(1.0, np.array([0.0, 1.0, 2.0])) == (np.inf, np.inf)
    mapped = cr.compile(lambda a, x: cr.map(lambda b, x: b / x, a, x), batch="x", reduce="sum", backend="llvm")
    assert np.array_equal(mapped([1.0, -2.0], np.array([0.0, 1.0, 2.0])), [np.inf, -np.inf])


def test_results_are_the_same_every_time(numbers):
    w, v, xs, ys = numbers
    step = cr.compile(cr.value_and_grad(network, (0, 1)), batch=("x", "y"), reduce="mean", backend="llvm")
    for n in (5, 13, 45, 77):
        first, again = step(w, v, xs[:n], ys[:n]), step(w, v, xs[:n], ys[:n])
        assert first[0] == again[0]
        assert all(map(np.array_equal, first[1], again[1]))


def test_what_samples_share_little_of_is_compiled_for_one_vector(numbers):
    """A long program whose samples compute much of few numbers is there once, another for blocks, too."""

    def cell(state, x, w):
        gates = cr.map(lambda row: cr.tanh(cr.dot(row[:8], state) + cr.dot(row[8:], x)), w)
        for k in range(150):
            gates = cr.map(lambda a, k=k: cr.sin(a[0] * a[1] + k), (gates, state))
        return gates, None

    def end(w, xs):
        return cr.dot(*[cr.scan(cell, np.full(8, 0.1), xs, w)[0]] * 2)

    w, xs = np.ones((8, 12)), np.ones((50, 4))
    text = source(cr.trace(end, w, xs), [False, True])
    assert "@sample_1(" in text and "@sample_4(" not in text
    text = source(cr.trace(network, *numbers[:2], numbers[2][0], 1.0), [False, False, True, True])
    assert "@sample_1(" in text and "@sample_4(" in text


@pytest.mark.parametrize("n", [2, 3, 8, 11, 40])
def test_rows_of_results_and_of_tables_are_turned(n):
    draw = np.random.default_rng(n)
    table = draw.normal(size=(50, n))
    for count in (1, 7, 8, 33, 70):
        x, index = draw.normal(size=(count, n)), draw.integers(-50, 50, size=count).astype(float)
        index[count // 2] = 77.0  # for which there is no row
        step = cr.compile(lambda t, i, x: (t[i] * x, x[0], t[i]), batch=("i", "x"), backend="llvm")
        product, first, rows = step(table, index, x)
        expected = table[np.where(index > 50, 0, index).astype(int)]
        expected[count // 2] = np.nan
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(product, expected * x)
        np.testing.assert_array_equal(first, x[:, 0])
