"""Whole traced arrays are written to as NumPy's are: in place, through views, and steps do not grow with them."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import tracer
from helpers import BACKENDS


def numbers_and_slices(x):
    b = x.copy()
    b[3] = 0.0
    b[10:20] = x[:10] ** 2
    b[::2] = 1.5
    b[-5:] *= 2.0
    return b * x


def index_arrays(x):
    b = np.copy(x)
    b[[1, 5, 5]] = np.array([1.0, 2.0, 3.0])
    b[np.arange(7)] = x[7:14]
    b[np.arange(len(x)) > len(x) - 3] = 4.0
    b[np.arange(len(x)) < 2] = x[5:7]
    return b * b


def through_a_view(x):
    b = x.copy()
    c = b[1:]
    c[0] = 100.0
    c[5:50] = x[:45]
    b[6] = -1.0
    return b * 2.0 + np.sum(c)


def through_a_small_view(x):
    b = x.copy()
    c = b[1:9]
    d = c[2:5]
    c[0] = 100.0
    b[2] = x[9] * 3.0
    d[0] = x[4]
    c += x[0]
    return b * x + c[1] * 5.0 + np.sum(d)


def rows_and_columns(x):
    b = x.reshape(-1, 30).copy()
    b[1] = b[2]
    b[:, 3] = 2.0
    b.T[4, 5] = x[0]
    b[2:4, 5:8] = b[0:2, 0:3]
    b.reshape(-1)[77] = 1.0
    for row in b[:3]:
        row[0] = 7.0
    b[[0, 2], 4] = [x[1], 3.0]
    return b * b


def one_after_another(x):
    b = x.copy()
    for i in range(1, 40):
        b[i] = b[i - 1] * 0.5 + x[i]
    return b * b


def where_it_holds(x):
    b = x.copy()
    b[b > 0.5] = 0.5
    b += 1.0
    c = b
    c *= x
    np.add(b, 1.0, out=b)
    b[...] = b[::-1]
    np.copyto(b, x, where=np.arange(len(x)) < 5)
    return b


def what_was_made_before_stays(x):
    x = 1.0 * x
    before, copies = x * x, [np.repeat(x, 2), x.flatten(), +x, x.astype(float), np.concatenate([x])]
    x[3] = 5.0
    copies.append(np.stack([x, x])[0])
    x[4] = 9.0
    return before + x + copies[0][: len(x)] + sum(copies[1:], 0.0)


def an_argument(x):
    y = x[::-1]
    x[0] = 3.0
    y[1] = 4.0
    return x * y


def in_a_body(x):
    def step(carry, k):
        new = carry.copy()
        new[0] = carry[1] * k
        new[5:9] = carry[:4]
        carry[2] = 0.0
        return new, np.sum(new) + carry[2]

    carry, sums = cr.scan(step, x, [0.5, 0.25, 2.0])
    return carry * x * sums[1]


def until(x):
    def body(carry):
        count, b = carry
        b[1] = b[1] + 1.0
        return count + 1.0, b

    return cr.while_loop(lambda carry: carry[1][1] + carry[0] < 4.0, body, (0.0, x.copy()), limit=9)[1] * x


def all_anew(x):
    z = x.copy()
    z[:] = 0.0
    z.fill(2.0)
    z[1:] = x[:-1]
    z[0] = x[-1]
    return z * x


PROGRAMS = [
    *(numbers_and_slices, index_arrays, through_a_view, through_a_small_view, rows_and_columns, one_after_another),
    *(where_it_holds, what_was_made_before_stays, an_argument, in_a_body, until, all_anew),
]


def argument(n):
    return np.random.default_rng(n).normal(size=n)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", PROGRAMS)
def test_writes_are_numpys(f, backend):
    x = argument(600)
    kept = x.copy()
    np.testing.assert_allclose(cr.compile(f, backend=backend)(x), f(x.copy()), rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("f", PROGRAMS)
def test_derivatives_are_those_number_by_number(f, monkeypatch):
    x, weights = argument(300), argument(301)[:300]

    def loss(x):
        return np.sum(np.tanh(np.ravel(f(x))) * weights)

    found = cr.compile(cr.grad(loss))(x), cr.compile(lambda x: cr.hvp(loss, (x,), (weights,)))(x)
    monkeypatch.setattr(tracer, "WHOLE", 10**9)
    expected = cr.compile(cr.grad(loss))(x), cr.compile(lambda x: cr.hvp(loss, (x,), (weights,)))(x)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("f", PROGRAMS)
def test_steps_do_not_grow(f):
    few, many = [len(cr.trace(f, np.ones(n)).steps) for n in (900, 9_000)]
    assert few == many


def test_number_by_number_costs_one_step():
    def f(x):
        b = x.copy()
        for i in range(len(x)):
            b[i] = x[i] * 2.0
        return b

    program = cr.trace(f, np.ones(300))
    assert len(program.steps) < 3 * 300 + 3
    np.testing.assert_array_equal(cr.compile(f)(argument(300)), argument(300) * 2.0)


def test_traced_conditions_choose_where_to_write_in_small_arrays_too():
    def f(x):
        b = x.copy()
        b[(b > 0.5) | (b < -1.0)] = 0.5
        return b * x

    for n in (7, 300):
        np.testing.assert_array_equal(cr.compile(f)(argument(n)), f(argument(n)))
        slope = cr.compile(cr.grad(lambda x: np.sum(f(x))))(argument(n))
        x = argument(n)
        np.testing.assert_allclose(slope, np.where((x > 0.5) | (x < -1.0), 0.5, 2 * x), rtol=1e-15)


def outside(x):
    def g(k):
        x[0] = k
        return k

    return np.sum(cr.map(g, [1.0, x[1]]))


def at_a_traced_index(x):
    b = x.copy()
    b[x[0]] = 1.0
    return b


def many_where_it_holds(x):
    b = x.copy()
    b[b > 1.0] = x
    return b


def too_many(x):
    b = x.copy()
    b[3:5] = x
    return b


def to_one_several_times(x):
    np.broadcast_to(x, (2, len(x)))[:, 1] = 1.0
    return x


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (outside, cr.TraceError, "from outside of a loop.*test_writing.*carry"),
        (at_a_traced_index, cr.TraceError, "at a traced index at .*test_writing.*numpy.where"),
        (many_where_it_holds, cr.TraceError, "where traced conditions hold at .*test_writing.*numpy.where"),
        (too_many, ValueError, r"broadcast input array from shape \(300,\) into shape \(2,\)"),
        (to_one_several_times, ValueError, "read-only"),
    ],
)
def test_what_cannot_be_written(f, error, message):
    with pytest.raises(error, match=message):
        cr.trace(f, np.ones(300))
