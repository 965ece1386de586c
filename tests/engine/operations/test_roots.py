"""Powers of roots are smooth where the roots are not, in every mode and on every backend."""

import math

import chainrule as cr
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
