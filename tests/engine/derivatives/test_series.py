"""Taylor series: every smooth row to order 20 against mpmath, and series that are known by heart."""

import math

import chainrule as cr
import pytest
from chainrule import PRIMITIVES, Var, taylor
from chainrule.testing import sample
from helpers import BACKENDS, definition

mpmath = pytest.importorskip("mpmath")
ORDER = 20


def around(row, point, position):
    """Return the row as a function of one argument, for mpmath and for us."""
    exact = definition(row)
    with_x = lambda x: [x if k == position else y for k, y in enumerate(point)]  # noqa: E731
    return lambda x: exact(*map(mpmath.mpf, with_x(x))), lambda x: row.apply(tuple(with_x(x)))


CASES = [
    pytest.param(row, k, id=f"{name}-{k}")
    for name, row in PRIMITIVES.items()
    for k, interval in enumerate(row.domain)
    if not interval.integers and not row.custom
]


@pytest.mark.parametrize(("row", "position"), CASES)
def test_rows_to_order_20(row, position):
    with mpmath.workdps(30):
        for point in sample(row, 1, seed=3):
            exact, ours = around(row, point, position)
            expected = mpmath.taylor(exact, mpmath.mpf(point[position]), ORDER)
            got = taylor(ours, point[position], ORDER)
            scale = max(abs(c) for c in expected)
            for k, (theirs, mine) in enumerate(zip(expected, got, strict=True)):
                noise = mpmath.mpf(10) ** -20 * scale
                assert abs(mine - theirs) <= 1e-9 * abs(theirs) + noise, (k, theirs, mine)


def test_known_series():
    assert taylor(cr.exp, 0.0, 6) == pytest.approx([1 / math.factorial(k) for k in range(7)], rel=1e-15)
    assert taylor(lambda x: 1 / (1 - x), 0.0, 5) == [1.0] * 6
    assert taylor(lambda x: (1 + x) ** 4, 0.0, 6) == [1.0, 4.0, 6.0, 4.0, 1.0, 0.0, 0.0]
    assert taylor(lambda x: x**3, 0.0, 4) == [0.0, 0.0, 0.0, 1.0, 0.0]
    assert taylor(cr.sinc, 0.0, 4) == pytest.approx([1, 0, -(math.pi**2) / 6, 0, math.pi**4 / 120], abs=1e-14)
    assert taylor(lambda x: (1 + x) ** 0.5, 0.0, 3) == [1.0, 0.5, -0.125, 0.0625]


def test_structures_become_lists():
    assert taylor(lambda x: {"x": x, "squares": [x * x, 3.0]}, 2.0, 2) == {
        "x": [2.0, 1.0, 0.0],
        "squares": [[4.0, 4.0, 1.0], [3.0, 0.0, 0.0]],
    }


def test_order_zero_is_the_value():
    assert taylor(cr.sin, 1.0, 0) == [math.sin(1.0)]


def test_nests_in_derivatives():
    second = lambda a: taylor(lambda x: cr.exp(a * x), 0.0, 2)[2]  # a**2 / 2  # noqa: E731
    assert second(3.0) == 4.5
    assert cr.grad(second)(3.0) == 3.0
    assert cr.grad(cr.grad(second))(3.0) == 1.0
    assert cr.grad(lambda x: taylor(cr.sin, x, 3)[3])(0.5) == pytest.approx(math.sin(0.5) / 6, rel=1e-14)
    x = Var(3.0)
    second(x).backward()
    assert x.grad == 3.0


def test_a_long_chain():
    def f(x):
        for _ in range(20_000):
            x = x * 1.0001
        return x

    assert taylor(f, 1.0, 2)[1] == pytest.approx(1.0001**20_000, rel=1e-9)


def test_cost_grows_with_the_square_of_the_order(monkeypatch):
    """Products of coefficients counted, not time: four times the order is about 16 times the work, not 64."""
    from chainrule.derivatives import series

    counts = []
    for order in (10, 40):
        products = 0
        plain = series.chain

        def counting(gradient, partial, plain=plain):
            nonlocal products
            products += 1
            return plain(gradient, partial)

        monkeypatch.setattr(series, "chain", counting)
        taylor(lambda x: cr.tanh(cr.exp(cr.sin(x)) / (2 + cr.cos(x))) * cr.atan(x), 0.3, order)
        monkeypatch.setattr(series, "chain", plain)
        counts.append(products)
    assert counts[1] < 22 * counts[0]


def test_series_of_loops_in_a_trace():
    def chained(x):
        kept = cr.scan(lambda c, _: (cr.sin(c) * x, c), x, [1.0] * 3)[1]
        return cr.sum(cr.map(lambda r: r * r, kept))

    def layered(x):
        rows = [[0.01 * (i - j) for j in range(30)] for i in range(30)]
        hidden = [cr.tanh(cr.dot(row, [x * 0.1 * k for k in range(30)])) for row in rows]
        return cr.sum(cr.tanh(cr.dot(row, hidden)) for row in rows)

    for f in (chained, cr.grad(chained), layered, cr.grad(layered)):
        found = cr.compile(lambda x, f=f: cr.taylor(f, x, 3), backend="python")(0.5)
        assert found == pytest.approx(cr.taylor(f, 0.5, 3), rel=1e-12)


@pytest.mark.parametrize("name", ["log", "log1p", "pow", "atan2", "hypot", "asinh", "elu", "celu", "silu", "mish"])
def test_series_of_rows_with_cases_in_a_trace(name):
    row = PRIMITIVES[name]

    def f(t):
        return cr.where(t < 5.0, row(t, *(1.5,) * (row.arity - 1)), 0.0)

    for g, order in ((f, 4), (cr.grad(f), 2)):
        found = cr.compile(lambda x, g=g, order=order: cr.taylor(g, x, order), backend="python")(0.5)
        assert found == pytest.approx(cr.taylor(g, 0.5, order), rel=1e-12, abs=1e-14)


def test_zeros_of_both_signs_are_different_constants():
    assert taylor(lambda x: [cr.atan2(0.0, x), cr.atan2(-0.0, x)], -1.0, 0) == [[math.pi], [-math.pi]]


POWERS_AT_0 = {
    "t**1.5": lambda t: t**1.5,
    "t**-1.0": lambda t: t**-1.0,
    "t**-2.0": lambda t: t**-2.0,
    "t**65": lambda t: t**65,
    "(-t)**2.5": lambda t: (-t) ** 2.5,
    "(t*t)**0.5": lambda t: (t * t) ** 0.5,
    "(t*t)**2.5": lambda t: (t * t) ** 2.5,
    "(t**3)**-1.5": lambda t: (t**3) ** -1.5,
    "(1 - cos t)**1.5": lambda t: (1 - cr.cos(t)) ** 1.5,
    "(t*t + t**3)**1.5": lambda t: (t * t + t**3) ** 1.5,
    "sin(t)**3.5": lambda t: cr.sin(t) ** 3.5,
    "exp(t)**1.5": lambda t: cr.exp(t) ** 1.5,
}


@pytest.mark.parametrize("name", POWERS_AT_0)
def test_powers_at_0(name):
    """The series has what nested derivatives have: 0 up to the first order that exists, then inf or the coefficient."""
    f, order = POWERS_AT_0[name], 6
    nested = [lambda x: f(Var(x)).value]
    for _ in range(order):
        nested.append(cr.grad(f if len(nested) == 1 else nested[-1]))
    expected = [g(0.0) / math.factorial(k) for k, g in enumerate(nested)]
    for backend in (None, *BACKENDS):
        series = lambda x: taylor(f, x, order)  # noqa: E731
        found = cr.compile(series, backend=backend)(0.0) if backend else series(0.0)
        assert found == pytest.approx(expected, rel=1e-13, abs=0.0, nan_ok=True), backend


@pytest.mark.parametrize("n", [65, 100])
def test_whole_powers_at_0(n):
    assert taylor(lambda t: t**n, 0.0, n + 2) == [0.0] * n + [1.0, 0.0, 0.0]
    assert taylor(lambda t: cr.sin(t) ** n, 0.0, n + 2)[n:] == pytest.approx([1.0, 0.0, -n / 6], rel=1e-13)
    # A coefficient is a function of where the series starts, also there.
    assert cr.grad(lambda x: taylor(lambda t: t**n, x, n - 1)[n - 1])(0.0) == n


def test_series_of_powers_are_differentiated_where_they_start():
    def slope(x):
        return taylor(lambda t: t**2.5, x, 2)[1]

    for backend in BACKENDS:
        compiled = cr.compile(cr.grad(cr.grad(slope)), backend=backend)
        for x in (0.0, 2.0):
            assert cr.grad(cr.grad(slope))(x) == compiled(x) == pytest.approx(1.875 * x**-0.5 if x else math.inf)


@pytest.mark.parametrize("n", [1e-200, 2.5, -2.5, 1.9, 0.5, 70.0])
def test_powers_out_of_range_have_derivatives_in_range(n):
    f = lambda x: cr.pow(x, n)  # noqa: E731
    compiled = cr.compile(lambda x: taylor(f, x, 2), backend="python")
    for x in (-math.inf, math.inf, 1e200, 1e-200, 0.0, 2.0):
        expected = [f(x), cr.grad(f)(x)]
        assert taylor(f, x, 2)[:2] == pytest.approx(expected, rel=1e-12, nan_ok=True), x
        assert compiled(x) == pytest.approx(taylor(f, x, 2), rel=1e-12, nan_ok=True), x
