"""checkpoint(): the same numbers, fewer nodes, derivatives of every order, closures included."""

import copy
import subprocess
import sys

import chainrule as cr
import pytest
from chainrule import Var, checkpoint, grad, jvp, taylor


def f(x, y):
    for _ in range(3):
        x = cr.sin(x * y) + x
    return x


def test_same_values_and_derivatives():
    g = checkpoint(f)
    assert g(0.5, 2.0) == f(0.5, 2.0)
    assert type(g(0.5, 2.0)) is float
    args = (0.5, 2.0)
    assert grad(g, argnums=(0, 1))(*args) == pytest.approx(grad(f, argnums=(0, 1))(*args), rel=1e-14)
    assert jvp(g, args, (1.0, 2.0)) == pytest.approx(jvp(f, args, (1.0, 2.0)), rel=1e-14)
    for order in (2, 3):
        high, plain = (lambda x: g(x, 2.0)), (lambda x: f(x, 2.0))
        for _ in range(order):
            high, plain = grad(high), grad(plain)
        assert high(0.5) == pytest.approx(plain(0.5), rel=1e-12)
    assert taylor(lambda x: g(x, 2.0), 0.5, 6) == pytest.approx(taylor(lambda x: f(x, 2.0), 0.5, 6), rel=1e-12)


def test_one_node_for_each_result():
    @checkpoint
    def two(p, x):
        return {"a": p["w"] * x, "b": [cr.exp(x)]}

    w, x = Var(3.0), Var(2.0)
    result = two({"w": w}, x)
    assert result["a"].parents == (w, x)
    assert result["b"][0].parents == (w, x)
    (result["a"] + result["b"][0]).backward()
    assert (w.grad, x.grad) == (2.0, 3.0 + cr.exp(2.0))


def test_closures_count():
    w = Var(3.0)
    y = checkpoint(lambda x: w * x * x)(Var(2.0))
    y.backward()
    assert w.grad == 4.0
    slope = grad(checkpoint(lambda x: w * x * x))(2.0)
    w.zero_grad()
    slope.backward()
    assert w.grad == 4.0


def test_closures_over_computed_vars():
    w = Var(3.0)
    w2 = w * w
    y = checkpoint(lambda x: w2 * x)(Var(2.0))
    y.backward()
    assert w.grad == 12.0
    assert w2.grad == 2.0  # as without checkpoint


def test_without_recording():
    with cr.no_grad():
        y = checkpoint(f)(Var(0.5), Var(2.0))
    assert not y.requires_grad
    assert y.value == f(0.5, 2.0)


def test_constants_and_stopped_results():
    assert checkpoint(lambda x: 3.0)(Var(1.0)) == 3.0
    assert grad(lambda x: x * checkpoint(cr.stop_gradient)(x))(2.0) == 2.0


def test_results_of_constants_alone():
    """What depends on no argument and on nothing outside is a constant; a Var that the function made is that Var."""
    x = Var(3.0)
    for f in (lambda t: t * Var(2.0), lambda t: t * copy.deepcopy(Var(2.0)), lambda t: Var(2.0) * Var(2.0)):
        found = cr.checkpoint(f)(2.0)
        assert (found.value, found.requires_grad) == (4.0, False)
    assert cr.checkpoint(lambda s, t: s * t * Var(2.0))(2.0, 1.0).value == 4.0
    copied = cr.checkpoint(lambda t: t * copy.deepcopy(x))(2.0)
    assert (copied.value, copied.requires_grad) == (6.0, False)
    made = cr.checkpoint(lambda: Var(2.0, "made"))()
    assert made.is_leaf and made.requires_grad and made.label == "made"
    found = cr.checkpoint(lambda t: [t, t * Var(2.0), 1.0, x])(x)
    cr.sum(found).backward()
    assert ([float(getattr(y, "value", y)) for y in found], x.grad) == ([3.0, 6.0, 1.0, 3.0], 4.0)
    assert grad(lambda y: cr.checkpoint(lambda: Var(2.0))() * y)(3.0) == 2.0


def test_memory_of_a_long_loop_drops():
    """A loop of 1,000,000 steps in calls of 1,000: the peak is that of one call, not of the loop."""
    script = """
import sys
import chainrule as cr
def peak():
    "The greatest resident memory of this process so far, in kB."
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
def steps(x, n=1000):
    for _ in range(n):
        x = x * 0.99999 + 1e-6
    return x
step = cr.checkpoint(steps) if sys.argv[1] == "checkpoint" else steps
step(cr.Var(1.0)).backward()  # what one call needs, and the modules that it loads
low = peak()
x = cr.Var(1.0)
y = x
for _ in range(1000):
    y = step(y)
y.backward()
print(peak() - low, x.grad)
"""
    peaks = {}
    for how in ("plain", "checkpoint"):
        run = subprocess.run([sys.executable, "-c", script, how], check=True, capture_output=True, text=True)
        grown, gradient = run.stdout.split()
        peaks[how] = int(grown)
        assert float(gradient) == pytest.approx(0.99999**1_000_000, rel=1e-9)
    assert peaks["checkpoint"] < peaks["plain"] / 10
