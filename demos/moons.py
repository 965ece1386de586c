"""See a network of 337 scalars learn to part two interleaved half moons, and draw the border that it found."""

from pathlib import Path

import chainrule as cr
from chainrule import Var, nn
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

SAMPLES = 100
STEPS = 100
PENALTY = 1e-4  # of large parameters: the weight of the L2 term
GRID = 60  # points along each side of the map of scores


def total_loss(model: nn.Module, scores: list[Var], labels: list[int]) -> Var:
    """Return the mean hinge loss of the scores and the L2 penalty of the parameters."""
    parameters = model.parameters()
    return nn.hinge(scores, labels) + PENALTY * cr.dot(parameters, parameters)


def accuracy_of(scores: list[Var], labels: list[int]) -> float:
    """Return the share of scores that have the sign of their label."""
    return sum((score > 0) == (label > 0) for score, label in zip(scores, labels, strict=True)) / len(labels)


def train(model: nn.Module, points: list[list[float]], labels: list[int]) -> tuple[list[float], list[float]]:
    """Take steps over all points at once, ever smaller ones; return the loss and the accuracy before each."""
    optimiser = nn.SGD(model.parameters(), lr=1.0)
    losses, accuracies = [], []
    for step in range(STEPS):
        scores = [model(point) for point in points]
        loss = total_loss(model, scores, labels)
        losses.append(loss.value)
        accuracies.append(accuracy_of(scores, labels))
        if step % 10 == 0:
            print(f"step {step:3d}   loss {losses[-1]:.4f}   accuracy {accuracies[-1]:6.1%}")
        optimiser.zero_grad()
        loss.backward()
        optimiser.lr = 1.0 - 0.9 * step / STEPS
        optimiser.step()
    return losses, accuracies


def draw_training(path: Path, losses: list[float], accuracies: list[float]) -> None:
    """Save the loss and the accuracy of each step."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(losses, color="tab:red")
    above.set(title="Two moons: training", ylabel="loss (hinge + L2)", yscale="log")
    below.plot([100 * accuracy for accuracy in accuracies], color="tab:blue")
    below.set(xlabel="step", ylabel="accuracy (%)")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def draw_border(path: Path, model: nn.Module, points: list[list[float]], labels: list[int]) -> None:
    """Save the map of scores, the border where the score is 0, and the points."""
    x, y = [point[0] for point in points], [point[1] for point in points]
    across = [min(x) - 0.5 + (max(x) - min(x) + 1) * k / (GRID - 1) for k in range(GRID)]
    upward = [min(y) - 0.5 + (max(y) - min(y) + 1) * k / (GRID - 1) for k in range(GRID)]
    with cr.no_grad():
        scores = [[model([a, b]).value for a in across] for b in upward]

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    levels = [-8, -4, -2, -1, 0, 1, 2, 4, 8]
    shades = axes.contourf(across, upward, scores, levels=levels, cmap="RdBu", alpha=0.7, extend="both")
    axes.contour(across, upward, scores, levels=[0], colors="black", linewidths=1.5)
    figure.colorbar(shades, label="score of the network")
    for label, colour, marker in ((1, "tab:blue", "o"), (-1, "tab:red", "s")):
        chosen = [k for k in range(len(labels)) if labels[k] == label]
        axes.scatter(
            [x[k] for k in chosen],
            [y[k] for k in chosen],
            color=colour,
            marker=marker,
            edgecolor="white",
            label=f"class {label:+d}",
        )
    axes.plot([], [], color="black", label="border: score 0")
    axes.set(title="Two moons: the border found", xlabel="first coordinate", ylabel="second coordinate", aspect="equal")
    axes.legend(loc="upper right", framealpha=1)
    figure.savefig(path, dpi=150)


def main() -> None:
    coordinates, classes = make_moons(n_samples=SAMPLES, noise=0.1, random_state=1337)
    points, labels = coordinates.tolist(), (2 * classes - 1).tolist()
    model = nn.MLP(2, [16, 16, 1], activation="relu", seed=1337)
    print(f"{model}, {len(model.parameters())} parameters, {SAMPLES} points")
    losses, accuracies = train(model, points, labels)

    with cr.no_grad():
        final = accuracy_of([model(point) for point in points], labels)
    print(f"accuracy after {STEPS} steps: {final:.1%}")
    folder = Path("out")
    folder.mkdir(exist_ok=True)
    draw_training(folder / "moons_training.png", losses, accuracies)
    draw_border(folder / "moons.png", model, points, labels)
    print(f"pictures: {folder / 'moons.png'}, {folder / 'moons_training.png'}")


if __name__ == "__main__":
    main()
