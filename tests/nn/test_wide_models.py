"""Wide models: where all parameters come as one array of a trace, layers are maps over their rows of it."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

DRAW = np.random.default_rng(0)
X, CLASSES = DRAW.normal(size=(12, 60)), np.arange(12.0) % 3


class Twice(nn.Module):
    """Share one layer between two places, beside a number of its own."""

    def __init__(self):
        self.scale = cr.Var(0.5)
        self.first = nn.Layer(60, 60, seed=1)
        self.last = nn.Layer(60, 3, None, seed=2)

    def __call__(self, x):
        return [self.scale * y for y in self.last(self.first(self.first(x)))]


class Tied(nn.Module):
    """Reach a weight of a layer by another name, too."""

    def __init__(self):
        self.layer = nn.Layer(60, 50, seed=1)
        self.last = nn.Layer(50, 3, None, seed=2)
        self.again = self.layer.neurons[3].weights[2]

    def __call__(self, x):
        return [self.again * y for y in self.last(self.layer(x))]


class OfNeurons(nn.Module):
    """Have neurons of its own, one after another."""

    def __init__(self):
        self.neurons = [nn.Neuron(60, "tanh" if k % 2 else "relu", seed=k) for k in range(45)]
        self.last = nn.Layer(45, 3, None, seed=2)

    def __call__(self, x):
        return self.last([neuron(x) for neuron in self.neurons])


def mixed():
    model = nn.MLP(60, [50, 3], seed=1)
    model.layers[0].neurons[7].activation = cr.sin
    return model


MODELS = {
    "MLP": lambda: nn.MLP(60, [50, 3], seed=1),
    "two hidden layers": lambda: nn.MLP(60, [40, 20, 3], activation="relu", seed=1),
    "a hidden layer of 300": lambda: nn.MLP(60, [300, 3], seed=1),
    "a layer of activations that differ": mixed,
    "Sequential": lambda: nn.Sequential(nn.Layer(60, 50, seed=1), nn.Layer(50, 3, None, seed=2)),
    "a layer in two places": Twice,
    "a weight by two names": Tied,
    "neurons": OfNeurons,
}


def losses(model, p, x, y):
    return nn.cross_entropy([model.with_parameters(p)(x)], [y])


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_gradients_are_those_of_graphs(make):
    model = make()
    step = cr.compile(cr.value_and_grad(lambda p, x, y: losses(model, p, x, y)), batch=("x", "y"), reduce="mean")
    value, gradient = step(np.array([p.value for p in model.parameters()]), X, CLASSES)
    loss = nn.cross_entropy([model(row) for row in X], CLASSES.astype(int).tolist())
    loss.backward()
    assert value == pytest.approx(loss.value, rel=1e-12)
    np.testing.assert_allclose(gradient, [p.grad for p in model.parameters()], rtol=1e-9, atol=1e-14)


def test_rows_that_are_long_are_arrays_too():
    model, x = nn.MLP(300, [10, 3], seed=1), DRAW.normal(size=(4, 300))
    step = cr.compile(cr.value_and_grad(lambda p, x, y: losses(model, p, x, y)), batch=("x", "y"), reduce="mean")
    value, gradient = step(np.array([p.value for p in model.parameters()]), x, CLASSES[:4])
    loss = nn.cross_entropy([model(row) for row in x], CLASSES[:4].astype(int).tolist())
    loss.backward()
    assert value == pytest.approx(loss.value, rel=1e-12)
    np.testing.assert_allclose(gradient, [p.grad for p in model.parameters()], rtol=1e-9, atol=1e-14)


def test_a_layer_is_traced_as_often_as_it_is_used_however_wide_it_is():
    def steps(width):
        model = nn.MLP(40, [width, 3], seed=0)
        values = np.zeros(len(model.parameters()))
        return len(cr.trace(lambda p, x: model.with_parameters(p)(x), values, np.zeros(40)).steps)

    assert steps(320) == steps(640) < 400


@pytest.mark.parametrize("frozen", [0, 1], ids=["all layers move", "the first layer is frozen"])
def test_fit_takes_the_same_steps_as_graphs(frozen):
    histories, models = [], []
    for compiled in (True, False):
        model = nn.MLP(60, [50, 3], seed=1)
        moving = [p for layer in model.layers[frozen:] for p in layer.parameters()]
        histories.append(
            nn.fit(
                model,
                X,
                CLASSES.astype(int),
                loss="cross_entropy",
                optimiser=nn.Adam(moving),
                epochs=3,
                batch_size=4,
                seed=0,
                compiled=compiled,
            )
        )
        models.append(model)
    assert histories[0].batch_loss == pytest.approx(histories[1].batch_loss, rel=1e-9)
    assert models[0].state_dict() == pytest.approx(models[1].state_dict(), rel=1e-9)
    np.testing.assert_allclose(models[0].predict(X), models[1].predict(X), rtol=1e-9)


def test_many_rows_are_predicted_by_machine_code():
    model, rows = nn.MLP(60, [50, 3], seed=1), DRAW.normal(size=(400, 60))
    found = model.predict(rows)
    with cr.no_grad():
        assert found[::40].tolist() == pytest.approx(
            np.array([[score.value for score in model(row)] for row in rows[::40]]), rel=1e-12
        )
