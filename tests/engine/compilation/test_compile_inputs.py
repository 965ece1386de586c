"""compile(): lists and arrays as batches, signed zeros, all that runs on Vars, copies, and what cannot be read."""

import copy
import math
import pickle

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS


@pytest.mark.parametrize("backend", BACKENDS)
def test_lists_are_batches_as_arrays_are(backend):
    f = cr.compile(lambda x: x[0] * x[1] + cr.sin(x[0]), batch="x", backend=backend)
    g = cr.compile(cr.sin, batch=0, backend=backend)
    rows = [[0.5, 2.0], [1.5, -1.0], [2.5, 3.0]]
    expected = f(np.array(rows)).tolist()
    for same in (rows, [[0.5, 2], [1.5, -1.0], [2.5, 3.0]], [np.array(row) for row in rows]):
        assert f(same).tolist() == expected
    assert rows == [[0.5, 2.0], [1.5, -1.0], [2.5, 3.0]]
    assert g([0.5, 1.0, 2.0]).tolist() == g([0.5, 1, 2.0]).tolist() == g(np.array([0.5, 1.0, 2.0])).tolist()
    assert len(g([])) == 0
    with pytest.raises(ValueError, match=r"of one structure but got \[number, number\] at 0 and \[number\] at 2"):
        f([[0.5, 2.0], [1.5, -1.0], [2.5]])
    x = cr.Var(1.5)
    f([[0.5, 2.0], [x, -1.0]])[1].backward()
    assert x.grad == pytest.approx(-1.0 + np.cos(1.5))


def test_batches_are_arrays_or_lists():
    f = cr.compile(lambda d: d[0] * d[1], batch="d")
    assert len(f((np.zeros(0), np.zeros(0)))) == 0
    for mixed in ((np.array([1.0, 2.0]), [3.0, 4.0]), ([3.0, 4.0], np.array([1.0, 2.0]))):
        with pytest.raises(TypeError, match="d expected arrays inside a tuple or dict of a batch but got a list"):
            f(mixed)
    items = np.empty(2, object)
    items[:] = [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(ValueError, match=r"x expected samples of one structure but got number and \[number, number\]"):
        cr.compile(lambda x: x * 2, batch="x")(items)


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_number_beside_a_batch_is_that_of_all_samples(backend, reduce):
    f = cr.compile(
        cr.value_and_grad(lambda w, x, y: w * cr.sin(x) - y * y), batch=("x", "y"), reduce=reduce, backend=backend
    )
    x = np.linspace(0.0, 1.0, 5)
    expected = f(2.0, x, np.full(5, 3.0))
    for number in (3.0, 3, np.float32(3.0), np.int8(3), np.array(3.0)):
        for _ in range(2):
            assert [np.ravel(found).tolist() for found in f(2.0, x, number)] == [np.ravel(e).tolist() for e in expected]
    empty = {None: [], "sum": 0.0, "mean": math.nan}[reduce]
    np.testing.assert_array_equal(f(2.0, [], 3.0)[0], empty)
    y = cr.Var(3.0)
    value = f(2.0, x, y)[0]
    (value if reduce else value[2]).backward()
    assert y.grad == pytest.approx({None: -6.0, "sum": -30.0, "mean": -6.0}[reduce])
    with pytest.raises(
        TypeError, match=r"x expected a batch \(.*\), or another argument with one, but got x=1.0 \(float\)"
    ):
        f(2.0, 1.0, 3.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_columns_and_tables_are_batches(backend):
    f = cr.compile(cr.value_and_grad(lambda w, x, y: cr.square(cr.dot(w, x) - y[0])), batch=("x", "y"), backend=backend)
    x = np.arange(12.0).reshape(4, 3) / 7.0
    y = np.linspace(-1.0, 1.0, 4)[:, None]
    w = np.array([0.5, -0.25, 2.0])
    error = x @ w - y[:, 0]
    columns = np.repeat(np.repeat(x, 2, 0), 2, 1)
    for table, column in (
        (x, y),
        (np.asfortranarray(x), np.hstack([y, y])[:, :1]),
        (columns[::2, ::2], np.repeat(y, 2, 0)[::2]),
    ):
        for _ in range(2):
            value, slope = f(w, table, column)
            np.testing.assert_allclose(value, error**2, rtol=1e-12)
            np.testing.assert_allclose(slope, 2.0 * error[:, None] * x, rtol=1e-12)
    single = x.astype(np.float32)
    np.testing.assert_array_equal(f(w, single, y)[0], f(w, single.astype(float), y)[0])
    whole = np.arange(12).reshape(4, 3)
    np.testing.assert_array_equal(f(w, whole, y)[1], f(w, whole.astype(float), y)[1])


def test_a_copy_of_a_compiled_function_compiles_again():
    scale = cr.compile(cr.sin, batch=0, backend="python")
    for again in (copy.deepcopy(scale), pickle.loads(pickle.dumps(scale))):
        scale([0.5, 1.0])
        assert list(again([0.5, 1.0])) == [math.sin(0.5), math.sin(1.0)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_sums_start_at_zero(backend):
    for f in (lambda x: cr.sum([x]), lambda x: cr.sum([x, x]), lambda x: cr.dot([x], [1.0]), lambda x: cr.mean([x, x])):
        assert math.copysign(1.0, cr.compile(f, backend=backend)(-0.0)) == 1.0
    assert cr.compile(cr.mean, backend=backend)([1e308, 1e308]) == 1e308


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_runs_on_vars_is_traced(backend):
    def labelled(x):
        h = x * 2.0
        h.label = "h"
        return h * x.detach()

    assert cr.compile(cr.grad(labelled), backend=backend)(3.0) == cr.grad(labelled)(3.0) == 6.0

    def inside(x):
        return cr.where((x > 0) & (x < 1) & True, x, cr.where((x < -1) | (x == 2), 5.0, 0.0))

    def parts(x):
        return [*divmod(x, 2), *divmod(7, x), round(x)]

    for x in (-3.0, -0.5, 0.25, 1.5, 2.0):
        assert cr.compile(inside, backend=backend)(x) == inside(x)
        assert cr.compile(parts, backend=backend)(x) == parts(x)
    with pytest.raises(TypeError, match="unsupported operand"):
        cr.trace(lambda x: x & (x > 0), 1.0)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda x: f"{x:.2f}", "it was formatted"),
        (lambda x: round(x, 2), r"write chainrule.round\(x \* 10\*\*digits\)"),
        (lambda x: x.grad, r"\.grad was read"),
        (lambda x: x.backward(), r"\.backward was read"),
    ],
)
def test_reading_is_refused(read, message):
    with pytest.raises(cr.TraceError, match=message):
        cr.trace(read, 1.0)


def scaled(k):
    """Make a row anew, under the name that others had."""

    @cr.primitive(partials=lambda y, x: (k * cr.cos(x),), name="scaled")
    def row(x):
        return k * math.sin(x)

    return row


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_one_name_stay_apart(backend, tmp_path):
    f, g = scaled(2.0), scaled(3.0)
    for program in (
        lambda x: f(x) + g(x),
        lambda x: g(x) + f(x),
        lambda x: cr.scan(lambda c, y: (f(c) * y, None), x, [1.0, 2.0])[0] + g(x),
        lambda x: cr.sum([cr.sum([f(x * k) for k in range(1, 9)]), g(x), g(x)]),
    ):
        assert cr.compile(program, backend=backend)(0.7) == pytest.approx(program(0.7), rel=1e-14)
        slope = cr.grad(program)
        assert cr.compile(slope, backend=backend)(0.7) == pytest.approx(slope(0.7), rel=1e-14)
    with pytest.raises(ValueError, match="save expected operations that are found by their names but got one"):
        cr.trace(f, 1.0).save(tmp_path / "old.json")
    cr.trace(g, 1.0).save(tmp_path / "new.json")
    assert cr.Program.load(tmp_path / "new.json") == cr.trace(g, 1.0) != cr.trace(f, 1.0)


def test_derivatives_of_loops_follow_the_rule_of_now():
    for k in (2.0, 3.0):
        row = scaled(k)
        slope = cr.grad(lambda a, row=row: cr.scan(lambda c, v: (row(c) * v, None), a, [1.0, 2.0, 0.5])[0])
        assert cr.trace(slope, 1.0)(0.7) == pytest.approx(slope(0.7), rel=1e-14)


def test_strict_lets_derivatives_be_traced():
    with cr.strict():
        assert cr.compile(cr.grad(lambda x: cr.sin(x) * x))(1.0) == pytest.approx(math.sin(1.0) + math.cos(1.0))
