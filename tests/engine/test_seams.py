"""Where features meet: random nests of transforms, loops, branches, checkpoints and compiled functions.

Every inner function closes over the numbers of the functions around it, which enclosing transforms may differentiate
by, and copies numbers as it goes. Terms are polynomials, so that the test has the right value and all derivatives from
exact arithmetic of its own: coefficients are fractions, and a derivative is a rule about exponents.
"""

import copy
import functools
import math
import pickle
from fractions import Fraction

import chainrule as cr
import pytest
from chainrule import Var
from helpers import BACKENDS, in_threads
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from polynomials import Polynomial

# ---- terms: a name and what belongs to it; a body has one variable more than what surrounds it, or two ----


COPIES = {
    "copy": copy.copy,
    "deepcopy": lambda x: copy.deepcopy([x])[0],
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "in a thread": lambda x: in_threads(lambda: copy.deepcopy(x))[0],
    "same": lambda x: x,
}
WRAPPERS = {
    "checkpoint": cr.checkpoint,
    "function": cr.function,
    "compile": lambda f: cr.compile(f, backend="python"),
    "plain": lambda f: f,
}
NUMBERS = st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 3.0])


@st.composite
def terms(draw, depth, variables):
    """Draw a term with so many variables in scope."""
    if not depth:
        # Numbers of the functions around are taken as often as one's own.
        return draw(st.one_of(st.tuples(st.just("variable"), st.integers(0, variables - 1)), _numbers()))
    inner = functools.partial(terms, depth - 1)
    kind = draw(st.sampled_from(sorted(RULES)))
    one, two = inner(variables + 1), inner(variables + 2)
    same = inner(variables)
    shapes = {
        "add": (same, same),
        "mul": (same, same),
        "copied": (st.sampled_from(sorted(COPIES)), same),
        "wrapped": (st.sampled_from(sorted(WRAPPERS)), one, same),
        "called on nothing": (st.sampled_from(sorted(WRAPPERS)), same),
        "called on a constant": (st.sampled_from(sorted(WRAPPERS)), one, NUMBERS, st.booleans()),
        "grad": (one, same),
        "jvp": (one, same, same),
        "taylor": (one, same, st.integers(0, 3)),
        "hessian": (two, same, same, st.sampled_from([(0, 0), (0, 1), (1, 1)])),
        "map": (one, st.lists(same, min_size=1, max_size=3)),
        "scan": (two, same, st.lists(same, min_size=1, max_size=2)),
        "while_loop": (one, same, st.integers(0, 2)),
        "cond": (NUMBERS, one, one, same),
        "switch": (same, same, same, same),
        "fori_loop": (same, one, same),
    }
    return (kind, *[draw(part) for part in shapes[kind]])


def _numbers():
    return st.tuples(st.just("number"), NUMBERS)


def as_chainrule(term, *scope):
    """Compute a term with chainrule, at numbers of any kind."""
    kind, *parts = term
    if kind == "variable":
        return scope[parts[0]]
    return parts[0] if kind == "number" else RULES[kind](scope, *parts)[0]()


def as_polynomial(term, scope, point):
    """Compute a term exactly; a branch is chosen by the values at a point."""
    kind, *parts = term
    if kind == "variable":
        return scope[parts[0]]
    return Polynomial.constant(parts[0]) if kind == "number" else EXACT[kind](scope, point, *parts)


def rule(of):
    return lambda scope, *parts: (lambda: of(scope, *parts),)


def _inner(body, scope):
    return lambda *xs: as_chainrule(body, *scope, *xs)


def _wrapped(scope, wrapper, body, argument):
    return WRAPPERS[wrapper](_inner(body, scope))(as_chainrule(argument, *scope))


def _called_on_a_constant(scope, wrapper, body, number, recorded):
    return WRAPPERS[wrapper](_inner(body, scope))(Var(number) if recorded else number)


def _switch(scope, index, *branches):
    # What chooses, and what branches compute with, is closed over.
    index = as_chainrule(index, *scope)
    return cr.switch(index, [lambda branch=branch: as_chainrule(branch, *scope) for branch in branches])


def _fori_loop(scope, bound, body, start):
    inner = _inner(body, scope)
    bound = cr.clip(as_chainrule(bound, *scope), -1.0, 3.0)
    return cr.fori_loop(0, bound, lambda _, c: inner(c), as_chainrule(start, *scope), limit=3)


def _while_loop(scope, body, start, count):
    inner = _inner(body, scope)
    carry = (0.0, as_chainrule(start, *scope))
    return cr.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1.0, inner(c[1])), carry, limit=3)[1]


def _scan(scope, body, start, items):
    inner = _inner(body, scope)
    xs = [as_chainrule(item, *scope) for item in items]
    return cr.scan(lambda c, x: (inner(c, x), None), as_chainrule(start, *scope), xs)[0]


def _hessian(scope, body, first, second, place):
    inner = _inner(body, scope)
    point = [as_chainrule(first, *scope), as_chainrule(second, *scope)]
    return cr.hessian(lambda v: inner(*v))(point)[place[0]][place[1]]


RULES = {
    "add": rule(lambda scope, a, b: as_chainrule(a, *scope) + as_chainrule(b, *scope)),
    "mul": rule(lambda scope, a, b: as_chainrule(a, *scope) * as_chainrule(b, *scope)),
    "copied": rule(lambda scope, how, a: COPIES[how](as_chainrule(a, *scope))),
    "wrapped": rule(_wrapped),
    "called on nothing": rule(lambda scope, wrapper, body: WRAPPERS[wrapper](lambda: as_chainrule(body, *scope))()),
    "called on a constant": rule(_called_on_a_constant),
    "grad": rule(lambda scope, body, a: cr.grad(_inner(body, scope))(as_chainrule(a, *scope))),
    "jvp": rule(
        lambda scope, body, a, t: cr.jvp(_inner(body, scope), as_chainrule(a, *scope), as_chainrule(t, *scope))[1]
    ),
    "taylor": rule(lambda scope, body, a, n: cr.taylor(_inner(body, scope), as_chainrule(a, *scope), n)[n]),
    "hessian": rule(_hessian),
    "map": rule(
        lambda scope, body, items: cr.map(
            _inner(body, scope), [as_chainrule(item, *scope) for item in items], reduce="sum"
        )
    ),
    "scan": rule(_scan),
    "while_loop": rule(_while_loop),
    "cond": rule(
        lambda scope, edge, f, g, a: cr.cond(
            as_chainrule(a, *scope) < edge, _inner(f, scope), _inner(g, scope), as_chainrule(a, *scope)
        )
    ),
    "switch": rule(_switch),
    "fori_loop": rule(_fori_loop),
}


def _body(body, scope, point, *arguments):
    """Return a body as a polynomial in one or two more variables, at arguments whose values choose branches."""
    first = len(scope)
    own = [Polynomial.variable(first + k) for k in range(len(arguments))]
    values = [argument.at(*point)[0] for argument in arguments]
    return as_polynomial(body, [*scope, *own], [*point, *values])


def _exact_taylor(scope, point, body, a, n):
    first, argument = len(scope), as_polynomial(a, scope, point)
    found = _body(body, scope, point, argument)
    for k in range(n):
        found = found.derivative(first) * Polynomial.constant(Fraction(1, k + 1))
    return found.replace(first, argument)


def _exact_jvp(scope, point, body, a, t):
    return _exact_taylor(scope, point, body, a, 1) * as_polynomial(t, scope, point)


def _exact_hessian(scope, point, body, a, b, place):
    first, arguments = len(scope), [as_polynomial(x, scope, point) for x in (a, b)]
    found = _body(body, scope, point, *arguments)
    return found.derivative(first + place[0]).derivative(first + place[1]).replace(first, *arguments)


def _exact_map(scope, point, body, items):
    total = Polynomial({})
    for item in items:
        total = total + _exact_taylor(scope, point, body, item, 0)
    return total


def _exact_scan(scope, point, body, start, items):
    carry = as_polynomial(start, scope, point)
    for item in items:
        own = as_polynomial(item, scope, point)
        carry = _body(body, scope, point, carry, own).replace(len(scope), carry, own)
    return carry


def _exact_while_loop(scope, point, body, start, count):
    carry = as_polynomial(start, scope, point)
    for _ in range(count):
        carry = _body(body, scope, point, carry).replace(len(scope), carry)
    return carry


def _exact_cond(scope, point, edge, f, g, a):
    value = as_polynomial(a, scope, point).at(*point)[0]
    # On the edge the two branches meet: which is taken, rounding decides.
    assume(abs(value - Fraction(edge)) > Fraction(1, 10**6))
    return _exact_taylor(scope, point, f if value < Fraction(edge) else g, a, 0)


def _exact_constant(scope, point, wrapper, body, number, recorded):
    return _body(body, scope, point, Polynomial.constant(number)).replace(len(scope), Polynomial.constant(number))


def _whole(term, scope, point, edges):
    """Return a term's value, which must not lie near where it would choose something else."""
    value = as_polynomial(term, scope, point).at(*point)[0]
    assume(all(abs(value - edge) > Fraction(1, 10**6) for edge in edges))
    return value


def _exact_switch(scope, point, index, *branches):
    index = _whole(index, scope, point, range(1, len(branches)))
    return as_polynomial(branches[max(0, min(math.floor(index), len(branches) - 1))], scope, point)


def _exact_fori_loop(scope, point, bound, body, start):
    count = math.ceil(max(-1, min(_whole(bound, scope, point, range(3)), 3)))
    return _exact_while_loop(scope, point, body, start, max(count, 0))


EXACT = {
    "add": lambda scope, point, a, b: as_polynomial(a, scope, point) + as_polynomial(b, scope, point),
    "mul": lambda scope, point, a, b: as_polynomial(a, scope, point) * as_polynomial(b, scope, point),
    "copied": lambda scope, point, how, a: as_polynomial(a, scope, point),
    "wrapped": lambda scope, point, wrapper, body, a: _exact_taylor(scope, point, body, a, 0),
    "called on nothing": lambda scope, point, wrapper, body: as_polynomial(body, scope, point),
    "called on a constant": _exact_constant,
    "grad": lambda scope, point, body, a: _exact_taylor(scope, point, body, a, 1),
    "jvp": _exact_jvp,
    "taylor": _exact_taylor,
    "hessian": _exact_hessian,
    "map": _exact_map,
    "scan": _exact_scan,
    "while_loop": _exact_while_loop,
    "cond": _exact_cond,
    "switch": _exact_switch,
    "fori_loop": _exact_fori_loop,
}


# ---- a term as a function of two numbers, and its derivatives by the first ----

POINT = (0.75, -1.25)
RANDOM = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    deadline=None,
    max_examples=60,
)
ORDERS = {
    0: lambda f: f,
    1: cr.grad,
    2: lambda f: cr.grad(cr.grad(f)),
    "forward": lambda f: lambda a, b: cr.jvp(lambda x: f(x, b), a, 1.0)[1],
    "series": lambda f: lambda a, b: cr.taylor(lambda x: f(x, b), a, 3)[3],
}
TIMES = {0: 0, 1: 1, 2: 2, "forward": 1, "series": 3}


def expected(term, order):
    """Return the exact derivative, and the largest error that rounding may cause."""
    point = list(map(Fraction, POINT))
    found = as_polynomial(term, [Polynomial.variable(0), Polynomial.variable(1)], point)
    for _ in range(TIMES[order]):
        found = found.derivative(0)
    value, size = found.at(*point)
    value, size = (x / (6 if order == "series" else 1) for x in (value, size))
    assume(size < 10**12)
    return float(value), 1e-9 * float(size) + 1e-9


def _makes_vars(term):
    """Tell whether a term makes a Var of its own, which is somebody else's to derivatives around it."""
    if not isinstance(term, tuple | list):
        return False
    return (term[:1] == ("called on a constant",) and term[-1]) or any(map(_makes_vars, term))


def _plain(found):
    return found.value if type(found) is Var else found


@pytest.mark.parametrize("order", ORDERS)
@RANDOM
@given(terms(3, 2))
def test_nests_have_the_derivatives_of_their_mathematics(order, term):
    right, error = expected(term, order)
    found = ORDERS[order](lambda a, b: as_chainrule(term, a, b))(*POINT)
    assert type(found) is float or _makes_vars(term)
    assert _plain(found) == pytest.approx(right, abs=error)


@RANDOM
@given(terms(3, 2))
def test_nests_of_recorded_numbers_sweep(term):
    """A Var goes all the way through, and gets its gradient from `backward`."""
    right, error = expected(term, 1)
    a, b = map(Var, POINT)
    # Inside a checkpoint, so that copies pass derivatives on.
    result = cr.checkpoint(lambda a, b: as_chainrule(term, a, b))(a, b)
    if type(result) is Var and result.requires_grad:
        result.backward()
    assert a.grad == pytest.approx(right, abs=error)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("backend", BACKENDS)
@RANDOM
@given(terms(2, 2))
def test_nests_compiled_have_the_derivatives_of_their_mathematics(backend, order, term):
    right, error = expected(term, order)
    compiled = cr.compile(ORDERS[order](lambda a, b: as_chainrule(term, a, b)), backend=backend)
    assert _plain(compiled(*POINT)) == pytest.approx(right, abs=error)
