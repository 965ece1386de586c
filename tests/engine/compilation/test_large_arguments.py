"""compile() around large arrays: what happens beside machine code does not depend on how many numbers there are."""

import functools
import gc
import sys
import warnings

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import Numbers
from helpers import BACKENDS, in_threads


def squares(x):
    return cr.map(lambda a: cr.sin(a) * a, x, reduce="sum")


def running(x):
    return cr.scan(lambda total, a: (total + a * a, total), 0.0, x)[0]


def in_a_dict(d):
    return cr.map(lambda row: row["a"] * row["b"], d, reduce="sum")


LONG = np.random.default_rng(0).normal(size=400_000)
TABLE = LONG[:100_000].copy()


def with_constants(x):
    return cr.map(lambda both: both[0] * both[1], (x, LONG[: len(x)]), reduce="sum")


FUNCTIONS = {
    "map": (squares, lambda x: x, lambda x: np.cos(x) * x + np.sin(x)),
    "scan": (running, lambda x: x, lambda x: 2.0 * x),
    "dict": (in_a_dict, lambda x: {"a": x, "b": x[::-1]}, lambda x: {"a": x[::-1], "b": x}),
    "constants": (with_constants, lambda x: x, lambda x: LONG[: len(x)]),
}


def calls_in(f):
    """Return how many functions run during a call, Python's and C's."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()  # what others left to collect counts for nobody
    gc.disable()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = f()
    finally:
        sys.setprofile(before)
        gc.enable()
    return result, count


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order", [1, 2])
def test_programs_do_not_grow_with_their_arguments(name, order):
    f, given, _ = FUNCTIONS[name]
    found = []
    for n in (1_000, 100_000):
        x = given(TABLE[:n])
        program = cr.compile(
            cr.value_and_grad(f) if order == 1 else lambda x, v, f=f: cr.hvp(f, (x,), (v,)), backend="numpy"
        ).trace(*[x] * order)
        loops = [inner for op, _ in program.steps if hasattr(op, "programs") for inner in op.programs()]
        found.append([(len(p), p.count, len(p.names), len(p.constants)) for p in (program, *loops)])
    assert found[0] == found[1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_calls_run_as_much_python_for_any_number_of_numbers(name, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("CHAINRULE_CACHE", "0")  # or what an earlier test compiled would be loaded
    f, given, slope = FUNCTIONS[name]
    counts = []
    # The first loads what is needed. Loops of these lengths are long enough to be written as parts and a rest.
    for n in (199_999, 200_000, 400_000):
        x = given(LONG[:n])
        compiled = cr.compile(cr.value_and_grad(f), backend="llvm")
        (_, found), count = calls_in(lambda call=compiled, x=x: call(x))
        counts.append(count)
        expected = slope(LONG[:n])
        for key in expected if isinstance(expected, dict) else [...]:
            np.testing.assert_allclose(found[key], expected[key], 1e-12, 1e-12)
    assert abs(counts[2] - counts[1]) < 1_000


def test_examples_and_constants_are_not_listed():
    x = TABLE.reshape(-1, 4)
    for f, example in (
        (lambda w: cr.map(lambda row: row[0] * w, x, reduce="sum"), 1.0),
        (lambda w: cr.map(lambda a, rows: a * rows[2, 1], w, x, reduce="sum"), np.ones(3)),
        (lambda w: cr.scan(lambda c, row: (c * row[1], None), w, x)[0], 1.0),
        (lambda w: cr.scan(lambda c, a: ([c[0] + a, c[1]], None), [0.0, x], w)[0][1], np.ones(300)),
        (lambda w: cr.cond(w > 0.0, lambda rows: rows, lambda rows: rows, x), 1.0),
        (lambda w: cr.function(lambda w, rows: rows[0, 0] * w)(w, x), 1.0),
        (lambda w: [w, x], 1.0),
    ):
        program, count = calls_in(lambda f=f, example=example: cr.trace(f, example))
        tables = [item for item in program.constants if isinstance(item, Numbers)]
        assert x.tobytes() in [table.data for table in tables]
        assert count < 5_000
    program, count = calls_in(lambda: cr.trace(lambda d: [d["x"], d["y"][1]], {"x": x, "y": [TABLE, TABLE]}))
    assert (len(program.names), len(program), count < 2_000) == (3, 0, True)


def test_programs_called_in_a_trace_take_arrays_as_constants():
    inner = cr.trace(lambda w, x: cr.map(lambda a, w: a * w, x, w, reduce="sum"), 1.0, TABLE)
    outer, count = calls_in(lambda: cr.trace(lambda w: inner(w, TABLE), 1.0))
    assert [type(item) for item in outer.constants] == [Numbers]
    assert count < 2_000
    assert outer(2.0) == pytest.approx(2.0 * TABLE.sum()) == inner(2.0, TABLE)
    assert cr.trace(lambda w: cr.grad(lambda w: inner(w, TABLE))(w), 1.0)(2.0) == pytest.approx(TABLE.sum())


def test_every_nan_among_constants_is_the_same():
    strange = np.full(300, np.nan)
    strange.view(np.int64)[::2] |= 12345
    assert Numbers.of(strange) == Numbers.of(np.full(300, np.nan)) != Numbers.of(np.zeros(300))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [float, np.float32, np.int32, np.uint8])
@pytest.mark.parametrize("shape", [(7, 1), (7, 4), (7, 4, 3), (7, 20, 30), (7, 0)])
def test_batches_of_arrays_of_every_kind(backend, kind, shape):
    x = (100.0 * np.random.default_rng(1).random(shape)).astype(kind)
    compiled = cr.compile(lambda x: x * 2.0, batch="x", backend=backend)
    for same in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x[::-1][::-1]):
        found = compiled(same)
        assert found.shape == shape
        assert np.array_equal(found, x.astype(float) * 2.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [5, 600])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, float])
def test_integers_that_come_as_arguments_are_indices(backend, count, kind):
    rng = np.random.default_rng(2)
    points, index = rng.normal(size=(100, 3)), rng.integers(0, 100, size=count).astype(kind)
    places = index.astype(int)

    def f(points, index):
        return np.sum(points[index] * points[index])

    value, slopes = cr.compile(cr.value_and_grad(f), backend=backend)(points, index)
    expected = np.zeros_like(points)
    np.add.at(expected, places, 2.0 * points[places])
    assert value == pytest.approx((points[places] ** 2).sum())
    np.testing.assert_allclose(slopes, expected, 1e-13)
    each = cr.compile(lambda points, k: [x * 2.0 for x in points[k]], batch="k", backend=backend)
    np.testing.assert_allclose(np.stack(each(points, index), axis=1), 2.0 * points[places], 1e-13)


def test_memory_of_copies_serves_calls_of_any_size_and_threads():
    compiled = cr.compile(lambda x, y: x - 2.0 * y, batch=("x", "y"))
    rng = np.random.default_rng(3)
    wrong = []

    def call(seed):
        own = np.random.default_rng(seed)
        for n in own.integers(0, 5_000, size=30):
            x, y = own.random(n).astype(np.float32), own.integers(0, 9, size=n)
            if not np.array_equal(compiled(x, y), x.astype(float) - 2.0 * y):
                wrong.append((seed, n))

    in_threads(*[functools.partial(call, seed) for seed in range(4)])
    assert not wrong
    x, y = rng.random(10).astype(np.float32), [1.0] * 10
    first = compiled(x, y)
    compiled(x + 1, y)
    assert np.array_equal(first, x.astype(float) - 2.0)  # results are never what memory is kept for


def test_steps_are_those_that_code_is_made_for():
    def body(x):
        for _ in range(50):
            x = cr.sin(x)
        return x

    x = np.ones(1_000)
    short = cr.compile(lambda x: cr.map(lambda a: 2.0 * a, x[1:], reduce="sum"), max_steps=3)
    twice = cr.function(body)
    long = cr.compile(lambda x: cr.map(lambda a: twice(twice(twice(a))), x, reduce="sum"), max_steps=120)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert short(x) == 2.0 * 999
        long(x)
    with pytest.warns(RuntimeWarning, match=r"has \d+ steps, more than max_steps=40: it runs with NumPy"):
        cr.compile(lambda x: cr.map(body, x, reduce="sum"), max_steps=40)(x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_results_are_arrays(backend):
    x = TABLE[:3_000]

    def f(x):
        return cr.map(lambda a: 2.0 * a, x), x.reshape(30, 100)[1:], [x[0], x[1]], 1.0

    found = cr.compile(f, backend=backend)(x)
    for own, expected in zip(found, (2.0 * x, x.reshape(30, 100)[1:], x[:2], 1.0), strict=True):
        np.testing.assert_array_equal(own, expected)
    assert [type(item) for item in found] == [np.ndarray, np.ndarray, list, float]
