"""Programs of arrays mean the same on each backend: random views, places, gathers, scatters and loops."""

import ctypes
import math
import re
import shutil
import subprocess

import numpy as np
import pytest
from array_programs import programs_at_samples
from chainrule.backends import numpy_, python_
from chainrule.backends.c import export
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
