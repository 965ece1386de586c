"""Write the frames of a training as a GIF, or as a page that draws them."""

from __future__ import annotations

import html
import importlib
import io
import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.data import Row

from ..pages import part, to_page
from ..theme import Theme, mix
from .axes import MARKERS, axes_for, legend, matplotlib, series, shades_between

_DPI = 80
_SIZE = (512, 352)  # of a GIF, in pixels
_COLOURS = 96  # of a frame of a GIF
_SHADES = 18  # of a map: an even number, so that the border is where a shade ends
_HOLD = 2.0  # seconds that the last frame of a GIF stays

# On a page two digits to the base of 64 are a score: with a byte for each, the border would be a staircase.
_DIGITS = string.ascii_letters + string.digits + "-_"
_MIDDLE = 64**2 // 2 - 1


@dataclass(frozen=True)
class Film:
    """What an animation shows, in the units of its axes.

    Attributes:
        rows, targets: the samples; a target is the output of a curve, or the place of a class in `names`.
        names: of the classes; empty where a curve is fitted.
        places: across, and for a map upward, where outputs are known.
        frames: for each frame the outputs in all places, those furthest down first.
        level, reach: for a map of two classes, the score at the border and how far from it colours differ.
        epochs, losses: for each frame, how many epochs were over, and the loss of the last of them.
        xlabel, ylabel: what stands at the axes.
        is_even: whether one unit is as long upward as across.
    """

    rows: list[Row]
    targets: list[Any]
    names: list[str]
    places: tuple[list[float], list[float]]
    frames: list[list[Any]]
    level: float
    reach: float
    epochs: list[int]
    losses: list[float | None]
    xlabel: str
    ylabel: str
    is_even: bool = False

    @property
    def is_map(self) -> bool:
        """Whether it is a map over two inputs, not a curve over one."""
        return bool(self.names)

    def caption(self, frame: int) -> str:
        """Return the caption of a frame."""
        epoch, loss = self.epochs[frame], self.losses[frame]
        return "before training" if loss is None else f"epoch {epoch} of {self.epochs[-1]}, loss {loss:.3g}"


def write_gif(film: Film, fps: int, theme: str, size: tuple[int, int] | None) -> bytes:
    """Return the film as a GIF that repeats, and rests on its last frame."""
    figure = matplotlib("animate", "figure").Figure(figsize=[side / _DPI for side in size or _SIZE], dpi=_DPI)
    canvas = matplotlib("animate", "backends.backend_agg").FigureCanvasAgg(figure)
    Image = importlib.import_module("PIL.Image")  # matplotlib needs it too
    ax, theme_ = axes_for("animate", figure.add_subplot(), theme)
    figure.set_facecolor(theme_.background)
    show = (_map if film.is_map else _curve)(ax, film, theme_)
    ax.set(xlabel=film.xlabel, ylabel=film.ylabel)
    legend(ax, theme_, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=6, edgecolor="none")
    # Set once: margins that fit each frame would shake.
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.2, top=0.92)
    pictures = []
    for frame in range(len(film.frames)):
        ax.set_title(film.caption(frame), fontfamily="monospace", fontsize="medium", color=theme_.ink)
        show(frame)
        canvas.draw()
        width, height = canvas.get_width_height()
        pictures.append(Image.frombytes("RGBA", (width, height), bytes(canvas.buffer_rgba())).convert("RGB"))
    palette = _palette(Image, pictures[-1], theme_)
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    seconds = [1 / fps] * (len(pictures) - 1) + [_HOLD]
    content = io.BytesIO()
    pictures[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[round(1000 * s) for s in seconds],
        loop=0,
    )
    return content.getvalue()


def _palette(Image: Any, picture: Any, theme: Theme) -> Any:
    """Choose a palette for all frames: the colours of lines and classes, and the most frequent of one picture."""
    meant = [theme.background, theme.ink, theme.line, theme.negative, theme.zero, theme.positive, *series(theme)]
    channels = [channel for colour in meant for channel in bytes.fromhex(colour[1:])]
    frequent = picture.quantize(_COLOURS, dither=Image.Dither.NONE).getpalette()[: 3 * _COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*channels, *frequent])
    return palette


def _curve(ax: Any, film: Film, theme: Theme) -> Any:
    """Draw the data and return the function that draws a frame."""
    blue, *_ = series(theme)
    ax.scatter([row[0] for row in film.rows], film.targets, s=16, color=theme.line, linewidth=0, label="data")
    (line,) = ax.plot([], [], color=blue, linewidth=2.2, label="prediction")
    low, high = limits(film)
    ax.set(xlim=(film.places[0][0], film.places[0][-1]), ylim=(low, high))
    return lambda frame: line.set_data(film.places[0], film.frames[frame])


def _map(ax: Any, film: Film, theme: Theme) -> Any:
    colours = series(theme)
    across, upward = film.places
    several = isinstance(film.frames[0][0], list)
    count = len(film.names)
    tints = [mix(theme.background, colours[k % len(colours)], 0.3) for k in range(count)]
    image = ax.imshow(
        [[0.0]],
        extent=(across[0], across[-1], upward[0], upward[-1]),
        origin="lower",
        aspect="equal" if film.is_even else "auto",
        interpolation="nearest" if several else "bilinear",
        cmap=matplotlib("animate", "colors").ListedColormap(tints)
        if several
        else shades_between("animate", [theme.negative, theme.zero, theme.positive]).resampled(_SHADES),
        vmin=-0.5 if several else film.level - film.reach,
        vmax=count - 0.5 if several else film.level + film.reach,
    )
    for place, name in enumerate(film.names):
        chosen = [row for row, found in zip(film.rows, film.targets, strict=True) if found == place]
        ax.scatter(
            [row[0] for row in chosen],
            [row[1] for row in chosen],
            s=26,
            color=colours[place % len(colours)],
            marker=MARKERS[place % len(MARKERS)],
            edgecolor=theme.background,
            linewidth=0.6,
            label=name,
            zorder=3,
        )
    ax.plot([], [], color=theme.ink, linewidth=1.6, label="border")
    ax.grid(visible=False)
    borders: list[Any] = []

    def show(frame: int) -> None:
        while borders:
            borders.pop().remove()
        width = len(across)
        rows = [film.frames[frame][k : k + width] for k in range(0, width * len(upward), width)]
        image.set_data([[winner(cell) for cell in row] for row in rows] if several else rows)
        tables = leads(rows) if several else [[[score - film.level for score in row] for row in rows]]
        for scores, tint in zip(tables, tints, strict=False):
            most = max(map(max, scores))
            if min(map(min, scores)) < 0 < most:
                if several:
                    # Smoother than the places are.
                    borders.append(ax.contourf(across, upward, scores, levels=[0, most], colors=[tint]))
                borders.append(ax.contour(across, upward, scores, levels=[0], colors=[theme.ink], linewidths=1.6))

    return show


def limits(film: Film) -> tuple[float, float]:
    """Return the limits of a curve's vertical axis: all data and the last frame; wild frames may leave the picture."""
    shown = [*film.targets, *filter(math.isfinite, film.frames[-1])]
    margin = 0.08 * (max(shown) - min(shown)) or 1.0
    return min(shown) - margin, max(shown) + margin


def winner(scores: list[float]) -> int:
    """Return the place of the greatest score.

    >>> winner([0.1, 2.0, -1.0])
    1
    """
    return max(range(len(scores)), key=scores.__getitem__)


def leads(rows: list[list[list[float]]]) -> list[list[list[float]]]:
    """Return, for each class, how far its score is above the best other at each place.

    >>> leads([[[1.0, 3.0]]])
    [[[-2.0]], [[2.0]]]
    """
    count = len(rows[0][0])
    return [
        [[cell[k] - max(score for j, score in enumerate(cell) if j != k) for cell in row] for row in rows]
        for k in range(count)
    ]


def write_html(film: Film, fps: int, theme: str, size: tuple[int, int] | None) -> bytes:
    """Return the film as a page; its colours follow the reader's dark mode, whatever the theme."""
    kind = "The border between classes" if film.is_map else "The curve through the data"
    sides = [[film.places[0][0], film.places[0][-1]], _upward(film)]
    across, upward = map(_rounding, sides)
    data: dict[str, Any] = {
        "fps": fps,
        "size": size,
        "even": film.is_even,
        "labels": [film.xlabel, film.ylabel],
        "names": film.names,
        "epochs": film.epochs,
        "losses": [loss if loss is not None and math.isfinite(loss) else None for loss in film.losses],
        "captions": [film.caption(frame) for frame in range(len(film.frames))],
        "sides": sides,
    }
    if film.is_map:
        data |= {"width": len(film.places[0]), "several": isinstance(film.frames[0][0], list)}
        data |= {"digits": _DIGITS, "frames": [_scores(frame, film) for frame in film.frames]}
        data["samples"] = [
            [across(row[0]), upward(row[1]), place] for row, place in zip(film.rows, film.targets, strict=True)
        ]
    else:
        data["places"] = [across(x) for x in film.places[0]]
        data["frames"] = [[upward(v) for v in frame] for frame in film.frames]
        data["samples"] = [[across(row[0]), upward(v)] for row, v in zip(film.rows, film.targets, strict=True)]
    page = to_page(
        title=html.escape(f"{kind}, epoch by epoch"),
        heading=html.escape(f"{kind}, epoch by epoch"),
        thing="picture",
        body=_BODY,
        style=part("plots.css") + part("film.css"),
        data=data,
        script=part("axes.js") + part("film.js"),
    )
    return page.encode()


_BODY = """<p id="caption" aria-live="polite"></p>
<figure><canvas id="picture" role="img"></canvas></figure>
<ul id="legend"></ul>
<figure><canvas id="losses" role="img" aria-label="The loss, picture by picture"></canvas></figure>"""


def _upward(film: Film) -> list[float]:
    upward = film.places[1]
    return [upward[0], upward[-1]] if film.is_map else list(limits(film))


def _scores(frame: list[Any], film: Film) -> str:
    """Encode each place in two digits: from -`_MIDDLE` to `_MIDDLE`, with the boundary at 0, counted from there.

    Of several classes the leads are taken, class by class: how far each score is above the best other.
    """
    if not isinstance(frame[0], list):
        return "".join([_two_digits((score - film.level) / film.reach) for score in frame])
    # Each row of the grid as one cell deep.
    tables = leads([[cell] for cell in frame])
    return "".join([_two_digits(cell[0] / film.reach) for table in tables for cell in table])


def _two_digits(share: float) -> str:
    first, second = divmod(round(_MIDDLE * (1 + max(-1.0, min(1.0, share)))), 64)
    return _DIGITS[first] + _DIGITS[second]


def _rounding(sides: list[float]) -> Callable[[float], float | None]:
    """Return a function that rounds to a small part of a pixel between two ends of an axis; None for nan and inf.

    >>> short = _rounding([10_000.0, 10_010.0])
    >>> short(10_003.14159265), short(math.nan)
    (10003.1416, None)
    """
    width = abs(sides[1] - sides[0])
    digits = 5 - math.floor(math.log10(width)) if 0 < width < math.inf else 5
    return lambda number: round(float(number), digits) if math.isfinite(number) else None
