"""Watch a 1-2-1 linear network learn to convert degrees Celsius to Fahrenheit from 100 examples."""

from pathlib import Path

from needed import needed

with needed("matplotlib"):
    from chainrule import nn, viz
    from matplotlib.figure import Figure

POINTS = 100
ITERATIONS = 2000
LEARNING_RATE = 0.1

# Gradient descent needs inputs and outputs of about the size of 1. With degrees as they are, the loss is 850 times
# (the mean square of the inputs) as curved along the slope as along the shift, and no one learning rate suits both.
CELSIUS_UNIT = 50.0
FAHRENHEIT_UNIT = 100.0
SCALE = (CELSIUS_UNIT, FAHRENHEIT_UNIT)
LABELS = {"xlabel": "temperature (°C)", "ylabel": "temperature (°F)"}


def fahrenheit(celsius: float) -> float:
    """Return the true conversion."""
    return celsius * 9 / 5 + 32


def predict(model: nn.Module, celsius: list[float]) -> list[float]:
    """Return the network's conversion, in degrees."""
    return [FAHRENHEIT_UNIT * output for output in model.predict([c / CELSIUS_UNIT for c in celsius])]


def worst_error(model: nn.Module, celsius: list[float]) -> float:
    """Return the greatest error, in degrees Fahrenheit."""
    return max(abs(found - fahrenheit(c)) for c, found in zip(celsius, predict(model, celsius), strict=True))


def line_of(model: nn.Module) -> tuple[float, float]:
    """Return the intercept and slope of the line that a linear network represents."""
    at_0, at_1 = predict(model, [0.0, 1.0])
    return at_0, at_1 - at_0


def train(model: nn.Module, celsius: list[float]) -> nn.History:
    """Descend the mean squared error over all points; keep the parameters of every tenth iteration."""
    return nn.fit(
        model,
        [c / CELSIUS_UNIT for c in celsius],
        [fahrenheit(c) / FAHRENHEIT_UNIT for c in celsius],
        optimiser=nn.SGD,
        lr=LEARNING_RATE,
        epochs=ITERATIONS,
        batch_size=None,
        record=10,
        progress=True,
    )


def draw(path: Path, history: nn.History) -> None:
    """Save the conversion before and after training, and the loss."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    viz.plot_fit(history, ax=left, scale=SCALE, **LABELS)
    left.set_title("A linear network learns a line")
    viz.plot_history(history, ax=right, ylabel=f"mean squared error ({FAHRENHEIT_UNIT:g} °F)²")
    right.set_title("Its training: one step an epoch")
    figure.savefig(path, dpi=150)


def main() -> None:
    celsius = [-50 + 100 * k / (POINTS - 1) for k in range(POINTS)]
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
    folder.mkdir(exist_ok=True)
    draw(folder / "celsius.png", history)
    # What happens, happens early: the first 300 iterations.
    history.parameters, history.recorded = history.parameters[:31], history.recorded[:31]
    films = [viz.animate(history, folder / f"celsius.{kind}", scale=SCALE, **LABELS) for kind in ("gif", "html")]
    print(f"pictures: {folder / 'celsius.png'}; the training as a film: {films[0]}, {films[1]}")


if __name__ == "__main__":
    with needed():
        main()
