"""`no_grad` inside a function holds back the same derivatives traced and compiled as it does eagerly."""

import copy

import chainrule as cr
import pytest
from chainrule import Var
from helpers import BACKENDS

OUTER = Var(2.0)
squared = cr.function(lambda x: x * x)


@cr.no_grad()
def decorated(x):
    return x * x


def of_loops(x):
    with cr.no_grad():
        y, rows = cr.scan(lambda c, t: (c * x + t, c), x, [1.0, 2.0])
        z = cr.map(lambda t: t, [x, x], reduce="sum") + cr.fori_loop(0, 3, lambda i, c: c * x, 1.0)
        z = z + cr.while_loop(lambda c: c < 10, lambda c: c + x, x, limit=20) + rows[1]
    return x * (y + z)


def within_scan(x):
    def body(carry, t):
        with cr.no_grad():
            y = carry * carry * t
        return y * x + carry, y

    carry, rows = cr.scan(body, x, [1.0, 2.0])
    return carry + rows[0] * x


def comparisons(x):
    with cr.no_grad():
        y = cr.where((x > 1) & (x < 5) | (x > 7), x * x, x)
    return x * y


def closed_over(x):
    square = OUTER * OUTER
    with cr.no_grad():
        y = x * square
    return x * y + square * x


def derivatives_inside(x):
    with cr.no_grad():
        value, slope = cr.jvp(lambda t: t**3 * x, (x,), (x,))
        _, pull = cr.vjp(lambda t: t**3, x)
        found = value + slope + pull(x)[0] + cr.grad(lambda t: t**3 * x)(x) + cr.hessian(lambda t: t**4)(x)
        found = found + cr.hvp(lambda t: t**4, x, x) + cr.taylor(lambda t: t**4, x, 2)[2] + cr.jacobian(squared)(x)
    return x * found


def copies(x):
    with cr.no_grad():
        y = copy.copy(x) * 1.0, copy.deepcopy(x), cr.compile(squared)(x), cr.sum([x] * 1200)
    return x * y[0] * y[1] * (y[2] + y[3])


def blocked(f):
    def call(x):
        with cr.no_grad():
            y = f(x)
        return x * y

    return call


stop = cr.stop_gradient
# Each with what it means, written with stop_gradient and plain Python.
CASES = {
    "block": (blocked(lambda x: x * x), lambda x: x * stop(x * x)),
    "decorator": (lambda x: x * decorated(x), lambda x: x * stop(x * x)),
    "what is only handed on": (blocked(lambda x: x), lambda x: x * x),
    "inside of grad": (lambda x: cr.grad(blocked(squared))(x) * x, lambda x: stop(x * x) * x),
    "cond": (blocked(lambda x: cr.cond(x > 1, squared, lambda x: x, x)), lambda x: x * stop(x * x)),
    "branch handed on": (blocked(lambda x: cr.cond(x > 1, lambda: x, lambda: x * x)), lambda x: x * x),
    "inside of cond": (lambda x: cr.cond(x > 1, blocked(squared), squared, x), lambda x: x * stop(x * x)),
    "function in and out": (
        lambda x: squared(x) * blocked(squared)(x) * squared(x),
        lambda x: x**5 * stop(x * x),
    ),
    "checkpoint": (blocked(cr.checkpoint(squared)), lambda x: x * stop(x * x)),
    "checkpoint that closes": (blocked(lambda x: cr.checkpoint(lambda y: x * y)(x)), lambda x: x * stop(x * x)),
    "inside of checkpoint": (cr.checkpoint(blocked(squared)), lambda x: x * stop(x * x)),
    "loops": (
        of_loops,
        lambda x: x * stop((x * x + 1.0) * x + 2.0 + 2 * x + x**3 + 7 * x + x * x + 1.0),
    ),
    "inside of scan": (
        within_scan,
        lambda x: (lambda first: stop(2 * first * first) * x + first + stop(x * x) * x)(stop(x * x) * x + x),
    ),
    "comparisons": (comparisons, lambda x: x * stop(x * x)),
    "closed over": (closed_over, lambda x: x * stop(x * 4.0) + 4.0 * x),
    "derivatives": (
        derivatives_inside,
        lambda x: x * stop(x**4 + 3 * x**4 + 3 * x**3 + 3 * x**3 + 12 * x**2 + 12 * x**3 + 6 * x**2 + 2 * x),
    ),
    "copies": (copies, lambda x: x * stop(x * x * (x * x + 1200 * x))),
}


def modes(f):
    return {
        "value": f,
        "grad": cr.grad(f),
        "grad of grad": cr.grad(cr.grad(f)),
        "hessian": cr.hessian(f),
        "jvp": lambda x: cr.jvp(f, (x,), (1.0,))[1],
        "taylor": lambda x: cr.taylor(f, x, 2)[2],
    }


def number(x):
    return x.value if type(x) is Var else x


@pytest.mark.parametrize("case", CASES)
def test_eager_and_traced_are_one(case):
    f, meant = CASES[case]
    for mode, wanted in modes(meant).items():
        expected = number(wanted(1.5))
        derivative = modes(f)[mode]
        assert number(derivative(1.5)) == pytest.approx(expected, rel=1e-12), mode
        assert number(cr.compile(derivative, backend="python")(1.5)) == pytest.approx(expected, rel=1e-12), mode


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend(backend):
    for name in ("block", "loops", "inside of scan", "derivatives"):
        f, meant = CASES[name]
        assert cr.compile(cr.grad(f), backend=backend)(1.5) == pytest.approx(cr.grad(meant)(1.5), rel=1e-12)


def test_a_trace_made_within_no_grad_is_recorded():
    with cr.no_grad():
        assert cr.compile(cr.grad(lambda x: x * x), backend="python")(3.0) == 6.0
        assert cr.grad(cr.compile(lambda x: x * x, backend="python"))(3.0) == 6.0


def test_a_checkpoint_within_no_grad_records_nothing():
    with cr.no_grad():
        assert not cr.checkpoint(lambda x: x * OUTER)(OUTER).requires_grad
