"""compile(reduce=a structure): each part of a result is reduced in its own way, as if compiled for that way alone."""

import collections
import copy
import importlib.util

import chainrule as cr
import numpy as np
import pytest

BACKENDS = ["python", "numpy", *(["llvm"] if importlib.util.find_spec("llvmlite") else [])]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
Found = collections.namedtuple("Found", "value slopes")


def loss(w, x, y):
    return (cr.dot(w["a"], x) + w["b"] - y) ** 2


def arguments(n=6):
    rng = np.random.default_rng(n)
    return {"a": rng.normal(size=3), "b": 0.5}, rng.normal(size=(n, 3)), rng.normal(size=n)


def by_hand(w, x, y):
    error = x @ w["a"] + w["b"] - y
    return error**2, 2.0 * error[:, None] * x, 2.0 * error, 2.0 * error[:, None] * w["a"]


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@every_backend
def test_gradients_of_parameters_are_added_those_of_samples_are_not(backend):
    w, x, y = arguments()
    value, a, b, own = by_hand(w, x, y)
    both = cr.value_and_grad(loss, argnums=(0, 1))
    f = cr.compile(both, batch=("x", "y"), reduce=("mean", ({"a": "sum", "b": None}, None)), backend=backend)
    for _ in range(2):
        found, (slopes, by_x) = f(w, x, y)
        assert found == pytest.approx(value.mean(), rel=1e-12)
        same(slopes["a"], a.sum(0))
        same(slopes["b"], b)
        same(by_x, own)
    found, (slopes, by_x) = cr.compile(both, batch=("x", "y"), reduce=["sum", ("mean", None)], backend=backend)(w, x, y)
    assert found == pytest.approx(value.sum(), rel=1e-12) and slopes["b"] == pytest.approx(b.mean(), rel=1e-12)
    same(by_x, own)
    alone = cr.compile(both, batch=("x", "y"), reduce=("sum", "sum"), backend=backend)(w, x, y)
    whole = cr.compile(both, batch=("x", "y"), reduce="sum", backend=backend)(w, x, y)
    assert alone[0] == pytest.approx(whole[0], rel=1e-12)
    same(alone[1][1], whole[1][1])


@every_backend
def test_records_keywords_static_arguments_and_parts(backend):
    w, x, y = arguments()
    value, a, _, _ = by_hand(w, x, y)

    def f(w, data, n):
        found, slopes = cr.value_and_grad(loss)(w, data["x"], data["y"])
        return Found(found * n, slopes)

    options = {"batch": ("data.x", "data.y"), "static": "n", "backend": backend}
    for reduce in ({"value": None, "slopes": "mean"}, Found(None, "mean"), (None, "mean")):
        g = cr.compile(f, reduce=reduce, **options)
        found = g(w, n=3, data={"x": x, "y": y})
        assert type(found) is Found
        same(found.value, 3 * value)
        same(found.slopes["a"], a.mean(0))
    for again in (copy.deepcopy(g), g):
        same(again(w, {"x": x, "y": y}, 3).value, 3 * value)


@every_backend
def test_results_go_to_given_arrays(backend):
    w, x, y = arguments()
    f = cr.compile(cr.value_and_grad(loss), batch=("x", "y"), reduce=(None, "mean"), backend=backend)
    result = f(w, x, y)
    again = f(w, 2.0 * x, y, out=result)
    value, a, b, _ = by_hand(w, 2.0 * x, y)
    assert again[0] is result[0] and again[1]["a"] is result[1]["a"]
    same(again[0], value)
    same(again[1]["a"], a.mean(0))
    assert again[1]["b"] == pytest.approx(b.mean(), rel=1e-12)
    same(f(w, x, y, out=(None, None))[0], by_hand(w, x, y)[0])


@every_backend
def test_derivatives_pass_through(backend):
    w, x, y = arguments()
    f = cr.compile(
        lambda w, x, y: (loss(w, x, y), x[0] * w["b"]), batch=("x", "y"), reduce=("mean", None), backend=backend
    )
    b = cr.Var(w["b"])
    total, each = f({**w, "b": b}, x, y)
    (total + each[2]).backward()
    assert b.grad == pytest.approx(by_hand(w, x, y)[2].mean() + x[2, 0], rel=1e-12)


def test_errors():
    w, x, y = arguments()
    with pytest.raises(
        ValueError, match='reduce to be None, "sum" or "mean", or a structure of these, but got reduce=\'max\''
    ):
        cr.compile(loss, batch="x", reduce=("sum", {"a": "max"}))
    with pytest.raises(ValueError, match="expected batch to name the arguments to reduce over"):
        cr.compile(loss, reduce=("sum", None))
    both = cr.value_and_grad(loss)
    for reduce in (
        ("sum",),
        ("sum", {"a": None}),
        ("sum", (None, None)),
        (("sum", None), None),
        {"a": "sum", "b": None},
    ):
        with pytest.raises(ValueError, match="compile expected reduce to have the structure of the result"):
            cr.compile(both, batch=("x", "y"), reduce=reduce, backend="numpy")(w, x, y)
    f = cr.compile(both, batch=("x", "y"), reduce=("sum", None), backend="numpy")
    f(w, x, y)
    for ask in (lambda: f.program, lambda: f.trace(w, x[0], 1.0), lambda: f.source("python")):
        with pytest.raises(ValueError, match=r"has a program for each of its reductions, \[None, 'sum'\]"):
            ask()
