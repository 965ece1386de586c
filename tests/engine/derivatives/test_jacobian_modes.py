"""jacobian(mode=): both modes give the same numbers, eager, compiled and sparse, in as many sweeps as they say."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

MODES = ["forward", "reverse", None]


def tall(x):
    return [cr.sin(x[0]) * x[1], x[0] / x[1], cr.exp(x[1]), 1.0, x[0]]


def wide(x):
    return np.stack([x[0] * x[1] * x[2], cr.tanh(x[3]) - x[0]])


def by_differences(f, x, step=1e-6):
    columns = []
    for k in range(len(x)):
        up, down = list(x), list(x)
        up[k] += step
        down[k] -= step
        columns.append((np.array(f(up), float) - np.array(f(down), float)) / (2.0 * step))
    return np.array(columns).T


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("f", "x"), [(tall, [0.7, -1.3]), (wide, [0.5, 2.0, -0.3, 0.9])])
def test_modes_agree_with_differences_and_when_compiled(f, x, mode):
    derivative = cr.jacobian(f, mode=mode)
    expected = by_differences(f, x)
    np.testing.assert_allclose(derivative(np.array(x)), expected, rtol=1e-8, atol=1e-9)
    for backend in BACKENDS:
        compiled = cr.compile(derivative, backend=backend)
        np.testing.assert_allclose(compiled(np.array(x)), derivative(np.array(x)), rtol=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_sparse_ones(mode):
    def arrow(x):
        return [x[0] * cr.sum(x), *[x[0] * item for item in x[1:]]]

    x = [0.5, 1.5, -2.0, 3.0]
    found = cr.jacobian(arrow, mode=mode, sparse=True)(x)
    np.testing.assert_allclose(found.toarray(), cr.jacobian(arrow)(x), rtol=1e-14)
    compiled = cr.compile(cr.jacobian(arrow, mode=mode, sparse=True), backend="python")(x)
    np.testing.assert_allclose(compiled.toarray(), found.toarray(), rtol=1e-14)


@pytest.mark.parametrize(
    ("mode", "sweeps"), [("forward", {"forward": 2}), ("reverse", {"reverse": 5}), (None, {"forward": 2})]
)
def test_modes_take_their_sweeps(mode, sweeps, monkeypatch):
    counts = {}
    module = cr.derivatives.sweeps

    def count(name, sweep):
        def counted(*args):
            counts[name] = counts.get(name, 0) + 1
            return sweep(*args)

        monkeypatch.setattr(module, name, counted)

    count("forward", module.forward)
    count("reverse", module.reverse)
    cr.jacobian(tall, mode=mode)([0.7, -1.3])
    assert counts == sweeps


def test_modes_go_with_nesting_and_aux():
    both = [
        cr.jacobian(cr.jacobian(wide, mode=a), mode=b)(np.array([0.5, 2.0, -0.3, 0.9])) for a in MODES for b in MODES
    ]
    for other in both[1:]:
        np.testing.assert_allclose(other, both[0], rtol=1e-13)
    found, aux = cr.jacobian(lambda x: ([x, x * x], x + 1.0), mode="reverse", has_aux=True)(3.0)
    assert (found, aux) == ([1.0, 6.0], 4.0)


def test_forward_needs_no_limit_of_a_while_loop():
    def halved(x):
        return cr.while_loop(lambda c: c > 1.0, lambda c: c * 0.5, x)

    for backend in BACKENDS:
        assert cr.compile(cr.jacobian(halved, mode="forward"), backend=backend)(10.0) == 0.5**4


def test_other_modes_are_refused():
    with pytest.raises(
        ValueError, match='jacobian expected mode to be "forward", "reverse" or None but got mode=\'both\''
    ):
        cr.jacobian(tall, mode="both")
