"""Draw, write and show anything: graphs and models by `drawing`, trainings by `plots`."""

from __future__ import annotations

import base64
import contextlib
import functools
import html
import io
import os
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

from chainrule.data import write_whole
from chainrule.errors import describe

from . import drawing
from .plots import figure_of, is_history, plot_history


@functools.wraps(drawing.draw)
def draw(root: Any, **options: Any) -> Any:
    """Draw what `chainrule.viz.drawing.draw` draws, or plot the history of a training."""
    if not is_history(root):
        return drawing.draw(root, **options)
    _check_options("draw", options, ("of", "ax", "ylabel", "theme"))
    return plot_history(root, **options)


@functools.wraps(drawing.render)
def render(root: Any, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write what `chainrule.viz.drawing.render` writes, or the plot of a training."""
    if not is_history(root):
        return drawing.render(root, path, **options)
    _check_options("render", options, ("of", "ylabel", "theme"))
    target = drawing.picture_target("render", path)
    content = _plotted(root, target.suffix[1:].lower(), options)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content)
    return target


@functools.wraps(drawing.mimebundle)
def mimebundle(root: Any) -> dict[str, Any]:
    """Return what `chainrule.viz.drawing.mimebundle` returns, or the plot of a training."""
    if not is_history(root):
        return drawing.mimebundle(root)
    bundle = {"text/plain": repr(root)}
    with contextlib.suppress(ImportError, ValueError):  # without matplotlib, or an epoch, the text is all
        light, dark = (
            base64.b64encode(_plotted(root, "png", {"theme": theme})).decode() for theme in ("light", "dark")
        )
        bundle["image/png"] = light
        # Shown first where a notebook knows HTML: with a text for those who do not see, and no white box on dark pages.
        told = f"{html.escape(repr(root))}, plotted epoch by epoch"
        bundle["text/html"] = (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{dark}">'
            f'<img src="data:image/png;base64,{light}" alt="{told}"></picture>'
        )
    return bundle


def show(root: Any, **options: Any) -> Path:
    """Open a picture in the browser, or in what the system shows such files with; return its file.

    Args:
        root: what `draw` takes, or what it made of one; or the path of a picture or page, as `render`, `explain` and
            `animate` return it.
        options: those of `draw`.

    The picture is an SVG in a folder for temporary files. Errors: those of `render`; `RuntimeError`, which names the
    file, where no browser can be opened.
    """
    if isinstance(root, str | os.PathLike):
        if options or not Path(root).is_file():
            raise ValueError(f"show expected a Var, a model, or the path of a picture but got {describe('root', root)}")
        target = Path(root)
    else:
        target = render(root, Path(tempfile.mkdtemp(prefix="chainrule-")) / "picture.svg", **options)
    if not webbrowser.open(target.resolve().as_uri()):
        raise RuntimeError(f"show found no browser to open; the picture is {target}")
    return target


def _check_options(reader: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    """Raise an error that says what the plot of a training can be told."""
    for name in options.keys() - set(known):
        raise TypeError(
            f"{reader} expected of a History no options but {', '.join(known)} but got {describe(name, options[name])}"
        )


def _plotted(history: Any, picture_format: str, options: dict[str, Any]) -> bytes:
    figure = figure_of("draw", plot_history, history, **options)
    written = io.BytesIO()
    figure.savefig(written, format=picture_format, facecolor=figure.get_facecolor())
    return written.getvalue()
