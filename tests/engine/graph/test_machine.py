"""A state machine that builds, shares, drops, mutates and sweeps, compared at every step with a naive engine."""

import math

import chainrule as cr
import pytest
from chainrule import Var
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from strategies import moderate

# Value and partials by hand, apart from the table.
OPERATIONS = {
    "add": (lambda x, y: x + y, lambda x, y: (1.0, 1.0)),
    "sub": (lambda x, y: x - y, lambda x, y: (1.0, -1.0)),
    "mul": (lambda x, y: x * y, lambda x, y: (y, x)),
    "sin": (math.sin, lambda x: (math.cos(x),)),
    "tanh": (math.tanh, lambda x: (1 - math.tanh(x) ** 2,)),
    "square": (lambda x: x * x, lambda x: (2 * x,)),
    "relu": (lambda x: max(x, 0.0), lambda x: (1.0 if x > 0 else 0.0,)),
    "maximum": (max, lambda x, y: (0.5, 0.5) if x == y else ((1.0, 0.0) if x > y else (0.0, 1.0))),
}


class Naive:
    """A node of the naive engine: the derivative by a leaf is the sum over paths, found by recursion."""

    def __init__(self, value, parents=(), partials=()):
        self.value, self.parents, self.partials = value, parents, partials
        self.grad = 0.0

    def by(self, node):
        if self is node:
            return 1.0
        return sum(d * parent.by(node) for parent, d in zip(self.parents, self.partials, strict=True))

    def leaves(self):
        if not self.parents:
            return {self}
        return set().union(*(parent.leaves() for parent in self.parents))


class Engine(RuleBasedStateMachine):
    """Pairs of a Var and its naive twin; every rule does the same to both."""

    nodes = Bundle("nodes")
    leaves = Bundle("leaves")

    @initialize(target=leaves, value=moderate)
    def start(self, value):
        self.pairs = []
        return self.keep((Var(value), Naive(value)))

    def keep(self, pair):
        self.pairs.append(pair)
        return pair

    @rule(target=leaves, value=moderate)
    def new_leaf(self, value):
        return self.keep((Var(value), Naive(value)))

    @rule(target=nodes, name=st.sampled_from(sorted(OPERATIONS)), a=nodes | leaves, b=nodes | leaves)
    def operate(self, name, a, b):
        pairs = (a, b)[: cr.PRIMITIVES[name].arity]
        evaluate, partials = OPERATIONS[name]
        values = [naive.value for _, naive in pairs]
        naive = Naive(evaluate(*values), tuple(naive for _, naive in pairs), partials(*values))
        if abs(naive.value) > 1e6:
            return a
        return self.keep((cr.PRIMITIVES[name](*[var for var, _ in pairs]), naive))

    @rule(target=nodes, a=nodes | leaves, constant=moderate)
    def with_a_constant(self, a, constant):
        var, naive = a
        return self.keep((constant * var + constant, Naive(constant * naive.value + constant, (naive,), (constant,))))

    @rule(target=nodes, a=nodes | leaves, b=nodes | leaves)
    def in_a_reduction(self, a, b):
        (x, p), (y, q) = a, b
        if abs(p.value) > 1e3 or abs(q.value) > 1e3:
            return a
        naive = Naive(p.value * q.value + 2 * p.value, (p, q, p), (q.value, p.value, 2.0))
        return self.keep((cr.dot([x, 2.0], [y, x]), naive))

    @rule(root=nodes | leaves, seed=moderate)
    def sweep(self, root, seed):
        var, naive = root
        var.backward(seed)
        for leaf in naive.leaves():
            leaf.grad += seed * naive.by(leaf)

    @rule(leaf=leaves, value=moderate)
    def assign(self, leaf, value):
        """The naive twin keeps the partials that it stored, as recorded graphs must."""
        var, naive = leaf
        var.value = value
        naive.value = value

    @rule(leaf=leaves)
    def zero(self, leaf):
        var, naive = leaf
        var.zero_grad()
        naive.grad = 0.0

    @rule(node=consumes(nodes))
    def drop(self, node):
        """Nodes above it keep what they need; the rest is freed."""
        self.pairs = [pair for pair in self.pairs if pair is not node]

    @invariant()
    def values_and_gradients_agree(self):
        for var, naive in getattr(self, "pairs", ()):
            assert var.value == pytest.approx(naive.value, rel=1e-12, abs=1e-12)
            if var.is_leaf:
                assert var.grad == pytest.approx(naive.grad, rel=1e-9, abs=1e-6)

    def teardown(self):
        self.pairs = []


TestEngine = Engine.TestCase
TestEngine.settings = settings(
    max_examples=60, stateful_step_count=25, suppress_health_check=[HealthCheck.filter_too_much]
)


def test_the_machine_notices_a_wrong_engine():
    """A sweep that forgot that leaves accumulate would not pass."""
    machine = Engine()
    leaf = machine.start(2.0)
    machine.sweep(leaf, 1.0)
    leaf[0].zero_grad()
    with pytest.raises(AssertionError):
        machine.values_and_gradients_agree()
