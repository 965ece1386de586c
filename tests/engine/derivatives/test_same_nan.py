"""Modes agree on where a derivative is nan: reverse and forward, dense and sparse, both halves of a Hessian."""

import itertools
import math

import chainrule as cr
import pytest
from chainrule import PRIMITIVES, Var
from helpers import BACKENDS, ROWS
from hypothesis import given
from hypothesis import strategies as st

inf, nan = math.inf, math.nan
SPECIAL = (0.0, -0.0, 1.0, -1.5, inf, -inf, nan, 1e300, -1e300, 1e-300, 5e-324)


def points(arity):
    if arity < 3:
        return list(itertools.product(SPECIAL, repeat=arity))
    return list(
        itertools.islice(itertools.product((nan, 0.0, inf, 1.0, -1e300), repeat=arity), 0, None, 3 ** (arity - 3))
    )


def same(one, other):
    if one != one or other != other:
        return one != one and other != other
    return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-290)


def agree(first, second):
    return all(same(x, y) for one, other in zip(first, second, strict=True) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize("row", ROWS)
def test_reverse_and_forward(row):
    def f(v):
        return row.apply(tuple(v))

    units = [[1.0 if k == place else 0.0 for k in range(row.arity)] for place in range(row.arity)]
    for point in points(row.arity):
        reverse = cr.grad(f)(list(point))
        forward = [cr.jvp(f, (list(point),), (unit,))[1] for unit in units]
        assert agree([reverse], [forward]), point
        leaves = [Var(x) for x in point]
        f(leaves).backward()
        assert agree([reverse], [[leaf.grad for leaf in leaves]]), point


def test_what_cancels_counts_as_0():
    """The one place where modes differ: reverse drops adjoints that add up to exactly 0, forward such tangents."""

    def slopes(f, x):
        return cr.grad(f)(x), cr.jvp(f, (x,), (1.0,))[1]

    def difference(x):
        a = cr.cos(x)
        return a - a

    assert agree([slopes(difference, inf)], [(0.0, nan)])
    assert agree([slopes(lambda x: cr.softplus(x - x), inf)], [(nan, 0.0)])


def check_halves(f, point):
    pytest.importorskip("scipy")
    dense = cr.hessian(f)(point)
    assert agree(dense, [list(column) for column in zip(*dense, strict=True)]), point
    assert agree(dense, cr.hessian(f, sparse=True)(point).toarray().tolist()), point


@pytest.mark.parametrize("row", ROWS)
def test_hessians_of_rows(row):
    for point in points(row.arity):
        check_halves(lambda v: row.apply(tuple(v)), list(point))


@given(expression=cr.testing.expressions(), data=st.data())
def test_hessians_of_expressions(expression, data):
    count = expression.inputs
    point = [data.draw(st.sampled_from(SPECIAL)) for _ in range(count)]
    check_halves(lambda v: expression(*v), point)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["pow", "hypot", "norm", "atan2", "unit", "xlogy", "div"])
def test_compiled_hessians(name, backend):
    row = PRIMITIVES[name]
    hessian = cr.hessian(lambda v: row.apply(tuple(v)))
    compiled = cr.compile(hessian, backend=backend)
    for point in itertools.product((0.0, 1.0, -1.5, 2.0), repeat=row.arity):
        assert agree(compiled(list(point)), hessian(list(point))), point
