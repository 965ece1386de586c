"""The order of steps and the values in registers: what may come first, what stays, and that results do not change."""

import itertools

import chainrule as cr
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import frame
from chainrule.backends.llvm.straight.ordering import Schedule
from chainrule.backends.llvm.straight.registers import Registers


@st.composite
def programs(draw):
    """Draw steps that take inputs (0 to 4) and earlier steps, a few of them functions that are called."""
    taken, heavy = [], []
    for step in range(draw(st.integers(1, 60))):
        taken.append(draw(st.lists(st.integers(0, 4 + step), min_size=1, max_size=3)))
        heavy.append(draw(st.integers(0, 9)) == 0)
    return [5 + step for step in range(len(taken))], taken, heavy


@given(programs(), st.integers(3, 30), st.sets(st.integers(0, 64)))
def test_every_step_comes_once_and_after_what_it_takes(program, room, stored):
    made, taken, heavy = program
    order = Schedule(made, taken, heavy, room, lambda value: value < 5 or value in stored).order()
    assert sorted(order) == list(range(len(made)))
    place = {made[step]: position for position, step in enumerate(order)}
    for position, step in enumerate(order):
        assert all(place[value] < position for value in taken[step] if value >= 5)


def fetches(taken, room):
    """Count the loads into registers under the best choice of what stays."""
    registers, held, count = Registers(room, taken, []), set(), 0
    for position, values in enumerate(taken):
        count += len(set(values) - held)
        held.update(values)
        held -= set(registers.hold(values, position))
        held -= set(registers.surplus())
        assert len(held) <= room
    return count


def test_a_layer_fetches_each_number_for_several_sums_at_once():
    """Eight sums of sixteen products: numbers 0 to 15 of the layer before serve all sums in turn."""
    made, taken = [], []
    for _ in range(8):
        for k in range(16):
            taken.append([k] if not k else [k, made[-1]])
            made.append(16 + len(made))
    order = Schedule(made, taken, [False] * len(made), 10, lambda value: value < 16).order()
    numbers = [[value for value in taken[step] if value < 16] for step in order]
    assert fetches(numbers, 2) == 16
    assert fetches([[value for value in values if value < 16] for values in taken], 2) > 100


def test_what_is_needed_soonest_stays():
    registers = Registers(2, [[1], [2], [3], [1], [2], [3]], late=[4])
    assert registers.hold([1], 0) == [] and registers.surplus() == []
    assert registers.hold([2], 1) == []
    assert registers.hold([3], 2) == [] and registers.surplus() == [3]
    assert registers.hold([1], 3) == [1]
    assert sorted(registers.clear()) == [2]


@pytest.mark.parametrize("groups", [1, 3, 8])
@pytest.mark.parametrize("n", [0, 21, 333])
def test_a_network_of_many_segments_computes_what_numpy_does(n, groups, monkeypatch):
    """With 333 samples groups of them go through each segment together."""
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    monkeypatch.setattr(frame, "_GROUPS", groups)
    sizes = [3, 24, 24, 1]
    rng = np.random.default_rng(0)
    p = rng.normal(size=sum((a + 1) * b for a, b in itertools.pairwise(sizes))) / 5
    x, y = rng.normal(size=(n or 1, 3)), rng.normal(size=n or 1)

    def loss(p, x, y):
        start = 0
        for inputs, outputs in itertools.pairwise(sizes):
            following = []
            for _ in range(outputs):
                following.append(cr.tanh(cr.dot(p[start : start + inputs], x) + p[start + inputs]))
                start += inputs + 1
            x = following
        return cr.square(x[0] - y)

    def by_hand(p, x, y):
        values, blocks, start = [x], [], 0
        for inputs, outputs in itertools.pairwise(sizes):
            block = p[start : start + (inputs + 1) * outputs].reshape(outputs, inputs + 1)
            blocks.append(block)
            values.append(np.tanh(values[-1] @ block[:, :-1].T + block[:, -1]))
            start += (inputs + 1) * outputs
        g, slopes = (2 * (values[-1][:, 0] - y) / len(y))[:, None], []
        for block, before, after in zip(blocks[::-1], values[-2::-1], values[:0:-1], strict=True):
            g = g * (1 - after**2)
            slopes.append(np.column_stack([g.T @ before, g.sum(0)]).ravel())
            g = g @ block[:, :-1]
        return np.mean((values[-1][:, 0] - y) ** 2), np.concatenate(slopes[::-1])

    batch, reduce = (("x", "y"), "mean") if n else ((), None)
    f = cr.compile(cr.value_and_grad(loss), batch=batch, reduce=reduce, backend="llvm")
    value, slope = f(p, x, y) if n else f(p, x[0], float(y[0]))
    right, slopes = by_hand(p, x, y)
    assert value == pytest.approx(right, rel=1e-12)
    np.testing.assert_allclose(slope, slopes, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("threads", [1, 2])
def test_results_of_each_sample_come_from_blocks_too(threads, monkeypatch):
    def f(x, w):
        kept = []
        for k in range(3300):
            x = cr.fma(x, w, 0.1 * (k % 3))
            kept.append(x)
        return [x, kept[::700]]

    xs = np.linspace(-1.0, 1.0, 203)
    compiled = cr.compile(f, batch="x", backend="llvm", threads=threads)
    last, kept = compiled(xs, 0.9)
    assert len(compiled.program) > 3000
    # Some of the first block, one of each vector after it, and all of the tail: each takes 3,300 exact operations.
    for place in (*range(3), *range(6, 192, 17), *range(192, 203)):
        right, parts = f(float(xs[place]), 0.9)
        assert last[place] == right and [part[place] for part in kept] == parts
