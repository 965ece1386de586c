"""Long loops that threads share: the same numbers whatever the number of threads, and what can't be shared is not."""

import signal
import threading

import chainrule as cr
import numpy as np
import pytest
from helpers import in_threads

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import source
from chainrule.backends.llvm.loops.sharing import meet
from chainrule.rewriting import prepared

COUNT = 1 << 18
rng = np.random.default_rng(1)
x = rng.normal(size=COUNT + 3)
rows = rng.normal(size=(9_000, 24))


def gradient_of_neighbours(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def fit(w, rows):
    return np.sum(np.tanh(rows @ w) ** 2)


def long_in_scan(x):
    def step(total, k):
        return total + np.sum(np.sin(x * k)), None

    return cr.scan(step, 0.0, np.arange(1.0, 4.0))[0]


FUNCTIONS = {
    "sum": (lambda x: np.sum(np.sin(x) * x), (x,)),
    "several": (lambda x: (np.sum(x * x), np.sin(x), np.max(x)), (x,)),
    "backwards": (lambda x: x[::-1] * np.exp(x), (x,)),
    "gradient": (cr.value_and_grad(lambda x: np.sum(np.sin(x) * x)), (x,)),
    "neighbours": (cr.value_and_grad(gradient_of_neighbours), (x,)),
    "logsumexp": (cr.value_and_grad(lambda x: cr.logsumexp(x)), (x,)),
    "weights": (cr.value_and_grad(fit, (0, 1)), (rng.normal(size=24), rows)),
    "product": (lambda a, b: a @ b, (rows[:300], rows[:500].T)),
    "columns": (lambda a: np.sum(np.exp(a), axis=0), (rows[:2000],)),
    "scan": (cr.value_and_grad(long_in_scan), (x,)),
    "side by side": (lambda x: np.stack([np.sin(x) * x, x * x, np.exp(x)], axis=1), (x,)),
    "map of maps": (lambda a: cr.map(lambda row: cr.map(lambda v: np.sin(v) * v, row), a), (rows,)),
}


def leaves(result):
    return [leaf for part in result for leaf in leaves(part)] if isinstance(result, tuple) else [np.asarray(result)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_do_not_depend_on_the_number_of_threads(name):
    f, args = FUNCTIONS[name]
    alone, *others = [leaves(cr.compile(f, backend="llvm", threads=count)(*args)) for count in (1, 2, 5)]
    for other in others:
        for a, b in zip(alone, other, strict=True):
            assert a.tobytes() == b.tobytes()
    for a, b in zip(alone, leaves(cr.compile(f, backend="numpy")(*args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_long_loops_are_shared(name):
    f, args = FUNCTIONS[name]
    text = source(prepared(cr.trace(f, *args), [False] * len(args)), [False] * len(args))
    assert ("call void @chainrule_share" in text) == (name != "columns")


def test_a_sum_is_that_of_numpy():
    step = cr.compile(lambda x: np.sum(np.sin(x) * x), backend="llvm", threads=2)
    for count in (COUNT, COUNT + 1, COUNT + 777):
        y = rng.normal(size=count)
        assert step(y) == pytest.approx(np.sum(np.sin(y) * y), rel=1e-13)


def test_numbers_that_interleave_meet_where_their_places_do():
    def ranges(*found):
        return [(start, start + step * (count - 1), step) for start, step, count in found]

    assert not meet(ranges((0, 24, 9), (8, 24, 9), (16, 24, 9)))
    assert not meet(ranges((0, 8, 4), (32, 8, 4)))
    assert meet(ranges((0, 24, 9), (8, 16, 9)))  # 24 is in both
    assert meet(ranges((0, 24, 9), (48, 24, 2)))
    assert meet(ranges((0, 0, 1), (0, 8, 3)))


def test_nan_stays_where_it_is():
    y = x.copy()
    y[[5, COUNT]] = np.nan
    value, gradient = cr.compile(cr.value_and_grad(lambda x: np.sum(np.sin(x))), backend="llvm", threads=2)(y)
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(gradient), np.isnan(y))


def test_rows_of_the_users_own_are_called_in_one_thread():
    seen = set()

    @cr.primitive(partials=lambda y, x: (2.0,))
    def own(x):
        seen.add(threading.get_ident())
        return x * 2.0

    step = cr.compile(lambda x: cr.map(own, x, reduce="sum"), backend="llvm", threads=2)
    assert step(x) == pytest.approx(2.0 * x.sum())
    assert len(seen) == 1


def test_several_calls_at_once():
    step = cr.compile(cr.value_and_grad(lambda x: np.sum(np.sin(x) * x)), backend="llvm", threads=2)
    expected = step(x)
    for value, gradient in in_threads(*[lambda: step(x)] * 4):
        assert value == expected[0]
        assert gradient.tobytes() == expected[1].tobytes()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_ctrl_c_ends_a_shared_loop():
    def long(v):
        return cr.fori_loop(0, 10_000_000, lambda k, s: np.sin(s) + k, v)

    y = rng.normal(size=20_000)
    program = cr.trace(lambda x: np.sum(cr.map(long, x)), y)
    step = cr.compile(program, backend="llvm", threads=2)
    step_alone = cr.compile(lambda x: np.sum(np.sin(x) * x), backend="llvm", threads=2)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.7)
    try:
        with pytest.raises(KeyboardInterrupt):
            step(y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert step_alone(x) == pytest.approx(np.sum(np.sin(x) * x))


@pytest.mark.parametrize("count", [320, 321, 4_096, 1 << 19, (1 << 19) + 32, (1 << 19) + 33])
def test_rows_stand_where_results_are_written(count):
    y = rng.normal(size=count) * 3.0
    step = cr.compile(cr.value_and_grad(lambda x: cr.logsumexp(x)), backend="llvm", threads=2)
    value, gradient = step(y)
    powers = np.exp(y - y.max())
    assert value == pytest.approx(y.max() + np.log(powers.sum()), rel=1e-14)
    np.testing.assert_allclose(gradient, powers / powers.sum(), rtol=1e-12)
    value, gradient = step(np.append(y[1:], np.nan))
    assert np.isnan(value)
    assert np.isnan(gradient).all()
