"""Nests of maps and sums in machine code: side by side, turned inside out, with zeros beside infinities."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import size_of

pytest.importorskip("llvmlite")
from chainrule.backends.llvm.loops import turned
from chainrule.backends.llvm.loops.blocking import blocked

SIZES = [(9, 40, 33), (8, 64, 64), (16, 300, 37), (33, 17, 50), (7, 8, 300)]


def loss(a, b):
    return np.sum(np.tanh(a @ b))


def drawn(seed, *shapes):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=shape) for shape in shapes]


def values(found):
    value, gradients = found
    return [np.asarray(value), *map(np.asarray, gradients)]


@pytest.mark.parametrize(("rows", "columns", "inner"), SIZES)
def test_products_and_gradients_are_numpys(rows, columns, inner):
    a, b = drawn(rows, (rows, inner), (inner, columns))
    y = np.tanh(a @ b)
    expected = y.sum(), (1.0 - y * y) @ b.T, a.T @ (1.0 - y * y)
    value, gradients = cr.compile(cr.value_and_grad(loss, (0, 1)), backend="llvm")(a, b)
    for found, wanted in zip((value, *gradients), expected, strict=True):
        assert np.asarray(found) == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    for f, wanted in ((lambda a, b: a @ b.T.T, a @ b), (lambda a, b: b.T @ a.T, (a @ b).T)):
        assert np.asarray(cr.compile(f, backend="llvm")(a, b)) == pytest.approx(wanted, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("rows", "columns", "inner"), SIZES)
@pytest.mark.parametrize("case", ["left", "right", "nan"])
def test_zeros_are_stronger_than_infinities_and_nan(rows, columns, inner, case):
    a, b = drawn(rows, (rows, inner), (inner, columns))
    draw = np.random.default_rng(columns)
    # Where an infinity makes a product infinite, its slope is 0, and so is what goes back through the infinity.
    for k in (0, 3, 6):
        place = draw.integers(inner)
        if case == "left":
            a[k, place] = np.inf
        else:
            b[place, k] = np.inf
    if case == "nan":
        a[1, 2] = np.nan
    both = cr.value_and_grad(loss, (0, 1))
    one, other = (values(cr.compile(both, backend=backend)(a, b)) for backend in ("llvm", "python"))
    assert case == "nan" or all(np.isfinite(part).all() for part in other)
    assert np.isfinite(other[1]).any()
    for found, wanted in zip(one, other, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("number", [0.0, np.inf, np.nan])
def test_a_batch_of_products_with_zeros_and_infinities(number):
    w, x = drawn(5, (12, 40), (37, 40))
    w[3, 7], w[4], x[5, 7], x[6, 8], x[20] = number, 0.0, np.inf, number, 0.0

    def f(w, x):
        return np.sum(np.tanh(w @ x))

    both = cr.value_and_grad(f, (0, 1))
    for reduce in (None, "sum"):
        options = {"batch": ("x",), "reduce": reduce}
        one, other = (values(cr.compile(both, backend=name, **options)(w, x)) for name in ("llvm", "python"))
        for found, wanted in zip(one, other, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("most", [2, 3, 4, 8])
def test_maps_with_loops_side_by_side_and_turned_compute_the_same(most):
    program = cr.trace(cr.value_and_grad(loss, (0, 1)), *drawn(0, (12, 33), (33, 31)))
    inputs = [array.ravel().tolist() for array in drawn(1, (12, 33), (33, 31))]
    expected = program.run(inputs)
    other = turned(program)
    assert [op.sums for op in other.rows_and_loops() if op.name == "map"] != [
        op.sums for op in program.rows_and_loops() if op.name == "map"
    ]
    for found, wanted in zip(other.run(inputs), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-12)
    loops = [
        op for op in (*program.rows_and_loops(), *other.rows_and_loops()) if op.name == "map" and op.body.has_loops
    ]
    joined = 0
    for loop in loops:
        several = blocked(loop, most, 32)
        joined += several.length < loop.length
        own = [np.random.default_rng(2).normal(size=shape).ravel().tolist() for shape in loop.argument_shapes]
        own = [array if shape else array[0] for array, shape in zip(own, loop.argument_shapes, strict=True)]
        for found, wanted, shape in zip(several.unroll(own), loop.unroll(own), loop.shapes, strict=True):
            assert np.size(found) == size_of(shape)
            assert found == pytest.approx(wanted, rel=1e-11, abs=1e-12)
    assert joined


@pytest.mark.parametrize("length", [9, 28, 29, 56, 57, 4095])
def test_sums_of_products_that_run_side_by_side_miss_no_row(length):
    draw = np.random.default_rng(length)
    m, x = draw.normal(size=(length, 29)), draw.normal(size=length)
    found = cr.compile(lambda m, x: x @ m, backend="llvm")(m, x)
    expected = [math.fsum(m[k, j] * x[k] for k in range(length)) for j in range(29)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    total = cr.compile(lambda x: np.sum(np.square(x)), backend="llvm")(x)
    assert total == pytest.approx(math.fsum(x * x), rel=1e-14)
