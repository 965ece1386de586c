"""Sums, products and maps over very many numbers compute, compiled with gradient, what NumPy does."""

import chainrule as cr
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("f", "by_hand"),
    [
        (lambda x: cr.logsumexp(x), lambda x: (np.logaddexp.reduce(x), np.exp(x - np.logaddexp.reduce(x)))),
        (lambda x: cr.sum(x), lambda x: (x.sum(), np.ones_like(x))),
        (lambda x: cr.mean(x), lambda x: (x.mean(), np.full_like(x, 1 / len(x)))),
        (lambda x: cr.dot(x[:10_000], x[10_000:]), lambda x: (x[:10_000] @ x[10_000:], np.roll(x, 10_000))),
        (lambda x: cr.map(cr.sin, x, reduce="sum"), lambda x: (np.sin(x).sum(), np.cos(x))),
    ],
    ids=["logsumexp", "sum", "mean", "dot", "map"],
)
def test_loops_over_very_many_numbers(f, by_hand):
    x = np.random.default_rng(7).normal(size=20_000)
    value, gradient = cr.compile(cr.value_and_grad(f))(x)
    expected, slope = by_hand(x)
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-9)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-15)
