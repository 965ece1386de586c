"""NumPy's functions of Vars and traced numbers, alone and in arrays, follow the rows."""

import copy
import math
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import TraceError, Var
from chainrule.operations.arrays import Array

# Each takes an array of any numbers; of floats it is NumPy's own, which the values and derivatives are compared with.
FUNCTIONS = {
    "maximum": lambda a: np.maximum(a[:2], a[2:]),
    "maximum with a number": lambda a: np.maximum(0.7, a),
    "minimum": lambda a: np.minimum(a[:2], a[2:]),
    "fmax": lambda a: np.fmax(a[:2], a[2:]),
    "fmin": lambda a: np.fmin(a[:2], a[2:]),
    "max": lambda a: np.max(a),
    "max of an axis": lambda a: np.max(a.reshape(2, 2), axis=0),
    "max of two axes": lambda a: a.reshape(2, 1, 2).max(axis=(0, 2), keepdims=True),
    "max from": lambda a: np.max(a, initial=0.5),
    "max where": lambda a: np.max(a, where=[False, True, False, True], initial=-9.0),
    "min": lambda a: a.min(),
    "ptp": lambda a: np.ptp(a),
    "nanmax": lambda a: np.nanmax(a),
    "nansum": lambda a: np.nansum(a),
    "clip": lambda a: np.clip(a, -0.5, 1.0),
    "method clip": lambda a: a.clip(-0.5, 1.0),
    "sign": lambda a: np.sign(a) * a,
    "std": lambda a: np.std(a),
    "method std": lambda a: a.reshape(2, 2).std(axis=1, ddof=1),
    "var": lambda a: np.var(a),
    "conj": lambda a: np.conj(a),
    "vdot": lambda a: np.vdot(a, a),
    "fabs": lambda a: np.fabs(a),
    "isnan": lambda a: np.where(np.isnan(a), 0.0, a),
    "isfinite": lambda a: np.where(np.isfinite(a), a, 0.0),
    "isinf": lambda a: np.where(np.isinf(a), 0.0, a),
    "signbit": lambda a: np.where(np.signbit(a), 0.0, a),
    "heaviside": lambda a: np.heaviside(a, 0.5) * a,
    "float_power": lambda a: np.float_power(a, 3.0),
    "divmod": lambda a: np.divmod(a, 0.3)[1] + np.divmod(a, 0.3)[0],
    "modf": lambda a: np.modf(3 * a)[0] - np.modf(3 * a)[1],
    "ldexp": lambda a: np.ldexp(a, [1, -3, 0, 5]),
    "logaddexp": lambda a: np.logaddexp(a[:2], a[2:]),
    "logaddexp2": lambda a: np.logaddexp2(a[:2], a[2:]),
    "copysign": lambda a: np.copysign(a, -2.0),
    "logical": lambda a: np.where(np.logical_and(a > -1, np.logical_not(a > 0.5)), a * a, a),
    "or": lambda a: np.where((a > 0.5) | np.logical_xor(a < 0, a < -1), a * a, a),
    "add.outer": lambda a: np.add.outer(a, a * a),
    "multiply.outer with a number": lambda a: np.multiply.outer(a, a[0]),
    "maximum.outer": lambda a: np.maximum.outer(a[:1], a[1:]),
    "add.reduce": lambda a: np.add.reduce(a),
    "maximum.accumulate": lambda a: np.maximum.accumulate(a),
    "logaddexp.reduce": lambda a: np.logaddexp.reduce(a),
    "add.at": lambda a: _at(a),
    "+=": lambda a: _in_place(a),
    "sum of one": lambda a: np.sum(a[0]) * 2.0,
    "max of one": lambda a: np.max(a[0]) * 2.0,
    "mean of one": lambda a: np.mean(a[0]) * 2.0,
    "where of one": lambda a: np.where(a[0] > 0, a[0], a[1]),
    "where of one, used": lambda a: np.where(a[0] > 0, a[0], a[1]) * a[1],
    "squeeze": lambda a: np.squeeze(a[:1]),
    "method squeeze": lambda a: a[1:2].squeeze() * a[0] + a[0] * a[1:2].squeeze(),
    "tensordot": lambda a: np.tensordot(a, a, 1),
    "einsum": lambda a: np.einsum("i,i,i->", a, a, a, optimize=True),
    "dot": lambda a: np.dot(a.reshape(2, 2), a[:2]),
    "matmul": lambda a: a.reshape(2, 2) @ a.reshape(2, 2),
    "norm": lambda a: np.linalg.norm(a),
    "average": lambda a: np.average(a, weights=[1.0, 2.0, 3.0, 4.0]),
    "stack": lambda a: np.max(np.stack([a[0], a[1] * a[2], a[3]])),
    "concatenate": lambda a: np.max(np.concatenate([a, 2.0 * a])),
    "nan_to_num": lambda a: np.nan_to_num(a),
    "round": lambda a: np.round(a) * a,
    "out": lambda a: np.multiply(a, a, out=np.empty(4, a.dtype)),
    "arctan2": lambda a: np.arctan2(a[:2], a[2:]),
    "diff": lambda a: np.diff(a),
    "cumsum": lambda a: np.cumsum(a),
    "prod": lambda a: np.prod(a),
    "sum where": lambda a: np.sum(a * a, where=[True, False, True, False]),
    "std where": lambda a: np.std(a, where=[True, False, True, True]),
    "polyval": lambda a: np.polyval(a[:3], a[3]),
    "zeros_like": lambda a: np.zeros_like(a) + np.ones_like(a[0]) * a,
    "convolve": lambda a: np.convolve(a, a),
}
# Which items these take depends on values, so they are none that a trace could do.
ORDERS = {
    "sort": lambda a: np.sort(a) * [1.0, 2.0, 3.0, 4.0],
    "sort of an axis": lambda a: np.sort(a.reshape(2, 2), axis=0) * [1.0, 2.0],
    "argsort": lambda a: a[np.argsort(a)] * [1.0, 2.0, 3.0, 4.0],
    "argmax": lambda a: a[np.argmax(a)],
    "method argmin": lambda a: a[a.argmin()],
    "median": lambda a: np.median(a),
    "median of an axis": lambda a: np.median(a.reshape(2, 2), axis=1, keepdims=True),
    "percentile": lambda a: np.percentile(a, [10, 45, 80]),
    "quantile": lambda a: np.quantile(a.reshape(2, 2), 0.3, axis=0),
    **{
        f"quantile by {method}": lambda a, method=method: np.quantile(a, [[0.0, 0.33], [0.61, 1.0]], method=method)
        for method in ("linear", "lower", "higher", "midpoint", "nearest", "hazen", "weibull", "median_unbiased")
    },
}
POINT = [0.8, -1.3, 0.35, 1.9]


def _in_place(a):
    b = a.copy()
    b += a[0]
    b *= 2.0
    b[1:] -= a[:3]
    return b


def _at(a):
    b = a.copy()
    np.add.at(b, [0, 0, 2], a[1:])
    return b


def total(f):
    """Add the results with weights, so that each counts."""

    def weighed(a):
        found = np.ravel(f(a))
        return sum((x * math.sin(k + 1.0) for k, x in enumerate(found)), 0.0)

    return weighed


def slopes(f, point):
    """The derivatives of NumPy's own function, by central differences."""
    step = 1e-6
    found = []
    for k in range(len(point)):
        up, down = (np.array(point), np.array(point))
        up[k] += step
        down[k] -= step
        found.append((f(up) - f(down)) / (2 * step))
    return found


@pytest.mark.parametrize("name", [*FUNCTIONS, *ORDERS])
def test_values_and_derivatives_are_those_of_numpys_function(name):
    f = total({**FUNCTIONS, **ORDERS}[name])
    expected, gradient = f(np.array(POINT)), slopes(f, POINT)
    value, found = cr.value_and_grad(f)(np.array(POINT))
    assert value == pytest.approx(expected, rel=1e-12)
    assert found == pytest.approx(gradient, rel=1e-6, abs=1e-8)
    xs = [Var(x) for x in POINT]
    root = f(cr.array(xs))
    root.backward()
    assert root.value == value and [x.grad for x in xs] == pytest.approx(found, rel=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_arrays_too(name):
    f = total(FUNCTIONS[name])
    compiled = cr.compile(cr.value_and_grad(f), backend="python")
    value, found = compiled(np.array(POINT))
    expected, gradient = cr.value_and_grad(f)(np.array(POINT))
    assert value == pytest.approx(expected, rel=1e-12) and found == pytest.approx(gradient, rel=1e-12)


@pytest.mark.parametrize("name", ORDERS)
def test_what_depends_on_the_order_is_refused_in_a_trace(name):
    with pytest.raises(TraceError, match="no value yet"):
        cr.trace(ORDERS[name], np.array(POINT))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes_are_numpys(name):
    expected = np.shape(FUNCTIONS[name](np.array(POINT)))
    assert np.shape(FUNCTIONS[name](cr.array([Var(x) for x in POINT]))) == expected


CONVENTIONS = [
    (lambda a: np.maximum(a[0:1], a[1:2])[0], [1.0, 1.0], 1.0, [0.5, 0.5]),
    (lambda a: np.minimum(a[0:1], a[1:2])[0], [1.0, 1.0], 1.0, [0.5, 0.5]),
    (np.max, [1.0, 1.0], 1.0, [0.5, 0.5]),
    (np.min, [1.0, 1.0], 1.0, [0.5, 0.5]),
    (lambda a: np.maximum(a, 0.0).sum(), [0.0, 2.0], 2.0, [0.5, 1.0]),
    (lambda a: np.fmax(a[:1], a[1:])[0], [math.nan, 3.0], 3.0, [0.0, 1.0]),
    (lambda a: np.fmin(a[:1], a[1:])[0], [3.0, 3.0], 3.0, [0.5, 0.5]),
    (np.max, [math.nan, 1.0], math.nan, None),
    (np.max, [1.0, math.nan], math.nan, None),
    (np.min, [math.nan, 1.0], math.nan, None),
    (lambda a: np.maximum(a[:1], a[1:])[0], [math.nan, 1.0], math.nan, None),
    (lambda a: np.clip(a, 1.0, 3.0).sum(), [1.0, 3.0], 4.0, [0.0, 0.0]),
    (lambda a: np.clip(a, 1.0, 3.0)[0], [math.nan, 1.0], math.nan, None),
    (lambda a: np.sign(a)[0], [math.nan, 1.0], math.nan, [0.0, 0.0]),
    (lambda a: np.sign(a).sum(), [-0.0, -2.0], -1.0, [0.0, 0.0]),
    (lambda a: np.abs(a).sum(), [0.0, -2.0], 2.0, [0.0, -1.0]),
    (lambda a: np.where(np.isnan(a), 0.0, a).sum(), [math.nan, 3.0], 3.0, [0.0, 1.0]),
    (lambda a: np.where(np.isfinite(a), a, 0.0).sum(), [-math.inf, 3.0], 3.0, [0.0, 1.0]),
    (lambda a: np.where(np.signbit(a), 7.0, a).sum(), [-0.0, 3.0], 10.0, [0.0, 1.0]),
    (lambda a: np.heaviside(a, 0.5).sum(), [0.0, 3.0], 1.5, [0.0, 0.0]),
    (lambda a: np.modf(a)[0].sum(), [math.inf, -2.5], -0.5, [0.0, 1.0]),
    (lambda a: np.ldexp(a, 1100).sum(), [5e-324, 0.0], math.ldexp(5e-324, 1100), [math.inf, math.inf]),
    (lambda a: np.logaddexp(a[:1], a[1:])[0], [-math.inf, -math.inf], -math.inf, [0.5, 0.5]),
    (lambda a: (1.0 / a).sum(), [0.0, 1.0], math.inf, [-math.inf, -1.0]),
]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("place", range(len(CONVENTIONS)))
def test_conventions(place, compiled):
    f, point, expected, gradient = CONVENTIONS[place]
    both = cr.value_and_grad(f)
    value, found = (cr.compile(both, backend="python") if compiled else both)(np.array(point))
    assert value == pytest.approx(expected, nan_ok=True)
    assert gradient is None or list(found) == gradient


def test_nan_goes_last_and_makes_quantiles_nan():
    xs = cr.array([Var(2.0), Var(math.nan), Var(-1.0), Var(5.0)])
    assert [x.value for x in np.sort(xs)[:3]] == [-1.0, 2.0, 5.0] and np.argsort(xs).tolist() == [2, 0, 3, 1]
    assert math.isnan(np.median(xs).value if isinstance(np.median(xs), Var) else np.median(xs))
    assert np.nan_to_num(xs)[1] == 0.0
    xs.sort()
    assert math.isnan(xs[3].value)


class TestArrays:
    def test_what_is_handed_over_and_what_comes_of_it_is_one(self):
        kinds = []

        def f(a, b):
            kinds.extend([a, b["w"], a + b["w"], np.exp(a), a[:1], np.concatenate([a, a]), np.outer(a, a), a * 2.0])
            return cr.sum(a)

        cr.grad(f)(np.array([1.0, 2.0]), {"w": np.array([1.0, 2.0])})
        cr.compile(f)(np.array([1.0, 2.0]), {"w": np.array([1.0, 2.0])})
        kinds = [kind for kind in kinds if kind.dtype == object]
        assert len(kinds) >= 15 and all(type(kind) is Array for kind in kinds)
        assert type(cr.grad(f)(np.array([1.0, 2.0]), {"w": np.array([1.0, 2.0])})) is np.ndarray

    def test_is_made_of_numbers_lists_and_arrays(self):
        x = Var(1.0)
        assert cr.array([[x, 2.0], [3.0, x]]).shape == (2, 2) and cr.array(x).shape == () and cr.array(x)[()] is x
        plain = np.array([x, x])
        mixed = cr.array(plain)
        assert mixed[0] is x and np.shares_memory(mixed, plain)
        assert cr.array(np.array([1.0])).dtype == object

    def test_copies_pickles_and_prints_as_arrays_do(self):
        xs = cr.array([Var(1.0), Var(2.0)])
        for twin in (copy.copy(xs), copy.deepcopy(xs), pickle.loads(pickle.dumps(xs))):
            assert type(twin) is Array and [x.value for x in twin] == [1.0, 2.0]
        assert repr(xs).startswith("array([Var(1.0")

    def test_conditions_are_bool_and_index(self):
        xs = cr.array([Var(1.0), Var(-2.0)])
        for found in (xs > 0, xs == 1.0, np.isnan(xs), np.logical_or(xs, xs)):
            assert found.dtype == bool and type(found) is np.ndarray
        assert xs[xs > 0][0].value == 1.0
        assert np.all(np.isfinite(xs)) and not np.any(np.isinf(xs))

    def test_floats_cannot_hold_vars(self):
        b = np.zeros(2)
        for x in (Var(1.0), cr.array([Var(1.0), Var(2.0)])):
            with pytest.raises(
                TypeError, match="add expected an array of objects to write Vars to but got one of float64"
            ):
                b += x

    def test_a_plain_array_takes_a_var_in_place(self):
        b = np.array([Var(1.0), Var(2.0)])
        b += Var(3.0)
        assert [x.value for x in b] == [4.0, 5.0]

    def test_lists_beside_a_var(self):
        assert [x.value for x in np.maximum([Var(1.0), 5.0], Var(3.0))] == [3.0, 5.0]

    def test_one_var(self):
        x = Var(0.0)
        assert np.isfinite(x) and not np.isnan(x) and np.sum(x).value == np.max(x).value == 0.0
        assert np.clip(x, 1.0, 2.0).op is cr.clip and np.fabs(x).op is cr.abs
        assert x.conjugate() is x and np.conj(x) is x


class TestNoDimensions:
    """An array of objects without dimensions is the number that it holds, wherever a number is expected."""

    def test_as_operand(self):
        x, y = Var(3.0), Var(4.0)
        one = np.array(x)
        for found in (cr.hypot(one, y), cr.hypot(y, one), cr.norm([one, y]), cr.hypot(one, np.array(y))):
            assert found.value == 5.0
            x.zero_grad()
            found.backward()
            assert x.grad == pytest.approx(0.6)
        for found in (one * y, y * one, one + 1.0, cr.exp(one), cr.sum([one, one]), cr.where(True, one, y)):
            assert type(found) is Var

    def test_as_argument_and_result(self):
        x = Var(3.0)
        assert cr.grad(lambda v: np.array(v * v))(2.0) == 4.0
        assert cr.grad(lambda v: v * v)(np.array(2.0)) == 4.0
        assert cr.grad(lambda v: v * v)(np.array(x)).value == 6.0
        assert cr.compile(lambda v: np.array(v * v))(2.0) == 4.0
        assert cr.jvp(lambda v: [np.array(v)], 2.0, 1.0) == ([2.0], [1.0])


class TestPlainArrays:
    """What np.array makes of Vars has NumPy's own functions: these are right there."""

    @pytest.mark.parametrize(
        "name",
        ["std", "method std", "var", "conj", "vdot", "fabs", "sum of one", "add.outer", "+=", "tensordot", "einsum"],
    )
    def test_what_items_can_do(self, name):
        f = total(FUNCTIONS[name])
        xs = [Var(x) for x in POINT]
        root = f(np.array(xs))
        root.backward()
        assert root.value == pytest.approx(f(np.array(POINT)))
        assert [x.grad for x in xs] == pytest.approx(slopes(f, POINT), rel=1e-6, abs=1e-8)


# ---- functions that NumPy itself writes for plain numbers ----

NAN, INF = math.nan, math.inf
LINES = ([3.0, 1.0, 2.0, 2.0], [3.0, NAN, 1.0, 2.0], [1.0, INF, 2.0, -INF], [[1.0, 2.0], [3.0, 5.0]])
OF_PLAIN = {
    **{f"norm {o}": lambda x, o=o: np.linalg.norm(np.ravel(x), o) for o in (None, 2, 1, 3, 0, INF, -INF)},
    "norm of a matrix": lambda x: [np.linalg.norm(np.atleast_2d(x), o) for o in (None, "fro", 1, -1, INF, -INF)],
    "norm along": lambda x: np.linalg.norm(x, axis=0),
    "norm along, kept": lambda x: np.linalg.norm(x, INF, axis=-1, keepdims=True),
    "searchsorted": lambda x: np.searchsorted(np.sort(np.ravel(x)), 2.0),
    "searchsorted for": lambda x: np.searchsorted([0.0, 1.5, 2.5], np.ravel(x)),
    "digitize": lambda x: np.digitize(x, [0.0, 1.5, 2.5]),
    "partition": lambda x: [np.partition(np.ravel(x), k)[k] for k in range(4)],
    "lexsort": lambda x: np.lexsort((np.ravel(x),)),
    "percentile": lambda x: np.percentile(x, [0, 25, 50, 90, 100]),
    "nanquantile": lambda x: np.nanquantile(x, [0.3, 0.6], axis=-1),
    "nanpercentile": lambda x: np.nanpercentile(x, 30),
    "nanmedian": lambda x: np.nanmedian(x),
    "median": lambda x: [np.median(x), np.median(np.ravel(x)[:2]), np.median(np.ravel(x)[1:])],
    "any": lambda x: [np.any(x), np.all(x), np.any(np.ravel(x)[0]), np.all(np.ravel(x)[0] * 0.0)],
    "round": lambda x: [np.round(np.ravel(x) / 3, 1)[0], np.round(np.ravel(x)[0] / 3, 1)],
    "cov": lambda x: np.cov(x),
    "corrcoef": lambda x: np.corrcoef(x, np.square(x)),
    "nanmean": lambda x: np.nanmean(x, axis=-1),
    "nanvar": lambda x: np.nanvar(x, axis=-1, ddof=1, keepdims=True),
    "nanstd": lambda x: np.nanstd(x),
    "mean where": lambda x: np.mean(x, where=x > 1, axis=-1),
    "sum where": lambda x: np.sum(x, where=x > 1),
    "max where": lambda x: np.max(x, where=x > 1, initial=0.5),
    "select": lambda x: np.select([x > 2, x > 1], [x * 10, x * 100], -1.0),
}
ASK_VALUES = ("searchsorted", "digitize", "partition", "lexsort", "percentile", "quantile", "median")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OF_PLAIN)
def test_functions_that_are_no_ufuncs_are_numpys(name):
    f = OF_PLAIN[name]
    for line in LINES:
        x = np.array(line)
        expected = np.asarray(f(x), float)
        found = f(cr.array([Var(item) for item in x.ravel()]).reshape(x.shape))
        numbers = [getattr(item, "value", item) for item in np.asarray(found, object).ravel()]
        assert np.shape(found) == expected.shape
        assert numbers == pytest.approx(expected.ravel().tolist(), rel=1e-12, nan_ok=True), line
        if not any(word in name for word in ASK_VALUES):
            compiled = cr.compile(f, backend="python")(x)
            numbers = np.asarray(compiled, float).ravel().tolist()
            assert numbers == pytest.approx(expected.ravel().tolist(), rel=1e-12, nan_ok=True), line


@pytest.mark.parametrize("name", OF_PLAIN)
def test_functions_that_are_no_ufuncs_have_derivatives(name):
    f, x, h = OF_PLAIN[name], np.array([3.1, 1.3, 2.2, 2.7]), 1e-6
    if name in ("searchsorted", "searchsorted for", "digitize", "lexsort", "any", "round", "norm 0"):
        return  # steps
    total = lambda x: np.sum(np.asarray(f(x)))  # noqa: E731
    by_differences = [(total(x + h * unit) - total(x - h * unit)) / (2 * h) for unit in np.eye(4)]
    assert cr.grad(total)(x).tolist() == pytest.approx(by_differences, rel=1e-6, abs=1e-8)


def test_what_functions_cannot_do_is_named():
    xs = cr.array([[Var(1.0), Var(2.0)], [Var(3.0), Var(5.0)]])
    for ask, message in (
        (lambda: np.linalg.norm(xs, "nuc"), "norm of matrices of Vars takes"),
        (lambda: np.cov(xs, fweights=[1, 2]), "cov of Vars takes no"),
        (lambda: np.nanquantile(xs, 0.5, keepdims=True), "nanquantile of Vars takes"),
        (lambda: np.nanmean(xs, out=xs), "nanmean of Vars takes no out"),
    ):
        with pytest.raises(TypeError, match=message):
            ask()
    with pytest.raises(ValueError, match="maximum expected initial="):
        cr.compile(lambda x: np.max(x, where=x > 1), backend="python")(np.array([1.0, 2.0]))
