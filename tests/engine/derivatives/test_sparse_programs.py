"""Sparse derivatives in programs: equal to the dense ones on every backend, with the same places in each call."""

import itertools
import pickle

import chainrule as cr
import pytest
from chainrule import Program, Var, hessian, jacobian, trace
from helpers import BACKENDS, flat

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")


def written_out(x):
    return [100 * (b - a * a) ** 2 + cr.sin(a) for a, b in itertools.pairwise(x)]


def mapped(x):
    return cr.map(
        lambda pair: pair[0] * cr.exp(pair[1]) + cr.floor(pair[0]), [[a, b] for a, b in itertools.pairwise(x)]
    )


def scanned(x):
    """Each state depends on the items so far; those of every second one only."""
    return cr.scan(lambda c, v: ((c[1], c[0] * v), cr.square(c[0])), (x[0], 1.0), list(x))[1]


def backwards(x):
    return cr.scan(lambda c, v: (c * v, c + v), x[0], list(x)[1:], reverse=True)[1]


def nested(x):
    rows = cr.map(lambda v: cr.map(lambda k: cr.sin(k * v), [1.0, 2.0]), list(x))
    return {"all": rows, "one": cr.function(lambda a, b: cr.stop_gradient(a) * b)(x[0], x[1])}


def repeated(x):
    start = (x[0], x[1], x[2])
    return cr.while_loop(lambda c: c[0] < 9.0, lambda c: (c[0] + 2.0, c[0] * c[1], c[2] * x[3]), start, limit=12)


def branching(x):
    def one(a, b):
        return cr.cond(a > 0.2, lambda a: a * b, cr.sin, a) + cr.where(b > 0.0, b, 0.0)

    return [one(a, b) for a, b in itertools.pairwise(x)]


def arrow(x):
    return [cr.sum(x), *[v * v for v in x]]


def constant(x):
    return [1.0, x[0], cr.floor(x[1])]


FUNCTIONS = [written_out, mapped, scanned, backwards, nested, repeated, branching, arrow, constant]
POINT = [0.5, -0.25, 1.5, 0.75, 0.1]


def total(f):
    return lambda x: cr.sum(flat(f(x))) ** 2 + cr.sum(flat(f(x)))


def separate(f):
    """A function whose Hessian is as sparse as the Jacobian allows."""
    return lambda x: cr.sum([cr.square(v) + v for v in flat(f(x))])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_jacobians_and_hessians(f, backend):
    flattened = lambda x: flat(f(x))  # noqa: E731
    for point in (POINT, [-v for v in POINT], [0.0] * 5):
        found = cr.compile(jacobian(f, sparse=True), backend=backend)(point)
        np.testing.assert_allclose(found.toarray(), jacobian(flattened)(point), 1e-12, 1e-14)
        for g in (separate(f), total(f)):
            found = cr.compile(hessian(g, sparse=True), backend=backend)(point)
            np.testing.assert_allclose(found.toarray(), hessian(g)(point), 1e-11, 1e-12)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_no_place_too_many(f):
    """The program's places are those where a slope is not 0 at some point, except for branches not taken there."""
    flattened = lambda x: flat(f(x))  # noqa: E731
    program = trace(jacobian(f, sparse=True), POINT)
    draw = np.random.default_rng(1)
    seen = sum(np.abs(jacobian(flattened)(list(draw.normal(size=5)))) for _ in range(20))
    assert sorted(program.result.places) == sorted(zip(*map(list, np.nonzero(seen)), strict=True))


def test_places_stay_and_arrays_are_the_callers():
    step = cr.compile(jacobian(written_out, sparse=True))
    first, second = step(POINT), step([0.0] * 5)
    assert first.nnz == second.nnz == 8 and first.has_sorted_indices
    second.eliminate_zeros()
    second.data[:] = 7.0
    np.testing.assert_allclose(step(POINT).toarray(), jacobian(written_out, sparse=True)(POINT).toarray(), 1e-12)
    np.testing.assert_allclose(first.toarray(), step(POINT).toarray(), 0, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches(backend):
    points = np.random.default_rng(0).normal(size=(11, 5))
    dense = [jacobian(written_out)(list(point)) for point in points]
    found = cr.compile(jacobian(written_out, sparse=True), batch="x", backend=backend)(points)
    assert len(found) == 11
    for matrix, expected in zip(found, dense, strict=True):
        np.testing.assert_allclose(matrix.toarray(), expected, 1e-12)
    mean = cr.compile(jacobian(written_out, sparse=True), batch="x", reduce="mean", backend=backend)(points)
    np.testing.assert_allclose(mean.toarray(), np.mean(dense, 0), 1e-12)


def test_sweeps_of_a_long_band_are_few():
    from scipy.optimize import rosen, rosen_hess

    def banded(x):
        return cr.sum([100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x)])

    x = np.linspace(-1.0, 2.0, 200)
    found = cr.compile(hessian(banded, sparse=True))(x)
    assert found.nnz == 3 * 200 - 2 and banded(x) == pytest.approx(rosen(x))
    np.testing.assert_allclose(found.toarray(), rosen_hess(x), 1e-10, 1e-10)


def test_kept_in_structures_files_and_pickles(tmp_path):
    def both(x):
        return {"value": written_out(x), "slopes": jacobian(written_out, sparse=True)(x)}

    program = trace(both, POINT)
    assert "sparse[4, 5](" in str(program)
    program.save(tmp_path / "p.json")
    expected = jacobian(written_out, sparse=True)(POINT).toarray()
    for again in (program, Program.load(tmp_path / "p.json"), pickle.loads(pickle.dumps(program))):
        found = cr.compile(again)(POINT)
        np.testing.assert_allclose(found["slopes"].toarray(), expected, 1e-12)
        np.testing.assert_allclose(found["value"], written_out(POINT), 1e-12)
        np.testing.assert_allclose(again(POINT)["slopes"].toarray(), expected, 1e-12)


def test_vars_are_refused():
    step = cr.compile(jacobian(written_out, sparse=True), backend="python")
    with pytest.raises(TypeError, match="sparse=True expected arguments of floats but got Vars"):
        step([Var(1.0), 2.0, 3.0])
    many = cr.compile(jacobian(written_out, sparse=True), batch="x", backend="python")
    with pytest.raises(TypeError, match="sparse=True expected arguments of floats but got Vars"):
        many([[Var(1.0), 2.0, 3.0]])
