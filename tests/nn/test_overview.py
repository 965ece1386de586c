"""What a model says of itself: summary, outputs of layers, weights as arrays; what freezing and partial loading do."""

import copy
import math
import pickle

import chainrule as cr
import pytest
from chainrule import Var, nn
from trained_models import NUMBERS, ROWS, model_of


class Own(nn.Module):
    """A module with others in attributes, lists and dicts, one of them called twice."""

    def __init__(self):
        self.last = nn.Layer(2, 1, None, seed=1)
        self.first = nn.MLP(2, [3, 2], seed=2)
        self.shared = {"twice": nn.Layer(2, 2, seed=3)}
        self.shift = Var(0.5)

    def __call__(self, x):
        x = self.shared["twice"](self.shared["twice"](self.first(x)))
        return self.last(x) + self.shift


def test_outputs_are_those_of_each_layer():
    model = Own()
    found = model.outputs(ROWS[3])
    assert list(found) == ["last", "first", "first.layers.0", "first.layers.1", "shared.twice"]
    hidden = [neuron.value for neuron in model.first.layers[0](ROWS[3])]
    assert found["first.layers.0"] == hidden
    assert found["first"] == found["first.layers.1"] == [o.value for o in model.first(ROWS[3])]
    once = [o.value for o in model.shared["twice"](found["first"])]
    assert found["shared.twice"] == [o.value for o in model.shared["twice"](once)]
    assert found["last"] + 0.5 == model(ROWS[3]).value
    assert type(model.first) is nn.MLP and type(model.last) is nn.Layer


def test_outputs_of_functions_between_layers():
    model = nn.Sequential(
        nn.Layer(2, 2, None, seed=0), cr.softmax, nn.Sequential(nn.Layer(2, 1, None, seed=1), cr.tanh)
    )
    found = model.outputs(ROWS[0])
    assert list(found) == ["stages.0", "stages.1", "stages.2", "stages.2.stages.0", "stages.2.stages.1"]
    assert found["stages.1"] == cr.softmax(found["stages.0"])
    assert found["stages.2.stages.1"] == found["stages.2"] == model(ROWS[0]).value
    with pytest.raises(ValueError, match="expected 2 inputs but got 1"):
        model.outputs([1.0])


def test_the_summary_counts():
    model = Own()
    model.first.freeze()
    text = str(model.summary())
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["Own", "parameters", "frozen"]
    assert ["first.layers.0", "Layer", "3", "9", "9"] in lines
    assert ["shared.twice", "Layer", "2", "6", "0"] in lines
    assert lines[-1] == ["sum", "27", "17"]
    assert repr(model.summary()) == text
    assert nn.Neuron(3).summary().splitlines()[-1].split() == ["sum", "4", "0"]


def test_weights_are_arrays_that_can_be_loaded_again():
    numpy = pytest.importorskip("numpy")
    model, other = model_of(), model_of(seed=9)
    weights = model.weights
    assert {name: array.shape for name, array in weights.items()} == {
        "layers.0.weight": (4, 2), "layers.0.bias": (4,), "layers.1.weight": (1, 4), "layers.1.bias": (1,),
    }  # fmt: skip
    assert weights["layers.0.weight"][1, 0] == model.layers[0].neurons[1].weights[0].value
    other.load_state_dict(weights)
    assert other.state_dict() == model.state_dict()
    weights["layers.1.bias"][:] = 7.0
    assert model.layers[1].neurons[0].bias.value != 7.0
    other.load_state_dict({"layers.1.bias": numpy.array([7.0])}, strict=False)
    assert other.layers[1].neurons[0].bias.value == 7.0
    # Where a module has weights of its own, it keeps them.
    assert isinstance(nn.Neuron(2).weights, list)
    own = Own().weights
    assert own["shift"] == 0.5 and own["shared.twice.weight"].shape == (2, 2)


def test_partial_loading_tells_what_it_left():
    model, before = model_of(), model_of().state_dict()
    some = {"layers.1.neurons.0.bias": 3.0, "head.bias": 1.0}
    left = model.load_state_dict(some, strict=False)
    assert left.unexpected == ["head.bias"]
    assert left.missing == [name for name in before if name != "layers.1.neurons.0.bias"]
    assert model.state_dict() == {**before, "layers.1.neurons.0.bias": 3.0}
    with pytest.raises(TypeError, match=r"layers\.1\.neurons\.0\.bias='a'"):
        model.load_state_dict({"layers.1.neurons.0.bias": "a"}, strict=False)
    with pytest.raises(ValueError, match=r"missing: .*; unexpected: 'head.bias'"):
        model.load_state_dict(some)
    larger = nn.MLP(2, [4, 3])  # the first layer of another model
    assert larger.load_state_dict(before, strict=False).missing[0] == "layers.1.neurons.1.weights.0"
    assert larger.layers[0].neurons[0].weights[0].value == before["layers.0.neurons.0.weights.0"]


@pytest.mark.parametrize("compiled", [False, True])
def test_frozen_layers_stay_and_come_back(compiled):
    model = model_of()
    model.layers[0].freeze()
    before = model.state_dict()
    nn.fit(model, ROWS, NUMBERS, epochs=3, compiled=compiled)
    after = model.state_dict()
    assert {name.split(".")[1] for name in after if after[name] != before[name]} == {"1"}
    model.unfreeze()
    nn.fit(model, ROWS, NUMBERS, epochs=3, compiled=compiled)
    assert all(model.state_dict()[name] != value for name, value in after.items())


@pytest.mark.parametrize("compiled", [False, True])
def test_a_frozen_layer_of_a_wide_model_stays(compiled):
    model = nn.MLP(50, [30, 50, 1], seed=0)
    model.layers[0].freeze()
    assert len(model.parameters()) < 2500 < len(model.state_dict())
    wider = nn.MLP(50, [30, 90, 1], seed=0)  # whose layers are loops, also beside one that is frozen
    for each, frozen in ((model, 0), (wider, 0), (wider, 2)):
        each.unfreeze()
        each.layers[frozen].freeze()
        before = each.state_dict()
        rows = [[math.sin(j + k) for j in range(50)] for k in range(4)]
        nn.fit(each, rows, [0.1, 0.2, 0.3, 0.4], epochs=2, batch_size=None, compiled=compiled)
        changed = {name.split(".")[1] for name, value in each.state_dict().items() if value != before[name]}
        assert changed == {"0", "1", "2"} - {str(frozen)}


def test_unfreezing_leaves_what_was_constant_from_the_start():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = Var(2.0, requires_grad=False)
            self.inner = nn.Neuron(1, seed=0)

        def __call__(self, x):
            return self.inner(x) * self.scale

    model = Scaled()
    model.inner.freeze()
    model.freeze()  # of nothing that is left
    assert model.parameters() == []
    with pytest.raises(ValueError, match="at least one parameter"):
        nn.fit(model, [1.0], [1.0])
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model.inner))):
        twin.unfreeze()
        assert len(twin.parameters()) == 2
    model.unfreeze()
    assert len(model.parameters()) == 2 and not model.scale.requires_grad
    # A layer that was frozen and then replaced is no part of the model.
    model.inner.freeze()
    model.freeze()
    old, model.inner = model.inner, nn.Neuron(1)
    model.unfreeze()
    assert not old.bias.requires_grad and list(model.state_dict()) == ["scale", "inner.weights.0", "inner.bias"]


def test_an_optimiser_made_before_freezing_is_refused():
    model = model_of()
    optimiser = nn.SGD(model.parameters())
    model.layers[0].freeze()
    with pytest.raises(ValueError, match="some were frozen since it was made; make it anew"):
        nn.fit(model, ROWS, NUMBERS, optimiser=optimiser)


def test_an_array_of_another_shape_loads_nothing():
    numpy = pytest.importorskip("numpy")
    for shape in [(3, 2), (1, 2), (2, 3), (2, 1), (2,), (2, 2, 1)]:
        layer = nn.Layer(2, 2, seed=1)
        before = layer.state_dict()
        left = layer.load_state_dict({"weight": numpy.ones(shape), "bias": numpy.array([5.0, 6.0])}, strict=False)
        assert left.unexpected == ["weight"]
        assert left.missing == [name for name in before if "weights" in name]
        assert layer.state_dict() == {**before, "neurons.0.bias": 5.0, "neurons.1.bias": 6.0}
        with pytest.raises((ValueError, TypeError)):
            layer.load_state_dict({"weight": numpy.ones(shape), "bias": numpy.ones(2)})
    one = nn.Neuron(2, seed=1)
    before = one.state_dict()
    assert one.load_state_dict({"weights": numpy.ones(3), "bias": 4.0}, strict=False).unexpected == ["weights"]
    assert one.state_dict() == {**before, "bias": 4.0}
    assert one.load_state_dict({"weights": numpy.ones(2)}, strict=False).missing == ["bias"]
    assert one.state_dict() == {"weights.0": 1.0, "weights.1": 1.0, "bias": 4.0}


def test_a_var_in_a_state_is_asked_for_its_value():
    with pytest.raises(
        TypeError, match=r"^load_state_dict expected a plain number but got bias=Var\(.*; use its .value$"
    ):
        nn.Neuron(1).load_state_dict({"weights.0": 1.0, "bias": Var(2.0)})
