"""Programs of arrays mean the same on each backend: random views, places, gathers, scatters and loops."""

import ctypes
import math

import numpy as np
import pytest
from array_programs import programs_at_samples
from chainrule.backends import numpy_, python_
from hypothesis import HealthCheck, given, settings
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
