"""Models in files: what is kept, what comes back, and what a wrong file says."""

import functools
import json
import math

import chainrule as cr
import pytest
from chainrule import nn


@pytest.mark.parametrize(
    "model",
    [
        nn.Neuron(3, "relu", seed=1),
        nn.Layer(2, 3, "gelu", seed=1),
        nn.MLP(2, [3, 4, 2], activation="tanh", output_activation="sigmoid", seed=1),
        nn.Sequential(nn.Layer(2, 3, "relu", seed=1), nn.MLP(3, [2, 2], seed=2), nn.Layer(2, 1, None, seed=3)),
        nn.Sequential(nn.Layer(2, 3, "relu", seed=1), nn.Layer(3, 2, None, seed=2), cr.softmax),
        nn.Sequential(nn.Layer(2, 3, "relu", seed=1), cr.log_softmax, cr.logsumexp, cr.tanh),
    ],
    ids=repr,
)
def test_models_of_nn_come_back_whole(model, tmp_path):
    nn.save(model, tmp_path / "model.json")
    again = nn.load(tmp_path / "model.json")
    assert repr(again) == repr(model)
    assert again.state_dict() == model.state_dict()
    assert [p.label for p in again.parameters()] == [p.label for p in model.parameters()]
    row = [0.25 * k for k in range(again.nin if hasattr(again, "nin") else 2)]
    assert again.predict([row]) == model.predict([row])


def test_all_digits_and_special_values(tmp_path):
    values = [0.1, -0.0, 5e-324, math.inf, -math.inf, math.nan, 1.7976931348623157e308]
    model = nn.Neuron(len(values) - 1)
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.value = value
    nn.save(model, tmp_path / "m.json")
    found = [p.value for p in nn.load(tmp_path / "m.json").parameters()]
    assert [v.hex() for v in found] == [v.hex() for v in values]


def test_own_modules_are_filled(tmp_path):
    class Line(nn.Module):
        def __init__(self):
            self.slope, self.shift = cr.Var(2.0), cr.Var(1.0)

    path = tmp_path / "line.json"
    nn.save(Line(), path)
    line = Line()
    line.slope.value = 7.0
    assert nn.load(path, line) is line is nn.load(line, path)
    assert line.slope.value == 2.0
    with pytest.raises(ValueError, match=r"expected a model to fill, as .*line.json holds parameters alone"):
        nn.load(path)


def test_what_cannot_be_built_again_holds_parameters_alone(tmp_path):
    models = [nn.MLP(2, [2, 1], activation=lambda x: x * x), nn.MLP(2, [2, 1])]
    for model in models:
        model.layers[0].neurons[0].activation = cr.sin
    same_name = functools.wraps(cr.softmax)(lambda xs: xs)
    # A function of two numbers, one that only has the name of softmax, and one that gives a function.
    models += [nn.Sequential(nn.Layer(2, 2), stage) for stage in (cr.hypot, same_name, cr.grad)]
    for model in models:
        nn.save(model, tmp_path / "m.json")
        assert json.loads((tmp_path / "m.json").read_text())["architecture"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "truncated or not JSON"),
        ("{", "truncated or not JSON"),
        ("[" * 100_000, "truncated or not JSON"),
        ("[]", "with format 'chainrule model', but it is another"),
        ('{"format": "chainrule program"}', "but it is another"),
        ('{"format": "chainrule model", "version": 2}', "expected version 1 but got 2"),
        ('{"format": "chainrule model", "version": 1}', "parameters by name but got parameters=None"),
        ('{"format": "chainrule model", "version": 1, "parameters": {"w": "x"}}', "for each parameter but got w='x'"),
        ('{"format": "chainrule model", "version": 1, "parameters": {"w": true}}', "but got w=True"),
        ('{"format": "chainrule model", "version": 1, "parameters": {"w": 1%s}}' % ("0" * 400), "of doubles .* w=10+"),
        (
            '{"format": "chainrule model", "version": 1, "parameters": {},'
            ' "architecture": {"type": "Neuron", "nin": 1%s, "activation": "tanh"}}' % ("0" * 400),
            "description of a model of nn, but it is wrong",
        ),
        (
            '{"format": "chainrule model", "version": 1, "parameters": {},'
            ' "architecture": {"type": "Sequential", "parts": [{"type": "function", "activation": "compile"}]}}',
            "description of a model of nn, but it is wrong",
        ),
        (
            '{"format": "chainrule model", "version": 1, "parameters": {}, "architecture": {"type": "os.system"}}',
            "description of a model of nn, but it is wrong",
        ),
        (
            '{"format": "chainrule model", "version": 1, "parameters": {"x": 1},'
            ' "architecture": {"type": "Neuron", "nin": 1, "activation": "tanh"}}',
            "does not fit the model: .*missing: 'weights.0', 'bias'; unexpected: 'x'",
        ),
    ],
)  # fmt: skip
def test_wrong_files_say_what_is_wrong(text, message, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        nn.load(path)
    assert "wrong.json" in str(caught.value)


def test_wrong_arguments(tmp_path):
    with pytest.raises(TypeError, match="save expected a Module"):
        nn.save({"w": 1.0}, tmp_path / "m.json")
    with pytest.raises(TypeError, match="save expected the path of a file but got path=None"):
        nn.save(nn.Neuron(1), None)
    with pytest.raises(TypeError, match="load expected the path of a file but got path=3"):
        nn.load(3)
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "none.json")
    nn.save(nn.Neuron(1), tmp_path / "m.json")
    before = (tmp_path / "m.json").read_bytes()
    with pytest.raises(TypeError, match="load expected a Module"):
        nn.load(tmp_path / "m.json", 5)
    bad = nn.Sequential(nn.Neuron(1))
    bad.more = {1: cr.Var(1.0), "1": cr.Var(2.0)}
    with pytest.raises(ValueError, match="a different name for each parameter"):
        nn.save(bad, tmp_path / "m.json")
    assert (tmp_path / "m.json").read_bytes() == before


def test_frozen_weights_are_saved(tmp_path):
    model = nn.MLP(2, [3, 1], seed=0)
    frozen = model.parameters()[0]
    frozen.value, frozen.requires_grad = 9.0, False
    nn.save(model, tmp_path / "model.json")
    again = nn.load(tmp_path / "model.json")
    assert again.predict([[1.0, 2.0]]) == model.predict([[1.0, 2.0]])
    other = nn.MLP(2, [3, 1], seed=1)
    other.parameters()[0].requires_grad = False
    assert nn.load(tmp_path / "model.json", other).state_dict() == model.state_dict()
    assert len(other.parameters()) == len(model.parameters()) == len(again.parameters()) - 1
