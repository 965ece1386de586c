"""Iterations of maps in vector lanes: any length, what is added once, matrices laid out column by column."""

import dataclasses

import chainrule as cr
import numpy as np
import pytest
from helpers import everything, flat

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import emission, machine
from chainrule.backends.llvm.instructions import supported_in_loops
from chainrule.backends.llvm.loops import calls, columns, turned
from chainrule.backends.lowering import lower
from chainrule.rewriting import prepared

LENGTHS = range(1, 3 * machine.host().lanes + 2)


def agree(f, *args):
    """Compare machine code with generated Python."""
    found, expected = (flat(cr.compile(f, backend=backend)(*args)) for backend in ("llvm", "python"))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13 * max(1.0, np.abs(expected).max()))


def inputs(n, width=3, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, width)), draw.normal(size=width)


def row_by_row(w, z):
    return cr.map(lambda row, z: cr.tanh(cr.dot(row, z)), w, z)


@pytest.mark.parametrize("n", LENGTHS)
def test_maps_of_any_length(n):
    w, z = inputs(n)
    agree(row_by_row, w, z)
    agree(everything(lambda w, z: cr.sum(row_by_row(w, z))), w, z)
    agree(everything(lambda w, z: cr.map(lambda row, z: cr.sin(cr.dot(row, z)), w, z, reduce="mean")), w, z)


@pytest.mark.parametrize("n", LENGTHS)
def test_maps_inside_a_scan_share_a_matrix(n):
    w, z = inputs(n, min(n, 5), seed=n)

    def f(w, z):
        width = len(z)
        cell = lambda c, x, w: (list(row_by_row(w, [a * x for a in c])[:width]), None)  # noqa: E731
        return cr.sum(cr.scan(cell, list(z), [0.5, -1.0, 2.0], w)[0])

    agree(cr.value_and_grad(f, (0, 1)), w, z)
    if n % 3 == 0:
        agree(everything(f), w, z)


@pytest.mark.parametrize("n", LENGTHS)
def test_gradients_of_rows_are_added_once_for_each_iteration(n):
    """The body of the outer loop adds to the sums of a matrix; the last vector of a map overlaps the one before."""
    w, z = inputs(n, 2, seed=n)
    xs = np.linspace(-1.0, 1.0, 3)

    def outer(x, w, z):
        return cr.sum(cr.map(lambda row, x: cr.exp(cr.dot(row, z) * x), w, x))

    agree(cr.grad(lambda w, z: cr.map(outer, xs, w, z, reduce="sum"), (0, 1)), w, z)


@pytest.mark.parametrize("n", [5, 9, 14, 33])
def test_lanes_hold_loops(n):
    w, z = inputs(n, 4, seed=n)

    def f(w, z):
        inner = lambda row: cr.scan(lambda c, x: (cr.tanh(c * x + z[0]), c), row[0], row)[0]  # noqa: E731
        ends = lambda row: cr.while_loop(lambda c: c < 3.0, lambda c: c * 1.7 + 0.1, cr.square(row[1]), limit=9)  # noqa: E731
        return cr.map(lambda row: inner(row) + ends(row), w, reduce="sum")

    agree(cr.value_and_grad(f, (0, 1)), w, z)


def test_infinities_in_lanes_that_are_repeated_are_added_once():
    xs = np.array([1.0, np.inf, 2.0, 3.0, 4.0, 5.0])

    def f(xs, y):
        return cr.map(lambda x: x * y, xs, reduce="sum")

    assert cr.compile(f, backend="llvm")(xs, 0.5) == np.inf
    assert cr.compile(cr.grad(f, 1), backend="llvm")(xs, 0.5) == np.inf


@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 14, 21, 33])
def test_other_widths(lanes, n, monkeypatch):
    other = dataclasses.replace(machine.host(), lanes=lanes, registers=16, vector_functions=())
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    monkeypatch.setattr(emission, "host", lambda own: other)
    w, z = inputs(n, 3)
    agree(cr.value_and_grad(lambda w, z: cr.sum(row_by_row(w, z)), (0, 1)), w, z)


def recurrence(units):
    """A map over the rows of a matrix in a scan that shares the matrix."""

    def f(w, xs):
        cell = lambda c, x, w: (list(cr.map(lambda row, z: cr.tanh(cr.dot(row, z)), w, c)), None)  # noqa: E731
        return cr.sum(cr.scan(cell, [0.1] * units, xs, w)[0])

    return cr.trace(cr.grad(f), np.ones((units, units)), [1.0] * 9)


def test_columns_that_lanes_read_are_found():
    forward, backward = (op for op, _ in recurrence(20).steps if hasattr(op, "body"))
    matrix = [k for k, shape in enumerate(forward.body.shapes[forward.carry + forward.rows :]) if shape == (20, 20)]
    assert matrix and set(matrix) <= set(columns.shared_columns(forward, 4))
    shapes = backward.body.output_shapes[backward.carry + backward.stacked :]
    assert [shapes[k] for k in columns.summed_columns(backward, 4)] == [(20, 20)]
    # Fewer rows than lanes fill a shorter vector; too few none.
    assert set(matrix) <= set(columns.shared_columns(forward, 32))
    few, _ = (op for op, _ in recurrence(3).steps if hasattr(op, "body"))
    assert not list(columns.shared_columns(few, 32))


@pytest.mark.parametrize("n", range(1, 9))
def test_maps_shorter_than_a_vector_take_a_shorter_one(n, monkeypatch):
    """Also functions that come for whole vectors only; what is added is added once for each iteration."""
    taken = []

    class Noted(calls.Iterations):
        def write(self):
            taken.append(self.lanes)
            return super().write()

    monkeypatch.setattr(calls, "Iterations", Noted)
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    xs = np.random.default_rng(n).uniform(0.5, 2.0, size=n)

    def f(xs):
        return cr.map(lambda x: cr.log(x) + cr.exp(x) * cr.atan(x) + cr.sin(x) ** 2, xs)

    agree(f, xs)
    lanes = machine.host().lanes
    least = min(lanes, 4)
    expected = 1 if n < least else next(k for k in (lanes, lanes // 2, lanes // 4) if k <= n)
    assert taken == [expected]
    agree(everything(lambda xs: cr.map(lambda x: cr.log(x) * cr.exp(x), xs, reduce="sum")), xs)


@pytest.mark.parametrize("rows", [1, 3, 7, 8, 9, 16, 20, 27])
@pytest.mark.parametrize("columns", [3, 8, 15, 24])
def test_matrices_are_turned_square_by_square(rows, columns):
    a, b = (np.random.default_rng(k).normal(size=(rows, columns)) for k in (0, 1))
    turned, total = cr.compile(lambda a, b: (a.T, a.T + b.T), backend="llvm")(a, b)
    np.testing.assert_array_equal(turned, a.T)
    np.testing.assert_array_equal(total, a.T + b.T)
    deep = np.random.default_rng(2).normal(size=(3, rows, columns))
    np.testing.assert_array_equal(
        cr.compile(lambda x: x.transpose(2, 0, 1), backend="llvm")(deep), deep.transpose(2, 0, 1)
    )
    slopes = cr.compile(cr.grad(lambda a, w: np.sum(a.T * w) + np.sum(a * a)), backend="llvm")(a, b.T)
    np.testing.assert_allclose(slopes, b + 2.0 * a, rtol=1e-15)


def test_matrices_are_gathered_once_outside_the_loop(monkeypatch):
    kept = []

    class Noted(calls.Iterations):
        def write(self):
            kept.append((self.lanes, self.steps))
            return super().write()

    monkeypatch.setattr(calls, "Iterations", Noted)
    units = 2 * machine.host().lanes
    emission.source(recurrence(units), (False, False))
    in_lanes = [steps for lanes, steps in kept if lanes > 1]
    # Inside, vectors are read and written as they stand.
    assert len(in_lanes) >= 2 and all(set(steps) <= {0, 8} for steps in in_lanes)


@pytest.mark.parametrize("name", ["tanh", "sech_square", "sigmoid"])
def test_functions_of_one_exponential_are_exact(name):
    mpmath = pytest.importorskip("mpmath")
    exact = {
        "tanh": mpmath.tanh,
        "sech_square": lambda x: 1 / mpmath.cosh(x) ** 2,
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    }[name]
    draw = np.random.default_rng(5)
    xs = np.concatenate([np.linspace(-30, 30, 601), np.linspace(-0.4, 0.4, 301), 10.0 ** draw.uniform(-300, 2.5, 300)])
    xs = xs[(np.abs(xs) < 350) & ((xs > -700) | (name != "sigmoid"))]
    row = cr.PRIMITIVES[name]
    found = cr.compile(lambda xs: cr.map(row, xs), backend="llvm")(xs)
    with mpmath.workdps(40):
        for x, y in zip(xs.tolist(), found, strict=True):
            assert abs(y - exact(mpmath.mpf(x))) <= 1e-15 * abs(exact(mpmath.mpf(x))), x
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 800.0])
    expected = [row(x) for x in edges.tolist()]
    found = cr.compile(lambda xs: cr.map(row, xs), backend="llvm")(edges)
    np.testing.assert_array_equal(found, expected)
    zeros = edges == 0.0
    np.testing.assert_array_equal(np.signbit(np.array(found)[zeros]), np.signbit(np.array(expected)[zeros]))


def test_the_slope_of_a_sigmoid_takes_its_exponential():
    f = cr.trace(lambda xs: cr.map(cr.value_and_grad(lambda x: cr.sigmoid(x) + cr.tanh(x)), xs), [0.5] * 8)
    (loop,) = [op for op, _ in lower(f, supported_in_loops).steps if hasattr(op, "body")]
    assert [op.name for op, _ in loop.body.steps].count("exp") == 2


def squares_of_products(stacked, points):
    """Sum the squared products of matrices and points; the last axis of the matrices tells which it is."""
    each = lambda x, own: cr.map(lambda factor, x: cr.dot(factor @ x, factor @ x), own, x, reduce="sum")  # noqa: E731
    return cr.map(each, points, stacked.transpose(2, 0, 1), reduce="sum")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [8, 13, 96])
@pytest.mark.parametrize("size", [17, 32])
def test_matrices_that_lie_across_and_their_gradient(size, count, threads):
    draw = np.random.default_rng(size)
    stacked, points = draw.normal(size=(size, size, 19)), draw.normal(size=(count, size))
    found = cr.compile(cr.value_and_grad(squares_of_products), backend="llvm", threads=threads)(stacked, points)
    products = np.einsum("ijk,pj->pik", stacked, points)
    np.testing.assert_allclose(found[0], np.sum(products**2), rtol=1e-12)
    np.testing.assert_allclose(found[1], 2 * np.einsum("pik,pj->ijk", products, points), rtol=1e-10, atol=1e-9)


def test_sums_over_matrices_that_lie_across_do_so_too():
    traced = cr.trace(cr.grad(squares_of_products), np.ones((32, 32, 19)), np.ones((96, 32)))
    program = turned(prepared(traced, [False, False]))
    loops = [op for op, _ in program.steps if hasattr(op, "body") and op.sums]
    (loop,) = [op for op in loops if (19, 32, 32) in op.body.output_shapes]
    (matrices,) = [k for k, shape in enumerate(loop.body.shapes) if shape == (19, 32, 32)]
    assert columns.summed_columns(loop, 8) == ()
    places = columns.summed_columns(loop, 8, frozenset([matrices]))
    assert [loop.body.output_shapes[loop.stacked + k] for k in places] == [(19, 32, 32)]
