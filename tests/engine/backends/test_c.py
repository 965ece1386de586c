"""The C file that compile() exports: gcc compiles it without a warning, and it computes what eager code does."""

import ctypes
import math
import re
import shutil
import subprocess
from itertools import pairwise

import chainrule as cr
import mpmath
import numpy as np
import pytest
from chainrule import BackendError
from chainrule.backends import c
from chainrule.backends.c import export
from chainrule.rewriting.rerolling import recognise
from chainrule.testing import sample
from helpers import flat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import nests, written_out

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Werror", "-pedantic"]
FLAGS = ["-std=c99", *WARNINGS, "-O1", "-shared", "-fPIC"]
EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, math.inf, -math.inf, math.nan, 5e-324, 1e300, 710.0, -746.0, -1e-320)


def library(directory, source):
    path = directory / "model.c"
    path.write_text(source, encoding="utf-8")
    subprocess.run(["gcc", *FLAGS, "-o", directory / "model.so", path, "-lm"], check=True, timeout=120)
    return ctypes.CDLL(str(directory / "model.so"))


def given_work(text):
    """Read how many numbers of working memory the caller must give the function."""
    return int(re.search(r"^#define \w+_WORK (\d+)$", text, re.MULTILINE)[1])


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def test_every_row_that_c_has(tmp_path):
    """One file with a function for each row, at ordinary points and edges."""
    rows = [row for row in cr.PRIMITIVES.values() if not row.custom]
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


def test_a_row_of_the_users_own_by_its_expression(tmp_path):
    @cr.primitive(
        partials=lambda z, x, y: (cr.sigmoid(x - y), cr.sigmoid(y - x)),
        code={"c": "fmax({0}, {1}) + log1p(exp(-fabs({0} - {1})))"},
    )
    def soft_maximum(x, y):
        return max(x, y) + math.log1p(math.exp(-abs(x - y)))

    def f(x, y):
        return soft_maximum(2 * x, -1.0) * soft_maximum(y, x)

    program = cr.trace(cr.value_and_grad(f, (0, 1)), 1.0, 1.0)
    loaded = library(tmp_path, c.source(program, (True, True), name="soft"))
    columns, out = [np.linspace(-3.0, 3.0, 7), np.linspace(5.0, -5.0, 7)], np.empty(21)
    loaded.soft(*map(pointer, columns), ctypes.c_size_t(7), pointer(out))

    def meant(x, y):
        return cr.logaddexp(2 * x, -1.0) * cr.logaddexp(y, x)

    expected = [cr.value_and_grad(meant, (0, 1))(x, y) for x, y in zip(*map(list, columns), strict=True)]
    np.testing.assert_allclose(out[:7], [value for value, _ in expected], rtol=1e-13)
    np.testing.assert_allclose(out[7:], np.transpose([slopes for _, slopes in expected]).ravel(), rtol=1e-13)


NESTS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
three_numbers = st.lists(st.tuples(*[st.floats(-1.0, 1.0)] * 3), min_size=1, max_size=3)


def agrees_in_c(directory, f, rows):
    """Export value and gradient, and compare them with eager code."""
    both = cr.value_and_grad(f, (0, 1, 2))
    program = cr.trace(both, *rows[0])
    text = c.source(recognise(program), (True,) * 3, None, "nest")
    loaded = library(directory, text)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    out, work = np.empty(4 * len(rows)), np.full(max(1, given_work(text)), math.nan)
    loaded.nest(*map(pointer, columns), ctypes.c_size_t(len(rows)), pointer(out), pointer(work))
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


@pytest.fixture
def short_parts(monkeypatch):
    """Split functions as if they were long, with nothing kept on the stack."""
    monkeypatch.setattr("chainrule.backends.c.functions._PART", 2)
    monkeypatch.setattr("chainrule.backends.c.export._ON_STACK", 0)


@NESTS
@given(f=nests() | written_out(), rows=three_numbers)
def test_functions_in_parts(tmp_path_factory, short_parts, eager_recognition, f, rows):
    agrees_in_c(tmp_path_factory.mktemp("nest"), f, rows)


def test_while_loop(tmp_path):
    program = cr.trace(lambda a: cr.while_loop(lambda s: s * s < a, lambda s: s + 1.0, 0.0), 2.0)
    out = np.empty(1)
    library(tmp_path, c.source(program, name="root")).root(pointer(np.array([30.0])), pointer(out))
    assert out[0] == 6.0


def loss(w, x, y):
    return {"loss": cr.square(cr.tanh(cr.dot(w, x)) - y), "parts": [w[0], cr.exp(w[1])]}


@pytest.mark.parametrize("parts", ["whole", "short_parts"])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_exported_file_computes_the_same(tmp_path, reduce, parts, request):
    if parts == "short_parts":
        request.getfixturevalue("short_parts")
    X, y, w = np.random.default_rng(0).normal(size=(5, 2)), np.arange(5.0), np.array([0.3, -0.2])
    compiled = cr.compile(cr.jacobian(loss), batch=("x", "y"), reduce=reduce, backend="numpy")
    found = compiled(w, X, y)
    path = compiled.export_c(tmp_path / "exported.c")
    loaded = library(tmp_path, path.read_text(encoding="utf-8"))
    numbers = flat(found)
    out, work = np.empty(len(numbers)), np.empty(given_work(path.read_text(encoding="utf-8")))
    loaded.loss(pointer(w), pointer(X), pointer(y), ctypes.c_size_t(5), pointer(out), pointer(work))
    np.testing.assert_allclose(out, numbers, rtol=1e-12)


def test_without_a_batch_and_with_constants(tmp_path):
    compiled = cr.compile(lambda x, unused: [x * 0.1, x + math.inf, -0.0 * x, math.nan], backend="python")
    expected = compiled(2.0, 3.0)
    text = compiled.source("c")
    assert text.startswith("/* lambda: ")
    out = np.empty(4)
    loaded = library(tmp_path, text)
    loaded["lambda"](pointer(np.array([2.0])), pointer(np.array([3.0])), pointer(out))
    np.testing.assert_array_equal(out, expected)


def test_what_c_lacks_is_named():
    @cr.primitive(partials=lambda y, x: (1.0,))
    def own(x):
        return x

    with pytest.raises(BackendError, match="\"c\" has no operation 'own'"):
        c.source(cr.trace(own, 1.0))


def test_a_hostile_name_stays_a_comment(tmp_path):
    program = cr.trace(lambda x: {"*/ int x;": x["*/ evil"] * 2.0}, {"*/ evil": 1.0})
    library(tmp_path, c.source(program, name="*/ 1f"))


# ---- derivatives of every row ----


def slopes_of(row):
    """Return the derivative by each argument; the order of a derivative is a constant."""
    if row.name in ("polygamma", "sinc_derivative"):
        return 2, lambda x: (cr.grad(lambda t: row(1.0, t))(x),)
    return 1, cr.grad(lambda *xs: row.apply(xs), tuple(range(row.arity)))


def test_derivatives_of_every_row(tmp_path):
    """One file with a function for the gradient of each row that has one."""
    rows = [row for row in cr.PRIMITIVES.values() if not row.custom]
    sources, expected = [], {}
    for row in rows:
        first, slopes = slopes_of(row)
        points = [point[first - 1 :] for point in sample(row, 10, 2)]
        program = cr.trace(slopes, *points[0])
        sources.append(c.source(program, (True,) * len(points[0]), name=f"slopes_{row.name}"))
        expected[row.name] = points, np.array([slopes(*point) for point in points])
    loaded = library(tmp_path, "\n".join(sources))
    for name, (points, numbers) in expected.items():
        columns = [np.array(column) for column in zip(*points, strict=True)]
        out = np.empty(numbers.size)
        loaded[f"slopes_{name}"](*map(pointer, columns), ctypes.c_size_t(len(points)), pointer(out))
        found = out.reshape(numbers.shape[1:] + numbers.shape[:1]).T
        np.testing.assert_allclose(found, numbers, rtol=1e-12, atol=1e-306, err_msg=name)


ZEROS = {
    "digamma": [(1.4616321449683622,), (-0.504083008264455,), (-1.573498473162390,), (-1e5 + 0.27,)],
    "polygamma": [(2.0, -0.4), (2.0, -1.5), (4.0, -2.49), (1.0, -1e9 + 0.25), (149.0, 3.0), (20.0, -7.3)],
    "sinc_derivative": [(1.0, 1.4302966531242027), (1.0, 1e6), (2.0, 0.6625), (9.0, 1.2), (30.0, 4.0), (149.0, 47.0)],
}


@pytest.mark.parametrize("name", ZEROS)
def test_special_functions_close_to_their_zeros(name, tmp_path):
    row, mp = cr.PRIMITIVES[name], mpmath.mp
    program = cr.trace(lambda *xs: row.apply(xs), *[1.0] * row.arity)
    function = library(tmp_path, c.source(program, name="f")).f
    points = list(ZEROS[name])
    for point in ZEROS[name]:
        # On both sides of a zero nearby, too, as near as doubles are.
        *order, x = point
        value, slope = row.evaluate(*point), row.partials(row.evaluate(*point), *point)[-1]
        near = x - float(value) / float(slope)
        points += [(*order, end) for end in (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf))]
    for point in points:
        out = np.empty(1)
        function(*[pointer(np.array([x])) for x in point], pointer(out))
        with mp.workdps(120):
            exact = mp.digamma(point[0]) if name == "digamma" else row.exact(mp, *map(mp.mpf, point))
            assert abs((out[0] - exact) / exact) < 1e-15, (name, point)


# ---- memory, headers, compilers ----


def test_600_000_numbers_on_a_small_stack(tmp_path):
    """All that is large is in the memory that the caller gives; of the stack the thread has little."""
    n = 600_000

    def f(xs):
        return cr.map(lambda y: y * y, cr.map(cr.sin, xs), reduce="sum")

    program = cr.trace(f, np.zeros(n))
    text, header = export.files(program, name="f")
    assert len(text) < 3000 and n <= given_work(text) < n + 100
    (tmp_path / "f.h").write_text(header)
    (tmp_path / "main.c").write_text(SMALL_STACK)
    (tmp_path / "f.c").write_text(text)
    command = ["gcc", "-std=c99", "-D_GNU_SOURCE", *WARNINGS, "main.c", "f.c", "-o", "main", "-lm", "-lpthread"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) == pytest.approx(math.fsum(math.sin(k / n) ** 2 for k in range(n)), rel=1e-9)


SMALL_STACK = """
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "f.h"

static double result;

static void *run(void *numbers)
{
    double *work = malloc(F_WORK * sizeof(double));
    f(numbers, &result, work);
    free(work);
    return NULL;
}

int main(void)
{
    const size_t n = 600000;
    double *numbers = malloc(n * sizeof(double));
    pthread_attr_t small;
    pthread_t thread;
    for (size_t k = 0; k < n; k++)
        numbers[k] = (double)k / (double)n;
    pthread_attr_init(&small);
    if (pthread_attr_setstacksize(&small, 32768))
        return 1;
    if (pthread_create(&thread, &small, run, numbers) || pthread_join(thread, NULL))
        return 1;
    printf("%.17g\\n", result);
    free(numbers);
    return 0;
}
"""


def network(p, x):
    hidden = [cr.tanh(cr.dot(row, x)) for row in p]
    return cr.sum(cr.scan(lambda carry, h: (carry * h + 1.0, carry), 0.5, hidden)[1])


def straight(xs):
    for k in range(40):
        xs = [cr.sin(a * (k + 1.0)) * b for a, b in zip(xs, xs[1:] + xs[:1], strict=True)]
    return cr.sum(xs)


PROGRAMS = {
    "loops": (network, [[0.1] * 60] * 50, [0.2] * 60),
    "straight": (straight, [0.1 * k for k in range(50)]),
    "copies": (lambda xs: cr.sum((b - a) ** 4 for a, b in pairwise(xs)), [0.5] * 3000),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_long_programs_take_little_of_the_stack(name, tmp_path):
    f, *args = PROGRAMS[name]
    both = cr.value_and_grad(f, tuple(range(len(args))))
    compiled = cr.compile(both, backend="python")
    expected = flat(compiled(*args))
    path = compiled.export_c(tmp_path / "f.c")
    text = path.read_text()
    usage = ["gcc", "-std=c99", "-fstack-usage", "-O0", "-c", path, "-o", tmp_path / "f.o"]
    subprocess.run(usage, cwd=tmp_path, check=True, timeout=120)
    used = [int(line.split("\t")[1]) for line in (tmp_path / "f.su").read_text().splitlines()]
    assert max(used) < 16_000
    out, work = np.empty(len(expected)), np.full(given_work(text), math.nan)
    numbers = [np.array(flat(arg)) for arg in args]
    getattr(library(tmp_path, text), compiled.program.name if name != "copies" else "lambda")(
        *map(pointer, numbers), pointer(out), pointer(work)
    )
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang", "clang++"])
def test_header_serves_c_and_cpp(compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    for name in ("loops", "copies"):
        f, *args = PROGRAMS[name]
        # The gradient of copies keeps something of each, for which the caller gives the memory.
        compiled = cr.compile(f if name == "loops" else cr.value_and_grad(f), backend="python")
        compiled(*args)
        compiled.export_c(tmp_path / f"{name}.c")
    is_cpp = compiler.endswith("++")
    (tmp_path / f"user.{'cpp' if is_cpp else 'c'}").write_text(
        '#include "loops.h"\n#include "copies.h"\n#include "loops.h"\n'
        "int main(void) { double a[3000] = {0}, out[3001], work[LAMBDA_WORK + 1];\n"
        "    lambda(a, out, work);\n    return (void)network, NETWORK_WORK < 0; }\n"
    )
    c_compiler = compiler.replace("clang++", "clang").replace("g++", "gcc")
    for name in ("loops", "copies"):
        source = ["-std=c99", *WARNINGS, "-include", f"{name}.h", "-c", f"{name}.c", "-o", f"{name}.o"]
        subprocess.run([c_compiler, *source], cwd=tmp_path, check=True, timeout=120)
    user = [f"user.{'cpp' if is_cpp else 'c'}", "loops.o", "copies.o", "-o", "user", "-lm"]
    subprocess.run([compiler, *WARNINGS, *user], cwd=tmp_path, check=True, timeout=120)
    subprocess.run([tmp_path / "user"], check=True, timeout=60)


def test_only_c_files_are_written(tmp_path):
    compiled = cr.compile(cr.sin, backend="python")
    compiled(1.0)
    with pytest.raises(ValueError, match=r"export_c expected a path ending in \.c but got path='.*\.h' \(str\)"):
        compiled.export_c(tmp_path / "model.h")
    assert list(tmp_path.iterdir()) == []
    compiled.export_c(tmp_path / "model.c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.c", "model.h"]
