"""Samples of like length share a vector; results stand where the samples did."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.compilation.grouping import Grouping

pytest.importorskip("llvmlite")
ROWS = 6


def ragged(w, xs, length):
    end, ys = cr.scan(lambda c, x: (cr.tanh(w * c + x), c * x), 0.1, xs, length=length)
    return end + cr.sum([y * y for y in ys])


@pytest.fixture(params=[15, 16, 50, 129])
def batch(request):
    draw = np.random.default_rng(request.param)
    return draw.normal(size=(request.param, ROWS)), draw.integers(0, ROWS + 1, request.param).astype(float)


@pytest.mark.parametrize("threads", [1, 2])
def test_results_keep_the_order_of_samples(batch, threads):
    xs, lengths = batch
    run = cr.compile(
        cr.value_and_grad(ragged, (0, 1)), batch=("xs", "length"), backend="llvm", threads=threads, max_steps=10**6
    )
    before = xs.copy(), lengths.copy()
    values, (by_w, by_xs) = run(0.7, xs, lengths)
    expected = [cr.value_and_grad(ragged, (0, 1))(0.7, *own) for own in zip(xs, lengths, strict=True)]
    np.testing.assert_allclose(values, [value for value, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(by_w, [own for _, (own, _) in expected], rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(by_xs, [own for _, (_, own) in expected], rtol=1e-11, atol=1e-14)
    assert np.array_equal(before[0], xs) and np.array_equal(before[1], lengths)
    out = np.empty_like(values), (np.empty_like(by_w), np.empty_like(by_xs))
    run(0.7, xs, lengths, out=out)
    assert np.array_equal(out[0], values) and np.array_equal(out[1][1], by_xs)
    again = run(0.7, xs.tolist(), lengths.tolist())
    assert np.array_equal(again[0], values)


def test_sums_are_those_of_all_samples_and_the_same_every_time(batch):
    xs, lengths = batch
    run = cr.compile(cr.value_and_grad(ragged), batch=("xs", "length"), reduce="sum", backend="llvm")
    each = cr.compile(cr.value_and_grad(ragged), batch=("xs", "length"), backend="python")
    assert run(0.7, xs, lengths) == run(0.7, xs, lengths)
    np.testing.assert_allclose(run(0.7, xs, lengths), np.sum(each(0.7, xs, lengths), axis=1), rtol=1e-12)
    order = np.random.default_rng(1).permutation(len(xs))
    np.testing.assert_allclose(run(0.7, xs[order], lengths[order]), run(0.7, xs, lengths), rtol=1e-12)


def keys_of(f, *examples, batch):
    run = cr.compile(f, batch=batch, backend="llvm")
    run.trace(*examples)
    return run._latest.grouping.keys


def test_lengths_are_found_where_they_are_given():
    xs = np.ones((3, ROWS))
    assert keys_of(ragged, 0.5, xs, np.ones(3), batch=("xs", "length")) == [(2, 0)]
    assert keys_of(cr.grad(ragged), 0.5, xs, np.ones(3), batch=("xs", "length")) == [(2, 0)]
    assert keys_of(ragged, 0.5, xs, 1.0, batch=("xs",)) == []  # which is that of all samples

    def nested(data, w):
        def inner(x):
            return cr.map(lambda y: w * x * y, data["xs"], length=data["n"] - 1.0, reduce="sum")

        return cr.map(inner, data["xs"], reduce="sum")

    data = {"xs": xs, "n": np.ones(3)}
    assert keys_of(nested, data, 0.5, batch=("data",)) == [(0, ROWS)]
    assert keys_of(lambda xs: cr.map(cr.sin, xs, reduce="sum"), xs, batch=("xs",)) == []


def test_vectors_hold_samples_of_like_length(batch):
    xs, lengths = batch
    run = cr.compile(ragged, batch=("xs", "length"), backend="llvm")
    run.trace(0.7, xs, lengths)
    grouping = run._latest.grouping
    assert isinstance(grouping, Grouping)
    order = grouping.order([np.array([0.7]), xs, lengths], len(xs))
    if len(xs) < 16:
        assert order is None
        return
    _, moved, ordered = grouping.sorted([np.array([0.7]), xs, lengths], len(xs), order)
    assert (np.diff(ordered[:, 0]) >= 0).all()
    assert np.array_equal(moved, xs[order])
    assert grouping.order([np.array([0.7]), moved, ordered], len(xs)) is None  # there is nothing to do
