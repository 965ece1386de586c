"""Iterations of a map that run as one: the same numbers in the same places."""

import itertools

import chainrule as cr
import numpy as np
import pytest
from helpers import flat, loops_of
from hypothesis import given
from hypothesis import strategies as st
from strategies import moderate, nests

pytest.importorskip("llvmlite")
from chainrule.backends.llvm.loops.blocking import blocked
from chainrule.programs import size_of


def map_of(body, length):
    """Trace a map whose body returns its own number, one of two rows, one that is summed, and a shared one."""
    reverse = cr.grad(lambda rows, shared: cr.sum(cr.map(body, rows, shared)), (0, 1))
    program = cr.trace(reverse, [[1.0] * 3] * length, [0.5] * 4)
    return max((loop for loop, _ in program.steps if hasattr(loop, "body")), key=lambda loop: loop.sums)


@given(nests(depth=0), st.integers(1, 7), st.integers(1, 4), st.lists(moderate, min_size=60, max_size=60))
def test_blocks_compute_the_same(nest, length, most, numbers):
    loop = map_of(lambda row, shared: nest(row[0], row[1], shared[2]) * cr.dot([*row, row[0]], shared), length)
    found = blocked(loop, most, 32)
    assert (found.arity, found.results, found.sums) == (loop.arity, loop.results, loop.sums)
    assert length % found.length == 0
    assert loop.length // found.length == max(k for k in range(1, most + 1) if length % k == 0)
    endless = itertools.cycle(numbers)
    args = [[*itertools.islice(endless, size_of(shape))] if shape else next(endless) for shape in loop.argument_shapes]
    expected, own = loop.unroll(args), found.unroll(args)
    end = loop.stacked
    assert own[:end] == expected[:end], "what is stacked is not even rounded in another way"
    assert [*flat(own[end:])] == pytest.approx([*flat(expected[end:])], rel=1e-12, abs=1e-12)


def test_what_cannot_be_blocked_stays():
    few = cr.trace(lambda xs, s: cr.map(lambda x, s: x * s, xs, s), [1.0] * 4, 2.0)
    scan = cr.trace(lambda xs, s: cr.scan(lambda c, x, s: (c * x + s[0], c), 1.0, xs, s)[1], [1.0] * 4, [2.0] * 8)
    outer = cr.trace(
        lambda xs, s: cr.map(lambda x, s: cr.scan(lambda c, y: (c * y + x, c), x, s)[0], xs, s), [1.0] * 4, [2.0] * 8
    )
    for program in (few, scan, outer):
        loop = next(op for op, _ in program.steps if op.name in ("map", "scan"))
        assert blocked(loop, 2, 32) is loop


@pytest.mark.parametrize(("terms", "together"), [(1, 8), (5, 4)])
def test_only_a_few_iterations_of_long_bodies_run_as_one(terms, together):
    def row(x, s):
        found = [x * number for number in s]
        for _ in range(1, terms):
            found = [cr.sin(number) * x for number in found]
        return found

    program = cr.trace(lambda xs, s: cr.map(row, xs, s), [1.0] * 16, [2.0] * 4)
    loop = next(op for op, _ in program.steps if op.name == "map")
    assert blocked(loop, 16, 32).length == 16 // together


@pytest.mark.parametrize("length", range(1, 10))
def test_layers_of_any_width_in_a_batch(length):
    draw = np.random.default_rng(length)
    w, v, x = draw.normal(size=(length, 6)), draw.normal(size=length), draw.normal(size=(21, 5))

    def loss(w, v, x):
        return cr.dot(v, cr.map(lambda row, x: cr.tanh(cr.dot(row[:-1], x) + row[-1]), w, x))

    both = cr.value_and_grad(loss, (0, 1, 2))
    for reduce in (None, "sum"):
        options = {"batch": "x" if reduce is None else ("x",), "reduce": reduce}
        one, other = (cr.compile(both, backend=backend, **options)(w, v, x) for backend in ("llvm", "python"))
        assert loops_of(cr.trace(both, w, v, x[0]))
        for a, b in zip(*(flat(found) for found in (one, other)), strict=True):
            assert a == pytest.approx(b, rel=1e-12, abs=1e-13)
