"""Passes do not change values or derivatives, and do what they are named for."""

import itertools
import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import PRIMITIVES, Var, trace
from chainrule.graph.backward import walk
from chainrule.programs import COUNTED, Loop, builder, dependence
from chainrule.rewriting import hoisting, prepared, relaxing, simplifying
from chainrule.testing import expressions
from helpers import computing
from hypothesis import given
from hypothesis import strategies as st

numbers = st.one_of(st.floats(-2.0, 2.0), st.sampled_from([0.0, 1.0, -1.0, 2.0]))
ROWS = [
    *("add", "sub", "mul", "neg", "pos", "square", "pow", "div", "sin", "tanh", "strong_mul", "where", "maximum"),
    *("less", "relu", "abs", "stop_gradient", "exp"),
]
PASSES = {
    "share": simplifying.share,
    "fold": simplifying.fold,
    "simplify": simplifying.simplify,
    "drop": simplifying.drop,
    "hoist": lambda program: hoisting.hoist(program, [k % 2 == 0 for k in range(len(program.arguments.parts))]),
    "optimise": simplifying.optimise,
}


def same(left, right):
    return left == right or (left != left and right != right) or math.isclose(left, right, rel_tol=1e-13)


def sizes(program, point):
    """Return for each input the sum of the sizes of the terms that its derivative adds up."""
    leaves = [Var(x) for x in point]
    root = program(*leaves)
    found = {id(root): 1.0}
    for node in reversed(walk(root) if type(root) is Var else []):
        for arg, partial in zip(node.args, node.partials, strict=True):
            if partial != 0.0:
                found[id(arg)] = found.get(id(arg), 0.0) + found.get(id(node), 0.0) * abs(partial)
    return [found.get(id(leaf), 0.0) for leaf in leaves]


@pytest.mark.parametrize("name", PASSES)
@given(data=st.data())
def test_values_and_derivatives_are_unchanged(name, data):
    f = data.draw(expressions(ROWS, steps=(1, 12)))
    point = [data.draw(numbers) for _ in range(f.inputs)]
    before = trace(f, *point)
    # Some inputs become constants, so that there is something to fold.
    fixed = data.draw(st.integers(0, f.inputs - 1))
    if fixed:
        before = trace(lambda *xs: f(*xs, *point[len(xs) :]), *point[:-fixed])
        point = point[:-fixed]
    after = PASSES[name](before)
    assert same(before(*point), after(*point))
    for k, size in enumerate(sizes(before, point)):
        old, new = cr.grad(before, k)(*point), cr.grad(after, k)(*point)
        if math.isfinite(old):
            # In another order, terms that cancel leave another rounding of what they were.
            assert same(old, new) or abs(old - new) <= 1e-15 * size, (before, after)


def test_terms_that_cancel_may_be_added_in_another_order():
    def f(x):
        a = x + x
        return cr.square(4.0 * (a / a + -a))

    before = trace(f, 2.755731610068303e-06)
    point = (2.755731610068303e-06,)
    old, new = cr.grad(before)(*point), cr.grad(simplifying.simplify(before))(*point)
    assert abs(old - new) <= 1e-15 * sizes(before, point)[0]


def test_share_computes_equal_steps_once_in_either_order():
    program = simplifying.share(trace(lambda x, y: x * y + y * x + cr.sin(x) * cr.sin(x), 1.0, 1.0))
    assert [step.op.name for step in program.steps] == ["mul", "add", "sin", "mul", "add"]


def test_fold_leaves_one_constant():
    def f(x):
        return x + cr.sqrt(cr.PRIMITIVES["mul"].apply((x, 0.0)) * 0.0 + 4.0)

    program = trace(lambda x: x * cr.exp(cr.stop_gradient(x) * 0.0), 2.0)
    assert len(simplifying.fold(program)) == len(program), "x * 0 is not 0 for infinite x"
    constant = builder.rewrite(
        trace(lambda x: x + 1.0, 1.0), lambda b, op, args: b.step(op, (b.constant(2.0), args[1]))
    )
    assert len(simplifying.drop(simplifying.fold(constant))) == 0
    assert f(2.0) == 4.0


@pytest.mark.parametrize("backend", ["python", "llvm"])
def test_a_carry_that_shifts_is_dropped_as_far_as_it_is_not_read(backend):
    """Each carried number is wanted because the one before it is; the second half is read by nobody."""

    def last(xs):
        half = 20

        def shift(carry, x):
            return [*[c * x for c in carry[1:half]], carry[0], *carry[half + 1 :], carry[half]], carry[0]

        return cr.scan(shift, [0.5 + k for k in range(2 * half)], xs)[1]

    compiled = cr.compile(last, backend=backend)
    assert compiled([1.5, -0.5, 2.0] * 20) == pytest.approx(last([1.5, -0.5, 2.0] * 20), rel=1e-12)
    (loop,) = computing(compiled.program)
    assert loop.carry == 20


def test_drop_forgets_what_no_output_needs():
    program = builder.rewrite(
        trace(lambda x: cr.sin(x) * 3.0, 1.0), lambda b, op, args: args[0] if op is cr.mul else b.step(op, args)
    )
    assert program.constants == (3.0,)
    dropped = simplifying.drop(program)
    assert dropped.constants == () and len(dropped) == 1


def test_hoist_brings_shared_steps_first():
    program = trace(lambda x, w: cr.sin(x) * cr.exp(w) + cr.cos(w), 1.0, 1.0)
    hoisted = hoisting.hoist(program, (True, False))
    assert [step.op.name for step in hoisted.steps] == ["exp", "cos", "sin", "mul", "add"]
    assert list(dependence.varying(hoisted, (True, False)))[hoisted.offset :] == [0, 0, 1, 1, 1]


def of(f, count=1):
    program = simplifying.optimise(trace(f, *[1.0] * count))
    return [step.op.name for step in program.steps]


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (lambda x: x * 1.0, []),
        (lambda x: x + 0.0, ["add"]),  # -0.0 + 0.0 is 0.0
        (lambda x: x + -0.0, []),
        (lambda x: x - 0.0, []),
        (lambda x: x * 0.0, ["mul"]),  # nan for an infinite x
        (lambda x: cr.strong_mul(x, 0.0), []),
        (lambda x: x - x, ["sub"]),  # nan for an infinite x
        (lambda x: x / 4.0, ["mul"]),
        (lambda x: x / 3.0, ["div"]),
        (lambda x: x**1, []),
        (lambda x: x**2, ["square"]),
        (lambda x: x**3, ["square", "mul"]),
        (lambda x: cr.neg(-x), []),
        (lambda x: x * -1.0, ["neg"]),
        (lambda x: cr.where(1.0, x, cr.log(x)), []),
        (lambda x: cr.where(x > 0, x, x), []),
        (lambda x: cr.where(x > 0, 1.0, 0.0), ["less"]),
        (lambda x: cr.sum([x]), ["add"]),  # a sum starts at 0.0
        (lambda x: cr.dot([x], [3.0]), ["mul", "add"]),
        (lambda x: cr.pos(x), []),
    ],
)
def test_identities_that_hold_for_every_double_and_no_others(f, names):
    assert of(f) == names


def test_derivative_of_relu_is_a_choice_not_a_product():
    assert of(cr.grad(lambda x: cr.relu(x) * 3.0)) == ["less", "where"] or of(cr.grad(lambda x: cr.relu(x) * 3.0)) == [
        "less",
        "mul",
    ]


# ---- relaxed products ----

EDGES = (0.0, -0.0, 1.0, -2.0, math.inf, -math.inf, math.nan, 1e200)


@given(f=expressions([*ROWS, "sqrt", "log", "minimum", "clip", "hypot"], steps=(2, 10)), data=st.data())
def test_relaxed_without_nan_is_strong(f, data):
    point = [data.draw(st.sampled_from(EDGES)) for _ in range(f.inputs)]
    program = simplifying.values_only(simplifying.optimise(trace(cr.value_and_grad(f), *point)))
    plain = relaxing.relax(program)(*point)
    if all(number == number for number in plain):
        assert plain == program(*point)


def test_relax_keeps_products_that_a_comparison_sees():
    program = trace(lambda x, y: cr.where(cr.strong_mul(x, y) > 0, 1.0, 2.0) + cr.strong_mul(x, x), 1.0, 1.0)
    assert [step.op.name for step in relaxing.relax(program).steps].count("strong_mul") == 1


@pytest.mark.parametrize("name", [name for name, row in PRIMITIVES.items() if not row.custom])
def test_passing_nan_on_is_told_truly(name):
    row = PRIMITIVES[name]
    for position in range(row.arity):
        if relaxing.passes_nan(row, position) and name not in ("where", "strong_mul", "sum", "mean", "dot"):
            for others in itertools.product((0.0, 0.3, -5.0, 40.0, -math.inf), repeat=row.arity - 1):
                assert math.isnan(row.evaluate(*others[:position], math.nan, *others[position:]))


def test_short_scans_of_one_length_run_as_one():
    def f(xs, ys):
        def running(items, reverse=False):
            return cr.scan(lambda total, x: (total + x, total * x), 1.0, items, reverse=reverse)

        (a, first), (b, second), (c, third) = running(xs), running(ys), running(xs, reverse=True)
        return a * b + c, first, second, third

    draw = np.random.default_rng(0)
    xs, ys = draw.normal(size=(2, 300))
    program = prepared(cr.trace(f, xs, ys), [False, False])
    assert sorted(op.carry for op, _ in program.steps if op.name == "scan") == [1, 2]
    for backend in ("python", "numpy", "llvm"):
        total, *rows = cr.compile(f, backend=backend)(xs, ys)
        before = [1.0 + np.cumsum(x) - x for x in (xs, ys, xs[::-1])]
        assert total == pytest.approx((1.0 + xs.sum()) * (1.0 + ys.sum()) + 1.0 + xs.sum())
        np.testing.assert_allclose(rows[0], before[0] * xs, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rows[1], before[1] * ys, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rows[2], (before[2] * xs[::-1])[::-1], rtol=1e-9, atol=1e-12)


def test_maps_of_one_counted_length_run_as_one():
    def long(x, w):
        return cr.exp(0.1 * cr.sum([cr.sin(w * x + k) for k in range(30)]))

    def loss(xs, count, w):
        ys = cr.map(long, xs, w, length=count)
        return cr.map(long, ys, w, length=count, reduce="sum")

    def f(w, xs, counts):
        return cr.value_and_grad(lambda w: cr.map(lambda item, w: loss(*item, w), (xs, counts), w, reduce="sum"))(w)

    xs, counts = np.random.default_rng(0).normal(size=(6, 5)), np.array([5.0, 0.0, 3.0, 1.0, 9.0, -2.0])
    program = prepared(cr.trace(f, 0.3, xs, counts), [False] * 3)
    inner = next(op for op, _ in program.steps if op.name == "map").body
    # The value and what the derivative keeps of it are computed by the same two loops.
    loops = [op for op, _ in inner.steps if isinstance(op, Loop) and op.kind == COUNTED]
    assert [op.body.name.startswith("reverse") for op in loops] == [False, False, True, True]

    def plain(w):
        total = 0.0
        for row, count in zip(xs.tolist(), counts, strict=True):
            for x in row[: max(0, int(count))]:
                total = total + long(long(x, w), w)
        return total

    expected = cr.value_and_grad(plain)(0.3)
    for backend in ("python", "numpy", "llvm"):
        assert cr.compile(f, backend=backend)(0.3, xs, counts) == pytest.approx(expected, rel=1e-11)
