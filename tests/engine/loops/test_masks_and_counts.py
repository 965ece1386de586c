"""Truth values stay such in lists, rows, bodies and examples of a trace; what counts iterations is an index."""

import chainrule as cr
import numpy as np
import pytest

SIZES = pytest.mark.parametrize("n", [10, 300])


def argument(n):
    return np.random.default_rng(n).normal(size=n)


def table(x):
    return x.reshape(-1, 5)


def rows_in_a_body(x):
    return cr.map(lambda row: np.sum(np.where(~row[1] & (row[0] < 1.0), row[0], 0.0)), (table(x), table(x) > 0.2))


def rows_of_a_stack(x):
    return cr.map(lambda row: np.sum(np.where(~row, x, 0.0)), np.stack([x > 0.2, x < -0.5]))


def rows_in_a_scan(x):
    def step(carry, row):
        return carry + np.sum(np.where(~row[0] ^ (row[1] > 0.5), row[1], 1.0)), carry

    return cr.scan(step, 0.0, (table(x) > 0.2, table(x)))[0]


def numbers_in_a_body(x):
    return cr.map(lambda item: cr.where(item[0] ^ True, item[1], 0.0), (x > 0.2, x))


def rows_taken_out(x):
    mask = table(x) > 0.2
    return sum(np.where(~own & mask[0], row, 0.0).sum() for own, row in zip(mask, table(x), strict=True)) + 0.0


def a_list_of_conditions(x):
    return np.where([number > 0.2 for number in x], x, 0.0)


PROGRAMS = [rows_in_a_body, rows_of_a_stack, rows_in_a_scan, numbers_in_a_body, rows_taken_out, a_list_of_conditions]


@SIZES
@pytest.mark.parametrize("f", PROGRAMS)
def test_conditions_stay_conditions(f, n):
    x = argument(n)
    expected = f(x)
    np.testing.assert_allclose(cr.compile(f)(x), expected, rtol=1e-13)
    slope = cr.compile(cr.grad(lambda x: np.sum(f(x))))(x)
    step = 1e-7
    difference = (np.sum(f(x + step)) - np.sum(f(x - step))) / (2 * step)
    assert np.sum(slope) == pytest.approx(difference, rel=1e-6, abs=1e-6)


@SIZES
def test_lists_of_truth_values_are_masks(n):
    x = argument(n)
    mask = (x > 0.0).tolist()
    np.testing.assert_array_equal(cr.compile(lambda x: x[mask] * 2)(x), x[mask] * 2)
    columns = [True, False, True, False, False]
    np.testing.assert_array_equal(cr.compile(lambda x: table(x)[:, columns] * 2)(x), table(x)[:, columns] * 2)


@SIZES
def test_trace_takes_arrays_of_truth_values(n):
    def f(x, given):
        return np.where(~given["mask"] & (x > -1.0), x, 0.0).sum()

    x = argument(n)
    mask = x > 0.3
    expected = x[~mask & (x > -1.0)].sum()
    assert cr.trace(f, x, {"mask": mask})(x, {"mask": mask}) == pytest.approx(expected, rel=1e-13)
    rows = cr.compile(lambda x, mask: cr.map(lambda own: np.sum(np.where(~own[0], own[1], 0.0)), (mask, table(x))))
    np.testing.assert_allclose(rows(x, table(mask)), np.where(table(mask), 0.0, table(x)).sum(1), rtol=1e-13)


@SIZES
def test_iterations_are_indices(n):
    x = argument(n)

    def total(x):
        return cr.fori_loop(1, n, lambda i, total: total + x[i] * i, 0.0)

    expected = np.sum(x * np.arange(n))
    assert total(x) == pytest.approx(expected, rel=1e-12)
    assert cr.compile(total)(x) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(cr.grad(total)(x), np.arange(n))
    np.testing.assert_array_equal(cr.compile(cr.grad(total))(x), np.arange(n))
    assert cr.fori_loop(0, 3, lambda i, total: total + [1.0, 2.0, 4.0][i] + len(range(i)), 0.0) == 10.0
    assert cr.fori_loop(0.5, 3, lambda i, total: total + i, 0.0) == 4.5


def test_an_inner_bound_may_be_the_outer_index():
    def f(x):
        return cr.fori_loop(0, 6, lambda i, t: cr.fori_loop(0, i, lambda j, s: s + x[j] * x[i], t, limit=6), 0.0)

    for n in (10, 300):
        x = argument(n)
        expected = sum(x[j] * x[i] for i in range(6) for j in range(i))
        assert f(x) == pytest.approx(expected, rel=1e-12)
        assert cr.compile(f)(x) == pytest.approx(expected, rel=1e-12)
        slope = np.append(x[:6].sum() - x[:6], np.zeros(n - 6))
        np.testing.assert_allclose(cr.compile(cr.grad(f))(x), slope, rtol=1e-12)
        np.testing.assert_allclose(cr.grad(f)(x), slope, rtol=1e-12)


def test_arrays_that_are_not_traced_say_what_to_write():
    x = argument(300)
    with pytest.raises(cr.TraceError, match=r"chainrule\.take"):
        cr.compile(lambda y: cr.fori_loop(0, 300, lambda i, total: total + x[i] * y, 0.0))(1.0)
    found = cr.compile(lambda y: cr.fori_loop(0, 300, lambda i, total: total + cr.take(x, i) * y, 0.0))(2.0)
    assert found == pytest.approx(2 * x.sum(), rel=1e-12)
