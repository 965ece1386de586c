"""Layers: what neurons and networks of them compute, how they are printed and labelled, and errors."""

import math
import random

import chainrule as cr
import pytest
from chainrule import Var, nn


def names(module):
    return [name for name, _ in module.named_parameters()]


def test_a_neuron_is_its_formula():
    neuron = nn.Neuron(2, activation="tanh")
    neuron.load_state_dict({"weights.0": 0.5, "weights.1": -0.25, "bias": 0.1})
    out = neuron([2.0, 3.0])
    assert out.value == pytest.approx(math.tanh(0.5 * 2 - 0.25 * 3 + 0.1), rel=1e-15)
    out.backward()
    slope = 1 - out.value**2
    assert [p.grad for p in neuron.parameters()] == pytest.approx([2 * slope, 3 * slope, slope], rel=1e-14)


def test_the_weighted_sum_is_one_node():
    out = nn.Neuron(5, activation=None)([1.0] * 5)
    assert out.op is cr.dot
    assert [parent.value for parent in out.parents[6:]] == [1.0] * 6


def test_an_mlp_has_its_output_activation_on_the_last_layer_only():
    model = nn.MLP(1, [2, 3, 2], activation="relu", output_activation="sigmoid")
    assert [layer.neurons[0].activation for layer in model.layers] == [cr.relu, cr.relu, cr.sigmoid]


def test_one_output_is_a_var_and_several_are_a_list():
    assert isinstance(nn.MLP(2, [3, 1])([1.0, 2.0]), Var)
    assert isinstance(nn.Layer(2, 1)([1.0, 2.0]), Var)
    several = nn.MLP(2, [1, 3])([1.0, 2.0])
    assert isinstance(several, list)
    assert len(several) == 3


@pytest.mark.parametrize("row", [[0.5, 2.0], (0.5, 2), [Var(0.5), 2.0], iter([0.5, 2.0])], ids=repr)
def test_rows_of_all_kinds(row):
    neuron = nn.Neuron(2, initialise=lambda source, nin, nout: 1.0, activation=None)
    assert neuron(row).value == 2.5


def test_rows_of_numpy():
    numpy = pytest.importorskip("numpy")
    neuron = nn.Neuron(2, initialise=lambda source, nin, nout: 1.0, activation=None)
    assert neuron(numpy.array([0.5, 2.0])).value == 2.5
    assert neuron(numpy.array([1, 2], dtype=numpy.int32)).value == 3.0
    assert neuron([numpy.float32(0.5), numpy.float64(2.0)]).value == 2.5
    x = numpy.array([Var(0.5), Var(2.0)])
    neuron(x).backward()
    assert x[0].grad == 1.0


def test_gradients_reach_inputs_that_are_vars():
    x = [Var(0.3), Var(-0.7)]
    model = nn.MLP(2, [3, 1], seed=5)
    model(x).backward()
    step = 1e-6
    ahead = model([0.3 + step, -0.7]).value
    behind = model([0.3 - step, -0.7]).value
    assert x[0].grad == pytest.approx((ahead - behind) / (2 * step), rel=1e-7)


def test_a_single_number_is_the_row_of_a_one_input_model():
    model = nn.MLP(1, [2, 1], seed=0)
    assert model(0.5).value == model([0.5]).value
    x = Var(0.5)
    assert model(x).value == model([0.5]).value


@pytest.mark.parametrize(
    ("model", "reader"),
    [(nn.MLP(3, [2, 1]), "MLP"), (nn.Layer(3, 2), "Layer"), (nn.Neuron(3), "Neuron")],
    ids=["MLP", "Layer", "Neuron"],
)
def test_the_number_of_inputs_is_checked(model, reader):
    with pytest.raises(ValueError, match=rf"^{reader} expected 3 inputs but got 2 in x=\[1.0, 2.0\] \(list\)$"):
        model([1.0, 2.0])
    with pytest.raises(ValueError, match=f"^{reader} expected 3 inputs but got 1 in x=1.0"):
        model(1.0)
    with pytest.raises(TypeError, match=rf"^{reader} expected a float or Var but got x\[1\]='2' \(str\); convert"):
        model([1.0, "2", 3.0])
    with pytest.raises(TypeError, match=f"^{reader} expected one row of 3 numbers or Vars but got several"):
        model([[1.0, 2.0, 3.0]] * 3)


def test_a_matrix_of_numpy_is_refused():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="call it on each row"):
        nn.MLP(2, [1])(numpy.zeros((2, 2)))
    with pytest.raises(ValueError, match="expected 2 inputs but got 5"):
        nn.MLP(2, [1])(numpy.zeros((5, 2)))


def test_one_input_is_singular():
    with pytest.raises(ValueError, match="expected 1 input but got 2"):
        nn.Neuron(1)([1.0, 2.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MLP(0, [1]), ValueError, r"MLP expected a whole number above 0 but got nin=0 \(int\)"),
        (lambda: nn.MLP(2, [3, -1]), ValueError, r"MLP expected a whole number above 0 but got nouts=-1 \(int\)"),
        (lambda: nn.MLP(2, [2.5]), TypeError, r"MLP expected a whole number above 0 but got nouts=2.5 \(float\)"),
        (lambda: nn.MLP(2, []), ValueError, "MLP expected at least one layer"),
        (lambda: nn.MLP(2, 1), TypeError, r"MLP expected a list of layer sizes.* but got nouts=1 \(int\)"),
        (lambda: nn.Layer(2, 0), ValueError, r"Layer expected a whole number above 0 but got nout=0 \(int\)"),
        (lambda: nn.Neuron("2"), TypeError, r"Neuron expected a whole number above 0 but got nin='2' \(str\)"),
        (lambda: nn.Neuron(2, seed="a"), TypeError, r"seed expected a whole number.* but got seed='a' \(str\)"),
        (
            lambda: nn.Neuron(2, activation="tahn"),
            ValueError,
            r"got activation='tahn' \(str\); did you mean 'tan' or 'tanh'\?",
        ),
        (lambda: nn.Neuron(2, activation="maximum"), ValueError, "one-argument function of chainrule"),
        (lambda: nn.Neuron(2, activation="softmax"), ValueError, "one-argument function of chainrule"),
        (lambda: nn.Neuron(2, activation="Var"), ValueError, "one-argument function of chainrule"),
        (lambda: nn.Neuron(2, activation="__name__"), ValueError, "one-argument function of chainrule"),
        (lambda: nn.Neuron(2, activation=3), TypeError, r"got activation=3 \(int\)"),
        (lambda: nn.Neuron(2, initialise="kaimin"), ValueError, "initialise expected one of 'uniform', 'normal'"),
        (lambda: nn.Neuron(2, initialise=3), TypeError, r"got initialise=3 \(int\)"),
        (lambda: nn.Sequential(nn.Layer(2, 1), 3), TypeError, "Sequential expected modules or functions"),
    ],
)
def test_wrong_construction(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "selu", "hardtanh", "sin", "sigmoid", "softplus", "abs"])
def test_activations_by_name_are_those_of_chainrule(name):
    neuron = nn.Neuron(1, activation=name, initialise=lambda source, nin, nout: 1.0)
    for x in (-0.7, 0.4):
        assert neuron([x]).value == getattr(cr, name)(x)


def test_an_own_function_is_an_activation():
    neuron = nn.Neuron(1, activation=lambda x: x * cr.sigmoid(2 * x), initialise=lambda source, nin, nout: 1.0)
    assert neuron([0.5]).value == pytest.approx(0.5 / (1 + math.exp(-1)))
    assert repr(neuron) == "CustomNeuron(1)"


def test_repr_reads_as_a_sentence():
    assert repr(nn.MLP(2, [2, 1])) == "MLP of [Layer of [TanhNeuron(2), TanhNeuron(2)], Layer of [LinearNeuron(2)]]"
    assert repr(nn.Layer(2, 16, "relu")) == "Layer of 16 ReLUNeuron(2)"
    assert repr(nn.Layer(1, 2, "log_sigmoid")) == "Layer of [LogSigmoidNeuron(1), LogSigmoidNeuron(1)]"
    assert (
        repr(nn.Sequential(nn.Layer(2, 1, "sigmoid"), cr.exp, lambda x: x))
        == "Sequential of [Layer of [SigmoidNeuron(2)], exp, <lambda>]"
    )


def test_labels_are_short_and_distinct():
    assert [p.label for p in nn.Neuron(2).parameters()] == ["w1", "w2", "b"]
    assert [p.label for p in nn.Layer(1, 2).parameters()] == ["w[1,1]", "b[1]", "w[2,1]", "b[2]"]
    labels = [p.label for p in nn.MLP(2, [16, 16, 1]).parameters()]
    assert len(set(labels)) == 337
    assert labels[-1] == "b3[1]"


def test_plain_inputs_become_one_labelled_constant_for_all_neurons():
    outputs = nn.Layer(2, 3, activation=None)([0.5, 1.5])
    inputs = [[arg for arg in out.parents if arg.label and not arg.requires_grad] for out in outputs]
    assert [arg.label for arg in inputs[0]] == ["x1", "x2"]
    assert len({id(arg) for row in inputs for arg in row}) == 2


def test_sequential_equals_the_mlp_of_its_layers():
    source = random.Random(4)
    model = nn.Sequential(nn.Layer(2, 3, "tanh", seed=source), nn.Layer(3, 1, None, seed=source))
    assert model([0.5, 1.0]).value == nn.MLP(2, [3, 1], seed=4)([0.5, 1.0]).value
    assert names(model)[0] == "stages.0.neurons.0.weights.0"
    assert len(model.parameters()) == 13


def test_sequential_passes_a_single_output_on():
    model = nn.Sequential(nn.Layer(2, 1), nn.Layer(1, 2), cr.softmax)
    assert sum(share.value for share in model([1.0, 2.0])) == pytest.approx(1.0)


def test_no_grad_gives_constants():
    with cr.no_grad():
        out = nn.MLP(2, [3, 1])([1.0, 2.0])
    assert not out.requires_grad


# ---- trained ----


def test_xor_is_learned():
    rows = [(0, 0), (0, 1), (1, 0), (1, 1)]
    model = nn.MLP(2, [2, 1], activation="tanh", output_activation="sigmoid", seed=0)
    optimiser = nn.SGD(model.parameters(), lr=1.0)
    targets = [0, 1, 1, 0]
    for _ in range(500):
        loss = nn.mse([model(row) for row in rows], targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert [round(model(row).value) for row in rows] == targets


def test_a_network_agrees_with_torch():
    torch = pytest.importorskip("torch")
    model = nn.MLP(3, [4, 2], activation="tanh", seed=11)
    rows, classes = [[0.2, -1.0, 0.5], [1.0, 0.3, -0.4]], [1, 0]
    loss = nn.cross_entropy([model(row) for row in rows], classes)
    loss.backward()

    tensors = []
    hidden = torch.tensor(rows, dtype=torch.float64)
    for layer, activation in zip(model.layers, (torch.tanh, torch.nn.Identity()), strict=True):
        weights = [[weight.value for weight in neuron.weights] for neuron in layer.neurons]
        weights = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
        biases = torch.zeros(len(layer.neurons), dtype=torch.float64, requires_grad=True)
        tensors.append((weights, biases))
        hidden = activation(hidden @ weights.T + biases)
    expected = torch.nn.functional.cross_entropy(hidden, torch.tensor(classes))
    expected.backward()

    assert loss.value == pytest.approx(expected.item(), rel=1e-14)
    for layer, (weights, biases) in zip(model.layers, tensors, strict=True):
        for neuron, row, bias in zip(layer.neurons, weights.grad.tolist(), biases.grad.tolist(), strict=True):
            assert [weight.grad for weight in neuron.weights] == pytest.approx(row, rel=1e-12)
            assert neuron.bias.grad == pytest.approx(bias, rel=1e-12)
