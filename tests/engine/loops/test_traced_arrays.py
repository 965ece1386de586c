"""Whole traced arrays behave as NumPy's, in value and in derivatives of both orders."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import tracer

RNG = np.random.default_rng(5)
A, B, C = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5)), RNG.normal(size=(4, 3))
V, W = RNG.normal(size=12), RNG.normal(size=3)
T = RNG.normal(size=(2, 3, 4))
P = np.abs(V) + 0.5

# Each a function of NumPy's, and the arguments that it gets.
PROGRAMS = {
    "arithmetic": (lambda x, y: (x + y * 2 - 3 / (x * x + 2)) ** 2, A, C),
    "reflected": (lambda x: 2 ** (1 - x) - x / 3 + 5 % (x * x + 1) + (-x) // 0.7, V),
    "constant arrays": (lambda x: C * x - x @ B.T[:3] + np.ones((4, 1)) / (2 + x**2), A),
    "broadcast rows": (lambda x, y: x * y + y, A, W),
    "broadcast columns": (lambda x, y: x / (2 + y[:, None] ** 2), A, W[:1] + np.arange(4.0)),
    "broadcast a number": (lambda x, y: x * y[2] + y[0], A, W),
    "outer": (lambda x, y: np.outer(x, y) + np.add.outer(y, x).T, V, W),
    "functions": (lambda x: np.sin(x) * np.exp(-x) + np.tanh(x) - np.arctan(x) + np.log1p(x * x) + np.hypot(x, 1.5), V),
    "methods": (lambda x: np.abs(x) + np.square(x) + np.sign(x) + np.maximum(x, 0.1) + np.minimum(x, np.cos(x)), V),
    "roots": (lambda x: np.sqrt(x) + np.cbrt(x) + np.power(x, 1.5) + np.reciprocal(x) + np.log(x), P),
    "slices": (lambda x: x[1:] * x[:-1] - x[::-1][:-1] + x[::2].sum() + x[-3], V),
    "slices of matrices": (lambda x: x[1:, ::2] + x[:-1, [0, 2]] * x[-1, -1] + x[..., 1][1:, None], A),
    "new axes": (lambda x: x[:, None, :] * x[None, :, :] + x[..., np.newaxis][:4, :1, 0][:, None], A),
    "rosenbrock": (lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), V),
    "transposed": (lambda x, y: x.T * y.T + np.sin(x.T) + np.swapaxes(y, 0, 1), A, C),
    "transposed sums": (lambda x: x.T.sum(axis=0) * x.sum(1) + (x.T @ np.ones(4)).sum(), A),
    "reshapes": (lambda x: x.reshape(3, 4).T.ravel() * x.reshape(-1) + x.reshape((2, -1)).flatten(), V),
    "three axes": (lambda x: x.transpose(2, 0, 1) @ np.moveaxis(x, 0, 2)[:, 1] + x.sum(axis=(0, 1))[:, None, None], T),
    "sums": (lambda x: x.sum() + x.sum(axis=0) @ np.ones(3) + x.sum(axis=-1, keepdims=True) * x, A),
    "means": (lambda x: np.mean(x, axis=0) + np.mean(x, keepdims=True) - x.mean(), A),
    "deviations": (lambda x: (x - x.mean(0)) / x.std(axis=0) + np.var(x, ddof=1), A),
    "products": (lambda x: np.prod(x) + x.prod(axis=1) + np.prod(x, axis=0).sum(), A),
    "greatest": (lambda x: np.max(x) * x.min(axis=1) + np.max(x, axis=0).sum() + np.ptp(x), A),
    "running": (lambda x: np.cumsum(x, axis=1) * np.cumsum(x).reshape(4, 3) + np.cumprod(x, axis=0), A),
    "norms": (lambda x: np.linalg.norm(x) + np.linalg.norm(x, axis=1) + np.linalg.norm(x, 1, 0).sum(), A),
    "matrix products": (lambda x, y: np.tanh(x @ y).sum() + (y.T @ x.T)[0, 0], A, B),
    "matrix and vector": (lambda x, y: x @ y + (y @ x.T) ** 2 + x.T @ (x @ y) @ y, A, W),
    "matrices in stacks": (lambda x: x @ np.swapaxes(x, 1, 2) + np.ones((3, 3)) @ x[:, :, :3] @ np.ones((3, 3)), T),
    "dot": (lambda x, y: np.dot(x, y) + np.dot(x[0], y[:, 0]) + np.vdot(x, x) + np.inner(x, x)[0, 0] * 2.0, A, B),
    "einsum": (lambda x, y: np.einsum("ij,jk->ki", x, y) + np.einsum("ij,ij->", x, x) + np.trace(x[:3]), A, B),
    "tensordot": (lambda x, y: np.tensordot(x, y, 1) + np.tensordot(x, y, ([1], [0])), A, B),
    "put together": (lambda x, y: np.concatenate([x[:2], y, x[::-1]]) * np.vstack([x, x, y])[:10], A, C),
    "stacked": (lambda x, y: np.stack([x, y, x * y], axis=1) + np.hstack([x, y]).reshape(4, 2, 3)[:, :1], A, C),
    "padded": (lambda x: np.pad(x, ((1, 2), (0, 1))) + np.pad(x, ((1, 2), (0, 1)), mode="edge"), A),
    "padded by a constant": (lambda x: np.pad(x, 2, constant_values=1.5) * np.pad(x, 2, mode="reflect"), A),
    "chosen": (lambda x, y: np.where(x > y, x * y, np.sin(x)) + np.where(x > 0, 1.0, x) + np.clip(x, -0.5, 0.5), A, C),
    "conditions joined": (lambda x: np.where((x > -1) & ~(x > 0.5) | (x == 2), x**3, 0.0), V),
    "by a constant mask": (lambda x: np.where(C > 0, x, 2 * x)[C[:, 0] > 0] + x[C > 0].sum(), A),
    "rolled": (lambda x: np.roll(x, 1, axis=0) * x + np.roll(x, 2) - np.flip(x, 1) + np.diff(x, axis=1, append=1.0)[:, :3], A),
    "differences": (lambda x: np.diff(x) ** 2 * np.diff(x, n=2).sum() + x[1:], V),
    "repeated": (lambda x: np.repeat(x, 2, axis=1) * np.tile(x, 2) + np.tile(x, (2, 1)).sum() + np.repeat(x, 2).sum(), A),
    "broadcast": (lambda x: np.broadcast_to(x, (4, 3)) * A + np.expand_dims(x, 0) + np.squeeze(x[:, None]), W),
    "rows by index": (lambda x: x[np.array([0, 2, 2, -1])] * x[[3, 1, 0, 0]], A),
    "columns by index": (lambda x: np.take(x, [2, 0, 2], axis=1) ** 2 + x[:, [0, 0, 1]], A),
    "pairs by index": (lambda x: x[np.arange(4), [0, 2, 1, -1]] ** 2 + x[[[0], [3]], [1, 2]].sum(), A),
    "index between": (lambda x: x[:, [0, 2], 1:] * x[1, :, 2][[0, 1]][None, :, None] + x[0, [1, 1]][:, [0, 1, 2]][None], T),
    "iterated": (lambda x: sum(row * row[0] for row in x) + len(x) + np.array([row.sum() for row in x])[:3], A),
    "log-sum-exp": (lambda x: np.log(np.sum(np.exp(x - x.max()))) + x.max(), V),
    "split": (lambda x: np.split(x, 3)[1] * np.split(x, [4, 8])[2] + x.shape[0] + x.ndim + x.size, V),
    "scaled rows": (lambda x: x / np.sqrt((x**2).sum(axis=1, keepdims=True)), A),
}


@pytest.fixture(params=[1, 4, 256], ids="whole from {}".format)
def whole(request, monkeypatch):
    monkeypatch.setattr(tracer, "WHOLE", request.param)


def weighed(f):
    """Return the function that adds up all results, each by a weight of its own."""

    def total(*args):
        found = f(*args)
        weights = np.cos(np.arange(float(np.size(found)))).reshape(np.shape(found))
        return (found * weights).sum() if np.ndim(found) else found

    return total


def eagerly(f, args):
    """Return the value, the gradient and the second derivatives along one direction, number by number."""
    total, places = weighed(f), tuple(range(len(args)))
    value, gradient = cr.value_and_grad(total, places)(*args)
    return value, gradient, cr.hvp(total, args, directions(args))


def directions(args):
    return tuple([np.sin(1.0 + np.arange(float(x.size))).reshape(x.shape) for x in args])


def alike(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    np.testing.assert_allclose(found, expected, 1e-9, 1e-9 * max(1.0, np.abs(expected).max(initial=0.0)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_numpy(name, whole):
    f, *args = PROGRAMS[name]
    expected = f(*args)
    found = cr.trace(f, *args)(*args)
    assert np.shape(found) == np.shape(expected)
    alike(found, expected)


@pytest.mark.parametrize("backend", ["numpy"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_are_those_of_numbers(name, backend, whole):
    f, *args = PROGRAMS[name]
    args = tuple(args)
    total, places = weighed(f), tuple(range(len(args)))
    value, gradient, product = eagerly(f, args)
    compiled = cr.compile(cr.value_and_grad(total, places), backend=backend)
    own, found = compiled(*args)
    alike(own, value)
    for own, expected in zip(found, gradient, strict=True):
        alike(own, expected)
    second = cr.compile(lambda *xs: cr.hvp(total, xs[: len(args)], xs[len(args) :]), backend=backend)
    found = second(*args, *directions(args))
    pairs = zip(found, product, strict=True) if len(args) > 1 else [(found, product[0] if isinstance(product, tuple) else product)]
    for own, expected in pairs:
        alike(own, expected)
