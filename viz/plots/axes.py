"""Prepare the axes that plots are drawn on, in the colours of a theme; matplotlib is imported when a plot is made."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable
from typing import Any

from chainrule.errors import describe, needing

from ..theme import DARK, LIGHT, THEMES, Theme, mix

Axes = Any

MARKERS = "osD^vPX*"
"""Distinguish classes where colours do not."""

_CORNERS = {"upper right": (1, 1), "upper left": (0, 1), "lower right": (1, 0), "lower left": (0, 0)}
_BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 4, "edgecolor": "none"}

MOST_CLASSES = 12  # as many as there are colours, twice over; the second time with other markers


def matplotlib(reader: str, module: str) -> Any:
    """Import a matplotlib module for the function `reader`; if it is missing, the error says what to install."""
    with needing(reader, "matplotlib"):
        return importlib.import_module(f"matplotlib.{module}")


def axes_for(reader: str, ax: Axes | None, theme: str | None, size: tuple[float, float] = (6.4, 4.0)) -> Any:
    """Return the axes to draw on, and the `Theme` applied to them.

    Args:
        reader: the function that draws, for messages.
        ax: axes to draw on; None for new ones in a figure of their own, whose margins fit what is written.
        theme: "light" or "dark"; None for what suits the figure.
        size: that of a new figure, in inches.
    """
    if theme is not None and theme not in THEMES:
        raise ValueError(f"{reader} expected a theme of {' or '.join(THEMES)} but got {describe('theme', theme)}")
    if ax is None:
        chosen = THEMES[theme or "light"]
        figure, ax = matplotlib(reader, "pyplot").subplots(figsize=size, layout="constrained")
        figure.set_facecolor(chosen.background)
    elif not hasattr(ax, "plot") or not hasattr(ax, "figure"):
        raise TypeError(f"{reader} expected ax to be matplotlib Axes but got {describe('ax', ax)}")
    else:
        chosen = THEMES[theme] if theme is not None else _theme_of(ax.figure)
    _dress(ax, chosen)
    return ax, chosen


def figure_of(reader: str, plot: Callable[..., Axes], *args: Any, theme: str = "light", **options: Any) -> Any:
    """Return a figure of its own with one plot, which nobody needs to close."""
    figure = matplotlib(reader, "figure").Figure(figsize=(6.4, 4.0), layout="constrained")
    figure.set_facecolor(THEMES[theme].background if theme in THEMES else "white")
    plot(*args, ax=figure.subplots(), theme=theme, **options)
    return figure


def series(theme: Theme) -> list[str]:
    """Return colours for lines and classes, blue and orange first: every kind of colour blindness tells them apart."""
    blue, orange = theme.cards["input"]["color"], theme.cards["root"]["color"]
    return [blue, orange, theme.path, theme.quiet, mix(blue, theme.ink, 0.5), mix(orange, theme.ink, 0.55)]


def legend(ax: Axes, theme: Theme, **options: Any) -> None:
    """Add a legend in a corner that the data leave free; where there is none, below the axes."""
    if not options:
        corner = _free_corner(ax)
        options = {"loc": corner} if corner else _BELOW
    ax.legend(
        **{"facecolor": theme.background, "edgecolor": theme.line, "framealpha": 0.9} | options, labelcolor=theme.ink
    )


def _free_corner(ax: Axes) -> str | None:
    """Return a corner in which a legend covers nothing that is drawn."""
    labels = ax.get_legend_handles_labels()[1]
    box = ax.get_window_extent()
    font = 10.0 * ax.figure.dpi / 72
    width = (0.65 * max(map(len, labels), default=0) + 4.5) * font / box.width
    height = (1.5 * len(labels) + 1.2) * font / box.height
    ax.get_xlim(), ax.get_ylim()  # from here on they fit the data
    points: list[tuple[float, float]] = []
    for line in ax.lines:
        # What has its own transform runs across the axes, such as the line of the best epoch.
        points += _along((line.get_transform() - ax.transAxes).transform(line.get_xydata()).tolist())
    scattered = matplotlib("plot", "collections").PathCollection
    for drawn in ax.collections:
        if not isinstance(drawn, scattered):
            return None  # what fills areas leaves no room
        points += (ax.transData - ax.transAxes).transform(drawn.get_offsets()).tolist()
    for corner, (left, low) in _CORNERS.items():
        x, y = left * (1 - width), low * (1 - height)
        if not any(x <= px <= x + width and y <= py <= y + height for px, py in points):
            return corner
    return None


def _along(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points along a line, close enough that none of its parts is missed."""
    found = places[:1]
    for (x, y), (to_x, to_y) in itertools.pairwise(places):
        steps = min(50, 1 + int(50 * max(abs(to_x - x), abs(to_y - y)))) if math.isfinite(to_x + to_y + x + y) else 1
        found += [(x + (to_x - x) * k / steps, y + (to_y - y) * k / steps) for k in range(1, steps + 1)]
    return found


def colourbar(ax: Axes, shades: Any, label: str, theme: Theme, **options: Any) -> Any:
    """Explain the colours of `shades` beside the axes."""
    bar = ax.figure.colorbar(shades, ax=ax, **options)
    bar.set_label(label, color=theme.ink)
    bar.outline.set_edgecolor(theme.line)
    bar.ax.tick_params(which="both", color=theme.line, labelcolor=theme.ink)
    return bar


def shades_between(reader: str, colours: list[str]) -> Any:
    """Return a colour map that runs evenly through these colours."""
    return matplotlib(reader, "colors").LinearSegmentedColormap.from_list("chainrule", colours)


def _theme_of(figure: Any) -> Theme:
    red, green, blue, alpha = matplotlib("plot", "colors").to_rgba(figure.get_facecolor())
    return DARK if alpha > 0 and 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else LIGHT


def _dress(ax: Axes, theme: Theme) -> None:
    ax.set_facecolor(theme.background)
    for spine in ax.spines.values():
        spine.set_color(theme.line)
    ax.tick_params(which="both", color=theme.line, labelcolor=theme.ink)
    for text in (ax.title, ax.xaxis.label, ax.yaxis.label):
        text.set_color(theme.ink)
    ax.grid(color=theme.line, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
