"""Watch a network of 2,410 scalars learn to read handwritten digits, and see which it takes for which."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from needed import needed

with needed("matplotlib", "scikit-learn"):
    from chainrule import nn, viz
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

SIDE = 8  # pixels
INK = 16.0  # the greatest value of a pixel
CLASSES = 10
HIDDEN = 32
SHOWN = 12  # mistaken digits in the picture
SEED = 0

Rows = list[list[float]]


def train(model: nn.Module, rows: Rows, digits: list[int], others: Rows, theirs: list[int], epochs: int) -> nn.History:
    """Descend the mean cross-entropy by Adam, with steps that shrink to nothing."""
    batch_size = 32
    return nn.fit(
        model,
        rows,
        digits,
        loss="cross_entropy",
        lr=nn.linear_schedule(0.01, 0.0, epochs * -(-len(rows) // batch_size)),
        epochs=epochs,
        batch_size=batch_size,
        validation=(others, theirs),
        metrics={"accuracy": nn.accuracy},
        seed=SEED,
        progress=True,
    )


def classify(model: nn.Module, rows: Rows) -> list[int]:
    """Return the digit with the greatest score for each row."""
    return [max(range(CLASSES), key=scores.__getitem__) for scores in model.predict(rows)]


def confusion(actual: Sequence[int], found: Sequence[int]) -> list[list[int]]:
    """Return how often each digit, a row, was taken for each digit, a column."""
    counts = [[0] * CLASSES for _ in range(CLASSES)]
    for digit, guess in zip(actual, found, strict=True):
        counts[digit][guess] += 1
    return counts


def print_confusion(counts: list[list[int]]) -> None:
    """Print the table with the share of each digit that was read right."""
    print("\nread as:" + "".join(f"{digit:5d}" for digit in range(CLASSES)) + "   right")
    for digit, row in enumerate(counts):
        cells = "".join(f"{count or '.':>5}" for count in row)
        print(f"{digit:7d} {cells}{row[digit] / sum(row):8.1%}")


def draw(
    path: Path, history: nn.History, counts: list[list[int]], rows: Rows, actual: list[int], found: list[int]
) -> None:
    """Save the learning curves, the table of who is taken for whom, and some of those that were."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=[1, 1, 1.1])
    viz.plot_history(history, ax=left.subplots(), ylabel="mean cross-entropy (nats)")

    ax = middle.subplots()
    # Mistakes are few: their colours tell them apart, and say nothing of what was right.
    mistakes = [[0 if digit == guess else count for guess, count in enumerate(row)] for digit, row in enumerate(counts)]
    ax.imshow(mistakes, cmap="OrRd", vmax=2 * max(map(max, mistakes)))
    for digit, row in enumerate(counts):
        for guess, count in enumerate(row):
            if count:
                ax.text(guess, digit, str(count), ha="center", va="center", weight="bold" if digit == guess else None)
    ax.set(title="How often each is read as each", xlabel="read as", ylabel="digit")
    ax.set_xticks(range(CLASSES))
    ax.set_yticks(range(CLASSES))

    wrong = [k for k, (digit, guess) in enumerate(zip(actual, found, strict=True)) if digit != guess][:SHOWN]
    right.suptitle("Misread")
    for ax, k in zip(right.subplots(3, SHOWN // 3).flatten(), wrong, strict=False):
        ax.imshow([rows[k][start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE)], cmap="Greys")
        ax.set_title(f"{actual[k]} as {found[k]}", fontsize=9)
    for ax in right.axes:
        ax.set_axis_off()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30, help="how often to go through all (default: %(default)s)")
    arguments = parser.parse_args()
    digits = load_digits()
    rows, held_out, known, actual = train_test_split(
        (digits.data / INK).tolist(), digits.target.tolist(), test_size=1 / 3, stratify=digits.target, random_state=SEED
    )
    model = nn.MLP(SIDE * SIDE, [HIDDEN, CLASSES], activation="relu", seed=SEED)
    print(f"{model}, {len(model.parameters()):,} parameters")
    print(f"{len(rows):,} digits of {SIDE} x {SIDE} pixels to learn from, {len(held_out)} held out")
    start = time.perf_counter()
    history = train(model, rows, known, held_out, actual, arguments.epochs)
    print(f"{arguments.epochs} epochs in {time.perf_counter() - start:.1f} s, machine code included")

    found = classify(model, held_out)
    counts = confusion(actual, found)
    print_confusion(counts)
    right = sum(row[digit] for digit, row in enumerate(counts))
    print(f"\naccuracy on the held-out third: {right} of {len(actual)}, {right / len(actual):.1%}")
    pairs = [(row[guess], digit, guess) for digit, row in enumerate(counts) for guess in range(CLASSES)]
    count, digit, guess = max(pair for pair in pairs if pair[1] != pair[2])
    print(f"most often confused: {digit} read as {guess}, {count} times")
    path = Path("out/digits.png")
    draw(path, history, counts, held_out, actual, found)
    print(f"picture: {path}")


if __name__ == "__main__":
    with needed():
        main()
