"""Show how gradients flow through the layers while a model learns: `plot_gradients`."""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..drawing import path_of
from ..theme import mix
from .axes import Axes, axes_for, colourbar, matplotlib, shades_between
from .outputs import check_recorded

_BINS = 16  # of each layer
_GAP = 3  # bins between layers
_COLUMNS = 60  # at most; neighbouring epochs share one
_DECADES = 6  # smaller gradients than the largest by more than that count as that much smaller


def plot_gradients(history: Any, ax: Axes | None = None, *, theme: str | None = None) -> Axes:
    """Plot a histogram of the gradients of each layer for every recorded epoch, and return the axes.

    Each layer has a band, the first one at the bottom; in it the size of gradients rises on a logarithmic scale, the
    same for all layers, and the colour tells how many of the layer's parameters have a gradient of that size. So
    vanishing and exploding gradients can be seen as bands that sink and rise. Gradients that are exactly 0, as those of
    neurons that are switched off, are counted in a row of their own below each band.

    Args:
        history: what `nn.fit` with ``record=True`` returned: the gradients at the last step of each epoch.
        ax: matplotlib axes to draw on; None for new ones.
        theme: "light" or "dark"; None for what suits the figure.

    Errors: `ValueError` for a history without gradients, `MissingDependencyError` without matplotlib.

    >>> from chainrule import nn
    >>> model = nn.MLP(1, [4, 4, 1], seed=0)
    >>> history = nn.fit(model, [0.0, 0.5, 1.0], [0.0, 0.25, 1.0], epochs=5, record=True)
    >>> plot_gradients(history).get_title()
    'sizes of gradients, layer by layer'
    """
    check_recorded(history, "plot_gradients")
    if not history.gradients:
        raise ValueError(f"plot_gradients expected at least one recorded epoch but got {history!r}")
    layers = _sizes_by_layer(history.gradients)
    low, top = _decades([size for epochs in layers.values() for sizes in epochs for size in sizes])
    height = _BINS + _GAP
    edges, groups = _columns(history.recorded[1:])
    tables = {
        layer: [_histogram([size for k in group for size in sizes[k]], low, top) for group in groups]
        for layer, sizes in layers.items()
    }

    ax, theme_ = axes_for("plot_gradients", ax, theme, size=(6.4, 1.2 + 1.2 * min(len(layers), 6)))
    colours = shades_between(
        "plot_gradients",
        [theme_.background, mix(theme_.background, theme_.positive, 0.8), mix(theme_.positive, theme_.ink, 0.75)],
    )
    # Zeros may be all there are: what is above them sets the scale.
    most = max((share for columns in tables.values() for column in columns for share in column[1:]), default=0.0)
    norm = matplotlib("plot_gradients", "colors").Normalize(0, most or 100.0)
    ticks: list[tuple[float, str]] = []
    for place, (layer, columns) in enumerate(tables.items()):
        base = place * height
        # The row of zeros stands a bin below the others.
        rows = [base - 1.0, *[base + k for k in range(_BINS + 1)]]
        shades = ax.pcolormesh(edges, rows, list(zip(*columns, strict=True)), cmap=colours, norm=norm, rasterized=True)
        for line in (base, base + _BINS):
            ax.axhline(line, color=theme_.line, linewidth=0.6)
        ax.annotate(
            f"{layer} ({len(layers[layer][0])} parameters)",
            (0.012, base + _BINS - 0.6),
            xycoords=("axes fraction", "data"),
            va="top",
            fontsize="small",
            color=theme_.ink,
            bbox={"facecolor": theme_.background, "edgecolor": "none", "alpha": 0.75, "pad": 1.5},
        )
        ticks.append((base - 0.5, "0"))
        step = math.ceil((top - low) / 3)
        ticks += [(base + _BINS * (power - low) / (top - low), f"$10^{{{power}}}$") for power in range(top, low, -step)]
    ax.set_yticks([where for where, _ in ticks], [text for _, text in ticks])
    ax.tick_params(axis="y", labelsize="small")
    ax.set(
        title="sizes of gradients, layer by layer",
        xlabel="epoch",
        ylabel="absolute value of the gradient",
        xlim=(edges[0], edges[-1]),
        ylim=(-1.0, len(layers) * height - _GAP),
    )
    ax.grid(visible=False)
    colourbar(ax, shades, "share of the layer's parameters (%)", theme_, extend="max")
    return ax


def _decades(sizes: list[float]) -> tuple[int, int]:
    """Return the powers of ten between which sizes are shown.

    >>> _decades([0.0, 0.02, 3.0]), _decades([0.0])
    ((-2, 1), (-1, 0))
    """
    known = [size for size in sizes if 0 < size < math.inf]
    top = math.ceil(math.log10(max(known, default=1.0)))
    low = max(math.floor(math.log10(min(known, default=1.0))), top - _DECADES)
    return min(low, top - 1), top


def _columns(epochs: list[int]) -> tuple[list[float], list[range]]:
    """Return the edges of the columns, and the recorded epoch that each represents.

    >>> _columns([1, 2, 3])
    ([0.5, 1.5, 2.5, 3.5], [range(0, 1), range(1, 2), range(2, 3)])
    """
    count = min(len(epochs), _COLUMNS)
    starts = [k * len(epochs) // count for k in range(count + 1)]
    groups = [range(a, b) for a, b in itertools.pairwise(starts)]
    between = [(epochs[k - 1] + epochs[k]) / 2 for k in starts[1:-1]]
    return [epochs[0] - 0.5, *between, epochs[-1] + 0.5], groups


def _sizes_by_layer(gradients: list[dict[str, float]]) -> dict[str, list[list[float]]]:
    """Return, for each layer, the absolute gradients at each epoch."""
    names: dict[str, list[str]] = {}
    for name in gradients[0]:
        path = path_of(name)
        names.setdefault(path[0] if path else "parameters", []).append(name)
    return {layer: [[abs(found[name]) for name in own] for found in gradients] for layer, own in names.items()}


def _histogram(sizes: list[float], low: int, top: int) -> list[float]:
    """Return the percentage of sizes that are 0, then of those in each bin from 10**low to 10**top.

    >>> _histogram([0.0, 1.0, 1e-9, 1.0], -2, 0)[::16]
    [25.0, 50.0]
    """
    counts = [0] * (_BINS + 1)
    for size in sizes:
        if size == 0.0:
            counts[0] += 1
        else:
            place = math.log10(size) - low if size < math.inf else top - low
            counts[1 + max(0, min(_BINS - 1, math.floor(_BINS * place / (top - low))))] += 1
    return [100 * count / len(sizes) for count in counts]
