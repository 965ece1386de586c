"""Write pictures as SVG, PNG or PDF, by Graphviz's ``dot`` where it is on the PATH, else by pygraphviz.

Both run as another process. pygraphviz carries Graphviz as a library, which writes its warnings straight to
the terminal and would take the whole session along if it crashed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graphviz
from chainrule import Var
from chainrule.data import write_whole
from chainrule.errors import describe, missing

from .dot import draw
from .svg import tidy

FORMATS = ("svg", "png", "pdf")

# What is one pixel in the SVG is two in the PNG, which keeps it sharp.
_PNG_DPI = "144"

# Without it a console window flashes up on Windows.
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)

_PYGRAPHVIZ = """
import sys
folder, picture_format, *options = sys.argv[1:]
sys.path.append(folder)
import pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=picture_format, prog="dot", args=" ".join(options)))
"""


def render(root: Any, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write the graph below `root` as a picture and return its path.

    Args:
        root: a Var, or another thing that `draw` takes, or what it made of one.
        path: where to write; its suffix chooses the format: ``.svg``, ``.png`` or ``.pdf``. Folders that are
            missing are made. The file is there whole or not at all.
        options: those of `draw`, where `root` is not drawn yet.

    Raises `MissingDependencyError`, which says what to install, where there is neither ``dot`` nor pygraphviz,
    and `RuntimeError` with Graphviz's own words where it fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     render(Var(2.0) * Var(3.0), f"{folder}/product.svg").name
    'product.svg'
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"render expected a str or path but got {describe('path', path)}")
    target = Path(path)
    picture_format = target.suffix[1:].lower()
    if picture_format not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(f"render expected a path ending in one of {allowed} but got {describe('path', str(path))}")
    if target.is_dir():
        raise IsADirectoryError(f"render expected the path of a file but got a folder, {describe('path', str(path))}")
    picture = _run(_digraph("render", root, options), picture_format)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, picture)
    return target


def to_svg(root: Any, **options: Any) -> str:
    """Return the graph below `root` as an SVG element to put into a page.

    Arguments and errors are those of `render`, without the path.

    >>> to_svg(Var(2.0) * Var(3.0))[:5]
    '<svg '
    """
    return _run(_digraph("to_svg", root, options), "svg").decode()


def _digraph(function: str, root: Any, options: dict[str, Any]) -> graphviz.Digraph:
    if isinstance(root, Var) or hasattr(root, "steps") or hasattr(root, "program"):
        return draw(root, **options)
    if not isinstance(root, graphviz.Digraph):
        raise TypeError(f"{function} expected a Var or a graphviz.Digraph but got {describe('root', root)}")
    if options:
        got = ", ".join(options)
        raise TypeError(f"{function} expected no options with a graphviz.Digraph but got {got}; give them to draw")
    return root


def _run(digraph: graphviz.Digraph, picture_format: str) -> bytes:
    source = digraph.source.encode()
    troubles = []
    for command in _commands(picture_format):
        try:
            done = subprocess.run(command, input=source, capture_output=True, creationflags=_NO_WINDOW)
        except OSError as error:
            troubles.append(str(error))
            continue
        if done.returncode == 0 and done.stdout:
            return tidy(done.stdout.decode()).encode() if picture_format == "svg" else done.stdout
        troubles.append(_last_words(done))
    if troubles:
        raise RuntimeError(f"Graphviz could not make the {picture_format.upper()} picture: {'; '.join(troubles)}")
    raise missing(
        "drawing a picture needs Graphviz, but neither pygraphviz nor dot was found",
        "pygraphviz",
        otherwise="install Graphviz from graphviz.org so that dot is on the PATH",
    )


def _commands(picture_format: str) -> Iterator[list[str]]:
    """List the available commands that turn DOT text on stdin into a picture on stdout."""
    options = [f"-Gdpi={_PNG_DPI}"] if picture_format == "png" else []
    dot = shutil.which("dot")
    if dot is not None:
        yield [dot, f"-T{picture_format}", *options]
    package = importlib.util.find_spec("pygraphviz")
    # In a frozen application sys.executable is the application itself.
    if package is not None and package.origin is not None and sys.executable and not hasattr(sys, "frozen"):
        folder = Path(package.origin).parent.parent
        yield [sys.executable, "-I", "-c", _PYGRAPHVIZ, str(folder), picture_format, *options]


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    """Extract from a process's stderr the lines that say why it failed."""
    lines = done.stderr.decode(errors="replace").splitlines()
    lines = [line for line in lines if "rror" in line and not line.startswith(" ")]
    return "; ".join(lines[-2:]) or f"{Path(done.args[0]).name} ended with code {done.returncode}"
