"""Watch a small network tell three species of iris apart by real measurements, and see where it errs."""

from pathlib import Path

from needed import needed

with needed("matplotlib", "scikit-learn"):
    from chainrule import nn, viz
    from matplotlib.figure import Figure
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

EPOCHS = 100
SEED = 0
PETAL_LENGTH, PETAL_WIDTH = 2, 3  # columns of the measurements

MARKS = [("#2f7fb8", "o"), ("#d17a00", "s"), ("#a3126b", "D")]  # they stay apart under every colour blindness

Rows = list[list[float]]


def train(model: nn.Module, rows: Rows, species: list[int], others: Rows, their_species: list[int]) -> nn.History:
    """Descend the mean cross-entropy over all training rows, and measure it over the others."""

    def report(history: nn.History) -> None:
        if len(history.loss) % 10 == 0:
            print(
                f"epoch {len(history.loss):3d}   training loss {history.loss[-1]:.4f}   "
                f"held-out loss {history.validation_loss[-1]:.4f}"
            )

    return nn.fit(
        model,
        rows,
        species,
        loss="cross_entropy",
        optimiser=lambda parameters: nn.SGD(parameters, lr=0.1, momentum=0.9),
        epochs=EPOCHS,
        batch_size=None,
        validation=(others, their_species),
        after_epoch=report,
    )


def classify(model: nn.Module, rows: Rows) -> list[int]:
    """Return the species with the greatest score for each row."""
    return [max(range(len(scores)), key=scores.__getitem__) for scores in model.predict(rows)]


def draw(
    path: Path, history: nn.History, held_out: Rows, actual: list[int], found: list[int], names: list[str]
) -> None:
    """Save the learning curves, and the held-out flowers with those that were mistaken ringed."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    viz.plot_history(history, ax=left, ylabel="mean cross-entropy (nats)")
    left.set_title("Learning curves")

    for kind, (name, (colour, marker)) in enumerate(zip(names, MARKS, strict=True)):
        flowers = [row for row, label in zip(held_out, actual, strict=True) if label == kind]
        right.scatter(
            [row[PETAL_LENGTH] for row in flowers],
            [row[PETAL_WIDTH] for row in flowers],
            color=colour,
            marker=marker,
            label=name,
        )
    mistaken = [row for row, label, guess in zip(held_out, actual, found, strict=True) if label != guess]
    right.scatter(
        [row[PETAL_LENGTH] for row in mistaken],
        [row[PETAL_WIDTH] for row in mistaken],
        s=160,
        facecolor="none",
        edgecolor="black",
        label=f"mistaken ({len(mistaken)} of {len(held_out)})",
    )
    right.set(
        title="Held-out flowers, by two of the four measurements", xlabel="petal length (cm)", ylabel="petal width (cm)"
    )
    right.grid(alpha=0.3)
    right.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    iris = load_iris()
    train_cm, test_cm, train_species, test_species = train_test_split(
        iris.data, iris.target, test_size=1 / 3, stratify=iris.target, random_state=SEED
    )
    # Mean 0 and deviation 1 by what is known of the training flowers alone.
    scaler = StandardScaler().fit(train_cm)
    rows, held_out = scaler.transform(train_cm).tolist(), scaler.transform(test_cm).tolist()
    species, actual = train_species.tolist(), test_species.tolist()

    model = nn.MLP(4, [8, 3], activation="tanh", seed=SEED)
    print(f"{model}, {len(model.parameters())} parameters, {len(rows)} flowers to learn from, {len(held_out)} held out")
    history = train(model, rows, species, held_out, actual)

    found = classify(model, held_out)
    names = iris.target_names.tolist()
    print(f"\n{'held-out flowers':>16} | " + " | ".join(f"taken for {name}" for name in names))
    for kind, name in enumerate(names):
        guesses = [guess for guess, label in zip(found, actual, strict=True) if label == kind]
        print(f"{name:>16} | " + " | ".join(f"{guesses.count(k):{len(other) + 10}d}" for k, other in enumerate(names)))
    right = sum(guess == label for guess, label in zip(found, actual, strict=True))
    print(f"\naccuracy on the held-out third: {right} of {len(actual)}, {right / len(actual):.1%}")
    path = Path("out/iris.png")
    draw(path, history, test_cm.tolist(), actual, found, names)
    print(f"picture: {path}")


if __name__ == "__main__":
    with needed():
        main()
