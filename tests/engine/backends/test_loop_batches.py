"""Batches of programs with loops in machine code: any number of samples, results of each or their sums, threads."""

import chainrule as cr
import numpy as np
import pytest
from helpers import flat

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import emission, kernel

SIZES = [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 50]
SHARED = [127, 128, 129, 200, 641, 1000]  # samples that threads take a share of


def layers(p, x, y):
    """A network of maps; what is shared by all samples is computed once, too."""
    for layer in p:
        x = cr.map(lambda row, x: cr.tanh(cr.dot(row[:-1], x) + cr.exp(row[-1])), layer, x)
    return cr.square(cr.sum(list(x)) - y)


def recurrence(p, x, y):
    end, states = cr.scan(lambda c, v: (cr.sin(c * p[0][0][0] + v), c), y, x)
    return end + cr.while_loop(lambda c: c < 3.0, lambda c: c + cr.exp(x[0]), y, limit=8) + states[1]


def inputs(n, width=5):
    draw = np.random.default_rng(n)
    p = [draw.normal(size=(7, width + 1)), draw.normal(size=(4, 8))]
    return p, draw.normal(size=(n, width)), draw.normal(size=n)


@pytest.mark.parametrize("f", [layers, recurrence])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_batches_of_any_size(f, reduce):
    compiled = cr.compile(cr.value_and_grad(f, (0, 1)), batch=(1, 2), reduce=reduce, backend="llvm")
    for n in SIZES:
        p, x, y = inputs(n)
        found = compiled(p, x, y)
        own = cr.compile(cr.value_and_grad(f, (0, 1)), backend="llvm")
        samples = [flat(own(p, x[k], y[k])) for k in range(n)]
        if reduce:
            expected = np.sum(samples, 0) if n else np.zeros(1)
            expected = expected / n if reduce == "mean" and n else expected
            if n or reduce == "sum":
                np.testing.assert_allclose(flat(found), np.broadcast_to(expected, len(flat(found))), 1e-11, 1e-12)
            else:
                assert np.isnan(flat(found)).all()
        elif n:
            value, (by_p, by_x) = found
            assert value.shape == (n,) and by_x.shape == x.shape and by_p[0].shape == (n, *p[0].shape)
            for k in range(n):
                np.testing.assert_allclose([value[k], *flat([part[k] for part in by_p]), *by_x[k]], samples[k], 1e-12)


@pytest.mark.parametrize("f", [layers, recurrence])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_threads_compute_what_one_does(f, reduce, monkeypatch):
    both = cr.value_and_grad(f, (0, 1))
    monkeypatch.setattr(kernel, "_GRAIN", 0)  # so that every batch of 128 and more is shared
    one, many = (cr.compile(both, batch=(1, 2), reduce=reduce, backend="llvm", threads=threads) for threads in (1, 3))
    for n in (*SIZES, *SHARED):
        args = inputs(n)
        found, again = flat(many(*args)), flat(many(*args))
        np.testing.assert_array_equal(found, again, "the same every time")
        np.testing.assert_allclose(found, flat(one(*args)), 1e-12, 1e-12)


def test_loops_count_in_what_is_worth_a_thread():
    """Few steps may be much work: a batch of 1,000 is shared, one of the same steps without loops is not."""
    p, x, y = inputs(1000)
    f = cr.compile(cr.value_and_grad(layers), batch=(1, 2), reduce="sum", backend="llvm", threads=2)
    f(p, x, y)
    loops = f.program
    assert emission.build(loops, (False, True, True), "sum", 2).largest < 1000
    small = cr.compile(lambda x: cr.sin(x) * 2.0, batch=0, reduce="sum", backend="llvm", threads=2)
    small(y)
    assert emission.build(small.program, (True,), "sum", 2).largest > 1000


@pytest.mark.parametrize("batch", [(), (0,)])
@pytest.mark.parametrize("count", [200, 255, 256, 257, 1000])
def test_long_logsumexp_alone_and_in_a_batch(count, batch):
    """The greatest number is found differently in each."""
    draw = np.random.default_rng(count)
    xs = draw.normal(size=(5, count)) * 10.0
    xs[1, 0], xs[2, -1], xs[3, 130] = 60.0, 60.0, np.inf
    f = cr.compile(cr.value_and_grad(lambda x: cr.logsumexp(x)), batch=batch, backend="llvm")
    found = f(xs) if batch else [np.array(part) for part in zip(*map(f, xs), strict=True)]
    for k in (0, 1, 2, 4):
        powers = np.exp(xs[k] - xs[k].max())
        np.testing.assert_allclose(found[0][k], xs[k].max() + np.log(powers.sum()), 1e-13)
        np.testing.assert_allclose(found[1][k], powers / powers.sum(), 1e-11)
    assert found[0][3] == np.inf


def test_what_a_scan_stacks_is_not_copied_where_its_body_reads_it_too():
    def f(xs, w):
        def cell(c, x, w):
            ys = cr.map(lambda a, x: cr.tanh(a * x), w, x * c)
            return c * 0.5 + cr.dot(ys, w), ys

        total, rows = cr.scan(cell, 1.0, xs, w)
        return cr.scan(lambda c, ys, w: (c * 0.5 + cr.dot(ys, w), None), total, rows, w, reverse=True)[0]

    w, xs = np.linspace(-1.0, 1.0, 300), np.linspace(0.1, 2.0, 40).reshape(8, 5)
    compiled = cr.compile(f, batch=("xs",), backend="llvm")
    expected, rows = np.ones(8), []
    for column in xs.T:
        rows.append(np.tanh(w * (column * expected)[:, None]))
        expected = expected * 0.5 + rows[-1] @ w
    for row in rows[::-1]:
        expected = expected * 0.5 + row @ w
    np.testing.assert_allclose(compiled(xs, w), expected, 1e-12)
    copies = [line for line in compiled.source("llvm").splitlines() if "call void @llvm.memcpy" in line]
    assert not any(f"i64 {8 * 300 * lanes}" in line for line in copies for lanes in (2, 4, 8, 16, 32))
