"""What an earlier map computed is read by later ones, and long parts that overlap are added by maps."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import Loop, Place
from chainrule.rewriting import prepared

rng = np.random.default_rng(4)
x = rng.normal(size=9_001)


def count(program, name):
    """Count the steps of a name in the maps of a program."""
    return sum(own.name == name for op, _ in program.steps if isinstance(op, Loop) for own, _ in op.body.steps)


def three_passes(x):
    powers = np.exp(np.sin(x))
    total = np.sum(powers)
    shares = powers / total
    return np.sum(shares * np.log(total)) + np.sum(np.exp(np.sin(x)) * shares)


def test_an_exponential_is_computed_once():
    assert count(prepared(cr.trace(cr.value_and_grad(cr.logsumexp), x), [False]), "exp") == 1
    assert count(prepared(cr.trace(cr.value_and_grad(cr.logsumexp), x), [True]), "exp") == 2


def test_three_maps_read_what_the_first_computed():
    program = prepared(cr.trace(three_passes, x), [False])
    assert count(program, "sin") == 1
    assert program(x) == pytest.approx(three_passes(x), rel=1e-14)


@pytest.mark.parametrize("f", [cr.logsumexp, three_passes, lambda x: np.sum(cr.softmax(x) * x)])
@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
def test_values_and_gradients_stay(f, backend):
    value, gradient = cr.compile(cr.value_and_grad(f), backend=backend)(x)
    e = 1e-6 * np.cos(np.arange(len(x)))
    assert value == pytest.approx(float(f(x)), rel=1e-13)
    assert gradient @ e == pytest.approx((f(x + e) - f(x - e)) / 2, rel=1e-5)


def test_maps_of_other_lengths_and_rows_share_nothing():
    program = prepared(cr.trace(lambda x: (np.sum(np.exp(x[1:])), np.exp(x[:-1]), np.exp(x[1:500])), x), [False])
    assert count(program, "exp") == 3


SUMS = {
    "two": lambda x: np.sum((x[1:] - x[:-1]) ** 2),
    "three": lambda x: np.sum(x[2:] * x[1:-1] * x[:-2]),
    "gap": lambda x: np.sum(x[:5_000] ** 3) + np.sum(x[4_990:8_000] ** 2 * x[:3_010]),
    "the same twice": lambda x: np.sum(np.sin(x) * x[::-1]),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
def test_parts_that_overlap_are_added(name, backend):
    f = SUMS[name]
    program = prepared(cr.trace(cr.grad(f), x), [False])
    for op, _ in program.steps:
        if isinstance(op, Place) and all(part.is_contiguous for part in op.parts):
            assert sum(int(np.prod(part.shape)) for part in op.parts) <= len(x)
    gradient = cr.compile(cr.grad(f), backend=backend)(x)
    small = x[:40]
    if name != "gap":
        np.testing.assert_allclose(cr.grad(f)(small), [_slope(f, small, k) for k in range(40)], rtol=1e-6, atol=1e-7)
    for k in (0, 1, 2, 2_999, 3_010, 4_990, 4_999, 5_000, 7_999, 8_999, 9_000):
        assert gradient[k] == pytest.approx(_slope(f, x, k), rel=1e-6, abs=1e-6)


def _slope(f, x, k):
    e = np.zeros_like(x)
    e[k] = 1e-4
    high, low = np.float64(f(x + e)), np.float64(f(x - e))
    return (high - low) / 2e-4
