"""Write a page on which a learner steps through the forward and the backward pass of a graph, node by node."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import graphviz
from chainrule import GraphError, Primitive, Var
from chainrule.data import whole_number, write_whole
from chainrule.errors import describe
from chainrule.graph import walk

from ..drawing import (
    Arrow,
    Frame,
    Shape,
    UnitPath,
    argument_order,
    gather,
    labelled_units,
    order_of,
    pairs_arguments,
    placed,
    to_svg,
)
from ..formulas import Script, is_symbol, left_to_right, number
from .javascript import library
from .page import json_number, page_target, part, to_page
from .templates import Template, rule_templates, text_template

_NAME_ON_CARD = 15
_FONT, _FIXED = "Helvetica,Arial,sans-serif", {"fixedsize": "true"}

_SCRIPTS = ("numbers.js", "passes.js", "steps.js")


@dataclass(slots=True)
class Node:
    """What the page shows of one value.

    Args:
        name: what it is called in formulas; a constant without a name is called by its number.
        value: its number.
        wanted: whether gradients flow to it.
        editable: whether the page offers to change it.
        operation: what made it; None for a leaf.
        symbol: how drawings show the operation.
        args: the places of its arguments in the list of nodes.
        partials: the derivative by each argument.
        text: the operation as a template.
        rules: the formula of each partial as a template; None where it is but a number.
    """

    name: str
    value: float
    wanted: bool
    editable: bool = False
    operation: Primitive | None = None
    symbol: str = ""
    args: list[int] = field(default_factory=list)
    partials: list[float] = field(default_factory=list)
    text: Template = field(default_factory=list)
    rules: list[Template | None] = field(default_factory=list)

    @property
    def key(self) -> str | None:
        """The operation and its number of arguments, as `library` names them; None for a leaf."""
        return None if self.operation is None else f"{self.operation.name}/{len(self.args)}"


def explain(root: Var, path: str | os.PathLike[str] = "steps.html", max_nodes: int = 300) -> Path:
    """Write a page that explains how `root` and its gradients are computed, and return its path.

    The page is one HTML file that needs no network. Arrow keys, buttons or a slider step through it; leaves can be
    given other numbers, and everything is computed again in the page, by the same rules. An operation that cannot
    be computed there (a custom one, say) leaves the steps and takes the editing; the page says so.

    Args:
        root: the Var to explain; it must require a gradient, else `GraphError` is raised.
        path: where to write, ending in ``.html``; folders that are missing are made. The file is there whole or not
            at all.
        max_nodes: the largest graph to explain, counted in values, constants among them; `ValueError` beyond.

    >>> import tempfile
    >>> x = Var(2.0, label="x")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     explain(x * x.exp(), f"{folder}/steps.html").name
    'steps.html'
    """
    if not isinstance(root, Var):
        raise TypeError(f"explain expected a Var but got {describe('root', root)}")
    target = page_target("explain", path)
    page = to_html(root, max_nodes)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, page.encode())
    return target


def to_html(root: Var, max_nodes: int = 300) -> str:
    """Return the page that `explain` writes; errors are the same.

    >>> to_html(Var(1.0) + 1)[:15]
    '<!doctype html>'
    """
    if not root.requires_grad:
        raise GraphError(
            f"explain expected a Var that requires grad but got {root!r}; it was computed from constants only, "
            "detached, or made inside no_grad()"
        )
    limit = whole_number("explain", "max_nodes", max_nodes)
    vars_below = left_to_right(root)
    nodes, place = _collect(root, vars_below)
    if len(nodes) > limit:
        raise ValueError(
            f"explain expected a graph of at most {limit} nodes but got {len(nodes):,} below {describe('root', root)}; "
            "explain a part of it, or raise the limit with max_nodes="
        )
    rows = {(var.op, len(var.args)): None for var in vars_below if var.op is not None}
    program, missing = library(rows)
    locked = None
    if missing:
        names = " and ".join(missing) if len(missing) < 3 else ", ".join(missing)
        verb = "is an operation" if len(missing) == 1 else "are operations"
        locked = f"Numbers cannot be changed on this page: {names} {verb} it cannot compute again."
    # The order in which backward adds, so that sums are the same to the last digit.
    backwards = [place[id(var)] for var in reversed(walk(root)) if var.op is not None]
    data = {"locked": locked, "nodes": [_plain(node) for node in nodes], "backwards": backwards}
    name = html.escape(nodes[-1].name)
    return to_page(
        title=f"{name}, step by step",
        heading=f'How <span class="name">{name}</span> and its gradients are computed',
        thing="step",
        body=_BODY.format(picture=to_svg(_picture(nodes, *_frames(root, vars_below, place, nodes)))),
        style=part("steps.css"),
        data=data,
        script="\n".join([program if not missing else "const rows = {};", *map(part, _SCRIPTS)]),
    )


_BODY = """<section id="told" aria-live="polite" aria-atomic="true"></section>
<section id="graph" tabindex="0" aria-label="The graph; the current step is outlined">{picture}</section>
<section id="leaves" aria-label="Inputs"></section>"""


def _collect(root: Var, below: list[Var]) -> tuple[list[Node], dict[int, int]]:
    """List the values below `root`, arguments before results, and the place of each Var by id."""
    script = Script(root, below, named={id(var) for var in below}, result="L")
    nodes: list[Node] = []
    place: dict[int, int] = {}
    for var in below:
        args = []
        for arg in var.args:
            if type(arg) is not Var:
                nodes.append(Node(number(arg, digits=6).text, arg, wanted=False))
                args.append(len(nodes) - 1)
            else:
                args.append(place[id(arg)])
        named = is_symbol(var)
        name = script.names[id(var)] if named else number(var.value, digits=6).text
        node = Node(name, var.value, var.requires_grad, editable=named and var.op is None, args=args)
        if var.op is not None:
            node.operation, node.symbol = var.op, var.op.symbol.strip() or var.op.name
            node.partials = list(var.partials)
            node.text = text_template(var.op, len(args))
            numbers = [arg.value if type(arg) is Var else arg for arg in var.args]
            node.rules = rule_templates(var.op, var.value, numbers, list(map(is_symbol, var.args)), var.partials)
        place[id(var)] = len(nodes)
        nodes.append(node)
    return nodes, place


def _picture(nodes: list[Node], frames: dict[UnitPath, Frame], owners: list[UnitPath | None]) -> graphviz.Digraph:
    """Lay out the graph with cards of one size; the page fills in names and numbers."""
    shapes: list[Shape] = []
    arrows: list[Arrow] = []
    for place, node in enumerate(nodes):
        pairs = pairs_arguments(node.operation)
        if node.operation is not None:
            wide = str(max(0.42, 0.1 * len(node.symbol) + 0.25))
            ellipse = {
                "shape": "ellipse",
                "style": "rounded",
                "width": wide,
                "height": "0.42",
                "class": "operation",
                "id": f"op{place}",
            }
            order = order_of(node.operation, len(node.args))
            shapes.append(Shape(f"op{place}", "o", _FIXED | ellipse | order, owners[place], place))
        if node.key is None and not node.editable and not node.wanted:
            label, kind = "1", "number"
            size = {"width": str(max(0.4, 0.1 * len(node.name) + 0.1)), "height": "0.3"}
        else:
            label, size = r"n\nv\ng", {"width": "1.5", "height": "0.75"}
            kind = "result" if place == len(nodes) - 1 else "input" if node.key is None else "step"
        style = _FIXED | {"shape": "box", "style": "rounded", "id": f"v{place}", "class": kind} | size
        shapes.append(Shape(f"v{place}", label, style, owners[place], place, aside=kind == "number"))
        orders = argument_order(node.operation, len(node.args))
        for arg in dict.fromkeys(node.args):
            for k, other in enumerate(node.args):
                if other == arg:
                    name = {"id": f"a{place}.{k}"}
                    arrows.append(Arrow(f"v{arg}", f"op{place}", name, orders[k], pairs=pairs))
        if node.key is not None:
            arrows.append(Arrow(f"op{place}", f"v{place}", {"id": f"r{place}", "weight": "8"}))
    fixed = placed(shapes, arrows, frames, "LR")
    layout = {"layout": "nop2"} if fixed else {"nodesep": "0.15", "rankdir": "LR", "ranksep": "0.25"}
    picture = graphviz.Digraph(
        "Computation graph",
        graph_attr={"bgcolor": "transparent", "fontname": _FONT, "fontsize": "11"} | layout,
        node_attr={"fontname": _FONT, "fontsize": "12", "margin": "0"},
        edge_attr={"arrowsize": "0.6"},
    )
    if fixed:
        drawn = {
            path: graphviz.Digraph(f"cluster {k}", graph_attr=frame.style)
            for k, (path, frame) in enumerate(frames.items())
        }
        for path in sorted(frames, key=len, reverse=True):
            (drawn[path[:-1]] if path else picture).subgraph(drawn[path])
    for shape in shapes:
        picture.node(shape.name, shape.label, _attributes=shape.style)
    for arrow in arrows:
        picture.edge(arrow.tail, arrow.head, _attributes=arrow.style)
    return picture


def _frames(
    root: Var, below: list[Var], place: dict[int, int], nodes: list[Node]
) -> tuple[dict[UnitPath, Frame], list[UnitPath | None]]:
    """Return the frames of the layers and neurons of `nn` in a graph, and the one that each node is in."""
    picture = gather(root)
    units = labelled_units(picture)
    owners: list[UnitPath | None] = [None] * len(nodes)
    frames: dict[UnitPath, Frame] = {}
    if units is None:
        return frames, owners
    for var in below:
        owners[place[id(var)]] = path = units.owner[picture.places[id(var)]]
        for around in [path[:length] for length in range(len(path) + 1)] if path is not None else ():
            order = next(k for k, own in enumerate(units.parameters) if own[: len(around)] == around)
            frames[around] = Frame({"label": units.title(around), "style": "rounded", "labeljust": "l"}, order)
    for own, node in zip(owners, nodes, strict=True):
        for arg in node.args:
            if nodes[arg].operation is None and not nodes[arg].wanted and not nodes[arg].editable:
                owners[arg] = own  # a number belongs to its user
    return frames, owners


def _plain(node: Node) -> dict[str, Any]:
    """Return a node as JSON-compatible data, with infinities and nan as text."""
    short = node.name if len(node.name) <= _NAME_ON_CARD else node.name[: _NAME_ON_CARD - 1] + "…"
    return {
        "name": node.name,
        "short": short,
        "value": json_number(node.value),
        "wanted": node.wanted,
        "editable": node.editable,
        "key": node.key,
        "symbol": node.symbol,
        "args": node.args,
        "partials": [json_number(partial) for partial in node.partials],
        "text": node.text,
        "rules": node.rules,
    }
