"""Sparse Jacobians and Hessians of whole arrays: the entries, and that no sweep is made for each of them."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import MAP

WIDE, POINTS, SEEN = 40, 120, 500  # each more than stays an array of numbers


def _residuals(camera_of, point_of):
    def residual(pair):
        c, p = pair
        depth = cr.exp(0.1 * c[3]) + p[2] ** 2 + 1.0
        return np.array([(c[0] * p[0] + cr.sin(c[1]) * p[1]) / depth, (c[2] * p[1] + c[4] * c[5] + c[6]) / depth])

    def residuals(cameras, points):
        return cr.map(residual, (cameras[camera_of], points[point_of]))

    return residual, residuals


@pytest.fixture
def observations():
    rng = np.random.default_rng(5)
    places = rng.integers(0, WIDE, SEEN), rng.integers(0, POINTS, SEEN)
    return *places, rng.normal(size=(WIDE, 7)), rng.normal(size=(POINTS, 3))


def _differences(f, x, step=1e-6):
    columns = [(f(x + step * unit) - f(x - step * unit)) / (2 * step) for unit in np.eye(x.size)]
    return np.stack(columns, axis=1)


def test_blocks_of_a_jacobian_through_index_arrays(observations):
    camera_of, point_of, cameras, points = observations
    residual, residuals = _residuals(camera_of, point_of)

    def by_hand(x):
        c, p = x[: cameras.size].reshape(cameras.shape), x[cameras.size :].reshape(points.shape)
        return np.array([residual((c[i], p[j])) for i, j in zip(camera_of, point_of, strict=True)], float).ravel()

    x = np.concatenate([cameras.ravel(), points.ravel()])
    expected = _differences(by_hand, x)
    compiled = cr.compile(cr.jacobian(residuals, (0, 1), sparse=True))
    found = compiled(cameras, points)
    assert found.shape == (2 * SEEN, x.size)
    assert np.abs(found.toarray() - expected).max() < 1e-7
    assert found.nnz == 13 * SEEN  # 3 + 3 in one row, 5 + 2 in the other
    # A loop for each number of a residual computes its row of all blocks: nobody asks then which camera it is of.
    steps = [op for op, _ in compiled.program.steps]
    assert [op.length for op in steps if op.name == MAP] == [SEEN, SEEN]
    assert sum(op.name == "gather" for op in steps) == 2 and not any(op.name == "scatter" for op in steps)


@pytest.mark.parametrize("mode", ["forward", "reverse", None])
def test_jacobian_of_neighbours_is_banded(mode):
    x = np.random.default_rng(1).normal(size=300)
    found = cr.compile(cr.jacobian(lambda x: x[1:] ** 2 * x[:-1], sparse=True, mode=mode))(x)
    expected = np.zeros((299, 300))
    expected[np.arange(299), np.arange(299)] = x[1:] ** 2
    expected[np.arange(299), np.arange(1, 300)] = 2 * x[1:] * x[:-1]
    assert np.abs(found.toarray() - expected).max() < 1e-14
    assert found.nnz == 2 * 299


def test_hessian_of_a_chain_is_tridiagonal_and_symmetric():
    x = np.random.default_rng(2).normal(size=300)

    def chain(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    found = cr.compile(cr.hessian(chain, sparse=True))(x).toarray()
    expected = np.zeros((300, 300))
    for k in range(299):
        expected[k, k] += 1200.0 * x[k] ** 2 - 400.0 * x[k + 1] + 2.0
        expected[k + 1, k + 1] += 200.0
        expected[k, k + 1] = expected[k + 1, k] = -400.0 * x[k]
    assert np.abs(found - expected).max() < 1e-11
    assert (found == found.T).all()


def test_numbers_beside_arrays():
    x = np.random.default_rng(3).normal(size=300)
    f = cr.jacobian(lambda a, x: (a * x, a * a), (0, 1), sparse=True)
    found = cr.compile(f)(2.0, x).toarray()
    expected = np.zeros((301, 301))
    expected[:300, 0], expected[:300, 1:], expected[300, 0] = x, 2.0 * np.eye(300), 4.0
    assert np.abs(found - expected).max() < 1e-15


def test_steps_do_not_follow_the_size():
    counts = []
    for n in (300, 3_000):
        program = cr.trace(cr.jacobian(lambda x: x[1:] ** 2 * x[:-1], sparse=True), np.ones(n))
        counts.append(len(program))
    assert counts[0] == counts[1]
