"""Write pictures of graphs as SVG, PNG or PDF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import graphviz
from chainrule import Var
from chainrule.data import write_whole
from chainrule.errors import describe

from .dot import draw
from .layout import laid_out
from .network import is_model
from .picture import DRAWN
from .themed import follow_reader

FORMATS = ("svg", "png", "pdf")


def render(root: Any, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write the graph below `root` as a picture and return its path.

    Args:
        root: what `draw` takes: a Var, lists and dicts of them, a model, a `Program`, a compiled function, or the
            History of a training; or what it made of one.
        path: where to write; its suffix chooses the format: ``.svg``, ``.png`` or ``.pdf``. Folders that are
            missing are made. The file is there whole or not at all.
        options: those of `draw`, where `root` is not drawn yet; of a History `of`, `ylabel` and `theme`.

    Raises `MissingDependencyError`, which says what to install, where there is neither ``dot`` nor pygraphviz,
    and `RuntimeError` with Graphviz's own words where it fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     render(Var(2.0) * Var(3.0), f"{folder}/product.svg").name
    'product.svg'
    """
    target = picture_target("render", path)
    picture = laid_out(_digraph("render", root, options), target.suffix[1:].lower())
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, picture)
    return target


def picture_target(reader: str, path: Any) -> Path:
    """Return where the function `reader` should write a picture; raise if that is not a path of such a file."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{reader} expected a str or path but got {describe('path', path)}")
    target = Path(path)
    if target.suffix[1:].lower() not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(f"{reader} expected a path ending in one of {allowed} but got {describe('path', str(path))}")
    if target.is_dir():
        raise IsADirectoryError(f"{reader} expected the path of a file but got a folder, {describe('path', str(path))}")
    return target


def to_svg(root: Any, **options: Any) -> str:
    """Return the graph below `root` as an SVG element to put into a page.

    Arguments and errors are those of `render`, without the path. ``theme="auto"`` gives colours that follow the page,
    light or dark, as pictures in notebooks do.

    >>> to_svg(Var(2.0) * Var(3.0))[:5]
    '<svg '
    """
    if options.get("theme") == "auto" and not isinstance(root, graphviz.Digraph):
        return follow_reader(lambda theme: _digraph("to_svg", root, options | {"theme": theme}))
    return laid_out(_digraph("to_svg", root, options), "svg").decode()


def _digraph(function: str, root: Any, options: dict[str, Any]) -> graphviz.Digraph:
    is_program = not isinstance(root, type) and (hasattr(root, "steps") or hasattr(root, "program"))
    if isinstance(root, Var | list | tuple | dict) or is_model(root) or is_program:
        return draw(root, **options)
    if not isinstance(root, graphviz.Digraph):
        raise TypeError(f"{function} expected {DRAWN}, or a graphviz.Digraph, but got {describe('root', root)}")
    if options:
        got = ", ".join(options)
        raise TypeError(f"{function} expected no options with a graphviz.Digraph but got {got}; give them to draw")
    return root
