"""See a small network tell three species of iris apart by real measurements, and where it errs."""

from pathlib import Path

import chainrule as cr
from chainrule import nn
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

EPOCHS = 100
SEED = 0
PETAL_LENGTH, PETAL_WIDTH = 2, 3  # columns of the measurements

Rows = list[list[float]]


def loss_over(model: nn.Module, rows: Rows, species: list[int]) -> cr.Var:
    """Return the mean cross-entropy."""
    return nn.cross_entropy([model(row) for row in rows], species)


def classify(model: nn.Module, rows: Rows) -> list[int]:
    """Return the species with the greatest score for each row."""
    with cr.no_grad():
        scores = [model(row) for row in rows]
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def train(
    model: nn.Module, rows: Rows, species: list[int], others: Rows, their_species: list[int]
) -> list[list[float]]:
    """Descend the loss over all training rows; return that and the loss over the others, epoch by epoch."""
    optimiser = nn.SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = []
    for epoch in range(EPOCHS):
        loss = loss_over(model, rows, species)
        with cr.no_grad():
            history.append([loss.value, loss_over(model, others, their_species).value])
        if epoch % 10 == 0:
            print(f"epoch {epoch:3d}   training loss {history[-1][0]:.4f}   held-out loss {history[-1][1]:.4f}")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return history


def draw(
    path: Path, history: list[list[float]], held_out: Rows, actual: list[int], found: list[int], names: list[str]
) -> None:
    """Save the learning curves, and the held-out flowers with those that were mistaken ringed."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    training, validation = zip(*history, strict=True)
    left.plot(training, color="0.5", label="training flowers")
    left.plot(validation, color="tab:blue", label="held-out flowers")
    left.set(title="Learning curves", xlabel="epoch", ylabel="mean cross-entropy (nats)", yscale="log")

    for kind, (name, marker) in enumerate(zip(names, "osD", strict=True)):
        flowers = [row for row, label in zip(held_out, actual, strict=True) if label == kind]
        right.scatter(
            [row[PETAL_LENGTH] for row in flowers], [row[PETAL_WIDTH] for row in flowers], marker=marker, label=name
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
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
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
    main()
