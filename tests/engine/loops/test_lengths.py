"""Maps and scans of which only the first items take part: as many as `length` says, in a batch each sample's own."""

import ctypes
import functools
import math
import re
import shutil
import subprocess

import chainrule as cr
import numpy as np
import pytest
from chainrule.backends import c
from chainrule.programs import COUNTED
from chainrule.testing import check_grads
from helpers import BACKENDS, agree, loops_of

ROWS, WIDTH = 7, 3
LENGTHS = np.array([3.0, 0.0, 7.0, 1.0, 5.0, 4.0, 2.0, 6.0, 7.0, 7.0, 1.0, 0.0])


def recurrent(w, xs, length):
    """A scan whose carry and stacked rows count."""

    def cell(state, x):
        state = cr.tanh(w[0] * state + w[1] * x)
        return state, state * x

    end, ys = cr.scan(cell, 0.1, xs, length=length)
    return end + cr.sum([y * y for y in ys]) + 3.0 * ys[3]


def recurrent_by_hand(w, xs, length):
    state, ys = 0.1, [0.0] * len(xs)
    for k in range(int(length)):
        state = math.tanh(w[0] * state + w[1] * xs[k])
        ys[k] = state * xs[k]
    return state + sum(y * y for y in ys) + 3.0 * ys[3]


def backwards(w, xs, length):
    def cell(state, x):
        return cr.sin(w[0] * state + x), state * w[1]

    end, ys = cr.scan(cell, 0.3, xs, length=length, reverse=True)
    return end + ys[0] - 2.0 * ys[4]


def backwards_by_hand(w, xs, length):
    state, ys = 0.3, [0.0] * len(xs)
    for k in reversed(range(int(length))):
        ys[k], state = state * w[1], math.sin(w[0] * state + xs[k])
    return state + ys[0] - 2.0 * ys[4]


def mapped(w, xs, length):
    """A map whose results are stacked, and one whose results are summed."""
    ys = cr.map(lambda x: cr.exp(w[0] * x), xs, length=length)
    total, squares = cr.map(lambda x: (w[1] * x, x * x * w[0]), xs, length=length, reduce="sum")
    return ys[0] * ys[2] + ys[6] + total * squares


def mapped_by_hand(w, xs, length):
    count = int(length)
    ys = [math.exp(w[0] * x) if k < count else 0.0 for k, x in enumerate(xs)]
    return ys[0] * ys[2] + ys[6] + sum(w[1] * x for x in xs[:count]) * sum(x * x * w[0] for x in xs[:count])


def inverses(w, xs, length):
    """What is computed beyond the length would be infinite, and nan in derivatives."""
    poles = cr.map(lambda x, k: w[0] / x + k, xs, w[1], length=length, reduce="sum")
    return poles + cr.scan(lambda total, x: (total + cr.log(x) * w[1], None), 0.0, xs, length=length)[0]


def inverses_by_hand(w, xs, length):
    return sum(w[0] / x + w[1] + math.log(x) * w[1] for x in xs[: int(length)])


CASES = {
    "scan": (recurrent, recurrent_by_hand),
    "backwards": (backwards, backwards_by_hand),
    "map": (mapped, mapped_by_hand),
}
cases = pytest.mark.parametrize(("f", "by_hand"), CASES.values(), ids=CASES)
backends = pytest.mark.parametrize("backend", BACKENDS)
W = [0.6, -0.8]


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(2).normal(size=(len(LENGTHS), ROWS))


def slopes(by_hand, w, xs, length, step=1e-6):
    """Return derivatives by all numbers, from differences."""
    numbers = np.array([*w, *xs])
    found = []
    for k in range(len(numbers)):
        ends = []
        for sign in (1, -1):
            moved = numbers.copy()
            moved[k] += sign * step
            ends.append(by_hand(moved[: len(w)], moved[len(w) :], length))
        found.append((ends[0] - ends[1]) / (2 * step))
    return found


@cases
def test_values_and_slopes_are_those_of_the_first_items(f, by_hand, samples):
    for xs, length in zip(samples, LENGTHS, strict=True):
        assert f(W, xs, length) == pytest.approx(by_hand(W, xs, length), rel=1e-12)
        assert f(W, list(xs), int(length)) == pytest.approx(by_hand(W, xs, length), rel=1e-12)
        by_w, by_xs, by_length = cr.grad(f, (0, 1, 2))(W, xs, length)
        np.testing.assert_allclose([*by_w, *by_xs], slopes(by_hand, W, xs, length), rtol=1e-7, atol=1e-7)
        assert not any(by_xs[int(length) :]) and by_length == 0.0


@backends
@cases
def test_compiled_derivatives_of_all_orders_are_those_of_eager_code(f, by_hand, samples, backend):
    def product(w, xs, length):
        return cr.hvp(lambda w, xs: f(w, xs, length), (w, xs), ([1.0, 0.5], np.linspace(0.5, 2.0, ROWS)))

    def pushed(w, xs, length):
        return cr.jvp(lambda w, xs: f(w, xs, length), (w, xs), ([1.0, 0.5], np.linspace(0.5, 2.0, ROWS)))

    def third(w, xs, length):
        return cr.taylor(lambda t: f([w[0] + t, w[1] * t], xs, length), 1.0, 3)

    for derived in (cr.value_and_grad(f, (0, 1)), product, pushed, third):
        run = cr.compile(derived, backend=backend)
        for xs, length in zip(samples[:6], LENGTHS, strict=False):
            agree(run(W, xs, length), derived(W, xs, length))


@cases
def test_second_derivatives_against_differences(f, by_hand, samples):
    for xs, length in zip(samples[:4], LENGTHS, strict=False):
        check_grads(lambda w, xs, n=length: f(w, xs, n), W, list(xs), order=2)


@backends
@cases
def test_each_sample_of_a_batch_has_its_own_length(f, by_hand, samples, backend):
    derived = cr.value_and_grad(f, (0, 1))
    expected = [derived(W, xs, length) for xs, length in zip(samples, LENGTHS, strict=True)]
    for count in (1, 7, len(samples)):
        run = cr.compile(derived, batch=("xs", "length"), backend=backend)
        values, (by_w, by_xs) = run(W, samples[:count], LENGTHS[:count])
        agree(values, [value for value, _ in expected[:count]])
        agree([list(own) for own in zip(*by_w, strict=True)], [own for _, (own, _) in expected[:count]])
        agree(by_xs, [own for _, (_, own) in expected[:count]])
        total, (by_w, _) = cr.compile(derived, batch=("xs", "length"), reduce=("sum", ("sum", None)), backend=backend)(
            W, samples[:count], LENGTHS[:count]
        )
        agree([total, *by_w], np.sum([[value, *own] for value, (own, _) in expected[:count]], axis=0))


@backends
def test_second_derivatives_of_a_batch(samples, backend):
    def product(w, xs, length):
        return cr.hvp(lambda w: recurrent(w, xs, length), (w,), ([1.0, -0.5],))

    found = cr.compile(product, batch=("xs", "length"), backend=backend)(W, samples, LENGTHS)
    expected = [product(W, xs, length) for xs, length in zip(samples, LENGTHS, strict=True)]
    agree(np.transpose(found), expected)


@backends
def test_nothing_is_computed_beyond_the_length(backend):
    xs = np.array([[0.5, 2.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 3.0, 4.0, 5.0], [1.5, 0.0, math.nan, 1.0]])
    lengths = np.array([2.0, 0.0, 4.0, 1.0])
    derived = cr.value_and_grad(inverses, (0, 1))
    values, (by_w, by_xs) = cr.compile(derived, batch=("xs", "length"), backend=backend)(W, xs, lengths)
    agree(values, [inverses_by_hand(W, *own) for own in zip(xs.tolist(), lengths, strict=True)])
    assert np.isfinite(by_w).all() and np.isfinite(by_xs).all()
    assert not by_xs[0, 2:].any() and not by_xs[1].any() and not by_xs[3, 1:].any()


@backends
def test_rows_of_the_users_own_run_for_items_that_take_part_alone(backend):
    seen = []

    @cr.primitive(partials=lambda y, x: (2.0 * x,))
    def noted(x):
        seen.append(x)
        return x * x

    def total(xs, length):
        return cr.map(lambda x: noted(x), xs, length=length, reduce="sum")

    run = cr.compile(total, batch=("xs", "length"), backend=backend)
    assert run(np.arange(1.0, 9.0).reshape(2, 4), np.array([1.0, 3.0])).tolist() == [1.0, 110.0]
    assert set(seen) == {1.0, 5.0, 6.0, 7.0}


@backends
@pytest.mark.parametrize("rows", [ROWS, 120])
def test_rows_may_be_arrays_and_nested_lengths_differ(rows, backend):
    """Attention over the items that there are: each looks at those up to itself, arrays small and whole."""
    draw = np.random.default_rng(4)
    xs, lengths = draw.normal(size=(9, rows, WIDTH)), np.array([0, 1, 2, 3, 4, 5, 6, 7, 3.0])

    def attend(w, xs, length):
        def look(item):
            x, place = item
            weights = cr.map(lambda y: cr.exp(cr.dot(y, x) * w), xs, length=place + 1.0)
            mixed = cr.map(lambda own: own[0] * own[1], (weights, xs), length=place + 1.0, reduce="sum")
            return mixed / cr.sum(weights)

        ys = cr.map(look, (xs, np.arange(float(rows))), length=length)
        return cr.sum(ys * ys)

    def by_hand(w, xs, length):
        total = 0.0
        for k in range(int(length)):
            weights = np.exp(xs[: k + 1] @ xs[k] * w)
            total += np.sum((weights @ xs[: k + 1] / weights.sum()) ** 2)
        return total

    run = cr.compile(cr.value_and_grad(attend, (0, 1)), batch=("xs", "length"), backend=backend)
    values, (by_w, by_xs) = run(0.4, xs, lengths)
    agree(values, [by_hand(0.4, *own) for own in zip(xs, lengths, strict=True)])
    steps = [(by_hand(0.4 + 1e-6, *own) - by_hand(0.4 - 1e-6, *own)) / 2e-6 for own in zip(xs, lengths, strict=True)]
    np.testing.assert_allclose(by_w, steps, rtol=1e-6, atol=1e-7)
    for k in (2, 5):
        moved = xs[k].copy()
        moved[1, 2] += 1e-6
        moved, before = by_hand(0.4, moved, lengths[k]), by_hand(0.4, xs[k], lengths[k])
        assert by_xs[k, 1, 2] == pytest.approx((moved - before) / 1e-6, rel=1e-4, abs=1e-5)
        assert not by_xs[k, int(lengths[k]) :].any()


@backends
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("levels", [1, 2])
def test_checkpoints_of_some_items(backend, reverse, levels):
    xs = np.random.default_rng(5).normal(size=(20, 23))
    lengths = np.arange(4.0, 24.0)
    lengths[:4] = 0.0, 1.0, 3.0, 23.0

    def total(w, xs, length, checkpoint=0):
        def cell(state, x):
            return cr.tanh(w * state + x), state

        options = {"length": length, "reverse": reverse, "checkpoint": checkpoint}
        end, ys = cr.scan(cell, 0.2, xs, **options)
        return end + cr.sum([y * y for y in ys]) - ys[8] - ys[22]

    derived = cr.value_and_grad(lambda w, xs, length: total(w, xs, length, levels), (0, 1))
    found = cr.compile(derived, batch=("xs", "length"), backend=backend)(0.7, xs, lengths)
    expected = [cr.value_and_grad(total, (0, 1))(0.7, *own) for own in zip(xs, lengths, strict=True)]
    agree(found[0], [value for value, _ in expected])
    agree(found[1][0], [own for _, (own, _) in expected])
    agree(found[1][1], [own for _, (_, own) in expected])


@backends
def test_a_mean_is_over_the_items_that_take_part(backend):
    xs = np.arange(12.0).reshape(3, 4)
    run = cr.compile(lambda xs, n: cr.map(lambda x: x, xs, length=n, reduce="mean"), batch=("xs", "n"), backend=backend)
    agree(run(xs, np.array([4.0, 1.0, 3.0])), [1.5, 4.0, 9.0])
    assert math.isnan(run(xs, np.array([4.0, 0.0, 3.0]))[1])
    assert cr.map(lambda x: x, xs[0], length=2, reduce="mean") == 0.5
    assert math.isnan(cr.map(lambda x: x, xs[0], length=0, reduce="mean"))


@pytest.mark.parametrize("mode", [lambda f: f(), lambda f: cr.trace(lambda t: f(), 1.0)], ids=["eager", "traced"])
def test_known_lengths_that_are_none_are_refused(mode):
    def map_some(length):
        return cr.map(lambda x: x, [1.0, 2.0], length=length)

    def scan_some(length):
        return cr.scan(lambda c, x: (c, x), 0.0, [1.0, 2.0], length=length)

    for use in (map_some, scan_some):
        for length in (-1, -1.0, 0.5, math.nan, -math.inf, True, "2"):
            with pytest.raises(ValueError, match="expected a whole number of iterations, 0 or above, but got length"):
                mode(functools.partial(use, length))
        for length in (3, 3.0):
            with pytest.raises(ValueError, match="but got 2 in xs and 3 in length"):
                mode(functools.partial(use, length))


def test_lengths_that_cannot_be_counted_are_refused():
    with pytest.raises(ValueError, match="expected a whole number of iterations"):
        cr.map(lambda x: x, [1.0, 2.0], length=cr.Var(1.5))
    with pytest.raises(TypeError, match="one number as length"):
        cr.map(lambda x: x, [1.0, 2.0], length=[1.0])
    with pytest.raises(TypeError, match="expected xs, items of which a traced length counts some"):
        cr.trace(lambda n: cr.scan(lambda c, x: (c, x), 0.0, None, length=n), 1.0)


@backends
def test_traced_lengths_count_within_their_limits(backend):
    run = cr.compile(lambda xs, n: cr.map(lambda x: x, xs, length=n, reduce="sum"), batch=("xs", "n"), backend=backend)
    lengths = [-1.0, -math.inf, math.nan, 0.5, 1.0, 1.9, 3.0, 4.0, 1e300, math.inf, -0.0]
    xs = np.tile([1.0, 10.0, 100.0], (len(lengths), 1))
    assert run(xs, np.array(lengths)).tolist() == [0, 0, 0, 0, 1, 1, 111, 111, 111, 111, 0]
    assert [cr.compile(lambda n: cr.map(lambda x: x, [1.0, 10.0], length=n))(n) for n in (-1.0, 1.5, 9.0)] == [
        [0.0, 0.0],
        [1.0, 0.0],
        [1.0, 10.0],
    ]


def test_results_keep_their_structure_where_none_take_part():
    def parts(x):
        return {"a": x, "b": (x, x * x)}

    for length in (0, 1):
        eager = cr.map(parts, np.array([2.0, 3.0]), length=length)
        traced = cr.compile(lambda xs, n: cr.map(parts, xs, length=n))(np.array([2.0, 3.0]), float(length))
        expected = [2.0 * length, 0.0], [4.0 * length, 0.0]
        for found in (eager, traced):
            assert found["a"].tolist() == found["b"][0].tolist() == expected[0]
            assert found["b"][1].tolist() == expected[1]
    assert cr.scan(lambda c, x: (c + x[0], None), 1.0, [[2.0], [3.0]], length=1) == (3.0, None)


def test_a_length_that_is_all_is_a_plain_loop(tmp_path):
    program = cr.trace(lambda xs: cr.map(cr.sin, xs, length=3, reduce="sum"), [1.0] * 3)
    assert not [op for op in loops_of(program) if op.kind == COUNTED]
    program = cr.trace(lambda xs, n: cr.map(cr.sin, xs, length=n, reduce="sum"), [1.0] * 3, 1.0)
    assert [op.kind for op in loops_of(program)] == [COUNTED]
    program.save(tmp_path / "program.json")
    assert cr.Program.load(tmp_path / "program.json") == program


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@cases
def test_exported_c_computes_the_same(f, by_hand, samples, tmp_path):
    derived = cr.value_and_grad(f, (0, 1))
    program = cr.trace(derived, W, samples[0], 1.0)
    text = c.source(program, (False, True, True), name="ragged")
    path = tmp_path / "ragged.c"
    path.write_text(text)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", tmp_path / "ragged.so", path, "-lm"], check=True, timeout=120)
    n = len(samples)
    out = np.full(n * sum(math.prod(shape) for shape in program.output_shapes), math.nan)
    size = int(re.search(r"^#define \w+_WORK (\d+)$", text, re.MULTILINE)[1])
    work = np.full(size, math.nan)  # what C leaves unwritten shows
    given = [np.array(W), np.ascontiguousarray(samples), LENGTHS]
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in given]
    function = ctypes.CDLL(str(tmp_path / "ragged.so")).ragged
    function(*pointers, ctypes.c_size_t(n), *[x.ctypes.data_as(ctypes.c_void_p) for x in (out, work)])
    values, (by_w, by_xs) = cr.compile(derived, batch=("xs", "length"), backend="python")(W, samples, LENGTHS)
    agree(out[:n], values)
    agree(out[n : 3 * n], np.ravel(by_w))
    agree(out[3 * n :], np.ravel(by_xs))


@backends
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, np.full(12, 4.0), np.zeros(12), 7.0 - LENGTHS % 2.0])
def test_many_numbers_that_are_carried_and_summed(backend, reverse, lengths):
    """Rows in which all samples take part run as one loop, the others apart: gradients by weights, from differences."""
    draw = np.random.default_rng(8)
    weights, xs = draw.normal(size=(9, 9)) * 0.4, draw.normal(size=(len(lengths), ROWS, 9))

    def network(weights, xs, length):
        def cell(state, x):
            state = cr.map(lambda own: cr.tanh(cr.dot(own[0], state) + own[1]), (weights, x))
            return state, state * x

        end, ys = cr.scan(cell, np.full(9, 0.1), xs, length=length, reverse=reverse)
        return cr.sum(end * end) + cr.sum(ys * ys)

    def by_hand(weights):
        found = []
        for own, length in zip(xs, lengths, strict=True):
            state, total = np.full(9, 0.1), 0.0
            for x in own[: int(length)][:: -1 if reverse else 1]:
                state = np.tanh(weights @ state + x)
                total += np.sum((state * x) ** 2)
            found.append(total + np.sum(state**2))
        return np.array(found)

    derived = cr.value_and_grad(network, (0, 1))
    values, (by_weights, by_xs) = cr.compile(derived, batch=("xs", "length"), backend=backend)(weights, xs, lengths)
    np.testing.assert_allclose(values, by_hand(weights), rtol=1e-12)
    direction = draw.normal(size=(9, 9))
    moved = (by_hand(weights + 1e-6 * direction) - by_hand(weights - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(np.sum(by_weights * direction, axis=(1, 2)), moved, rtol=1e-6, atol=1e-8)
    for own, length in zip(by_xs, lengths, strict=True):
        assert not own[int(length) :].any()
    total, (summed, _) = cr.compile(derived, batch=("xs", "length"), reduce="sum", backend=backend)(
        weights, xs, lengths
    )
    assert total == pytest.approx(values.sum(), rel=1e-12)
    np.testing.assert_allclose(summed, by_weights.sum(0), rtol=1e-10, atol=1e-12)
