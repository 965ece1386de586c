"""patience: when fit stops, and which parameters it leaves, in graphs and in machine code."""

import math

import pytest
from chainrule import nn
from trained_models import NUMBERS, ROWS, model_of


class Leaping(nn.Optimiser):
    """A rule whose first step leaves the range of doubles."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)

    def update(self, value, grad, memory, lr):
        return math.inf, memory


def test_patience_stops_and_takes_the_best_epoch():
    model = nn.Neuron(1, activation=None, seed=0)
    rates = nn.step_schedule(0.1, {20: 3.0})  # from then on the loss grows
    history = nn.fit(model, [0.0, 1.0], [1.0, 3.0], optimiser=nn.SGD, lr=rates, epochs=99, patience=3, record=True)
    assert len(history.loss) < 30
    assert history.parameters[history.best_epoch] == model.state_dict()
    assert history.best_epoch == len(history.loss) - 4


@pytest.mark.parametrize("compiled", [False, True])
def test_patience_takes_the_parameters_that_had_the_loss(compiled):
    model = nn.MLP(1, [1], seed=0)
    options = {"optimiser": nn.SGD, "lr": 1.9, "patience": 3, "batch_size": None, "compiled": compiled}
    history = nn.fit(model, [0.0, 1.0], [0.0, 1.0], epochs=30, **options)  # each step goes too far
    assert history.best_epoch == 0
    assert nn.mse(model.predict([0.0, 1.0]), [0.0, 1.0]) == pytest.approx(history.loss[0], rel=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("batch_size", [None, 6])
def test_patience_keeps_the_steps_of_a_last_epoch_that_was_the_best(compiled, batch_size):
    patient, plain = model_of(), model_of()
    options = {"epochs": 3, "batch_size": batch_size, "seed": 0, "compiled": compiled}
    nn.fit(patient, ROWS, NUMBERS, patience=2, **options)
    nn.fit(plain, ROWS, NUMBERS, **options)
    assert patient.state_dict() == plain.state_dict()


def test_patience_leaves_a_last_step_that_went_out_of_range():
    model = nn.Neuron(1, activation="sigmoid", initialise=lambda source, nin, nout: 0.5)
    before = model.state_dict()
    # The step to infinite weights is the last one; of 0 times infinity no probability comes.
    nn.fit(model, [0.0, 1.0], [0, 1], loss="binary_cross_entropy", optimiser=Leaping, epochs=1, patience=1)
    assert model.state_dict() == before
