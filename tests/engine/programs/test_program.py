"""Tracing: what a program lists, means, refuses, and how it survives in a file."""

import json
import math
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, TraceError, Var, nn, trace
from chainrule.programs import Part, View, constants
from chainrule.programs.tracer import structural
from chainrule.testing import expressions
from helpers import flat
from hypothesis import given
from hypothesis import strategies as st

numbers = st.floats(-2.0, 2.0)


def polynomial(x, w):
    return w["a"] * x[0] ** 2 + cr.sin(x[1]) * w["b"]


EXAMPLE = ([1.0, 2.0], {"a": 3.0, "b": 4.0})


def test_listing_names_inputs_and_shows_one_step_a_line():
    assert str(trace(polynomial, *EXAMPLE)) == (
        "polynomial(x: [number, number], w: {'a': number, 'b': number}):\n"
        "    v1 = x[0] ** 2.0\n"
        "    v2 = w['a'] × v1\n"
        "    v3 = sin(x[1])\n"
        "    v4 = v3 × w['b']\n"
        "    v5 = v2 + v4\n"
        "    return v5"
    )


def test_arrays_name_their_places_and_results_keep_their_structure():
    program = trace(lambda m: {"sum": m.sum(), "first": (m[0], [m[1, 0]])}, np.ones((2, 2)))
    assert program.names == ("m[0,0]", "m[0,1]", "m[1,0]", "m[1,1]")
    found = program(np.arange(4.0).reshape(2, 2))
    assert found["sum"] == 6.0
    assert found["first"][0].tolist() == [0.0, 1.0] and found["first"][1] == [2.0]


@given(st.data())
def test_program_means_what_the_function_does(data):
    f = data.draw(expressions())
    point = [data.draw(numbers) for _ in range(f.inputs)]
    program = trace(f, *point)
    assert program(*point) == f(*point)
    assert program(*map(Var, point)).value == f(*map(Var, point)).value
    assert cr.grad(program)(*point) == pytest.approx(cr.grad(f)(*point), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    "transform", [cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian, lambda f: cr.grad(lambda x: sum(cr.grad(f)(x)))]
)
def test_derivatives_trace_and_nest(transform):
    def f(x):
        return cr.tanh(x[0] * x[1]) * cr.exp(x[0]) + cr.logsumexp(x)

    derivative = transform(f)
    for point in ([0.3, -0.7], [2.0, 1.0]):
        eager, traced = derivative(point), trace(derivative, point)(point)
        assert str(cr.data.structure.flatten(eager, "", "")[1]) == str(cr.data.structure.flatten(traced, "", "")[1])
        assert flat(traced) == pytest.approx(flat(eager), rel=1e-13)


def test_jvp_hvp_and_checkpoint_trace():
    def f(x):
        return cr.sin(x[0]) * x[1] ** 3

    point, direction = [0.4, 1.5], [1.0, -2.0]
    for derivative in (lambda x: cr.jvp(f, (x,), (direction,)), lambda x: cr.hvp(f, (x,), (direction,))):
        eager, traced = derivative(point), trace(derivative, point)(point)
        assert flat(traced) == pytest.approx(flat(eager), rel=1e-14)
    assert trace(cr.grad(cr.checkpoint(f)), point)(point) == pytest.approx(cr.grad(f)(point), rel=1e-14)


def test_a_network_traces_with_its_parameters_as_constants():
    model = nn.MLP(2, [3, 1], seed=1)
    program = trace(lambda x: model(x), [0.5, -0.5])
    out = program([0.5, -0.5])
    expected = model([0.5, -0.5])
    assert np.ravel(out)[0] == (expected[0] if isinstance(expected, list) else expected).value


def misuse():
    return [
        (lambda x: x if x > 0 else -x, "where"),
        (lambda x: math.sin(x), "chainrule.sin"),
        (lambda x: x.value * 2, "compute with the number itself"),
        (lambda x: [1, 2, 3][x], "take"),
        (lambda x: int(x), "floor"),
        (lambda x: max(x, 1.0), "maximum"),
        (lambda x: x if x == 1.0 else 2.0, "where"),
    ]


@pytest.mark.parametrize(("f", "advice"), misuse())
def test_asking_for_a_value_names_the_line_and_the_way_out(f, advice):
    with pytest.raises(TraceError, match=advice) as caught:
        trace(f, 1.0)
    assert f"{__file__}, line {f.__code__.co_firstlineno}" in str(caught.value)


def test_a_missing_return_and_a_foreign_tracer_are_refused():
    with pytest.raises(TypeError, match="is a return missing"):
        trace(lambda x: None, 1.0)
    kept = []
    trace(lambda x: kept.append(x) or x, 1.0)
    with pytest.raises(TraceError, match="another trace"):
        trace(lambda x: kept[0] * x, 1.0)


def test_choices_and_indices_trace():
    def f(x, k):
        return cr.take([x[0], x[1] * 2.0, x[0] * x[1]], k) + cr.clip(x[0], 0.0, 1.0)

    program = trace(f, [1.0, 2.0], 0.0)
    for k in (0.0, 1.0, 2.0):
        assert program([0.5, 3.0], k) == f([0.5, 3.0], k)
        assert cr.grad(program)([0.5, 3.0], k) == cr.grad(f)([0.5, 3.0], k)
    assert math.isnan(program([0.5, 3.0], 3.0)) and math.isnan(f([0.5, 3.0], 0.5))
    assert cr.take([1.0, Var(2.0)], Var(1.0)).value == 2.0


def test_wrong_structure_is_refused():
    with pytest.raises(ValueError, match=r"polynomial expected arguments like .* but got"):
        trace(polynomial, *EXAMPLE)([1.0], {"a": 3.0, "b": 4.0})


# ---- equality, pickle, files ----


def test_equality_sees_constants_by_their_bits():
    assert trace(polynomial, *EXAMPLE) == trace(polynomial, *EXAMPLE)
    assert hash(trace(polynomial, *EXAMPLE)) == hash(trace(polynomial, *EXAMPLE))
    assert trace(lambda x: x * 0.0, 1.0) != trace(lambda x: x * -0.0, 1.0)
    assert trace(lambda x: x * math.nan, 1.0) == trace(lambda x: x * float("nan"), 1.0)
    assert trace(polynomial, *EXAMPLE) != "polynomial"


@given(f=expressions())
def test_pickle_and_file_keep_a_program(f, tmp_path_factory):
    program = trace(cr.grad(f), *[0.5] * f.inputs)
    assert pickle.loads(pickle.dumps(program)) == program
    path = tmp_path_factory.mktemp("programs") / "f.json"
    program.save(path)
    assert Program.load(path) == program and Program.load(path).name == program.name


def test_a_file_keeps_every_constant(tmp_path):
    program = trace(lambda x: [x * c for c in (0.1, -0.0, math.inf, -math.inf, math.nan, 5e-324)], 1.0)
    program.save(tmp_path / "f.json")
    assert Program.load(tmp_path / "f.json") == program


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.update(format="else"), "chainrule program"),
        (lambda c: c.update(version=4), "version 3"),
        (lambda c: c.update(version=True), "version 3"),
        (lambda c: c.pop("steps"), "the keys"),
        (lambda c: c["steps"][0].__setitem__(0, "launch"), r"steps\[0\] to name an operation .* 'launch'"),
        (lambda c: c["steps"][0].__setitem__(1, 99), r"steps\[0\] to take values computed before it"),
        (lambda c: c["steps"][0].__setitem__(1, -1), r"steps\[0\] to take values computed before it"),
        (lambda c: c["steps"][0].append(0), r"steps\[0\], pow, to take 2 arguments"),
        (lambda c: c["outputs"].__setitem__(0, 1000), r"outputs\[0\]"),
        (lambda c: c["outputs"].append(0), "1 outputs, as result"),
        (lambda c: c["names"].pop(), "4 names, as arguments"),
        (lambda c: c["constants"].__setitem__(0, "two"), r"constants\[0\] to be a number"),
        (lambda c: c["constants"].__setitem__(0, True), r"constants\[0\] to be a number"),
        (lambda c: c["constants"].__setitem__(0, 10**400), r"constants\[0\] to be a number"),
        (lambda c: c.update(result={"array": ["x"]}), "whole numbers"),
        (lambda c: c.update(arguments="number"), "arguments to be a tuple"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(tmp_path, damage, message):
    path = tmp_path / "f.json"
    trace(polynomial, *EXAMPLE).save(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        Program.load(path)
    assert str(path) in str(caught.value)


def test_structures_have_each_key_once_and_end(tmp_path):
    path = tmp_path / "f.json"
    trace(polynomial, *EXAMPLE).save(path)
    text = path.read_text()
    nested = '{"list": [' * 40_000 + '"number"' + "]}" * 40_000
    shallow = '{"list": [' * 400 + '"number"' + "]}" * 400
    for old, new, message in [
        (
            '[["a", "number"], ["b", "number"]]',
            '[["a", "number"], ["a", "number"]]',
            r"arguments\[1\] to have each key once",
        ),
        ('[["a", "number"], ["b", "number"]]', '[[1, "number"], [true, "number"]]', "to list keys and structures"),
        ('"result": "number"', '"result": "number", "result": "number"', "each name once in an object"),
        ('"result": "number"', f'"result": {nested}', "not nested as deep|not JSON"),
        ('"result": "number"', f'"result": {shallow}', "not nested as deep|1 outputs|not JSON"),
        ('"result": "number"', '"result": {"constant": [1]}', "result to be one string"),
        ('"result": "number"', '"result": {"record": []}', "result to be a structure"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message) as caught:
            Program.load(path)
        assert str(path) in str(caught.value)


def test_a_part_of_constants_that_repeat_is_one_of_the_constants():
    table = constants([1.0, 2.0, 3.0], (3,))
    repeated = structural(View((3,), Part(0, (300, 3), (0, 1))), [table])
    column = structural(View((300, 3), Part(1, (2,), (3,))), [repeated])
    assert column.shape == (2,) and column.tolist() == [2.0, 2.0]
    assert structural(View((300, 3), Part(5, (), ())), [repeated]) == 3.0


def test_truncated_files_are_refused_at_every_length(tmp_path):
    path = tmp_path / "f.json"
    trace(polynomial, *EXAMPLE).save(path)
    whole = path.read_text()
    for length in range(0, len(whole), 37):
        path.write_text(whole[:length])
        with pytest.raises(ValueError, match="truncated or not JSON"):
            Program.load(path)


def test_saving_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "f.json"
    trace(polynomial, *EXAMPLE).save(path)
    before = path.read_text()
    with pytest.raises(TypeError, match="keys of type str or int"):
        trace(lambda x: x[1.5], {1.5: 1.0}).save(path)
    assert path.read_text() == before and [p.name for p in tmp_path.iterdir()] == ["f.json"]
