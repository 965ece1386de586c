"""How weights start: by seed, by activation, by name or by a function."""

import math
import random

import pytest
from chainrule import nn


def weights_of(layer):
    return [weight.value for neuron in layer.neurons for weight in neuron.weights]


def test_the_same_seed_gives_the_same_weights():
    assert nn.MLP(3, [4, 2], seed=7).state_dict() == nn.MLP(3, [4, 2], seed=7).state_dict()
    assert nn.MLP(3, [4, 2], seed=7).state_dict() != nn.MLP(3, [4, 2], seed=8).state_dict()
    assert nn.MLP(3, [4, 2]).state_dict() != nn.MLP(3, [4, 2]).state_dict()


def test_weights_of_a_seed_stay_what_they_were():
    # Python promises the same random() for a seed in every version; the bound is sqrt(6 / 3).
    source = random.Random(0)
    expected = [math.sqrt(2) * (2 * source.random() - 1) for _ in range(2)]
    assert weights_of(nn.Layer(2, 1, seed=0)) == pytest.approx(expected, rel=1e-12)


def test_the_state_that_all_programs_share_is_not_touched():
    random.seed(1)
    before = random.getstate()
    nn.MLP(3, [4, 2], seed=7)
    nn.MLP(3, [4, 2])
    assert random.getstate() == before


def test_neurons_of_a_layer_differ():
    weights = weights_of(nn.Layer(3, 5, seed=0))
    assert len(set(weights)) == 15


@pytest.mark.parametrize(
    ("activation", "initialise", "bound"),
    [
        ("tanh", None, math.sqrt(6 / 50)),
        ("sigmoid", None, math.sqrt(6 / 50)),
        (None, None, math.sqrt(6 / 50)),
        ("relu", None, math.sqrt(6 / 40)),
        ("leaky_relu", None, math.sqrt(6 / 40)),
        ("gelu", None, math.sqrt(6 / 40)),
        ("selu", None, math.sqrt(3 / 40)),
        ("sin", None, math.sqrt(1 / 40)),
        (lambda x: x, None, math.sqrt(1 / 40)),
        ("tanh", "he", math.sqrt(6 / 40)),
        ("relu", "xavier", math.sqrt(6 / 50)),
        ("relu", "glorot", math.sqrt(6 / 50)),
        ("relu", "uniform", math.sqrt(1 / 40)),
        ("relu", "lecun", math.sqrt(3 / 40)),
    ],
)
def test_weights_fill_their_range_and_biases_are_0(activation, initialise, bound):
    layer = nn.Layer(40, 10, activation, initialise, seed=0)
    weights = weights_of(layer)
    assert 0.97 * bound < max(weights) <= bound
    assert -bound <= min(weights) < -0.97 * bound
    assert abs(sum(weights) / len(weights)) < 0.1 * bound
    assert all(neuron.bias.value == 0.0 for neuron in layer.neurons)


@pytest.mark.parametrize(
    ("initialise", "deviation"),
    [
        ("normal", math.sqrt(1 / 40)),
        ("xavier_normal", math.sqrt(2 / 140)),
        ("glorot_normal", math.sqrt(2 / 140)),
        ("he_normal", math.sqrt(2 / 40)),
        ("kaiming_normal", math.sqrt(2 / 40)),
    ],
)
def test_normal_weights_have_their_deviation(initialise, deviation):
    weights = weights_of(nn.Layer(40, 100, "relu", initialise, seed=0))
    assert abs(sum(weights) / len(weights)) < 0.05 * deviation
    assert math.sqrt(sum(w * w for w in weights) / len(weights)) == pytest.approx(deviation, rel=0.05)
    assert max(map(abs, weights)) > 3 * deviation


@pytest.mark.parametrize(("initialise", "value"), [("zeros", 0.0), ("ones", 1.0)])
def test_weights_may_all_be_alike(initialise, value):
    assert set(weights_of(nn.Layer(3, 4, initialise=initialise))) == {value}


def test_biases_start_where_they_are_told():
    def biases(**options):
        return [neuron.bias.value for layer in nn.MLP(3, [4, 2], seed=1, **options).layers for neuron in layer.neurons]

    assert biases() == biases(initialise_bias="zeros") == [0.0] * 6
    assert biases(initialise_bias=0.25) == [0.25] * 6
    assert biases(initialise_bias=lambda source, nin, nout: nin / nout) == [3 / 4] * 4 + [4 / 2] * 2
    drawn = biases(initialise_bias="uniform")
    assert len(set(drawn)) == 6
    assert max(map(abs, drawn[:4])) <= 1 / math.sqrt(3)
    assert nn.Neuron(2, initialise_bias=1).bias.value == 1.0
    # Weights are those of the seed, whatever the biases are, where nothing is drawn for these.
    assert weights_of(nn.Layer(3, 2, seed=1, initialise_bias=1.0)) == weights_of(nn.Layer(3, 2, seed=1))


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: nn.RNN(2, 3, **options),
        lambda **options: nn.GRU(2, 3, **options),
        lambda **options: nn.LSTM(2, 3, **options),
        lambda **options: nn.Conv1d(2, 3, width=2, **options),
        lambda **options: nn.Attention(4, **options),
    ],
    ids=["RNN", "GRU", "LSTM", "Conv1d", "Attention"],
)
def test_blocks_made_of_layers_hand_on_where_biases_start(make):
    def parts(is_bias, **options):
        named = make(seed=1, **options).named_parameters()
        return [parameter.value for name, parameter in named if name.endswith("bias") is is_bias]

    assert set(parts(True, initialise_bias=0.25)) == {0.25}
    assert len(set(parts(True, initialise_bias="uniform"))) == len(parts(True))
    assert parts(False, initialise_bias=0.25) == parts(False)


def test_the_biases_of_the_gate_that_keeps_begin_at_1_unless_told():
    assert [neuron.bias.value for neuron in nn.LSTM(2, 3).keep.neurons] == [1.0] * 3
    assert [neuron.bias.value for neuron in nn.LSTM(2, 3).read.neurons] == [0.0] * 3
    assert [neuron.bias.value for neuron in nn.LSTM(2, 3, initialise_bias="zeros").keep.neurons] == [0.0] * 3


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("zeroes", ValueError, "initialise_bias expected one of 'uniform', .* but got initialise_bias='zeroes'"),
        (math.inf, ValueError, "initialise_bias expected a finite number but got it=inf"),
        ([1.0], TypeError, "initialise_bias expected"),
    ],
)
def test_wrong_biases_are_named(value, error, message):
    with pytest.raises(error, match=message):
        nn.Layer(2, 1, initialise_bias=value)


def test_an_own_initialisation_sees_the_sizes():
    seen = []

    def draw(source, nin, nout):
        seen.append((nin, nout))
        return source.gauss(0, 1)

    nn.MLP(2, [3, 1], initialise=draw, seed=0)
    assert seen == [(2, 3)] * 6 + [(3, 1)] * 3
