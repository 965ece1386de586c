"""Watch a 1-2-1 linear network learn to convert degrees Celsius to Fahrenheit from 100 examples."""

import argparse
import random
from pathlib import Path

from needed import needed

with needed("matplotlib"):
    from chainrule import nn, viz
    from matplotlib.figure import Figure

POINTS = 100
ITERATIONS = 2000
FILMED = 40  # iterations, in which most happens
LEARNING_RATE = 0.1

# Gradient descent needs inputs and outputs of about the size of 1. With degrees as they are, the loss is 850 times
# (the mean square of the inputs) as curved along the slope as along the shift, and no one learning rate suits both.
CELSIUS_UNIT = 50.0
FAHRENHEIT_UNIT = 100.0
SCALE = (CELSIUS_UNIT, FAHRENHEIT_UNIT)
LABELS = {"xlabel": "temperature (°C)", "ylabel": "temperature (°F)"}

# What --raw tries: degrees as they are. A slope of 1.8 made of two weights is curved too much for this rate at its end.
DEGREES = (1.0, 1.0)
RAW_LEARNING_RATE = 1e-4
RAW_STARTS = 5
NUDGE = 1e-15  # by which the first weight of a start is changed


def fahrenheit(celsius: float) -> float:
    """Return the true conversion."""
    return celsius * 9 / 5 + 32


def predict(model: nn.Module, celsius: list[float], scale: tuple[float, float] = SCALE) -> list[float]:
    """Return the network's conversion, in degrees."""
    return [scale[1] * output for output in model.predict([c / scale[0] for c in celsius])]


def worst_error(model: nn.Module, celsius: list[float], scale: tuple[float, float] = SCALE) -> float:
    """Return the greatest error, in degrees Fahrenheit."""
    found = predict(model, celsius, scale)
    return max(abs(each - fahrenheit(c)) for c, each in zip(celsius, found, strict=True))


def line_of(model: nn.Module, scale: tuple[float, float] = SCALE) -> tuple[float, float]:
    """Return the intercept and slope of the line that a linear network represents."""
    at_0, at_1 = predict(model, [0.0, 1.0], scale)
    return at_0, at_1 - at_0


def train(
    model: nn.Module, celsius: list[float], scale: tuple[float, float] = SCALE, lr: float = LEARNING_RATE
) -> nn.History:
    """Descend the mean squared error over all points; keep the parameters of every iteration."""
    return nn.fit(
        model,
        [c / scale[0] for c in celsius],
        [fahrenheit(c) / scale[1] for c in celsius],
        optimiser=nn.SGD,
        lr=lr,
        epochs=ITERATIONS,
        batch_size=None,
        record=1,
        progress=scale == SCALE,
    )


def draw(path: Path, history: nn.History, scale: tuple[float, float] = SCALE) -> None:
    """Save the conversion before and after training, and the loss."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    viz.plot_fit(history, ax=left, scale=scale, **LABELS)
    left.set_title("A linear network learns a line")
    viz.plot_history(history, ax=right, ylabel=f"mean squared error ({scale[1]:g} °F)²")
    right.set_title("Its training: one step an epoch")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)


def standard_normal(seed: int, nudge: float = 0.0) -> nn.Module:
    """Return a network whose seven parameters are drawn from the standard normal, the first one nudged."""
    model, source = nn.MLP(1, [2, 1], activation="linear"), random.Random(seed)
    for parameter in model.parameters():
        parameter.value = source.gauss(0.0, 1.0)
    model.parameters()[0].value += nudge
    return model


def show_raw(celsius: list[float]) -> None:
    """Train on degrees as they are, from several starts and from starts next to them; then on scaled ones."""
    print(f"degrees as they are, a rate of {RAW_LEARNING_RATE:g}, {ITERATIONS} iterations, standard normal starts")
    print(f"greatest error in °F:  start | as drawn | first weight + {NUDGE:g}")
    errors, history = [], None
    for seed in range(RAW_STARTS):
        pair = []
        for nudge in (0.0, NUDGE):
            model = standard_normal(seed, nudge)
            history = train(model, celsius, DEGREES, RAW_LEARNING_RATE)
            pair.append(worst_error(model, celsius, DEGREES))
        print(f"{seed:28d} | {pair[0]:8.4f} | {pair[1]:8.4f}")
        errors += pair
    print(f"{len(errors)} raw trainings end between {min(errors):.1f} and {max(errors):.1f} °F")
    print(f"the loss of the last swings between {min(history.loss[-200:]):.3g} and {max(history.loss[-200:]):.3g}:")
    print("each step along the slope is too far, so rounding in the last digit decides where it ends")
    path = Path("out/celsius_raw.png")
    draw(path, history, DEGREES)
    model = standard_normal(RAW_STARTS - 1)
    train(model, celsius)
    print(f"the same start with scaled degrees, a rate of {LEARNING_RATE:g}: {worst_error(model, celsius):.2g} °F")
    print(f"picture: {path}")


def show(celsius: list[float]) -> None:
    """Train on scaled degrees, and draw how it went."""
    model = nn.MLP(1, [2, 1], activation="linear", seed=0)
    print(f"{model}, {len(model.parameters())} parameters, {POINTS} points from -50 to 50 °C")
    print(f"inputs in units of {CELSIUS_UNIT:g} °C, outputs in units of {FAHRENHEIT_UNIT:g} °F")

    print(f"greatest error before training: {worst_error(model, celsius):.1f} °F")
    history = train(model, celsius)
    print(f"greatest error after {ITERATIONS} iterations: {worst_error(model, celsius):.2g} °F")

    shift, slope = line_of(model)
    print(f"learned: F = {slope:.4f} C + {shift:.4f}")
    print(f"so 100 °C, far outside the examples, are {slope * 100 + shift:.1f} °F")
    folder = Path("out")
    draw(folder / "celsius.png", history)
    # What happens, happens early.
    shown = FILMED + 1
    history.parameters, history.recorded = history.parameters[:shown], history.recorded[:shown]
    films = [viz.animate(history, folder / f"celsius.{kind}", scale=SCALE, **LABELS) for kind in ("gif", "html")]
    print(f"pictures: {folder / 'celsius.png'}; the training as a film: {films[0]}, {films[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", action="store_true", help="see what becomes of degrees that are not scaled")
    arguments = parser.parse_args()
    celsius = [-50 + 100 * k / (POINTS - 1) for k in range(POINTS)]
    (show_raw if arguments.raw else show)(celsius)


if __name__ == "__main__":
    with needed():
        main()
