"""strict(): the first nan or inf is blamed on its operation, forwards and backwards, and on nothing else."""

import math
import threading

import chainrule as cr
import pytest
from chainrule import NonFiniteError, Var, strict

HERE = __file__


def line():
    import inspect

    return inspect.currentframe().f_back.f_lineno


class TestForward:
    @pytest.mark.parametrize(
        ("operation", "message"),
        [
            (lambda: cr.log(Var(0.0)), r"log made -inf of x=0\.0"),
            (lambda: Var(1.0) / 0.0, r"div made inf of x=1\.0, y=0\.0"),
            (lambda: Var(1e308) * 10, r"mul made inf of x=1e\+308, y=10\.0"),
            (lambda: Var(1e308) + 1e308, r"add made inf of"),
            (lambda: -1e308 - Var(1e308), r"sub made -inf of"),
            (lambda: Var(-8.0) ** 0.5, r"pow made nan of x=-8\.0, y=0\.5"),
            (lambda: Var(1000.0).exp(), r"exp made inf of x=1000\.0"),
            (lambda: cr.sum([Var(1e308)] * 2), r"sum made inf of item 0=1e\+308, item 1=1e\+308"),
            (lambda: cr.dot([Var(1e300)] * 9, [1e300] * 9), r"item 5=1e\+300 and 12 more"),
            (lambda: cr.log(Var(-1.0, requires_grad=False)), r"log made nan of x=-1\.0"),
        ],
    )
    def test_names_operation_operands_and_line(self, operation, message):
        with strict(), pytest.raises(NonFiniteError, match=message) as caught:
            operation()
        assert f"{HERE}, line " in str(caught.value)
        operation()

    def test_the_line_is_the_users(self):
        x = cr.sqrt(Var(0.0))
        with strict(), pytest.raises(NonFiniteError, match=f"{HERE}, line {line() + 1}$"):
            x.log()

    def test_operands_that_were_so_are_not_blamed(self):
        with strict():
            assert (Var(math.inf) + 1).value == math.inf
            assert math.isnan((Var(math.nan) * 2).value)
            with pytest.raises(NonFiniteError, match="sub made nan of x=inf, y=inf"):
                Var(math.inf) - Var(math.inf)

    def test_infinities_inside_a_rule_are_not_blamed(self):
        """tanh' is made of cosh, which overflows at 1000 on the way to a derivative of 0."""
        with strict():
            x = Var(1000.0)
            cr.tanh(x).backward()
            assert x.grad == 0.0
            assert cr.grad(cr.grad(cr.tanh))(1000.0) == 0.0

    def test_is_a_floating_point_error(self):
        assert issubclass(NonFiniteError, FloatingPointError)


class TestBackward:
    def test_names_the_product_and_where_the_node_was_recorded(self):
        with strict():
            x = Var(0.0)
            expected = line() + 1
            y = cr.sqrt(x)
            with pytest.raises(
                NonFiniteError, match=r"the gradient by x of sqrt became inf: gradient 1.0 times"
            ) as caught:
                y.backward()
            assert str(caught.value).endswith(f"recorded at {HERE}, line {expected}")

    def test_nodes_from_before_the_block(self):
        y = cr.sqrt(Var(0.0))
        with strict(), pytest.raises(NonFiniteError, match=r"partial inf at x=0.0, recorded outside strict\(\)"):
            y.backward()

    def test_leaves_keep_their_gradients_when_it_raises(self):
        x = Var(0.0)
        x.grad = 3.0
        y = x + cr.sqrt(x)
        with strict(), pytest.raises(NonFiniteError):
            y.backward()
        assert x.grad == 3.0

    def test_transforms_too(self):
        for derivative in (cr.grad(cr.sqrt), lambda x: cr.jvp(cr.sqrt, x, 1.0), cr.grad(cr.grad(cr.sqrt))):
            with strict(), pytest.raises(NonFiniteError, match="by x of sqrt became inf"):
                derivative(0.0)

    def test_strong_zero_is_no_error(self):
        with strict():
            x = Var(0.0)
            cr.where(x > 0, cr.sqrt(x), 0.0).backward()
            assert x.grad == 0.0

    def test_results_are_those_without(self):
        def f(x, y):
            return cr.dot([x, cr.exp(y)], [y, x / y]) ** 2 + cr.hypot(x, 3.0)

        plain = cr.grad(f, argnums=(0, 1))(1.5, 0.5)
        with strict():
            assert cr.grad(f, argnums=(0, 1))(1.5, 0.5) == plain
            x, y = Var(1.5), Var(0.5)
            f(x, y).backward()
        assert (x.grad, y.grad) == plain


class TestBlocks:
    def test_ends_with_the_block(self):
        with pytest.raises(KeyError), strict():
            raise KeyError
        assert cr.log(Var(0.0)).value == -math.inf

    def test_nests_with_itself_and_no_grad(self):
        with strict():
            with strict(), cr.no_grad():
                pass
            with cr.no_grad(), pytest.raises(NonFiniteError):
                cr.log(Var(0.0))
            assert cr.exp(Var(0.0)).requires_grad

    def test_other_threads_are_left_alone(self):
        values = []
        with strict():
            thread = threading.Thread(target=lambda: values.append(cr.log(Var(0.0)).value))
            thread.start()
            thread.join()
        assert values == [-math.inf]

    def test_as_decorator(self):
        @strict()
        def f(x):
            return cr.log(x)

        with pytest.raises(NonFiniteError):
            f(Var(0.0))

    def test_operands_that_were_so_are_not_blamed_in_sweeps(self):
        with strict():
            for value in (math.nan, math.inf):
                x = Var(value)
                (x * x * x + cr.exp(x)).backward()
                assert not math.isfinite(x.grad)
                assert not math.isfinite(cr.grad(cr.exp)(value)) and not math.isfinite(cr.jvp(cr.exp, value, 1.0)[1])
            with pytest.raises(NonFiniteError, match="sin made nan of x=inf"):
                cr.grad(cr.sin)(math.inf)
