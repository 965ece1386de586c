"""Maps look short rows up themselves: the same numbers, and nothing is stored but what is needed as an array."""

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import Gather
from chainrule.rewriting import look_up, prepared

COUNT = 300
rng = np.random.default_rng(3)
table, numbers, wide = rng.normal(size=(100, 3)), rng.normal(size=300), rng.normal(size=(20, 40))
index, other = rng.integers(-100, 100, size=COUNT), rng.integers(300, size=COUNT)
weights = rng.normal(size=COUNT)


def columns(table):
    a, b, c = table[index].T
    return np.sum(a * np.exp(b) - c)


def columns_in_any_order(table):
    rows = table[index]
    return rows[:, 2] * weights + np.sin(rows[:, 0])


def numbers_of_a_vector(table):
    return numbers[other] * table[index][:, 1] * table[index][:, 0]


def two_tables(table):
    rows = table[index]
    return np.sum(rows[:, 0] * numbers[other] + rows[:, 2] * np.cos(numbers[other]))


def inside_a_scan(table):
    def step(total, factor):
        return total + columns(table * factor), None

    return cr.scan(step, 0.0, np.array([1.0, 2.0, 3.0]))[0]


def index_that_is_computed(table):
    a, b, c = cr.take(table, np.floor(np.abs(weights) * 3.0)).T
    return np.sum(a * b + c)


INSIDE = (columns, columns_in_any_order, numbers_of_a_vector, two_tables, inside_a_scan, index_that_is_computed)


def stored(program):
    return sum(type(op) is Gather and op.index != () for op in program.rows_and_loops())


@pytest.mark.parametrize("f", INSIDE)
def test_maps_read_rows_themselves(f):
    before = prepared(cr.trace(f, table), [False])
    program = look_up(before)
    assert stored(before) > 0
    assert stored(program) == 0
    np.testing.assert_allclose(program(table), f(table), rtol=1e-13)


@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
@pytest.mark.parametrize("f", INSIDE)
def test_values_and_derivatives_stay(f, backend):
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    np.testing.assert_allclose(cr.compile(f, backend=backend)(table), f(table), rtol=1e-13)

    def total(table):
        return np.sum(f(table) ** 2)

    found = cr.compile(cr.grad(total), backend=backend)(table)
    step = 1e-6 * rng.normal(size=table.shape)
    np.testing.assert_allclose(np.sum(found * step) * 2.0, total(table + step) - total(table - step), rtol=1e-6)


@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
def test_rows_that_are_not_there_are_nan(backend):
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    at = np.where(np.arange(COUNT) % 7 == 0, 120.0, index * 1.0)

    def f(table, at):
        a, b, c = cr.take(table, at).T
        return a + b * c

    assert stored(look_up(prepared(cr.trace(f, table, at), [False, False]))) == 0
    found = cr.compile(f, backend=backend)(table, at)
    np.testing.assert_array_equal(np.isnan(found), np.arange(COUNT) % 7 == 0)


@pytest.mark.parametrize(
    "f",
    [
        lambda table: (table[index], np.sin(table[index][:, 0]) * table[index][:, 1]),  # a result
        lambda table: np.sum(np.cumsum(table[index][:, 0]) * table[index][:, 1]),
        lambda table: table[index] @ table[:3],  # a matrix of rows
    ],
)
def test_what_is_needed_as_an_array_is_stored(f):
    assert stored(look_up(prepared(cr.trace(f, table), [False]))) > 0


def test_long_rows_of_which_little_is_taken_are_stored():
    at = rng.integers(20, size=COUNT)
    assert stored(look_up(prepared(cr.trace(lambda wide: np.sum(wide[at][:, 0] * wide[at][:, 1]), wide), [False]))) > 0
