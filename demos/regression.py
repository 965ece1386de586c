"""See a regression class with fit, predict and a learning curve learn a curved surface from 100,000 rows."""

import argparse
import gc
import math
import random
from collections.abc import Sequence
from pathlib import Path

import chainrule as cr
from chainrule import nn
from matplotlib.figure import Figure
from tqdm import tqdm

FEATURES = 5
NOISE = 0.1  # standard deviation of what no model can predict

Rows = Sequence[Sequence[float]]


class NotFittedError(RuntimeError):
    """Report that a model was asked for predictions before it was fitted."""


class Regression:
    """Fit a ReLU network to rows of numbers, in mini-batches, with some rows held out for validation."""

    def __init__(self, layers: Sequence[int], lr: float, momentum: float, batch_size: int, seed: int) -> None:
        nin, *nouts = layers
        self.model = nn.MLP(nin, nouts, activation="relu", seed=seed)
        self.optimiser = nn.SGD(self.model.parameters(), lr=lr, momentum=momentum)
        self.lr = lr
        self.batch_size = batch_size
        self.source = random.Random(seed)
        self.training_losses: list[float] = []  # one for each mini-batch, measured before its step
        self.validation_losses: list[tuple[int, float]] = []  # with the number of mini-batches before it
        self.fitted = False

    def fit(self, X: Rows, y: Sequence[float], epochs: int = 1, validation_share: float = 0.2) -> None:
        """Train on all rows but the held-out share, each once per epoch, in random order."""
        order = list(range(len(X)))
        self.source.shuffle(order)
        held_out = max(1, round(validation_share * len(X)))
        validation, training = order[:held_out], order[held_out:]
        # The curve needs no more than a sample of the held-out rows: the standard error is a few per cent.
        watched = validation[:500]
        batches_per_epoch = math.ceil(len(training) / self.batch_size)
        total = epochs * batches_per_epoch
        between_checks = max(1, total // 20)

        progress = tqdm(total=total, desc="training", unit="batch")
        for _ in range(epochs):
            self.source.shuffle(training)
            for start in range(0, len(training), self.batch_size):
                if len(self.training_losses) % between_checks == 0:
                    self.watch(X, y, watched)
                batch = training[start : start + self.batch_size]
                loss = nn.mse([self.model(X[row]) for row in batch], [y[row] for row in batch])
                # Steps that shrink to nothing average out the chance in which rows a batch has.
                self.optimiser.lr = self.lr * (1 - len(self.training_losses) / total)
                self.optimiser.zero_grad()
                loss.backward()
                self.optimiser.step()
                self.training_losses.append(loss.value)
                progress.update()
        progress.close()
        self.watch(X, y, watched)
        self.fitted = True

    def watch(self, X: Rows, y: Sequence[float], rows: Sequence[int]) -> None:
        """Record the loss over rows that training never sees."""
        with cr.no_grad():
            loss = nn.mse([self.model(X[row]) for row in rows], [y[row] for row in rows])
        self.validation_losses.append((len(self.training_losses), loss.value))

    def predict(self, X: Rows) -> list[float]:
        """Return one number for each row; `NotFittedError` before `fit`."""
        if not self.fitted:
            raise NotFittedError("predict expected a fitted Regression but got one that never saw data; call fit(X, y)")
        with cr.no_grad():
            return [self.model(row).value for row in X]

    def draw_learning_curve(self, path: Path) -> None:
        """Save the losses over the mini-batches."""
        batches, losses = zip(*self.validation_losses, strict=True)
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            range(len(self.training_losses)), self.training_losses, color="0.75", linewidth=0.8, label="training batch"
        )
        axes.plot(batches, losses, color="tab:blue", marker="o", markersize=4, label="validation rows")
        axes.axhline(NOISE**2, color="tab:green", linestyle="--", label="noise in the data: the least possible")
        axes.set(yscale="log", title="Learning curve", xlabel="mini-batches", ylabel="mean squared error")
        axes.grid(alpha=0.3)
        axes.legend()
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=150)


def generate(rows: int, source: random.Random) -> tuple[list[tuple[float, ...]], list[float]]:
    """Draw rows of features, and targets that bend with the first three and are noisy."""
    X = [tuple(source.uniform(-1, 1) for _ in range(FEATURES)) for _ in range(rows)]
    y = [math.sin(2 * a) + b * b - abs(c) + 0.5 * d - 0.3 * e + source.gauss(0, NOISE) for a, b, c, d, e in X]
    return X, y


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows to generate (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, help="how often to go through them (default: %(default)s)")
    arguments = parser.parse_args()

    source = random.Random(0)
    X, y = generate(arguments.rows, source)
    X_new, y_new = generate(1000, source)
    regression = Regression([FEATURES, 10, 10, 1], lr=0.1, momentum=0.9, batch_size=64, seed=0)
    print(f"{regression.model}, {len(regression.model.parameters())} parameters, {len(X):,} rows, mini-batches of 64")
    try:
        regression.predict(X_new)
    except NotFittedError as refusal:
        print(f"before fit: {refusal}")

    # A graph has no reference cycles: the collector would find nothing in millions of nodes, and take a fifth longer.
    gc.disable()
    regression.fit(X, y, epochs=arguments.epochs)
    gc.enable()
    error = nn.mse(regression.predict(X_new), y_new)
    mean = sum(y_new) / len(y_new)
    variance = nn.mse([mean] * len(y_new), y_new)
    print(f"on 1,000 new rows: mean squared error {error:.4f}; {NOISE**2:.4f} of it is noise that no model can predict")
    print(f"variance explained: {100 * (1 - error / variance):.1f} %")
    path = Path("out/regression.png")
    regression.draw_learning_curve(path)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
