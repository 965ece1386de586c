"""Reading a table by a number that is not known yet is one operation, and its derivative adds to one row."""

import ctypes
import math
import re
import shutil
import subprocess

import chainrule as cr
import numpy as np
import pytest
from chainrule.backends import c
from chainrule.programs import Gather, Scatter
from helpers import BACKENDS, agree

ROWS, WIDTH = 27, 4
TABLE = np.random.default_rng(3).normal(size=(ROWS, WIDTH))
PLACES = np.array([0.0, 26.0, 5.0, 5.0, 13.0, 1.0, 2.0, 3.0, 26.0, 9.0, 0.0])


def squares(row):
    return cr.sum([x * x * (k + 1.0) for k, x in enumerate(row)])


TABLES = {
    "list of lists": (lambda rows, k: squares(cr.take(rows, k)), TABLE.tolist()),
    "list of tuples": (lambda rows, k: squares(cr.take(rows, k)), [*map(tuple, TABLE.tolist())]),
    "list of dicts": (
        lambda rows, k: squares([cr.take(rows, k)[key] for key in "abcd"]),
        [dict(zip("abcd", row, strict=True)) for row in TABLE.tolist()],
    ),
    "list of arrays": (lambda rows, k: squares(cr.take(rows, k)), [*TABLE]),
    "array": (lambda rows, k: squares(cr.take(rows, k)), TABLE),
    "array's index": (lambda rows, k: squares(rows[k]), TABLE),
    "list of numbers": (
        lambda rows, k: squares([cr.take(rows, 4.0 * k + j) for j in range(4)]),
        TABLE.ravel().tolist(),
    ),
    "array of numbers": (lambda rows, k: squares([cr.take(rows, 4.0 * k + j) for j in range(4)]), TABLE.ravel()),
    "whole array": (lambda rows, k: squares(rows[k][:WIDTH]), np.pad(TABLE, ((0, 0), (0, 20)))),
}
tables = pytest.mark.parametrize(("f", "rows"), TABLES.values(), ids=TABLES)
backends = pytest.mark.parametrize("backend", BACKENDS)


def numbers_of(rows):
    """Return a table, or a gradient by one, as an array of four columns."""
    if isinstance(rows, list) and isinstance(rows[0], dict):
        rows = [[*row.values()] for row in rows]
    rows = np.array(rows, float)
    return rows.reshape(-1, WIDTH) if rows.ndim == 1 else rows[:, :WIDTH]


def slopes_at(k):
    found = np.zeros((ROWS, WIDTH))
    found[int(k)] = 2 * TABLE[int(k)] * np.arange(1.0, WIDTH + 1)
    return found


@tables
def test_eager_lookups_give_rows_and_their_slopes(f, rows):
    for k in PLACES[:4]:
        value, slopes = cr.value_and_grad(lambda rows, k=int(k): f(rows, k))(rows)
        assert value == pytest.approx(TABLE[int(k)] ** 2 @ np.arange(1.0, WIDTH + 1), rel=1e-14)
        np.testing.assert_allclose(numbers_of(slopes), slopes_at(k), rtol=1e-14)


@tables
def test_a_lookup_is_no_chain_of_choices(f, rows):
    program = cr.trace(cr.value_and_grad(f), rows, 1.0)
    ops = list(program.rows_and_loops())
    reads = sum(isinstance(op, Gather) for op in ops)
    assert 1 <= reads <= WIDTH
    assert 1 <= sum(isinstance(op, Scatter) for op in ops) <= WIDTH
    assert sum(op.name == "where" for op in ops) < ROWS


@backends
@tables
def test_compiled_lookups_equal_numpy(f, rows, backend):
    run = cr.compile(cr.value_and_grad(f), backend=backend)
    value, slopes = run(rows, 5.0)
    assert value == pytest.approx(TABLE[5] ** 2 @ np.arange(1.0, WIDTH + 1), rel=1e-14)
    np.testing.assert_allclose(numbers_of(slopes), slopes_at(5), rtol=1e-14)
    values = cr.compile(f, batch=(1,), backend=backend)(rows, PLACES)
    agree(values, TABLE[PLACES.astype(int)] ** 2 @ np.arange(1.0, WIDTH + 1))
    summed, slopes = cr.compile(cr.value_and_grad(f), batch=(1,), reduce="sum", backend=backend)(rows, PLACES)
    assert summed == pytest.approx(values.sum(), rel=1e-13)
    np.testing.assert_allclose(numbers_of(slopes), sum(map(slopes_at, PLACES)), rtol=1e-13)


@backends
@tables
def test_lookups_inside_of_loops(f, rows, backend):
    """A sum over places in a map: the derivative is a sum to which each iteration adds its row."""

    def total(rows, places):
        return cr.map(lambda k: f(rows, k), places, reduce="sum")

    batch = np.random.default_rng(6).integers(0, ROWS, (9, 6)).astype(float)
    run = cr.compile(cr.value_and_grad(total), batch=(1,), reduce="sum", backend=backend)
    value, slopes = run(rows, batch)
    assert value == pytest.approx(sum(TABLE[int(k)] ** 2 @ np.arange(1.0, WIDTH + 1) for k in batch.flat), rel=1e-12)
    np.testing.assert_allclose(numbers_of(slopes), sum(map(slopes_at, batch.flat)), rtol=1e-12)


@backends
def test_second_derivatives_and_series(backend):
    f = TABLES["list of lists"][0]
    rows = TABLE.tolist()

    def product(rows, k):
        return cr.hvp(lambda rows: f(rows, k), (rows,), (rows,))

    (found,) = (cr.compile(product, backend=backend)(rows, 3.0),)
    np.testing.assert_allclose(np.reshape(found, (ROWS, WIDTH)), slopes_at(3), rtol=1e-13)

    def series(t, k):
        return cr.taylor(lambda t: f([[x * t for x in row] for row in rows], k), t, 2)

    weighted = TABLE[3] ** 2 @ np.arange(1.0, WIDTH + 1)
    agree(cr.compile(series, backend=backend)(1.0, 3.0), [weighted, 2 * weighted, weighted])


@backends
def test_where_there_is_no_row_is_nan(backend):
    """Eager and compiled code agree; what is nan has no derivative by any row."""
    for items in ([1.0, 2.0, 3.0], [float(k) for k in range(12)]):
        run = cr.compile(lambda items, k: cr.take(items, k), batch=("k",), backend=backend)
        places = np.array([-1.0, 0.5, len(items), math.nan, math.inf, -math.inf, 2.0, -0.0])
        found = run(items, places)
        assert np.isnan(found[:6]).all() and found[6:].tolist() == [items[2], items[0]]
        assert all(math.isnan(cr.take(items, k)) for k in places[:6])
    rows = [[float(k), 1.0] for k in range(12)]
    run = cr.compile(lambda rows, k: cr.take(rows, k), batch=("k",), backend=backend)
    found = np.array(run(rows, np.array([-1.0, 12.0, 0.5, 11.0]))).T
    assert np.isnan(found[:3]).all() and found[3].tolist() == [11.0, 1.0]
    assert all(math.isnan(x) for k in (-1.0, 12, 0.5, math.nan) for x in cr.take(rows, k))
    slopes = cr.compile(cr.grad(lambda items, k: cr.take(items, k)), backend=backend)([1.0] * 12, 12.0)
    assert slopes == [0.0] * 12
    ragged = cr.compile(cr.grad(lambda rows, k: cr.sum(rows[k])), batch=(1,), reduce="sum", backend=backend)
    slopes = ragged(np.ones((30, 20)), np.arange(40.0) % 30)
    assert slopes[:10].tolist() == [[2.0] * 20] * 10 and slopes[10:].tolist() == [[1.0] * 20] * 20
    assert np.isnan(ragged(np.ones((30, 20)), np.arange(40.0))).all()


def test_rows_have_to_be_alike():
    for index in (0.0, cr.Var(1.0)):
        with pytest.raises(ValueError, match=r"take expected items of one structure but got \[number\] at 0 and"):
            cr.take([[1.0], [1.0, 2.0]], index)
    found = cr.take([{"a": 1.0, "b": 2.0}, {"b": 3.0, "a": cr.Var(4.0)}], 1)
    assert found["a"].value == 4.0 and found["b"] == 3.0


def test_an_index_that_is_closed_over():
    index = cr.Var(3.0)
    program = cr.trace(lambda t: cr.take([x * t for x in range(12)], index), 1.0)
    assert program(2.0) == 6.0
    assert any(isinstance(op, Gather) for op in program.rows_and_loops())


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_exported_c_reads_rows(tmp_path):
    f, rows = TABLES["list of lists"]
    text = c.source(cr.trace(cr.value_and_grad(f), rows, 1.0), (False, True), name="lookup")
    (tmp_path / "lookup.c").write_text(text)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", tmp_path / "lookup.so", tmp_path / "lookup.c", "-lm"], check=True, timeout=120)
    found = re.search(r"^#define \w+_WORK (\d+)$", text, re.MULTILINE)
    given = [TABLE.copy(), PLACES, np.empty(len(PLACES) * (1 + TABLE.size)), np.empty(int(found[1]) if found else 0)]
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in given]
    pointers.insert(2, ctypes.c_size_t(len(PLACES)))
    ctypes.CDLL(str(tmp_path / "lookup.so")).lookup(*pointers[: 4 + bool(found)])
    agree(given[2][: len(PLACES)], TABLE[PLACES.astype(int)] ** 2 @ np.arange(1.0, WIDTH + 1))
    slopes = given[2][len(PLACES) :].reshape(TABLE.size, len(PLACES)).T
    agree(slopes.ravel(), np.ravel([slopes_at(k) for k in PLACES]))
