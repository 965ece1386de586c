"""Fit NIST's certified nonlinear regression problems with our derivatives, to every digit of the certificates."""

import math

import chainrule as cr
import pytest
from nist_strd import PROBLEMS

np = pytest.importorskip("numpy")
optimize = pytest.importorskip("scipy.optimize")

FITS = [pytest.param(problem, k, id=f"{problem.name}-start{k + 1}") for problem in PROBLEMS for k in (0, 1)]

# Levenberg-Marquardt in units of the starting point finds all others.
OTHERWISE = {
    ("MGH17", 0): {"x_scale": (1.0, 2.0, 2.0, 0.1, 0.1)},  # else into another minimum, 450 times as high
    ("Bennett5", 1): {"method": "dogbox"},  # 24 steps along the narrow valley instead of 250
    ("MGH09", 0): {"method": "trf"},  # 130 steps instead of 400
    ("Eckerle4", 0): {"x_scale": "jac"},  # 18 steps instead of 220
}

# The residuals of Lanczos1 are 1e-13; the rounding of the model's values, which are about 1, is a thousandth of that.
ROUNDED = {"Lanczos1": 1e-2}


def sum_of_squares(problem):
    """Return the function to be minimised."""
    return lambda b: cr.sum(residual * residual for residual in problem.residuals(b))


def fit(problem, k):
    """Return the parameters SciPy finds with our Jacobian, to about half of the digits."""
    start = np.array(problem.starts[k], dtype=float)
    return optimize.least_squares(
        lambda b: np.array(problem.residuals(b.tolist())),
        start,
        cr.jacobian(lambda b: np.array(problem.residuals(b))),
        **{"method": "lm", "x_scale": np.abs(start), "max_nfev": 2000} | OTHERWISE.get((problem.name, k), {}),
    )


def polish(problem, b):
    """Follow Newton's method with our gradient and Hessian until its steps vanish.

    SciPy stops where the sum of squares stands still, which is so at half the digits of the parameters already.
    """
    f = sum_of_squares(problem)
    for _ in range(8):
        hessian = cr.hessian(f)(b)
        unit = 1 / np.sqrt(np.abs(np.diag(hessian)))
        step = unit * np.linalg.solve(unit[:, None] * hessian * unit, unit * cr.grad(f)(b))
        b = b - step
        if np.all(np.abs(step) <= 1e-8 * np.abs(b)):  # the next would be about the square of that
            return b
    pytest.fail(f"Newton's method still moves by {step} at {b}")
    return None


def digits(found, certified):
    """Return the log relative error of the worst number, NIST's measure of agreement."""
    return min(-math.log10(max(abs(x - y) / abs(y), 1e-16)) for x, y in zip(found, certified, strict=True))


def printed(numbers):
    """Return numbers with as many digits as a certificate has."""
    return [f"{number:.10e}" for number in numbers]


@pytest.mark.parametrize(("problem", "k"), FITS)
def test_fit_has_the_certified_digits(problem, k):
    found = fit(problem, k)
    assert found.success, found.message
    b = polish(problem, found.x)
    assert digits(b, problem.certified) >= 10

    total = math.fsum(residual**2 for residual in problem.residuals(b.tolist()))
    if problem.name in ROUNDED:
        assert total == pytest.approx(problem.sum_of_squares, rel=ROUNDED[problem.name])
    else:
        assert printed(b) == printed(problem.certified)
        assert printed([total]) == printed([problem.sum_of_squares])


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_jacobian_gives_the_certified_deviations(problem):
    # The covariance of the parameters is the inverse of J^T J times the variance of the residuals.
    b = polish(problem, np.array(problem.certified))
    jacobian = np.array(cr.jacobian(problem.residuals)(b.tolist()))
    unit = 1 / np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(jacobian * unit, mode="r"))
    variance = problem.sum_of_squares / (len(jacobian) - len(b))
    deviations = unit * np.linalg.norm(inverse, axis=1) * math.sqrt(variance)
    assert digits(deviations, problem.deviations) >= 10


def test_problems_are_of_every_level():
    assert {problem.level for problem in PROBLEMS} == {"lower", "average", "higher"}
    assert len({problem.name for problem in PROBLEMS}) == len(PROBLEMS) == 15
    for problem in PROBLEMS:
        assert len(problem.certified) == len(problem.deviations) == len(problem.starts[0]) == len(problem.starts[1])
