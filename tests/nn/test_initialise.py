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


def test_an_own_initialisation_sees_the_sizes():
    seen = []

    def draw(source, nin, nout):
        seen.append((nin, nout))
        return source.gauss(0, 1)

    nn.MLP(2, [3, 1], initialise=draw, seed=0)
    assert seen == [(2, 3)] * 6 + [(3, 1)] * 3
