"""One rule says which item an index takes: eager, as a derivative, and compiled on every backend."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

ARRAYS = [
    np.arange(1.0, 5.0),
    np.arange(1, 5),
    np.arange(12.0).reshape(4, 3),
    np.arange(300.0),
    np.arange(600.0).reshape(300, 2),
]
LISTS = [[1.0, 2.0, 3.0, 4.0], [*np.arange(20.0)], np.arange(12.0).reshape(4, 3).tolist()]
arrays = pytest.mark.parametrize("rows", ARRAYS, ids=lambda rows: f"{rows.dtype.kind}{rows.shape}")


def places(n):
    return [0, 1, n - 1, n, n + 7, -1, -n, -n - 1, 0.0, n - 1.0, -1.0, -n - 1.0, float(n), 1.5, np.nan, np.inf, 1e300]


def expected(rows, index):
    """Tell what the docstring says."""
    low = -len(rows) if isinstance(rows, np.ndarray) else 0
    if low <= index < len(rows) and index % 1 == 0:
        return np.asarray(rows, float)[int(index)]
    return np.full(np.shape(rows)[1:], np.nan)


def check(rows, index, right):
    same = np.testing.assert_array_equal
    same(cr.take(rows, index), right)
    same(cr.jvp(lambda rows: cr.take(rows, index), (rows,), (rows,))[0], right)
    for backend in BACKENDS:
        same(cr.compile(lambda rows, i: cr.take(rows, i), backend=backend)(rows, index), right)
        same(cr.compile(lambda rows: cr.take(rows, index), backend=backend)(rows), right)
        same(cr.compile(lambda i: cr.take(rows, i), backend=backend)(index), right)


@arrays
def test_arrays_count_from_the_end_and_miss_as_nan(rows):
    for index in places(len(rows)):
        check(rows, index, expected(rows, index))


@arrays
@pytest.mark.parametrize("kind", [int, float])
def test_arrays_of_indices(rows, kind):
    n = len(rows)
    index = np.array([0, -1, n, 2, -n, -n - 1, n - 1], kind)
    check(rows, index, np.stack([expected(rows, k) for k in index]))


@pytest.mark.parametrize("rows", LISTS, ids=["few", "many", "rows"])
def test_lists_have_no_item_below_0(rows):
    for index in places(len(rows)):
        check(rows, index, expected(rows, index))


@pytest.mark.parametrize("n", [4, 300])
def test_derivatives_by_what_is_there_and_by_what_is_not(n):
    x = np.linspace(0.1, 2.0, n)
    for index in (-1, -1.0, np.int64(-1)):
        right = np.zeros(n)
        right[-1] = 2 * x[-1]
        f = lambda x, index=index: cr.take(x, index) ** 2  # noqa: E731
        np.testing.assert_allclose(cr.grad(f)(x), right, rtol=1e-15)
        for backend in BACKENDS:
            np.testing.assert_allclose(cr.compile(cr.grad(f), backend=backend)(x), right, rtol=1e-15)
    for index in (n, -n - 1, float(n)):
        f = lambda x, index=index: cr.take(x, index) ** 2  # noqa: E731
        assert np.isnan(cr.grad(f)(x)).all()
        for backend in BACKENDS:
            assert np.isnan(cr.compile(cr.grad(f), backend=backend)(x)).all()


def test_an_index_that_is_computed_counts_from_the_end_as_one_of_numpy():
    for x in (np.arange(1.0, 5.0), np.arange(300.0)):
        for backend in BACKENDS:
            compiled = cr.compile(lambda x, i: (x[i], cr.take(x, i)), backend=backend)
            for index in (-1, 2, -len(x)):
                assert compiled(x, index) == (x[index], x[index])
            assert np.isnan(compiled(x, len(x))).all()
    with pytest.raises(IndexError, match="out of bounds"):
        cr.compile(lambda x: x[300])(np.arange(300.0))
