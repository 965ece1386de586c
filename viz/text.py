"""Turn the graph behind a `Var` into DOT text, which Graphviz lays out and anyone can read or edit.

Values are cards with label, value and gradient; operations stand between them. Nothing here runs a program.
"""

from __future__ import annotations

import html
import importlib
import operator
import re
from typing import Any

import graphviz
from chainrule import Var
from chainrule.primitive import describe

from .picture import Node, Role, collect

DIRECTIONS = ("LR", "RL", "TB", "BT")

INK, QUIET, LINE = "#1f2933", "#5f6b7a", "#8b96a5"

GRAPH = {
    "bgcolor": "#ffffff",  # of its own, so that it can be read on a dark page too
    "nodesep": "0.2",
    "ordering": "in",  # arguments stand in their order: x - y is not y - x
    "pad": "0.2",
    "ranksep": "0.3",
}
NODE = {
    "fontcolor": INK,
    "fontname": "Helvetica,Arial,sans-serif",  # of one width on nearly every machine, so text fits its card
    "fontsize": "12",
    "height": "0",
    "id": r"\N",
    "margin": "0.08,0.03",
    "shape": "box",
    "style": "rounded,filled",
    "width": "0",
}
EDGE = {"arrowsize": "0.6", "color": LINE, "weight": "4"}

# Blue and orange stay apart under every kind of colour blindness; the dashed border needs no colour at all.
CARDS: dict[Role, dict[str, str]] = {
    "input": {"color": "#2f7fb8", "fillcolor": "#e1effa"},
    "constant": {"color": "#b3bcc7", "fillcolor": "#f6f7f9", "fontcolor": QUIET, "style": "rounded,filled,dashed"},
    "step": {"color": LINE, "fillcolor": "#ffffff"},
    "root": {"color": "#d17a00", "fillcolor": "#fff0d9", "penwidth": "1.6"},
}
OPERATION = {"color": "#566373", "fillcolor": "#566373", "fontcolor": "#ffffff"}
CIRCLE = {"fontsize": "14", "height": "0.4", "margin": "0", "shape": "circle", "width": "0.4"}
PILL = {"height": "0.36", "margin": "0.12,0"}  # for symbols that would need a large circle

# Heavier edges are shorter and straighter: a result stands by its operation, constants join from the side.
RESULT, SIDEWAYS = {"weight": "8"}, {"weight": "1"}

_LONGEST_LABEL = 40

# Graphviz shares the width that a long label needs evenly among columns: with more columns than two the
# numbers stay near their names.
_COLUMNS = 9

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """Be a `graphviz.Digraph` that notebooks can show with no ``dot`` on the PATH."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        # Looked up when asked: rendering is built on this module.
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle


def draw(root: Var, *, direction: str = "LR", max_nodes: int = 500) -> graphviz.Digraph:
    """Write the graph below `root` as DOT text.

    Nodes are numbered by their place in the computation, so the same computation gives the same text in
    every run. What comes is a `graphviz.Digraph`: its ``source`` is the text, and nodes, edges and attributes
    can be added before it goes to `render`.

    Args:
        root: the Var whose graph to draw.
        direction: where the computation flows: "LR" for left to right, "RL", "TB" for top to bottom, "BT".
        max_nodes: the largest graph to draw, counted in Vars, constants among them; `ValueError` beyond.

    >>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
    >>> for line in draw(x * y).body:
    ...     if "->" in line:
    ...         print(line.strip())
    v0 -> op2
    v1 -> op2
    op2 -> v2 [weight=8]
    """
    if not isinstance(root, Var):
        raise TypeError(f"draw expected a Var but got {describe('root', root)}")
    if direction not in DIRECTIONS:
        wanted = ", ".join(map(repr, DIRECTIONS))
        raise ValueError(f"draw expected direction to be one of {wanted} but got {describe('direction', direction)}")
    nodes = collect(root, _limit(max_nodes))
    drawing = Drawing(
        f"Computation graph of {len(nodes)} node{'s' * (len(nodes) > 1)}",
        filename="graph.gv",
        graph_attr=GRAPH | {"rankdir": direction},
        node_attr=NODE,
        edge_attr=EDGE,
    )
    for place, node in enumerate(nodes):
        _add(drawing, place, node, nodes)
    return drawing


def _add(drawing: graphviz.Digraph, place: int, node: Node, nodes: list[Node]) -> None:
    """Add a value, and before it the operation that made it."""
    if node.op is not None:
        symbol = node.op.symbol.strip() or node.op.name
        shape = CIRCLE if len(symbol) <= 2 else PILL
        style = OPERATION | shape | {"class": "operation", "tooltip": _tooltip(node.op.name)}
        drawing.node(f"op{place}", f"<{_markup(symbol)}>", _attributes=style)
    style = CARDS[node.role] | {"class": node.role, "tooltip": _tooltip(_sentence(node))}
    drawing.node(f"v{place}", _card(node), _attributes=style)
    if node.op is not None:
        for arg in node.args:
            pull = SIDEWAYS if nodes[arg].role == "constant" else None
            drawing.edge(f"v{arg}", f"op{place}", _attributes=pull)
        drawing.edge(f"op{place}", f"v{place}", _attributes=RESULT)


def _card(node: Node) -> str:
    """Write the HTML-like label of a value: its name, then its number, or rows of value and gradient."""
    rows = []
    spanned = 1 if node.role == "constant" else _COLUMNS
    if node.label and not node.label.isspace():
        rows.append(_cell(f"<b>{_markup(node.label)}</b>", spanned))
    if node.role == "constant":
        rows.append(_cell(_number(node.value)))
    else:
        grad = _quiet("—") if node.grad is None else _number(node.grad)
        rows.append(_cell(_quiet("value")) + _cell(_number(node.value), spanned - 1))
        rows.append(_cell(_quiet("grad")) + _cell(grad, spanned - 1))
    lines = "".join([f"<tr>{row}</tr>" for row in rows])
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{lines}</table>>'


def _cell(content: str, columns: int = 1) -> str:
    span = f' colspan="{columns}"' if columns > 1 else ""
    return f'<td align="left" balign="left"{span}>{content}</td>'


def _quiet(text: str) -> str:
    return f'<font color="{QUIET}">{text}</font>'


def _sentence(node: Node) -> str:
    """Say in full what the card shows rounded and cut."""
    name = f"{node.label}: " if node.label else ""
    if node.role == "constant":
        return f"{name}constant {node.value!r}"
    return f"{name}value {node.value!r}, " + ("no gradient yet" if node.grad is None else f"gradient {node.grad!r}")


def _number(x: float) -> str:
    return f"{x:.6g}"


def _markup(label: str) -> str:
    """Write a user's label inside an HTML-like label, where it shows as it is."""
    if len(label) > _LONGEST_LABEL:
        label = label[: _LONGEST_LABEL - 1] + "…"
    # Graphviz replaces \N, \G and others by names even here, and even written as &#92;N.
    return html.escape(_printable(label)).replace("\\", "\\\\").replace("\n", "<br/>")


def _tooltip(text: str) -> str:
    """Write text as a tooltip, in which Graphviz reads backslashes twice over."""
    quoted: str = graphviz.nohtml(html.escape(_printable(text)).replace("\\", "\\" * 4))
    return quoted


def _printable(text: str) -> str:
    """Spell out the characters that XML cannot hold, and let every kind of line break be one."""
    text = "\n".join(text.splitlines()).replace("\t", "    ")
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _limit(max_nodes: Any) -> int:
    try:
        limit = operator.index(max_nodes)
    except TypeError:
        raise TypeError(
            f"draw expected max_nodes as a whole number but got {describe('max_nodes', max_nodes)}"
        ) from None
    if limit < 1:
        raise ValueError(f"draw expected max_nodes of at least 1 but got {describe('max_nodes', max_nodes)}")
    return limit
