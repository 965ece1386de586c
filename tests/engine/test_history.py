"""Nothing depends on what ran before: rows, rules and backends give the same whatever errno an earlier call left."""

import contextlib
import ctypes
import errno
import itertools
import math
import sys

import chainrule as cr
import pytest
from chainrule import Var
from chainrule.graph.var import local_partials
from helpers import ROWS

nan, inf = math.nan, math.inf
SPECIAL = (0.0, -0.0, 1.0, -2.5, inf, -inf, nan, 5e-324, -1e-300, 1e300, -1.7e308, 745.0)


def overflow():
    with contextlib.suppress(OverflowError):
        math.exp(1000.0)


def leave_nothing():
    math.exp(0.0)


def set_errno():
    with contextlib.suppress(AttributeError):  # elsewhere it has another name
        where = ctypes.CDLL(None).__errno_location
        where.restype = ctypes.POINTER(ctypes.c_int)
        where()[0] = errno.EDOM


HISTORIES = [overflow, lambda: cr.exp(Var(-1000.0)), lambda: Var(0.0).log(), set_errno]


def points(arity):
    if arity < 3:
        return list(itertools.product(SPECIAL, repeat=arity))
    turned = [SPECIAL[k:] + SPECIAL[:k] for k in range(len(SPECIAL))]
    return [point for first in turned for point in zip(first, *turned[2 : arity + 1], strict=True)]


def found(row, point, history):
    """Return value, partials and gradient, each right after the history."""
    history()
    value = row.evaluate(*point)
    history()
    partials = local_partials(row, value, point)
    xs = [Var(x) for x in point]
    history()
    node = row.apply(tuple(xs))
    history()
    second = cr.grad(cr.grad(lambda x: row.apply((x, *point[1:]))))(point[0])
    return [float(x).hex() for x in (value, *partials, node.value, *node.partials, second)]


@pytest.mark.parametrize("row", ROWS)
def test_rows_do_not_read_errno(row):
    for point in points(row.arity):
        fresh = found(row, point, leave_nothing)
        for history in HISTORIES:
            assert found(row, point, history) == fresh, point


@pytest.mark.parametrize("backend", ["python", "numpy"])
@pytest.mark.parametrize("row", ROWS)
def test_compiled_rows_do_not_read_errno(row, backend):
    by = next(k for k, interval in enumerate(row.domain) if not interval.integers)
    slope = cr.grad(lambda *xs: row.apply(xs), argnums=by)
    compiled = cr.compile(lambda *xs: (row.apply(xs), slope(*xs)), backend=backend)
    for point in points(row.arity):
        leave_nothing()
        fresh = compiled(*point)
        overflow()
        assert [float(x).hex() for x in compiled(*point)] == [float(x).hex() for x in fresh], point


@pytest.mark.parametrize("row", ROWS)
def test_nothing_recurses_without_a_bound(row):
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    limit = sys.getrecursionlimit()
    for point in points(row.arity):
        overflow()
        try:
            sys.setrecursionlimit(depth + 40)
            value = row.evaluate(*point)
            local_partials(row, value, point)
        finally:
            sys.setrecursionlimit(limit)


def test_hypot_of_nan_after_an_overflow():
    overflow()
    assert math.isnan(cr.hypot(nan, 1.0)) and cr.hypot(nan, -inf) == inf
    for f in (cr.asinh, cr.atan, lambda x: cr.atan2(x, 1.0), lambda x: cr.hypot(x, 1.0), lambda x: cr.norm([x, 1.0])):
        overflow()
        assert math.isnan(cr.grad(f)(nan))
