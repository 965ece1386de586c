"""Exponentials that loops compute where they stand, compared with mpmath, on machines that scale and on others."""

import math

import chainrule as cr
import mpmath
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import exponential, instructions
from chainrule.backends.llvm.machine import host

pytestmark = pytest.mark.skipif(not host().fused, reason="this machine asks a library")


@pytest.fixture(params=["scaled", "multiplied"])
def way(request, monkeypatch):
    """Have powers of 2 multiplied by one instruction, where there is one, or by two products."""
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    if request.param == "multiplied":
        write = exponential.exponential
        other = lambda own, lanes, scales: write(own, lanes, False)  # noqa: E731
        monkeypatch.setattr(instructions.exponential, "exponential", other)


@pytest.fixture
def exponentials(way):
    """Return the compiled function."""
    return cr.compile(lambda xs: cr.map(cr.exp, xs), backend="llvm")


def points():
    """Draw arguments of every size, also next to multiples of log 2 and their halves, and to both ends."""
    rng = np.random.default_rng(0)
    halves = [k * math.log(2.0) / 2.0 for k in range(-2152, 2048, 3)]
    sized = rng.choice([-1.0, 1.0], 300) * 2.0 ** rng.uniform(-1070, 9, 300)
    low, high = math.log(5e-324), math.log(1.7976931348623157e308)
    ends = [
        x for end in (low, high) for x in (end, math.nextafter(end, 0.0), math.nextafter(end, math.copysign(999, end)))
    ]
    return np.array([*halves, *sized, *ends, *rng.uniform(-760, 720, 1000), *rng.uniform(-745, -707, 300)])


def test_each_number_is_right_to_the_last_digit(exponentials):
    xs = points()
    with mpmath.workdps(60):
        for x, y in zip(xs.tolist(), np.asarray(exponentials(xs)).tolist(), strict=True):
            true = mpmath.exp(mpmath.mpf(x))
            if true >= mpmath.mpf(2) ** 1024 * (1 - mpmath.mpf(2) ** -54):
                assert y == math.inf, x
            else:
                assert abs(mpmath.mpf(y) - true) <= 1.2 * math.ulp(float(true)), x


def test_infinities_zeros_and_nan(exponentials):
    xs = np.array([0.0, -0.0, math.inf, -math.inf, 1e308, -1e308, 5e-324] * 3)
    assert np.asarray(exponentials(xs)).tolist() == [1.0, 1.0, math.inf, 0.0, math.inf, 0.0, 1.0] * 3
    assert np.isnan(exponentials(np.full(21, math.nan))).all()


def test_loops_call_no_library_for_it(exponentials):
    exponentials(np.ones(64))
    text = exponentials.source("llvm")
    assert "llvm.fma" in text and "v_exp(" not in text


def test_single_precision_is_right_to_the_last_digit(way):
    exponentials = cr.compile(lambda xs: cr.map(cr.exp, xs), backend="llvm", dtype="float32")
    rng = np.random.default_rng(0)
    halves = np.arange(-300, 256) * math.log(2.0) / 2.0
    xs = np.float32(np.concatenate([halves, rng.uniform(-104, 88.7, 100_000), rng.uniform(-104, -86, 20_000)]))
    found, true = exponentials(xs), np.exp(xs.astype(float))
    assert np.max(np.abs(found - true) / np.spacing(true.astype(np.float32))) <= 1.1
    edges = np.float32([0.0, -0.0, math.inf, -math.inf, 3e38, -3e38, 1e-45, 88.73, -103.98] * 3)
    assert exponentials(edges).tolist() == [1.0, 1.0, math.inf, 0.0, math.inf, 0.0, 1.0, math.inf, 0.0] * 3
    assert np.isnan(exponentials(np.full(41, math.nan, np.float32))).all()
    assert "llvm.fma" in exponentials.source("llvm") and "v_expf(" not in exponentials.source("llvm")
