"""The quick entry takes arrays and numbers as they are; everything else goes the long way, with the same result."""

import collections
import dataclasses
import importlib.util
import math
import os
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from helpers import flat, in_threads

pytest.importorskip("llvmlite")
BUILT = importlib.util.find_spec("chainrule.backends.llvm.entry") is not None
needs_entry = pytest.mark.skipif(not BUILT, reason="chainrule was installed without a C compiler")


def loss(w, x, y, scale):
    return scale * cr.square(cr.tanh(cr.dot(w, x)) - y)


def compiled(**options):
    return cr.compile(cr.value_and_grad(loss), batch=("x", "y"), backend="llvm", **options)


def arguments(n=7):
    rng = np.random.default_rng(n)
    return [np.array([0.3, -0.2]), rng.normal(size=(n, 2)), rng.normal(size=n), 1.5]


def test_it_is_built_where_the_core_is():
    assert (cr.core() == "compiled") == BUILT


@needs_entry
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("n", [0, 1, 5, 64])
def test_both_ways_give_the_same(reduce, n):
    f, args = compiled(reduce=reduce), arguments(n)
    long = f._call(args, (False, True, True, False))
    short = f._enter(tuple(args))
    assert short is not None
    np.testing.assert_array_equal(flat(short), flat(long))
    assert cr.data.structure.flatten(short, "", "")[1] == cr.data.structure.flatten(long, "", "")[1]


CHANGES = [
    (0, lambda w: w.astype(int)),
    (1, lambda x: np.asfortranarray(x)),
    (1, lambda x: np.repeat(x, 2, 0)[::2]),
    (1, lambda x: x.astype(np.float32)),
    (2, lambda y: y[::-1]),
    (2, lambda y: y.tolist()),
    (2, lambda y: [1, *map(np.float32, y[:-2]), True]),
    (3, lambda scale: 2),
    (3, lambda scale: True),
    (3, lambda scale: np.float32(1.5)),
    (3, lambda scale: np.int8(-2)),
    (3, lambda scale: np.array(1.5)),
    (3, lambda scale: np.array(2)),
]
LONG = [
    (0, lambda w: w.tolist()),
    (0, lambda w: w.astype(">f8")),
    (0, lambda w: w.astype(np.float16)),
    (0, lambda w: w.astype(np.longdouble)),
    (0, lambda w: w.astype(object)),
    (1, lambda x: x.tolist()),
    (2, lambda y: [cr.Var(1.5), *y[1:]]),
    (3, lambda scale: np.longdouble(1.5)),
    (3, lambda scale: cr.Var(1.5)),
]


@needs_entry
@pytest.mark.parametrize(("place", "change"), [*CHANGES, *LONG])
def test_what_is_no_double_is_read_in_either_way(place, change):
    f, args = compiled(reduce="mean"), arguments()
    f(*args)
    args[place] = change(args[place])
    short = (place, change) in CHANGES
    assert (f._enter(tuple(args)) is not None) == short
    value, slope = f(*args)
    assert f._latest is next(iter(f._plans.values())) or not short
    number = np.vectorize(lambda x: float(getattr(x, "value", x)), otypes=[float])
    plain = [number(np.asarray(a, object)) for a in args]
    expected = compiled(reduce="mean")(plain[0], plain[1], plain[2], float(plain[3]))
    assert float(getattr(value, "value", value)) == pytest.approx(expected[0], rel=1e-14)
    np.testing.assert_allclose([float(getattr(s, "value", s)) for s in slope], expected[1], rtol=1e-13)


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Model:
    weights: list
    name: str


STRUCTURES = [
    [1.0, 2, np.float32(0.5)],
    (1.0, 2.5),
    {"a": 1.0, "b": [2.0, (3.0, np.arange(4.0).reshape(2, 2)[:, ::-1])], "c": None, 3: np.arange(3, dtype=np.int16)},
    Point(1.0, [2.0, True]),
    Model([1.5, np.ones(2, np.float32)], "m"),
    [[1.0, 2.0], [3.0]],
    [np.ones((2, 0)), 1.0],
    {},
]


@needs_entry
@pytest.mark.parametrize("tree", STRUCTURES, ids=repr)
def test_structures_take_the_short_way(tree):
    def total(tree, x):
        numbers = cr.data.structure.flatten(tree, "", "")[0]
        return x * cr.sum([(k + 1.0) * number for k, number in enumerate(numbers)])

    f = cr.compile(total, backend="llvm")
    expected = total(tree, 2.0)
    assert f(tree, 2.0) == f._enter((tree, 2.0)) == pytest.approx(expected, rel=1e-14)
    assert len(f._plans) == 1


@needs_entry
def test_structures_of_another_kind_are_left_to_the_long_way():
    f = cr.compile(lambda tree: cr.sum(tree["a"]) + tree["b"], backend="llvm")
    f({"a": [1.0, 2.0], "b": 3.0})
    for other in (
        {"b": 3.0, "a": [1.0, 2.0]},
        {"a": (1.0, 2.0), "b": 3.0},
        {"a": [1.0], "b": 3.0},
        {"a": [1.0, 2.0, 3.0], "b": 3.0},
        {"a": np.ones(2), "b": 3.0},
        {"a": [1.0, 2.0], "b": [3.0]},
        {"a": [1.0, "2"], "b": 3.0},
        {"a": [1.0, 10**400], "b": 3.0},
        {"a": [1.0, 2.0], "b": 3.0, "c": 1.0},
        {"a": [1.0, cr.Var(2.0)], "b": 3.0},
        [1.0, 2.0],
        3.0,
        np.ones(2),
        None,
    ):
        assert f._enter((other,)) is None
    with pytest.raises(OverflowError, match="expected a number within the range of doubles"):
        f({"a": [1.0, 10**400], "b": 3.0})
    g = cr.compile(lambda x, mode: x * 2 if mode == "twice" else x, backend="llvm")
    assert g(1.5, "twice") == 3.0 and g._enter((1.5, "twice")) == 3.0
    assert g._enter((1.5, "once")) is None and g(1.5, "once") == 1.5


@needs_entry
@pytest.mark.parametrize("kind", [*"fbBhHiIlLqQ"])
def test_arrays_of_every_kind_are_converted(kind):
    numbers = np.array([[0, 1, 2], [3, 100, 127]]).astype(kind)
    f = cr.compile(lambda xs: [x * 1.0 for x in xs.flat], backend="llvm")
    g = cr.compile(lambda x: x[0] - 2.0 * x[2], batch="x", backend="llvm")
    for array in (numbers, numbers[::-1, ::-1], numbers[:, ::2], numbers.T):
        f(np.zeros(array.shape))
        assert f._enter((array,)) == array.astype(float).ravel().tolist()
    g(np.zeros((1, 3)))
    for array in (numbers, numbers[::-1], numbers[:, ::-1], np.asfortranarray(numbers), numbers[:0]):
        as_doubles = array.astype(float)
        np.testing.assert_array_equal(g._enter((array,)), as_doubles[:, 0] - 2.0 * as_doubles[:, 2])


@needs_entry
def test_arrays_of_truth_values_have_programs_of_their_own():
    truths = np.array([[False, True, True], [True, False, True]])
    for f in (cr.compile(lambda x: 2 * x, backend="llvm"), cr.compile(lambda x: 2 * x, batch="x", backend="llvm")):
        f(np.zeros((2, 3)))
        assert f._enter((truths,)) is None and f._enter(([[True] * 3] * 2,)) is None
        np.testing.assert_array_equal(f(truths), 2.0 * truths)
        assert f._enter is None  # which would take doubles for truth values
        np.testing.assert_array_equal(f(truths + 0.5), 2.0 * truths + 1.0)


@needs_entry
def test_arrays_of_many_axes():
    f = cr.compile(lambda x, y: x.ravel()[1] * y.ravel()[-1], batch="y", backend="llvm")
    x, y = np.arange(64.0).reshape((2,) * 6), np.arange(128.0).reshape((2,) * 7)
    expected = f(x, y).tolist()
    assert expected == [63.0, 127.0] == f._enter((x, y)).tolist()
    assert f._enter((x.astype(int), np.asfortranarray(y))).tolist() == expected
    assert f._enter((x[..., None], y)) is None and f._enter((x, y[..., None])) is None


@needs_entry
@pytest.mark.parametrize("n", [0, 1, 7, 9000])
def test_batches_of_structures_take_the_short_way(n):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=n)
    f = cr.compile(lambda d, s: s * d["x"][0] - d["y"] * d["x"][1], batch="d", backend="llvm", threads=2)
    expected = 2.0 * x[:, 0] - y * x[:, 1]
    for batch in ({"x": x, "y": y}, {"x": np.asfortranarray(x), "y": np.repeat(y, 3)[::3]}):
        np.testing.assert_array_equal(f(batch, 2.0), f._enter((batch, 2)))
        np.testing.assert_allclose(f._enter((batch, 2)), expected, rtol=1e-13, atol=1e-15)
    assert f._enter(({"x": x, "y": y[: n // 2]}, 2.0)) is None or n == 0
    assert f._enter(({"x": x.tolist(), "y": y}, 2.0)) is None
    rows = cr.compile(lambda r, s: s * r[0] - r[1], batch="r", backend="llvm")
    if n:
        np.testing.assert_array_equal(rows(x.tolist(), 2.0), rows._enter((x.tolist(), 2.0)))
        np.testing.assert_allclose(rows(x.tolist(), 2.0), 2.0 * x[:, 0] - x[:, 1], rtol=1e-13, atol=1e-15)
        assert rows._enter(([*x.tolist()[1:], [1.0]], 2.0)) is None


@needs_entry
def test_other_shapes_are_refused_and_named():
    f, args = compiled(reduce="mean"), arguments()
    f(*args)
    assert f._enter((args[0], args[1][:5], args[2], 1.5)) is None
    with pytest.raises(ValueError, match="x with 5 samples and y with 7"):
        f(args[0], args[1][:5], args[2], 1.5)
    assert f._enter((args[0][:1], *args[1:])) is None
    assert f._enter((args[0], args[1][:, :1].copy(), args[2], 1.5)) is None
    assert f._enter((args[0], args[1], args[2][:, None].copy(), 1.5)) is None
    assert f._enter((args[0], args[1], None, 1.5)) is None
    assert f._enter(tuple(args[:3])) is None


@needs_entry
def test_read_only_arrays_and_numpys_numbers_are_taken():
    f, args = compiled(reduce="mean"), arguments()
    expected = f(*args)
    for arg in args[:3]:
        arg.setflags(write=False)
    args[3] = np.float64(1.5)
    found = f._enter(tuple(args))
    assert found[0] == expected[0] and np.array_equal(found[1], expected[1])


@needs_entry
def test_structures_may_alternate():
    f = cr.compile(cr.sum, backend="llvm")
    for _ in range(3):
        assert f(np.array([1.0, 2.0])) == 3.0 and len(f.program.names) == 2
        assert f(np.array([1.0, 2.0, 4.0])) == 7.0 and len(f.program.names) == 3
        assert f([5.0]) == 5.0


@needs_entry
def test_a_nan_that_a_strong_zero_forbids_does_not_come_out():
    """The quick program multiplies 0 by infinity; the exact one runs where a nan comes of it."""
    f = cr.compile(cr.grad(lambda x, w: cr.where(x > 0, cr.sqrt(x) * w, 0.0)), batch="x", backend="llvm")
    xs = np.array([4.0, 0.0, -1.0])
    first = f(xs, 2.0)
    assert first.tolist() == f._enter((xs, 2.0)).tolist() == [0.5, 0.0, 0.0]
    assert math.isnan(f(np.array([1.0, math.nan]), math.nan)[0])


@needs_entry
def test_a_forbidden_nan_is_found_wherever_it_stands():
    f = cr.compile(cr.grad(lambda x: cr.where(x > 0, cr.sqrt(x), 0.0)), batch="x", backend="llvm")
    for count in range(1, 20):
        for place in range(count):
            xs = np.full(count, 4.0)
            xs[place] = 0.0
            expected = np.where(xs > 0, 0.25, 0.0)
            assert (f(xs) == expected).all() and (f._enter((xs,)) == expected).all()


@needs_entry
def test_errors_of_called_functions_come_out():
    @cr.primitive(partials=lambda y, x: (1.0,), name="refuses_three")
    def refuses_three(x):
        if x == 3.0:
            raise RuntimeError("three")
        return x

    f = cr.compile(refuses_three, backend="llvm")
    assert f(2.0) == 2.0
    for _ in range(2):
        with pytest.raises(RuntimeError, match="three"):
            f(3.0)
    assert f(4.0) == 4.0


@needs_entry
def test_more_arguments_than_it_takes():
    f = cr.compile(lambda *xs: cr.sum(xs), backend="llvm")
    assert f(*[1.0] * 16) == 16.0 and f._enter is not None
    assert f(*[1.0] * 17) == 17.0 and f._enter is None


@needs_entry
def test_several_threads_may_call_at_once():
    f, args = compiled(reduce="mean"), arguments(500)
    expected = f(*args)
    wrong = []

    def work():
        for _ in range(200):
            found = f(*args)
            if found[0] != expected[0] or not np.array_equal(found[1], expected[1]):
                wrong.append(found)

    in_threads(*[work] * 4)
    assert wrong == []


@needs_entry
@pytest.mark.parametrize("reduce", [None, "sum"])
@pytest.mark.parametrize("n", [4097, 40_003])
def test_large_batches_are_shared_by_threads(n, reduce):
    f, args = compiled(reduce=reduce, threads=3), arguments(n)
    long = f._call(args, (False, True, True, False))
    short = f._enter(tuple(args))
    assert f._latest._kernel.largest <= n
    np.testing.assert_array_equal(flat(short), flat(long))
    np.testing.assert_allclose(flat(short), flat(compiled(reduce=reduce)(*args)), rtol=1e-11)


@needs_entry
@pytest.mark.parametrize("reduce", [None, "sum"])
def test_threads_find_a_nan_that_a_strong_zero_forbids(reduce):
    f = cr.compile(
        cr.grad(lambda x, w: cr.where(x > 0, cr.sqrt(x) * w, 0.0)), batch="x", reduce=reduce, backend="llvm", threads=2
    )
    xs = np.full(20_000, 4.0)
    f(xs, 2.0)
    assert f._latest.optimistic and f._latest._kernel.largest <= len(xs)
    xs[17_003] = 0.0
    expected = np.where(xs > 0.0, 0.5, 0.0)
    np.testing.assert_array_equal(f._enter((xs, 2.0)), expected if reduce is None else expected.sum())
    xs[5] = math.nan
    assert np.isnan(f._enter((xs, math.nan))).any()


@needs_entry
def test_errors_in_parts_come_out():
    @cr.primitive(partials=lambda y, x: (1.0,), name="refuses_four")
    def refuses_four(x):
        if x == 4.0:
            raise RuntimeError("four")
        return x

    f = cr.compile(lambda x: refuses_four(x), batch="x", backend="llvm", threads=2)
    xs = np.zeros(50_000)
    assert not f(xs).any() and f._latest._kernel.largest <= len(xs)
    xs[49_999] = 4.0
    for _ in range(2):
        with pytest.raises(RuntimeError, match="four"):
            f._enter((xs,))


@needs_entry
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_threads_of_its_own():
    code = (
        "import os, numpy as np, chainrule as cr\n"
        "f = cr.compile(lambda x: cr.sin(x), batch='x', backend='llvm', threads=2)\n"
        "xs = np.linspace(0.0, 1.0, 100_000)\n"
        "expected = f(xs)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    same = all(np.array_equal(expected, f(xs)) for _ in range(3)) and len(f([0.5] * 100_000)) == 100_000\n"
        "    os._exit(0 if same else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    # Python warns of a fork beside threads; that is what is tried here.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n", done.stderr
