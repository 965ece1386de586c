"""Turn the graph behind a `Var` into DOT text, which Graphviz lays out and anyone can read or edit.

Values are cards with label, value and gradient; operations stand between them. Nothing here runs a program.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import graphviz
from chainrule import Primitive
from chainrule.data import whole_number
from chainrule.errors import describe

from ..theme import THEMES, Scale, Theme
from .cards import (
    again_label,
    caption,
    card,
    explain_paths,
    fallback,
    markup,
    partial_label,
    rest_card,
    sentence,
    symbol_of,
    tooltip,
    unit_card,
)
from .folding import LEVELS, Box, Folding, boxes, fold, takes_any_order
from .highlight import Paths, find_start, follow
from .layout import laid_out, mimebundle_of
from .picture import Picture, collector_paused, gather
from .ranks import far_uses
from .units import Path, Units, labelled_units, units_of

DIRECTIONS = {"LR": "left to right", "RL": "right to left", "TB": "top to bottom", "BT": "bottom to top"}
SHOWN = ("label", "value", "grad", "partials")

GRAPH = {
    "nodesep": "0.2",
    "pad": "0.2",
    "ranksep": "0.3",
}
NODE = {
    "fontname": "Helvetica,Arial,sans-serif",  # of one width on nearly every machine, so text fits its card
    "fontsize": "12",
    "height": "0",
    "id": r"\N",
    "margin": "0.08,0.03",
    "shape": "box",
    "style": "rounded,filled",
    "width": "0",
}
EDGE = {"arrowsize": "0.6", "weight": "4"}
CIRCLE = {"fontsize": "14", "height": "0.4", "margin": "0", "shape": "circle", "width": "0.4"}

PILL = {"height": "0.36", "margin": "0.12,0"}  # for symbols that would need a large circle
FOLDED = {"style": "filled", "peripheries": "2"}

# Heavier edges are shorter and straighter: a result stands by its operation, constants join from the side.
RESULT, SIDEWAYS = {"weight": "8"}, {"weight": "1"}

_MOST_LABELLED = 100  # arrows of a folded picture

# What enters a frame starts to the left of everything in it, so that layers stand in a row.
INTO_FRAME = {"minlen": "2"}


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that notebooks can show without ``dot`` on the PATH."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        return mimebundle_of(repr(self), lambda: laid_out(self, "svg").decode())


def draw(
    root: Any,
    *,
    direction: str = "LR",
    show: Collection[str] = SHOWN,
    collapse: str | None = "auto",
    highlight: Any = None,
    max_nodes: int = 500,
    theme: str = "light",
    module: Any = None,
) -> graphviz.Digraph:
    """Write the graph below `root` as DOT text.

    Nodes are numbered by their place in the computation, so the same computation gives the same text in
    every run. What comes is a `graphviz.Digraph`: its ``source`` is the text, and nodes, edges and attributes
    can be added before it goes to `render`.

    Args:
        root: the Var whose graph to draw; or a `Program`, or a compiled function. In a program a loop is one box;
            what it runs is a program, too, and drawn by ``draw(program.steps[k].op.body)``.
        direction: where the computation flows: "LR" for left to right, "RL", "TB" for top to bottom, "BT".
        show: what to write: any of "label", "value", "grad", and "partials", the local derivatives, at the edges.
        collapse: "neuron", "layer" or "module" folds each of these parts of a model to one node with counts. A
            graph that is then still above `max_nodes` is folded further, and says so: rows of like operations to
            one, equal parts to one with their number, at last all that is far from the root. None folds nothing.
        highlight: a Var of the graph, or a label: marks every path from it to the root, and tells the product of
            the partials along each path where there are at most 8.
        max_nodes: the largest graph to draw in full, counted in Vars, constants among them. An input that is used far
            from its first user is drawn again there, as a small dashed box; so are results where many are used so.
        theme: "light" or "dark".
        module: a model whose parameters are in the graph: its layers and neurons are framed and named. Those of
            `nn` are found without it, by their labels, unless two models with the same labels are in the graph.

    Errors: `TypeError` and `ValueError` for options that are none of these; `ValueError` for a graph above
    `max_nodes` with `collapse` None.

    >>> from chainrule import Var
    >>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
    >>> for line in draw(x * y, show=("label", "value")).body:
    ...     if "->" in line:
    ...         print(line.strip())
    v0 -> op2
    v1 -> op2
    op2 -> v2 [weight=8]
    """
    if direction not in tuple(DIRECTIONS):
        wanted = ", ".join(map(repr, DIRECTIONS))
        raise ValueError(f"draw expected direction to be one of {wanted} but got {describe('direction', direction)}")
    colours = THEMES.get(theme) if isinstance(theme, str) else None
    if colours is None:
        raise ValueError(f"draw expected theme to be 'light' or 'dark' but got {describe('theme', theme)}")
    shown = _shown(show)
    most = whole_number("draw", "max_nodes", max_nodes)
    level = _level(collapse)
    with collector_paused():
        picture = gather(root)
        if not picture.has_numbers:
            shown -= {"value", "grad", "partials"}
        if not collapse and len(picture.nodes) > most:
            raise ValueError(
                f"draw expected a graph of at most {most} nodes but got {len(picture.nodes)} below "
                f"{describe('root', root)}; leave out collapse={collapse!r} to fold it, or raise the limit with "
                "max_nodes="
            )
        units = labelled_units(picture) if module is None else units_of(picture, module)
        if level and units is None:
            raise ValueError(
                f"draw expected the model in module= to fold by collapse={collapse!r}, since no parameters with nn's "
                "labels, such as w1[1,1] and b1[1], are in the graph; or use collapse='auto'"
            )
        paths = None if highlight is None else follow(picture, find_start(picture, highlight))
        alone = list(range(len(picture.nodes)))
        folding = fold(picture, most, level, units) if collapse else Folding(alone, alone, {})
        return _Writer(picture, folding, units, paths, shown, colours).write(direction, highlight)


def order_of(operation: Primitive, arguments: int) -> dict[str, str]:
    """Return the style that keeps an operation's arguments in order: x - y is not y - x.

    Where the order says nothing, arrows need not go round cards to keep it.
    """
    return {"ordering": "in"} if arguments > 1 and not takes_any_order(operation) else {}


class _Writer:
    """Write one picture; holds what all of its parts need."""

    def __init__(
        self,
        picture: Picture,
        folding: Folding,
        units: Units | None,
        paths: Paths | None,
        shown: set[str],
        theme: Theme,
    ) -> None:
        self.picture, self.units, self.paths, self.shown, self.theme = picture, units, paths, shown, theme
        self.words = folding.words
        self.boxes = boxes(picture, folding, units, paths)
        if len(self.boxes) < len(picture.nodes) and sum([len(box.args) for box in self.boxes]) > _MOST_LABELLED:
            self.shown = shown - {"partials"}  # nobody reads a hundred numbers at lines that cross
        self.apart = far_uses(self.boxes)
        spans = [box.grads for box in self.boxes if box.grads is not None]
        grads = [grad for span in spans for grad in (span.low, span.high, span.strongest)]
        self.scale = Scale(theme, grads) if grads and "grad" in shown else None
        self.ends: list[str] = []  # the DOT name from which the edges of each box start

    def write(self, direction: str, highlight: Any) -> graphviz.Digraph:
        theme, count = self.theme, len(self.picture.nodes)
        lines = []
        if self.words:
            lines.append(f"{count:,} nodes, folded to {len(self.boxes):,}: {self.words}.")
        if self.apart:
            lines.append("A small dashed box stands for a value that is far away, so that no arrow crosses all others.")
        if self.paths is not None:
            name = highlight if isinstance(highlight, str) else highlight.label or "the highlighted value"
            lines += explain_paths(self.picture, self.paths, name)
        below = caption(lines, self.scale, theme)
        about = {"label": below, "labelloc": "b", "labeljust": "l"} if below else {}
        inputs = sum(node.role == "input" for node in self.picture.nodes)
        described = [f"Computed {DIRECTIONS[direction]} from {inputs:,} input{'' if inputs == 1 else 's'}.", *lines]
        drawing = Drawing(
            f"Computation graph of {count} node{'s' * (count > 1)}",
            filename="graph.gv",
            graph_attr=GRAPH
            | {"bgcolor": theme.background, "fontcolor": theme.ink, "fontname": NODE["fontname"], "fontsize": "11"}
            | {"rankdir": direction, "tooltip": tooltip(" ".join(described))}
            | about,
            node_attr=NODE | {"fontcolor": theme.ink},
            edge_attr=EDGE
            | {"color": theme.line, "fontcolor": theme.quiet, "fontname": NODE["fontname"], "fontsize": "10"},
        )
        frames: dict[Path, graphviz.Digraph] = {}
        edges: list[tuple[str, str, dict[str, str] | None]] = []
        for box in self.boxes:
            edges += self._add(self._frame(box, drawing, frames), box)
        self._nest(drawing, frames, upwards=direction in ("LR", "RL"))
        for tail, head, style in edges:
            drawing.edge(tail, head, _attributes=style)
        return drawing

    def _nest(self, drawing: graphviz.Digraph, frames: dict[Path, graphviz.Digraph], upwards: bool) -> None:
        """Nest frames inside one another, in the model's order.

        With `upwards` Graphviz lays the parts of a frame out from the bottom to the top, but for folded ones.
        """
        if self.units is None:
            return
        known = list(self.units.parameters)
        place = {path: next(k for k, own in enumerate(known) if own[: len(path)] == path) for path in frames}
        folded = {box.path[:-1] for box in self.boxes if box.kind == "unit" and box.path}
        for path in frames.keys() - folded:
            if upwards:
                frames[path].body.reverse()
        for path in sorted(frames, key=lambda path: (-len(path), -place[path] if upwards else place[path])):
            (frames[path[:-1]] if path else drawing).subgraph(frames[path])

    def _frame(self, box: Box, drawing: graphviz.Digraph, frames: dict[Path, graphviz.Digraph]) -> graphviz.Digraph:
        """Return the part of the drawing that a box belongs to: the frame of its unit, or the drawing itself."""
        if self.units is None or box.path is None or box.kind == "rest":
            return drawing
        depth = len(box.path) - (box.kind == "unit")
        for length in range(depth + 1):
            path = box.path[:length]
            if path not in frames:
                title = self.units.title(path)
                frames[path] = graphviz.Digraph(
                    f"cluster {len(frames)}",
                    graph_attr={
                        "bgcolor": self.theme.cluster,
                        "color": self.theme.line,
                        "label": f"<{markup(title)}>",
                        "labelloc": "t",
                        "labeljust": "l",
                        "style": "rounded",
                        "tooltip": tooltip(f"{title}: {len(self.units.within(path))} parameters"),
                    },
                )
        return frames[box.path[:depth]] if depth >= 0 else drawing

    def _add(self, drawing: graphviz.Digraph, box: Box) -> list[tuple[str, str, dict[str, str] | None]]:
        """Add a box, preceded by the operation that made it; return the edges that lead there."""
        node, lit = box.node, {"color": self.theme.path, "penwidth": "2.4"} if box.lit else {}
        entry = end = f"v{box.place}"
        if box.kind != "value":
            self.ends.append(end)
            assert self.units is not None or box.kind == "rest"
            quiet = self._quiet(box)
            text = (
                rest_card(box, quiet) if self.units is None or box.kind == "rest" else unit_card(box, self.units, quiet)
            )
            style = self.theme.cards["step"] | FOLDED | self._fill(box) | lit
            drawing.node(
                end,
                text,
                _attributes=style | {"class": box.kind, "tooltip": tooltip(sentence(box, self.picture.has_numbers))},
            )
            return self._edges(drawing, box, entry)
        label = card(box, self.shown, self._quiet(box))
        if label is None and node.op is None:
            label = f"<{fallback(box)}>"
        if node.op is not None:
            entry, symbol = f"op{box.place}", symbol_of(box)
            end = end if label else entry
            style = self.theme.operation | (CIRCLE if len(symbol) <= 2 else PILL)
            style |= order_of(node.op, len(box.args))
            style |= {"class": "operation", "tooltip": tooltip(node.op.name)} | lit
            if node.role == "root" and not label:
                style |= self.theme.cards["root"] | {"fontcolor": self.theme.ink}
            drawing.node(entry, f"<{markup(symbol)}>", _attributes=style)
        if label:
            style = self.theme.cards[node.role] | self._fill(box) | lit
            if box.times > 1:
                style |= {"peripheries": "2"}
            drawing.node(
                end,
                label,
                _attributes=style | {"class": node.role, "tooltip": tooltip(sentence(box, self.picture.has_numbers))},
            )
        self.ends.append(end)
        edges = self._edges(drawing, box, entry)
        if end != entry:
            edges.append((entry, end, RESULT | lit))
        return edges

    def _edges(self, drawing: graphviz.Digraph, box: Box, entry: str) -> list[tuple[str, str, dict[str, str] | None]]:
        """Return the edges into a box; a distant input is drawn again."""
        edges = []
        own = len(self.ends) - 1
        around = box.path if box.kind == "value" and box.path else ()
        for position, (arg, span, bright) in enumerate(box.args):
            source = self.boxes[arg]
            style: dict[str, str] = {}
            # In a folded part that uses itself again, an argument may come later than its use.
            tail = self.ends[arg] if arg < len(self.ends) else f"v{source.place}"
            if (arg, own) in self.apart:
                tail = f"{tail}for{box.place}.{position}"
                again = self.theme.cards[source.node.role] | {"style": "rounded,filled,dashed", "class": "again"}
                told = {"tooltip": tooltip(sentence(source, self.picture.has_numbers))}
                drawing.node(tail, again_label(source), _attributes=again | told)
            elif (source.path or ())[: len(around)] != around:
                style |= INTO_FRAME
            if source.kind == "value" and source.node.role == "constant":
                style |= SIDEWAYS
            if span is not None and "partials" in self.shown:
                style["label"] = partial_label(span)
            if bright:
                style |= {"color": self.theme.path, "fontcolor": self.theme.path, "penwidth": "2.4"}
            edges.append((tail, entry, style or None))
        return edges

    def _fill(self, box: Box) -> dict[str, str]:
        if self.scale is None or box.grads is None:
            return {}
        return {"fillcolor": self.scale.fill(box.grads.strongest)}

    def _quiet(self, box: Box) -> str:
        """Return the colour of secondary text; on a coloured box, that of other text."""
        return self.theme.quiet if not self._fill(box) else self.theme.ink


def _shown(show: Any) -> set[str]:
    names = set(show) if isinstance(show, Collection) and not isinstance(show, str) else None
    if names is None or not names <= set(SHOWN):
        wanted = ", ".join(map(repr, SHOWN))
        raise ValueError(f"draw expected show to be a tuple of {wanted} but got {describe('show', show)}")
    return names


def _level(collapse: Any) -> str | None:
    """Return the level of the model that is folded in any case."""
    if collapse is None or collapse is False or collapse == "auto":
        return None
    if collapse not in tuple(LEVELS):
        wanted = ", ".join(map(repr, ["auto", *LEVELS]))
        raise ValueError(
            f"draw expected collapse to be one of {wanted} or None but got {describe('collapse', collapse)}"
        )
    return str(collapse)
