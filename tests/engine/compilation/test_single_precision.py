"""`compile(dtype="float32")`: float32 in and out, errors of a few units in the last place, everything else as ever."""

import copy
import dataclasses
import pickle

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

pytest.importorskip("llvmlite")
from chainrule.backends import buffers
from chainrule.backends.llvm import emission
from chainrule.backends.llvm.machine import host
from chainrule.floats import DOUBLE, SINGLE

EPS = 2.0**-24


def agree(f, *args, tolerance=50 * EPS, **options):
    """Compare all backends with doubles, on the same rounded arguments; return what the last one gave."""
    exact = cr.compile(f, backend="llvm", **options)(*[rounded(arg) for arg in args])
    for backend in BACKENDS:
        found = cr.compile(f, backend=backend, dtype="float32", **options)(*args)
        for own, right in zip(leaves(found), leaves(exact), strict=True):
            assert type(own) is type(right) and np.shape(own) == np.shape(right)
            if isinstance(own, np.ndarray):
                assert own.dtype == np.float32
            np.testing.assert_allclose(own, right, rtol=tolerance, atol=tolerance * np.max(np.abs(right), initial=0.0))
    return found


def rounded(arg):
    if isinstance(arg, list):
        return [rounded(item) for item in arg]
    return np.float32(arg).astype(float) if isinstance(arg, np.ndarray) else float(np.float32(arg))


def leaves(tree):
    return [leaf for item in tree for leaf in leaves(item)] if isinstance(tree, (list, tuple)) else [tree]


# ---- programs ----


def network(w, v, x, y):
    return (cr.dot(v, cr.tanh(w @ x)) - y) ** 2


def inputs(n):
    rng = np.random.default_rng(0)
    return (
        (rng.normal(size=(24, 16)) * 0.3).astype(np.float32),
        (rng.normal(size=24) * 0.3).astype(np.float32),
        rng.normal(size=(n, 16)).astype(np.float32),
        rng.normal(size=n).astype(np.float32),
    )


@pytest.mark.parametrize("n", [1, 15, 16, 17, 64, 65, 300])
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_gradients_over_batches(n, reduce):
    agree(cr.value_and_grad(network, (0, 1)), *inputs(n), batch=(2, 3), reduce=reduce)


def test_scans_branches_and_loops_that_end_apart():
    x = np.linspace(0.1, 3.0, 37).astype(np.float32)
    ts = np.linspace(0.0, 1.0, 300).astype(np.float32)
    agree(lambda c, t: cr.scan(lambda c, t: (cr.tanh(c + t), c * t), c, t), 0.5, ts)
    agree(cr.grad(lambda c, t: cr.scan(lambda c, t: (cr.sin(c + t), c), c, t)[0], 1), 0.5, ts)
    agree(lambda x: cr.while_loop(lambda c: c < 50.0, lambda c: c * 1.25, x), x, batch=(0,))
    agree(lambda x: cr.cond(x < 1.0, lambda: cr.exp(x), lambda: cr.log(x)), x, batch=(0,))
    agree(lambda x, n: cr.fori_loop(0, n, lambda i, c: c * x + i, 1.0, limit=9), x, np.round(x), batch=(0, 1))


def test_sums_products_and_shares_of_long_arrays():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 700)).astype(np.float32)
    a, b = rng.normal(size=(300, 40)).astype(np.float32), rng.normal(size=(40, 30)).astype(np.float32)
    for f in (cr.sum, cr.logsumexp, cr.norm, cr.softmax, cr.grad(cr.logsumexp), cr.grad(cr.norm)):
        agree(f, x)
    agree(cr.value_and_grad(cr.dot, (0, 1)), x, y)
    agree(cr.value_and_grad(lambda a, b: cr.sum((a @ b) ** 2), (0, 1)), a, b)
    agree(lambda x: [cr.mean(x), cr.sum(x[::7]), x[5]], x)


@pytest.mark.parametrize("scale", [1e-43, 1e-38, 1e-25, 1.0, 1e25, 1e38])
@pytest.mark.parametrize("count", [3, 600])
def test_norms_neither_overflow_nor_vanish(scale, count):
    x = np.float32(np.resize([3.0, 0.0, -1.0], count) * scale / np.sqrt(count))
    right = float(np.sqrt(np.sum(x.astype(float) ** 2)))
    for backend in BACKENDS:
        found, slopes = cr.compile(cr.value_and_grad(cr.norm), backend=backend, dtype="float32")(x)
        assert found == pytest.approx(right, rel=40 * EPS, abs=2.0**-149)
        if scale > 1e-37:
            np.testing.assert_allclose(slopes, x / right, rtol=1e-5, atol=1e-7)
    for backend in BACKENDS:
        assert cr.compile(cr.norm, backend=backend, dtype="float32")(0 * x) == 0.0


def test_an_exact_zero_is_stronger_than_what_overflows():
    f = cr.grad(lambda x, y: cr.sum([cr.exp(x[k]) * y for k in range(2)]))
    for backend in BACKENDS:
        found = cr.compile(f, backend=backend, dtype="float32")(np.float32([100.0, 1.0]), 0.0)
        np.testing.assert_array_equal(found, [0.0, 0.0])


def test_numbers_beyond_the_range_are_infinite_and_constants_are_rounded_once():
    for backend in ("llvm", "numpy"):
        f = cr.compile(lambda x: [x * 1e300, x * 1e-300, x + 0.1, x * 1e39], backend=backend, dtype="float32")
        assert f(1.0) == [np.inf, 0.0, float(np.float32(1.0) + np.float32(0.1)), np.inf]
    assert cr.compile(lambda x: x, backend="llvm", dtype="float32")(1e300) == np.inf


def test_large_tables_of_constants():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 32))
    agree(lambda x: a @ x, rng.normal(size=32).astype(np.float32))


# ---- sums over a batch ----


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_sums_over_large_batches_lose_no_more_than_small_ones(backend, threads):
    x = np.full(1_000_003, 0.1, np.float32)
    right = float(np.float32(0.1)) * len(x)
    straight = cr.compile(lambda x: x, batch=(0,), reduce="sum", backend=backend, dtype="float32", threads=threads)
    assert straight(x) == pytest.approx(right, rel=100 * EPS)
    loops = cr.compile(
        lambda w, x: cr.sum(w * x), batch=(1,), reduce="sum", backend=backend, dtype="float32", threads=threads
    )
    assert loops(np.ones(300, np.float32), x[:20_003]) == pytest.approx(
        300 * float(np.float32(0.1)) * 20_003, rel=400 * EPS
    )
    mean = cr.compile(lambda x, y: [x, y], batch=(0,), reduce="mean", backend=backend, dtype="float32")
    assert mean(x, 0.3) == pytest.approx([float(np.float32(0.1)), float(np.float32(0.3))], rel=100 * EPS)


def test_long_programs_add_up_group_by_group():
    """Code longer than the cache for instructions runs on several groups of samples, function by function."""
    x = np.full(50_003, 0.1, np.float32)

    def f(w, x):
        for k in range(40):
            x = x + cr.sum([w[j] * cr.sin(x * float(j + k)) for j in range(20)])
        return x

    w = np.zeros(20, np.float32)
    found = cr.compile(f, batch=(1,), reduce="sum", backend="llvm", dtype="float32")(w, x)
    assert found == pytest.approx(float(np.float32(0.1)) * len(x), rel=200 * EPS)


def test_what_all_samples_share_is_counted_in_doubles():
    x = np.zeros(100_001, np.float32)
    f = cr.compile(lambda x, y: [x, y * 2.0], batch=(0,), reduce="sum", backend="llvm", dtype="float32")
    assert f(x, 0.25) == [0.0, 50_000.5]
    assert f(x[:0], 0.25) == [0.0, 0.0]


# ---- whole numbers ----


def test_rows_are_read_by_index():
    rows = np.arange(1200.0, dtype=np.float32).reshape(300, 4)
    index = np.float32([0, 299, -1, 7, 300, 0.5])
    for backend in BACKENDS:
        found = cr.compile(cr.take, batch=(1,), backend=backend, dtype="float32")(rows, index)
        np.testing.assert_array_equal(found[:4], rows[[0, 299, -1, 7]])
        assert np.isnan(found[4:]).all()
        slopes = cr.compile(
            cr.grad(lambda rows, k: cr.sum(cr.take(rows, k))),
            batch=(1,),
            reduce="sum",
            backend=backend,
            dtype="float32",
        )(rows, index[:4])
        np.testing.assert_array_equal(slopes.sum(axis=1)[[0, 7, 299]], [4.0, 4.0, 8.0])


def test_tables_whose_places_are_no_floats_are_refused():
    rows = np.broadcast_to(np.float32(1.0), 2**24 + 1)
    with pytest.raises(ValueError, match=r"float32 has whole numbers up to 16777216 but .* 16777217 rows"):
        cr.compile(cr.take, dtype="float32")(rows, 3.0)


# ---- arguments and results ----


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_of_every_kind_are_rounded_once(backend):
    x = np.linspace(0.0, 1.0, 12)
    right = (np.float32(x) * np.float32(3.0)).tolist()
    f = cr.compile(lambda x, y: x * y, batch=(0,), backend=backend, dtype="float32")
    wide = np.zeros((12, 3), np.float32)
    wide[:, 1] = x
    for given in (np.float32(x), x, x.tolist(), wide[:, 1], np.float32(x)[::-1][::-1]):
        for y in (3, 3.0, np.float32(3.0), np.float64(3.0)):
            found = f(given, y)
            assert found.dtype == np.float32 and found.tolist() == right
    assert f(np.arange(12), 0.5).tolist() == (np.arange(12) * 0.5).tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_keep_their_structure(backend):
    def f(p, x):
        return {"y": p["a"] * x, "z": (cr.sum(x), [x[0], x[1]]), "n": 1.0}

    found = cr.compile(f, backend=backend, dtype="float32")({"a": 2}, np.float32([1.0, 2.0]))
    assert found["y"].dtype == np.float32 and found["y"].tolist() == [2.0, 4.0]
    assert found["z"] == (3.0, [1.0, 2.0]) and type(found["z"][0]) is float and type(found["n"]) is float


def test_arrays_are_written_to_those_given():
    f = cr.compile(lambda x: x * 2.0, batch=(0,), dtype="float32")
    x, out = np.float32([1.0, 2.0]), np.empty(2, np.float32)
    assert f(x, out=out) is out and out.tolist() == [2.0, 4.0]
    with pytest.raises(TypeError, match=r"array of float32 of shape \(2,\) but got an array of float64"):
        f(x, out=np.empty(2))


def test_calls_without_the_native_entry(monkeypatch):
    from chainrule.backends.llvm import kernel

    monkeypatch.setattr(kernel, "_entry_module", lambda: None)
    x = np.linspace(0.0, 1.0, 1000).astype(np.float32)
    for threads in (1, 2):
        f = cr.compile(lambda x, y: cr.exp(x) * y, batch=(0,), backend="llvm", dtype="float32", threads=threads)
        np.testing.assert_allclose(f(x, 0.5), np.exp(x.astype(float)) * 0.5, rtol=10 * EPS)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_dtypes_have_numpys_names(dtype):
    f = cr.compile(lambda x: x, dtype=dtype)
    assert f.dtype == "float32" and f(0.1) == float(np.float32(0.1))


@pytest.mark.parametrize("dtype", ["float16", "single", int, None, 32])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match=r'compile expected dtype to be "float64" or "float32" but got dtype='):
        cr.compile(lambda x: x, dtype=dtype)


def test_arrays_of_float32_are_taken_as_they_are():
    x = np.zeros((3, 2), np.float32)
    assert buffers.convert(x, SINGLE) is x and buffers.convert(x, DOUBLE).dtype == float


# ---- what is made of a compiled function ----


def single(f, *args):
    """Tell by a result whether a function computes in single precision."""
    return f(*args) == float(np.float32(0.1))


def cell(x, *, more=0.0):
    return x + more


class Cell:
    @cr.compile(dtype="float32")
    def call(self, x):
        return x


identity = cr.compile(lambda x, k: x, static="k", dtype="float32")


def test_it_stays_with_copies_methods_and_static_arguments():
    f = cr.compile(cell, dtype="float32")
    for own in (f, copy.copy(f), pickle.loads(pickle.dumps(f))):
        assert own.dtype == "float32" and single(own, 0.1)
    assert single(Cell().call, 0.1)
    assert single(identity, 0.1, 3) and single(identity, 0.1, 4)
    parts = cr.compile(lambda d: d["x"], batch=("d.x",), dtype="float32")
    assert parts({"x": [0.1]}).dtype == np.float32
    apart = cr.compile(lambda x: (x, x), batch=(0,), reduce=("sum", None), dtype="float32")
    assert apart([0.1])[0] == float(np.float32(0.1)) and apart([0.1])[1].dtype == np.float32


def test_derivatives_by_what_it_closes_over():
    w = cr.Var(0.1)
    f = cr.compile(lambda x: w * x, dtype="float32")
    y = f(3.0)
    y.backward()
    assert y.value == float(np.float32(0.1) * np.float32(3.0)) and w.grad == 3.0


def test_derivatives_through_a_compiled_function():
    f = cr.compile(lambda x: cr.sin(x), dtype="float32")
    assert cr.grad(f)(0.5) == pytest.approx(np.cos(0.5), rel=1e-15)  # on Vars it runs in doubles
    assert cr.compile(cr.grad(f), dtype="float32")(0.5) == pytest.approx(np.cos(0.5), rel=8 * EPS)


def test_strict_names_what_single_precision_made_infinite():
    f = cr.compile(lambda x: cr.exp(x), backend="llvm", dtype="float32")
    with cr.strict():
        assert f(80.0) == pytest.approx(np.exp(80.0), rel=1e-5)
        with pytest.raises(
            cr.NonFiniteError, match=r"float32 made nan or inf of what is finite in doubles, in .*lambda"
        ):
            f(100.0)


# ---- machine code ----


def test_vectors_hold_twice_as_many_numbers():
    assert host(SINGLE).lanes == 2 * host(DOUBLE).lanes
    f = cr.compile(lambda x, y: x * y, batch=(0, 1), backend="llvm", dtype="float32")
    f.trace([1.0], [1.0])
    text = f.source("llvm")
    assert "x float> @" in text or "x float>" in text
    assert "double" not in text


def test_each_format_has_an_object_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    for dtype, right in (("float64", 0.1), ("float32", float(np.float32(0.1)))) * 2:
        assert cr.compile(lambda x: x * 1.0, backend="llvm", dtype=dtype)(0.1) == right
    assert len(list(tmp_path.glob("*.o"))) == 2


@pytest.mark.parametrize("own", [DOUBLE, SINGLE])
def test_formats_round_as_numpy_does(own):
    numbers = np.array([0.1, -1e300, 1e-300, 1e-40, 3.4028235677973366e38, np.nan, -0.0])
    with np.errstate(over="ignore"):
        right = numbers.astype(own.name)
    assert own.packed(numbers.tobytes()) == right.tobytes()
    np.testing.assert_array_equal([own.rounded(x) for x in numbers], right.astype(float))


@pytest.mark.parametrize("count", [7, 8, 9, 13, 15, 16, 17, 24, 31, 33])
def test_iterations_take_half_a_vector_where_they_fill_none(count):
    rng = np.random.default_rng(count)
    w, x, t = (rng.normal(size=shape).astype(np.float32) for shape in ((count, 5), 5, (9, count)))

    def f(w, x, t):
        unit = lambda one: cr.sin(cr.dot(one[0], x)) + cr.erf(one[1]) + cr.exp(-one[1])  # noqa: E731
        last, _ = cr.scan(lambda c, u: (cr.map(unit, (w, c + u)), None), t[0], t)
        return cr.sum(last)

    agree(cr.value_and_grad(f, (0, 1, 2)), w, x, t, tolerance=200 * EPS)


@pytest.mark.parametrize(("lanes", "fused"), [(8, True), (4, True), (4, False)])
def test_code_for_other_widths_computes_the_same(lanes, fused, monkeypatch):
    """AVX2's, NEON's and SSE2's text runs here, without vector functions: these are computed in doubles."""
    double = dataclasses.replace(host(), lanes=lanes // 2, registers=16, fused=fused, scales=False, vector_functions=())
    other = dataclasses.replace(double, lanes=lanes, format=SINGLE, double=double)
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    step = cr.compile(cr.value_and_grad(network, (0, 1)), batch=(2, 3), reduce="mean", backend="llvm")
    rows = lambda xs: cr.map(lambda x: cr.atan2(cr.exp(x), 1.0 + x * x), xs)  # noqa: E731
    x = inputs(70)[2][:, 0]
    expected = step(*map(rounded, inputs(37))), cr.compile(rows, backend="llvm")(rounded(x))
    monkeypatch.setattr(emission, "host", lambda own: other)
    step = cr.compile(cr.value_and_grad(network, (0, 1)), batch=(2, 3), reduce="mean", backend="llvm", dtype="float32")
    found = step(*inputs(37)), cr.compile(rows, backend="llvm", dtype="float32")(x)
    for own, right in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(own, right, rtol=50 * EPS, atol=50 * EPS * np.max(np.abs(right)))
