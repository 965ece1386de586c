"""Wrong loops are refused with messages that name the function and both structures."""

import chainrule as cr
import pytest
from chainrule import trace


def no_return(x):
    x + 1.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: cr.map(no_return, [x, x]), TypeError, "map expected no_return to return a number but got None"),
        (lambda x: cr.scan(no_return_pair, x, [x]), TypeError, r"scan expected no_return_pair .* a pair .*None"),
        (lambda x: cr.while_loop(lambda c: c < 1.0, no_return, x), TypeError, "while_loop expected no_return"),
        (lambda x: cr.function(no_return)(x) + 1.0, TypeError, "function expected no_return|unsupported operand"),
        (
            lambda x: cr.map(sum, [[x, x], [x]]),
            ValueError,
            r"map expected items of one structure for sum but got \[number, number\] at 0 and \[number\] at 1",
        ),
        (
            lambda x: cr.scan(grow, [x], [x, x]),
            ValueError,
            r"scan expected grow to return a carry like \[number\] but got \[number, number\]",
        ),
        (
            lambda x: cr.while_loop(lambda c: c[0] < 1.0, lambda c: (c[0] + 1.0,), [x]),
            ValueError,
            r"while_loop expected lambda to return a carry like \[number\] but got \(number,\)",
        ),
        (lambda x: cr.map(abs, ([x], [x, x])), ValueError, r"leading axes of one length for abs but got 1 in xs\[0\]"),
        (lambda x: cr.map(abs, x), TypeError, "a leading axis"),
        (lambda x: cr.map(abs, [x], reduce="max"), ValueError, "reduce='max'"),
        (lambda x: cr.scan(grow, x, None), TypeError, "length="),
        (
            lambda x: cr.while_loop(bool, abs, x, limit=0),
            ValueError,
            "number of iterations, 1 or above, but got limit=0",
        ),
    ],
)
@pytest.mark.parametrize("traced", [False, True])
def test_messages_name_the_function_and_both_structures(call, error, message, traced):
    with pytest.raises(error, match=message):
        trace(call, 0.5) if traced else call(0.5)


def no_return_pair(carry, x):
    carry + x


def grow(carry, x):
    return [*carry, x], x


def test_results_that_differ_between_iterations_are_refused_eagerly():
    sizes = iter([1, 2])
    with pytest.raises(ValueError, match=r"a result 1 like \[number\] but got \[number, number\]"):
        cr.map(lambda x: [x] * next(sizes), [1.0, 2.0])


def test_reverse_mode_of_an_unlimited_while_loop_asks_for_a_limit():
    def f(x):
        return cr.while_loop(lambda c: c < 10.0, lambda c: c * x, 1.0)

    assert trace(lambda x: cr.jvp(f, (x,), (1.0,)), 2.0)(2.0) == (16.0, 32.0)
    with pytest.raises(ValueError, match="while_loop of lambda expected limit="):
        trace(cr.grad(f), 2.0)
