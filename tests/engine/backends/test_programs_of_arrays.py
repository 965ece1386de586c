"""Programs of arrays mean the same on each backend: random views, places, gathers, scatters and loops."""

import ctypes
import math
import re
import shutil
import subprocess

import chainrule as cr
import numpy as np
import pytest
from array_programs import programs_at_samples
from chainrule.backends import numpy_, python_
from chainrule.backends.c import export
from chainrule.programs import Part, Place, View
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

PROGRAMS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def meant(program, samples):
    """Return the result of each sample, in numbers: what running the program step by step gives."""
    found = []
    for sample in samples:
        values = [item if shape else item[0] for item, shape in zip(sample, program.shapes, strict=True)]
        outputs = zip(program.run(values), program.output_shapes, strict=True)
        found.append([number for value, shape in outputs for number in (value if shape else [value])])
    return np.array(found)


def packed(samples, batched):
    """Return an array for each argument, with a row for each sample where it carries a batch."""
    columns = zip(*samples, strict=True)
    return [np.array(column if flag else column[0]) for column, flag in zip(columns, batched, strict=True)]


def arranged(program, out, batched, reduce, n):
    """Return the results of a kernel for each sample, in the order of `meant`; what is reduced as one sample."""
    if reduce or not any(batched):
        return out.reshape(1, -1)
    found, start = [], 0
    for unit in program.result.units():
        found.append(out[n * start : n * (start + unit.size)].reshape(n, unit.size))
        start += unit.size
    return np.concatenate(found, axis=1)


def agrees(found, program, samples, batched, reduce):
    expected = meant(program, samples)
    if any(batched) and reduce:
        expected = expected.sum(axis=0, keepdims=True) / (len(samples) if reduce == "mean" else 1)
    elif not any(batched):
        expected = expected[:1]
    np.testing.assert_allclose(arranged(program, found, batched, reduce, len(samples)), expected, 1e-9, 1e-9)


def computes(backend, drawn, reduce):
    program, batched, samples = drawn
    n = len(samples)
    rows = n if any(batched) and reduce is None else 1
    out = np.full(rows * program.result.size, math.nan)
    backend.build(program, batched, reduce)(packed(samples, batched), n, out)
    agrees(out, program, samples, batched, reduce)


REDUCTIONS = st.sampled_from([None, "sum", "mean"])


@pytest.mark.parametrize("backend", [python_, numpy_], ids=["python", "numpy"])
@PROGRAMS
@given(drawn=programs_at_samples(), reduce=REDUCTIONS)
def test_kernels_do_what_programs_mean(backend, drawn, reduce):
    computes(backend, drawn, reduce)


@PROGRAMS
@given(drawn=programs_at_samples(), reduce=REDUCTIONS)
def test_numpy_in_pieces(monkeypatch, drawn, reduce):
    """Samples and iterations run a few at a time where values hold many numbers."""
    monkeypatch.setattr(numpy_, "_AT_ONCE", 8)
    computes(numpy_, drawn, reduce)


WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Werror", "-pedantic"]
compiled = st.lists(st.tuples(programs_at_samples(), REDUCTIONS), min_size=5, max_size=10)


def agree_in_c(directory, drawn):
    """Compile some programs as one file, and compare what its functions return."""
    files = [export.files(program, batched, reduce, f"f{k}") for k, ((program, batched, _), reduce) in enumerate(drawn)]
    (directory / "f.c").write_text("\n".join(text for text, _ in files))
    command = ["gcc", "-std=c99", *WARNINGS, "-O1", "-shared", "-fPIC", "-o", "f.so", "f.c", "-lm"]
    subprocess.run(command, cwd=directory, check=True, timeout=120)
    loaded = ctypes.CDLL(str(directory / "f.so"))
    for k, ((program, batched, samples), reduce) in enumerate(drawn):
        given_work = int(re.search(r"^#define \w+_WORK (\d+)$", files[k][0], re.MULTILINE)[1])
        n = len(samples)
        rows = n if any(batched) and reduce is None else 1
        out, work = np.full(rows * program.result.size, math.nan), np.full(given_work, math.nan)
        arrays = [*packed(samples, batched), out, work]
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
        pointers[len(batched) : len(batched)] = [ctypes.c_size_t(n)] if any(batched) else []
        loaded[f"f{k}"](*pointers)
        agrees(out, program, samples, batched, reduce)


in_c = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
FILES = settings(PROGRAMS, max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@in_c
@FILES
@given(drawn=compiled)
def test_c(tmp_path_factory, drawn):
    agree_in_c(tmp_path_factory.mktemp("arrays"), drawn)


@in_c
@FILES
@given(drawn=compiled)
def test_c_in_parts(tmp_path_factory, monkeypatch, drawn):
    """Functions are split as if they were long, with nothing kept on the stack."""
    monkeypatch.setattr("chainrule.backends.c.functions._PART", 2)
    monkeypatch.setattr("chainrule.backends.c.export._ON_STACK", 0)
    agree_in_c(tmp_path_factory.mktemp("arrays"), drawn)


# ---- what is written ----


def table_lookup(x, i):
    return cr.map(lambda a: cr.sin(a) * x[3], x[2:], reduce="sum") + x[i]


def test_source_in_python_has_lists():
    program = cr.trace(table_lookup, np.zeros(300), 0.0)
    text = python_.source(program)
    assert "def f(x0, x1):" in text and "x0[2 : 300]" in text and "for k in range(298):" in text
    assert "x0[k] if k < 300 else nan for k in rows((x1,), 300)" in text
    numbers = np.linspace(0.0, 1.0, 300)
    expected = np.sum(np.sin(numbers[2:]) * numbers[3]) + numbers[-2]
    assert python_.function(program)(numbers.tolist(), -2.0)[0] == pytest.approx(expected, rel=1e-13)


def test_what_is_written_does_not_grow_with_arrays():
    def written(n):
        program = cr.trace(cr.value_and_grad(table_lookup), np.zeros(n), 0.0)
        texts = [python_.source(program), *export.files(program)]
        return [re.sub(r"\d+", "0", text) for text in texts], int(re.search(r"_WORK (\d+)", texts[2])[1])

    (few, little), (many, much) = written(1000), written(100_000)
    assert few == many and len("".join(few)) < 8000
    # Each array of the trace once, and nothing of it on the stack.
    assert little > 1000 and much < 100 * (little + 20)


@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
@pytest.mark.parametrize("count", [1, 2, 70])
def test_rows_that_come_to_one_place_are_added(count, backend):
    """A row that a view repeats gets the sum of the gradients by its copies."""

    def f(y):
        parts = [Part(12 * k, (3, 4), (4, 1)) for k in range(count)]
        rows = [View((900,), part).apply((y,)) for part in parts]
        placed = Place((2, 300), [Part(300 + 4 * k, (3, 4), (0, 1)) for k in range(count)]).apply(rows)
        return placed * 2.0

    y = np.random.default_rng(0).normal(size=900)
    expected = np.zeros(600)
    for k in range(count):
        expected[300 + 4 * k : 304 + 4 * k] = 2.0 * y[12 * k : 12 * k + 12].reshape(3, 4).sum(0)
    found = cr.compile(f, backend=backend)(y)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-14, atol=1e-14)
