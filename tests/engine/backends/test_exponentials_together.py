"""Exponentials of single numbers in loops are computed as vectors where they do not wait for one another."""

import math

import chainrule as cr
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import source
from chainrule.rewriting import prepared

rng = np.random.default_rng(6)


def shares(rows):
    def step(carry, row):
        z = [a + carry for a in row]
        return 0.1 * cr.logsumexp(z), cr.softmax(z)[0]

    return cr.scan(step, 0.0, rows)[1]


def in_stages(rows):
    """Each exponential of the second five waits for one of the first."""

    def step(carry, row):
        first = [cr.exp(-a * a) for a in row]
        second = [cr.exp(a * carry) for a in first]
        return cr.exp(-sum(second)), sum(first)

    return cr.scan(step, 1.0, rows)[1]


@pytest.mark.parametrize("count", [3, 4, 7, 8, 9, 14, 17])
@pytest.mark.parametrize("f", [shares, in_stages])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_gradients(f, count, dtype):
    rows = rng.normal(size=(20, count))
    total = cr.value_and_grad(lambda rows: sum(f(rows)))
    value, gradient = cr.compile(total, backend="llvm", dtype=dtype)(rows)
    expected, slopes = cr.compile(total, backend="python")(rows)
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    assert value == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(gradient, slopes, rtol=tolerance, atol=tolerance)


def test_infinite_numbers_and_nan():
    rows = rng.normal(size=(9, 5))
    rows[2, 1], rows[4, 3], rows[6, 0], rows[7, 2] = -math.inf, 800.0, math.inf, math.nan
    found, expected = (cr.compile(in_stages, backend=name)(rows) for name in ("llvm", "python"))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    clean = np.where(np.isfinite(rows), rows, -math.inf)
    found, expected = (cr.compile(shares, backend=name)(clean) for name in ("llvm", "python"))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_batch_of_one_lane_and_inside_a_map():
    xs = rng.normal(size=(6, 12))

    def f(row):
        return cr.map(lambda s: sum(cr.exp(s * a) for a in row), np.linspace(0.0, 1.0, 300), reduce="sum")

    found = cr.compile(f, batch="row", backend="llvm")(xs)
    expected = [np.exp(np.linspace(0.0, 1.0, 300)[:, None] * row).sum() for row in xs]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_exponentials_of_exponentials():
    """Steps that stand next to one another may wait for one another."""

    def step(carry, row):
        chain = cr.exp(cr.exp(cr.exp(cr.exp(row[0] + 0.0 * carry))))
        several = [cr.exp(x * carry) for x in row]
        return cr.exp(-chain) + 0.1 * several[1], sum(several) + cr.exp(cr.exp(several[2])) + cr.exp(several[3])

    rows = rng.normal(size=(20, 5)) * 0.1 - 3.0
    total = cr.value_and_grad(lambda rows: sum(cr.scan(step, 1.0, rows)[1]))
    value, gradient = cr.compile(total, backend="llvm")(rows)
    expected, slopes = cr.compile(total, backend="python")(rows)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-13)


def test_few_or_waiting_exponentials_stay_calls():
    def chain(rows):
        return cr.scan(lambda carry, row: (cr.exp(-cr.exp(-cr.exp(-cr.exp(carry * row[0])))), carry), 1.0, rows)[1]

    rows = rng.normal(size=(20, 5))
    text = [source(prepared(cr.trace(f, rows), [False]), [False]) for f in (chain, in_stages)]
    assert [own.count("insertelement") > 0 for own in text] == [False, "@exp_" in text[1]]
    np.testing.assert_allclose(cr.compile(chain, backend="llvm")(rows), chain(rows), rtol=1e-13)
