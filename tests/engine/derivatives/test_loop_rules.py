"""What a loop keeps for its derivative in reverse, and what that computes again."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import trace
from chainrule.programs import Loop, size_of
from helpers import loops_of


def test_checkpoint_keeps_about_the_square_root_of_the_carries():
    def f(w, xs, levels):
        return cr.scan(lambda c, x: (cr.tanh(w * c + x), None), 0.0, xs, checkpoint=levels)[0]

    xs = [0.1 * math.sin(k) for k in range(400)]
    stored, found = [], []
    for levels in (0, 1, 2):
        program = trace(cr.grad(lambda w, xs, levels=levels: f(w, xs, levels)), 0.5, xs)
        stored.append(max(sum(map(size_of, op.shapes)) for op in loops_of(program)))
        found.append(program(0.5, xs))
    assert stored[0] >= 400 and stored[1] <= 45 and stored[2] < stored[0] / 2
    assert found[1] == pytest.approx(found[0], rel=1e-13) and found[2] == pytest.approx(found[0], rel=1e-13)


def test_what_inner_loops_compute_is_kept_while_that_is_not_much():
    def cell(c, x, w):
        sums = cr.map(lambda row, c: cr.dot(row, c), w, c)
        return list(cr.map(lambda s, x: cr.tanh(s + x), sums, x)), None

    def f(w, xs):
        return cr.sum(cr.scan(cell, [0.1] * 16, xs, w)[0])

    def rows(steps):
        program = trace(cr.grad(f), np.full((16, 16), 0.1), np.full(steps, 0.5))
        loop = [op for op, _ in program.steps if isinstance(op, Loop)][-1]
        return sum(map(size_of, loop.body.shapes[loop.carry : loop.carry + loop.rows]))

    # Beside the 16 carried numbers and the item, the sums.
    assert rows(10) == 16 + 1 + 16
    assert rows(4_000_000 // 16 + 1) == 16 + 1
    args = (np.full((16, 16), 0.1) + np.eye(16), [0.5, -0.2, 0.1])
    found, expected = trace(cr.grad(f), *args)(*args), cr.grad(f)(*args)
    np.testing.assert_allclose(np.array(found, float), expected, 1e-11, 1e-12)


@pytest.mark.parametrize(("function", "kept"), [(lambda v: cr.exp(cr.tanh(cr.sigmoid(v))), 16), (lambda v: v * v, 0)])
def test_functions_of_numbers_are_kept_where_they_are_put_into_an_array(function, kept):
    def cell(c, x, w):
        h = cr.map(function, c)
        return (w @ np.array([*h, x], dtype=object))[:16], None

    def f(w, xs):
        return cr.sum(cr.scan(cell, np.full(16, 0.1), xs, w)[0])

    args = np.full((20, 17), 0.05), np.linspace(0.0, 1.0, 5)
    program = trace(cr.grad(f), *args)
    loop = next(op for op in loops_of(program) if op.kind == "scan" and op.backwards)
    carried_and_item = 16 + 1
    assert sum(map(size_of, loop.body.shapes[loop.carry : loop.carry + loop.rows])) == carried_and_item + kept
    np.testing.assert_allclose(program(*args), cr.grad(f)(*args), 1e-11, 1e-12)


def test_what_inner_loops_compute_is_kept_where_parts_of_it_are_used():
    def cell(c, x, w):
        sums = cr.map(lambda row, c: cr.dot(row, c), w, c)
        return [cr.tanh(a) * cr.sigmoid(b) + x for a, b in zip(sums[:16], sums[16:], strict=True)], None

    def f(w, xs):
        return cr.sum(cr.scan(cell, [0.1] * 16, xs, w)[0])

    w, xs = np.random.default_rng(0).normal(size=(32, 16)), [0.5, -0.2, 0.1]
    program = trace(cr.grad(f), w, xs)
    loop = [op for op, _ in program.steps if isinstance(op, Loop)][-1]
    assert sum(map(size_of, loop.body.shapes[loop.carry : loop.carry + loop.rows])) == 16 + 32
    np.testing.assert_allclose(np.array(program(w, xs), float), cr.grad(f)(w, xs), 1e-11, 1e-12)


def test_functions_that_a_loop_stacks_are_not_computed_again():
    def row(xs):
        powers = cr.map(cr.exp, xs)
        return cr.scan(lambda total, power: (total + power * total, None), 1.0, powers)[0] * powers[0]

    def f(rows):
        return cr.map(row, rows, reduce="sum")

    rows = np.linspace(-1.0, 1.0, 600).reshape(2, 300)
    program = trace(cr.grad(f), rows)
    assert str(program).count("map exp") == 1
    powers = np.exp(rows)
    total = np.prod(1.0 + powers, axis=1, keepdims=True)
    expected = total * powers[:, :1] * powers / (1.0 + powers)
    expected[:, 0] += total[:, 0] * powers[:, 0]
    np.testing.assert_allclose(np.array(program(rows), float), expected, 1e-11)
