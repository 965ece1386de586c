"""Compiled sparse Jacobians of functions with index arrays: equal to SciPy matrices that are put together by hand."""

import pickle

import chainrule as cr
import pytest
from chainrule.data.csr import Places
from helpers import BACKENDS

np = pytest.importorskip("numpy")
sparse = pytest.importorskip("scipy.sparse")

WIDE, COUNT = 300, 400
draw = np.random.default_rng(7)
X = draw.normal(size=WIDE)
TABLE = draw.normal(size=(WIDE, 3))


def check(found, rows, columns, numbers, shape):
    """Compare with the matrix that adds up these entries."""
    by_hand = sparse.coo_array((numbers, (rows, columns)), shape=shape).tocsr()
    by_hand.sum_duplicates()
    assert found.shape == shape and found.has_sorted_indices and found.has_canonical_format
    chosen = sparse.csr_array(shape).indices.dtype  # SciPy's own choice, where nobody gives it indices
    assert found.indices.dtype == found.indptr.dtype == chosen
    assert (found.indptr == by_hand.indptr).all() and (found.indices == by_hand.indices).all()
    np.testing.assert_allclose(found.data, by_hand.data, 1e-12, 1e-14)


def pairs(seed):
    """Return index arrays that are alike in some places, and hold some numbers often and others never."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 50, COUNT), rng.integers(20, 90, COUNT)
    second[::7] = first[::7]
    return first, second


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_entries_that_meet_are_added_up(backend, mode):
    first, second = pairs(1)
    f = cr.jacobian(lambda x: np.sin(x[first]) * x[second], sparse=True, mode=mode)
    rows = np.arange(COUNT)
    numbers = [np.cos(X[first]) * X[second], np.sin(X[first])]
    found = cr.compile(f, backend=backend)(X)
    check(found, np.r_[rows, rows], np.r_[first, second], np.concatenate(numbers), (COUNT, WIDE))


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_tables_and_results_side_by_side(backend):
    first, second = pairs(2)

    def f(table, x):
        a, b = table[first].T, table[second].T
        return np.stack([a[0] * b[1] + x[second], a[2] * a[2]]), np.exp(b[0])

    found = cr.compile(cr.jacobian(f, (0, 1), sparse=True), backend=backend)(TABLE, X)
    a, b, n = TABLE[first], TABLE[second], np.arange(COUNT)
    entries = [
        (n, 3 * first, b[:, 1]),
        (n, 3 * second + 1, a[:, 0]),
        (n, 3 * WIDE + second, np.ones(COUNT)),
        (COUNT + n, 3 * first + 2, 2 * a[:, 2]),
        (2 * COUNT + n, 3 * second, np.exp(b[:, 0])),
    ]
    check(found, *map(np.concatenate, zip(*entries, strict=True)), (3 * COUNT, 4 * WIDE))


def test_rows_without_entries():
    first, _ = pairs(3)

    def f(x):
        return np.floor(x[first]), x[first] ** 2, cr.stop_gradient(x[:350])

    found = cr.compile(cr.jacobian(f, sparse=True))(X)
    n = np.arange(COUNT)
    check(found, COUNT + n, first, 2 * X[first], (2 * COUNT + WIDE, WIDE))


def test_few_numbers_read_often_need_no_sweep_for_each():
    first, second = pairs(4)
    f = cr.jacobian(lambda a, x: a[first % 5] * x[second], (0, 1), sparse=True)
    few, n = np.arange(1.0, 6.0), np.arange(COUNT)
    numbers = np.r_[X[second], few[first % 5]]
    check(cr.compile(f)(few, X), np.r_[n, n], np.r_[first % 5, 5 + second], numbers, (COUNT, 5 + WIDE))
    assert len(cr.trace(f, few, X)) < 20


def test_parts_and_rows_that_are_joined():
    first, second = pairs(5)

    def f(x, y):
        both = np.concatenate([x, y])
        return both[first] * both[::-1][second]

    y = draw.normal(size=WIDE)
    both, n = np.concatenate([X, y]), np.arange(COUNT)
    back = 2 * WIDE - 1 - second
    found = cr.compile(cr.jacobian(f, (0, 1), sparse=True))(X, y)
    check(found, np.r_[n, n], np.r_[first, back], np.r_[both[back], both[first]], (COUNT, 2 * WIDE))


def test_an_index_array_as_argument_may_be_another_at_each_call():
    compiled = cr.compile(cr.jacobian(lambda x, rows: x[rows] ** 2, sparse=True))
    n = np.arange(WIDE)
    for seed in (1, 2):
        rows = np.random.default_rng(seed).integers(0, WIDE, WIDE)
        expected = sparse.coo_array((2 * X[rows], (n, rows)), shape=(WIDE, WIDE)).toarray()
        np.testing.assert_allclose(compiled(X, rows).toarray(), expected, 1e-12)


def test_nan_and_infinities_stay_in_their_rows():
    first, second = pairs(6)
    x = X.copy()
    x[first[3]], x[80] = np.nan, np.inf
    found = cr.compile(cr.jacobian(lambda x: x[first] * x[second] ** 2, sparse=True))(x)
    n = np.arange(COUNT)
    with np.errstate(invalid="ignore"):
        numbers = np.r_[x[second] ** 2, 2 * x[first] * x[second]]
    check(found, np.r_[n, n], np.r_[first, second], numbers, (COUNT, WIDE))


def test_each_call_gives_arrays_of_its_own():
    first, second = pairs(1)
    compiled = cr.compile(cr.jacobian(lambda x: x[first] * x[second], sparse=True))
    one, other = compiled(X), compiled(X)
    kept = one.toarray()
    other.data[:], other.indices[:] = 0.0, 0
    other.eliminate_zeros()
    assert (one.toarray() == kept).all() and (compiled(X).toarray() == kept).all()
    both = cr.compile(lambda x: (x * 2.0, cr.jacobian(lambda x: x[first] * x[second], sparse=True)(x)))(X)
    both[1].data[:] = 0.0
    assert (both[0] == 2.0 * X).all()


def test_indices_are_as_wide_as_scipy_has_them():
    for width in (2**31 - 1, 2**31 + 5):
        places = Places.of_rows((2, width), [[3, width - 1], []])
        found = places.array([1.0, 2.0])
        assert found.indices.dtype == found.indptr.dtype == sparse.csr_array((2, width)).indices.dtype
        assert found.indices.tolist() == [3, width - 1]


def test_places_of_older_pickles():
    places = Places.of_rows((3, 4), [[0, 3], [], [1]])
    assert list(cr.unpickled("places", (3, 4), ((0, 3), (), (1,)))) == list(places) == [(0, 0), (0, 3), (2, 1)]
    again = pickle.loads(pickle.dumps(places))
    assert again == places and hash(again) == hash(places)
