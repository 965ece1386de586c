"""What bodies of loops do with arrays decides whether small ones are written out number by number."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import trace
from chainrule.programs import Loop
from helpers import BACKENDS


def by_rows(own, x):
    """Return half the squared length of a triangular matrix, row after row, times what is left of the mean."""
    mean, below = own
    away, start, squares = x - mean, 0, 0.0
    for i in range(1, len(mean)):
        z = away[i] + cr.dot(below[start : start + i], away[:i])
        squares, start = squares + z * z, start + i
    return 0.5 * squares


def by_matrix(own, x):
    mean, factor = own
    z = factor @ (x - mean)
    return 0.5 * cr.dot(z, z)


def body_of(f, *args):
    (body,) = [op.body for op, _ in trace(f, *args).steps if isinstance(op, Loop)]
    return body


def drawn(size, components, matrices):
    draw = np.random.default_rng(size)
    shape = (components, size, size) if matrices else (components, size * (size - 1) // 2)
    return draw.normal(size=(components, size)), 0.1 * draw.normal(size=shape), draw.normal(size=(5, size))


def expected(means, factors, points):
    """Return the sum over points and components, and its gradients, by matrices."""
    value, slopes = 0.0, [np.zeros_like(means), np.zeros_like(factors)]
    for k, (mean, factor) in enumerate(zip(means, factors, strict=True)):
        for x in points:
            z = factor @ (x - mean)
            value += 0.5 * z @ z
            slopes[0][k] -= factor.T @ z
            slopes[1][k] += np.outer(z, x - mean)
    return value, slopes


def total(f):
    return lambda means, factors, x: cr.map(f, (means, factors), x, reduce="sum")


def test_a_long_body_without_repetition_keeps_its_arrays():
    means, below, points = drawn(70, 3, matrices=False)
    body = body_of(total(by_rows), means, below, points[0])
    assert body.shapes == ((70,), (70 * 69 // 2,), (70,))
    assert sum(len(args) for _, args in body.steps) < 70 * 20


def test_a_short_body_is_written_in_numbers():
    means, below, points = drawn(20, 3, matrices=False)
    body = body_of(total(by_rows), means, below, points[0])
    assert not any(isinstance(op, Loop) for op, _ in body.steps)
    assert sum(op.name == "dot" for op, _ in body.steps) == 19


def test_a_body_with_repetition_is_written_in_numbers():
    draw = np.random.default_rng(0)

    def neurons(x, weights):
        return cr.sum([cr.tanh(cr.dot(row, x)) for row in weights])

    xs, weights = draw.normal(size=(3, 60)), draw.normal(size=(40, 60))
    body = body_of(lambda xs, weights: cr.map(neurons, xs, weights, reduce="sum"), xs, weights)
    assert [op.name for op, args in body.steps if len(args) == 120] == ["dot"] * 40


def test_an_array_that_meets_whole_ones_is_whole():
    means, factors, points = drawn(20, 3, matrices=True)
    body = body_of(total(by_matrix), means, factors, points[0])
    assert body.shapes[-1] == (20,)
    assert sum(len(args) for _, args in body.steps) < 20


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("f", "size"), [(by_rows, 66), (by_matrix, 17)])
def test_values_and_derivatives_are_those_of_matrices(f, size, backend):
    means, factors, points = drawn(size, 2, matrices=f is by_matrix)
    step = cr.compile(cr.value_and_grad(total(f), (0, 1)), batch=(2,), reduce="sum", backend=backend)
    value, slopes = step(means, factors, points)
    if f is by_rows:
        rows, columns = np.tril_indices(size, -1)
        matrices = np.zeros((2, size, size)) + np.eye(size)
        matrices[:, rows, columns] = factors
        # The first row has no square in the sum.
        matrices[:, 0, 0] = 0.0
        wanted, slope = expected(means, matrices, points)
        slope[1] = slope[1][:, rows, columns]
    else:
        wanted, slope = expected(means, factors, points)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    for own, other in zip(slopes, slope, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-10, atol=1e-12)


def test_second_derivatives_of_a_body_with_whole_arrays():
    means, factors, points = drawn(17, 2, matrices=True)
    f = total(by_matrix)
    direction = np.ones_like(means)
    step = cr.compile(lambda m, w, x: cr.jvp(cr.grad(lambda m: f(m, w, x)), (m,), (direction,))[1], backend="auto")
    for k, factor in enumerate(factors):
        curvature = factor.T @ factor
        np.testing.assert_allclose(step(means, factors, points[0])[k], curvature @ direction[k], rtol=1e-10)
