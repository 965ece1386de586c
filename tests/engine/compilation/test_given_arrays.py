"""compiled(..., out=): results in arrays that are there, the same as without; what does not fit is named."""

import collections

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

Pair = collections.namedtuple("Pair", "total slopes")
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def loss(w, x):
    return cr.square(cr.dot(w, x) - 1.0)


def arguments(n=6):
    rng = np.random.default_rng(n)
    return rng.normal(size=3), rng.normal(size=(n, 3))


@every_backend
def test_one_array(backend):
    f = cr.compile(loss, batch="x", backend=backend)
    w, x = arguments()
    out = np.full(6, np.nan)
    expected = f(w, x).copy()
    np.testing.assert_allclose(expected, (x @ w - 1.0) ** 2, rtol=1e-13)
    assert f(w, x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    part = np.full((3, 6), np.nan)
    assert np.array_equal(f(w, x, out=part[1]), expected) and np.isnan(part[::2]).all()
    assert f(x=x, w=w, out=out) is out
    assert f(w, np.empty((0, 3)), out=np.empty(0)).shape == (0,)


@every_backend
@pytest.mark.parametrize("reduce", [None, "mean"])
def test_results_of_earlier_calls(backend, reduce):
    f = cr.compile(cr.value_and_grad(loss, argnums=(0, 1)), batch="x", reduce=reduce, backend=backend)
    w, x = arguments()
    result = f(w, x)
    arrays = [part for part in (result[0], *result[1]) if isinstance(part, np.ndarray)]
    again = f(2.0 * w, x[::-1], out=result)
    expected = f(2.0 * w, x[::-1])
    for found, wanted in zip((again[0], *again[1]), (expected[0], *expected[1]), strict=True):
        np.testing.assert_array_equal(found, wanted)
    kept = [part for part in (again[0], *again[1]) if isinstance(part, np.ndarray)]
    assert all(a is b for a, b in zip(kept, arrays, strict=True)) and len(kept) >= 2


@every_backend
def test_parts_are_made_anew_where_none_is_given(backend):
    f = cr.compile(lambda x: {"a": x[0] * 2.0, "b": Pair(x[1], [x[2], 1.0])}, batch="x", backend=backend)
    x = arguments()[1]
    first = f(x)
    kept = first["a"].copy()
    b = np.empty(6)
    found = f(-x, out={"b": Pair(None, [b, None]), "a": None})
    assert found["b"].slopes[0] is b and type(found["b"]) is Pair
    np.testing.assert_array_equal(b, -x[:, 2])
    np.testing.assert_array_equal(found["a"], -2.0 * x[:, 0])
    found = f(-x, out={"a": None, "b": first["b"]})
    np.testing.assert_array_equal(first["a"], kept)
    np.testing.assert_array_equal(first["b"].total, -x[:, 1])
    assert found["b"].total is first["b"].total


@every_backend
def test_numbers_are_made_anew(backend):
    f = cr.compile(lambda w: (cr.sum(w), [w[0], w[1]], w * 2.0), backend=backend)
    w = np.array([1.0, 2.0])
    result = f(w)
    again = f(-w, out=result)
    assert again[:2] == (-3.0, [-1.0, -2.0]) and again[2] is result[2] and result[:2] == (3.0, [1.0, 2.0])
    assert again[2].tolist() == [-2.0, -4.0]


@every_backend
def test_arguments_may_be_overwritten(backend):
    f = cr.compile(lambda x: [x[0] + x[1], x[0] * 1.0], batch="x", backend=backend)
    x = np.arange(40.0).reshape(20, 2)
    expected = x[:, 0] + x[:, 1]
    room = np.concatenate([x.ravel(), np.zeros(4)])
    table = room[:40].reshape(20, 2)
    found = f(table, out=[room[4:24], room[24:]])
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], x[:, 0])
    double = cr.compile(lambda x: cr.sum(x) * x, batch="x", backend=backend)
    sums = x * x.sum(1, keepdims=True)
    np.testing.assert_array_equal(double(x, out=x), sums)


@every_backend
def test_an_argument_may_be_called_out(backend):
    f = cr.compile(lambda x, out: x * out, backend=backend)
    assert f(2.0, out=3.0) == 6.0
    g = cr.compile(lambda x, n: x**n, static="n", batch="x", backend=backend)
    out = np.empty(2)
    assert g(np.array([1.0, 2.0]), 3, out=out) is out and out.tolist() == [1.0, 8.0]
    with cr.strict():
        assert g(np.array([1.0, 3.0]), 2, out=out).tolist() == [1.0, 9.0]
        with pytest.raises(cr.NonFiniteError):
            cr.compile(lambda x: 1.0 / x, batch="x", backend=backend)(np.zeros(2), out=out)


def test_a_nan_that_a_strong_zero_forbids_is_not_written():
    f = cr.compile(cr.grad(lambda x, w: cr.where(x > 0, cr.sqrt(x) * w, 0.0)), batch="x", backend=BACKENDS[-1])
    assert f(np.array([4.0, 0.0, -1.0]), 2.0, out=np.empty(3)).tolist() == [0.5, 0.0, 0.0]


read_only = np.empty(6)
read_only.setflags(write=False)


@every_backend
@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.empty(5), ValueError, r"out expected an array of shape \(6,\) but got one of shape \(5,\)"),
        (np.empty((6, 1)), ValueError, r"out expected an array of shape \(6,\) but got one of shape \(6, 1\)"),
        (
            np.empty(6, np.float32),
            TypeError,
            r"out expected an array of doubles of shape \(6,\) but got an array of float32",
        ),
        (np.empty(6, ">f8"), TypeError, "expected an array of doubles"),
        (np.empty(12)[::2], ValueError, r"out expected a contiguous array .* but got one with strides \(16,\)"),
        (read_only, ValueError, "out expected .* that may be written to but got one that is read-only"),
        ([0.0] * 6, TypeError, r"out expected an array of doubles of shape \(6,\) but got out="),
        (1.0, TypeError, "out expected an array of doubles"),
    ],
)
def test_what_does_not_fit_is_named(backend, out, error, message):
    f = cr.compile(loss, batch="x", backend=backend)
    with pytest.raises(error, match=message):
        f(*arguments(), out=out)


def test_other_structures_are_named():
    f = cr.compile(lambda x: {"a": x[0], "b": (x[1], x[2])}, batch="x", backend="numpy")
    x, one = arguments()[1], np.empty(6)
    for out in ([one, one], {"a": one}, {"a": one, "b": [one, one]}, {"a": one, "b": (one,)}, one):
        with pytest.raises(TypeError, match=r"out(\['b'\])? expected the structure of the result"):
            f(x, out=out)
    with pytest.raises(ValueError, match=r"out\['b'\]\[1\] expected an array of shape"):
        f(x, out={"a": None, "b": (one, np.empty(3))})
    with pytest.raises(ValueError, match="out expected arrays that do not overlap"):
        f(x, out={"a": one, "b": (None, one)})
    with pytest.raises(TypeError, match="expected numbers where results go to out but got Vars"):
        f([[cr.Var(1.0), 2.0, 3.0]], out=None)
    scale = cr.Var(2.0)
    g = cr.compile(lambda x: x * scale, batch="x", backend="numpy")
    with pytest.raises(TypeError, match="expected numbers where results go to out but got Vars"):
        g(one, out=one)
    with cr.no_grad():
        assert g(np.ones(6), out=one).tolist() == [2.0] * 6


@every_backend
def test_a_step_updates_what_it_reads_in_place(backend):
    """Parameters and the memory of an optimiser go in and out of one call, again and again."""

    def step(w, memory, taken, x):
        slope = cr.grad(lambda w: cr.square(cr.dot(w, x) - 1.0))(w)
        memory = {"mean": 0.9 * memory["mean"] + 0.1 * slope}
        return w - 0.1 * memory["mean"] / (1.0 - 0.9**taken), memory, cr.sum(w)

    f = cr.compile(step, backend=backend)
    w, xs = np.array([1.0, -2.0, 0.5]), arguments()[1]
    expected = w.copy(), {"mean": np.zeros(3)}
    own = w, {"mean": np.zeros(3)}
    mean = own[1]["mean"]
    for k, x in enumerate(xs):
        *expected, total = f(*expected, k + 1.0, x)
        found = f(*own, k + 1.0, x, out=(*own, None))
        assert found[0] is w and found[1]["mean"] is mean and found[2] == total
        np.testing.assert_array_equal(w, expected[0])
        np.testing.assert_array_equal(mean, expected[1]["mean"])
    assert not np.array_equal(w, [1.0, -2.0, 0.5])


@every_backend
def test_what_does_not_fit_is_named_at_later_calls_too(backend):
    f = cr.compile(lambda x: (x + 1.0, x * 2.0), backend=backend)
    x = np.arange(4.0)
    out = f(x)
    assert f(x, out=out)[1] is out[1] and f(x + 1.0, out=(None, out[0]))[1] is out[0]
    with pytest.raises(ValueError, match="shape"):
        f(x, out=(out[0], np.empty(3)))
    with pytest.raises(ValueError, match="do not overlap"):
        f(x, out=(out[0], out[0]))
    assert f(x[:2], out=None)[0].tolist() == [1.0, 2.0]
    assert f(x[:2], out=(np.empty(2), None))[1].tolist() == [0.0, 2.0]
