"""Sums of outer products that leave their scans, compared with other backends, NumPy, and programs that keep them."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule.rewriting import outer_sums, prepared

LENGTH, UNITS, INPUTS = 40, 17, 12


def loss(w, u, xs):
    def step(state, x):
        h = np.tanh(w @ np.concatenate([state, x]))
        return h, np.sum(np.square(u @ h))

    h, losses = cr.scan(step, np.zeros(UNITS), xs)
    return np.sum(losses) + np.sum(h)


def arguments(length=LENGTH, seed=0):
    draw = np.random.default_rng(seed)
    w = draw.normal(size=(UNITS, UNITS + INPUTS)) * 0.3
    return w, draw.normal(size=(INPUTS + 10, UNITS)), draw.normal(size=(length, INPUTS))


def scans(program):
    return [op for op, _ in program.steps if op.name == "scan"]


def backward(length):
    """Return the scan that runs backwards in the gradient of the loss for so many rows."""
    traced = cr.trace(cr.grad(loss, argnums=(0, 1)), *arguments(length))
    return next(op for op in scans(prepared(traced, [False] * 3)) if op.backwards)


def differences(f, x, direction, h=1e-6):
    return (f(x + h * direction) - f(x - h * direction)) / (2.0 * h)


def test_a_long_scan_sums_no_matrices_and_a_short_one_does():
    long, short = backward(LENGTH), backward(outer_sums._LEAST["scan"] - 1)
    assert all(len(shape) < 2 for shape in long.body.output_shapes)
    assert any(len(shape) == 2 for shape in short.body.output_shapes)


@pytest.mark.parametrize("backend", ["python", "numpy", "llvm"])
def test_gradients_are_those_of_differences(backend):
    w, u, xs = arguments()
    by_w, by_u = cr.compile(cr.grad(loss, argnums=(0, 1)), backend=backend)(w, u, xs)
    draw = np.random.default_rng(1)
    for given, place in ((by_w, 0), (by_u, 1)):
        direction = draw.normal(size=(w, u)[place].shape)

        def along(x, place=place):
            return loss(*[x if k == place else own for k, own in enumerate((w, u))], xs)

        expected = differences(along, (w, u)[place], direction)
        assert np.sum(np.asarray(given) * direction) == pytest.approx(expected, rel=1e-6)


def test_gradients_are_those_that_the_scan_sums(monkeypatch):
    given = arguments(100)
    apart = cr.compile(cr.grad(loss, argnums=(0, 1)), backend="python")(*given)
    monkeypatch.setitem(outer_sums._LEAST, "scan", math.inf)
    inside = cr.compile(cr.grad(loss, argnums=(0, 1)), backend="python")(*given)
    for one, other in zip(apart, inside, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_a_batch_gets_each_samples_own_sums():
    w, u, _ = arguments()
    xs = np.random.default_rng(2).normal(size=(5, LENGTH, INPUTS))
    step = cr.compile(cr.grad(loss, argnums=(0, 1)), batch="xs", backend="llvm")
    each = [cr.compile(cr.grad(loss, argnums=(0, 1)), backend="python")(w, u, own) for own in xs]
    for place, found in enumerate(step(w, u, xs)):
        np.testing.assert_allclose(found, [own[place] for own in each], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("backend", ["python", "llvm"])
def test_a_factor_of_zero_is_stronger_than_an_infinite_one(backend):
    """Rows from the third on are infinite, but what comes of them is chosen by nobody: their adjoint is exactly 0."""

    def chosen(w, xs, flags):
        def step(state, row):
            x, flag = row
            y = w @ x
            return state + np.sum(np.where(flag > 0.0, y, 0.0)), None

        return cr.scan(step, 0.0, (xs, flags))[0]

    xs = np.random.default_rng(3).normal(size=(LENGTH, 18))
    flags = np.where(np.arange(LENGTH) < 3, 1.0, 0.0)
    xs[3:] = math.inf
    found = cr.compile(cr.grad(chosen), backend=backend)(np.ones((20, 18)), xs, flags)
    np.testing.assert_allclose(found, np.broadcast_to(xs[:3].sum(0), (20, 18)), rtol=1e-14)


def test_second_derivatives():
    w, u, xs = arguments()
    v = np.random.default_rng(4).normal(size=w.shape)

    def product(w, v):
        return cr.hvp(lambda w: loss(w, u, xs), (w,), (v,))

    found = cr.compile(product, backend="llvm")(w, v)
    slope = cr.compile(cr.grad(lambda w: loss(w, u, xs)), backend="llvm")
    h = 1e-5
    expected = (np.asarray(slope(w + h * v)) - np.asarray(slope(w - h * v))) / (2.0 * h)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


# ---- of rows that are counted ----

WIDE, NARROW, ROWS = 24, 16, 9


def ragged(w, u, xs, length):
    """Return a sum over the first rows of two layers, whose weights all rows share."""

    def layer(x, w, u):
        return u @ cr.relu(w @ x)

    ys = cr.map(layer, xs, w, u, length=length)
    return np.sum(np.tanh(ys))


def ragged_arguments(samples=None):
    draw = np.random.default_rng(5)
    w, u = draw.normal(size=(WIDE, NARROW)) / 4.0, draw.normal(size=(NARROW, WIDE)) / 4.0
    return w, u, draw.normal(size=(*([] if samples is None else [samples]), ROWS, NARROW))


def by_hand(w, u, xs, length):
    """Return the gradients, by NumPy."""
    xs = xs[: int(length)]
    inner = xs @ w.T
    powers = np.maximum(inner, 0.0)
    slopes = 1.0 - np.tanh(powers @ u.T) ** 2
    return (slopes @ u * (inner > 0.0)).T @ xs, slopes.T @ powers


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("samples", [1, 5, 16, 37])
def test_counted_rows_of_each_sample_are_summed(samples, dtype, error):
    w, u, xs = ragged_arguments(samples)
    lengths = np.random.default_rng(6).integers(0, ROWS + 1, samples).astype(float)
    for xs_of, length in zip(xs, lengths, strict=True):
        xs_of[int(length) :] = math.nan  # which nobody reads
    slopes = cr.grad(ragged, argnums=(0, 1))
    found = cr.compile(slopes, batch=("xs", "length"), reduce="sum", dtype=dtype)(w, u, xs, lengths)
    each = [by_hand(w, u, *own) for own in zip(xs, lengths, strict=True)]
    for place, own in enumerate(found):
        expected = np.sum([one[place] for one in each], axis=0)
        np.testing.assert_allclose(own, expected, rtol=error, atol=error * max(1.0, np.abs(expected).max()))
    apart = cr.compile(slopes, batch=("xs", "length"), dtype=dtype)(w, u, xs, lengths)
    for place, own in enumerate(apart):
        for one, expected in zip(own, each, strict=True):
            np.testing.assert_allclose(one, expected[place], rtol=error, atol=10.0 * error)


@pytest.mark.parametrize("backend", ["python", "numpy", "llvm"])
@pytest.mark.parametrize("length", [0.0, 1.0, 6.0, 9.0])
def test_counted_rows_are_summed_by_every_backend(backend, length):
    w, u, xs = ragged_arguments()
    found = cr.compile(cr.grad(ragged, argnums=(0, 1)), backend=backend)(w, u, xs, length)
    for own, expected in zip(found, by_hand(w, u, xs, length), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-12)


def test_second_derivatives_of_counted_rows():
    w, u, xs = ragged_arguments(6)
    lengths = np.array([0.0, 9.0, 3.0, 4.0, 9.0, 1.0])
    v = np.random.default_rng(7).normal(size=w.shape)

    def along(w, u, xs, length, v):
        return np.sum(cr.grad(ragged)(w, u, xs, length) * v)

    found = cr.compile(cr.grad(along, argnums=(0, 1)), batch=("xs", "length"), reduce="sum")(w, u, xs, lengths, v)
    h = 1e-5
    for place, own in enumerate(found):
        ends = [
            np.sum([by_hand(w + s * v, u, *row)[place] for row in zip(xs, lengths, strict=True)], axis=0)
            for s in (h, -h)
        ]
        np.testing.assert_allclose(own, (ends[0] - ends[1]) / (2.0 * h), rtol=1e-5, atol=1e-6)


def test_counted_rows_sum_no_matrices_where_lanes_end_apart():
    traced = cr.trace(cr.grad(ragged, argnums=(0, 1)), *ragged_arguments(), 4.0)
    program = prepared(traced, [False, False, True, True])
    loops = [op for op, _ in program.steps if op.name == "counted scan"]
    assert loops
    assert all(len(shape) < 2 for op in loops for shape in op.body.output_shapes)


def test_an_infinite_factor_of_one_lane_is_no_nan_of_another():
    w, u, xs = ragged_arguments(8)
    xs[3, 5:] = math.inf  # beyond its length, where other lanes go on
    lengths = np.array([9.0, 7.0, 2.0, 5.0, 9.0, 1.0, 0.0, 8.0])
    found = cr.compile(cr.grad(ragged, argnums=(0, 1)), batch=("xs", "length"), reduce="sum")(w, u, xs, lengths)
    for place, own in enumerate(found):
        expected = np.sum([by_hand(w, u, *row)[place] for row in zip(xs, lengths, strict=True)], axis=0)
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 8, 21])
def test_narrow_matrices_whose_products_are_written_out(samples):
    draw = np.random.default_rng(8)
    keys, xs = draw.normal(size=(16, 4)), draw.normal(size=(samples, ROWS, 4))
    lengths = draw.integers(0, ROWS + 1, samples).astype(float)

    def attended(keys, xs, length):
        return cr.map(lambda x, keys: np.sum(np.tanh(keys @ x)), xs, keys, length=length, reduce="sum")

    slopes = cr.compile(cr.grad(attended, argnums=(0, 1)), batch=("xs", "length"))
    by_keys, by_xs = slopes(keys, xs, lengths)
    for x, length, found, rows in zip(xs, lengths.astype(int), by_keys, by_xs, strict=True):
        part = 1.0 - np.tanh(x[:length] @ keys.T) ** 2
        np.testing.assert_allclose(found, part.T @ x[:length], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(rows[:length], part @ keys, rtol=1e-12, atol=1e-12)
        assert not np.any(rows[length:])
