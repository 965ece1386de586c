"""Rows in single precision: within a few units in the last place, on vectors, in loops, and with NumPy."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

pytest.importorskip("llvmlite")
from chainrule.backends.lowering import DELICATE
from chainrule.operations import PRIMITIVES, table

EPS = 2.0**-24
LEAST = 2.0**-126  # normal number
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.inf, -np.inf, np.nan, 88.5, -88.5, 3e38, -3e38, 1e-38, 1e-44]
ROWS = sorted(
    row.name
    for row in PRIMITIVES.values()
    if row.name not in ("sum", "mean", "dot", "norm", "logsumexp") and row.arity <= 3 and not row.custom
)


def samples(count, seed=0):
    rng = np.random.default_rng(seed)
    columns = []
    for _ in range(count):
        found = [rng.uniform(-3, 3, 800), rng.uniform(-30, 30, 800), rng.normal(size=800), SPECIAL]
        found.append(rng.normal(size=800) * 10.0 ** rng.uniform(-30, 30, 800))
        columns.append(rng.permutation(np.concatenate(found)).astype(np.float32))
    return columns


def units(found, right):
    """Return by how many units in the last place of float32 numbers differ; nan and infinities must be the same."""
    with np.errstate(over="ignore"):
        rounded = right.astype(np.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rounded))
    np.testing.assert_array_equal(found[np.isinf(rounded)], rounded[np.isinf(rounded)])
    fits = np.isfinite(rounded) & (np.abs(right) >= LEAST)
    unit = np.spacing(np.abs(rounded[fits])).astype(float)
    return np.max(np.abs(found[fits] - right[fits]) / unit, initial=0.0)


def function_of(name, count):
    row = getattr(table, name)
    return {
        1: lambda x: row(x),
        2: lambda x, y: row(x, y),
        3: lambda x, y, z: row(x, y, z),
    }[count]


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_within_a_few_units_in_the_last_place(name):
    count = PRIMITIVES[name].arity
    f, columns = function_of(name, count), samples(count)
    batch = tuple(range(count))
    right = cr.compile(f, batch=batch, backend="llvm")(*[x.astype(float) for x in columns])
    if name == "silu":  # a sigmoid below the least normal number has lost digits
        columns, right = [columns[0][columns[0] > -87]], right[columns[0] > -87]
    mapped = lambda *xs: cr.map(lambda row: f(*row), xs)  # noqa: E731
    for found in (
        cr.compile(f, batch=batch, backend="llvm", dtype="float32")(*columns),
        cr.compile(lambda *xs: mapped(*xs), backend="llvm", dtype="float32")(*columns),
        cr.compile(f, batch=batch, backend="numpy", dtype="float32")(*columns),
    ):
        assert units(found, right) <= 5.0


def test_rows_of_scalars_are_as_exact():
    for name in ("exp", "log", "tanh", "gelu", "lgamma", "erf"):
        f = function_of(name, 1)
        for x in (0.3, 1.7, 9.5):
            found = cr.compile(f, backend="llvm", dtype="float32")(x)
            assert type(found) is float
            assert abs(found - f(float(np.float32(x)))) <= 5 * 2 * EPS * abs(found)


def test_delicate_definitions_are_computed_in_doubles():
    x = np.float32([-1.2784645, -0.7517916, -12.9, -9.0, 2.0])  # next to zeros, and in tails
    for name in sorted(row for row in DELICATE if PRIMITIVES[row].arity == 1):
        f = function_of(name, 1)
        for backend in BACKENDS:
            found = cr.compile(f, batch=(0,), backend=backend, dtype="float32")(x)
            assert units(found, np.array([f(float(item)) for item in x])) <= 0.51


def test_rows_of_ones_own_get_and_give_doubles():
    seen = []

    @cr.custom_primitive(partials=lambda y, x: (2.0 * x,))
    def squared(x):
        seen.append(x)
        return x * x

    for backend in BACKENDS:
        found = cr.compile(squared, batch=(0,), backend=backend, dtype="float32")(np.float32([0.1, 3.0]))
        np.testing.assert_array_equal(found, np.float32([0.010000000298023226, 9.0]))
    assert set(seen) == {float(np.float32(0.1)), 3.0}
