"""What checkpoints, compiled functions and loops close over is differentiated through, however it is closed over."""

import copy
import functools
import pickle

import chainrule as cr
import pytest
from chainrule import Var, grad, hessian, hvp, jvp, taylor

# Ways to call a function that change nothing.
CALLS = {
    "checkpoint": cr.checkpoint,
    "function": cr.function,
    "compile": cr.compile,
    "map": lambda f: lambda x: cr.map(f, [x], reduce="sum"),
    "scan": lambda f: lambda x: cr.scan(lambda total, y: (total + f(y), None), 0.0, [x])[0],
    "while_loop": lambda f: (
        lambda x: cr.while_loop(lambda c: c[0] < 0.5, lambda c: (c[0] + 1.0, f(x)), (0.0, 0.0), limit=2)[1]
    ),
    "checkpoint of compile": lambda f: cr.checkpoint(cr.compile(f)),
    "compile of checkpoint": lambda f: cr.compile(cr.checkpoint(f)),
    "function of checkpoint": lambda f: cr.function(cr.checkpoint(f)),
    "checkpoint of function": lambda f: cr.checkpoint(cr.function(f)),
}

# Derivatives, and which one, divided by what.
DERIVATIVES = {
    "grad": (grad, 1, 1),
    "jvp": (lambda f: lambda x: jvp(f, (x,), (1.0,))[1], 1, 1),
    "vjp": (lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0], 1, 1),
    "hessian": (hessian, 2, 1),
    "hvp": (lambda f: lambda x: hvp(f, (x,), (1.0,)), 2, 1),
    "taylor": (lambda f: lambda x: taylor(f, x, 2)[2], 2, 2),
}

COPIES = {
    "none": lambda x: x,
    "copy": copy.copy,
    "deepcopy": lambda x: copy.deepcopy([x])[0],
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}


def plain(found):
    """Return the numbers of a result, which must hold no Vars: nothing that it depends on is left outside."""
    return [float(x) for x in found] if isinstance(found, list | tuple) else [float(found)]


# ---- what checkpoint, compile and loops close over, in every way a function can ----


class Box:
    """Hold a number as an attribute."""

    def __init__(self, number):
        self.number = number

    def times_square(self, x):
        return self.number * x * x


def closures(call):
    """List functions that are all a**3, by closing over a."""

    def inner(a):
        def outer(x):
            def innermost():
                return a * x

            return innermost() * x

        return call(outer)(a)

    def attribute(a):
        box = Box(a)
        return call(lambda x: box.number * x * x)(a)

    def held(a):
        numbers = {"a": [a]}
        return call(lambda x: numbers["a"][0] * x * x)(a)

    def computed(a):
        b = a * 2.0
        return call(lambda x: b * x * x * 0.5)(a)

    def at_a_constant(a):
        b = a * a
        return call(lambda x: grad(lambda t: b * t * a * x)(2.0))(1.0)

    return {
        "direct": lambda a: call(lambda x: a * x * x)(a),
        "inner": inner,
        "default": lambda a: call(lambda x, b=a: b * x * x)(a),
        "partial": lambda a: call(functools.partial(lambda b, x: b * x * x, a))(a),
        "attribute": attribute,
        "method": lambda a: call(Box(a).times_square)(a),
        "held": held,
        "computed": computed,
        "two levels": lambda a: call(lambda x: call(lambda y: a * x * y)(x))(a),
        "in a derivative": lambda a: call(lambda x: grad(lambda t: a * t * t * x * 0.5)(x))(a),
        "at a constant": at_a_constant,
    }


MODES = {
    "value": (lambda f: f, [8.0]),
    "grad": (grad, [12.0]),
    "second": (lambda f: grad(grad(f)), [12.0]),
    "third": (lambda f: grad(grad(grad(f))), [6.0]),
    "taylor": (lambda f: lambda x: taylor(f, x, 4), [8.0, 12.0, 6.0, 1.0, 0.0]),
    "hessian": (hessian, [12.0]),
    "hvp": (lambda f: lambda x: hvp(f, (x,), (1.0,)), [12.0]),
    "jvp": (lambda f: lambda x: jvp(f, (x,), (1.0,)), [8.0, 12.0]),
    "jvp of grad": (lambda f: lambda x: jvp(grad(f), (x,), (1.0,)), [12.0, 12.0]),
    "grad of taylor": (lambda f: grad(lambda x: taylor(f, x, 1)[1]), [12.0]),
}


@pytest.mark.parametrize("name", CALLS)
def test_closures_in_every_mode(name):
    for shape, f in closures(CALLS[name]).items():
        for mode, (derive, expected) in MODES.items():
            g = derive(f)
            assert plain(g(2.0)) == pytest.approx(expected, rel=1e-12), (shape, mode)
            assert plain(cr.trace(g, 1.0)(2.0)) == pytest.approx(expected, rel=1e-12), (shape, mode, "traced")


@pytest.mark.parametrize("backend", ["python", "numpy", "llvm"])
@pytest.mark.parametrize("name", CALLS)
def test_compiled_closures(name, backend):
    found = closures(CALLS[name])
    for shape in ("direct", "computed", "in a derivative", "at a constant"):
        for mode in ("second", "taylor"):
            derive, expected = MODES[mode]
            compiled = cr.compile(derive(found[shape]), backend=backend)
            assert plain(compiled(2.0)) == pytest.approx(expected, rel=1e-12), (shape, mode)


def test_a_var_outside_keeps_results_vars():
    w = Var(3.0)
    for name, call in CALLS.items():
        slope = grad(call(lambda x: w * x * x))(2.0)
        w.zero_grad()
        slope.backward()
        assert (slope.value, w.grad) == (12.0, 4.0), name
