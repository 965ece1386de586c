"""Watch a model learn: `animate` turns a recorded training into a GIF or a page to step through."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.data import whole_number, write_whole

from ..pages import page_target
from .boundary import Grid, Samples, check_classes, reach_of, threshold_of
from .curves import curve_points
from .film import Film, write_gif, write_html
from .outputs import Replay, check_recorded

_CURVE = 120  # points of a curve
_GRID, _GRID_OF_SEVERAL = 48, 32  # points along each side of a map; several scores for each take more room


def animate(
    history: Any,
    path: str | os.PathLike[str],
    *,
    max_frames: int = 50,
    fps: int = 10,
    threshold: float | None = None,
    scale: tuple[float, float] = (1.0, 1.0),
    xlabel: str | None = None,
    ylabel: str | None = None,
    theme: str = "light",
    size: tuple[int, int] | None = None,
) -> Path:
    """Write an animation of a model's outputs from epoch to epoch, and return its path.

    Two inputs give a map of the scores with the border between the classes, one input gives the curve over the data.

    Args:
        history: what `nn.fit` with ``record=True`` returned.
        path: where to write: ``.gif``, which needs matplotlib; or ``.html``, a page of its own that plays, can be
            stepped through by keys, buttons and a slider, follows the reader's dark mode and needs no network.
        max_frames: how many frames to show at most, evenly chosen, the first and the last among them.
        fps: how many of them in a second.
        threshold: the score at the border of two classes; None for that of the history, which knows the loss; where
            it does not, for 0.5 where all scores lie from 0 to 1, else 0.
        scale: for a curve, what one unit of the input and one of the output is in the units of the axes.
        xlabel, ylabel: what stands at the axes, with units.
        theme: "light" or "dark", for a GIF.
        size: width and height in pixels; None for 512 by 352 in a GIF, and for all the room there is on a page.

    Errors: `ValueError` for other suffixes, for models of more than two inputs and for histories without parameters.

    >>> import tempfile
    >>> from chainrule import nn
    >>> history = nn.fit(nn.Neuron(1, seed=0), [0.0, 1.0, 2.0], [0.0, 0.4, 0.7], epochs=5, record=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     animate(history, f"{folder}/line.html").name
    'line.html'
    """
    check_recorded(history, "animate")
    writers: dict[str, Callable[..., bytes]] = {".gif": write_gif, ".html": write_html}
    target = page_target("animate", path, tuple(writers))
    most, speed = whole_number("animate", "max_frames", max_frames, 2), whole_number("animate", "fps", fps)
    if size is not None:
        wide, high = size
        size = whole_number("animate", "width", wide, 100), whole_number("animate", "height", high, 100)
    width = len(history.rows[0])
    if width not in (1, 2):
        raise ValueError(f"animate expected a model of one or two inputs but got rows of {width} numbers")
    chosen = _evenly(len(history.parameters), most)
    if width == 1:
        film = _film_of_curve(history, chosen, scale, xlabel or "input", ylabel or "output")
    else:
        film = _film_of_map(history, chosen, threshold, xlabel or "first input", ylabel or "second input")
    content = writers[target.suffix.lower()](film, speed, theme, size)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content)
    return target


def _evenly(count: int, most: int) -> list[int]:
    """Choose evenly spaced places, at most so many of `count`, including the first and the last.

    >>> _evenly(10, 4), _evenly(3, 4)
    ([0, 3, 6, 9], [0, 1, 2])
    """
    frames = min(count, most)
    return [round(k * (count - 1) / (frames - 1)) for k in range(frames)] if frames > 1 else [0]


def _film_of_curve(history: Any, chosen: list[int], scale: tuple[float, float], xlabel: str, ylabel: str) -> Film:
    if isinstance(history.targets[0], list):
        raise ValueError("animate expected one target for each row but got rows of targets")
    across, upward = scale
    points = curve_points(history.rows, _CURVE)
    replay = Replay(history, "animate")
    frames = [[upward * v for v in replay.outputs(history.parameters[k], points)] for k in chosen]
    return Film(
        rows=[[across * row[0]] for row in history.rows],
        targets=[upward * target for target in history.targets],
        names=[],
        places=([across * row[0] for row in points], []),
        frames=frames,
        level=0.0,
        reach=1.0,
        xlabel=xlabel,
        ylabel=ylabel,
        **_times(history, chosen),
    )


def _film_of_map(history: Any, chosen: list[int], threshold: float | None, xlabel: str, ylabel: str) -> Film:
    samples = Samples.of(history.rows, history.targets, "animate")
    replay = Replay(history, "animate")
    several = isinstance(replay.outputs(history.parameters[0], samples.rows[:1])[0], list)
    grid = Grid.around(samples.rows, _GRID_OF_SEVERAL if several else _GRID)
    points = grid.rows()
    frames = [replay.outputs(history.parameters[k], points) for k in chosen]
    level, reach, classes = 0.0, 1.0, samples.classes
    names = [str(name) for name in samples.names]
    if several:
        # Classes are numbered as the outputs are, those without samples too.
        classes, names = list(history.targets), [str(k) for k in range(len(frames[0][0]))]
        check_classes(len(names), "animate")
        reach = reach_of([score for scores in frames[-1] for score in scores], 0.0)
    else:
        # Colours keep their meaning: those of the end hold for all frames.
        threshold = getattr(history, "threshold", None) if threshold is None else threshold
        level = threshold_of([score for frame in frames for score in frame]) if threshold is None else threshold
        reach = reach_of(frames[-1], level)
    return Film(
        rows=samples.rows,
        targets=classes,
        names=names,
        places=(grid.across, grid.upward),
        frames=frames,
        level=level,
        reach=reach,
        xlabel=xlabel,
        ylabel=ylabel,
        is_even=grid.is_even,
        **_times(history, chosen),
    )


def _times(history: Any, chosen: list[int]) -> dict[str, Any]:
    epochs = [history.recorded[k] for k in chosen]
    return {"epochs": epochs, "losses": [history.loss[epoch - 1] if epoch else None for epoch in epochs]}
