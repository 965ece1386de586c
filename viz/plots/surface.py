"""Draw the landscape of a training: `plot_surface` shows a loss over two parameters and the path across it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule import Var, no_grad
from chainrule.data import rows_of, whole_number
from chainrule.errors import describe

from ..theme import Theme, mix
from .axes import Axes, axes_for, colourbar, legend, matplotlib, shades_between
from .outputs import Replay, check_recorded, is_history

_LEVELS = 24


def plot_surface(
    loss: Callable[..., Any],
    path: Any,
    names: tuple[str, str] = ("a", "b"),
    ax: Axes | None = None,
    *,
    resolution: int = 40,
    theme: str | None = None,
) -> Axes:
    """Draw a loss over two parameters as a contour map, and the path that training took; return the axes.

    Args:
        loss: a function of the two parameters; where `path` is a history, a function of predictions and targets, such
            as ``nn.mse``: all other parameters of the model keep the values they have at the end.
        path: the pairs of values that training came by; or the history of `nn.fit` with ``record=True``.
        names: what stands at the axes; where `path` is a history, the names of two of its parameters.
        ax: matplotlib axes to draw on; None for new ones.
        resolution: how many points to compute along each axis.
        theme: "light" or "dark"; None for what suits the figure.

    Errors: `ValueError` for names that the history does not have, `MissingDependencyError` without matplotlib.

    >>> steps = [(2.0, 2.0), (1.0, 1.5), (0.5, 1.0), (0.1, 0.4)]
    >>> ax = plot_surface(lambda a, b: a * a + 3 * b * b, steps, names=("slope", "shift"))
    >>> ax.get_xlabel(), ax.get_legend_handles_labels()[1]
    ('slope', ['path of training', 'start', 'end'])
    """
    measure: Callable[[float, float], float]
    if is_history(path):
        steps, measure = _of_history(path, names, loss)
    else:
        steps, measure = rows_of(path, "plot_surface", 2, "path"), lambda a, b: _number(loss(a, b))
    points = whole_number("plot_surface", "resolution", resolution, 2)
    across, upward = (_range([step[k] for step in steps], points) for k in range(2))
    with no_grad():
        table = [[measure(a, b) for a in across] for b in upward]
    ax, theme_ = axes_for("plot_surface", ax, theme)
    _draw_map(ax, theme_, across, upward, table)
    x, y = [step[0] for step in steps], [step[1] for step in steps]
    few = len(steps) <= 60
    line = {"marker": "." if few else None, "linewidth": 1.6, "markersize": 5}
    ax.plot(x, y, color=theme_.path, label="path of training", **line)
    for k, marker, label in ((0, "o", "start"), (-1, "*", "end")):
        ax.plot(
            x[k], y[k], marker, color=theme_.path, markersize=13 if marker == "*" else 8,
            markeredgecolor=theme_.background, label=label, zorder=4,
        )  # fmt: skip
    ax.set(xlabel=names[0], ylabel=names[1])
    ax.grid(visible=False)
    legend(ax, theme_)
    return ax


def _of_history(history: Any, names: tuple[str, str], loss: Any) -> tuple[list[list[float]], Any]:
    """Return the path of two parameters, and the loss as a function of them."""
    check_recorded(history, "plot_surface")
    known = list(history.parameters[0])
    if len(names) != 2 or not set(names) <= set(known):
        shown = ", ".join(known[:6]) + (" ..." if len(known) > 6 else "")
        raise ValueError(
            f"plot_surface expected the names of two parameters, of {shown}, but got {describe('names', names)}"
        )
    replay = Replay(history, "plot_surface")
    last = history.model.state_dict()

    def measure(a: float, b: float) -> float:
        outputs = replay.outputs(last | dict(zip(names, (a, b), strict=True)), history.rows)
        return _number(loss(outputs, history.targets))

    return [[snapshot[name] for name in names] for snapshot in history.parameters], measure


def _draw_map(ax: Axes, theme: Theme, across: list[float], upward: list[float], table: list[list[float]]) -> None:
    """Fill between contours, on a logarithmic scale if the loss spans decades."""
    known = [value for row in table for value in row if math.isfinite(value)]
    if not known:
        raise ValueError("plot_surface expected a loss that is finite somewhere around the path but got none")
    least, greatest = min(known), max(known)
    is_log = least > 0 and greatest > 50 * least
    if is_log:
        levels = [least * (greatest / least) ** (k / _LEVELS) for k in range(_LEVELS + 1)]
    else:
        levels = [least + ((greatest - least) or 1.0) * k / _LEVELS for k in range(_LEVELS + 1)]
    colors = matplotlib("plot_surface", "colors")
    ticker = matplotlib("plot_surface", "ticker")
    # From what is close to the page to what stands out: a low loss is pale, in both themes.
    shades = shades_between(
        "plot_surface", [mix(theme.background, theme.negative, 0.12), mix(theme.negative, theme.ink, 0.45)]
    )
    filled = ax.contourf(
        across,
        upward,
        table,
        levels=levels,
        cmap=shades,
        norm=colors.LogNorm(levels[0], levels[-1]) if is_log else None,
    )
    ax.contour(across, upward, table, levels=levels[::3], colors=[theme.ink], linewidths=0.5, alpha=0.5)
    ticks = ticker.LogLocator(numticks=6) if is_log else ticker.MaxNLocator(6)
    colourbar(ax, filled, "loss", theme, ticks=ticks)


def _range(values: list[float], resolution: int) -> list[float]:
    margin = 0.25 * (max(values) - min(values)) or 1.0
    low, high = min(values) - margin, max(values) + margin
    return [low + (high - low) * k / (resolution - 1) for k in range(resolution)]


def _number(result: Any) -> float:
    return float(result.value if isinstance(result, Var) else result)
