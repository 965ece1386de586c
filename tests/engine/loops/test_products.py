"""NumPy's products of arrays and what it makes of them in Python are whole: right, and steps do not grow with n."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import tracer

KERNEL = np.array([1.0, -2.0, 0.5])

LINES = {
    "convolve with itself": lambda x: np.convolve(x, x),
    "convolve full": lambda x: np.convolve(x, KERNEL),
    "convolve same": lambda x: np.convolve(KERNEL, x, "same"),
    "convolve same, even": lambda x: np.convolve(x, x[:6], "same"),
    "convolve valid": lambda x: np.convolve(x, x[2:9], "valid"),
    "convolve by a number": lambda x: np.convolve(x, x[0]),
    "correlate": lambda x: np.correlate(x, KERNEL),
    "correlate full": lambda x: np.correlate(KERNEL, x, "full"),
    "correlate same": lambda x: np.correlate(x, x[:5], "same"),
    "kron": lambda x: np.kron(x, KERNEL) + np.kron(KERNEL, x),
    "outer": lambda x: np.outer(x, x[:4]),
    "diff": lambda x: np.diff(x, 2),
    "diff between": lambda x: np.diff(x, prepend=0.0, append=x[:2]),
    "ediff1d": lambda x: np.ediff1d(x),
    "cumsum": lambda x: np.cumsum(x),
    "cumprod": lambda x: np.cumprod(1.0 + 0.01 * x),
    "diag": lambda x: np.diag(x[:290], 1)[:, ::29],
    "polyval": lambda x: np.polyval(KERNEL, x) + np.polyval(x[:3], x),
    "trapezoid": lambda x: np.trapezoid(x) * x + np.trapezoid(x * x, np.cumsum(x * x)),
    "append": lambda x: np.append(x, [x[0], 2.0]),
    "select": lambda x: np.select([x > 0.5, x < -1.0], [x * x, 2.0 * x], 0.5 * x),
    "sinc": lambda x: np.sinc(x),
    "nan_to_num": lambda x: np.nan_to_num(np.where(x > 1.0, np.inf, np.where(x < -1.0, np.nan, x * x)), posinf=3.0),
    "nansum": lambda x: np.nansum(np.where(x > 1.0, np.nan, x * x)) * x,
}
MATRICES = {
    "kron of matrices": lambda m: np.kron(m, np.array([[1.0, 2.0], [3.0, -1.0]])),
    "kron of a matrix and a line": lambda m: np.kron(KERNEL, m),
    "power": lambda m: np.linalg.matrix_power(0.2 * m, 5),
    "first power": lambda m: np.linalg.matrix_power(m, 1) * m,
    "power of nothing": lambda m: np.linalg.matrix_power(m, 0) * m,
    "multi_dot": lambda m: np.linalg.multi_dot([m[0], m, m.T, m[:, 1]]) * np.linalg.multi_dot([m, m[:, :3]]),
    "trace": lambda m: np.trace(m) * m,
    "tensordot": lambda m: np.tensordot(m, m, ([0, 1], [1, 0])) * np.tensordot(m, m[0], 1),
    "einsum": lambda m: np.einsum("ij,kj,ik->i", m, m, m),
    "einsum of a diagonal": lambda m: np.einsum("ii->i", m) * np.einsum("ii", m),
    "einsum with dots": lambda m: np.einsum("...j,j->...", m.reshape(1, *m.shape), m[0]),
    "einsum with dots that broadcast": lambda m: np.einsum("...ij,...j", m[None], np.stack([m[0], m[1]])),
    "einsum by numbers": lambda m: np.einsum(m, [0, 1], m, [1, 2], [2, 0], optimize=True),
    "cross": lambda m: np.cross(m[:, :3], m[::-1, 1:4]),
    "cross with one": lambda m: np.cross(KERNEL, m[:3], axisb=0, axisc=0),
    "triangles": lambda m: np.tril(m, 1) + 2.0 * np.triu(m, -1),
    "trapezoid along rows": lambda m: np.trapezoid(m, np.arange(float(len(m))) ** 2, axis=0),
}
CASES = [
    *[pytest.param(f, (300,), (600,), id=name) for name, f in LINES.items()],
    *[pytest.param(f, (20, 20), (40, 40), id=name) for name, f in MATRICES.items()],
]


def argument(shape):
    return np.random.default_rng(5).normal(size=shape)


@pytest.mark.parametrize(("f", "shape", "larger"), CASES)
def test_whole_products(f, shape, larger):
    x = argument(shape)
    expected = f(x)
    found = cr.compile(f, backend="numpy")(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert np.shape(found) == np.shape(expected)
    weights = np.cos(np.arange(float(np.size(expected))))

    def loss(x):
        return np.sum(np.ravel(f(x)) * weights)

    slope, direction = cr.compile(cr.grad(loss), backend="numpy")(x), argument(larger)[tuple(map(slice, shape))]
    step = 1e-6 * direction
    difference = (loss(x + step) - loss(x - step)) / 2e-6
    assert np.sum(slope * direction) == pytest.approx(difference, rel=2e-6, abs=1e-5)


@pytest.mark.parametrize(("f", "shape", "larger"), CASES)
def test_steps_do_not_grow(f, shape, larger, monkeypatch):
    monkeypatch.setattr(tracer, "WHOLE", 3)  # of rows, too
    few, many = [len(cr.trace(f, argument(own)).steps) for own in (shape, larger)]
    assert few == many


def test_beyond_the_ends_nothing_is_multiplied():
    """An infinite weight meets numbers of the line alone, not 0 beyond its ends."""
    x, weights = np.abs(argument(300)), np.array([np.inf, 1.0, np.nan])
    for mode in ("full", "same", "valid"):
        found = cr.compile(lambda x, mode=mode: np.convolve(x, weights, mode))(x)
        np.testing.assert_array_equal(found, np.convolve(x, weights, mode))


UNTRACEABLE = {
    "numpy.fft.fft": (lambda x: np.fft.fft(x), "cosines"),
    "numpy.linalg.solve": (lambda x: np.linalg.solve(np.outer(x, x), x), "steps"),
    "numpy.linalg.det": (lambda x: np.linalg.det(np.outer(x, x)), "steps"),
    "numpy.linalg.norm": (lambda x: np.linalg.norm(np.outer(x, x), 2), "steps"),
    "numpy.interp": (lambda x: np.interp(x, np.arange(2.0), np.arange(2.0)), "searchsorted"),
    "numpy.sort": (lambda x: np.sort(x), "order"),
    "numpy.argsort": (lambda x: x.argsort(), "order"),
    "numpy.argmax": (lambda x: np.argmax(x), "order"),
    "numpy.argmin": (lambda x: x.argmin(), "order"),
    "numpy.median": (lambda x: np.median(x), "order"),
    "numpy.quantile": (lambda x: np.quantile(x, 0.3), "order"),
    "numpy.unique": (lambda x: np.unique(x), "order"),
    "numpy.searchsorted": (lambda x: x.searchsorted(0.5), "order"),
    "numpy.nonzero": (lambda x: np.nonzero(x), "where"),
    "numpy.gradient": (lambda x: np.gradient(x), "arithmetic"),
    "numpy.gcd": (lambda x: np.gcd(x, 2), "arithmetic"),
}


@pytest.mark.parametrize("n", [5, 300])
@pytest.mark.parametrize("name", UNTRACEABLE)
def test_what_asks_for_values_is_named_with_a_remedy(name, n):
    f, remedy = UNTRACEABLE[name]
    with pytest.raises(cr.TraceError, match=rf"{name} asked for it at .*test_products\.py, line \d+; .*{remedy}"):
        cr.trace(f, np.ones(n))


@pytest.mark.parametrize("n", [5, 300])
def test_other_errors_stay_numpys(n):
    with pytest.raises(ValueError, match="axis"):
        cr.trace(lambda x: np.sum(x, axis=3), np.ones(n))
    with pytest.raises(TypeError, match="unexpected keyword"):
        cr.trace(lambda x: np.sort(x, wrong=1), np.ones(n))
    xs = cr.array([cr.Var(2.0), cr.Var(1.0)])
    assert np.argmax(xs) == 0  # Vars have values
