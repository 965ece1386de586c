"""Compare our derivatives for the problems of Moré, Garbow and Hillstrom with mpmath, and solve them with SciPy."""

import functools
import math
from decimal import Decimal

import chainrule as cr
import pytest
from more_garbow_hillstrom import PROBLEMS

mpmath = pytest.importorskip("mpmath")
np = pytest.importorskip("numpy")
optimize = pytest.importorskip("scipy.optimize")

every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
at_and_near_the_start = pytest.mark.parametrize("near", [False, True], ids=["start", "near"])

# Central differences lose 60 digits and keep an error of 1e-120; entries are as small as 1e-92 (Osborne 2).
STEP, DIGITS = "1e-60", 180


def point(problem, near):
    """Return the published start, or a point beside it where nothing is zero or equal by chance."""
    if not near:
        return problem.start
    return tuple(1.05 * x + 0.01 * math.cos(k) for k, x in enumerate(problem.start))


@functools.cache
def exact(problem, near):
    """Return the Jacobian with 25 digits or more, by differences of the same residuals."""
    with mpmath.workdps(DIGITS):
        x, h = [mpmath.mpf(number) for number in point(problem, near)], mpmath.mpf(STEP)
        columns = []
        for k in range(len(x)):
            above, below = (problem.residuals(mpmath, [*x[:k], x[k] + step, *x[k + 1 :]]) for step in (h, -h))
            columns.append([(mpmath.mpf(a) - b) / (2 * h) for a, b in zip(above, below, strict=True)])
        return [list(row) for row in zip(*columns, strict=True)]


def sum_of_squares(problem):
    """Return the function to be minimised."""
    return lambda x: cr.sum(residual * residual for residual in problem.residuals(cr, x))


def agrees(value, printed):
    """Return whether a minimum has the printed digits, which are truncated, not rounded."""
    if "." not in printed:  # exact: 0, 1, 10
        return abs(value - float(printed)) <= 1e-20 + 1e-12 * float(printed)
    lowest = Decimal(printed)
    above = lowest + Decimal((0, (1,), lowest.as_tuple().exponent))
    return float(lowest) * (1 - 1e-12) <= value < float(above)


@every_problem
@at_and_near_the_start
def test_jacobian_has_all_digits(problem, near):
    found = cr.jacobian(lambda x: problem.residuals(cr, x))(list(point(problem, near)))
    expected = exact(problem, near)
    assert len(found) == len(expected)
    for i, (row, exact_row) in enumerate(zip(found, expected, strict=True)):
        for k, (entry, exact_entry) in enumerate(zip(row, exact_row, strict=True)):
            floor = 1e-100  # what the differences leave of zeros
            assert abs(entry - exact_entry) <= 1e-12 * abs(exact_entry) + floor, f"residual {i} by x{k}"


@every_problem
def test_gradient_is_twice_the_jacobian_times_residuals(problem):
    x = list(point(problem, near=True))
    residuals = problem.residuals(cr, x)
    ours = cr.jacobian(lambda x: problem.residuals(cr, x))(x)
    for k, slope in enumerate(cr.grad(sum_of_squares(problem))(x)):
        terms = [2 * row[k] * residual for row, residual in zip(exact(problem, True), residuals, strict=True)]
        product = math.fsum(2 * row[k] * residual for row, residual in zip(ours, residuals, strict=True))
        rounding = 1e-13 * sum(map(abs, terms)) + 1e-100
        assert abs(slope - sum(terms)) <= rounding, f"by x{k}"
        assert abs(slope - product) <= rounding, f"by x{k}"


@every_problem
def test_curvature_along_a_direction(problem):
    x = list(point(problem, near=True))
    v = [math.cos(1 + 2 * k) * max(abs(number), 0.1) for k, number in enumerate(x)]
    hessian = np.array(cr.hessian(sum_of_squares(problem))(x))
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12, atol=1e-13 * np.abs(hessian).max())
    with mpmath.workdps(DIGITS):
        at = [mpmath.mpf(number) for number in x]
        h = mpmath.mpf(STEP)
        values = []
        for step in (-h, 0, h):
            moved = [number + step * slope for number, slope in zip(at, v, strict=True)]
            values.append(sum(mpmath.mpf(residual) ** 2 for residual in problem.residuals(mpmath, moved)))
        expected = float((values[0] - 2 * values[1] + values[2]) / h**2)
    rounding = 1e-12 * np.abs(v) @ np.abs(hessian) @ np.abs(v)
    assert v @ hessian @ v == pytest.approx(expected, rel=0, abs=rounding)
    assert np.dot(v, cr.hvp(sum_of_squares(problem), x, v)) == pytest.approx(expected, rel=0, abs=rounding)


@every_problem
def test_least_squares_reaches_a_published_minimum(problem):
    found = optimize.least_squares(
        lambda x: np.array(problem.residuals(cr, x.tolist()), dtype=float),
        problem.start,
        cr.jacobian(lambda x: np.array(problem.residuals(cr, x))),
        method="lm",
        x_scale=1.0,
        xtol=1e-8,
        ftol=1e-8,
        gtol=1e-8,
        max_nfev=1000,
    )
    assert found.success, found.message
    value = math.fsum(residual**2 for residual in found.fun)
    assert any(agrees(value, printed) for printed in problem.minima), f"{value} is none of {problem.minima}"


def test_every_problem_of_the_paper_is_there():
    assert {problem.number for problem in PROBLEMS} == set(range(1, 36))
