"""Derivatives as functions: structures, nesting, modes that agree, errors."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var, grad, hessian, hvp, jacobian, jvp, taylor, value_and_grad, vjp
from hypothesis import given
from hypothesis import strategies as st
from strategies import expressions_at_points


def close(expected, rel=1e-9):
    return pytest.approx(expected, rel=rel, abs=1e-9)


class TestStructures:
    def test_numbers_in_numbers_out(self):
        assert grad(lambda x: x**3)(2) == 12.0
        assert type(grad(cr.sin)(0.5)) is float
        assert value_and_grad(lambda x: x**3)(2.0) == (8.0, 12.0)

    def test_nested_structures_are_mirrored(self):
        def f(p):
            return p["w"][0] * p["w"][1] + p["b"][0] ** 2

        assert grad(f)({"w": [2.0, 3.0], "b": (4.0,)}) == {"w": [3.0, 2.0], "b": (8.0,)}
        assert hessian(f)({"w": [2.0, 3.0], "b": (4.0,)})["w"][0] == {"w": [0.0, 1.0], "b": (0.0,)}

    def test_arrays_in_arrays_out(self):
        x = np.array([[1.0, 2.0], [3.0, 4.0]])
        gradient = grad(lambda x: (x * x).sum())(x)
        assert gradient.dtype == float
        assert (gradient == 2 * x).all()
        assert hessian(lambda x: (x * x).sum())(x).shape == (2, 2, 2, 2)
        rows = jacobian(lambda x: x @ np.array([1.0, 10.0]))(x)
        assert rows.shape == (2, 2, 2)
        assert (rows == [[[1, 10], [0, 0]], [[0, 0], [1, 10]]]).all()

    def test_integer_arrays_are_numbers_too(self):
        assert grad(lambda x: cr.dot(x, x))(np.array([1, 2])).tolist() == [2.0, 4.0]

    def test_argnums(self):
        def f(x, y, z):
            return x * y**2 + z

        assert grad(f, argnums=1)(2.0, 3.0, 1.0) == 12.0
        assert grad(f, argnums=(0, 2))(2.0, 3.0, 1.0) == (9.0, 1.0)
        assert grad(f, argnums=-1)(2.0, 3.0, 1.0) == 1.0
        assert jacobian(f, argnums=(0, 1))(2.0, 3.0, 1.0) == (9.0, 12.0)
        assert hessian(f, argnums=(0, 1))(2.0, 3.0, 1.0) == ((0.0, 6.0), (6.0, 4.0))

    def test_other_arguments_pass_as_they_are(self):
        assert grad(lambda x, how: x * 2 if how == "double" else x)(1.0, "double") == 2.0

    def test_results_of_jacobian_mirror_the_function(self):
        rows = jacobian(lambda x: {"sum": x[0] + x[1], "both": (x[0] * x[1], [x[1]])})([2.0, 3.0])
        assert rows == {"sum": [1.0, 1.0], "both": ([3.0, 2.0], [[0.0, 1.0]])}

    def test_tall_and_wide(self):
        """The first takes one forward sweep, the second one reverse sweep."""
        assert jacobian(lambda x: [x, x**2, x**3, 1.0])(2.0) == [1.0, 4.0, 12.0, 0.0]
        assert jacobian(lambda x: cr.prod(x))([2.0, 3.0, 4.0]) == [12.0, 8.0, 6.0]

    def test_vjp_and_jvp(self):
        def f(x, y):
            return [x * y, x + y]

        value, pull = vjp(f, 2.0, 3.0)
        assert value == [6.0, 5.0]
        assert pull([1.0, 0.0]) == (3.0, 2.0)
        assert pull([0.0, 1.0]) == (1.0, 1.0)
        assert jvp(f, (2.0, 3.0), (1.0, 10.0)) == ([6.0, 5.0], [23.0, 11.0])
        assert jvp(cr.sin, 0.0, 2.0) == (0.0, 2.0)

    def test_hvp(self):
        assert hvp(lambda x: x[0] ** 2 * x[1], ([2.0, 3.0],), ([1.0, 0.0],)) == [6.0, 4.0]
        assert hvp(lambda x, y: x**2 * y, (2.0, 3.0), (1.0, 0.0)) == (6.0, 4.0)
        assert hvp(lambda x: x**3, 2.0, 1.0) == 12.0

    def test_constant_results(self):
        assert grad(lambda x: 3.0)(1.0) == 0.0
        assert jacobian(lambda x: [1.0, x])(2.0) == [0.0, 1.0]
        assert taylor(lambda x: 3.0, 1.0, 2) == [3.0, 0.0, 0.0]
        assert hessian(lambda x: x[0])([1.0, 2.0]) == [[0.0, 0.0], [0.0, 0.0]]


class TestNesting:
    """Cases in which other libraries confuse perturbations."""

    def test_inner_derivative_sees_only_its_own_variable(self):
        assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
        assert grad(lambda x: x * grad(lambda y: x + y)(x))(1.0) == 1.0
        assert grad(lambda x: x * grad(lambda y: x * y)(x))(3.0) == 6.0
        assert grad(lambda x: jvp(lambda y: x * y, 2.0, x)[1])(3.0) == 6.0
        assert jvp(lambda x: x * jvp(lambda y: x + y, 1.0, 1.0)[1], 1.0, 1.0)[1] == 1.0

    @pytest.mark.parametrize("first", ["reverse", "forward"])
    @pytest.mark.parametrize("second", ["reverse", "forward"])
    @pytest.mark.parametrize("third", ["reverse", "forward"])
    def test_modes_mix_at_every_level(self, first, second, third):
        modes = {"reverse": grad, "forward": lambda f: lambda x: jvp(f, x, 1.0)[1]}
        f = modes[first](modes[second](modes[third](lambda x: cr.exp(2 * x) * x)))
        assert f(0.3) == pytest.approx((8 * 0.3 + 12) * math.exp(0.6), rel=1e-13)

    def test_five_levels(self):
        f = cr.sin
        for _ in range(5):
            f = grad(f)
        assert f(0.7) == pytest.approx(math.cos(0.7), rel=1e-13)

    def test_three_nested_closures(self):
        """d/dx of d/dy of d/dz of x*y*z (all three inside each other) is 1, with and without reuse."""
        assert grad(lambda x: grad(lambda y: grad(lambda z: x * y * z)(3.0))(2.0))(1.0) == 1.0
        assert grad(lambda x: grad(lambda y: grad(lambda z: x * y * z)(y))(x))(5.0) == 1.0
        assert grad(lambda x: x * grad(lambda y: y * grad(lambda z: x * y * z)(x * y))(x))(2.0) == 24.0

    def test_a_derivative_in_a_while_loop(self):
        """Newton's iteration for the square root, differentiated through: d sqrt(a)/da."""

        def root(a):
            def f(x):
                return x * x - a

            x = 1.0
            for _ in range(30):
                x = x - f(x) / grad(f)(x)
            return x

        def root_until_done(a):
            x = 1.0 + 0.0 * a
            while abs(x * x - a) > 1e-15 * a:
                x = x - (x * x - a) / grad(lambda x: x * x - a)(x)
            return x

        assert grad(root)(9.0) == pytest.approx(1 / 6, rel=1e-12)
        assert grad(root_until_done)(9.0) == pytest.approx(1 / 6, rel=1e-9)
        assert grad(grad(root))(9.0) == pytest.approx(-1 / 108, rel=1e-10)

    def test_an_optimiser_inside_a_derivative(self):
        """Gradient descent on (x - a)**2 + x**4/4, then the derivative of where it ends by a."""

        def lowest(a):
            x = 0.0
            for _ in range(400):
                x = x - 0.1 * grad(lambda x: (x - a) ** 2 + x**4 / 4)(x)
            return x

        x = lowest(1.0)
        assert grad(lowest)(1.0) == pytest.approx(2 / (2 + 3 * x**2), rel=1e-9)

    def test_hessian_of_a_function_with_a_gradient_inside(self):
        assert hessian(lambda v: v[0] * grad(lambda t: t**2 * v[1])(v[0]))([3.0, 2.0]) == [[8.0, 12.0], [12.0, 0.0]]

    def test_results_depend_on_vars_from_outside(self):
        w = Var(2.0)
        slope = grad(lambda x: w * x**2)(3.0)
        assert type(slope) is Var
        slope.backward()
        assert w.grad == 6.0

    def test_but_only_if_they_do(self):
        w = Var(2.0)
        assert type(grad(lambda x: x**2 + w)(3.0)) is float
        with cr.no_grad():
            assert grad(lambda x: w * x**2)(3.0) == 12.0

    def test_nothing_is_stored_in_grad(self):
        w = Var(2.0)
        grad(lambda x: w * x)(1.0)
        hessian(lambda x: x * x)(1.0)
        assert w.grad == 0.0
        assert not w.has_grad

    def test_stop_gradient(self):
        assert grad(lambda x: x * cr.stop_gradient(x))(3.0) == 3.0
        assert grad(grad(lambda x: x * cr.stop_gradient(x)))(3.0) == 0.0


class TestStrongZero:
    @pytest.mark.parametrize(
        "derivative",
        [grad, lambda f: lambda x: jvp(f, x, 1.0)[1], lambda f: lambda x: taylor(f, x, 1)[1], lambda f: grad(grad(f))],
        ids=["reverse", "forward", "taylor", "nested"],
    )
    def test_alike_in_all_modes(self, derivative):
        assert derivative(lambda x: cr.where(x > 0, cr.sqrt(x), 0.0))(0.0) == 0.0
        assert derivative(lambda x: cr.where(x < 1, 0.0, cr.log(x)))(0.0) == 0.0

    def test_nested_modes_keep_conventions(self):
        assert jvp(grad(cr.relu), 0.0, 1.0)[1] == 0.0
        assert grad(lambda x: cr.hypot(x, 0.0))(0.0) == jvp(lambda x: cr.hypot(x, 0.0), 0.0, 1.0)[1] == 0.0
        assert grad(lambda x: cr.sqrt(cr.relu(x)))(-1.0) == jvp(lambda x: cr.sqrt(cr.relu(x)), -1.0, 1.0)[1] == 0.0

    def test_zero_values_do_not_end_higher_derivatives(self):
        assert grad(grad(lambda x: x**2))(0.0) == 2.0
        assert grad(grad(grad(lambda x: x * x * x)))(0.0) == 6.0


class TestErrors:
    def test_results_that_are_no_number(self):
        def two(x):
            return [x, x]

        with pytest.raises(TypeError, match=r"grad expected two to return one number but got \[number, number\]; use"):
            grad(two)(1.0)
        with pytest.raises(TypeError, match="to return a number but got None; is a return missing"):
            grad(lambda x: None)(1.0)
        with pytest.raises(TypeError, match=r"expected a float or Var but got the result of .*='text' \(str\)"):
            grad(lambda x: "text")(1.0)

    def test_arguments_that_are_no_number(self):
        with pytest.raises(TypeError, match=r"a float or Var but got argument 0\['a'\]\[1\]=b'2' \(bytes\)"):
            grad(lambda x: x)({"a": [1.0, b"2"]})

    def test_argnums_out_of_range(self):
        with pytest.raises(ValueError, match=r"grad expected argnums within the 1 positional arguments given but got"):
            grad(lambda x: x, argnums=1)(1.0)

    def test_directions_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"jvp expected a direction like the arguments, \(number, number\)"):
            jvp(lambda x, y: x, (1.0, 2.0), (1.0,))
        with pytest.raises(ValueError, match=r"vjp expected a cotangent like the result, number, but got \[number\]"):
            vjp(lambda x: x, 1.0)[1]([1.0])

    def test_orders(self):
        with pytest.raises(ValueError, match=r"taylor expected a whole number, 0 or above, but got order=-1 \(int\)"):
            taylor(cr.sin, 0.0, -1)
        with pytest.raises(TypeError, match="taylor expected one number but got"):
            taylor(cr.sin, [0.0], 1)


class TestLaws:
    @given(expressions_at_points())
    def test_modes_agree(self, drawn):
        """Reverse, forward and Taylor give the same derivative; so do three ways to the Hessian."""
        f, point = drawn
        args = tuple(point)
        gradient = grad(f, argnums=tuple(range(f.inputs)))(*args)
        for k in range(f.inputs):
            unit = tuple(1.0 if j == k else 0.0 for j in range(f.inputs))
            assert jvp(f, args, unit)[1] == close(gradient[k])
            moved = lambda t, k=k: f(*[x + t if j == k else x for j, x in enumerate(point)])  # noqa: E731
            assert taylor(moved, 0.0, 1)[1] == close(gradient[k])

    @given(expressions_at_points(), st.lists(st.floats(-2, 2), min_size=3, max_size=3))
    def test_hessian_is_symmetric_and_hvp_is_its_product(self, drawn, vector):
        f, point = drawn
        v = vector[: f.inputs]
        h = hessian(lambda xs: f(*xs))(point)
        for i in range(f.inputs):
            for j in range(f.inputs):
                assert h[i][j] == close(h[j][i])
        product = hvp(lambda xs: f(*xs), (point,), (v,))
        assert product == close([sum(a * b for a, b in zip(row, v, strict=True)) for row in h])
        along = taylor(lambda t: f(*[x + t * d for x, d in zip(point, v, strict=True)]), 0.0, 2)[2]
        assert 2 * along == close(sum(a * b for a, b in zip(product, v, strict=True)))
        assert jacobian(grad(lambda xs: f(*xs)))(point) == [close(row) for row in h]

    @given(expressions_at_points(), expressions_at_points())
    def test_chain_product_and_sum_rule(self, first, second):
        (f, xs), (g, _) = first, second
        x = xs[0]

        def inner(t):
            return cr.tanh(f(*[t] * f.inputs))

        def outer(t):
            return g(*[t] * g.inputs)

        u, du = value_and_grad(inner)(x)
        v, dv = value_and_grad(outer)(x)
        assert grad(lambda t: outer(inner(t)))(x) == close(grad(outer)(u) * du)
        assert grad(lambda t: inner(t) * outer(t))(x) == close(du * v + u * dv)
        assert grad(lambda t: inner(t) + outer(t))(x) == close(du + dv)

    @given(expressions_at_points(), st.permutations([0, 1, 2]))
    def test_gradient_of_a_permuted_argument_is_permuted(self, drawn, order):
        f, point = drawn
        order = [k for k in order if k < f.inputs]
        permuted = [point[k] for k in order]

        def g(xs):
            back = dict(zip(order, xs, strict=True))
            return f(*[back[k] for k in range(f.inputs)])

        gradient = grad(lambda xs: f(*xs))(point)
        assert grad(g)(permuted) == [gradient[k] for k in order]


class TestInputsOfATrace:
    """A derivative that is traced itself differentiates by the trace's inputs; one inside a function, by copies."""

    def test_it_is_the_same_by_itself_and_inside_a_function(self):
        def f(x, y):
            return cr.sin(x[0] * y) + x[1]

        expected = cr.value_and_grad(f, (0, 1))([0.3, 0.4], 2.0)
        for function in (cr.value_and_grad(f, (0, 1)), lambda x, y: cr.value_and_grad(f, (0, 1))(x, y)):
            assert cr.trace(function, [0.0, 0.0], 0.0)([0.3, 0.4], 2.0) == expected

    def test_no_copies_are_steps(self):
        program = cr.trace(cr.grad(lambda x, w: w * cr.sin(x)), 1.0, 1.0)
        assert "pos" not in [op.name for op, _ in program.steps]

    def test_what_a_function_closes_over_stays_constant(self):
        """The inner derivative is by its own argument only, also where the outer one takes no numbers."""

        def f(none, x):
            return cr.grad(lambda a: a * x)(x)

        assert cr.trace(cr.value_and_grad(f, 1), [], 0.0)([], 3.0) == (3.0, 1.0)
        assert cr.trace(cr.jacobian(f, 0), [], 0.0)([], 3.0) == []
        assert cr.trace(lambda x: cr.grad(lambda a: a * x)(x), 0.0)(3.0) == 3.0
        assert cr.trace(cr.grad(lambda x: cr.grad(lambda a: a * x)(x)), 0.0)(3.0) == 1.0

    def test_the_same_number_twice(self):
        assert cr.trace(lambda x: cr.grad(lambda a, b: a * b, (0, 1))(x, x), 0.0)(3.0) == (3.0, 3.0)

    def test_a_plain_copy_is_the_number_itself(self):
        assert len(cr.trace(lambda x: +x, 1.0)) == 0
        assert cr.trace(lambda x: (+x, -x), 1.0)(2.0) == (2.0, -2.0)


@pytest.mark.parametrize("argnums", [(0, 0), (0, -2), (1, 0, -1)])
def test_an_argument_is_named_once(argnums):
    for transform in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        with pytest.raises(ValueError, match="expected each argument once in argnums"):
            transform(lambda x, y: x * y, argnums)(2.0, 3.0)


def test_shares_of_one_item():
    for function, value in ((cr.softmax, 1.0), (cr.log_softmax, 0.0)):
        x = cr.Var(2.0)
        (only,) = function([x])
        only.backward()
        assert (only.value, x.grad) == (value, 0.0)
        assert function([2.0]) == [value]
        assert math.isnan(function([math.nan])[0])
        with pytest.raises(TypeError, match=f"{function.__name__} expected an iterable of numbers but got items=1.0"):
            function(1.0)


def test_functions_of_one_number_are_methods():
    x = cr.Var(0.3)
    assert x.selu().value == cr.selu(0.3)
    assert x.hardtanh().value == 0.3
    assert cr.trace(lambda x: x.selu(), 0.3)(0.3) == cr.selu(0.3)
