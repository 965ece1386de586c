"""Branches: what `cond` and `switch` compute, that nothing else runs, and which rows run in loops and batches."""

import itertools
import math
import pickle
import shutil
import subprocess

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, Var, trace, viz
from helpers import BACKENDS, flat, kept_apart

XS = np.array([-2.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0, -7.0, 0.1, 0.2, 0.3, 0.4, 0.9])

asked: list[float] = []


@cr.primitive(partials=lambda y, x: (positive_slope(x),))
def positive_root(x):
    """A square root that refuses numbers that are not positive."""
    asked.append(x)
    if not x > 0.0:
        raise ValueError(f"root of {x}")
    return math.sqrt(x)


@cr.primitive(partials=lambda y, x: (-0.5 * positive_slope(x) / x,))
def positive_slope(x):
    asked.append(x)
    if not x > 0.0:
        raise ValueError(f"slope of {x}")
    return 0.5 / math.sqrt(x)


own_rows = kept_apart(positive_root, positive_slope)


def shape(w, x):
    """Branches with several numbers as results, in a structure, that close over a number."""
    found = cr.cond(x > 0.5, lambda x: {"a": cr.sin(w * x), "b": [x, w]}, lambda x: {"a": w * x * x, "b": [1.0, x]}, x)
    return found["a"] * found["b"][0] + found["b"][1] ** 2


def ladder(w, x):
    return cr.switch(x, [cr.exp, lambda x: w * x**3, lambda x: cr.tanh(w + x), lambda _: w], x)


def inner(w, x):
    """A branch in a branch, loops in branches, branches in loops."""

    def far(x):
        walked = cr.scan(lambda c, k: (cr.cond(c > 0.6, cr.cos, lambda c: c + k * w, c), c), x, [0.1, 0.2])
        return walked[0] + cr.sum(walked[1])

    def near(x):
        return cr.cond(x < -1.0, lambda x: cr.map(lambda k: cr.sin(k * x * w), [1.0, 2.0], reduce="sum"), cr.square, x)

    return cr.cond(x > 0.0, far, near, x)


def counted(w, x):
    first = cr.fori_loop(1, 4, lambda i, c: c * cr.cos(w * i) + x, x)
    return cr.fori_loop(0.0, 3.0 * cr.abs(x), lambda i, c: c + cr.sin(c * w) / (i + 1.0), first, limit=25)


def lazily(w, x):
    """Rows that raise where the other branch is taken, where a loop has ended, and for no items at all."""
    first = cr.cond(x > 0.0, lambda x: positive_root(x) * w, lambda x: positive_root(1.0 - x), x)
    grown = cr.while_loop(lambda c: c < 2.0, lambda c: c + 0.5 + positive_root(2.0 - c), first, limit=20)
    return grown + cr.switch(x, [lambda x: positive_root(1.1 - x), lambda x: positive_root(x), lambda x: x], x)


@cr.function
def rooted(c, w):
    """More than is written out where it is called."""
    for _ in range(5):
        c = cr.sin(c) + w * positive_root(c + 0.1)
    return c


def deeply(w, x):
    """Such rows in loops, calls and branches, inside branches and loops that end early."""

    def far(x):
        beside = cr.map(lambda k: positive_root(x * k) * w, [1.0, 2.0, 4.0, 3.0], reduce="sum")
        end = cr.scan(lambda c, k: (rooted(c, w) + cr.cond(c > k, positive_root, cr.square, c), None), x, [0.5, 1.5])[0]
        return beside + end + rooted(x, w)

    def step(c):
        return c + 0.75 + cr.map(lambda k: positive_root(2.0 - c) * k * w, [0.1, 0.2], reduce="sum")

    return cr.while_loop(lambda c: c < 2.0, step, cr.cond(x > 0.0, far, lambda x: 0.5 * x, x), limit=12)


FUNCTIONS = [shape, ladder, inner, counted, lazily, deeply]


def everything(f):
    def computed(w, x):
        pulled = cr.value_and_grad(f, (0, 1))(w, x)
        return pulled, cr.jvp(f, (w, x), (1.0, 0.5)), cr.hessian(f, (0, 1))(w, x), cr.taylor(lambda s: f(w, s), x, 3)

    return computed


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_value_and_all_derivatives(f, backend):
    computed = everything(f)
    expected = [flat(computed(0.7, float(x))) for x in XS]
    compiled = cr.compile(computed, backend=backend)
    for x, numbers_at in zip(XS, expected, strict=True):
        np.testing.assert_allclose(flat(compiled(0.7, float(x))), numbers_at, 1e-11, 1e-11)
    for n in (0, 1, 3, len(XS)):
        batch = cr.compile(computed, batch="x", backend=backend)(0.7, XS[:n])
        columns = units(batch)
        assert all(column.shape == (n,) for column in columns)
        for found, numbers_at in zip(zip(*columns, strict=True), expected[:n], strict=True):
            np.testing.assert_allclose(found, numbers_at, 1e-11, 1e-11)
    total = cr.compile(computed, batch="x", reduce="sum", backend=backend)(0.7, XS)
    np.testing.assert_allclose(flat(total), np.sum(expected, 0), 1e-10, 1e-10)


def units(tree):
    """List the arrays of a batch's result."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [tree] if isinstance(tree, np.ndarray) else [own for part in tree for own in units(part)]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_eager_derivatives_agree_with_differences(f):
    cr.testing.check_grads(f, 0.7, 0.3, order=2)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_iterations_of_a_map_take_their_own_branches(f, backend):
    computed = cr.value_and_grad(lambda w, xs: cr.map(lambda x: f(w, x), xs, reduce="sum"), (0, 1))
    found = cr.compile(computed, backend=backend)(0.7, XS)
    np.testing.assert_allclose(found[0], sum(f(0.7, float(x)) for x in XS), 1e-11)
    slopes = [cr.grad(f, (0, 1))(0.7, float(x)) for x in XS]
    np.testing.assert_allclose([found[1][0], *found[1][1]], [sum(s[0] for s in slopes), *[s[1] for s in slopes]], 1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", [lazily, deeply])
def test_rows_of_the_users_are_asked_for_samples_that_are_there(f, backend):
    """Compiled code asks rows for no numbers that eager code does not, in a batch, a map, and their derivatives."""
    computed = cr.value_and_grad(f, (0, 1))
    asked.clear()
    for x in XS:
        computed(0.7, float(x))
    allowed = np.array(sorted(set(asked)))
    asked.clear()
    cr.compile(computed, batch="x", backend=backend)(0.7, XS)
    cr.compile(lambda w, xs: cr.map(lambda x: f(w, x), xs), backend=backend)(0.7, XS)
    assert asked
    for x in asked:
        assert np.min(np.abs(allowed - x)) < 1e-12 * max(1.0, abs(x)), x


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_that_ends_at_once_asks_nobody(backend):
    def f(x, y):
        return cr.while_loop(lambda c: c < 0.0, lambda c: c + positive_root(y), x)

    assert cr.compile(f, backend=backend)(1.0, -1.0) == 1.0
    assert cr.compile(f, batch="x", backend=backend)([1.0, 2.0, 3.0], -1.0).tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="root of -1"):
        cr.compile(f, backend=backend)(-1.0, -1.0)


def test_eager_code_runs_one_branch():
    def never(*_):
        raise AssertionError

    assert cr.cond(True, cr.square, never, 3) == 9.0 and cr.cond(0, never, cr.square, 3) == 9.0
    assert cr.cond(math.nan, cr.square, never, 3) == 9.0 and cr.cond(Var(0.0), never, cr.square, 3.0) == 9.0
    assert cr.cond(np.bool_(True), lambda: [1, 2], never) == [1.0, 2.0]
    for index, place in [(-math.inf, 0), (-1, 0), (0.9, 0), (1, 1), (1.9, 1), (2, 2), (9, 2), (math.nan, 2)]:
        branches = [never] * 3
        branches[place] = cr.square
        assert cr.switch(index, branches, 3.0) == 9.0
        assert cr.switch(Var(index), branches, 3.0) == 9.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_index_takes_one_branch(backend):
    def f(index):
        return cr.switch(index, [lambda k=k: 10.0 + k for k in range(4)])

    indices = [-math.inf, -3.0, -0.0, 0.5, 1.0, 1.5, 2.0, 2.999, 3.0, 4.0, math.inf, math.nan]
    expected = [f(index) for index in indices]
    assert cr.compile(f, batch="index", backend=backend)(indices).tolist() == expected
    one = cr.compile(f, backend=backend)
    assert [one(index) for index in indices] == expected
    true = cr.compile(lambda c: cr.cond(c, lambda: 1.0, lambda: 2.0), batch="c", backend=backend)
    assert true([0.0, -0.0, 0.5, math.nan, -math.inf]).tolist() == [2.0, 2.0, 1.0, 1.0, 1.0]


def test_a_branch_keeps_its_costs_to_itself():
    """Nothing leaves a branch, and its derivative is a branch, too."""

    def f(w, x):
        return cr.cond(x > 0.0, lambda x: cr.exp(cr.sin(w)) * x, lambda x: x, x)

    program = cr.compile(cr.grad(f, (0, 1)), backend="python").trace(1.0, 2.0)
    assert not {"exp", "sin", "cos"} & {op.name for op, _ in program.steps}
    assert [op.is_branch for op, _ in program.steps if hasattr(op, "body")] == [True, True]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("f", [shape, ladder, inner, counted])
def test_exported_to_c(f, tmp_path):
    import ctypes

    compiled = cr.compile(cr.value_and_grad(f, (0, 1)), batch="x", backend="python")
    value, (by_w, by_x) = compiled(0.7, XS)
    source = compiled.export_c(tmp_path / "f.c")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", tmp_path / "f.so", source, "-lm"], check=True, timeout=120)
    function = getattr(ctypes.CDLL(str(tmp_path / "f.so")), compiled.program.name)
    out, w = np.empty(3 * len(XS)), np.array([0.7])
    address = [array.ctypes.data_as(ctypes.c_void_p) for array in (w, XS, out)]
    function(*address[:2], ctypes.c_size_t(len(XS)), address[2])
    np.testing.assert_allclose(out.reshape(3, -1), [value, by_w, by_x], 1e-12, 1e-13)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_programs_are_kept_listed_and_drawn(f, tmp_path):
    program = trace(everything(f), 0.7, 0.3)
    program.save(tmp_path / "f.json")
    for copy in (Program.load(tmp_path / "f.json"), pickle.loads(pickle.dumps(program))):
        assert copy == program and copy(0.7, 0.3) == program(0.7, 0.3)
    assert "when " in str(program) or f is counted
    assert "when " in viz.draw(trace(f, 0.7, 0.3)).source or f is counted


def test_drawings_tell_branches_apart():
    for program, names in (
        (trace(lambda x: cr.cond(x > 0, cr.sqrt, cr.sqrt, x), 1.0), ["true", "false"]),
        (trace(lambda x: cr.switch(x, [cr.sqrt, cr.sqrt, cr.sqrt], x), 1.0), ["is 0", "is 1", "is 2"]),
    ):
        source = viz.draw(program).source
        for name in names:
            assert f"<when {name}: sqrt>" in source


def test_fori_loop():
    def power(n, x):
        return cr.fori_loop(0, n, lambda _, c: c * x, 1)

    assert power(3, 2.0) == 8.0 and power(0, 2.0) == 1.0 and power(-2, 2.0) == 1.0 and power(2.5, 2.0) == 8.0
    assert power(np.int64(3), 2.0) == 8.0 and power(Var(3.0), 2.0) == 8.0
    assert cr.grad(lambda x: power(3, x))(2.0) == 12.0 == trace(cr.grad(lambda x: power(3, x)), 1.0)(2.0)
    # However many there are, the program stays as long.
    assert len(str(trace(lambda x: power(100_000, x), 1.0))) < 500
    moved = trace(lambda n, x: cr.jvp(lambda x: power(n, x), (x,), (1.0,)), 1.0, 1.0)
    assert moved(3.0, 2.0) == (8.0, 12.0)
    limited = trace(cr.value_and_grad(lambda x, n: cr.fori_loop(0, n, lambda _, c: c * x, 1.0, limit=5)), 1.0, 1.0)
    assert limited(2.0, 3.0) == (8.0, 12.0) and math.isnan(limited(2.0, 6.0)[0])


def test_mistakes_are_named():
    with pytest.raises(TypeError, match=r"cond expected one number as condition but got condition=\[1.0\]"):
        cr.cond([1.0], cr.sin, cr.cos, 1.0)
    with pytest.raises(TypeError, match="switch expected one function or more but got"):
        cr.switch(0, [], 1.0)
    with pytest.raises(TypeError, match="cond expected lambda to return a number but got None"):
        cr.cond(True, lambda x: None, cr.cos, 1.0)
    with pytest.raises(ValueError, match="cond expected results of one structure but got number of sin"):
        trace(lambda x: cr.cond(x, cr.sin, lambda x: [x], x), 1.0)
    with pytest.raises(TypeError, match="fori_loop expected numbers as bounds"):
        cr.fori_loop(0, [1], lambda i, c: c, 1.0)
    with pytest.raises(ValueError, match="fori_loop expected finite bounds"):
        cr.fori_loop(0, math.inf, lambda i, c: c, 1.0)
    with pytest.raises(ValueError, match="expected limit="):
        trace(cr.grad(lambda x, n: cr.fori_loop(0, n, lambda _, c: c * x, 1.0)), 1.0, 1.0)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(["grad", "jvp", "taylor"], repeat=2)))
def test_derivatives_nest_through_branches(first, second):
    take = {
        "grad": lambda f: cr.grad(f),
        "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
        "taylor": lambda f: lambda x: cr.taylor(f, x, 2)[1],
    }
    for f in (shape, ladder, inner):
        nested = take[second](take[first](lambda x, f=f: f(0.7, x)))
        for x in (-1.5, 0.3, 0.8, 2.5):
            assert trace(nested, x)(x) == pytest.approx(nested(x), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_branches_may_order_keys_differently(backend):
    def f(x, k):
        one = cr.cond(x > 0, lambda: {"a": x, "b": [1.0]}, lambda: {"b": [2.0], "a": 3 * x})
        two = cr.switch(k, [lambda: {"c": x, "d": 0.0}, lambda: {"d": x * x, "c": 1.0}])
        return one["a"] + 10 * one["b"][0] + 100 * two["c"] + 1000 * two["d"]

    compiled = cr.compile(cr.value_and_grad(f), backend=backend)
    for point in ((1.5, 0.0), (-1.5, 1.0), (-1.5, 0.0)):
        assert compiled(*point) == cr.value_and_grad(f)(*point)


@pytest.mark.parametrize("backend", BACKENDS)
def test_fori_loop_counts_where_adding_1_changes_nothing(backend):
    f = cr.compile(lambda a: cr.fori_loop(a, a + 4, lambda i, c: c + 1, 0.0, limit=50), backend=backend)
    for a in (0.5, -3.0, 2.0**53, 1e300):
        assert f(a) == (4.0 if a < 1e300 else 0.0) == cr.fori_loop(a, a + 4, lambda i, c: c + 1, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_index_of_a_fori_loop_moves_with_its_lower_bound(backend):
    def f(a):
        return cr.fori_loop(a, a + 4, lambda i, c: c + i * i, 0.0, limit=10)

    assert cr.grad(f)(1.0) == cr.compile(cr.grad(f), backend=backend)(1.0) == 2.0 * (1 + 2 + 3 + 4)
