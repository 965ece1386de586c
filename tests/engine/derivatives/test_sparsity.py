"""Sparse derivatives: right, with the pattern of the function, and a handful of sweeps."""

import itertools

import chainrule as cr
import pytest
from chainrule import Var, hessian, jacobian
from chainrule.derivatives.sparsity import colour, pattern, sparse_jacobian
from chainrule.derivatives.sweeps import between, second_order

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")


def banded(x):
    return cr.sum([100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x)])


def test_banded_hessian_takes_three_sweeps():
    x = np.linspace(-1.0, 2.0, 1000)
    from scipy.optimize import rosen_hess

    found = hessian(banded, sparse=True)(x)
    assert found.nnz <= 2998
    assert np.abs(found.toarray() - rosen_hess(x)).max() < 1e-9
    inputs = [Var(v) for v in x]
    assert sparse_jacobian(second_order(inputs, [banded(inputs)]))[1] == 3


def test_jacobian_by_columns_or_rows():
    x = [float(k) for k in range(1, 51)]
    tall = jacobian(lambda x: [a * b for a, b in itertools.pairwise(x)], sparse=True)(x)
    assert (tall.toarray() == jacobian(lambda x: [a * b for a, b in itertools.pairwise(x)])(x)).all()
    # One row depends on everything: by columns that is 50 sweeps, by rows 2.
    arrow = lambda x: [cr.sum(x), *[v * v for v in x]]  # noqa: E731
    inputs = [Var(v) for v in x]
    matrix, sweeps = sparse_jacobian(between(inputs, arrow(inputs)))
    assert sweeps == 2
    assert (matrix.toarray() == np.array(jacobian(arrow)(x))).all()


def test_pattern_and_colours():
    xs = [Var(1.0), Var(2.0), Var(3.0)]
    assert pattern(between(xs, [xs[0] * xs[2], xs[1], xs[0] * 0.0, xs[2]])) == [[0, 2], [1], [], [2]]
    assert colour([[0, 1, 2]], 3) == [0, 1, 2]
    assert colour([], 2) == [0, 0]


def test_dense_and_empty():
    assert (
        hessian(lambda x: cr.prod(x), sparse=True)([1.0, 2.0, 3.0]).toarray() == [[0, 3, 2], [3, 0, 1], [2, 1, 0]]
    ).all()
    assert hessian(lambda x: cr.sum(x), sparse=True)([1.0, 2.0]).nnz == 0
    assert jacobian(lambda x: [1.0, 2.0], sparse=True)([1.0]).shape == (2, 1)


def test_a_scalar_argument_is_one_column():
    assert hessian(lambda x: x**3, sparse=True)(2.0).toarray().tolist() == [[12.0]]


def test_vars_are_refused():
    with pytest.raises(TypeError, match="hessian with sparse=True expected arguments of floats but got Vars"):
        hessian(lambda x: x * x, sparse=True)(Var(1.0))
