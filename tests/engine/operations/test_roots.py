"""Powers of roots are smooth where the roots are not, in every mode and on every backend."""

import copy
import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var
from chainrule.operations.roots import ROOTS
from helpers import BACKENDS, flat

# By the root: the numbers it takes, its smooth power and that power written out.
ROOTED = {
    cr.abs: (1, 2, lambda x: x * x),
    cr.sqrt: (1, 2, lambda x: 1.0 * x),
    cr.cbrt: (1, 3, lambda x: 1.0 * x),
    cr.hypot: (2, 2, lambda x, y: x * x + y * y),
    cr.norm: (3, 2, lambda *xs: cr.dot(xs, xs)),
    cr.pow: (1, 2, lambda x: 1.0 * x),
}


def root_of(row):
    if row is cr.norm:
        return lambda *xs: cr.norm(xs)
    return (lambda x: x**0.5) if row is cr.pow else row


def written(row):
    """Yield a power of the root in every spelling, and its true value."""
    root, (_, degree, power) = root_of(row), ROOTED[row]
    for times in (1, 2):
        exponent = times * degree
        smooth = (lambda *xs: power(*xs)) if times == 1 else (lambda *xs: power(*xs) * power(*xs))
        yield lambda *xs, n=exponent: root(*xs) ** n, smooth
        yield lambda *xs, n=exponent: cr.pow(root(*xs), float(n)), smooth
    if degree == 2:
        yield lambda *xs: cr.square(root(*xs)), power

        def product(*xs):
            r = root(*xs)
            return r * r

        yield product, power


def derivatives(f, count):
    """Return functions of a list: gradient, second derivatives by three ways, and the series along the diagonal."""
    whole = lambda xs: f(*xs)  # noqa: E731
    units = [[1.0 if k == place else 0.0 for k in range(count)] for place in range(count)]
    slope = lambda d: lambda xs: cr.jvp(whole, (xs,), (d,))[1]  # noqa: E731
    return {
        "grad": cr.grad(whole),
        "hessian": cr.hessian(whole),
        "forward over forward": lambda xs: [cr.jvp(slope(d), (xs,), (e,))[1] for d in units for e in units],
        "reverse over forward": lambda xs: [cr.grad(slope(d))(xs) for d in units],
        "forward over reverse": lambda xs: [cr.jvp(cr.grad(whole), (xs,), (d,))[1] for d in units],
        "taylor": lambda xs: cr.taylor(lambda t: f(*[x + t for x in xs]), 0.0, 4),
    }


def test_every_root_is_tried():
    assert ROOTED.keys() == ROOTS.keys()


@pytest.mark.parametrize("row", ROOTED, ids=lambda row: row.name)
def test_powers_of_roots_at_0(row):
    count = ROOTED[row][0]
    for f, smooth in written(row):
        for name, wanted in derivatives(smooth, count).items():
            expected = wanted([0.0] * count)
            assert repr(derivatives(f, count)[name]([0.0] * count)).replace("-0.0", "0.0") == repr(expected), name


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROOTED, ids=lambda row: row.name)
def test_compiled_powers_of_roots(row, backend):
    count = ROOTED[row][0]
    f = next(written(row))[0]
    for name, eager in derivatives(f, count).items():
        compiled = cr.compile(eager, backend=backend)
        for xs in ([0.0] * count, [2.0, 0.0, -1.5][:count]):
            found, expected = flat(compiled(xs)), flat(eager(xs))
            assert found == pytest.approx(expected, rel=1e-13, abs=1e-15), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_are_those_of_the_power(backend):
    """Also where a sum of squares would be nan beside an infinity."""
    compiled = cr.compile(lambda x, y: (cr.hypot(x, y) ** 2, cr.norm([x, y]) ** 2, abs(x) ** 2), backend=backend)
    for x, y in ((math.inf, math.nan), (math.nan, 1.0), (-math.inf, 1.0), (1e-170, 1e-170), (-0.0, 0.0)):
        r = math.hypot(x, y)
        assert compiled(x, y) == pytest.approx((r * r, r * r, x * x), nan_ok=True)


def test_gradients_of_the_root_itself_stay():
    for x in (0.0, 4.0):
        leaf = Var(x)
        root = cr.sqrt(leaf)
        power = root**2
        power.backward()
        assert (power.value, root.grad, leaf.grad) == (x, 2.0 * math.sqrt(x), 1.0)


def test_a_power_of_a_constant_root_is_a_constant():
    assert (abs(Var(0.0, requires_grad=False)) ** 2).op is None
    with cr.no_grad():
        assert (abs(Var(0.0)) ** 2).op is None


NORM = cr.norm
# What a norm passes through on its way to a power; times how much of the square's Hessian comes out.
PASSED = {
    "itself": (lambda v: NORM(v) ** 2, 1.0),
    "scaled": (lambda v: (-3.0 * NORM(v) / 2.0) ** 2, 2.25),
    "a product of scaled ones": (lambda v: (lambda r: (3.0 * r) * -r)(NORM(v)), -3.0),
    "dot": (lambda v: (lambda r: cr.dot([r], [r]))(NORM(v)), 1.0),
    "fma": (lambda v: (lambda r: cr.fma(r, 2.0 * r, 0.0))(NORM(v)), 2.0),
    "copy": (lambda v: copy.copy(NORM(v)) ** 2, 1.0),
    "where and a constant": (lambda v: cr.where(v[0] > -1.0, NORM(v), 5.0) ** 2, 1.0),
    "function": (lambda v: cr.function(NORM)(v) ** 2, 1.0),
    "function of scaled": (lambda v: (2.0 * cr.function(lambda v: -NORM(v))(v)) ** 2, 4.0),
    "handed on": (lambda v: cr.function(lambda r: r)(NORM(v)) ** 2, 1.0),
    "cond": (lambda v: cr.cond(v[0] > -1.0, lambda: NORM(v), lambda: 0.0) ** 2, 1.0),
    "cond of what was there": (lambda v: (lambda r: cr.cond(v[0] > 1.0, lambda: 1.0, lambda: r) ** 2)(NORM(v)), 1.0),
    "switch": (lambda v: cr.switch(v[0] + 1.0, [lambda: 1.0, lambda: NORM(v), lambda: v[0]]) ** 2, 1.0),
    "map": (lambda v: cr.map(lambda t: t * 1.0 if t is None else NORM(v), [1.0, 2.0])[1] ** 2, 1.0),
    "scan's carry": (lambda v: cr.scan(lambda c, t: (NORM(v), 0.0), 0.0, [1.0, 2.0])[0] ** 2, 1.0),
    "scan's results": (lambda v: cr.scan(lambda c, t: (c, c), NORM(v), [1.0, 2.0])[1][1] ** 2, 1.0),
    "carry before": (lambda v: cr.scan(lambda c, t: (NORM(v), c), 0.0, [1.0, 2.0])[1][1] ** 2, 1.0),
    "rows": (lambda v: cr.map(lambda r: r, [NORM(v), v[0]])[0] ** 2, 1.0),
    "fori_loop": (lambda v: cr.fori_loop(0, 2, lambda i, c: NORM(v), 0.0) ** 2, 1.0),
    "while_loop": (
        lambda v: cr.while_loop(lambda s: s[1] < 1.0, lambda s: (NORM(v), s[1] + 1.0), (0.0, 0.0 * v[0]), 3)[0] ** 2,
        1.0,
    ),
    "loops in loops": (
        lambda v: cr.function(lambda v: cr.cond(v[0] > -1.0, lambda: cr.function(NORM)(v), lambda: 0.0))(v) ** 2,
        1.0,
    ),
    "checkpoint": (lambda v: cr.checkpoint(NORM)(v) ** 2, 1.0),
    "checkpoint of scaled": (lambda v: (2.0 * cr.checkpoint(lambda v: -NORM(v))(v)) ** 2, 4.0),
    # Where a root is one of several terms, or two roots are but equal, no rule knows of it.
    "two that are equal": (lambda v: NORM(v) * NORM(v), 0.0),
    "a sum": (lambda v: (NORM(v) + 0.0) ** 2, 0.0),
    "a sum over items": (lambda v: cr.map(lambda t: NORM(v), [1.0], reduce="sum") ** 2, 0.0),
    "maximum": (lambda v: cr.maximum(NORM(v), 0.0) ** 2, 0.0),
    "norm of norms": (lambda v: NORM([NORM(v), 0.0]) ** 2, 0.0),
}
AT_0 = [0.0, 0.0]


@pytest.mark.parametrize("name", PASSED)
def test_roots_that_pass_through_something(name):
    f, times = PASSED[name]
    expected = [2.0 * times, 0.0, 0.0, 2.0 * times]
    for mode, eager in derivatives(lambda *v: f(list(v)), 2).items():
        if mode in ("grad", "taylor"):
            expected_here = [0.0, 0.0] if mode == "grad" else [0.0, 0.0, 2.0 * times, 0.0, 0.0]
        else:
            expected_here = expected
        assert flat(eager(AT_0)) == pytest.approx(expected_here, abs=0.0), mode
        assert flat(cr.compile(eager, backend="python")(AT_0)) == pytest.approx(expected_here, abs=0.0), mode


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["cond", "scan's carry", "switch", "function of scaled"])
def test_beside_0_they_are_what_they_were(name, backend):
    f, _ = PASSED[name]
    compiled = cr.compile(cr.hessian(f), backend=backend)
    for point in ([0.3, -0.4], [0.0, 2.0**-30], AT_0):
        assert flat(compiled(point)) == pytest.approx(flat(cr.hessian(f)(point)), rel=1e-13, abs=1e-15)
        values = cr.compile(f, backend=backend)(point), f(point)
        assert values[0] == pytest.approx(values[1], rel=1e-15)


def test_a_scale_whose_square_is_out_of_range_changes_no_value():
    for scale in (1e200, 1e-200):
        f = lambda x, s=scale: (s * abs(x)) ** 2  # noqa: E731
        assert f(0.0) == f(Var(0.0)).value == cr.compile(f, backend="python")(0.0) == 0.0


def test_programs_without_roots_have_one_loop():
    def f(x):
        return cr.scan(lambda c, t: (c * t + x**3, None), x, [1.0, 2.0])[0] ** 2

    assert str(cr.trace(f, 1.0)).count("scan ") == 1


def test_long_chains_of_scales_and_choices():
    x = abs(Var(0.0))
    for _ in range(20_000):
        x = cr.where(0.0, 1.0, -x)
    assert (x * x).value == 0.0


# ---- through arrays ----

INDEX = [float(k) for k in range(300)]
THROUGH = {
    "a result of a whole map": lambda v: cr.map(lambda t: NORM(v), np.array(INDEX))[7] ** 2,
    "rows of a list": lambda v: cr.map(lambda r: r, [NORM(v)] * 300)[299] ** 2,
    "an array of parts": lambda v: cr.map(lambda r: r, [[NORM(v), v[0]], [NORM(v), v[1]]])[1][0] ** 2,
    "a row of an array": lambda v: cr.map(lambda r: r[0], cr.map(lambda t: [NORM(v), t], np.array(INDEX)))[3] ** 2,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", THROUGH)
def test_roots_that_pass_through_arrays(name, backend):
    f = THROUGH[name]
    hessian = cr.compile(cr.hessian(f), backend=backend)
    assert flat(hessian(AT_0)) == [2.0, 0.0, 0.0, 2.0]
    assert flat(hessian([0.3, -0.4])) == pytest.approx([2.0, 0.0, 0.0, 2.0], rel=1e-13, abs=1e-15)
    assert cr.compile(f, backend=backend)([0.3, -0.4]) == pytest.approx(0.25, rel=1e-15)
