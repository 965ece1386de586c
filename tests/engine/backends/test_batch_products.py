"""Sums of outer products over a batch in machine code: any number of samples, rows and columns of many kinds."""

import chainrule as cr
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import emission, kernel
from chainrule.backends.llvm.loops import nest

SIZES = [1, 2, 7, 8, 9, 16, 31, 32, 33, 64, 71, 130]


@pytest.fixture
def found(monkeypatch):
    """Which results of the programs compiled meanwhile are sums of outer products."""
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    outputs = []

    def watched(layout, lanes):
        program, outer = original(layout, lanes)
        outputs.append([one.output for one in outer])
        return program, outer

    original = nest.outer_products
    monkeypatch.setattr(nest, "outer_products", watched)
    return outputs


def near(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(found, expected, tolerance, tolerance * np.abs(expected).max())


@pytest.mark.parametrize(("rows", "columns"), [(4, 256), (7, 257), (16, 300), (21, 278), (35, 289)])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_outer_products_of_arguments(rows, columns, reduce, found):
    draw = np.random.default_rng(rows)
    f = cr.compile(lambda d, x: np.outer(d, x), batch=("d", "x"), reduce=reduce, backend="llvm", threads=1)
    for n in SIZES:
        d, x = draw.normal(size=(n, rows)), draw.normal(size=(n, columns))
        near(f(d, x), d.T @ x / (n if reduce == "mean" else 1))
    assert found == [[0]]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_factors_that_are_computed(dtype, found):
    """Both lie sample by sample side by side, and one is turned."""

    def f(d, x):
        return np.sum(x), np.outer(np.tanh(d), np.cos(x)), d * 2.0

    draw, narrow = np.random.default_rng(1), dtype == "float32"
    compiled = cr.compile(f, batch=("d", "x"), reduce="sum", backend="llvm", threads=1, dtype=dtype)
    for n in SIZES:
        d, x = draw.normal(size=(n, 19)).astype(dtype), draw.normal(size=(n, 301)).astype(dtype)
        total, outer, twice = compiled(d, x)
        near(outer, np.tanh(d).T @ np.cos(x), 1e-5 if narrow else 1e-12)
        near(total, np.sum(x), 1e-4 if narrow else 1e-11)
        near(twice, 2.0 * d.sum(0), 1e-5 if narrow else 1e-12)
    assert found == [[1]]


def network(p, x, y):
    for w in p[:-1]:
        x = cr.map(lambda row, x: cr.tanh(cr.dot(row[:-1], x) + row[-1]), w, x)
    return cr.square(cr.dot(p[-1], x) - y)


def by_hand(p, x, y):
    """Return the gradients of the sum of `network` over samples."""
    taken = []
    for w in p[:-1]:
        taken.append(np.column_stack([x, np.ones(len(x))]))
        x = np.tanh(taken[-1] @ w.T)
    error = 2.0 * (x @ p[-1] - y)
    grads = [error @ x]
    back = error[:, None] * p[-1]
    for w, given in zip(p[-2::-1], taken[::-1], strict=True):
        back = back * (1.0 - np.tanh(given @ w.T) ** 2)
        grads.insert(0, back.T @ given)
        back = back @ w[:, :-1]
    return grads


@pytest.mark.parametrize(("threads", "hidden"), [(1, 24), (1, 40), (3, 40)])
def test_gradients_of_rows_that_end_with_a_bias(threads, hidden, found, monkeypatch):
    """Columns are numbers of an argument or of a layer, and a last one that is 1.

    Many sums of what the rows of weights pass back are products of a matrix, and long sums of products are loops.
    """
    most = []

    def watched(program):
        result = original(program)
        maps = [op for op in result.rows_and_loops() if op.name == "map"]
        most.append((max(op.sums for op in maps), max(len(op.body.steps) for op in maps)))
        return result

    original = emission.with_products
    monkeypatch.setattr(emission, "with_products", watched)
    monkeypatch.setattr(kernel, "_GRAIN", 0)
    draw = np.random.default_rng(5)
    p = [draw.normal(size=(hidden, 41)) / 6.0, draw.normal(size=(21, hidden + 1)) / 5.0, draw.normal(size=21)]
    options = {"batch": ("x", "y"), "reduce": "sum", "backend": "llvm", "threads": threads}
    compiled = cr.compile(cr.grad(network), **options)
    for n in [*SIZES, 260, 641]:
        x, y = draw.normal(size=(n, 40)), draw.normal(size=n)
        grads = compiled(p, x, y)
        for own, expected in zip(grads, by_hand(p, x, y), strict=True):
            near(own, expected, 1e-11)
        for own, again in zip(grads, compiled(p, x, y), strict=True):
            np.testing.assert_array_equal(own, again, "the same every time")
    assert found[0] == [0, 1]
    sums, steps = most[0]
    assert (sums, steps > 60) == ((24, True) if hidden == 24 else (1, False))


def test_no_samples_and_samples_that_are_not_finite(found):
    f = cr.compile(
        cr.grad(lambda w, x, t: np.sum(np.tanh(w @ x) * t)),
        batch=("x", "t"),
        reduce="sum",
        backend="llvm",
        threads=1,
    )
    draw = np.random.default_rng(2)
    w, x, t = draw.normal(size=(20, 260)) / 9.0, draw.normal(size=(43, 260)), draw.normal(size=(43, 20))
    assert not np.any(f(w, x[:0], t[:0]))
    expected = (t * (1.0 - np.tanh(x @ w.T) ** 2)).T @ x
    near(f(w, x, t), expected, 1e-11)
    # An adjoint of 0 takes no part, whatever it meets.
    t[40] = 0.0
    expected = (t * (1.0 - np.tanh(x @ w.T) ** 2)).T @ x
    x[40] = np.inf
    near(f(w, x, t), expected, 1e-11)
    t[40, 3] = 1.0
    result = f(w, x, t)
    assert np.isnan(result[3]).all()
    near(np.delete(result, 3, 0), np.delete(expected, 3, 0), 1e-11)
    assert found[0] == [0]


def test_what_is_taken_besides_too_and_what_is_small(found):
    def f(d, x):
        outer = np.outer(d, x)
        return outer, np.tanh(outer)

    draw = np.random.default_rng(3)
    d, x = draw.normal(size=(37, 20)), draw.normal(size=(37, 270))
    outer, tanh = cr.compile(f, batch=("d", "x"), reduce="sum", backend="llvm")(d, x)
    near(outer, d.T @ x)
    near(tanh, np.tanh(d[:, :, None] * x[:, None]).sum(0))
    small = cr.compile(lambda d, x: np.outer(d, x), batch=("d", "x"), reduce="sum", backend="llvm")
    near(small(d[:, :3], x), d[:, :3].T @ x)
    assert found[1] == []
