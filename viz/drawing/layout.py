"""Lay out DOT text with Graphviz: by ``dot`` where it is on the PATH, else by pygraphviz.

Both run as another process. pygraphviz carries Graphviz as a library, which writes its warnings straight to
the terminal and would take the whole session along if it crashed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import graphviz
from chainrule.errors import missing

from .svg import tidy

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
program = graph.graph_attr.get("layout") or "dot"  # as the program dot has it
sys.stdout.buffer.write(graph.draw(format=picture_format, prog=program, args=" ".join(options)))
"""


def laid_out(digraph: graphviz.Digraph, picture_format: str) -> bytes:
    """Return the picture of a graph in one of Graphviz's formats; an SVG is `tidy`."""
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


def mimebundle_of(text: str, svg: Callable[[], str]) -> dict[str, str]:
    """Return what a notebook shows: a text always, and the picture that `svg` gives where it can be made."""
    bundle = {"text/plain": text}
    with contextlib.suppress(ImportError, OSError, RuntimeError, ValueError):
        bundle["image/svg+xml"] = svg()
    return bundle


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
