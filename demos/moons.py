"""Watch a network of 337 scalars learn to separate two interleaved half moons."""

from pathlib import Path

from needed import needed

with needed("matplotlib", "scikit-learn"):
    from chainrule import nn, viz
    from matplotlib.figure import Figure
    from sklearn.datasets import make_moons

SAMPLES = 100
STEPS = 100
DECAY = 2e-4  # how strongly parameters are drawn to 0: the slope of a penalty of 1e-4 times their squares
LABELS = {"xlabel": "first coordinate", "ylabel": "second coordinate"}


def train(model: nn.Module, points: list[list[float]], labels: list[int]) -> nn.History:
    """Take ever smaller steps over all points at once."""

    def report(history: nn.History) -> None:
        step = len(history.loss)
        if step % 10 == 0:
            print(f"step {step:3d}   loss {history.loss[-1]:.4f}   accuracy {history.metrics['accuracy'][-1]:6.1%}")

    return nn.fit(
        model,
        points,
        labels,
        loss="hinge",
        optimiser=lambda parameters: nn.SGD(parameters, weight_decay=DECAY),
        lr=nn.linear_schedule(1.0, 0.1, steps=STEPS),
        epochs=STEPS,
        batch_size=None,
        metrics="accuracy",
        record=True,
        after_epoch=report,
    )


def draw_training(path: Path, history: nn.History) -> None:
    """Save the loss and the accuracy of each step."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    viz.plot_history(history, ax=above, ylabel="mean hinge loss")
    viz.plot_history(history, "accuracy", ax=below)
    above.set(title="Two moons: training, one step an epoch", xlabel="")
    figure.savefig(path, dpi=150)


def draw_border(path: Path, history: nn.History) -> None:
    """Save the map of scores, the border where the score is 0, and the points."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = viz.plot_decision_boundary(history, ax=figure.subplots(), **LABELS)
    axes.set(title="Two moons: the border found", aspect="equal")
    figure.savefig(path, dpi=150)


def main() -> None:
    coordinates, classes = make_moons(n_samples=SAMPLES, noise=0.1, random_state=1337)
    points, labels = coordinates.tolist(), (2 * classes - 1).tolist()
    model = nn.MLP(2, [16, 16, 1], activation="relu", seed=1337)
    print(f"{model}, {len(model.parameters())} parameters, {SAMPLES} points")
    history = train(model, points, labels)

    print(f"accuracy after {STEPS} steps: {nn.accuracy(labels, model.predict(points)):.1%}")
    folder = Path("out")
    folder.mkdir(exist_ok=True)
    draw_training(folder / "moons_training.png", history)
    draw_border(folder / "moons.png", history)
    films = [viz.animate(history, folder / f"moons.{kind}", **LABELS) for kind in ("gif", "html")]
    print(f"pictures: {folder / 'moons.png'}, {folder / 'moons_training.png'}")
    print(f"the border, step by step: {films[0]}, {films[1]}")


if __name__ == "__main__":
    with needed():
        main()
