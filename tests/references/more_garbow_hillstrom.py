"""The 35 least-squares problems of Moré, Garbow and Hillstrom, with their starting points and minima.

Source: J. J. Moré, B. S. Garbow, K. E. Hillstrom (1981), "Testing Unconstrained Optimization Software", ACM
Transactions on Mathematical Software 7(1), pp. 17-41; the numbers are those of its list. The residuals take the
module whose functions are to be used (`exp`, `sqrt`, `sin`, `cos`, `atan`), so one text serves floats and Vars
(chainrule) and numbers of any precision (mpmath). Data enter as floats in every case.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PROBLEMS", "Problem"]


@dataclass(frozen=True)
class Problem:
    """Hold residuals(ops, x), the published start, and the published minima of the sum of their squares.

    A minimum is written as printed: with the digits that are known, cut off rather than rounded.
    """

    number: int
    name: str
    residuals: Callable[[Any, Sequence[Any]], list[Any]]
    start: tuple[float, ...]
    minima: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number}-{self.name}-{len(self.start)}"


PROBLEMS: list[Problem] = []


def problem(number: int, start: Sequence[float], *minima: str) -> Callable[[Any], Any]:
    """List the decorated residuals as the problem of that number; one of several sizes is listed several times."""

    def list_it(residuals: Any) -> Any:
        name = residuals.__name__.replace("_", " ")
        PROBLEMS.append(Problem(number, name, residuals, tuple(map(float, start)), minima))
        return residuals

    return list_it


@problem(1, [-1.2, 1], "0")
def Rosenbrock(ops, x):
    return [10 * (x[1] - x[0] ** 2), 1 - x[0]]


@problem(2, [0.5, -2], "0", "48.9842")
def Freudenstein_Roth(ops, x):
    return [-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]]


@problem(3, [0, 1], "0")
def Powell_badly_scaled(ops, x):
    return [1e4 * x[0] * x[1] - 1, ops.exp(-x[0]) + ops.exp(-x[1]) - 1.0001]


@problem(4, [1, 1], "0")
def Brown_badly_scaled(ops, x):
    return [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]


@problem(5, [1, 1], "0")
def Beale(ops, x):
    return [y - x[0] * (1 - x[1] ** i) for i, y in enumerate([1.5, 2.25, 2.625], 1)]


@problem(6, [0.3, 0.4], "124.362")
def Jennrich_Sampson(ops, x):
    return [2 + 2 * i - (ops.exp(i * x[0]) + ops.exp(i * x[1])) for i in range(1, 11)]


@problem(7, [-1, 0, 0], "0")
def helical_valley(ops, x):
    turn = ops.atan(x[1] / x[0]) / (2 * math.pi) + (0 if x[0] > 0 else 0.5)
    return [10 * (x[2] - 10 * turn), 10 * (ops.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]]


BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]


@problem(8, [1, 1, 1], "8.21487e-3", "17.4286")
def Bard(ops, x):
    return [y - (x[0] + i / ((16 - i) * x[1] + min(i, 16 - i) * x[2])) for i, y in enumerate(BARD, 1)]


GAUSSIAN = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989]


@problem(9, [0.4, 1, 0], "1.12793e-8")
def Gaussian(ops, x):
    ys = GAUSSIAN + GAUSSIAN[-2::-1]
    return [x[0] * ops.exp(-x[1] * ((8 - i) / 2 - x[2]) ** 2 / 2) - y for i, y in enumerate(ys, 1)]


MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]


@problem(10, [0.02, 4000, 250], "87.9458")
def Meyer(ops, x):
    return [x[0] * ops.exp(x[1] / (45 + 5 * i + x[2])) - y for i, y in enumerate(MEYER, 1)]


@problem(11, [5, 2.5, 0.15], "0")
def Gulf_research(ops, x):
    # The print has |y m i x2| for |y - x2|; with that the published minimum would not be one.
    ts = [i / 100 for i in range(1, 100)]
    ys = [25 + (-50 * math.log(t)) ** (2 / 3) for t in ts]
    return [ops.exp(-(((y - x[1]) ** 2) ** (x[2] / 2)) / x[0]) - t for t, y in zip(ts, ys, strict=True)]


@problem(12, [0, 10, 20], "0")
def Box(ops, x):
    ts = [0.1 * i for i in range(1, 11)]
    return [ops.exp(-t * x[0]) - ops.exp(-t * x[1]) - x[2] * (math.exp(-t) - math.exp(-10 * t)) for t in ts]


@problem(13, [3, -1, 0, 1], "0")
def Powell_singular(ops, x):
    return [
        x[0] + 10 * x[1],
        math.sqrt(5) * (x[2] - x[3]),
        (x[1] - 2 * x[2]) ** 2,
        math.sqrt(10) * (x[0] - x[3]) ** 2,
    ]


@problem(14, [-3, -1, -3, -1], "0")
def Wood(ops, x):
    return [
        10 * (x[1] - x[0] ** 2),
        1 - x[0],
        math.sqrt(90) * (x[3] - x[2] ** 2),
        1 - x[2],
        math.sqrt(10) * (x[1] + x[3] - 2),
        (x[1] - x[3]) / math.sqrt(10),
    ]


KOWALIK_OSBORNE = [
    (0.1957, 4.0), (0.1947, 2.0), (0.1735, 1.0), (0.1600, 0.5), (0.0844, 0.25), (0.0627, 0.167),
    (0.0456, 0.125), (0.0342, 0.1), (0.0323, 0.0833), (0.0235, 0.0714), (0.0246, 0.0625),
]  # fmt: skip


@problem(15, [0.25, 0.39, 0.415, 0.39], "3.07505e-4", "1.02734e-3")
def Kowalik_Osborne(ops, x):
    return [y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3]) for y, u in KOWALIK_OSBORNE]


@problem(16, [25, 5, -5, -1], "85822.2")
def Brown_Dennis(ops, x):
    ts = [i / 5 for i in range(1, 21)]
    return [(x[0] + t * x[1] - math.exp(t)) ** 2 + (x[2] + x[3] * math.sin(t) - math.cos(t)) ** 2 for t in ts]


OSBORNE_1 = [
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
    0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
    0.406,
]  # fmt: skip


@problem(17, [0.5, 1.5, -1, 0.01, 0.02], "5.46489e-5")
def Osborne_1(ops, x):
    return [
        y - (x[0] + x[1] * ops.exp(-10 * i * x[3]) + x[2] * ops.exp(-10 * i * x[4])) for i, y in enumerate(OSBORNE_1)
    ]


@problem(18, [1, 2, 1, 1, 1, 1], "0", "5.65565e-3")
def Biggs(ops, x):
    ts = [0.1 * i for i in range(1, 14)]
    ys = [math.exp(-t) - 5 * math.exp(-10 * t) + 3 * math.exp(-4 * t) for t in ts]
    return [
        x[2] * ops.exp(-t * x[0]) - x[3] * ops.exp(-t * x[1]) + x[5] * ops.exp(-t * x[4]) - y
        for t, y in zip(ts, ys, strict=True)
    ]


OSBORNE_2 = [
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606,
    0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423,
    0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668,
    0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098,
    0.054,
]  # fmt: skip


@problem(19, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], "4.01377e-2")
def Osborne_2(ops, x):
    def model(t):
        peaks = [x[k] * ops.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3)]
        return x[0] * ops.exp(-t * x[4]) + sum(peaks)

    return [y - model(i / 10) for i, y in enumerate(OSBORNE_2)]


@problem(20, [0] * 6, "2.28767e-3")
@problem(20, [0] * 9, "1.39976e-6")
@problem(20, [0] * 12, "4.72238e-10")
def Watson(ops, x):
    def residual(t):
        slope = sum(j * x[j] * t ** (j - 1) for j in range(1, len(x)))
        return slope - sum(x[j] * t**j for j in range(len(x))) ** 2 - 1

    return [residual(i / 29) for i in range(1, 30)] + [x[0], x[1] - x[0] ** 2 - 1]


@problem(21, [-1.2, 1] * 5, "0")
def extended_Rosenbrock(ops, x):
    return [residual for i in range(0, len(x), 2) for residual in Rosenbrock(ops, x[i : i + 2])]


@problem(22, [3, -1, 0, 1] * 3, "0")
def extended_Powell_singular(ops, x):
    return [residual for i in range(0, len(x), 4) for residual in Powell_singular(ops, x[i : i + 4])]


@problem(23, range(1, 5), "2.24997e-5")
@problem(23, range(1, 11), "7.08765e-5")
def penalty_I(ops, x):
    return [math.sqrt(1e-5) * (xi - 1) for xi in x] + [sum(xi**2 for xi in x) - 0.25]


@problem(24, [0.5] * 4, "9.37629e-6")
@problem(24, [0.5] * 10, "2.93660e-4")
def penalty_II(ops, x):
    n, root = len(x), math.sqrt(1e-5)
    ys = [math.exp(i / 10) + math.exp((i - 1) / 10) for i in range(2, n + 1)]
    powers = [ops.exp(xi / 10) for xi in x]
    return [
        x[0] - 0.2,
        *(root * (powers[i] + powers[i - 1] - ys[i - 1]) for i in range(1, n)),
        *(root * (power - math.exp(-1 / 10)) for power in powers[1:]),
        sum((n - j) * x[j] ** 2 for j in range(n)) - 1,
    ]


@problem(25, [1 - j / 10 for j in range(1, 11)], "0")
def variably_dimensioned(ops, x):
    moment = sum(j * (xj - 1) for j, xj in enumerate(x, 1))
    return [xi - 1 for xi in x] + [moment, moment**2]


@problem(26, [1 / 5] * 5, "0")
def trigonometric(ops, x):
    cosines = [ops.cos(xi) for xi in x]
    rest = len(x) - sum(cosines)
    return [rest + i * (1 - cosines[i - 1]) - ops.sin(x[i - 1]) for i in range(1, len(x) + 1)]


@problem(27, [0.5] * 10, "0", "1")
def Brown_almost_linear(ops, x):
    everything = sum(x)
    product = x[0]
    for xi in x[1:]:
        product = product * xi
    return [xi + everything - (len(x) + 1) for xi in x[:-1]] + [product - 1]


def grid(n):
    """Return the spacing, the inner points, and the published start for the two problems on a grid."""
    ts = [i / (n + 1) for i in range(1, n + 1)]
    return 1 / (n + 1), ts, [t * (t - 1) for t in ts]


@problem(28, grid(10)[2], "0")
def discrete_boundary_value(ops, x):
    h, ts, _ = grid(len(x))
    xs = [0, *x, 0]
    return [2 * xs[i] - xs[i - 1] - xs[i + 1] + h**2 * (xs[i] + t + 1) ** 3 / 2 for i, t in enumerate(ts, 1)]


@problem(29, grid(10)[2], "0")
def discrete_integral_equation(ops, x):
    h, ts, _ = grid(len(x))
    cubes = [(xj + t + 1) ** 3 for xj, t in zip(x, ts, strict=True)]

    def residual(i):
        below = sum(ts[j] * cubes[j] for j in range(i + 1))
        above = sum((1 - ts[j]) * cubes[j] for j in range(i + 1, len(x)))
        return x[i] + h * ((1 - ts[i]) * below + ts[i] * above) / 2

    return [residual(i) for i in range(len(x))]


@problem(30, [-1] * 10, "0")
def Broyden_tridiagonal(ops, x):
    xs = [0, *x, 0]
    return [(3 - 2 * xs[i]) * xs[i] - xs[i - 1] - 2 * xs[i + 1] + 1 for i in range(1, len(x) + 1)]


@problem(31, [-1] * 10, "0")
def Broyden_banded(ops, x):
    def residual(i):
        band = [j for j in range(max(0, i - 5), min(len(x), i + 2)) if j != i]
        return x[i] * (2 + 5 * x[i] ** 2) + 1 - sum(x[j] * (1 + x[j]) for j in band)

    return [residual(i) for i in range(len(x))]


# Sizes n and m of the linear problems; their minima are m - n, m (m - 1) / 2 (2m + 1), (m² + 3m - 6) / 2 (2m - 3).
@problem(32, [1] * 10, "10")
def linear_of_full_rank(ops, x):
    share = 2 / 20 * sum(x)
    return [xi - share - 1 for xi in x] + [-share - 1] * (20 - len(x))


@problem(33, [1] * 10, "4.63414")
def linear_of_rank_1(ops, x):
    moment = sum(j * xj for j, xj in enumerate(x, 1))
    return [i * moment - 1 for i in range(1, 21)]


@problem(34, [1] * 10, "6.13513")
def linear_of_rank_1_with_zeros(ops, x):
    moment = sum(j * xj for j, xj in enumerate(x[1:-1], 2))
    return [-1, *((i - 1) * moment - 1 for i in range(2, 20)), -1]


@problem(35, [j / 8 for j in range(1, 8)], "0")
@problem(35, [j / 9 for j in range(1, 9)], "3.51687e-3")
@problem(35, [j / 10 for j in range(1, 10)], "0")
@problem(35, [j / 11 for j in range(1, 11)], "6.50395e-3")
def Chebyquad(ops, x):
    n = len(x)
    before, now = [1] * n, [2 * xj - 1 for xj in x]
    residuals = []
    for i in range(1, n + 1):
        residuals.append(sum(now) / n + (0 if i % 2 else 1 / (i * i - 1)))
        before, now = now, [2 * (2 * xj - 1) * a - b for xj, a, b in zip(x, now, before, strict=True)]
    return residuals
