"""Draw the decision boundary of a classifier of two inputs: `plot_decision_boundary`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.data import Row, plain, rows_of, whole_number
from chainrule.errors import describe

from ..theme import Theme, mix
from .axes import MARKERS, MOST_CLASSES, Axes, axes_for, colourbar, legend, matplotlib, series, shades_between
from .outputs import Replay, check_recorded, is_history, outputs_of

_EVEN = 1.3  # the ratio of two sides that may be the same thing, twice
_LEVELS = 16  # shades from one end of the scores to the other


def plot_decision_boundary(
    model: Any,
    X: Any = None,
    y: Any = None,
    ax: Axes | None = None,
    *,
    threshold: float | None = None,
    resolution: int = 100,
    xlabel: str = "first input",
    ylabel: str = "second input",
    theme: str | None = None,
) -> Axes:
    """Draw a classifier's scores over two inputs, the boundary between its classes and the samples; return the axes.

    Args:
        model: a model with ``predict``, an estimator, or a function of a row. One output is the score of two classes,
            several are the scores of as many. Or a history of `nn.fit` with ``record=True``, which holds X and y.
        X: rows of two numbers; they also say how far the picture reaches.
        y: the class of each row.
        ax: matplotlib axes to draw on; None for new ones.
        threshold: the score at the border of two classes; None for that of the history, which knows the loss; without
            one, for 0.5 where all scores lie from 0 to 1, else 0, or for the middle of two classes that are numbers,
            where that tells more of the samples apart.
        resolution: how many points to compute along each axis.
        xlabel, ylabel: what stands at the axes, with units.
        theme: "light" or "dark"; None for what suits the figure.

    Errors: `ValueError` for rows of more or fewer than two numbers, `MissingDependencyError` without matplotlib.

    >>> corners, classes = [[0, 0], [0, 1], [1, 0], [1, 1]], ["low", "low", "high", "high"]
    >>> ax = plot_decision_boundary(lambda row: 2 * row[0] - 1, corners, classes)
    >>> ax.get_legend_handles_labels()[1]
    ['high', 'low', 'border: score 0']
    """
    history = model if is_history(model) else None
    if history is not None:
        check_recorded(history, "plot_decision_boundary")
        X, y = history.rows, history.targets
    points = whole_number("plot_decision_boundary", "resolution", resolution, 2)
    samples = Samples.of(X, y, "plot_decision_boundary")
    grid = Grid.around(samples.rows, points)
    if history is None:
        outputs = outputs_of(model, grid.rows(), "plot_decision_boundary")
    else:
        outputs = Replay(history, "plot_decision_boundary").outputs(history.model.state_dict(), grid.rows())
        threshold = getattr(history, "threshold", None) if threshold is None else threshold
    ax, theme_ = axes_for("plot_decision_boundary", ax, theme)
    colours = series(theme_)
    if isinstance(outputs[0], list):
        check_classes(len(outputs[0]), "plot_decision_boundary")
        _shade_regions(ax, theme_, colours, grid, outputs)
        border = "border"
    else:
        level = threshold
        if level is None:
            level = threshold_of(outputs)
            if history is None:
                level = _better(level, samples, outputs_of(model, samples.rows, "plot_decision_boundary"))
        _shade_scores(ax, theme_, grid, outputs, level)
        border = f"border: score {level:g}"
    for number, name in enumerate(samples.names):
        chosen = [row for row, found in zip(samples.rows, samples.classes, strict=True) if found == number]
        # Whole numbers are places among the outputs, where a class may have no sample.
        place = name if isinstance(outputs[0], list) and isinstance(name, int) else number
        ax.scatter(
            [row[0] for row in chosen],
            [row[1] for row in chosen],
            s=14 if len(samples.rows) > 300 else 28 if len(samples.rows) > 20 else 60,
            # Of two classes the first has the colour of scores below the border.
            color=colours[place % len(colours)],
            marker=MARKERS[place % len(MARKERS)],
            edgecolor=theme_.background,
            linewidth=0.6,
            label=str(name),
            zorder=3,
        )
    ax.plot([], [], color=theme_.ink, linewidth=1.6, label=border)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=grid.sides[0], ylim=grid.sides[1])
    if grid.is_even:
        ax.set_aspect("equal")
    ax.grid(visible=False)
    legend(ax, theme_)
    return ax


@dataclass(frozen=True)
class Samples:
    """Rows of two numbers, and the place of each one's class among `names`."""

    rows: list[Row]
    classes: list[int]
    names: list[Any]

    @classmethod
    def of(cls, X: Any, y: Any, reader: str) -> Samples:
        """Check samples for the function `reader`."""
        rows = rows_of(X, reader)
        if len(rows[0]) != 2:
            raise ValueError(f"{reader} expected rows of two numbers but got rows of {len(rows[0])}; choose two inputs")
        labels = plain(y)
        if not isinstance(labels, Sequence) or isinstance(labels, str) or len(labels) != len(rows):
            raise ValueError(f"{reader} expected a class for each of {len(rows)} rows but got {describe('y', y)[:60]}")
        names = sorted(set(labels))
        check_classes(len(names), reader)
        return cls(rows, [names.index(label) for label in labels], names)


def check_classes(count: int, reader: str) -> None:
    """Refuse more classes than can be told apart: usually y are the targets of a regression."""
    if count > MOST_CLASSES:
        raise ValueError(
            f"{reader} expected y to name at most {MOST_CLASSES} classes but got {count} different ones; put classes "
            "together, or if y are numbers to be predicted, use plot_fit, which shows predictions over targets"
        )


@dataclass(frozen=True)
class Grid:
    """A grid of points across a rectangle."""

    sides: tuple[tuple[float, float], tuple[float, float]]
    across: list[float]
    upward: list[float]

    @classmethod
    def around(cls, rows: list[Row], resolution: int) -> Grid:
        """Cover the rows and a tenth beyond them on each side.

        >>> Grid.around([[0.0, 0.0], [10.0, 1.0]], 2).across
        [-1.0, 11.0]
        """
        sides = []
        for column in zip(*rows, strict=True):
            margin = 0.1 * (max(column) - min(column)) or 1.0
            sides.append((min(column) - margin, max(column) + margin))
        across, upward = ([low + (high - low) * k / (resolution - 1) for k in range(resolution)] for low, high in sides)
        return cls((sides[0], sides[1]), across, upward)

    @property
    def is_even(self) -> bool:
        """Whether both sides are about as long, so that rings should be round.

        >>> Grid.around([[0.0, 0.0], [10.0, 1.0]], 2).is_even, Grid.around([[0.0, 0.0], [1.0, 1.1]], 2).is_even
        (False, True)
        """
        across, upward = (high - low for low, high in self.sides)
        return max(across, upward) <= _EVEN * min(across, upward)

    def rows(self) -> list[Row]:
        """Return all points, lowest first."""
        return [[a, b] for b in self.upward for a in self.across]

    def table(self, numbers: list[float]) -> list[list[float]]:
        """Arrange one number per point in the rows of the grid."""
        width = len(self.across)
        return [numbers[k : k + width] for k in range(0, len(numbers), width)]


def threshold_of(scores: list[float]) -> float:
    """Return the score on the boundary of two classes: 0.5 for what look like probabilities, else 0.

    >>> threshold_of([0.2, 0.9]), threshold_of([-3.0, 0.9])
    (0.5, 0.0)
    """
    return 0.5 if all(0.0 <= score <= 1.0 for score in scores) else 0.0


def _better(level: float, samples: Samples, scores: list[float]) -> float:
    """Return the middle between two classes that are numbers if it tells more samples apart than `level`, else that."""
    names = samples.names
    if len(names) != 2 or not all(isinstance(name, int | float) for name in names):
        return level

    def hits(border: float) -> int:
        return sum((score > border) == (found == 1) for score, found in zip(scores, samples.classes, strict=True))

    middle = 0.5 * (names[0] + names[1])
    return middle if hits(middle) > hits(level) else level


def reach_of(scores: list[float], level: float) -> float:
    """Return how far from the boundary scores get, outliers aside: the colours end there."""
    if threshold_of(scores) == level == 0.5:
        return 0.5
    distances = sorted(abs(score - level) for score in scores if math.isfinite(score))
    reach = distances[int(0.95 * (len(distances) - 1))] if distances else 0.0
    # A round number, for the ticks.
    power = 10.0 ** math.floor(math.log10(reach)) if reach else 1.0
    return next(factor * power for factor in (1, 2, 4, 6, 8, 10) if factor * power >= reach * (1 - 1e-9))


def _shade_scores(ax: Axes, theme: Theme, grid: Grid, scores: list[float], level: float) -> None:
    reach = reach_of(scores, level)
    table = grid.table(scores)
    shades = ax.contourf(
        grid.across,
        grid.upward,
        table,
        levels=[level + reach * (2 * k / _LEVELS - 1) for k in range(_LEVELS + 1)],
        cmap=shades_between("plot_decision_boundary", [theme.negative, theme.zero, theme.positive]),
        extend="neither" if level - reach <= min(scores) and max(scores) <= level + reach else "both",
    )
    ticks = [level + reach * k / 2 for k in range(-2, 3)]
    colourbar(ax, shades, "score", theme, ticks=ticks, format="%.3g")
    if min(scores) < level < max(scores):
        ax.contour(grid.across, grid.upward, table, levels=[level], colors=[theme.ink], linewidths=1.6)


def _shade_regions(ax: Axes, theme: Theme, colours: list[str], grid: Grid, outputs: list[list[float]]) -> None:
    """Tint each point by its class, and outline each class where its lead over the best other is 0."""
    count = len(outputs[0])
    winners = [max(range(count), key=row.__getitem__) for row in outputs]
    tints = [mix(theme.background, colours[k % len(colours)], 0.3) for k in range(count)]
    listed = matplotlib("plot_decision_boundary", "colors").ListedColormap(tints)
    ax.pcolormesh(
        grid.across, grid.upward, grid.table([float(w) for w in winners]), cmap=listed, vmin=-0.5, vmax=count - 0.5,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    for place in range(count):
        leads = [row[place] - max(score for k, score in enumerate(row) if k != place) for row in outputs]
        if min(leads) < 0 < max(leads):
            ax.contour(grid.across, grid.upward, grid.table(leads), levels=[0], colors=[theme.ink], linewidths=1.4)
