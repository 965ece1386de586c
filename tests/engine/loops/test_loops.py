"""Loops stay loops: what they compute, eagerly and compiled, with derivatives, is what they compute unrolled."""

import importlib.util
import math
import pickle
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, Var, trace
from chainrule.rewriting.unnesting import restructure
from chainrule.testing import check_grads
from helpers import BACKENDS, agree, everything, flat, loops_of, tame
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import nests, points

NESTS = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=30)


# ---- random nests ----


@NESTS
@given(nests(), points)
def test_nests_traced_equal_nests_unrolled(f, point):
    program = trace(everything(f), *point)
    agree(program(*point), tame(everything(f)(*point)))


@pytest.mark.parametrize("backend", BACKENDS)
@NESTS
@given(f=nests(), point=points)
def test_nests_compiled_equal_nests_unrolled(backend, f, point):
    expected = tame(everything(f)(*point))
    agree(cr.compile(everything(f), backend=backend)(*point), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(NESTS, max_examples=15)
@given(f=nests(), rows=st.lists(points, min_size=1, max_size=11))
def test_nests_in_batches(backend, f, rows):
    expected = tame([flat(cr.value_and_grad(f, (0, 1, 2))(rows[0][0], *row[1:])) for row in rows])
    both = cr.value_and_grad(f, (0, 1, 2))
    columns = [rows[0][0], np.array([row[1] for row in rows]), np.array([row[2] for row in rows])]
    value, slopes = cr.compile(both, batch=(1, 2), backend=backend)(*columns)
    agree(np.stack([value, *slopes], 1), [x for row in expected for x in row])
    agree(cr.compile(both, batch=(1, 2), reduce="sum", backend=backend)(*columns), np.sum(expected, 0))


@NESTS
@given(nests(), points)
def test_nests_against_differences(f, point):
    # Differences tell nothing of a function that swings faster than they step.
    assume(max(map(abs, cr.grad(f, (0, 1, 2))(*point))) < 1e3)
    check_grads(cr.compile(f, backend="python"), *point, order=1)


# ---- what each does ----

ROWS = [[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]]


def test_map_returns_what_a_list_comprehension_does():
    assert cr.map(lambda x: x + 1.0, [1, 2.5]) == [2.0, 3.5]
    assert cr.map(lambda row, w: [w * x for x in row], ROWS, 2.0) == [[2.0 * x for x in row] for row in ROWS]
    assert cr.map(lambda x: (x, {"double": [2 * x]}), [1.0, 2.0]) == ([1.0, 2.0], {"double": [[2.0], [4.0]]})
    assert cr.map(lambda x: x, [1.0, 2.0], reduce="mean") == 1.5
    assert cr.map(lambda x: x, []) == []


@pytest.mark.parametrize("run", [lambda f, *args: f(*args), lambda f, *args: trace(f, *args)(*args)])
def test_arrays_and_parts_go_in_and_come_out(run):
    xs = (np.arange(6.0).reshape(3, 2), {"bias": [1.0, 2.0, 3.0]})
    found = run(lambda xs: cr.map(lambda x: (x[0][0] * x[1]["bias"], x[0]), xs), xs)
    assert isinstance(found[0], np.ndarray)
    assert np.array_equal(np.array(found[0], float), [0.0, 4.0, 12.0])
    assert np.array_equal(np.array(found[1], float), xs[0])


@pytest.mark.parametrize("run", [lambda f, *args: f(*args), lambda f, *args: trace(f, *args)(*args)])
def test_scan_hands_on_the_carry_and_stacks_results(run):
    def f(start, xs):
        return cr.scan(lambda c, x: ({"sum": c["sum"] + x}, (c["sum"], -x)), {"sum": start}, xs)

    assert run(f, 1.0, [1.0, 2.0, 3.0]) == ({"sum": 7.0}, ([1.0, 2.0, 4.0], [-1.0, -2.0, -3.0]))
    backwards = run(lambda xs: cr.scan(lambda c, x: (c + x, c), 0.0, xs, reverse=True), [1.0, 2.0, 3.0])
    assert backwards == (6.0, [5.0, 3.0, 0.0])
    assert cr.scan(lambda c, _: (2.0 * c, None), 1.0, None, length=5) == (32.0, None)
    assert run(lambda c: cr.scan(lambda c, _: (2.0 * c, None), c, None, length=5)[0], 1.0) == 32.0
    assert run(lambda c: cr.scan(lambda c, x: (c, x), c, []), 1.0) == (1.0, [])


def newton(a):
    return cr.while_loop(lambda s: abs(s * s - a) > 1e-9, lambda s: 0.5 * (s + a / s), a, limit=40)


@pytest.mark.parametrize("backend", BACKENDS)
def test_while_loops_differentiate_in_both_modes(backend):
    values = [0.5, 2.0, 9.0, 1e4]
    for f, expected in (
        (newton, [a**0.5 for a in values]),
        (cr.grad(newton), [0.5 * a**-0.5 for a in values]),
        (cr.grad(cr.grad(newton)), [-0.25 * a**-1.5 for a in values]),
        (lambda a: cr.jvp(newton, (a,), (1.0,))[1], [0.5 * a**-0.5 for a in values]),
    ):
        found = cr.compile(f, batch=0, backend=backend)(np.array(values))
        agree(found, expected, rel=1e-7)
        agree(found, [f(a) for a in values])


@pytest.mark.parametrize("run", [lambda f, *args: f(*args), lambda f, *args: trace(f, *args)(*args)])
def test_while_loop_that_reaches_its_limit_is_nan(run):
    def f(x):
        return cr.while_loop(lambda c: c < 10.0, lambda c: c + x, 0.0, limit=3)

    assert math.isnan(run(f, 1.0))
    assert run(f, 5.0) == 10.0


def test_function_is_traced_once_and_is_one_step():
    calls = []

    @cr.function
    def f(x):
        calls.append(x)
        return cr.sin(x) * x

    program = trace(lambda x: f(f(f(x))), 1.0)
    assert len(calls) == 1 and len(program) == 3
    assert program.steps[0].op == program.steps[1].op
    gradient = trace(cr.grad(lambda x: f(f(f(x)))), 1.0)
    assert len({op.body for op in loops_of(gradient)}) == 2
    assert gradient(0.7) == pytest.approx(cr.grad(lambda x: f(f(f(x))))(0.7), rel=1e-14)


def test_another_trace_sees_what_a_function_closes_over_anew():
    box = [1.0]
    f = cr.function(lambda x: x * box[0])
    assert trace(f, 1.0)(3.0) == 3.0
    box[0] = 2.0
    assert trace(f, 1.0)(3.0) == 6.0


def test_closures_reach_inner_programs():
    def f(w, v, xs):
        scale = w * v
        return cr.map(lambda x: cr.scan(lambda c, y: (c * scale + y, None), x * v, xs)[0], xs, reduce="sum")

    args = (0.3, 0.7, [1.0, 2.0, 3.0])
    assert len(loops_of(trace(f, *args))) == 2
    agree(trace(cr.grad(f, (0, 1, 2)), *args)(*args), cr.grad(f, (0, 1, 2))(*args))
    # Plain items do not keep a loop over closed-over traced numbers from being one.
    assert len(loops_of(trace(lambda w: cr.map(lambda x: w * x, [1.0, 2.0]), 1.0))) == 1


def test_vars_run_eagerly_and_through_programs():
    w = Var(0.5)
    cr.map(lambda x: w * x, [1.0, 2.0], reduce="sum").backward()
    assert w.grad == 3.0
    program = trace(lambda w: cr.scan(lambda c, x: (c * w + x, None), 1.0, [1.0, 2.0])[0], 1.0)
    v = Var(2.0)
    program(v).backward()
    assert v.grad == 2 * 2.0 + 1.0


def test_strong_zero_holds_inside_loops():
    def f(xs):
        return cr.map(lambda x: cr.where(x > 0, cr.sqrt(x), 0.0), xs, reduce="sum")

    for backend in BACKENDS:
        assert cr.compile(cr.grad(f), backend=backend)([0.0, 4.0]) == [0.0, 0.25]


def test_size_follows_the_code_not_the_number_of_iterations():
    def f(w, xs):
        return cr.scan(lambda c, x: (cr.tanh(w * c + x), None), 0.0, xs)[0]

    short, long = (trace(cr.grad(f), 0.5, [0.1] * n) for n in (10, 1000))
    assert len(short) == len(long)
    assert len(str(short).splitlines()) == len(str(long).splitlines())


def test_taylor_goes_through_programs_with_loops():
    def f(x):
        return cr.scan(lambda c, y: (cr.sin(c * x + y), None), x, [0.1, 0.2, 0.3])[0] + newton(x + 1.0)

    agree(cr.taylor(trace(f, 0.5), 0.5, 4), cr.taylor(f, 0.5, 4))


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
@pytest.mark.parametrize("name", ["sum", "mean", "dot", "logsumexp"])
def test_long_rows_are_loops_with_the_same_results(name, backend):
    row = cr.PRIMITIVES[name]
    xs = [math.sin(k) for k in range(cr.programs.long_sums.LONG[name])]
    args = (xs, xs[::-1]) if name == "dot" else (xs,)
    f = cr.value_and_grad(lambda *args: row(*args), tuple(range(len(args))))
    program = trace(f, *args)
    assert len(loops_of(program)) >= 2
    assert not loops_of(trace(f, *[part[:-1] for part in args]))
    agree(program(*args) if backend == "reference" else cr.compile(f, backend=backend)(*args), f(*args), rel=1e-12)


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_many_numbers_is_loops_with_the_same_results(name, backend):
    function, least = getattr(cr, name), cr.loops.shares.LEAST_MANY
    xs = [3.0 * math.sin(k) for k in range(least)]

    def f(xs):
        return cr.sum([math.cos(k) * share for k, share in enumerate(function(xs))])

    both = cr.value_and_grad(f)
    program = trace(both, xs)
    assert len(loops_of(program)) >= 8
    assert not loops_of(trace(f, xs[1:]))
    agree(program(xs) if backend == "reference" else cr.compile(both, backend=backend)(xs), both(xs), rel=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("edge", [math.inf, -math.inf, math.nan, 1e308, 800.0, -800.0])
def test_softmax_of_many_numbers_at_edges(name, edge):
    function = getattr(cr, name)
    xs = [0.01 * k for k in range(130)]
    xs[70] = edge
    agree(trace(lambda xs: function(xs), xs)(xs), function(xs))
    if math.isfinite(edge):
        f = cr.grad(lambda xs: function(xs)[3] + function(xs)[70])
        agree(trace(f, xs)(xs), f(xs), rel=1e-12)
        direction = [math.sin(k) for k in range(130)]

        def one(xs):
            return function(xs)[3]

        agree(cr.hvp(trace(one, xs), xs, direction), cr.hvp(one, xs, direction))


@pytest.mark.parametrize("edge", [math.inf, -math.inf, math.nan, 1e308])
def test_long_logsumexp_at_edges(edge):
    xs = [0.0] * 1500
    xs[700] = edge
    agree(trace(lambda xs: cr.logsumexp(xs), xs)(xs), cr.logsumexp(xs))


@NESTS
@given(nests(), points)
def test_restructured_programs_compute_the_same(f, point):
    program = trace(everything(f), *point)
    agree(restructure(program)(*point), program(*point))


def test_what_stays_the_same_leaves_its_loop():
    def f(w, xs):
        return cr.scan(lambda c, x: (c * cr.exp(w[0] * w[1]) + x, None), w[0], xs)[0]

    args = ([0.3, 0.7], [1.0, 2.0, 3.0])
    program = restructure(trace(f, *args))
    assert [op.name for op, _ in program.steps if op.name != "place"] == ["mul", "exp", "scan"]
    assert [op.name for op, _ in program.steps[-1].op.body.steps] == ["mul", "add"]
    agree(program(*args), f(*args))


def test_calls_are_written_out_where_they_are_small_or_alone():
    small = cr.function(lambda x: cr.sin(x) * x)

    @cr.function
    def large(x):
        for _ in range(20):
            x = cr.sin(x)
        return x

    def kinds(f):
        return [op.kind for op in loops_of(restructure(trace(f, 1.0)))]

    assert kinds(lambda x: small(small(x))) == []
    assert kinds(lambda x: large(x)) == []
    assert kinds(lambda x: large(large(x))) == ["call", "call"]


# ---- programs with loops as data ----


def gradient_program():
    def f(w, xs):
        inner = cr.function(lambda x: cr.tanh(x * w[0]))
        mapped = cr.map(lambda x: inner(x) + w[1], xs)
        return cr.scan(lambda c, y: (c * y + inner(y), None), newton(w[1] + 1.0), mapped)[0]

    return trace(cr.grad(f), [0.3, 0.7], [1.0, 2.0, math.inf])


def test_programs_with_loops_are_compared_pickled_saved(tmp_path):
    program = gradient_program()
    assert program == gradient_program() and hash(program) == hash(gradient_program())
    assert pickle.loads(pickle.dumps(program)) == program
    program.save(tmp_path / "f.json")
    assert Program.load(tmp_path / "f.json") == program
    assert str(Program.load(tmp_path / "f.json")) == str(program)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["programs"].pop(), r"steps\[.*to name 1 of the"),
        (lambda c: c["programs"][0]["steps"].append(["sin", 999]), r"programs\[0\].steps.*numbers below"),
        (lambda c: c["programs"][0].pop("name"), r"programs\[0\] to have the keys"),
        (lambda c: loop(c)[0].update(length=10**6), r"to take an array \[1000000\] as value 1 but got"),
        (lambda c: loop(c)[0].update(carry=50), "to fit its inner program"),
        (lambda c: loop(c)[0].update(loop="goto"), "to be one of the loops"),
        (lambda c: loop(c)[0].update(rows=-1), "whole number as rows"),
        (lambda c: loop(c)[0].update(backwards=1), "whether it runs backwards"),
        (lambda c: loop(c)[0].pop("sums"), "a loop with the keys"),
        (lambda c: c.pop("programs"), "the keys"),
    ],
)
def test_files_with_wrong_loops_are_refused(change, message, tmp_path):
    import json

    path = tmp_path / "f.json"
    trace(lambda w: cr.scan(lambda c, x: (c * w + x, None), 1.0, [1.0, 2.0])[0], 1.0).save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        Program.load(path)


def loop(content):
    return next(step for step in content["steps"] if isinstance(step[0], dict))


def test_a_drawing_folds_a_loop_to_one_box():
    source = cr.viz.draw(trace(lambda w: cr.map(lambda x: cr.sin(w * x), [1.0, 2.0, 3.0], reduce="sum"), 1.0)).source
    assert source.count("map lambda × 3") == 1


def test_auto_finds_a_backend_for_loops():
    assert cr.compile(lambda xs: cr.map(cr.exp, xs, reduce="sum"))([0.0, 0.0]) == 2.0


@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="needs numpy")
def test_loops_need_no_numpy():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import chainrule as cr\n"
        "f = cr.compile(cr.grad(lambda x: cr.map(lambda y: x * y, [1.0, 2.0], reduce='sum')))\n"
        "print(f(1.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 3.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_higher_derivatives_take_all_that_a_scan_stacks(backend):
    """If a derivative stacks what the iterations stack already, two nodes represent one result."""

    def cube(x):
        last, kept = cr.scan(lambda c, _: (cr.sin(c) * x, c), x, [1.0] * 3)
        return cr.function(lambda r: r**3)(last) + cr.sum(cr.map(lambda r: r * r, kept))

    third = cr.grad(cr.grad(cr.grad(cube)))
    assert cr.compile(cr.hessian(cube), backend=backend)(0.7) == pytest.approx(cr.hessian(cube)(0.7), rel=1e-12)
    assert cr.compile(third, backend=backend)(0.7) == pytest.approx(third(0.7), rel=1e-12)
    check_grads(cr.compile(cube, backend=backend), 0.7, order=3)
