"""Copies inside a differentiated, checkpointed or traced function pass derivatives on; elsewhere they are new."""

import copy
import dataclasses
import pickle
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var, grad, hessian, hvp, jacobian, jvp, taylor, vjp
from helpers import in_threads


@dataclasses.dataclass
class Item:
    """Hold a number that asdict copies."""

    number: object


WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of a structure": lambda x: copy.deepcopy({"a": [x]})["a"][0],
    "deepcopy of an array": lambda x: copy.deepcopy(np.array([x, 1.0], dtype=object))[0],
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "pickle, protocol 2": lambda x: pickle.loads(pickle.dumps([x], protocol=2))[0],
    "asdict": lambda x: dataclasses.asdict(Item(x))["number"],
}


@pytest.mark.parametrize("way", WAYS)
def test_copies_pass_derivatives_on(way):
    made = WAYS[way]

    def f(x):
        return made(x) * made(x * x) * 3.0  # 3 x**3

    for call in (lambda f: f, cr.checkpoint, cr.compile, cr.function):
        g = call(f)
        assert grad(g)(2.0) == 36.0
        assert grad(grad(g))(2.0) == 36.0
        assert taylor(g, 2.0, 3) == [24.0, 36.0, 18.0, 3.0]
        assert jvp(g, (2.0,), (1.0,)) == (24.0, 36.0)
        assert vjp(g, 2.0)[1](1.0) == (36.0,)
        assert hvp(g, (2.0,), (1.0,)) == 36.0
        assert hessian(lambda x, g=g: g(x[0]))([2.0]) == [[36.0]]
        assert jacobian(lambda x, g=g: [g(x[0])])([2.0]) == [[36.0]]
        assert cr.compile(grad(g))(2.0) == 36.0
        assert cr.trace(hessian(g), 1.0)(2.0) == 36.0


@pytest.mark.parametrize("way", WAYS)
def test_copies_at_several_levels(way):
    made = WAYS[way]

    def f(a):
        return grad(lambda x: made(a) * x * x * made(x))(made(a))  # 3 a**3

    assert f(2.0) == 24.0
    assert grad(f)(2.0) == cr.compile(grad(f))(2.0) == grad(cr.checkpoint(f))(2.0) == 36.0
    assert taylor(f, 2.0, 2) == [24.0, 36.0, 18.0]


@pytest.mark.parametrize("call", [cr.checkpoint, cr.compile, cr.function, lambda f: cr.checkpoint(cr.checkpoint(f))])
@pytest.mark.parametrize("way", WAYS)
def test_copies_of_what_an_inner_function_closes_over(way, call):
    """Derivatives of higher order run a checkpoint again when the function that it closes over has returned."""
    made = WAYS[way]

    def f(x):
        y = x * x
        return (
            call(lambda t: t * made(x) * made(y))(x) + call(lambda: made(x))() + call(lambda t: t * made(x))(2.0)
        )  # x**4 + 3 x

    assert (grad(f)(2.0), grad(grad(f))(2.0), grad(grad(grad(f)))(2.0)) == (35.0, 48.0, 48.0)
    assert taylor(f, 2.0, 4) == [22.0, 35.0, 24.0, 8.0, 1.0]
    assert (hessian(f)(2.0), hvp(f, 2.0, 1.0)) == (48.0, 48.0)
    assert hessian(lambda x: f(x[0]), sparse=True)([2.0]).toarray() == [[48.0]]
    assert jacobian(grad(f))(2.0) == jvp(grad(f), (2.0,), (1.0,))[1] == vjp(grad(f), 2.0)[1](1.0)[0] == 48.0
    assert grad(lambda x: vjp(f, x)[1](1.0)[0])(2.0) == grad(lambda x: taylor(f, x, 1)[1])(2.0) == 48.0
    assert cr.compile(hessian(f))(2.0) == 48.0
    # With a Var from outside, all derivatives run it again, a pullback long after the function.
    w = Var(1.0)
    _, pull = vjp(lambda x: call(lambda t: t * w * made(x))(x), 3.0)
    for slope in (pull(1.0)[0], grad(lambda x: call(lambda t: t * w * made(x))(x))(3.0)):
        w.zero_grad()
        slope.backward()
        assert (slope.value, w.grad) == (6.0, 6.0)


@pytest.mark.parametrize("way", WAYS)
def test_outside_a_copy_is_new(way):
    x = Var(2.0)
    copied = WAYS[way](x)
    assert copied is not x and copied.is_leaf and copied.requires_grad
    (copied * 3.0).backward()
    assert (copied.grad, x.grad) == (3.0, 0.0)
    square = WAYS[way](x * x)
    square.backward()
    assert square.value == 4.0
    # A shallow copy of a graph has the leaves of that graph.
    assert x.grad == (4.0 if way == "copy" else 0.0)


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_leaf_from_outside_is_a_new_leaf(way):
    """The model's parameter is not an argument: its copy is a new leaf, whose value a program reads at each call."""
    w = Var(3.0)
    slope = grad(lambda x: WAYS[way](w) * x * x)(2.0)
    assert getattr(slope, "value", slope) == 12.0
    compiled = cr.compile(lambda x: WAYS[way](w) * x)
    for w.value in (3.0, 5.0):
        assert compiled(2.0) == 2.0 * w.value


def test_labels_are_kept():
    seen = []

    def f(x):
        x.label = "x"
        seen.append(copy.copy(x).label)
        return x

    grad(f)(2.0)
    assert seen == ["x"]


def test_a_pickle_outlives_its_function_as_a_number():
    kept = []

    def f(x):
        kept.append(pickle.dumps([x, x * x]))
        return x

    grad(f)(2.0)
    x, square = pickle.loads(kept[0])
    square.backward()
    assert (x.value, x.grad, square.value) == (2.0, 4.0, 4.0)
    script = f"import pickle, chainrule; print(pickle.loads({kept[0]!r})[1].value)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "4.0\n"


def test_a_pickle_of_a_traced_number_ends_with_its_trace():
    kept = []

    def f(x):
        kept.append(pickle.dumps(x))
        return x

    cr.trace(f, 1.0)
    with pytest.raises(ValueError, match="pickle of plain numbers"):
        pickle.loads(kept[0])


def _in_a_thread(f):
    return in_threads(f)[0]


@pytest.mark.parametrize("way", WAYS)
def test_copies_in_threads_pass_derivatives_on(way):
    made = WAYS[way]

    def f(x):
        y = x * x
        there = _in_a_thread(lambda: made(x) * made(y) + made(x))
        return there * x + grad(lambda t: _in_a_thread(lambda: made(t) * made(x * t)))(x) - 2 * y  # x**4 + x**2

    for call in (lambda f: f, cr.checkpoint, lambda f: cr.checkpoint(cr.checkpoint(f))):
        g = call(f)
        assert (grad(g)(2.0), hessian(g)(2.0), jvp(g, 2.0, 1.0)[1]) == (36.0, 50.0, 36.0)
        assert taylor(g, 2.0, 3) == [20.0, 36.0, 25.0, 8.0]
        x = Var(2.0)
        cr.checkpoint(g)(x).backward()
        assert x.grad == 36.0


def test_pickles_pass_between_threads_of_a_function():
    def f(x):
        here = pickle.dumps([x, x * x])
        there = _in_a_thread(lambda: pickle.dumps(pickle.loads(here)))
        return cr.prod(pickle.loads(there))

    assert (grad(f)(2.0), hessian(f)(2.0)) == (12.0, 12.0)


def test_a_thread_that_differentiates_by_itself_knows_the_copies_of_the_function_around():
    def f(x):
        return _in_a_thread(lambda: grad(lambda t: copy.deepcopy(x) * t * t)(3.0))

    assert grad(f)(2.0) == 6.0


def test_other_threads_copy_as_ever():
    leaf, found = Var(1.0), []

    def f(x):
        found.extend(_in_a_thread(lambda: [copy.copy(leaf), copy.deepcopy(leaf), copy.deepcopy(leaf * 2.0).parents[0]]))
        return x * x

    assert grad(f)(2.0) == 4.0
    assert all(copied.is_leaf for copied in found)
