"""Random NumPy-style programs: traced arrays have NumPy's values, and the derivatives that numbers have."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import tracer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ELEMENTWISE = [
    np.sin,
    np.tanh,
    lambda x: x * x,
    lambda x: 1.0 / (2.0 + x * x),
    lambda x: np.exp(-np.abs(x) - 0.1),
    lambda x: np.where(x > 0.1, x, 0.5 * x),
    lambda x: np.maximum(x, 0.03),
    lambda x: cr.sigmoid(x) - 2 * x,
]


@st.composite
def steps(draw, shape):
    """Draw a step from an array of a shape: a function of it, which arrays of any kind take."""
    kind = draw(st.sampled_from(["elementwise", "view", "axis", "gather", "join", "product", "broadcast", "scan"]))
    axis = draw(st.integers(0, len(shape) - 1))
    length = shape[axis]
    ahead = (slice(None),) * axis
    if kind == "elementwise":
        return draw(st.sampled_from(ELEMENTWISE))
    if kind == "view":
        step = draw(st.sampled_from([1, 2, -1]))
        order = draw(st.permutations(range(len(shape))))
        return draw(
            st.sampled_from(
                [
                    lambda x: x[(*ahead, slice(None, None, step))],
                    lambda x: x[(*ahead, slice(length // 2, None))],
                    lambda x: x[(*ahead, None)],
                    lambda x: x.transpose(order),
                    lambda x: x.reshape(-1),
                    lambda x: x.reshape(shape[::-1]),
                ]
            )
        )
    if kind == "axis":
        keepdims = draw(st.booleans())
        reduce = draw(st.sampled_from([np.sum, np.mean, np.max, np.prod, np.var, cr.logsumexp, cr.norm, cr.sum]))
        if len(shape) == 1 and not keepdims:
            return lambda x: x * reduce(x)
        return lambda x: reduce(x, axis=axis, keepdims=keepdims)
    if kind == "gather":
        index = np.array(draw(st.lists(st.integers(-length, length - 1), min_size=1, max_size=5)))
        return lambda x: x[(*ahead, index)]
    if kind == "join":
        return draw(
            st.sampled_from(
                [
                    lambda x: np.concatenate([x, 2 * x], axis),
                    lambda x: np.stack([x, x * x], axis),
                    lambda x: np.roll(x, 1, axis),
                    lambda x: np.pad(x, 1),
                    lambda x: np.repeat(x, 2, axis),
                    lambda x: np.flip(x, axis) * x,
                ]
            )
        )
    if kind == "product":
        weights = np.cos(np.arange(float(shape[-1] * 2))).reshape(shape[-1], 2)
        return draw(
            st.sampled_from(
                [
                    lambda x: x @ weights,
                    lambda x: x @ weights[:, 0] if len(shape) > 1 else x,
                    lambda x: np.outer(x, x[..., 0]),
                ]
            )
        )
    if kind == "broadcast":
        return draw(
            st.sampled_from([lambda x: x + x.sum(axis, keepdims=True), lambda x: x * x[..., :1], lambda x: x[None] - x])
        )
    return lambda x: np.cumsum(x, axis)


@st.composite
def programs(draw):
    """Draw a program of some steps and its argument; arrays stay small enough to go through number by number."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    seed = draw(st.integers(0, 1000))
    argument = np.random.default_rng(seed).normal(size=shape)
    chosen, x = [], argument
    for _ in range(draw(st.integers(1, 5))):
        step = draw(steps(x.shape))
        found = np.asarray(step(x), float)
        if not 0 < found.size <= 48 or not found.ndim or np.abs(found).max() > 1e3:
            continue
        chosen.append(step)
        x = found

    def program(x):
        for step in chosen:
            x = step(x)
        return x

    return program, argument


def weighed(f):
    def total(x):
        found = f(x)
        return (found * np.cos(np.arange(float(np.size(found)))).reshape(np.shape(found))).sum()

    return total


def close(found, expected):
    expected = np.asarray(expected, float)
    np.testing.assert_allclose(np.asarray(found, float), expected, 1e-8, 1e-8 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("whole", [1, 5])
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(programs())
def test_random_programs(whole, monkeypatch, drawn):
    f, x = drawn
    monkeypatch.setattr(tracer, "WHOLE", whole)
    close(cr.trace(f, x)(x), f(x))
    total, direction = weighed(f), np.sin(1.0 + np.arange(float(x.size))).reshape(x.shape)
    value, gradient = cr.compile(cr.value_and_grad(total), backend="numpy")(x)
    product = cr.compile(lambda x, d: cr.hvp(total, x, d), backend="numpy")(x, direction)
    # Number by number: an array of Vars is recorded as it is.
    close(value, total(x))
    close(gradient, cr.grad(total)(x))
    close(product, cr.hvp(total, x, direction))
    h = 1e-6
    slope = (total(x + h * direction) - total(x - h * direction)) / (2 * h)
    np.testing.assert_allclose((gradient * direction).sum(), slope, 1e-3, 1e-4 * max(1.0, np.abs(gradient).max()))
