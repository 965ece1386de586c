"""Keyword arguments of derivatives are passed to the function; has_aux returns its auxiliary result."""

import functools
import inspect

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var


def scaled(x, scale=1.0, *, power=2):
    return scale * x**power


def pair(x, scale=1.0):
    return scale * x**2, {"twice": 2.0 * x, "name": "aux", "of": [x, None]}


AUX = {"twice": 6.0, "name": "aux", "of": [3.0, None]}


def test_keyword_arguments_are_handed_on():
    assert cr.grad(scaled)(2.0, scale=3.0) == 12.0
    assert cr.grad(scaled)(2.0, 3.0, power=3) == 36.0
    assert cr.value_and_grad(scaled)(2.0, power=3) == (8.0, 12.0)
    assert cr.jacobian(scaled)(2.0, scale=3.0) == 12.0
    assert cr.hessian(scaled)(2.0, scale=3.0) == 6.0
    assert cr.jvp(scaled, 2.0, 1.0, scale=3.0) == (12.0, 12.0)
    assert cr.vjp(scaled, 2.0, scale=3.0)[1](1.0) == (12.0,)
    assert cr.hvp(scaled, 2.0, 1.0, scale=3.0) == 6.0
    assert cr.taylor(scaled, 2.0, 2, scale=3.0) == [12.0, 12.0, 3.0]
    assert cr.grad(cr.checkpoint(scaled))(2.0, scale=3.0, power=3) == 36.0
    assert cr.grad(cr.grad(scaled))(2.0, scale=3.0) == 6.0
    assert cr.function(pair)(3.0, scale=2.0)[0] == 18.0
    assert cr.trace(lambda x: cr.function(pair)(x, scale=x)[0], 1.0)(3.0) == 27.0
    assert cr.compile(cr.grad(pair, has_aux=True))(3.0, scale=2.0) == (12.0, AUX)


def test_keyword_arguments_count_as_closed_over():
    a = Var(5.0)
    slope = cr.grad(scaled)(2.0, scale=a)
    slope.backward()
    assert slope.value == 20.0 and a.grad == 4.0
    cr.checkpoint(scaled)(2.0, scale=a).backward()
    assert a.grad == 8.0
    assert cr.grad(lambda s: cr.grad(scaled)(2.0, scale=s))(5.0) == 4.0


def test_aux_comes_beside_the_derivative():
    assert cr.grad(pair, has_aux=True)(3.0) == (6.0, AUX)
    assert cr.value_and_grad(pair, has_aux=True)(3.0) == ((9.0, AUX), 6.0)
    assert cr.jacobian(pair, has_aux=True)(3.0) == (6.0, AUX)
    assert cr.hessian(pair, has_aux=True)(3.0) == (2.0, AUX)
    assert cr.jvp(pair, 3.0, 1.0, has_aux=True) == (9.0, 6.0, AUX)
    value, pull, aux = cr.vjp(pair, 3.0, has_aux=True)
    assert (value, pull(1.0), aux) == (9.0, (6.0,), AUX)
    assert cr.grad(lambda x: (x[0] * x[1], (x, print)), has_aux=True)(np.array([2.0, 3.0]))[1][1] is print


@pytest.mark.parametrize("backend", ["python", "numpy", "auto"])
def test_aux_is_compiled(backend):
    for f in (cr.value_and_grad(pair, has_aux=True), cr.grad(pair, has_aux=True), cr.jacobian(pair, has_aux=True)):
        assert cr.compile(f, backend=backend)(3.0) == f(3.0)


def test_numbers_of_aux_are_settled_like_results():
    """Floats, unless they depend on somebody else's Var."""
    a = Var(5.0)
    _, aux = cr.grad(lambda x: (x * 2.0, {"own": x, "other": a * x, "only": a}), has_aux=True)(3.0)
    assert type(aux["own"]) is float and aux["other"].value == 15.0 and aux["only"] is a
    aux["other"].backward()
    assert a.grad == 3.0

    def outer(x):
        _, aux = cr.grad(lambda y: (y * y, y * x), has_aux=True)(x)
        return aux

    assert cr.grad(outer)(3.0) == 6.0
    assert cr.grad(lambda x: cr.value_and_grad(pair, has_aux=True)(x)[0][1]["twice"])(3.0) == 2.0


def test_aux_that_is_missing_is_named():
    for transform in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        with pytest.raises(TypeError, match=r"with has_aux=True expected scaled to return a pair \(result, aux\)"):
            transform(scaled, has_aux=True)(2.0)


@pytest.mark.parametrize("maker", [cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian, cr.checkpoint, cr.function])
def test_decorated_functions_keep_what_they_are(maker):
    made = maker(scaled)
    assert (made.__name__, made.__module__, made.__wrapped__) == ("scaled", __name__, scaled)
    assert inspect.signature(made) == inspect.signature(scaled)

    class Curve:
        scale = 3.0

        @functools.partial(maker, **({"argnums": 1} if maker not in (cr.checkpoint, cr.function) else {}))
        def at(self, x):
            """Return a point of the curve."""
            return self.scale * x**2

    if maker is not cr.function and maker is not cr.checkpoint:
        assert Curve().at(2.0) == maker(lambda x: 3.0 * x**2)(2.0)
    assert Curve.at.__doc__ == "Return a point of the curve."
    assert list(inspect.signature(Curve().at).parameters) == ["x"]
