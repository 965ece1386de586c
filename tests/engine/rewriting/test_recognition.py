"""Unrolled loops become maps: which are found, that nothing else is, and that no number changes."""

import itertools

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, trace, viz
from chainrule.rewriting import repetition
from chainrule.rewriting.repetition import Repetition
from chainrule.rewriting.rerolling import recognise
from chainrule.rewriting.weighing import size
from helpers import BACKENDS, agree, computing, everything, flat, loops_of, tame
from hypothesis import HealthCheck, given, settings
from strategies import points, written_out

RANDOM = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


def recognised(f, *examples, alone=True):
    return recognise(trace(f, *examples), alone)


def listing(program):
    return [line.strip() for line in str(program).splitlines()]


# ---- random programs ----


@RANDOM
@given(written_out(), points)
def test_random_programs_keep_every_value(eager_recognition, f, point):
    program = trace(f, *point)
    assert flat(recognise(program)(*point)) == flat(program(*point))


def test_steps_that_take_other_parts_of_what_a_group_makes_are_not_of_it(eager_recognition):
    def f(a, b, scales):
        one, two, three = [cr.map(lambda x, s: s * x, [a, b], s) for s in scales]
        columns = [one[0], one[1], one[1]], [two[0], two[0], two[1]], [three[0], three[1], three[0]]
        return cr.map(lambda row: row[0] + 2.0 * row[1] + 4.0 * row[2], columns)

    point = 3.0, 5.0, [1.0, 10.0, 100.0]
    assert recognise(trace(f, *point), alone=True)(*point) == f(*point) == [1263.0, 2065.0, 1305.0]


@pytest.mark.parametrize("backend", BACKENDS)
@RANDOM
@given(f=written_out(), point=points)
def test_random_programs_keep_their_derivatives(eager_recognition, backend, f, point):
    expected = tame(everything(f)(*point))
    agree(cr.compile(everything(f), backend=backend)(*point), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(RANDOM, max_examples=15)
@given(f=written_out(), point=points)
def test_random_programs_in_batches(eager_recognition, backend, f, point):
    rows = [point, [0.5 * x for x in point], [-x for x in point]]
    expected = np.sum([flat(cr.value_and_grad(f, (0, 1, 2))(*row)) for row in rows], 0)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    both = cr.compile(cr.value_and_grad(f, (0, 1, 2)), batch=(0, 1, 2), reduce="sum", backend=backend)
    agree(both(*columns), expected)


@RANDOM
@given(written_out(), points)
def test_every_group_can_be_a_map(eager_recognition, f, point):
    program = trace(cr.grad(f), *point)
    repetition = Repetition(program)
    for group in repetition.groups():
        assert all(len(column) == group.length for column in group.columns)
        for column in group.columns:
            assert len({program.steps[place].op for place in column}) == 1
            for k, place in enumerate(column):
                made = [repetition.maker[value] for value in program.steps[place].args]
                own = [repetition.group_of[m] for m in made if m in repetition.group_of]
                # What comes from the group comes from the same iteration; else from a lower level.
                assert all(iteration == k if other is group else other.level < group.level for other, iteration in own)


# ---- what is found ----


def layer(w, x):
    return [cr.tanh(cr.dot(row[:-1], x) + row[-1]) for row in w]


WEIGHTS = [[0.01 * (j - 2 * k) for j in range(21)] for k in range(30)]
INPUTS = [0.1 * k for k in range(20)]

EXPECTED = """
layer(w: [[number × 21] × 30], x: [number × 20]):
    v1 = map dot_add_tanh × 30 over w[0][0]…w[29][20] with x[0]…x[19]:
        dot_add_tanh(row: [number × 21], shared: [number × 20]):
            v1 = dot(row[0]…row[19], shared[0]…shared[19])
            v2 = v1 + row[20]
            v3 = tanh(v2)
            return v3
    return [v1[0]…v1[29]]
"""


def test_a_layer_is_one_map_over_its_neurons():
    program = recognised(layer, WEIGHTS, INPUTS)
    assert str(program) == EXPECTED.strip()
    assert program(WEIGHTS, INPUTS) == layer(WEIGHTS, INPUTS)


def test_numbers_side_by_side_come_in_one_row(eager_recognition):
    """Of a list, of a matrix by rows or by columns; what iterations have in common, or is apart, comes by itself."""

    def rows_of(f, *examples):
        program = recognised(f, *examples)
        (loop,) = loops_of(program)
        assert flat(program(*examples)) == flat(f(*examples))
        return loop.body.shapes[: loop.rows]

    w = [[0.1 * k - j for k in range(6)] for j in range(20)]
    x = [0.3 * k for k in range(24)]
    assert rows_of(lambda w, x: [cr.tanh(a[0] * a[1] + b) for a, b in zip(w, x, strict=False)], w, x) == ((2,), ())
    assert rows_of(lambda w: [cr.tanh(a[1] * a[3] + a[5]) for a in w], w) == ((3,),)
    assert rows_of(lambda w: [cr.tanh(w[0][k] * w[1][k] + w[2][k]) for k in range(6)], w) == ((3,),)
    assert rows_of(lambda x: [cr.atan2(x[k], x[k + 1]) for k in range(20)], x) == ((), ())

    def of_results(x):
        found = cr.map(lambda a: [cr.sin(a), cr.cos(a), a], x)
        return [cr.exp(s * c - a) for s, c, a in found]

    program = recognised(of_results, x)
    _, second = loops_of(program)
    assert second.length == 24 and program(x) == pytest.approx(of_results(x), rel=1e-15)


def test_iterations_that_take_other_results_of_a_loop_are_no_group_with_it(eager_recognition):
    def chosen(x, a, b):
        rows = [cr.map(lambda v, s: v * s, [a, b], item) for item in x]
        return [cr.sin(row[k % 2]) for k, row in enumerate(rows)]

    def all_of(x, a, b):
        rows = [cr.map(lambda v, s: v * s, [a, b], item) for item in x]
        return [cr.sin(row[0]) * row[1] for row in rows]

    for f, together in ((chosen, False), (all_of, True)):
        program = recognised(f, [0.1, 0.2, 0.3, 0.4], 2.0, 3.0)
        assert flat(program([0.1, 0.2, 0.3, 0.4], 2.0, 3.0)) == flat(f([0.1, 0.2, 0.3, 0.4], 2.0, 3.0))
        assert (len(computing(program)) == 1) is together


def test_sums_of_products_written_by_hand_are_a_layer():
    def by_hand(w, x):
        return [cr.tanh(sum((a * b for a, b in zip(row, x, strict=False)), row[-1])) for row in w]

    program = recognised(by_hand, WEIGHTS, INPUTS)
    assert [(op.kind, op.length, op.rows, op.shared) for op in loops_of(program)] == [("map", 30, 1, 20)]
    assert loops_of(program)[0].argument_shapes[0] == (30, 21)
    assert len(computing(program)) == 1


def test_an_mlp_is_a_map_for_each_layer():
    model = nn.MLP(20, [24, 16, 1], seed=0)
    values = [p.value for p in model.parameters()]
    program = recognised(lambda w, x: model.with_parameters(w)(x), values, INPUTS)
    assert [op.name for op in computing(program)] == ["map", "map", "dot"]
    assert [op.length for op in loops_of(program)] == [24, 16]
    assert program(values, INPUTS) == pytest.approx(model(INPUTS).value, rel=1e-14)


def test_the_gates_of_an_lstm_cell_are_maps_and_so_is_its_state():
    def cell(w, h, c, x):
        z, n = [*h, x, 1.0], len(h)
        g = [cr.dot(row, z) for row in w]
        i, f, o = ([cr.sigmoid(v) for v in g[k * n : (k + 1) * n]] for k in range(3))
        c = [a * b + d * cr.tanh(e) for a, b, d, e in zip(f, c, i, g[3 * n :], strict=True)]
        return [a * cr.tanh(b) for a, b in zip(o, c, strict=True)], c

    n = 10
    program = recognised(cell, [[0.0] * (n + 2)] * (4 * n), [0.0] * n, [0.0] * n, 0.0)
    loops = computing(program)
    assert [(op.kind, op.length, op.stacked) for op in loops] == [("map", 40, 1), ("map", 10, 2)]
    assert len(computing(loops[1].body)) == 9


def test_a_model_over_samples_is_a_map_of_maps():
    def loss(w, samples):
        return cr.sum([cr.square(cr.sum(layer(w, x))) for x in samples])

    program = recognised(loss, WEIGHTS, [INPUTS] * 7)
    assert len(computing(program)) == 1
    outer, inner = loops_of(program)
    assert (outer.length, outer.sums, inner.length, inner.sums) == (7, 1, 30, 1)
    assert [op.name for op in program.rows()] == ["dot", "add", "tanh", "square"]


def test_the_derivative_of_what_is_recognised_is_loops():
    def loss(w, x):
        return cr.sum(layer(w, x))

    compiled = cr.compile(cr.value_and_grad(loss, (0, 1)), backend="python")
    agree(compiled(WEIGHTS, INPUTS), cr.value_and_grad(loss, (0, 1))(WEIGHTS, INPUTS))
    names = [op.body.name for op in loops_of(compiled.program)]
    assert names == ["reverse dot_add_tanh"]  # the value's map is fused with it
    assert len(computing(compiled.program)) < 10


@pytest.mark.parametrize("batch", [(), "x"])
def test_a_wide_mlp_compiles_as_loops(batch):
    model = nn.MLP(40, [160, 64, 1], seed=1)
    values = [p.value for p in model.parameters()]

    def loss(w, x):
        return cr.square(model.with_parameters(w)(x) - 0.5)

    both = cr.value_and_grad(loss)
    x = np.array([INPUTS + INPUTS, INPUTS[::-1] + INPUTS])
    compiled = cr.compile(both, batch=batch, reduce="sum" if batch else None)
    expected = [np.array(flat(both(values, list(row)))) for row in x]
    agree(compiled(np.array(values), x if batch else x[0]), sum(expected) if batch else expected[0])
    # The last neuron's products stand one by one; without loops there would be 16,900.
    assert len(computing(compiled.program)) < 150


# ---- what is not ----


def test_what_a_map_gives_is_alike_from_iteration_to_iteration():
    """The gradient of a chain is as long as its code, not as long as the chain: adjoints come from a map, too."""

    def chain(x):
        return cr.sum([100.0 * (after - x**2) ** 2 + (1.0 - x) ** 2 for x, after in itertools.pairwise(x)])

    lengths = {}
    for count in (600, 900):
        gradient = cr.compile(cr.grad(chain), backend="python")
        point = [0.5 + k / count for k in range(count)]
        assert gradient(point) == pytest.approx(cr.grad(chain)(point), rel=1e-12)
        lengths[count] = len(computing(gradient.program))
    assert lengths[600] == lengths[900] < 20


def test_short_programs_stay_as_they_are():
    program = trace(layer, [row[:4] for row in WEIGHTS[:5]], INPUTS[:3])
    assert recognise(program, alone=True) is program
    long = trace(layer, WEIGHTS, INPUTS)
    assert recognise(long) is long  # with a batch, longer ones do


@pytest.mark.parametrize(
    "f",
    [
        lambda xs: [(cr.sin, cr.cos, cr.tanh, cr.exp, cr.atan)[k % 5](x) for k, x in enumerate(xs[:15])],
        lambda xs: [x ** (2.0 + k) for k, x in enumerate(xs)],  # which power chooses the code
        lambda xs: [cr.sum(xs[:k]) for k in range(2, 40)],
    ],
)
def test_what_differs_is_not_alike(eager_recognition, monkeypatch, f):
    monkeypatch.setattr(repetition, "LEAST", 4)
    program = trace(f, [0.5] * 40)
    assert recognise(program) is program


def test_what_would_have_to_be_packed_stays_as_it_is():
    def smoothed(xs):
        for _ in range(9):
            left, right = [*xs[7:], *xs[:7]], [*xs[-3:], *xs[:-3]]
            xs = [x + 0.5 * (a - b) for x, a, b in zip(xs, left, right, strict=True)]
        return xs

    def waves(xs):
        return [cr.exp(-cr.square(x - y)) for k, x in enumerate(xs) for y in xs[:k]]

    xs = [0.01 * k for k in range(80)]
    plain = trace(smoothed, xs)
    assert recognise(plain, alone=True) is plain
    # An exponential is worth it.
    program = recognised(waves, xs)
    assert [op.length for op in loops_of(program)] == [80 * 79 // 2]
    assert program(xs) == waves(xs)


def test_steps_of_a_recurrence_are_not_a_map(eager_recognition):
    def f(x, ys):
        for y in ys:
            x = cr.sin(x * y)
        return x

    assert recognised(f, 0.3, [1.0] * 20) == trace(f, 0.3, [1.0] * 20)


def test_an_iteration_takes_nothing_of_another(eager_recognition):
    """Shares of a whole wait for the whole: two maps and a step between them, not one map."""

    def shares(xs):
        powers = [cr.exp(x) for x in xs]
        total = cr.tanh(cr.sum(powers))
        return [power / total for power in powers]

    program = recognised(shares, [0.1 * k for k in range(9)])
    assert [op.name for op in computing(program)] == ["map", "sum", "tanh", "map"]


def test_what_the_neighbour_gives_keeps_steps_apart(eager_recognition):
    def differences(xs):
        squares = [cr.square(x) for x in xs]
        return [a - b for a, b in zip(squares, [*squares[1:], squares[0]], strict=True)]

    program = recognised(differences, INPUTS)
    assert [op.length for op in loops_of(program)] == [20, 20]
    assert program(INPUTS) == differences(INPUTS)


# ---- drawn ----


def test_a_loop_is_one_box_and_what_it_runs_is_drawn_as_a_program():
    program = recognised(layer, WEIGHTS, INPUTS)
    whole, body = viz.draw(program).source, viz.draw(loops_of(program)[0].body).source
    assert "map dot_add_tanh × 30" in whole
    assert whole.count("tooltip=tanh") == 0 and body.count("tooltip=tanh") == 1


def test_numbers_at_equal_distances_along_each_axis_are_not_packed_one_by_one():
    def sizes(step):
        def f(xs):
            rows = [[xs[(8 * i + j) * step % 32] for j in range(4)] for i in range(4)]
            return cr.map(lambda row: cr.dot(row, row), rows, reduce="sum")

        return size(trace(f, [0.5] * 32))

    assert sizes(1) == 8 < sizes(5)
