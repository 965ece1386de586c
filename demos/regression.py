"""Watch a regression class, with fit, predict and a learning curve, learn a curved surface from 100,000 rows."""

import argparse
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

from needed import needed

with needed("matplotlib", "scikit-learn"):
    import chainrule as cr
    import numpy
    from chainrule import Var, nn, viz
    from matplotlib.figure import Figure
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

FEATURES = 5
NOISE = 0.1  # standard deviation of what no model can predict
BATCH_SIZE = 64
ACTIVATIONS = ("relu", "tanh", "softplus")

Rows = Sequence[Sequence[float]]


class NotFittedError(RuntimeError):
    """Report that a model was asked for predictions before it was fitted."""


class Regression:
    """Fit a network to rows of numbers, in mini-batches, with some rows held out for validation."""

    def __init__(self, layers: Sequence[int], activation: str, lr: float, momentum: float, seed: int) -> None:
        nin, *nouts = layers
        self.model = nn.MLP(nin, nouts, activation=activation, seed=seed)
        self.lr, self.momentum, self.seed = lr, momentum, seed
        self.history: nn.History | None = None

    def fit(self, X: Rows, y: Sequence[float], epochs: int, validation_share: float = 0.2) -> None:
        """Train on all rows except the held-out share, each once per epoch, in random order."""
        steps = epochs * math.ceil((1 - validation_share) * len(X) / BATCH_SIZE)
        self.history = nn.fit(
            self.model,
            X,
            y,
            optimiser=lambda parameters: nn.SGD(parameters, momentum=self.momentum),
            # Steps that shrink to nothing average out the chance in which rows a batch has.
            lr=nn.linear_schedule(self.lr, 0.0, steps),
            epochs=epochs,
            batch_size=BATCH_SIZE,
            validation=validation_share,
            seed=self.seed,
            progress=True,
        )

    def predict(self, X: Rows) -> list[float]:
        """Return one number for each row; `NotFittedError` before `fit`."""
        if self.history is None:
            raise NotFittedError("predict expected a fitted Regression but got one that never saw data; call fit(X, y)")
        return self.model.predict(X)


def generate(rows: int, source: random.Random) -> tuple[list[tuple[float, ...]], list[float]]:
    """Draw rows of features, and noisy targets that depend nonlinearly on the first three."""
    X = [tuple(source.uniform(-1, 1) for _ in range(FEATURES)) for _ in range(rows)]
    y = [math.sin(2 * a) + b * b - abs(c) + 0.5 * d - 0.3 * e + source.gauss(0, NOISE) for a, b, c, d, e in X]
    return X, y


def variance_of(numbers: Sequence[float]) -> float:
    """Return the mean squared error of the best constant prediction."""
    mean = sum(numbers) / len(numbers)
    return nn.mse([mean] * len(numbers), numbers)


def draw(path: Path, fitted: dict[str, Regression], X: Rows, y: Sequence[float]) -> None:
    """Save the learning curve of each activation, and the predictions of the first on rows it never saw."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2).flatten()
    for ax, (activation, regression) in zip(axes, fitted.items(), strict=False):
        viz.plot_history(regression.history, ax=ax, ylabel="mean squared error")
        # What is left is noise: the least possible.
        ax.axhline(NOISE**2, color="0.5", linestyle="-.", label="noise in the data")
        ax.legend()
        ax.set_title(f"Learning curve: {activation}")
    activation, regression = next(iter(fitted.items()))
    viz.plot_fit(X, y, after=regression.predict(X), ax=axes[-1])
    axes[-1].set_title(f"New rows: {activation}")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


# ---- the tutorial's own data and training ----

TUTORIAL_EPOCHS = 20
TUTORIAL_RATE = 1e-5
TUTORIAL_LAYERS = [FEATURES, 10, 10, 1]
Parts = list[tuple[list[list[float]], list[float]]]


class TutorialSteps(nn.Optimiser):
    """Step weights by the sum over a batch, biases by the mean, of half the derivatives of the squared errors."""

    def __init__(self, parameters: Sequence[Var], size: int) -> None:
        super().__init__(parameters, TUTORIAL_RATE, memory=(0.5,))
        # The derivative of nn.mse is the mean, and has a 2.
        self.memories = [(0.5 if each.label.startswith("b") else 0.5 * size,) for each in self.parameters]

    def update(self, value, grad, memory, lr):
        """Return the new value of one parameter; its memory is the share of the rate that it moves by."""
        return value - lr * memory[0] * grad, memory


def tutorial_data() -> tuple[Parts, nn.MLP]:
    """Return the rows and targets to train on, to validate by and to test by, and the untrained model."""
    count = 100_000
    numpy.random.seed(42)
    a, b, c = (numpy.random.normal(0, 1, count) for _ in range(3))
    d, e = numpy.random.randint(0, 4, count), numpy.random.binomial(1, 0.5, count)
    y = 50 + 0.8 * a + 0.4 * b - 0.2 * c + 10 * d + 20 * e + numpy.random.normal(0, 10, count)
    X = StandardScaler().fit_transform(numpy.column_stack([a, b, c, d, e]))
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
    X, X_held_out, y, y_held_out = train_test_split(X, y, test_size=0.2, random_state=42)
    model = nn.MLP(FEATURES, TUTORIAL_LAYERS[1:], activation="relu")
    for layer in model.layers:
        weights = numpy.random.rand(layer.nin, layer.nout) / 5 - 0.1
        for neuron, column in zip(layer.neurons, weights.T.tolist(), strict=True):
            neuron.load_state_dict({f"weights.{k}": weight for k, weight in enumerate(column)} | {"bias": 1.0})
    parts = [(X, y), (X_held_out, y_held_out), (X_test, y_test)]
    return [(rows.tolist(), targets.tolist()) for rows, targets in parts], model


def step_by_true_gradients(model: nn.MLP, X: Rows, y: Sequence[float]) -> float:
    """Take one step; return the loss before it."""
    loss = nn.mse([model(row) for row in X], y)
    model.zero_grad()
    loss.backward()
    TutorialSteps(model.parameters(), len(X)).step()
    return loss.value


def step_layer_by_layer(model: nn.MLP, X: Rows, y: Sequence[float]) -> float:
    """Take one step as the tutorial does: layers are updated before errors go through their weights to those below."""
    passed, rows = [], X
    for layer in model.layers:
        sums = [[cr.dot([*each.weights, each.bias], [*row, 1.0]) for each in layer.neurons] for row in rows]
        outputs = [[each.activation(one) for each, one in zip(layer.neurons, row, strict=True)] for row in sums]
        passed.append((layer, sums, outputs))
        rows = [[output.value for output in row] for row in outputs]
    model.zero_grad()
    errors = [[2 * (row[0] - target) / len(X)] for row, target in zip(rows, y, strict=True)]
    for layer, sums, outputs in reversed(passed):
        pairs = zip(outputs, errors, strict=True)
        cr.sum([output * error for row, line in pairs for output, error in zip(row, line, strict=True)]).backward()
        TutorialSteps(layer.parameters(), len(X)).step()
        columns = list(zip(*[[weight.value for weight in each.weights] for each in layer.neurons], strict=True))
        errors = [[cr.dot([one.grad for one in row], column) for column in columns] for row in sums]
    return nn.mse([row[0] for row in rows], y)


def follow_tutorial() -> None:
    """Repeat the tutorial's training, then with true gradients, then with whole epochs."""
    print(f"the tutorial's data: 100,000 rows, {TUTORIAL_EPOCHS} epochs of two steps, a rate of {TUTORIAL_RATE:g}")
    curves = {}
    for name, step in (("layer by layer", step_layer_by_layer), ("true gradients", step_by_true_gradients)):
        ((X, y), (X_held_out, y_held_out), (X_test, y_test)), model = tutorial_data()
        history = nn.History(model)
        for epoch in range(TUTORIAL_EPOCHS):
            losses = [step(model, X[start : start + BATCH_SIZE], y[start : start + BATCH_SIZE]) for start in (1, 2)]
            history.loss.append(sum(losses) / len(losses))
            history.validation_loss.append(nn.mse(model.predict(X_held_out), y_held_out))
            if epoch in (0, TUTORIAL_EPOCHS - 1):
                print(
                    f"{name}, epoch {epoch:2d}: training error {history.loss[-1]:.3f}, "
                    f"validation error {history.validation_loss[-1]:.3f}"
                )
        print(f"{name}: test error {nn.mse(model.predict(X_test), y_test):.6f}")
        curves[name] = history
    ((X, y), held_out, (X_test, y_test)), model = tutorial_data()
    history = nn.fit(
        model,
        X,
        y,
        optimiser=lambda parameters: TutorialSteps(parameters, BATCH_SIZE),
        lr=nn.linear_schedule(TUTORIAL_RATE, 0.0, TUTORIAL_EPOCHS * len(X) // BATCH_SIZE),
        epochs=TUTORIAL_EPOCHS,
        batch_size=BATCH_SIZE,
        validation=held_out,
        seed=0,
    )
    error = nn.mse(model.predict(X_test), y_test)
    print(f"whole epochs of {len(X) // BATCH_SIZE:,} steps, the rate falling to 0: test error {error:.2f}")
    print("100 of it is noise that no model can predict")
    curves["whole epochs"] = history
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    for ax, (name, history) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        viz.plot_history(history, ax=ax, ylabel="mean squared error")
        ax.set_title(name)
    path = Path("out/regression_tutorial.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows to generate (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="how often to go through them (default: %(default)s)")
    parser.add_argument("--tutorial", action="store_true", help="repeat the training of the tutorial, on its data")
    arguments = parser.parse_args()
    if arguments.tutorial:
        follow_tutorial()
        return

    source = random.Random(0)
    X, y = generate(arguments.rows, source)
    X_new, y_new = generate(1000, source)
    print(f"{len(X):,} rows of {FEATURES} numbers, mini-batches of {BATCH_SIZE}, a fifth held out for validation")
    print(f"on 1,000 new rows; {NOISE**2:.4f} of the error is noise that no model can predict:")
    fitted = {}
    for activation in ACTIVATIONS:
        regression = Regression([FEATURES, 10, 10, 1], activation, lr=0.05, momentum=0.9, seed=0)
        if not fitted:
            try:
                regression.predict(X_new)
            except NotFittedError as refusal:
                print(f"before fit: {refusal}")
        start = time.perf_counter()
        regression.fit(X, y, epochs=arguments.epochs)
        seconds = time.perf_counter() - start
        error = nn.mse(regression.predict(X_new), y_new)
        explained = 100 * (1 - error / variance_of(y_new))
        print(f"{activation:8}: mean squared error {error:.4f}, variance explained: {explained:.1f} %, {seconds:.1f} s")
        fitted[activation] = regression
    path = Path("out/regression.png")
    draw(path, fitted, X_new, y_new)
    print(f"picture: {path}")


if __name__ == "__main__":
    with needed():
        main()
