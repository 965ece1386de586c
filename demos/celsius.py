"""See a 1-2-1 linear network discover how to turn degrees Celsius into degrees Fahrenheit from 100 examples."""

from pathlib import Path

import chainrule as cr
from chainrule import nn
from matplotlib.figure import Figure
from tqdm import tqdm

POINTS = 100
ITERATIONS = 2000
LEARNING_RATE = 0.1

# Gradient descent needs inputs and outputs of about the size of 1. With degrees as they are, the loss is 850 times
# (the mean square of the inputs) as curved along the slope as along the shift, and no one learning rate suits both.
CELSIUS_UNIT = 50.0
FAHRENHEIT_UNIT = 100.0


def fahrenheit(celsius: float) -> float:
    """Return the true conversion."""
    return celsius * 9 / 5 + 32


def predict(model: nn.Module, celsius: list[float]) -> list[float]:
    """Return the network's conversion, in degrees."""
    with cr.no_grad():
        return [FAHRENHEIT_UNIT * model(degrees / CELSIUS_UNIT).value for degrees in celsius]


def worst_error(model: nn.Module, celsius: list[float]) -> float:
    """Return the greatest error, in degrees Fahrenheit."""
    return max(abs(found - fahrenheit(c)) for c, found in zip(celsius, predict(model, celsius), strict=True))


def line_of(model: nn.Module) -> tuple[float, float]:
    """Return the shift and the slope of the line that a linear network is."""
    at_0, at_1 = predict(model, [0.0, 1.0])
    return at_0, at_1 - at_0


def train(model: nn.Module, celsius: list[float]) -> None:
    """Descend the mean squared error over all points."""
    inputs = [c / CELSIUS_UNIT for c in celsius]
    targets = [fahrenheit(c) / FAHRENHEIT_UNIT for c in celsius]
    optimiser = nn.SGD(model.parameters(), lr=LEARNING_RATE)
    for _ in tqdm(range(ITERATIONS), desc="training", unit="step"):
        loss = nn.mse([model(x) for x in inputs], targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def draw(path: Path, celsius: list[float], untrained: list[float], trained: list[float]) -> None:
    """Save the true line and both predictions."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(celsius, [fahrenheit(c) for c in celsius], color="0.75", linewidth=7, label="true: 9/5 C + 32")
    axes.plot(celsius, untrained, color="tab:orange", linestyle="--", label="network before training")
    axes.plot(celsius, trained, color="tab:blue", label=f"network after {ITERATIONS} iterations")
    axes.set(title="A linear network learns a line", xlabel="temperature (°C)", ylabel="temperature (°F)")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    celsius = [-50 + 100 * k / (POINTS - 1) for k in range(POINTS)]
    model = nn.MLP(1, [2, 1], activation="linear", seed=0)
    print(f"{model}, {len(model.parameters())} parameters, {POINTS} points from -50 to 50 °C")
    print(f"inputs in units of {CELSIUS_UNIT:g} °C, outputs in units of {FAHRENHEIT_UNIT:g} °F")

    untrained = predict(model, celsius)
    print(f"greatest error before training: {worst_error(model, celsius):.1f} °F")
    train(model, celsius)
    trained = predict(model, celsius)
    print(f"greatest error after {ITERATIONS} iterations: {worst_error(model, celsius):.2g} °F")

    shift, slope = line_of(model)
    print(f"learned: F = {slope:.4f} C + {shift:.4f}")
    print(f"so 100 °C, far outside the examples, are {slope * 100 + shift:.1f} °F")
    path = Path("out/celsius.png")
    draw(path, celsius, untrained, trained)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
