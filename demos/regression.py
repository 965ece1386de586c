"""Watch a regression class, with fit, predict and a learning curve, learn a curved surface from 100,000 rows."""

import argparse
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

from needed import needed

with needed("matplotlib"):
    from chainrule import nn, viz
    from matplotlib.figure import Figure

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows to generate (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="how often to go through them (default: %(default)s)")
    arguments = parser.parse_args()

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
