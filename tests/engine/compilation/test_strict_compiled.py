"""strict() around a compiled call names the operation that made nan or inf, the user's line and the sample."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import NonFiniteError, Var
from helpers import BACKENDS

HERE = __file__


def logarithm(x):
    return cr.log(x) * 2.0  # line of logarithm


def root(x):
    return cr.sqrt(x) + x  # line of root


def repeated(x):
    return cr.map(lambda w: cr.log(w * x) + 1.0, np.arange(1.0, 9.0), reduce="sum")  # line of repeated


def run_on(x):
    return cr.scan(lambda c, w: (c * c, 0.0), x, np.arange(12.0))[0]  # line of run_on


def line(name):
    with open(HERE) as file:
        return next(k for k, text in enumerate(file, 1) if text.endswith(f"# line of {name}\n"))


# A function, where it is compiled, what the message says, and the line it names.
CASES = {
    "value": (logarithm, 0.0, r"log made -inf of x=0\.0", "logarithm"),
    "nan": (logarithm, -1.0, r"log made nan of x=-1\.0", "logarithm"),
    "gradient": (cr.grad(root), 0.0, "the gradient by x of sqrt became inf: .* at x=0", "root"),
    "value and gradient": (cr.value_and_grad(logarithm), 0.0, r"log made -inf of x=0\.0", "logarithm"),
    "jacobian": (cr.jacobian(lambda x: [x, root(x)]), 0.0, "the gradient by x of sqrt became inf", "root"),
    "hessian": (cr.hessian(root), 0.0, "sqrt became", "root"),
    "map": (repeated, 0.0, r"log made -inf of x=0\.0", "repeated"),
    "gradient of a map": (cr.grad(repeated), 0.0, r"log made -inf of x=0\.0", "repeated"),
    "scan": (run_on, 1e10, r"mul made inf of x=1e\+160, y=1e\+160", "run_on"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_names_operation_operands_and_line(case, backend):
    f, x, message, name = CASES[case]
    compiled = cr.compile(f, backend=backend)
    plain = compiled(x)
    with cr.strict(), pytest.raises(NonFiniteError, match=message) as caught:
        compiled(x)
    assert str(caught.value).endswith(f"{HERE}, line {line(name)}")
    with cr.strict():
        assert np.isfinite(compiled(1.0)).all()
    np.testing.assert_array_equal(compiled(x), plain)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_names_the_sample(case, backend, reduce):
    f, x, message, name = CASES[case]
    compiled = cr.compile(f, batch=0, reduce=reduce, backend=backend)
    xs = np.full(11, 1.0)
    xs[7] = x
    for batch in (xs, xs.tolist()):
        with cr.strict(), pytest.raises(NonFiniteError, match=message) as caught:
            compiled(batch)
        assert str(caught.value).endswith(f"{HERE}, line {line(name)}, in sample 7 of the batch")


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_arguments_had_is_not_blamed(backend):
    f = cr.compile(cr.value_and_grad(lambda x: cr.exp(x) * 2.0), batch=0, backend=backend)
    xs = [1.0, math.nan, math.inf, -math.inf]
    with cr.strict():
        values, slopes = f(xs)
        assert np.isnan(values[1]) and np.isinf(values[2]) and values[3] == slopes[3] == 0.0
        with pytest.raises(NonFiniteError, match=r"exp made inf of x=1000\.0 at .* in sample 4"):
            f([*xs, 1000.0])
        assert cr.compile(lambda x: x + math.inf, backend=backend)(1.0) == math.inf


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_sum_over_a_batch_may_be_to_blame(backend, reduce):
    f = cr.compile(lambda x: x * 1.0, batch=0, reduce=reduce, backend=backend)
    message = f"the {reduce} over the batch made inf of finite results of lambda at {HERE}"
    with cr.strict(), pytest.raises(NonFiniteError, match=message):
        f([1e308] * 4)


def test_arguments_of_every_structure_and_by_name():
    def f(p, x):
        return {"a": [p["w"][0] / x, x], "b": (x * p["w"], p["b"])}

    compiled = cr.compile(f, batch="x")
    parameters = {"w": np.array([1.0, 2.0]), "b": [3.0]}
    with cr.strict():
        compiled(parameters, x=np.array([1.0, 2.0]))
        with pytest.raises(NonFiniteError, match=r"div made inf of x=1\.0, y=0\.0 .* in sample 1 of the batch"):
            compiled(parameters, x=np.array([1.0, 0.0]))


def test_a_program_and_a_function_that_changes():
    """Where the function itself raises nothing now, its program still knows what it did."""
    program = cr.trace(logarithm, 1.0)
    with cr.strict(), pytest.raises(NonFiniteError, match=f"log made -inf .* {HERE}, line"):
        cr.compile(program)(0.0)
    chosen = [cr.log]
    compiled = cr.compile(lambda x: chosen[0](x))
    compiled(1.0)
    chosen[0] = cr.exp
    with cr.strict(), pytest.raises(NonFiniteError, match=r"log made -inf of x=0\.0"):
        compiled(0.0)


def test_vars_go_step_by_step_as_before():
    compiled = cr.compile(logarithm)
    with cr.strict(), pytest.raises(NonFiniteError, match="log made -inf"):
        compiled(Var(0.0))
    with cr.strict(), cr.no_grad():
        assert compiled(1.0) == 0.0


def test_branches_not_taken_are_not_searched():
    """Only a result that is nan or infinite is looked into."""
    f = cr.compile(cr.grad(lambda x: cr.where(x > 0, cr.sqrt(x), 0.0)))
    with cr.strict():
        assert f(0.0) == 0.0
