"""Plot a training and what it learned, with matplotlib: `plot_history` the losses, `plot_fit` data and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.data import Row, plain, rows_of, targets_of
from chainrule.errors import describe

from ..theme import Theme
from .axes import Axes, axes_for, legend, series
from .outputs import Replay, check_recorded, is_history, outputs_of

_POINTS = 200  # of a curve
_LOG_FROM = 20.0  # the ratio of the greatest to the least from which on a scale is logarithmic


def plot_history(
    history: Any, of: str = "loss", ax: Axes | None = None, *, ylabel: str | None = None, theme: str | None = None
) -> Axes:
    """Plot how a training went, epoch by epoch, and return the axes.

    Training and validation loss, the losses of mini-batches behind them, and the best epoch where samples were held
    out. The scale is logarithmic where values above 0 spread by more than 20 times.

    Args:
        history: what `nn.fit` returned; or a dict of its lists by name, or a list of losses.
        of: "loss", "learning_rate", "seconds" or the name of a metric.
        ax: matplotlib axes to draw on; None for new ones.
        ylabel: what stands at the vertical axis, with the unit; None for `of`.
        theme: "light" or "dark"; None for what suits the figure.

    Errors: `ValueError` for what the history does not hold, `MissingDependencyError` without matplotlib.

    >>> ax = plot_history({"loss": [1.0, 0.5, 0.25], "validation_loss": [1.1, 0.7, 0.6]})
    >>> ax.get_xlabel(), [line.get_label() for line in ax.lines]
    ('epoch', ['training', 'validation', 'best epoch: 3'])
    """
    lists = _lists(history)
    values, held_out = _chosen(lists, of)
    ax, theme_ = axes_for("plot_history", ax, theme)
    blue, orange, *_ = series(theme_)
    batches = lists.get("batch_loss", []) if of == "loss" else []
    if len(batches) > len(values):
        # A loss of the first batch of two stands half an epoch before the end of the first epoch.
        places = [(k + 1) * len(values) / len(batches) for k in range(len(batches))]
        ax.plot(places, batches, color=theme_.line, linewidth=0.6, alpha=0.7, label="mini-batch")
    epochs = range(1, len(values) + 1)
    # One epoch is a point, which a line does not show.
    marker = "o" if len(values) < 20 else None
    ax.plot(epochs, values, color=blue, marker=marker, markersize=4, label="training" if held_out else of)
    if held_out:
        ax.plot(epochs, held_out, color=orange, linestyle="--", marker=marker, markersize=4, label="validation")
        best = min(range(len(held_out)), key=held_out.__getitem__) + 1
        ax.axvline(best, color=theme_.quiet, linestyle=":", linewidth=1.2, label=f"best epoch: {best}")
    shown = [*batches, *values, *held_out]
    if min(shown) > 0 and max(shown) > _LOG_FROM * min(shown):
        ax.set_yscale("log")
    ax.set(xlabel="epoch", ylabel=ylabel or of.replace("_", " "))
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if len(ax.lines) > 1:
        legend(ax, theme_)
    return ax


def plot_fit(
    X: Any,
    y: Any = None,
    before: Any = None,
    after: Any = None,
    ax: Axes | None = None,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    xlabel: str | None = None,
    ylabel: str | None = None,
    theme: str | None = None,
) -> Axes:
    """Plot data and a model's predictions before and after training, and return the axes.

    With one input the data are points and the predictions lines over the input. With several inputs each prediction
    stands above its target, and a line marks where both are equal.

    Args:
        X: rows of inputs, or numbers; or a history of `nn.fit` with ``record=True``, which holds all the following.
        y: the target of each row.
        before, after: predictions, one for each row; or a model, or a function of one row. None leaves out the one.
        ax: matplotlib axes to draw on; None for new ones.
        scale: what one unit of the input and one of the output is in the units of the axes.
        xlabel, ylabel: what stands at the axes, with units.
        theme: "light" or "dark"; None for what suits the figure.

    Errors: `ValueError` for lengths that differ and for a history without parameters, `MissingDependencyError` without
    matplotlib.

    >>> ax = plot_fit([0, 1, 2, 3], [1, 3, 5, 7], before=[0, 0, 0, 0], after=lambda x: 2 * x + 1, ylabel="height (m)")
    >>> ax.get_ylabel(), ax.get_legend_handles_labels()[1]
    ('height (m)', ['data', 'before training', 'after training'])
    """
    labels = ("before training", "after training")
    if is_history(X):
        check_recorded(X, "plot_fit")
        history = X
        X, y = history.rows, history.targets
        before, after = _Recorded(history), history.model
        labels = (labels[0], f"after {_epochs(len(history.loss))}")
    rows, targets = rows_of(X, "plot_fit"), targets_of(y, "plot_fit")
    if len(rows) != len(targets) or isinstance(targets[0], list):
        raise ValueError(
            f"plot_fit expected one number in y for each of {len(rows)} rows but got {describe('y', targets)[:60]}"
        )
    ax, theme_ = axes_for("plot_fit", ax, theme)
    blue, orange, *_ = series(theme_)
    drawn = [
        (guess, label, style)
        for guess, label, style in (
            (before, labels[0], {"color": orange, "linestyle": "--"}),
            (after, labels[1], {"color": blue, "linestyle": "-"}),
        )
        if guess is not None
    ]
    if len(rows[0]) == 1:
        _plot_curves(ax, theme_, rows, targets, drawn, scale)
        ax.set(xlabel=xlabel or "input", ylabel=ylabel or "output")
    else:
        _plot_pairs(ax, theme_, rows, targets, drawn, scale[1])
        ax.set(xlabel=xlabel or "target", ylabel=ylabel or "prediction")
    legend(ax, theme_)
    return ax


class _Recorded:
    """The model as it was before training."""

    def __init__(self, history: Any) -> None:
        self.replay = Replay(history, "plot_fit")
        self.snapshot = history.parameters[0]

    def predict(self, rows: list[Row]) -> list[Any]:
        return self.replay.outputs(self.snapshot, rows)


def curve_points(rows: list[Row], count: int = _POINTS) -> list[Row]:
    """Return evenly spaced rows of one number, from a little below the least to a little above the greatest.

    >>> curve_points([[0.0], [10.0]], 3)
    [[-0.5], [5.0], [10.5]]
    """
    least, greatest = min(rows)[0], max(rows)[0]
    margin = 0.05 * (greatest - least) or 1.0
    return [[least - margin + (greatest - least + 2 * margin) * k / (count - 1)] for k in range(count)]


def _plot_curves(
    ax: Axes, theme: Theme, rows: list[Row], targets: list[float], drawn: list[Any], scale: tuple[float, float]
) -> None:
    across, upward = scale
    many = len(rows) > 200
    ax.scatter(
        [across * row[0] for row in rows],
        [upward * target for target in targets],
        s=6 if many else 22,
        alpha=0.5 if many else 0.9,
        color=theme.line,
        linewidth=0,
        label="data",
        rasterized=len(rows) > 2000,
    )
    for guess, label, style in drawn:
        if _is_given(guess):
            values = _given(guess, rows)
            order = sorted(range(len(rows)), key=rows.__getitem__)
            places, values = [rows[k][0] for k in order], [values[k] for k in order]
        else:
            points = curve_points(rows)
            places, values = [row[0] for row in points], _outputs(guess, points)
        ax.plot([across * x for x in places], [upward * v for v in values], linewidth=2, label=label, **style)


def _plot_pairs(ax: Axes, theme: Theme, rows: list[Row], targets: list[float], drawn: list[Any], upward: float) -> None:
    ends = [upward * min(targets), upward * max(targets)]
    ax.plot(ends, ends, color=theme.quiet, linewidth=1.2, label="prediction = target")
    for marker, (guess, label, style) in zip("so", drawn, strict=False):
        values = _given(guess, rows) if _is_given(guess) else _outputs(guess, rows)
        ax.scatter(
            [upward * target for target in targets],
            [upward * v for v in values],
            s=8 if len(rows) > 200 else 22,
            alpha=0.35 if len(rows) > 200 else 0.8,
            marker=marker,
            color=style["color"],
            linewidth=0,
            label=label,
            rasterized=len(rows) > 2000,
        )


def _is_given(guess: Any) -> bool:
    return not hasattr(guess, "predict") and not callable(guess)


def _given(guess: Any, rows: list[Row]) -> list[float]:
    values = targets_of(guess, "plot_fit", "predictions")
    if len(values) != len(rows):
        raise ValueError(f"plot_fit expected a prediction for each of {len(rows)} rows but got {len(values)}")
    return _single(values)


def _outputs(model: Any, rows: list[Row]) -> list[float]:
    return _single(outputs_of(model, rows, "plot_fit"))


def _single(values: list[Any]) -> list[float]:
    if isinstance(values[0], Sequence):
        raise ValueError(
            f"plot_fit expected one prediction for each row but got rows of {len(values[0])}; give one column of them, "
            "or use plot_decision_boundary, which shows classes over two inputs"
        )
    return values


def _epochs(count: int) -> str:
    return f"{count:,} epoch{'' if count == 1 else 's'}"


def _lists(history: Any) -> dict[str, Any]:
    """Return the lists of a history by name, including metrics."""
    if isinstance(history, Mapping):
        return dict(history)
    if hasattr(history, "loss"):
        names = ("loss", "batch_loss", "validation_loss", "learning_rate", "seconds")
        return {name: getattr(history, name, []) for name in names} | dict(getattr(history, "metrics", {}))
    items = plain(history)
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise TypeError(
            f"plot_history expected a History, a dict of lists or a list but got {describe('history', history)}"
        )
    return {"loss": items}


def _chosen(lists: dict[str, Any], of: str) -> tuple[list[float], list[float]]:
    """Return the values to plot, and those over held-out samples if there are any."""
    if of not in lists or not len(lists[of]):
        known = ", ".join(repr(name) for name, values in lists.items() if len(values)) or "nothing"
        raise ValueError(f"plot_history expected what the history holds, {known}, but got {describe('of', of)}")
    return list(lists[of]), list(lists.get(f"validation_{of}", []))
