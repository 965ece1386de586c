"""compile(): every backend computes what eager code does, for every row, structure and batch."""

import functools
import gc
import math
import subprocess
import sys

import chainrule as cr
import helpers
import numpy as np
import pytest
from chainrule import Var
from chainrule.testing import expressions, sample
from helpers import BACKENDS, ROWS, flat, special_points
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("error")


def agree(found, expected, rel=1e-12):
    helpers.agree(found, expected, rel, each=True)


def call(row):
    return lambda *xs: row.apply(tuple(xs))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_each_row_and_its_derivative_at_ordinary_points(row, backend):
    points = sample(row, 20, seed=3)
    both = cr.value_and_grad(call(row), argnums=tuple(range(row.arity)))
    eager = [flat(both(*point)) for point in points]
    columns = np.array(points).T
    value, slopes = cr.compile(both, batch=tuple(range(row.arity)), backend=backend)(*columns)
    agree(np.stack([value, *slopes], 1), eager)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_each_row_at_edges(row, backend):
    points = special_points(row.arity)
    eager = [row.evaluate(*point) for point in points]
    found = cr.compile(call(row), batch=tuple(range(row.arity)), backend=backend)(*np.array(points).T)
    agree(found, eager, rel=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_each_derivative_at_edges(row, backend):
    """The same nan, infinities and zeros as eager code, which skips what a zero cuts off."""
    points = special_points(row.arity)
    slope = cr.grad(call(row), argnums=tuple(range(row.arity)))
    eager = [slope(*point) for point in points]
    found = cr.compile(slope, batch=tuple(range(row.arity)), backend=backend)(*np.array(points).T)
    agree(np.stack(found, 1), eager, rel=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_random_expressions_at_edges(backend, data):
    """Values and derivatives: nan and infinities are in the same places."""
    f = data.draw(expressions())
    point = [
        data.draw(st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, math.inf, -math.inf, math.nan])) for _ in range(f.inputs)
    ]
    both = cr.value_and_grad(f, tuple(range(f.inputs)))
    eager = flat(both(*point))
    found = flat(cr.compile(both, backend=backend)(*point))
    for left, right in zip(found, eager, strict=True):
        assert math.isnan(left) == math.isnan(right) and math.isinf(left) == math.isinf(right), (found, eager)
    finite = [(left, right) for left, right in zip(found, eager, strict=True) if math.isfinite(right)]
    scale = max([1.0, *[abs(right) for _, right in finite]])
    for left, right in finite:
        assert left == pytest.approx(right, rel=1e-12, abs=1e-12 * scale)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_random_expressions_to_the_second_derivative(backend, data):
    f = data.draw(expressions())
    point = [data.draw(st.floats(-2.0, 2.0)) for _ in range(f.inputs)]

    def everything(*xs):
        places = tuple(range(len(xs)))
        first = cr.grad(f, places)
        return [f(*xs), first(*xs), [cr.grad(lambda *ys, k=k: first(*ys)[k], places)(*xs) for k in places]]

    eager = flat(everything(*point))
    found = flat(cr.compile(everything, backend=backend)(*point))
    scale = max(1.0, *map(abs, eager))
    assert found == pytest.approx(eager, rel=1e-12, abs=1e-12 * scale)


@pytest.mark.parametrize("backend", BACKENDS)
def test_strong_zero_holds_compiled(backend):
    def f(x):
        return cr.where(x > 0, cr.sqrt(x), 0.0) + cr.where(x < 5, x, cr.log(x - 5))

    both = cr.compile(cr.value_and_grad(f), batch="x", backend=backend)
    points = np.array([0.0, 4.0, -1.0, 5.0, 6.0])
    value, slope = both(points)
    agree(slope, [cr.grad(f)(x) for x in points])
    agree(value, [f(x) for x in points])
    reduced = cr.compile(cr.grad(f), batch="x", reduce="sum", backend=backend)(points)
    agree(reduced, slope.sum())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [cr.softmax, cr.log_softmax], ids=["softmax", "log_softmax"])
@pytest.mark.parametrize("scores", [[1.0, 2.0, 3.0], [30.0, -10.0, 2.0], [0.5, 0.5, 0.5], [-2.0, -2.0, -1000.0]])
def test_shares_of_scores_whichever_is_the_greatest(function, scores, backend):
    jacobian, hessian = cr.jacobian(function), cr.hessian(lambda xs, k: cr.take(function(xs), k))
    rotated = [scores[k:] + scores[:k] for k in range(3)]
    # Arrays give an array, whose first axis is the batch. Where lists hold numbers, each becomes a batch.
    first = cr.compile(jacobian, batch="xs", backend=backend)(np.array(rotated))
    agree(first, [jacobian(xs) for xs in rotated])
    second = cr.compile(hessian, batch="k", backend=backend)(scores, np.arange(3.0))
    agree(second, np.moveaxis([hessian(scores, k) for k in range(3)], 0, -1))
    # By hand: what all others have is summed, for 1 - p would cancel.
    powers = np.exp(np.array(scores) - max(scores))
    p = powers / powers.sum()
    rest = np.where(np.eye(3) == 1, np.array([p[1] + p[2], p[0] + p[2], p[0] + p[1]]), -p)
    agree(jacobian(scores), rest * p[:, None] if function is cr.softmax else rest)


# ---- batch, reduction, structures ----


def loss(w, x, y):
    return cr.square(cr.tanh(cr.dot(w["a"], x)) * w["b"] - y)


W = {"a": [0.3, -0.2], "b": 1.5}


def samples(n):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, 2)), rng.normal(size=n)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 33, 5000])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_batches_of_every_size(backend, n, reduce):
    X, y = samples(n)
    found = cr.compile(cr.value_and_grad(loss), batch=("x", "y"), reduce=reduce, backend=backend)(W, X, y)
    value, slope = found
    # The interpreted loop over samples, in NumPy for the long ones.
    h = np.tanh(X @ np.array(W["a"]))
    r = h * W["b"] - y
    values = r**2
    slopes = {"a": (2 * r * W["b"] * (1 - h * h))[:, None] * X, "b": 2 * r * h}
    if reduce is None:
        assert value.shape == (n,) and slope["b"].shape == (n,) and len(slope["a"]) == 2
        agree(value, values), agree(slope["b"], slopes["b"])
        agree(np.stack(slope["a"], 1) if n else np.empty((0, 2)), slopes["a"])
        return
    assert type(value) is float and type(slope["b"]) is float and type(slope["a"]) is list
    with np.errstate(all="ignore"):
        scale = n if reduce == "mean" else 1
        if reduce == "mean" and n == 0:
            assert math.isnan(value) and math.isnan(slope["b"])
            return
        agree(value, values.sum() / scale, 1e-10)
        agree([*slope["a"], slope["b"]], [*(slopes["a"].sum(0) / scale), slopes["b"].sum() / scale], 1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_of_any_kind_are_taken(backend):
    f = cr.compile(lambda x, w: [x[0] + x[1] * w, x], batch="x", backend=backend)
    X = np.arange(12.0).reshape(6, 2)
    expected = X[:, 0] + X[:, 1] * 2.0
    for same in (X, X.astype(int), X.astype(np.float32), np.asfortranarray(X), X.tolist()):
        total, copy = f(same, 2.0)
        agree(total, expected)
        assert np.stack(copy, 1).shape == (6, 2) if isinstance(copy, list) else copy.shape == (6, 2)
    agree(f(np.repeat(X, 2, 0)[::2], np.float32(2.0))[0], expected)
    agree(f(X[::-1], 2)[0], expected[::-1])
    X.setflags(write=False)
    agree(f(X, 2.0)[0], expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_floats_in_floats_out_and_outputs_that_are_shared(backend):
    f = cr.compile(lambda x, y: {"p": x * y, "q": (x, [y, 3.0])}, backend=backend)
    assert f(2.0, 3) == {"p": 6.0, "q": (2.0, [3.0, 3.0])}
    assert type(f(2, 3)["p"]) is float
    f = cr.compile(lambda x, w: (cr.exp(w), 1.0, x), batch="x", backend=backend)
    shared, constant, own = f(np.arange(3.0), 0.0)
    assert shared.tolist() == constant.tolist() == [1.0] * 3 and own.tolist() == [0.0, 1.0, 2.0]
    total = cr.compile(lambda x, w: (cr.exp(w), 1.0, x), batch="x", reduce="sum", backend=backend)
    assert total(np.arange(3.0), 0.0) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_of_tuples_and_dicts_of_arrays(backend):
    f = cr.compile(lambda p: p["x"] * p["z"][0] + p["z"][1][1], batch="p", backend=backend)
    x, z, w = np.arange(3.0), np.arange(3.0) + 5, np.arange(6.0).reshape(3, 2)
    agree(f({"x": x, "z": (z, w)}), x * z + w[:, 1])
    with pytest.raises(ValueError, match="parts with batches of one size but got 3 and 2"):
        f({"x": x, "z": (z[:2], w)})


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_go_through_a_compiled_function(backend):
    X, y = samples(5)
    compiled = cr.compile(loss, batch=("x", "y"), reduce="mean", backend=backend)

    def eager(w):
        return sum(loss(w, x, t) for x, t in zip(X, y, strict=True)) / 5

    through, direct = cr.grad(lambda w: compiled(w, X, y))(W), cr.grad(eager)(W)
    agree([*through["a"], through["b"]], [*direct["a"], direct["b"]])
    w = Var(0.5)
    out = cr.compile(lambda w, x: w * x, batch="x", backend=backend)(w, np.arange(3.0))
    out.sum().backward()
    assert w.grad == 3.0
    plain = cr.compile(lambda x: x**3, backend=backend)
    assert cr.grad(cr.grad(plain))(2.0) == 12.0
    assert cr.compile(cr.grad(plain), backend=backend)(2.0) == 12.0


def test_a_program_compiles_too():
    program = cr.trace(lambda x: cr.sin(x) * 2.0, 1.0)
    assert cr.compile(program, backend="numpy")(0.5) == pytest.approx(2 * math.sin(0.5), rel=1e-15)
    assert cr.compile(program, batch=0, backend="numpy")(np.zeros(3)).tolist() == [0.0] * 3


def test_structures_are_traced_once_each():
    calls = []

    def f(x):
        calls.append(x)
        return cr.sum(x)

    compiled = cr.compile(f, backend="python")
    assert compiled([1.0, 2.0]) == compiled([2.0, 1.0]) == 3.0
    assert compiled((1.0, 2.0)) == 3.0 and compiled(np.array([1.0, 2.0])) == 3.0
    assert len(calls) == 3 and "3 programs" in repr(compiled)


def test_keyword_arguments_find_their_place():
    f = cr.compile(lambda x, y=2.0: x * y, backend="python")
    assert f(y=4.0, x=3.0) == 12.0 and f(3.0) == 6.0 if f.f.__defaults__ is None else f(x=3.0) == 6.0


# ---- errors and sources ----


def test_bad_options_are_named():
    def f(x, y):
        return x * y

    with pytest.raises(TypeError, match="expected a function"):
        cr.compile(3)
    with pytest.raises(ValueError, match="expected reduce to be"):
        cr.compile(f, batch="x", reduce="max")
    with pytest.raises(ValueError, match="expected one of"):
        cr.compile(f, backend="cuda")
    with pytest.raises(ValueError, match="number of threads, 1 or above"):
        cr.compile(f, threads=0)
    with pytest.raises(ValueError, match=r"batch to name arguments of f, \['x', 'y'\]"):
        cr.compile(f, batch="z")
    with pytest.raises(ValueError, match="reduce='sum' alone"):
        cr.compile(f, reduce="sum")
    with pytest.raises(ValueError, match="call it"):
        _ = cr.compile(f).program
    with pytest.raises(TypeError, match="expected the batched argument 'y'"):
        cr.compile(f, batch="y")(1.0)
    with pytest.raises(TypeError, match="x expected a batch"):
        cr.compile(f, batch="x")(1.0, 2.0)
    with pytest.raises(TypeError, match="x=b'a'"):
        cr.compile(f)(b"a", 2.0)
    with pytest.raises(ValueError, match="x with 3 samples and y with 2"):
        cr.compile(f, batch=("x", "y"))(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="one structure but got"):
        cr.compile(f, batch="x")([[1.0], [1.0, 2.0]], 2.0)
    compiled = cr.compile(f, backend="python")
    compiled(1.0, 2.0)
    with pytest.raises(ValueError, match='expected "python", "c" or "llvm"'):
        compiled.source("fortran")


def test_python_source_runs_by_itself():
    compiled = cr.compile(lambda x, y: x * y - cr.where(x > y, x, 1.0), backend="python")
    compiled.trace(1.0, 2.0)
    names = {}
    exec(compiled.source("python"), names)
    assert names["f"](3.0, 2.0) == (3.0,)


def test_a_long_program_falls_back_and_says_so():
    with pytest.warns(RuntimeWarning, match="50 steps, more than max_steps=10"):
        cr.compile(lambda x: functools.reduce(lambda y, _: cr.sin(y), range(50), x), max_steps=10)(1.0)


def test_works_without_numpy():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import chainrule as cr\n"
        "f = cr.compile(cr.value_and_grad(lambda w, x: cr.tanh(w * x)), batch='x', reduce='mean')\n"
        "g = cr.compile(lambda w, x: [w * x], batch='x')\n"
        "print(f(0.5, [1.0, 2.0]), g(2.0, [1.0, 2.0]))\n"
        "assert 'llvmlite' not in sys.modules\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    assert out.stdout.endswith("[[2.0, 4.0]]\n")


def test_importing_chainrule_loads_no_numpy():
    code = "import sys, chainrule; assert not {'numpy', 'llvmlite'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


INNER = {
    "grad": lambda f, x: cr.grad(f)(x),
    "jacobian": lambda f, x: cr.jacobian(lambda x: [f(x), x])(x)[0],
    "hessian": lambda f, x: cr.hessian(f)(x),
    "jvp": lambda f, x: cr.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f, x: cr.vjp(f, x)[1](1.0)[0],
    "hvp": lambda f, x: cr.hvp(f, x, 1.0),
    "taylor": lambda f, x: cr.taylor(f, x, 3)[3],
}


@pytest.mark.parametrize("derivative", INNER.values(), ids=INNER)
def test_derivatives_taken_inside_at_a_plain_number_know_the_traced_ones(derivative):
    """To a trace a Var is a constant; the inner derivative's own input must not become one."""

    def f(w):
        return derivative(lambda x: cr.sin(w * x) * x, 2.0)

    assert cr.compile(f, backend="python")(1.5) == pytest.approx(f(1.5), rel=1e-13)
    assert cr.compile(cr.grad(f), backend="python")(1.5) == pytest.approx(
        (f(1.5 + 1e-5) - f(1.5 - 1e-5)) / 2e-5, rel=1e-7
    )


def test_the_garbage_collector_goes_on_after_a_compilation():
    seen = []

    def f(x):
        seen.append(gc.isenabled())
        if len(seen) > 1:
            raise RuntimeError("stop")
        return x * 2.0

    assert cr.compile(f, backend="python")(2.0) == 4.0
    assert seen == [False] and gc.isenabled()
    with pytest.raises(RuntimeError, match="stop"):
        cr.compile(f, backend="python")(2.0)
    assert gc.isenabled()
    gc.disable()
    try:
        cr.compile(lambda x: x * 3.0, backend="python")(2.0)
        assert not gc.isenabled(), "whoever turned it off wants it so"
    finally:
        gc.enable()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("exponent", [0.5, -0.5, 2.0, -1.0, 1.0, 0.0, 1.0 / 3.0])
def test_powers_by_a_constant_at_edges(backend, exponent):
    points = [-math.inf, -2.0, -0.0, 0.0, 2.0, math.inf, math.nan]
    found = cr.compile(lambda x: x**exponent, backend=backend, batch="x")(np.array(points))
    # In hexadecimal -0.0 differs from 0.0.
    expected = [cr.pow(x, exponent).hex() for x in points]
    for own, other in zip(found.tolist(), expected, strict=True):
        assert own.hex() == other or abs(own - float.fromhex(other)) < 1e-15
