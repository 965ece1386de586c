"""The core, compiled or interpreted: fast paths are their rows, memory, threads, signals; both forms pass all tests."""

import functools
import gc
import math
import random
import signal
import subprocess
import sys
import threading
import time

import chainrule as cr
import pytest
from chainrule import PRIMITIVES, Var
from chainrule.graph.var import local_partials
from helpers import in_threads, same
from hypothesis import given
from hypothesis import strategies as st

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 1e-300, -1e-300, 1e300, -1e300, 5e-324, 20.0, 40.0, -40.0, 354.0, 709.0]
EDGES += [710.5, -745.5, 1500.0, math.pi / 2, math.inf, -math.inf, math.nan]
FAST = [row for row in PRIMITIVES.values() if row.fast is not None]


def check(row, point):
    """The node made by the fast path has the value and partials of the row, bit for bit."""
    value = row.evaluate(*point)
    expected = local_partials(row, value, point)
    nodes = [row(*[Var(x) for x in point]), getattr(Var(point[0]), row.name)(*[Var(x) for x in point[1:]])]
    for node in nodes:
        assert node.op is row
        assert same(node.value, value), (point, node.value, value)
        assert all(map(same, node.partials, expected)), (point, node.partials, expected)


def test_the_common_rows_have_fast_paths():
    names = {row.name for row in FAST}
    assert names == {"exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "relu", "abs", "maximum", "minimum"}


@pytest.mark.parametrize("row", FAST, ids=lambda row: row.name)
def test_fast_paths_at_edges(row):
    for x in EDGES:
        for y in EDGES if row.arity == 2 else [0.0]:
            check(row, [x, y][: row.arity])


@pytest.mark.parametrize("row", FAST, ids=lambda row: row.name)
@given(point=st.tuples(st.floats(), st.floats()))
def test_fast_paths_anywhere(row, point):
    check(row, list(point[: row.arity]))


@given(xs=st.lists(st.floats(), min_size=1, max_size=6), ys=st.lists(st.floats(), min_size=6, max_size=6))
def test_sum_and_dot(xs, ys):
    for row, point in ((cr.sum, xs), (cr.dot, [*xs, *ys[: len(xs)]])):
        value = row.evaluate(*point)
        node = row.apply(tuple(map(Var, point)))
        assert same(node.value, value)
        assert all(map(same, node.partials, local_partials(row, value, point)))


@pytest.mark.parametrize("constant", [2, 2.0, True, -3, 0, 2**60, 10**30])
def test_integers_as_constants(constant):
    for operation in (
        lambda x, c: x + c,
        lambda x, c: c - x,
        lambda x, c: x * c,
        lambda x, c: c / x,
        lambda x, c: x**c,
    ):
        x, y = Var(1.5), Var(1.5)
        one, other = operation(x, constant), operation(y, float(constant))
        assert one.value == other.value
        assert one.partials == other.partials


def test_core_tells_its_form():
    assert cr.core() in ("compiled", "interpreted")
    assert (cr.core() == "compiled") == (not cr.graph.var.__file__.endswith(".py"))


def test_the_collector_need_not_see_compiled_nodes():
    if cr.core() == "compiled":
        assert not Var.__flags__ & (1 << 14)
    else:
        assert gc.is_tracked(Var(1.0))


def test_a_neuron_is_one_dot_and_an_activation():
    neuron = cr.nn.Neuron(3, activation="tanh", seed=0)
    y = neuron([1.0, 2.0, 3.0])
    assert y.op is cr.tanh
    assert y.parents[0].op is cr.dot
    assert all(parent.is_leaf for parent in y.parents[0].parents)


def run(script, timeout=300):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MEMORY = """
import gc, resource
gc.disable()
import chainrule as cr
from chainrule import Var, nn
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
"""


def test_training_keeps_memory_flat_without_the_collector():
    run(
        MEMORY
        + """
model = nn.MLP(2, [8, 1], seed=1)
optimiser = nn.SGD(model.parameters(), lr=0.1)
def step():
    loss = cr.mean([(model([a, b]) - a * b) ** 2 for a in (0.0, 1.0) for b in (0.0, 1.0)])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
for _ in range(100):
    step()
low = memory()
for _ in range(1000):
    step()
assert memory() - low < 2_000_000, memory() - low
"""
    )


def test_freeing_a_very_long_chain():
    run(
        MEMORY
        + """
import sys
length = 5_000_000 if cr.core() == "compiled" else 500_000
x = Var(1.0)
y = x
for _ in range(length):
    y = y + 1.0
top = memory()
del y
assert memory() < 0.5 * top, (memory(), top)
z = cr.dot([x, x], [x, x])
for _ in range(100_000):
    z = cr.sum([z, x, 1.0])          # n-ary nodes free without recursion too
del z
"""
    )


@pytest.mark.parametrize("keep", [2, 7, 500])
def test_sweeps_are_right_whatever_was_freed_between_the_nodes(keep):
    """Nodes of many lives share the memory; the derivative by x is carried along beside each Var."""
    draw = random.Random(keep)
    x = Var(0.5)
    pool = [(x, 1.0)] * keep
    for step in range(40_000):
        (a, da), (b, db) = draw.choice(pool), draw.choice(pool)
        made = ((a * 0.5 + b * 0.25).sin(), math.cos(0.5 * a.value + 0.25 * b.value) * (0.5 * da + 0.25 * db))
        if step % 100 == 99:
            made = (x, 1.0)  # so that graphs stay small, and old ones die
        pool[draw.randrange(keep)] = made
        if step % 500 == 0:
            root, derivative = draw.choice(pool)
            x.zero_grad()
            root.backward()
            root.backward(-0.5)
            assert x.grad == pytest.approx(0.5 * derivative, rel=1e-9, abs=1e-300)


def test_memory_is_used_again_between_nodes_that_live_on():
    run(
        MEMORY
        + """
x = Var(1.0)
kept = []
def rounds(n):
    for _ in range(n):
        y = x
        for _ in range(1000):
            y = y * 1.0001
        kept.append(y.detach())
        y.backward()
rounds(300)
low = memory()
rounds(1500)
assert memory() - low < 12_000_000, memory() - low
before = x.grad
rounds(1)
assert abs(x.grad - before - 1.0001**1000) < 1e-9
"""
    )


def test_holes_serve_where_memory_ends():
    if cr.core() != "compiled":
        pytest.skip("the memory of nodes is the compiled core's")
    run(
        MEMORY
        + """
x = Var(1.0)
kept = [x * 1.0 for _ in range(200_000)]
keep = [None] * 2_000_000
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
for attempt in range(3):
    resource.setrlimit(resource.RLIMIT_AS, (size + (16 << 20), resource.RLIM_INFINITY))
    count = 0
    try:
        while True:
            keep[count] = x * 2.0
            count += 1
    except MemoryError:
        pass
    assert count > 50_000, count
    for k in range(count):
        if k % 3:
            keep[k] = None
    y = x
    for k in range(count // 4):
        y = y + 1.0
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    y.backward()
    del y
    keep[0].backward()
    assert x.grad == 3.0 * (attempt + 1), x.grad
    for k in range(count):
        keep[k] = None
"""
    )


def test_graphs_computed_in_turns_are_swept_apart():
    """Each sweep passes over the other's nodes, and over 300,000 that belong to neither."""
    x, y = Var(1.0), Var(2.0)
    a, b = x * 1.0, y * 1.0
    for _ in range(1000):
        a, b = a * 1.001, b * 1.002
    others = [x + 1.0 for _ in range(300_000)]
    a, b = a * 1.0, b * a
    a.backward()
    assert x.grad == pytest.approx(1.001**1000, rel=1e-9)
    x.zero_grad()
    b.backward()
    assert x.grad == pytest.approx(2.0 * 1.002**1000 * 1.001**1000, rel=1e-9)
    assert y.grad == pytest.approx(1.002**1000 * 1.001**1000, rel=1e-9)
    assert others[0].grad == 0.0


def test_ten_million_nodes_fit_in_two_gibibytes():
    if cr.core() != "compiled":
        pytest.skip("the bound is the compiled core's")
    run(
        MEMORY
        + """
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
x = Var(1.0)
y = x
for _ in range(10_000_000):
    y = y * 1.0000001
y.backward()
assert abs(x.grad - 1.0000001**10_000_000) < 1e-6
"""
    )


def test_threads_with_graphs_of_their_own():
    def work(seed, results):
        x = Var(0.1 * seed)
        for _ in range(30):
            y = x
            for _ in range(200):
                y = (y * y + x).sin()
            x.zero_grad()
            y.backward()
        results[seed] = (y.value, x.grad)

    together, alone = {}, {}
    in_threads(*[functools.partial(work, seed, together) for seed in (1, 2, 3, 4)])
    for seed in (1, 2, 3, 4):
        work(seed, alone)
    assert together == alone


def test_threads_that_share_leaves_lose_no_update():
    w = Var(1.0)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def work():
            for _ in range(300):
                (w * 2.0 + w).backward()

        in_threads(*[work] * 4)
    finally:
        sys.setswitchinterval(before)
    assert w.grad == 3.0 * 300 * 4


def test_ctrl_c_stops_a_sweep_and_leaves_old_gradients():
    """Many sweeps of a graph, so that the signal is sure to come within one; the leaf holds whole sweeps only."""
    x = Var(1.0)
    y = x
    for _ in range(200_000):
        y = y + 0.0
    main = threading.main_thread().ident
    timer = threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for _ in range(10_000):
            y.backward()
    assert time.monotonic() - started < 30
    assert x.grad == int(x.grad)
    y.backward()
    assert x.grad == int(x.grad) >= 1.0
