"""The reverse sweep: order, accumulation, sharing, depth, memory; and against differences and torch."""

import gc
import math
import subprocess
import sys

import chainrule as cr
import pytest
from chainrule import Var
from chainrule.operations.primitive import PRIMITIVES
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import expressions_at_points, moderate


def gradients(f, xs, seed=1.0):
    leaves = [Var(x) for x in xs]
    f(*leaves).backward(seed)
    return [leaf.grad for leaf in leaves]


class TestSharing:
    def test_a_node_used_twice(self):
        """The counter-example to recursive backward: b is shared, so it must be complete before it propagates."""
        a = Var(3.0)
        b = a + a
        c = b + b
        c.backward()
        assert (c.grad, b.grad, a.grad) == (1.0, 2.0, 4.0)

    def test_diamonds_cost_linear_time(self):
        x = Var(1.0)
        y = x
        for _ in range(200):
            y = y + y
        y.backward()
        assert x.grad == 2.0**200

    def test_micrograd_readme_example(self):
        a, b = Var(-4.0), Var(2.0)
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        e = c - d
        f = e**2
        g = f / 2.0
        g += 10.0 / f
        g.backward()
        assert f"{g.value:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"

    def test_design_example(self):
        x, y = Var(2.0, label="x"), Var(3.0, label="y")
        ((x**2 + 3) ** 2 + y).backward()
        assert x.grad == 56.0 and y.grad == 1.0


class TestAccumulation:
    def test_leaves_add_up_and_interior_is_the_latest(self):
        x = Var(2.0)
        y = x * x
        z = y * y
        for sweep in (1, 2, 3):
            z.backward()
            assert x.grad == 32.0 * sweep and y.grad == 8.0 and z.grad == 1.0

    def test_two_roots_share_leaves(self):
        x = Var(2.0)
        y = x * x
        (y + 1).backward()
        (y * 3).backward()
        assert x.grad == 16.0 and y.grad == 3.0

    def test_zero_grad(self):
        x = Var(2.0)
        y = x * x
        y.backward()
        assert x.has_grad and y.has_grad
        x.zero_grad()
        assert x.grad == 0.0 and not x.has_grad
        y.backward()
        assert x.grad == 4.0

    def test_has_grad_tells_zero_from_never(self):
        x, y = Var(0.0), Var(1.0)
        z = x * y * 0.0
        assert not x.has_grad
        z.backward()
        assert x.has_grad and x.grad == 0.0

    def test_leaf_backward(self):
        x = Var(2.0)
        x.backward(3)
        x.backward()
        assert x.grad == 4.0

    def test_grad_can_be_assigned(self):
        x = Var(2.0)
        x.grad = 5
        (x * 2).backward()
        assert x.grad == 7.0

    def test_freezing_keeps_the_gradient(self):
        x = Var(3.0)
        (x * x).backward()
        x.requires_grad = False
        assert not x.requires_grad and x.has_grad and x.grad == 6.0
        x.requires_grad = False
        assert x.has_grad and not (x * 2.0).requires_grad
        x.requires_grad = True
        (x * x).backward()
        assert x.grad == 12.0
        x.requires_grad = False
        x.zero_grad()
        assert not x.has_grad and not x.requires_grad
        x.grad = 1.0
        assert x.has_grad and not x.requires_grad

    def test_a_label_leaves_a_computed_node_what_it_is(self):
        x = Var(3.0)
        y = 2.0 * x
        z = x.sin()
        s = cr.sum([x, y])
        for node in (y, z, s):
            args, partials = node.args, node.partials
            node.label = "named"
            assert (node.args, node.partials, node.label) == (args, partials, "named")
            node.label = None
            assert (node.args, node.partials, node.label) == (args, partials, None)
        (s * y + z).backward()
        assert x.grad == 12.0 * 3.0 + cr.cos(3.0)


class TestStrongZero:
    def test_the_branch_not_taken_adds_nothing(self):
        x = Var(0.0)
        cr.where(x > 0, cr.sqrt(x), 0.0).backward()
        assert x.grad == 0.0

    def test_in_the_middle_of_a_path(self):
        x = Var(-1.0)
        cr.sqrt(cr.relu(x)).backward()
        assert x.grad == 0.0

    def test_in_reductions(self):
        x, y = Var(0.0), Var(2.0)
        cr.dot([cr.sqrt(x), y], [0.0, 1.0]).backward()
        assert x.grad == 0.0 and y.grad == 1.0


class TestDepth:
    def test_a_million_operations_without_the_collector(self):
        """Built, swept, printed and freed in a separate process; further rounds take no more memory."""
        script = """
import gc, resource, sys
gc.disable()
from chainrule import Var

def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def run():
    x = Var(1.0, label="x")
    y = x
    for _ in range(500_000):
        y = y * 0.999999 + 1e-6
    y.backward()
    assert abs(x.grad - 0.999999**500_000) < 1e-9, x.grad
    return repr(y)

first = run()
assert run() == first
low = memory()
assert run() == run() == run() == first
# One chain takes more than 100 MB.
assert memory() - low < 20_000_000, (memory(), low)
"""
        subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=300)

    def test_copies_of_a_long_chain(self):
        import copy
        import pickle

        x = Var(1.0)
        y = x
        for _ in range(50_000):
            y = y + 1.0
        for twin in (pickle.loads(pickle.dumps(y)), copy.deepcopy(y)):
            twin.backward()
            assert twin.value == 50_001.0

    def test_a_graph_holds_no_reference_cycle(self):
        gc.collect()
        x = Var(1.0)
        y = cr.dot([x.exp(), x], [x, x.sin()]) ** 2
        y.backward()
        del x, y
        assert gc.collect() == 0


class TestAgainstOthers:
    @given(expressions_at_points())
    def test_central_differences(self, drawn):
        expression, point = drawn
        h = 1e-5
        assume(abs(expression(*point)) < 1e3)
        for position, gradient in enumerate(gradients(expression, point)):
            assume(abs(gradient) < 1e3)
            shifted = [[*point[:position], point[position] + s * h, *point[position + 1 :]] for s in (2, 1, -1, -2)]
            a, b, c, d = (expression(*xs) for xs in shifted)
            assert gradient == pytest.approx((8 * (b - c) - (a - d)) / (12 * h), rel=1e-6, abs=1e-6)

    @given(data=st.data())
    def test_torch(self, data):
        torch = pytest.importorskip("torch")
        names = [name for name, row in PRIMITIVES.items() if name in TORCH and row.arity in (1, 2)]
        expression, point = data.draw(expressions_at_points(names, steps=(1, 10)))
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]
        root = expression(*leaves, apply=lambda name, args: TORCH[name](torch)(*args))
        assume(bool(torch.isfinite(root)) and abs(root.item()) < 1e6)
        root.backward()
        theirs = [0.0 if leaf.grad is None else leaf.grad.item() for leaf in leaves]
        assume(all(math.isfinite(g) and abs(g) < 1e6 for g in theirs))
        assert gradients(expression, point) == pytest.approx(theirs, rel=1e-7, abs=1e-7)

    @given(expressions_at_points(), moderate)
    def test_linear_in_the_seed(self, drawn, seed):
        expression, point = drawn
        once = gradients(expression, point)
        assert gradients(expression, point, seed) == pytest.approx([seed * g for g in once], rel=1e-9, abs=1e-12)

    @given(expressions_at_points())
    def test_backward_twice_doubles_leaves(self, drawn):
        expression, point = drawn
        leaves = [Var(x) for x in point]
        root = expression(*leaves)
        root.backward()
        once = [leaf.grad for leaf in leaves]
        root.backward()
        assert [leaf.grad for leaf in leaves] == [2 * g for g in once]

    @given(moderate, moderate)
    def test_sum_and_product_commute(self, x, y):
        for f in (lambda a, b: a + b, lambda a, b: a * b):
            assert f(Var(x), Var(y)).value == f(Var(y), Var(x)).value
            assert gradients(f, [x, y]) == gradients(lambda a, b, f=f: f(b, a), [x, y])

    @given(expressions_at_points(), expressions_at_points(), moderate)
    def test_the_derivative_is_linear(self, first, second, factor):
        (f, xs), (g, ys) = first, second
        point = (xs + ys)[: max(f.inputs, g.inputs)]
        combined = gradients(lambda *v: f(*v[: f.inputs]) * factor + g(*v[: g.inputs]), point)
        df = gradients(f, point[: f.inputs]) + [0.0] * (len(point) - f.inputs)
        dg = gradients(g, point[: g.inputs]) + [0.0] * (len(point) - g.inputs)
        assert combined == pytest.approx([factor * a + b for a, b in zip(df, dg, strict=True)], rel=1e-9, abs=1e-9)


def _module(name):
    return lambda torch: getattr(torch, name)


def _special(name):
    return lambda torch: getattr(torch.special, name)


def _functional(name):
    return lambda torch: getattr(torch.nn.functional, name)


# The rows that torch has, by torch's names; those that saturate or have poles are judged by the table's own tests.
TORCH = {
    **{
        name: _module(name) for name in ("add", "sub", "mul", "neg", "square", "hypot", "sin", "cos", "tanh", "sigmoid")
    },
    **{name: _module(name) for name in ("exp", "atan", "asinh", "sinh", "cosh", "erf", "expm1", "relu", "logaddexp")},
    **{name: _functional(name) for name in ("softplus", "silu", "gelu", "mish", "softsign")},
    "log_sigmoid": _functional("logsigmoid"),
    "normal_cdf": _special("ndtr"),
}
