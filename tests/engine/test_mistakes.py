"""What beginners write first, and what each of it gets: an answer that names the way, or the result that was meant."""

import ast
import inspect
import math
import re
from pathlib import Path

import chainrule
import numpy as np
import pytest
from chainrule import Var, nn, viz
from chainrule.viz.command import main
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "meant"),
    [("ln", "log"), ("max", "maximum"), ("jit", "compile"), ("arctan", "atan"), ("sigmoyd", "sigmoid")]
    + [("Relu", "relu"), ("ReLU", "relu"), ("LeakyReLU", "leaky_relu"), ("var", "Var"), ("Ln", "log")],
)
def test_a_function_under_another_name(name, meant):
    with pytest.raises(AttributeError, match=rf"did you mean chainrule\.{meant}\?"):
        getattr(chainrule, name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Linear", "Layer"), ("ReLU", "MLP"), ("MSELoss", "mse"), ("Adamm", "Adam")]
    + [("mlp", "MLP"), ("linear", "Layer"), ("adamw", "AdamW")],
)
def test_a_layer_under_another_name(name, meant):
    with pytest.raises(AttributeError, match=rf"did you mean nn\.{meant}"):
        getattr(nn, name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("data", "value"), ("val", "value"), ("gradient", "grad"), ("_prev", "parents")]
    + [("_op", "op")] * (chainrule.core() == "compiled")  # interpreted, it is a field of that name
    + [("ln", r"log\(\)"), ("clamp", r"clip\(\)"), ("backprop", r"backward\(\)")],
)
def test_a_field_under_another_name(name, meant):
    x = Var(2.0)
    with pytest.raises(AttributeError, match=rf"'Var' object has no attribute '{name}'; did you mean {meant}\?"):
        getattr(x, name)
    assert not hasattr(x, name)


@pytest.mark.parametrize(
    ("name", "meant"), [("draw_dot", "draw"), ("plot_histroy", "plot_history"), ("Draw", "draw"), ("save", "render")]
)
def test_a_picture_under_another_name(name, meant):
    with pytest.raises(AttributeError, match=rf"viz' has no attribute '{name}'; did you mean viz\.{meant}\?"):
        getattr(viz, name)


@pytest.mark.parametrize(
    ("name", "meant"), [("TanH", "tanh"), ("LeakyReLU", "leaky_relu"), ("Linear", "linear"), ("swish", "silu")]
)
def test_an_activation_under_another_name(name, meant):
    with pytest.raises(ValueError, match=rf"got activation='{name}' \(str\); did you mean '{meant}'\?$"):
        nn.Neuron(2, activation=name)


def test_an_argument_under_another_name():
    for wrong, message in (
        (lambda x: chainrule.clip(x, min=0), r"clip .*\(x, low, high\), each once, but got 'min'; did you mean low\?"),
        (lambda x: chainrule.clip(x, a_max=0, low=1), r"but got 'a_max'; did you mean high\?"),
        (lambda x: chainrule.leaky_relu(x, negative_slope=1), r"but got 'negative_slope'; did you mean slope\?"),
        (lambda x: chainrule.leaky_relu(x, slop=1), r"but got 'slop'; did you mean slope\?"),
        (lambda x: chainrule.sin(x, min=1), r"sin expected its arguments \(x\), each once, but got 'min'$"),
    ):
        for x in (3.0, Var(3.0)):
            with pytest.raises(TypeError, match=message):
                wrong(x)


def test_what_is_no_name_of_anything_gets_no_advice():
    for owner in (chainrule, nn, viz, Var(1.0)):
        with pytest.raises(AttributeError) as caught:
            owner.xyzzy  # noqa: B018
        assert "did you mean" not in str(caught.value)


def test_the_sign_of_powers_elsewhere():
    x = Var(2.0)
    for power in (lambda: x ^ 2, lambda: 2 ^ x, lambda: x ^ x):
        with pytest.raises(TypeError, match=r"a power is written x\*\*y"):
            power()
    for power in (lambda x: x ^ 2, lambda x: 2 ^ x):
        with pytest.raises(TypeError, match=r"a power is written x\*\*y"):
            chainrule.trace(power, 2.0)


@pytest.mark.parametrize("transform", [chainrule.grad, chainrule.value_and_grad, chainrule.jacobian, chainrule.hessian])
def test_derivatives_of_no_function_and_at_no_position_are_refused_at_once(transform):
    with pytest.raises(TypeError, match="expected a function but got f=Var"):
        transform(Var(3.0) ** 2)
    with pytest.raises(
        ValueError, match=rf"got argnums=2.0 \(float\); give the arguments to what it returns: {transform.__name__}"
    ):
        transform(lambda x: x * x, 2.0)


def test_the_public_names_are_listed_and_nothing_else():
    names = dir(chainrule)
    assert {"Var", "grad", "compile", "nn", "viz", "testing", "sin", "pi"} <= set(names)
    assert not {"FunctionType", "ModuleType", "importlib", "data", "graph", "operations"} & set(names)
    assert names == sorted(set(names))


# ---- chainrule in place of math ----


def test_every_name_of_math_is_there():
    assert [name for name in dir(math) if not name.startswith("_") and not hasattr(chainrule, name)] == []


numbers = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -2.5]))


def same(found, wanted):
    return (math.isnan(found) and math.isnan(wanted)) or (
        found == wanted and math.copysign(1, found) == math.copysign(1, wanted)
    )


@given(numbers)
def test_of_one_number_as_in_math(x):
    for name in ("isnan", "isinf", "isfinite"):
        wanted = getattr(math, name)(x)
        assert getattr(chainrule, name)(x) is wanted
        assert getattr(chainrule, name)(Var(x)) is wanted
        assert chainrule.trace(getattr(chainrule, name), 1.0).run([x]) == [float(wanted)]
    assert all(map(same, chainrule.modf(x), math.modf(x)))
    assert all(same(found.value, wanted) for found, wanted in zip(chainrule.modf(Var(x)), math.modf(x), strict=True))
    mantissa, exponent = chainrule.frexp(Var(x))
    wanted, wanted_exponent = math.frexp(x)
    assert same(mantissa.value, wanted)
    assert exponent == wanted_exponent


@given(numbers, numbers, st.sampled_from([0.0, 1e-9, 0.5, 2.0]), st.sampled_from([0.0, 1.0, math.inf]))
def test_close_as_in_math(a, b, relative, absolute):
    wanted = math.isclose(a, b, rel_tol=relative, abs_tol=absolute)
    assert bool(chainrule.isclose(a, b, rel_tol=relative, abs_tol=absolute)) is wanted
    assert bool(chainrule.isclose(Var(a), b, rel_tol=relative, abs_tol=absolute)) is wanted
    program = chainrule.trace(lambda a, b: chainrule.isclose(a, b, rel_tol=relative, abs_tol=absolute), 1.0, 1.0)
    assert program.run([a, b]) == [float(wanted)]


@given(numbers, st.integers(-2300, 2300))
def test_scaled_by_powers_of_two_as_in_math(x, i):
    try:
        wanted = math.ldexp(x, i)
    except OverflowError:
        wanted = math.copysign(math.inf, x)
    assert same(chainrule.ldexp(x, i), wanted)
    assert same(chainrule.ldexp(Var(x), i).value, wanted)


def test_what_takes_no_var_is_no_activation_and_scales_are_whole_numbers():
    with pytest.raises(ValueError, match="activation expected the name"):
        nn.MLP(2, [2, 1], "ulp")
    with pytest.raises(TypeError, match="float"):
        chainrule.ldexp(1.0, 2.5)


def test_gradients_pass_through():
    x = Var(0.7)
    mantissa, whole = chainrule.modf(3 * x)
    (chainrule.ldexp(x, 3) + mantissa + whole + chainrule.dist([x, 1.0], [0.0, 0.0])).backward()
    assert x.grad == pytest.approx(8.0 + 3.0 + 0.7 / math.hypot(0.7, 1.0), rel=1e-15)
    assert chainrule.fsum([Var(1.0), 2.0]).value == 3.0
    assert chainrule.fsum(np.full(10, 0.1)) == 1.0


def test_points_of_other_dimensions_and_negative_tolerances():
    with pytest.raises(ValueError, match="dist expected points of the same dimension but got 1 and 2"):
        chainrule.dist([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"isclose expected tolerances of 0 or above but got rel_tol=-1\.0"):
        chainrule.isclose(1.0, 1.0, rel_tol=-1.0)


# ---- the command ----


@pytest.mark.parametrize(
    ("expression", "advice"),
    [("2x+1", "write 2*x"), ("sin x", "write sin(x)"), ("|x|", "write abs(x)"), ("a b", "write a*b")],
)
def test_expressions_as_on_paper(expression, advice, capsys):
    assert main(["formula", expression]) != 0
    assert advice in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("1/3", 1 / 3), ("pi", math.pi), ("-2**0.5", -(2**0.5)), ("1.5e0", 1.5)])
def test_values_are_expressions_of_numbers(text, value, capsys):
    assert main(["grad", "1*x", f"x={text}"]) == 0
    assert repr(value) in capsys.readouterr().out


def test_names_that_python_keeps_for_itself(capsys):
    assert main(["grad", "x*x", "x=1", "lambda=1"]) != 0
    assert "lambda is a word of Python; choose another" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["p -= 0.1 * p.grad", "p += -0.1 * p.grad"])
def test_a_step_that_leaves_the_parameter_as_it_was_is_told(step):
    p = Var(2.0, label="w")
    (p * p).backward()
    with pytest.warns(RuntimeWarning, match=r"^w .= \.\.\. makes a new Var .* write w\.value .= \.\.\.") as caught:
        exec(step, {"p": p})
    assert caught[0].filename == "<string>"


def test_sums_of_losses_are_quiet():
    p, loss = Var(2.0), Var(0.0)
    for x in (1.0, 2.0):
        loss += p * x
        loss -= 0.5
        loss += 1.0
    loss.backward()
    loss += 1.0
    assert loss.value == 8.0 and p.grad == 3.0
    p.zero_grad()
    p -= 0.5
    assert p.value == 1.5


def test_arguments_by_name():
    x = Var(-2.0)
    assert chainrule.leaky_relu(x, slope=0.2).value == chainrule.leaky_relu(x=-2.0, slope=0.2) == -0.4
    assert chainrule.atan2(x=2.0, y=1.0) == math.atan2(1.0, 2.0)
    assert chainrule.trace(lambda x: chainrule.elu(x, alpha=2.0), 1.0)(-1.0) == chainrule.elu(-1.0, 2.0)
    for wrong in ({"slop": 0.2}, {"x": 1.0}):
        with pytest.raises(TypeError, match=r"^leaky_relu expected its arguments \(x, slope\), each once"):
            chainrule.leaky_relu(x, **wrong)


def test_several_numbers_for_one():
    for several in ([1, 2], (1.0,), {1.0: 2.0}):
        with pytest.raises(TypeError, match=r"apply it to each item, \[f\(x\) for x in xs\], or to a numpy.array"):
            chainrule.sin(several)


def _constructor(path, name):
    """Return what the source says of a class's constructor: names, and how many have defaults."""
    tree = ast.parse((Path(chainrule.__file__).resolve().parent / path).read_text())
    kind = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    of = next(node for node in kind.body if isinstance(node, ast.FunctionDef) and node.name == "__init__").args
    defaults = [*of.defaults, *(default for default in of.kw_defaults if default is not None)]
    return [one.arg for one in (*of.args[1:], *of.kwonlyargs)], [ast.literal_eval(default) for default in defaults]


@pytest.mark.parametrize(("kind", "path"), [(Var, "graph/var.py"), (chainrule.Primitive, "operations/primitive.py")])
def test_compiled_classes_tell_their_arguments(kind, path):
    told = inspect.signature(kind).parameters.values()
    names, defaults = _constructor(path, kind.__name__)
    written = [None if default is None else default or type(default)() for default in defaults]
    assert [one.name for one in told] == names
    assert [one.default for one in told if one.default is not one.empty] == written


def test_every_public_callable_names_its_arguments():
    for module in (chainrule, nn):
        for name in dir(module):
            item = getattr(module, name)
            if callable(item) and not (isinstance(item, type) and issubclass(item, Exception)):
                assert inspect.signature(item) is not None, name
    assert list(inspect.signature(chainrule.leaky_relu).parameters) == ["x", "slope"]
    with pytest.raises(AttributeError):
        Var(1.0).__signature__  # noqa: B018


def test_help_names_everything_public_by_topic():
    words = set(re.findall(r"[\w.]+", chainrule.__doc__))
    names = set(dir(chainrule)) - {"nn", "viz", "testing", "primitive", "__version__"}
    assert names <= words, names - words


def test_lists_of_names_hold_each_once_and_nothing_internal():
    for owner in (Var(1.0), chainrule, nn):
        names = dir(owner)
        assert len(names) == len(set(names)) and names == sorted(names)
        assert not {"gelu_slope", "strong_mul", "unit", "unpickled"} & set(names)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ({"loss": "MSE"}, "mse"),
        ({"loss": "crossentropy"}, "cross_entropy"),
        ({"loss": "bce"}, "binary_cross_entropy"),
        ({"metrics": "Accuracy"}, "accuracy"),
        ({"optimiser": "adams"}, "adam"),
    ],
)
def test_names_that_fit_nearly_knows(arguments, meant):
    with pytest.raises(ValueError, match=rf"; did you mean {meant}\?$"):
        nn.fit(nn.MLP(1, [1]), [1.0, 2.0], [1.0, 2.0], epochs=1, **arguments)


def test_classes_by_their_names():
    for y in (["cat", "dog"], np.array(["cat", "dog"])):
        with pytest.raises(
            TypeError, match=r"y\[0\]='cat' \(str\); number the classes 0, 1, 2 \.\.\., or use MLPClass"
        ):
            nn.fit(nn.MLP(1, [2]), [[1.0], [2.0]], y, loss="cross_entropy", epochs=1)


def test_methods_take_the_names_that_functions_take():
    x = Var(-1.0)
    assert x.leaky_relu(slope=0.2).value == -0.2
    assert Var(3.0).maximum(y=4.0).value == 4.0
    assert Var(3.0).clip(low=0.0, high=1.0).value == Var(3.0).clip(0.0, high=1.0).value == 1.0
    assert chainrule.trace(lambda x: x.leaky_relu(slope=0.2), 1.0)(-1.0) == -0.2
    with pytest.raises(TypeError, match=r"^leaky_relu expected its arguments \(x, slope\)"):
        x.leaky_relu(slop=0.2)
