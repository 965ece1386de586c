"""Modules: how parameters are found, named, forgotten, saved and restored."""

import copy
import pickle

import pytest
from chainrule import Var, nn


class Bag(nn.Module):
    """Hold whatever it is given as attributes."""

    def __init__(self, **attributes):
        for name, attribute in attributes.items():
            setattr(self, name, attribute)


def names(module):
    return [name for name, _ in module.named_parameters()]


def test_parameters_come_in_order_of_definition_with_dotted_names():
    model = nn.MLP(2, [2, 1])
    assert names(model) == [
        "layers.0.neurons.0.weights.0",
        "layers.0.neurons.0.weights.1",
        "layers.0.neurons.0.bias",
        "layers.0.neurons.1.weights.0",
        "layers.0.neurons.1.weights.1",
        "layers.0.neurons.1.bias",
        "layers.1.neurons.0.weights.0",
        "layers.1.neurons.0.weights.1",
        "layers.1.neurons.0.bias",
    ]
    assert [id(p) for p in model.parameters()] == [id(p) for _, p in model.named_parameters()]
    assert isinstance(model.parameters(), list)


@pytest.mark.parametrize(("sizes", "count"), [((2, [16, 16, 1]), 337), ((1, [2, 1]), 7), ((5, [10, 10, 1]), 181)])
def test_parameter_counts(sizes, count):
    assert len(nn.MLP(*sizes).parameters()) == count


def test_parameters_are_found_in_attributes_lists_tuples_dicts_and_modules():
    a, b, c, d, e = (Var(float(k)) for k in range(5))
    bag = Bag(first=a, many=[b, (c, {"deep": d})], inner=Bag(own=e), text="not a parameter", number=3, nothing=None)
    assert names(bag) == ["first", "many.0", "many.1.0", "many.1.1.deep", "inner.own"]
    assert all(found is wanted for found, wanted in zip(bag.parameters(), (a, b, c, d, e), strict=True))


def test_parameters_are_found_in_object_arrays():
    numpy = pytest.importorskip("numpy")
    weights = numpy.array([[Var(1.0), Var(2.0)], [Var(3.0), Var(4.0)]], dtype=object)
    bag = Bag(weights=weights, numbers=numpy.zeros(3))
    assert names(bag) == ["weights.0.0", "weights.0.1", "weights.1.0", "weights.1.1"]
    only = numpy.empty((), dtype=object)
    only[()] = Var(1.0)
    assert names(Bag(only=only)) == ["only.0"]


def test_shared_parameters_are_yielded_once_under_the_first_name():
    shared = Var(1.0)
    layer = nn.Layer(2, 1)
    assert names(Bag(a=shared, b=[shared], c={"again": shared})) == ["a"]
    assert len(Bag(encoder=layer, decoder=layer).parameters()) == 3


def test_cycles_do_no_harm():
    child = Bag(weight=Var(1.0))
    parent = Bag(child=child)
    child.parent = parent
    ring = [Var(2.0)]
    ring.append(ring)
    parent.ring = ring
    assert names(parent) == ["child.weight", "ring.0"]


def test_deep_nesting_does_not_recurse():
    nest = [Var(1.0)]
    for _ in range(10_000):
        nest = [nest]
    assert len(Bag(nest=nest).parameters()) == 1


def test_only_leaves_that_require_grad_are_parameters():
    leaf = Var(2.0)
    bag = Bag(leaf=leaf, constant=Var(1.0, requires_grad=False), computed=leaf * 3, detached=leaf.detach())
    assert names(bag) == ["leaf"]
    leaf.requires_grad = False
    assert names(bag) == []


def test_zero_grad():
    model = nn.MLP(2, [3, 1], seed=0)
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert all(p.grad == 0.0 and not p.has_grad for p in model.parameters())


def test_state_dict_round_trip():
    model, other = nn.MLP(3, [4, 2], seed=1), nn.MLP(3, [4, 2], seed=2)
    state = model.state_dict()
    assert list(state) == names(model)
    assert all(type(value) is float for value in state.values())
    assert other.state_dict() != state
    other.load_state_dict(state)
    assert other.state_dict() == state
    x = [0.1, -0.2, 0.3]
    assert [y.value for y in model(x)] == [y.value for y in other(x)]


def test_load_state_dict_takes_other_numbers_and_any_order():
    neuron = nn.Neuron(1)
    neuron.load_state_dict({"bias": 1, "weights.0": True})
    assert neuron.state_dict() == {"weights.0": 1.0, "bias": 1.0}


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"weights.0": 1.0}, ValueError, r"the 2 names .* of this Neuron gives but got missing: 'bias'$"),
        ({"weights.0": 1.0, "bias": 1.0, "w": 0.0}, ValueError, r"unexpected: 'w'$"),
        ({"bias": 1.0, "w": 0.0}, ValueError, r"missing: 'weights.0'; unexpected: 'w'$"),
        ({"weights.0": 1.0, "bias": "1"}, TypeError, r"expected a float or Var but got bias='1' \(str\)"),
        ([1.0, 2.0], TypeError, r"expected a dict of names and numbers but got state=\[1.0, 2.0\] \(list\)"),
    ],
)
def test_load_state_dict_errors_leave_the_module_as_it_was(state, error, message):
    neuron = nn.Neuron(1, seed=0)
    before = neuron.state_dict()
    with pytest.raises(error, match=message):
        neuron.load_state_dict(state)
    assert neuron.state_dict() == before


def test_load_state_dict_shortens_long_lists():
    with pytest.raises(ValueError, match=r"missing: 'layers.0.neurons.0.weights.0', .* and 332 more$"):
        nn.MLP(2, [16, 16, 1]).load_state_dict({})


def test_two_parameters_under_one_name_are_refused():
    bag = Bag(table={1: Var(1.0), "1": Var(2.0)})
    with pytest.raises(ValueError, match=r"expected a different name for each parameter but got 'table\.1' twice"):
        bag.state_dict()


def test_a_module_without_call_says_so():
    with pytest.raises(NotImplementedError, match="Bag expected a __call__ method of its own"):
        Bag()(1.0)


def test_repr_of_an_own_module_counts_parameters():
    assert repr(Bag(w=Var(1.0))) == "Bag of 1 parameter"
    assert repr(Bag()) == "Bag of 0 parameters"


@pytest.mark.parametrize("remake", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_are_copied_and_pickled(remake):
    model = nn.MLP(2, [3, 1], activation="relu", seed=3)
    twin = remake(model)
    assert twin.state_dict() == model.state_dict()
    assert twin([1.0, 2.0]).value == model([1.0, 2.0]).value
    twin.parameters()[0].value = 9.0
    assert model.parameters()[0].value != 9.0
