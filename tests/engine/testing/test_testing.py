"""The checkers: right rules pass, wrong ones fail with a helpful message, strategies draw what they promise."""

import functools
import math
import operator

import chainrule as cr
import numpy as np
import pytest
from chainrule import PRIMITIVES, Interval, Primitive, cos, primitive, sin
from chainrule.operations.primitive import Reduction
from chainrule.testing import arguments, check_grads, check_primitive, expressions, sample
from chainrule.testing.strategies import TAME, Expression
from hypothesis import find, given, settings
from hypothesis import strategies as st

REAL = Interval(-math.inf, math.inf)


def row(name, partials, **more):
    columns = {"evaluate": math.tanh, "domain": (REAL,), "exact": lambda mp, x: mp.tanh(x)} | more
    return Primitive(name, name, partials=partials, **columns)


class TestCheckPrimitive:
    def test_a_right_rule_passes(self):
        assert check_primitive(cr.tanh) >= 55

    def test_a_wrong_rule_fails(self):
        with pytest.raises(AssertionError, match=r"the partial of wrong\(.*\) by argument 0: expected .* but got"):
            check_primitive(row("wrong", lambda y, x: (1 - y,)))

    def test_a_rule_wrong_in_the_thirteenth_digit_fails(self):
        with pytest.raises(AssertionError, match="relative error"):
            check_primitive(row("close", lambda y, x: ((1 + 1e-11) / cr.cosh(x) ** 2,)))

    def test_a_rule_that_cancels_in_the_tail_fails(self):
        with pytest.raises(AssertionError, match=r"cancels\(20.0,\) by argument 0: expected 1.699"):
            check_primitive(row("cancels", lambda y, x: (1 - y * y,)), [(20.0,)])

    def test_a_rule_that_loses_the_graph_fails_at_second_order(self):
        lost = row("lost", lambda y, x: (cr.cosh(x.value if isinstance(x, cr.Var) else x) ** -2.0,))
        check_primitive(lost, order=1)
        with pytest.raises(AssertionError, match="second partial of lost"):
            check_primitive(lost, [(0.5,)])

    def test_a_wrong_value_fails(self):
        with pytest.raises(AssertionError, match=r"^off\(0.5,\): expected 0.4621171572600"):
            check_primitive(
                row("off", lambda y, x: (1 / cr.cosh(x) ** 2,), evaluate=lambda x: math.tanh(x) + 1e-9), [(0.5,)]
            )


class TestCheckGrads:
    @given(expressions(), st.lists(st.floats(-2, 2), min_size=3, max_size=3))
    def test_no_false_alarm(self, f, point):
        check_grads(f, *point[: f.inputs])

    @pytest.mark.parametrize("name", [name for name, row in PRIMITIVES.items() if name in TAME])
    def test_no_miss_at_one_in_a_million(self, name):
        right = PRIMITIVES[name]
        for position in range(right.arity):

            def partials(y, *xs, position=position):
                return [d * (1 + 1e-6) if k == position else d for k, d in enumerate(right.partials(y, *xs))]

            wrong = Primitive(name, name, evaluate=right.evaluate, partials=partials, domain=right.domain)
            point = [0.7, 1.3][: right.arity]
            for mode in ("reverse", "forward"):
                with pytest.raises(AssertionError, match=f"of order 1 by argument {position} in {mode} mode"):
                    check_grads(lambda *xs, wrong=wrong: wrong.apply(xs), *point, modes=(mode,))

    @pytest.mark.parametrize("row", [row for row in PRIMITIVES.values() if not isinstance(row, Reduction)])
    def test_rows_pass(self, row):
        if row in (cr.stop_gradient, *[r for r in PRIMITIVES.values() if any(i.integers for i in r.domain)]):
            pytest.skip("its derivative is not that of its value, or an argument is no real number")
        for point in sample(row, 3, seed=4):
            check_grads(lambda *xs: row.apply(xs), *point)

    def test_structures(self):
        def f(p, x):
            return [p["w"] * x[0, 0] + cr.exp(p["b"][0] * x[0, 1]), x.sum()]

        check_grads(f, {"w": 2.0, "b": (0.1,)}, np.array([[1.0, 2.0]]))

    def test_many_numbers_go_by_directions(self):
        check_grads(lambda x: cr.norm(x), np.linspace(1, 2, 50))
        with pytest.raises(AssertionError, match="along a direction of argument 0"):
            check_grads(lambda x: cr.norm(x) + cr.stop_gradient(x[7]) ** 2, np.linspace(1, 2, 50))

    def test_mixed_second_derivatives_show(self):
        wrong = row(
            "product", lambda z, x, y: (y, cr.stop_gradient(x)), evaluate=lambda x, y: x * y, domain=(REAL, REAL)
        )
        check_grads(lambda x, y: wrong(x, y), 2.0, 3.0, order=1)
        with pytest.raises(AssertionError, match="derivative of order 2 along a direction of all arguments"):
            check_grads(lambda x, y: wrong(x, y), 2.0, 3.0)

    def test_kinks_are_named(self):
        with pytest.raises(AssertionError, match="the slopes on both sides differ: the point stands on a kink"):
            check_grads(cr.relu, 0.0)

    @pytest.mark.parametrize("size", [1e-200, 1e-8, 1e8, 1e200])
    def test_steps_follow_the_scale(self, size):
        check_grads(lambda x: x / (x + 3 * size) * x, size, order=1)
        with pytest.raises(AssertionError):
            check_grads(lambda x: x / (cr.stop_gradient(x) + 3 * size) * x, size, order=1)

    def test_edges_of_the_domain(self):
        check_grads(cr.log, 1e-12)
        check_grads(cr.asin, 1 - 1e-9, order=1)

    def test_bad_requests(self):
        with pytest.raises(ValueError, match="check_grads expected a whole number, 1 or above, but got order=0"):
            check_grads(sin, 1.0, order=0)
        with pytest.raises(ValueError, match="check_grads expected modes 'reverse' and 'forward' but got mode='back'"):
            check_grads(sin, 1.0, modes=("back",))


class TestStrategies:
    @pytest.mark.parametrize("row", [cr.log, cr.acosh, cr.maximum, cr.clip, cr.polygamma, cr.where])
    def test_arguments_lie_in_the_domain(self, row):
        @settings(max_examples=30)
        @given(arguments(row))
        def check(point):
            assert all(x in interval for x, interval in zip(point, row.domain, strict=True))
            assert row.smooth is None or row.smooth(*point)

        check()

    def test_edges_come_on_request(self):
        for wanted in (lambda x: math.isnan(x), lambda x: x == 0.0, lambda x: x == math.inf):
            assert find(arguments(cr.log, edges=True), lambda point, wanted=wanted: wanted(point[0]))

    def test_counter_examples_shrink_to_small_readable_ones(self):
        thorough = settings(derandomize=True, database=None, max_examples=1000)
        smallest = find(
            expressions(["add", "mul", "sin"]), lambda f: any(name == "sin" for name, _ in f.steps), settings=thorough
        )
        assert repr(smallest) == "lambda x: sin(x)"

    def test_sharing_is_drawn_and_written(self):
        shared = find(expressions(["sin", "mul"], inputs=1), lambda f: f.steps == (("sin", (0,)), ("mul", (1, 1))))
        assert repr(shared) == "lambda x: (a := sin(x), a * a)[-1]"

    def test_operators_are_bracketed_where_python_needs_it(self):
        steps = (("neg", (0,)), ("pow", (1, 0)), ("sin", (2,)), ("add", (3, 0)), ("mul", (4, 0)), ("neg", (5,)))
        assert repr(Expression(1, steps)) == "lambda x: -((sin((-x) ** x) + x) * x)"
        steps = (("sin", (0,)), ("cos", (0,)), ("add", (1, 2)), ("mul", (3, 0)))
        assert repr(Expression(1, steps)) == "lambda x: (sin(x) + cos(x)) * x"

    @given(
        expressions([*TAME, "div", "pow"], inputs=(1, 3), steps=(1, 12)),
        st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    )
    def test_the_text_is_the_function(self, f, point):
        xs = [cr.Var(x) for x in point[: f.inputs]]
        value = eval(repr(f), dict(PRIMITIVES))(*xs).value
        assert value == f(*xs).value or math.isnan(value)

    def test_sizes_are_kept(self):
        @given(expressions(inputs=2, steps=(3, 5)))
        def check(f):
            assert f.inputs == 2
            assert 3 <= len(f.steps) <= 5

        check()

    def test_bad_requests(self):
        with pytest.raises(ValueError, match="expressions expected names of rows but got row='sine'"):
            expressions(["sine"])
        with pytest.raises(ValueError, match="expressions expected at least one row but got none"):
            expressions([])
        with pytest.raises(ValueError, match=r"expressions expected steps of 1 or more, least first, but got"):
            find(expressions(steps=0), lambda f: True)
        with pytest.raises(TypeError, match="the expression expected 2 numbers but got 1"):
            Expression(2, (("add", (0, 1)),))(1.0)


class TestCustomPrimitives:
    @pytest.fixture(autouse=True)
    def forget(self):
        before = dict(PRIMITIVES)
        yield
        PRIMITIVES.clear()
        PRIMITIVES.update(before)

    def test_as_a_class(self):
        @primitive
        class log1pexp:
            """Return log(1 + exp(x))."""

            def evaluate(x):
                return max(x, 0.0) + math.log1p(math.exp(-abs(x)))

            def partials(y, x):
                return (cr.sigmoid(x),)

            def exact(mp, x):
                return mp.log1p(mp.exp(x))

            symbol = "l1pe"

        assert check_primitive(log1pexp) >= 50
        assert log1pexp.__doc__ == "Return log(1 + exp(x))."
        x = cr.Var(0.5)
        assert log1pexp(x).op is log1pexp
        assert x.log1pexp().value == log1pexp(0.5)
        assert cr.grad(cr.grad(log1pexp))(0.3) == pytest.approx(cr.grad(cr.sigmoid)(0.3), rel=1e-15)
        assert cr.taylor(log1pexp, 0.3, 5) == pytest.approx(cr.taylor(cr.softplus, 0.3, 5), rel=1e-14)
        assert "l1pe" in cr.viz.draw(log1pexp(x)).source

    def test_as_a_function_with_several_arguments(self):
        @primitive(partials=lambda z, x, y: (cos(x) * y, sin(x)), domain=(REAL, Interval(0.0, 5.0)))
        def wave(x, y):
            return math.sin(x) * y

        assert wave.arity == 2
        check_primitive(wave)
        check_grads(wave, 0.3, 2.0)

    def test_without_a_definition_the_values_are_judge(self):
        @primitive(partials=lambda y, x: (cr.cos(x) * 1.001,))
        def off(x):
            return math.sin(x)

        with pytest.raises(AssertionError, match="off"):
            check_primitive(off)

    def test_making_it_again_replaces_it(self):
        for factor in (2.0, 3.0):
            rule = {"partials": lambda y, x, factor=factor: (factor,), "name": "scaled"}
            scaled = primitive(**rule)(functools.partial(operator.mul, factor))
        assert cr.Var(1.0).scaled().value == 3.0
        assert PRIMITIVES["scaled"] is scaled

    def test_what_it_refuses(self):
        with pytest.raises(ValueError, match="primitive expected a new name but got name='sin'"):
            primitive(partials=lambda y, x: (1.0,), name="sin")(math.sin)
        with pytest.raises(
            TypeError, match=r"primitive f expected a function 'partials' but got partials=None \(NoneType\)"
        ):

            @primitive
            def f(x):
                return x

        with pytest.raises(ValueError, match="primitive g expected an interval for each argument"):
            primitive(partials=lambda y, x: (1.0,), name="g", domain=(REAL, REAL))(lambda x: x)
        with pytest.raises(
            TypeError, match="primitive expected a class or a function to decorate but got definition=3"
        ):
            primitive(3)


@pytest.mark.parametrize("x", [5.4e5, 1e6, 3.3e6, 1e7])
def test_steps_over_whole_swings_raise_no_alarm(x):
    check_grads(cr.sin, x)
    with pytest.raises(AssertionError, match="derivative of order 1"):
        check_grads(lambda x: cr.sin(cr.stop_gradient(x)) + 0.0 * x, x)


def test_without_numbers_there_is_nothing_to_check():
    with pytest.raises(ValueError, match="check_grads expected numbers to differentiate by"):
        check_grads(lambda: 1.0)
