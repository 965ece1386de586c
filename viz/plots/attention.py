"""Show which places of a sequence a model looks at: `plot_attention`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.data import plain
from chainrule.errors import describe

from ..theme import mix
from .axes import Axes, axes_for, matplotlib, shades_between


def plot_attention(
    shares: Any, labels: Sequence[str], ax: Axes | None = None, *, theme: str | None = None, title: str = "attention"
) -> Axes:
    """Draw the attention of one head as a heat map, and return the axes.

    Args:
        shares: for each place a row with the share of its attention that each place gets, from 0 to 1.
        labels: what stands at each place, as letters or words.
        ax: matplotlib axes to draw on; None for new ones.
        theme: "light" or "dark"; None for what suits the figure.
        title: what is written above.

    Errors: `ValueError` where shares are no square table with a label for each row, `MissingDependencyError` without
    matplotlib.

    >>> plot_attention([[1.0, 0.0], [0.25, 0.75]], "ab").get_title()
    'attention'
    """
    rows = [[float(share) for share in row] for row in plain(shares)]
    if not rows or any(len(row) != len(rows) for row in rows) or len(labels) != len(rows):
        raise ValueError(
            f"plot_attention expected a label for each row of a square table but got {len(labels)} labels and "
            f"{describe('shares', shares)}"
        )
    ax, theme_ = axes_for("plot_attention", ax, theme, size=(4.4, 4.2))
    colours = shades_between("plot_attention", [theme_.background, mix(theme_.background, theme_.path, 0.9)])
    norm = matplotlib("plot_attention", "colors").Normalize(0.0, 1.0)
    edges = [k - 0.5 for k in range(len(rows) + 1)]
    ax.pcolormesh(edges, edges, rows, cmap=colours, norm=norm, rasterized=True)
    ax.grid(visible=False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(len(rows)), list(labels))
    ax.invert_yaxis()  # read from above
    ax.set(title=title, xlabel="looks at", ylabel="place", aspect="equal")
    return ax
