"""The C file that compile() exports: gcc takes it without a warning, and it computes what eager code does."""

import ctypes
import math
import shutil
import subprocess

import chainrule as cr
import numpy as np
import pytest
from chainrule import BackendError
from chainrule.backends import c
from chainrule.recognition import recognise
from chainrule.testing import sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import nests, written_out

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, math.inf, -math.inf, math.nan, 5e-324, 1e300, 710.0, -746.0, -1e-320)
PYTHON_ONLY = {"digamma", "polygamma", "sinc_derivative"}


def library(directory, source):
    path = directory / "model.c"
    path.write_text(source, encoding="utf-8")
    subprocess.run(["gcc", *FLAGS, "-o", directory / "model.so", path, "-lm"], check=True, timeout=120)
    return ctypes.CDLL(str(directory / "model.so"))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def test_every_row_that_c_has(tmp_path):
    """One file with a function for each row, at ordinary points and edges."""
    rows = [row for row in cr.PRIMITIVES.values() if not row.custom and row.name not in PYTHON_ONLY]
    sources = []
    for row in rows:
        program = cr.trace(lambda *xs, row=row: row.apply(xs), *[1.0] * row.arity)
        sources.append(c.source(program, (True,) * row.arity, name=f"row_{row.name}"))
    loaded = library(tmp_path, "\n".join(sources))
    for row in rows:
        shifted = EDGES[3:] + EDGES[:3]
        points = [*sample(row, 20, 1), *zip(*[EDGES, shifted, EDGES[::-1], shifted[::-1]][: row.arity], strict=True)]
        columns = [np.array(column) for column in zip(*points, strict=True)]
        out = np.empty(len(points))
        function = loaded[f"row_{row.name}"]
        function(*map(pointer, columns), ctypes.c_size_t(len(points)), pointer(out))
        expected = np.array([row.evaluate(*point) for point in points])
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-306, err_msg=row.name)


NESTS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
three_numbers = st.lists(st.tuples(*[st.floats(-1.0, 1.0)] * 3), min_size=1, max_size=3)


def agrees_in_c(directory, f, rows):
    """Export value and gradient, and compare them with eager code."""
    both = cr.value_and_grad(f, (0, 1, 2))
    program = cr.trace(both, *rows[0])
    loaded = library(directory, c.source(recognise(program), (True,) * 3, None, "nest"))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    out = np.empty(4 * len(rows))
    loaded.nest(*map(pointer, columns), ctypes.c_size_t(len(rows)), pointer(out))
    expected = np.array([[value, *slopes] for value, slopes in (both(*row) for row in rows)])
    np.testing.assert_allclose(out.reshape(4, -1).T, expected, rtol=1e-11, atol=1e-11)


@NESTS
@given(f=nests(), rows=three_numbers)
def test_loops_within_loops(tmp_path_factory, f, rows):
    agrees_in_c(tmp_path_factory.mktemp("nest"), f, rows)


@NESTS
@given(f=written_out(), rows=three_numbers)
def test_recognised_loops(tmp_path_factory, eager_recognition, f, rows):
    agrees_in_c(tmp_path_factory.mktemp("nest"), f, rows)


def test_while_loop(tmp_path):
    program = cr.trace(lambda a: cr.while_loop(lambda s: s * s < a, lambda s: s + 1.0, 0.0), 2.0)
    out = np.empty(1)
    library(tmp_path, c.source(program, name="root")).root(pointer(np.array([30.0])), pointer(out))
    assert out[0] == 6.0


def loss(w, x, y):
    return {"loss": cr.square(cr.tanh(cr.dot(w, x)) - y), "parts": [w[0], cr.exp(w[1])]}


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_exported_file_computes_the_same(tmp_path, reduce):
    X, y, w = np.random.default_rng(0).normal(size=(5, 2)), np.arange(5.0), np.array([0.3, -0.2])
    compiled = cr.compile(cr.jacobian(loss), batch=("x", "y"), reduce=reduce, backend="numpy")
    found = compiled(w, X, y)
    path = compiled.export_c(tmp_path / "exported.c")
    loaded = library(tmp_path, path.read_text(encoding="utf-8"))
    flat = cr.structure.flatten(found, "", "")[0]
    out = np.empty(len(flat))
    loaded.loss(pointer(w), pointer(X), pointer(y), ctypes.c_size_t(5), pointer(out))
    np.testing.assert_allclose(out, flat, rtol=1e-12)


def test_without_a_batch_and_with_constants(tmp_path):
    compiled = cr.compile(lambda x, unused: [x * 0.1, x + math.inf, -0.0 * x, math.nan], backend="python")
    expected = compiled(2.0, 3.0)
    text = compiled.source("c")
    assert text.startswith("/* lambda: ")
    out = np.empty(4)
    loaded = library(tmp_path, text)
    loaded["lambda"](pointer(np.array([2.0])), pointer(np.array([3.0])), pointer(out))
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", sorted(PYTHON_ONLY))
def test_what_c_lacks_is_named(name):
    program = cr.trace(lambda *xs: cr.PRIMITIVES[name].apply(xs), *[1.0] * cr.PRIMITIVES[name].arity)
    with pytest.raises(BackendError, match=f"\"c\" has no operation '{name}'"):
        c.source(program)


def test_a_hostile_name_stays_a_comment(tmp_path):
    program = cr.trace(lambda x: {"*/ int x;": x["*/ evil"] * 2.0}, {"*/ evil": 1.0})
    library(tmp_path, c.source(program, name="*/ 1f"))


@pytest.mark.parametrize(
    "name", ["double", "nan", "rint", "remainder", "fmax", "y0", "main", "memcpy", "strlen", "sinf", "tgammal", "f"]
)
def test_names_that_c_has_are_not_defined_again(name, tmp_path):
    def f(x, y):
        return x * cr.sin(y)

    f.__name__ = name
    compiled = cr.compile(f)
    compiled(1.0, 2.0)
    path = compiled.export_c(tmp_path / "model.c")
    subprocess.run(
        ["gcc", "-std=c99", "-Wall", "-Werror", "-c", str(path), "-o", str(tmp_path / "model.o")], check=True
    )
