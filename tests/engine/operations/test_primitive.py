"""What a Primitive accepts, refuses and says."""

import copy
import inspect
import math
import pickle
from fractions import Fraction

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var
from chainrule.operations.primitive import PRIMITIVES, Interval, Reduction, primitive


def test_floats_give_floats_and_vars_give_vars():
    assert cr.exp(0.0) == 1.0 and type(cr.exp(0.0)) is float
    assert type(cr.exp(Var(0.0))) is Var


@pytest.mark.parametrize(
    "number", [2, True, Fraction(1, 2), np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.array(0.5)]
)
def test_any_real_number_is_taken(number):
    result = cr.sin(number)
    assert type(result) is float and result == math.sin(float(number))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("1", r"^cos expected a float or Var but got x='1' \(str\); convert it with float\(\)$"),
        (None, r"^cos expected a float or Var but got x=None \(NoneType\)$"),
        (1j, r"^cos expected a float or Var but got x=1j \(complex\)$"),
        (
            [1.0],
            r"^cos expected a float or Var but got x=\[1.0\] \(list\); apply it to each item",
        ),
        (np.ma.array([1.0]), r"apply it to each item, \[f\(x\) for x in xs\], or to a numpy.array of floats$"),
    ],
)
def test_other_types_are_refused(wrong, message):
    with pytest.raises(TypeError, match=message):
        cr.cos(wrong)


def test_a_number_beyond_doubles_is_refused():
    with pytest.raises(OverflowError, match=r"sin expected .* range of doubles but got x=10+\.\.\. \(int\)$"):
        cr.sin(10**400)
    with pytest.raises(OverflowError, match=r"but got value=\.\.\. \(int\)$"):
        Var(10**5000)  # Python writes 4,300 digits at most


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(TypeError) as caught:
        cr.cos("x" * 1000)
    assert len(str(caught.value)) < 200


def test_argument_count():
    with pytest.raises(TypeError, match=r"^hypot expected 2 arguments \(x, y\) but got 1$"):
        cr.hypot(1.0)
    with pytest.raises(TypeError, match=r"^leaky_relu expected 1 to 2 arguments \(x, slope\) but got 3$"):
        cr.leaky_relu(1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match=r"^sin expected 1 argument \(x\) but got 0$"):
        cr.sin()


def test_defaults_fill_trailing_arguments():
    assert cr.leaky_relu(-1.0) == -0.01
    assert cr.leaky_relu(-1.0, 0.5) == -0.5


def test_reductions_take_any_iterable():
    xs = [Var(1.0), Var(2.0)]
    assert cr.sum(x for x in xs).value == 3.0
    assert cr.dot({1.0: None}, (2.0,)) == 2.0
    assert cr.norm(np.array([3.0, 4.0])) == 5.0
    assert cr.mean(np.array([Var(3.0), 4.0], dtype=object)).value == 3.5


def test_reductions_of_nothing():
    assert cr.sum([]) == 0.0 and cr.dot([], []) == 0.0 and cr.norm([]) == 0.0 and cr.prod([]) == 1.0
    assert cr.logsumexp([]) == -math.inf
    assert cr.softmax([]) == [] and cr.log_softmax([]) == []
    with pytest.raises(ValueError, match="mean expected at least one number but got none"):
        cr.mean([])


def test_reductions_refuse_what_they_cannot_take():
    with pytest.raises(ValueError, match="dot expected iterables of the same length but got lengths 1 and 2"):
        cr.dot([1.0], [1.0, 2.0])
    with pytest.raises(TypeError, match=r"sum expected an iterable of floats or Vars but got x=3.0 \(float\)"):
        cr.sum(3.0)
    with pytest.raises(TypeError, match="sum expected an iterable of floats or Vars but got x='12'"):
        cr.sum("12")
    with pytest.raises(TypeError, match="sum expected an iterable of numbers but got 2 arguments"):
        cr.sum(1.0, 2.0)
    with pytest.raises(TypeError, match=r"sum expected a float or Var but got item 1='2' \(str\)"):
        cr.sum([1.0, "2"])


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="primitive expected a new name but got name='sin'"):
        primitive("sin", "sin", evaluate=math.sin, partials=lambda y, x: (1.0,), domain=(Interval(-1, 1),))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda row: pickle.loads(pickle.dumps(row))])
def test_a_row_is_one_object(copied):
    assert copied(PRIMITIVES["sin"]) is cr.sin


def test_help_and_repr_name_the_operation():
    assert repr(cr.sinc) == "<primitive sinc>"
    assert cr.sinc.__name__ == "sinc" and "sin(pi x)" in cr.sinc.__doc__


def test_a_custom_row_is_a_method_from_then_on():
    @cr.primitive(partials=lambda y, x: (3.0 * x * x,), name="cube_as_method")
    def cube(x):
        return x * x * x

    assert Var(2.0).cube_as_method().partials == (12.0,)
    assert cr.trace(lambda x: x.cube_as_method(), 1.0)(2.0) == 8.0


@pytest.mark.parametrize("found", [(1.0,), (1.0, 1.0, 1.0), 1.0, None])
def test_a_rule_gives_a_partial_for_each_argument(found):
    rule = cr.primitive(partials=lambda y, a, b: found, name="odd_rule")(lambda a, b: a + b)
    with pytest.raises(TypeError, match="primitive odd_rule expected its rule to return a tuple of 2 partials"):
        rule(cr.Var(2.0), cr.Var(1.0))
    with pytest.raises(TypeError, match="primitive odd_rule expected"):
        cr.trace(cr.grad(rule), 1.0, 2.0)
    assert rule.argument_names == ("a", "b")


def test_rows_tell_their_arguments():
    """inspect.signature knows them, so that compile takes a row as it takes a function."""
    for row in PRIMITIVES.values():
        parameters = inspect.signature(row).parameters.values()
        if isinstance(row, Reduction):
            assert [p.name for p in parameters] == ["xs", "ys"][: row.iterables]
        elif not row.custom:
            assert tuple(p.name for p in parameters) == row.argument_names and len(row.argument_names) == row.arity
            assert tuple(p.default for p in parameters if p.default is not p.empty) == row.defaults
    assert list(inspect.signature(cr.Primitive).parameters)[:3] == ["name", "symbol", "evaluate"]
    assert cr.compile(cr.sin, batch="x", backend="python")([0.0])[0] == 0.0
    assert list(cr.compile(cr.sum, batch="xs", backend="python")([[1.0, 2.0], [3.0, 4.0]])) == [3.0, 7.0]

    @cr.primitive(partials=lambda y, *xs: (1.0, 2.0), name="named_by_none")
    def row(x, y):
        return x + 2.0 * y

    assert list(inspect.signature(row).parameters) == ["x0", "x1"]
    assert cr.compile(row, batch=("x0", "x1"), backend="python")([1.0], [2.0])[0] == 5.0
