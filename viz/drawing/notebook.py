"""Show graphs and models in notebooks."""

from __future__ import annotations

from typing import Any

import graphviz
from chainrule import Var

from .images import to_svg
from .layout import mimebundle_of
from .picture import collect

# A summary of more would take seconds, and nobody asked for one who only ends a cell with a Var.
_LARGEST = 100_000


def mimebundle(root: Any) -> dict[str, str]:
    """Return what a notebook shows for `root`: text always, and a picture where one can be made.

    A graph of more than 100,000 nodes, or a missing Graphviz, leaves the text; nothing is raised.

    >>> x = Var(2.0)
    >>> mimebundle(x)["text/plain"]
    'Var(2.0, grad=0.0)'
    """

    def svg() -> str:
        if isinstance(root, Var):
            collect(root, _LARGEST)
        return to_svg(root) if isinstance(root, graphviz.Digraph) else to_svg(root, theme="auto")

    return mimebundle_of(repr(root), svg)
