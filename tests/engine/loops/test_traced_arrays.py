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
    "rolled": (
        lambda x: np.roll(x, 1, axis=0) * x + np.roll(x, 2) - np.flip(x, 1) + np.diff(x, axis=1, append=1.0)[:, :3],
        A,
    ),
    "differences": (lambda x: np.diff(x) ** 2 * np.diff(x, n=2).sum() + x[1:], V),
    "repeated": (
        lambda x: np.repeat(x, 2, axis=1) * np.tile(x, 2) + np.tile(x, (2, 1)).sum() + np.repeat(x, 2).sum(),
        A,
    ),
    "broadcast": (lambda x: np.broadcast_to(x, (4, 3)) * A + np.expand_dims(x, 0) + np.squeeze(x[:, None]), W),
    "rows by index": (lambda x: x[np.array([0, 2, 2, -1])] * x[[3, 1, 0, 0]], A),
    "columns by index": (lambda x: np.take(x, [2, 0, 2], axis=1) ** 2 + x[:, [0, 0, 1]], A),
    "pairs by index": (lambda x: x[np.arange(4), [0, 2, 1, -1]] ** 2 + x[[[0], [3]], [1, 2]].sum(), A),
    "index between": (
        lambda x: x[:, [0, 2], 1:] * x[1, :, 2][[0, 1]][None, :, None] + x[0, [1, 1]][:, [0, 1, 2]][None],
        T,
    ),
    "iterated": (lambda x: sum(row * row[0] for row in x) + len(x) + np.array([row.sum() for row in x])[:3], A),
    "log-sum-exp": (lambda x: np.log(np.sum(np.exp(x - x.max()))) + x.max(), V),
    "split": (lambda x: np.split(x, 3)[1] * np.split(x, [4, 8])[2] + x.shape[0] + x.ndim + x.size, V),
    "scaled rows": (lambda x: x / np.sqrt((x**2).sum(axis=1, keepdims=True)), A),
}


PROGRAMS |= {
    "numbers on the left": (
        lambda x: x[0, 0] * x + np.multiply(x[1, 1], x) + np.float64(3.0) / (2 + x**2) + [1, 2, 3] * x,
        A,
    ),
    "any and all": (
        lambda x: np.where(np.any(x > 1.0, axis=0), x, 2 * x) + np.where(np.all(x < 3.0), x, 1.0) + np.mean(x > 0),
        A,
    ),
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
    pairs = (
        zip(found, product, strict=True)
        if len(args) > 1
        else [(found, product[0] if isinstance(product, tuple) else product)]
    )
    for own, expected in pairs:
        alike(own, expected)


# The same of chainrule's own functions, which serve arrays of floats and of Vars, too.
OWN = {
    "rows": (
        lambda x, y: cr.sin(x) * cr.maximum(x, y) + cr.where(x > y, cr.tanh(x), cr.sigmoid(y)) + cr.leaky_relu(x, 0.1),
        A,
        C,
    ),
    "rows of numbers and arrays": (lambda x: cr.hypot(2.0, x) + cr.maximum(0.3, x) + cr.selu(x) + cr.hardtanh(x), V),
    "sums": (lambda x: cr.sum(x, axis=0) + cr.sum(x) + cr.mean(x, axis=1, keepdims=True), A),
    "norms": (lambda x: cr.norm(x, axis=1) * cr.norm(x) + cr.norm(x[0]), A),
    "products": (lambda x: cr.prod(x, axis=0) + cr.prod(x) + cr.prod(x[0]), A),
    "dot": (lambda x, y: cr.dot(x, y) + cr.dot(x[0], y[:, 0]), A, B),
    "logsumexp": (lambda x: cr.logsumexp(x, axis=1) + cr.logsumexp(x) + cr.logsumexp(x[0]), A),
    "softmax": (lambda x: cr.softmax(x) * cr.softmax(x, axis=0) + cr.softmax(x[0]), A),
    "log_softmax": (lambda x: cr.log_softmax(x) * cr.log_softmax(x, axis=0) + cr.log_softmax(x[0]), A),
    "take": (
        lambda x: (
            cr.take(x, [0, 2, 2]) * cr.take(x, 1)
            if isinstance(x, list)
            else cr.take(x, np.array([0, 2, -1])) * cr.take(x, 1.0)
        ),
        A,
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_own_functions_serve_all_arrays_alike(name, whole):
    f, *args = OWN[name]
    args = tuple(args)
    total, places = weighed(f), tuple(range(len(args)))
    plain = f(*args)
    assert isinstance(plain, np.ndarray) and plain.dtype == float
    value, gradient, product = eagerly(f, args)
    alike(value, weighed(f)(*args))
    found = cr.trace(f, *args)(*args)
    assert np.shape(found) == plain.shape
    alike(found, plain)
    own = cr.compile(cr.value_and_grad(total, places), backend="numpy")(*args)
    alike(own[0], value)
    for mine, expected in zip(own[1], gradient, strict=True):
        alike(mine, expected)
    second = cr.compile(lambda *xs: cr.hvp(total, xs[: len(args)], xs[len(args) :]), backend="numpy")
    mine = second(*args, *directions(args))
    for one, expected in zip(mine if len(args) > 1 else (mine,), product if len(args) > 1 else (product,), strict=True):
        alike(one, expected)


INDICES = {
    "rows": lambda x, i, j: x[i] ** 2,
    "pairs": lambda x, i, j: x[i, j] ** 2,
    "columns": lambda x, i, j: x[:, j] * x[1, j],
    "one row": lambda x, i, j: x[i[0]][:2] * x[i[1], 2] + x[j[0], 1:],
    "by take": lambda x, i, j: cr.take(x, i) * cr.take(A, j)[:, :1] + cr.take(x, i[2]),
    "of constants": lambda x, i, j: cr.take(A, i) * x[j],
}


@pytest.mark.parametrize("name", INDICES)
def test_traced_numbers_are_indices(name, whole):
    f = INDICES[name]
    i, j = np.array([3, 0, 3, -1]), np.array([0, 2, -1, 2])
    expected = f(A, i, j)
    program = cr.trace(f, A, i * 1.0, j * 1.0)
    alike(program(A, i, j), expected)
    total = lambda x, i, j: weighed(f)(x, i, j)  # noqa: E731
    found = cr.compile(cr.grad(total), backend="numpy")(A, i * 1.0, j * 1.0)
    alike(found, cr.grad(lambda x: weighed(lambda x: f(x, i, j))(x))(A))


def test_variables_that_a_function_closes_over_meet_arrays():
    v, x = cr.Var(0.7), np.abs(RNG.normal(size=(20, 20))) + 0.1
    f = lambda x: (v * x + v / x - x / v + x**v + cr.maximum(v, x) + cr.array([v] * 20) * x).sum()  # noqa: E731
    found, expected = cr.compile(f, backend="numpy")(x), f(x)
    alike(found.value, expected.value)
    found.backward()
    own, v.grad = v.grad, 0.0
    f(x).backward()
    alike(own, v.grad)


def test_constants_out_of_range_are_refused():
    with pytest.raises(IndexError, match="index 1000 is out of bounds for axis 0 with size 1000"):
        cr.trace(lambda x: x[np.array([0, 1000])], np.ones(1000))
    with pytest.raises(IndexError, match="too many indices"):
        cr.trace(lambda x: x[0, 0], np.ones(1000))


def test_what_cannot_be_done_says_what_to_do():
    def writes(x):
        x[x[0]] = 1.0

    for f, error, message in [
        (writes, cr.TraceError, "traced index.*numpy.where"),
        (lambda x: x[x > 0], cr.TraceError, "chainrule.where"),
        (lambda x: np.argmax(x), cr.TraceError, "no value yet"),
        (lambda x: 1.0 if x > 0 else 2.0, cr.TraceError, "where"),
    ]:
        with pytest.raises(error, match=message):
            cr.trace(f, np.ones(1000))


def test_large_programs_do_not_grow_with_the_arrays():
    """Steps are counted: what a trace costs follows the code."""

    def log_sum_exp(x):
        top = np.max(x)
        return np.log(np.sum(np.exp(x - top))) + top

    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    for f in (lambda x: np.sum(np.sin(x) * x), rosenbrock, log_sum_exp, cr.logsumexp, cr.norm, cr.prod):
        lengths = {size_of_program(cr.trace(cr.value_and_grad(f), np.ones(n))) for n in (1_000, 100_000)}
        assert len(lengths) == 1, f
    product = cr.value_and_grad(lambda a, b: np.tanh(a @ b).sum(), (0, 1))
    lengths = {size_of_program(cr.trace(product, np.ones((n, n)), np.ones((n, n)))) for n in (32, 300)}
    assert len(lengths) == 1


def size_of_program(program):
    """Count all steps, those of loops too."""
    return sum(1 for _ in program.rows_and_loops())


def test_maps_that_follow_each_other_are_one():
    from chainrule.rewriting import prepared

    program = prepared(cr.trace(cr.value_and_grad(lambda x: np.sum(np.sin(x) * x)), np.ones(1000)), [False])
    assert len(program) == 1
    product = cr.value_and_grad(lambda a, b: np.tanh(a @ b).sum(), (0, 1))
    assert len(prepared(cr.trace(product, np.ones((30, 40)), np.ones((40, 20))), [False, False])) == 1


def test_differences_agree_with_gradients_of_large_arrays():
    rng = np.random.default_rng(3)
    x, d = rng.normal(size=(60, 20)), rng.normal(size=(60, 20))

    def f(x):
        hidden = np.tanh(x @ x[:20].T + x[:, 0][:, None])
        return np.mean(cr.logsumexp(hidden, axis=1) - hidden[np.arange(60), np.arange(60) % 20]) + np.linalg.norm(x)

    value, gradient = cr.compile(cr.value_and_grad(f), backend="numpy")(x)
    h = 1e-6
    alike(value, f(x))
    np.testing.assert_allclose((gradient * d).sum(), (f(x + h * d) - f(x - h * d)) / (2 * h), 1e-7)
