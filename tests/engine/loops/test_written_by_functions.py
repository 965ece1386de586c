"""What NumPy's functions write in place, and the views they give, are the same for whole traced arrays as for NumPy's.

Each case is computed by NumPy with plain numbers, and compiled, for a few numbers and for a whole array.
"""

import chainrule as cr
import numpy as np
import pytest

THREE = np.arange(3)


def matrix(b):
    return b.reshape(4, -1)


def add_at(b, x):
    np.add.at(b, [0, 0, 1], x[3:6])


def at_a_part(b, x):
    np.multiply.at(b[:10], [1, 1, -1], x[3:6])
    np.maximum.at(matrix(b), (THREE, [0, 0, 1]), x[:3])
    np.negative.at(b, slice(2, 5))
    np.subtract.at(b, THREE, 2.0)


def put(b, x):
    np.put(b, [3, -1, 3], x[:3])
    np.put(b, [40_000, -2], [7.0], mode="clip")
    np.put(b[:8], [1], x[2])
    np.put(matrix(b).T, [5, 6], x[7])
    b.put([0, 1], [5.0, 6.0])


def put_along_axis(b, x):
    np.put_along_axis(matrix(b), np.array([[1], [0], [2], [2]]), x[:4].reshape(4, 1), 1)
    np.put_along_axis(b, np.array([9, 10]), x[:2] * 3.0, 0)
    np.put_along_axis(b[:5], np.array([1]), 4.0, None)


def place_and_putmask(b, x):
    np.place(b, np.arange(len(b)) % 3 == 0, x[:4])
    np.putmask(b, np.arange(len(b)) % 4 == 0, x * 2.0)
    if len(x) > 20:
        np.putmask(b, x > 0.5, [1.0, 2.0, 3.0])


def fill_diagonal(b, x):
    np.fill_diagonal(matrix(b), x[5])
    np.fill_diagonal(matrix(b)[:, 1:], x[:4])
    np.fill_diagonal(b[:4].reshape(2, 2), 8.0)


def flat(b, x):
    b.flat[3] = 7.0
    matrix(b).T.flat[5:7] = x[:2]
    b.flat[[0, 1]] = b.flat[6]


def all_of_flat(b, x):
    b.flat = x[1]


def real(b, x):
    b.real = x * 2.0


def nan_to_num(b, x):
    b[4] = np.nan
    np.nan_to_num(b, copy=False, nan=2.0)
    b[5] = np.inf
    np.nan_to_num(b[:7], copy=False, posinf=3.0)


def copyto(b, x):
    np.copyto(b, x * 3.0)
    np.copyto(b[::2], x[1::2])
    np.copyto(b, 1.0, where=np.arange(len(b)) < 3)
    np.copyto(b, x * 4.0, where=x > 0.7)


def ufunc_where(b, x):
    np.sin(x, out=b, where=np.arange(len(x)) % 2 == 0)
    np.maximum(b[:6], 0.0, where=np.arange(6) < 3, out=b[:6])
    np.add.reduce(matrix(x), axis=0, out=b[: len(b) // 4])


def where_conditions_hold(b, x):
    np.maximum(b, 1.0, where=x < 0.5, out=b)
    np.add(b[:5], 1.0, where=x[:5] < -0.9, out=b[:5])


def ufunc_of_few(b, x):
    np.add(x[:1], 1.0, out=b)


WRITES = [
    *(add_at, at_a_part, put, put_along_axis, place_and_putmask, fill_diagonal, flat, all_of_flat, real, nan_to_num),
    *(copyto, ufunc_where, where_conditions_hold, ufunc_of_few),
]

OUT = {
    "cumsum": lambda b, x: np.cumsum(x, out=b),
    "cumsum by place": lambda b, x: np.cumsum(x, 0, None, b),
    "cumprod": lambda b, x: np.cumprod(x, out=b),
    "method cumsum": lambda b, x: x.cumsum(out=b),
    "clip": lambda b, x: np.clip(x, -0.5, 0.5, out=b),
    "clip by place": lambda b, x: np.clip(x, -0.5, 0.5, b),
    "method clip": lambda b, x: x.clip(-0.5, 0.5, out=b),
    "round": lambda b, x: np.round(x, 1, out=b),
    "take": lambda b, x: np.take(x, np.arange(len(x))[::-1], out=b),
    "method take": lambda b, x: x.take(np.arange(len(x))[::-1], out=b),
    "concatenate": lambda b, x: np.concatenate([x[3:], x[:3]], out=b),
    "concatenate by place": lambda b, x: np.concatenate([x[3:], x[:3]], 0, b),
    "stack": lambda b, x: np.stack([x[::2], x[1::2]], out=b.reshape(2, -1)),
    "dot": lambda b, x: np.dot(np.eye(len(x)), x, b),
    "einsum": lambda b, x: np.einsum("i,i->i", x, x, out=b),
    "outer": lambda b, x: np.outer(x[:4], x[: len(x) // 4], out=matrix(b)),
    "compress": lambda b, x: np.compress(np.arange(len(x)) < 5, x, out=b[2:7]),
    "sum": lambda b, x: np.sum(matrix(x), axis=0, out=b[: len(b) // 4]),
    "method mean": lambda b, x: matrix(x).mean(axis=0, out=b[: len(b) // 4]),
    "max": lambda b, x: np.max(matrix(x), axis=1, out=b[:4]),
    "of rows": lambda b, x: np.cumsum(x.reshape(2, -1), axis=1, out=b.reshape(2, -1)),
    "into columns": lambda b, x: np.cumsum(matrix(x).T, axis=1, out=matrix(b).T),
    "of few": lambda b, x: np.cumsum(x[:5], out=b[1:6]),
    "choose": lambda b, x: np.choose(np.zeros(len(x), int), [x * 2.0, x], out=b),
    "method compress": lambda b, x: x.compress(np.arange(len(b)) > 1, out=b[2:]),
    "matmul": lambda b, x: np.matmul(np.eye(len(x)), x, out=b),
}

PARTS = {
    "split": lambda b: np.split(b, 2)[1],
    "array_split": lambda b: np.array_split(b, 3)[1],
    "hsplit": lambda b: np.hsplit(matrix(b), 2)[1],
    "vsplit": lambda b: np.vsplit(matrix(b), 2)[0],
    "atleast_2d": np.atleast_2d,
    "atleast_3d": np.atleast_3d,
    "rot90": lambda b: np.rot90(matrix(b)),
    "flip": np.flip,
    "fliplr": lambda b: np.fliplr(matrix(b)),
    "real": np.real,
    "real, the attribute": lambda b: b.real,
    "view": lambda b: b.view(),
    "einsum": lambda b: np.einsum("ij->ji", matrix(b)),
    "astype": lambda b: b.astype(float, copy=False),
    "astype, a copy": lambda b: b.astype(float),
    "reshape": matrix,
    "reshape of columns": lambda b: matrix(b).T.reshape(-1),
    "reshape of some": lambda b: matrix(b)[:, :2].reshape(-1),
    "reshape, in columns": lambda b: b.reshape((4, -1), order="F"),
    "reshape of a matrix, in columns": lambda b: matrix(b).reshape((2, -1), order="F"),
    "ravel": lambda b: matrix(b).ravel(),
    "ravel of some": lambda b: matrix(b)[:, 1:].ravel(),
    "ravel of columns": lambda b: matrix(b).T.ravel(),
    "ravel of columns, in columns": lambda b: matrix(b).T.ravel(order="F"),
    "ravel, in columns": lambda b: matrix(b).ravel(order="F"),
    "ravel, as it lies": lambda b: matrix(b).T.ravel(order="K"),
    "flatten": lambda b: matrix(b).flatten(),
    "moveaxis": lambda b: np.moveaxis(matrix(b), 0, 1),
    "moveaxis, reshaped": lambda b: np.moveaxis(matrix(b), 0, 1).reshape(-1),
    "swapaxes": lambda b: matrix(b).swapaxes(0, 1),
    "rows at distances": lambda b: matrix(b)[[0, 2]],
    "all by index": lambda b: b[np.arange(len(b) - 1)],
    "take": lambda b: np.take(b, np.arange(len(b) - 1)),
    "chainrule's take": lambda b: cr.take(b, np.arange(len(b) - 1)),
    "broadcast_arrays": lambda b: np.broadcast_arrays(b, 1.0)[0],
    "sum along one": lambda b: np.sum(b.reshape(-1, 1), axis=1),
    "add.reduce along one": lambda b: np.add.reduce(b.reshape(-1, 1), axis=1),
    "squeeze": lambda b: np.squeeze(b.reshape(1, -1)),
    "method squeeze": lambda b: b.reshape(1, -1).squeeze(),
    "expand_dims": lambda b: np.expand_dims(b, 0),
    "copy": np.copy,
    "concatenate of one": lambda b: np.concatenate([b]),
    "where": lambda b: np.where(True, b, b),
    "positive": np.positive,
    "clip without ends": lambda b: np.clip(b, None, 9.0),
    "roll by 0": lambda b: np.roll(b, 0),
    "tile once": lambda b: np.tile(b, 1),
    "repeat once": lambda b: np.repeat(b, 1),
    "pad by 0": lambda b: np.pad(b, 0),
    "nan_to_num": np.nan_to_num,
}

READ = PARTS | {
    "diag": lambda b: np.diag(matrix(b)),
    "diagonal": lambda b: np.diagonal(matrix(b)),
    "method diagonal": lambda b: matrix(b).diagonal(1),
    "einsum of the diagonal": lambda b: np.einsum("ii->i", b[:9].reshape(3, 3)),
    "asarray": np.asarray,
    "ascontiguousarray": np.ascontiguousarray,
    "array": np.array,
    "broadcast_to": lambda b: np.broadcast_to(b, (2, len(b))),
    "sliding_window_view": lambda b: np.lib.stride_tricks.sliding_window_view(b, 3),
}


def same(f, n):
    x = np.linspace(-1.0, 1.3, n)
    plain = f(x.copy())
    found = cr.compile(f)(x)
    assert np.shape(found) == plain.shape
    np.testing.assert_allclose(np.asarray(found, float), plain, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("n", [16, 320])
@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_functions_write_in_place(write, n):
    def f(x):
        b = x + 1.0
        before = b * 1.0
        write(b, x)
        return b + 10.0 * before

    same(f, n)


@pytest.mark.parametrize("n", [16, 320])
@pytest.mark.parametrize("name", OUT)
def test_out_is_written_to_and_given_back(name, n):
    def f(x):
        b = x + 1.0
        found = OUT[name](b, x)
        return b + 10.0 * np.sum(found)

    same(f, n)


@pytest.mark.parametrize("n", [16, 320])
@pytest.mark.parametrize("name", PARTS)
def test_a_write_to_what_a_function_gives(name, n):
    def f(x):
        b = x.copy()
        v = PARTS[name](b)
        v[...] = v * 2.0
        v[0] = x[3]
        return b + 10.0 * np.sum(v)

    same(f, n)


@pytest.mark.parametrize("n", [16, 320])
@pytest.mark.parametrize("name", READ)
def test_what_a_function_gives_after_a_write(name, n):
    def f(x):
        b = x.copy()
        b[1] = x[4]
        v = READ[name](b)
        b[0] = 9.0
        b[5:] = b[5:] * 3.0
        return v * 1.0

    same(f, n)


@pytest.mark.parametrize("n", [16, 320])
@pytest.mark.parametrize(
    "write",
    [
        lambda b, x: np.add.at(b, np.arange(len(x)), x),
        lambda b, x: np.put(b, np.arange(len(x)), x),
        lambda b, x: np.put_along_axis(b, np.arange(len(x)), x, 0),
        lambda b, x: np.copyto(b, x),
        lambda b, x: np.copyto(b, x, where=x > 0.0),
        lambda b, x: np.cumsum(x, out=b),
    ],
)
def test_arrays_made_like_a_traced_one_are_written_to(write, n):
    def f(x):
        b = np.zeros_like(x)
        write(b, x)
        return b * 2.0

    same(f, n)


REFUSED = {
    "numpy.put of a traced array takes an index that is known": lambda b, x: np.put(b, x[:3], 1.0),
    "numpy.place of a traced array takes a mask that is known": lambda b, x: np.place(b, x > 0.0, [1.0]),
    "numpy.add.at of a traced array takes an index that is known": lambda b, x: np.add.at(b, x, 1.0),
    "numpy.copyto was to write traced numbers to an array of float64": lambda b, x: np.copyto(np.zeros(len(x)), x),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_a_trace_can_not_write_is_refused(message):
    def f(x):
        b = x.copy()
        REFUSED[message](b, x)
        return b

    with pytest.raises(cr.TraceError, match=message):
        cr.compile(f)(np.linspace(-1.0, 1.3, 320))


@pytest.mark.parametrize("give", [np.asarray, np.ascontiguousarray, np.require])
def test_arrays_that_numpy_makes_only_read(give):
    def f(x):
        b = x.copy()
        give(b)[0] = 3.0
        return b

    with pytest.raises(ValueError, match="read-only"):
        cr.compile(f)(np.linspace(-1.0, 1.3, 320))


@pytest.mark.parametrize("n", [16, 320])
def test_a_function_that_is_one_step_may_not_write_to_its_arguments(n):
    def written(k, m):
        k[2] = m["a"] * 3.0
        return k * 2.0

    def copied(k, m):
        k = k.copy()
        k[2] = m["a"] * 3.0
        return k * 2.0

    x = np.linspace(-1.0, 1.3, n)
    with pytest.raises(cr.TraceError, match="written wrote to its argument"):
        cr.compile(lambda x: cr.function(written)(x.copy(), {"a": x[0]}))(x)
    found = cr.compile(lambda x: cr.function(copied)(x.copy(), {"a": x[0]}))(x)
    np.testing.assert_array_equal(found, copied(x, {"a": x[0]}))


@pytest.mark.parametrize("n", [16, 320])
def test_counts_of_conditions(n):
    same(lambda x: np.count_nonzero(x > 0.0) * 1.0, n)
    same(lambda x: np.count_nonzero(x.reshape(4, -1) > 0.0, axis=1, keepdims=True) * 1.0, n)


@pytest.mark.parametrize("n", [16, 320])
def test_sinc_of_what_has_no_sine_is_nan(n):
    x = np.linspace(-3.0, 3.3, n)
    x[:4] = np.inf, -np.inf, np.nan, 0.0
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(cr.compile(np.sinc)(x), np.sinc(x), atol=1e-15)


def test_sinc_of_a_number():
    slope = (np.cos(np.pi / 2) - np.sinc(0.5)) / 0.5
    assert np.sinc(cr.Var(0.5)).value == pytest.approx(np.sinc(0.5))
    assert cr.compile(np.sinc)(0.5) == pytest.approx(np.sinc(0.5))
    assert cr.grad(lambda a: np.sinc(a))(0.5) == pytest.approx(slope)
    found = cr.compile(lambda x: cr.map(lambda a: np.sinc(a), x))(np.array([0.5, 0.25]))
    np.testing.assert_allclose(found, np.sinc([0.5, 0.25]))
