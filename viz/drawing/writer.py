"""Write the boxes of a picture as DOT text: cards, operations, arrows and frames, with places where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import graphviz
from chainrule import Primitive
from chainrule.data import write_whole

from ..theme import Scale, Theme
from .cards import (
    again_label,
    caption,
    card,
    explain_paths,
    fallback,
    markup,
    partial_label,
    partial_sentence,
    rest_card,
    sentence,
    symbol_of,
    tooltip,
    unit_card,
)
from .folding import Box, Folding, argument_order, boxes, pairs_arguments, takes_any_order
from .highlight import Paths
from .layout import laid_out, mimebundle_of
from .picture import Picture
from .placing import Arrow, Frame, Shape, give_room, placed
from .ranks import far_uses
from .units import UnitPath, Units

DIRECTIONS = {"LR": "left to right", "RL": "right to left", "TB": "top to bottom", "BT": "bottom to top"}

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

DOT = {"fixedsize": "true", "fontsize": "32"}  # a sign that is hard to see
PILL = {"height": "0.36", "margin": "0.12,0"}  # for symbols that would need a large circle
FOLDED = {"style": "filled", "peripheries": "2"}

# Heavier edges are shorter and straighter: a result stands by its operation, constants join from the side.
RESULT, SIDEWAYS = {"weight": "8"}, {"weight": "1"}

_MOST_LABELLED = 100  # arrows of a folded picture

# What enters a frame starts to the left of everything in it, so that layers stand in a row.
INTO_FRAME = {"minlen": "2"}


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that is shown and written without ``dot`` on the PATH, too."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        return mimebundle_of(repr(self), lambda: laid_out(self, "svg").decode())

    def pipe(self, format: str | None = None, *, encoding: str | None = None, **options: Any) -> bytes | str:
        """Return the picture, as `graphviz.Digraph.pipe` does; errors are those of `chainrule.viz.render`."""
        try:
            return cast(bytes | str, super().pipe(format, encoding=encoding, **options))
        except graphviz.ExecutableNotFound as error:
            _check_simple(error, options)
        picture = laid_out(self, format or self.format)
        return picture if encoding is None else picture.decode(encoding)

    def render(
        self,
        filename: Any = None,
        directory: Any = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *,
        outfile: Any = None,
        **options: Any,
    ) -> str:
        """Write text and picture, as `graphviz.Digraph.render` does; errors are those of `chainrule.viz.render`."""
        target = None if outfile is None else Path(self.directory if directory is None else "", outfile)
        named = {"directory": directory, "view": view, "cleanup": cleanup, "format": format, "outfile": outfile}
        try:
            return str(super().render(filename, **named, **options))
        except graphviz.ExecutableNotFound as error:
            _check_simple(error, options)
        text = Path(self.filepath)  # written already
        kind = format or (target.suffix[1:].lower() if target is not None else self.format)
        target = target or text.with_name(f"{text.name}.{kind}")
        write_whole(target, laid_out(self, kind))
        if cleanup:
            text.unlink()
        if view or options.get("quiet_view"):
            graphviz.view(str(target), quiet=bool(options.get("quiet_view")))
        return str(target)


def _check_simple(error: graphviz.ExecutableNotFound, options: dict[str, Any]) -> None:
    """Raise the error that a program of Graphviz is missing where an option asks for one."""
    asked = [name for name in ("engine", "renderer", "formatter", "neato_no_op") if options.get(name) is not None]
    if asked:
        error.add_note(f"{', '.join(asked)} needs it; viz.render(drawing, 'graph.svg') does not")
        raise error


def order_of(operation: Primitive, arguments: int) -> dict[str, str]:
    """Return the style that keeps an operation's arguments in order: x - y is not y - x.

    Where the order says nothing, arrows need not go round cards to keep it.
    """
    return {"ordering": "in"} if arguments > 1 and not takes_any_order(operation) else {}


class Writer:
    """Write one picture; holds what all of its parts need."""

    def __init__(
        self,
        picture: Picture,
        folding: Folding,
        units: Units | None,
        paths: Paths | None,
        shown: set[str],
        theme: Theme,
        digits: int,
    ) -> None:
        self.picture, self.units, self.paths, self.shown, self.theme = picture, units, paths, shown, theme
        self.words, self.digits = folding.words, digits
        self.boxes = boxes(picture, folding, units, paths)
        if len(self.boxes) < len(picture.nodes) and sum([len(box.args) for box in self.boxes]) > _MOST_LABELLED:
            self.shown = shown - {"partials"}  # nobody reads a hundred numbers at lines that cross
        self.apart = far_uses(self.boxes)
        spans = [box.grads for box in self.boxes if box.grads is not None]
        grads = [grad for span in spans for grad in (span.low, span.high, span.strongest)]
        self.scale = Scale(theme, grads) if grads and "grad" in shown else None
        self.ends: list[str] = []  # the DOT name from which the edges of each box start
        self.shapes: list[Shape] = []
        self.arrows: list[Arrow] = []
        self.frames: dict[UnitPath, Frame] = {}

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
        for number, box in enumerate(self.boxes):
            self._add(number, box)
        fixed = placed(self.shapes, self.arrows, self.frames, direction)
        for shape in self.shapes if not fixed else ():
            give_room(shape)
        drawing = Drawing(
            f"Computation graph of {count} node{'s' * (count > 1)}",
            filename="graph.gv",
            graph_attr=GRAPH
            | {"bgcolor": theme.background, "fontcolor": theme.ink, "fontname": NODE["fontname"], "fontsize": "11"}
            | ({"layout": "nop2"} if fixed else {"rankdir": direction})
            | {"tooltip": tooltip(" ".join(described))}
            | about,
            node_attr=NODE | {"fontcolor": theme.ink},
            edge_attr=EDGE
            | {"color": theme.line, "fontcolor": theme.quiet, "fontname": NODE["fontname"], "fontsize": "10"},
        )
        drawn = {
            path: graphviz.Digraph(f"cluster {k}", graph_attr=frame.style)
            for k, (path, frame) in enumerate(self.frames.items())
        }
        for shape in self.shapes:
            part = drawing if shape.frame is None else drawn[shape.frame]
            part.node(shape.name, shape.label, _attributes=shape.style)
        self._nest(drawing, drawn, upwards=direction in ("LR", "RL") and not fixed)
        for arrow in self.arrows:
            drawing.edge(arrow.tail, arrow.head, _attributes=arrow.style or None)
        return drawing

    def _nest(self, drawing: graphviz.Digraph, frames: dict[UnitPath, graphviz.Digraph], upwards: bool) -> None:
        """Nest frames inside one another, in the model's order.

        With `upwards` Graphviz lays the parts of a frame out from the bottom to the top, but for folded ones.
        """
        if self.units is None:
            return
        place = self._places(frames)
        folded = {box.path[:-1] for box in self.boxes if box.kind == "unit" and box.path}
        for path in frames.keys() - folded:
            if upwards:
                frames[path].body.reverse()
        for path in sorted(frames, key=lambda path: (-len(path), -place[path] if upwards else place[path])):
            (frames[path[:-1]] if path else drawing).subgraph(frames[path])

    def _places(self, paths: Sequence[UnitPath] | dict[UnitPath, Any]) -> dict[UnitPath, int]:
        """Return the place of each unit in the model's order."""
        assert self.units is not None
        known = list(self.units.parameters)
        return {path: next(k for k, own in enumerate(known) if own[: len(path)] == path) for path in paths}

    def _frame(self, box: Box) -> UnitPath | None:
        """Return the frame that a box belongs to, and note it; None for the drawing itself."""
        if self.units is None or box.path is None or box.kind == "rest":
            return None
        depth = len(box.path) - (box.kind == "unit")
        for length in range(depth + 1):
            path = box.path[:length]
            if path not in self.frames:
                title = self.units.title(path)
                style = {
                    "bgcolor": self.theme.cluster,
                    "color": self.theme.line,
                    "label": f"<{markup(title)}>",
                    "labelloc": "t",
                    "labeljust": "l",
                    "style": "rounded",
                    "tooltip": tooltip(f"{title}: {len(self.units.within(path))} parameters"),
                }
                self.frames[path] = Frame(style, self._places([path])[path])
        return box.path[:depth] if depth >= 0 else None

    def _add(self, number: int, box: Box) -> None:
        """Add a box, preceded by the operation that made it, and the edges that lead there."""
        node, lit = box.node, {"color": self.theme.path, "penwidth": "2.4"} if box.lit else {}
        frame = self._frame(box)
        entry = end = f"v{box.place}"
        told = tooltip(sentence(box, self.picture.has_numbers))
        if box.kind != "value":
            self.ends.append(end)
            quiet = self._quiet(box)
            if self.units is None or box.kind == "rest":
                text = rest_card(box, quiet)
            else:
                text = unit_card(box, self.units, quiet)
            style = self.theme.cards["step"] | FOLDED | self._fill(box) | lit | {"class": box.kind, "tooltip": told}
            order = 0 if box.kind == "rest" or not box.path else 1 + self._places([box.path])[box.path]
            self.shapes.append(Shape(end, text, style, frame, number, order=order))
            self._edges(box, entry, frame)
            return
        label = card(box, self.shown, self._quiet(box), self.digits)
        if label is None and node.op is None:
            label = f"<{fallback(box)}>"
        if node.op is not None:
            entry, symbol = f"op{box.place}", symbol_of(box)
            end = end if label else entry
            style = self.theme.operation | (CIRCLE if len(symbol) <= 2 else PILL) | (DOT if symbol == "·" else {})
            style |= order_of(node.op, len(box.args))
            style |= {"class": "operation", "tooltip": tooltip(node.op.name)} | lit
            if node.role == "root" and not label:
                style |= self.theme.cards["root"] | {"fontcolor": self.theme.ink}
            self.shapes.append(Shape(entry, f"<{markup(symbol)}>", style, frame, number))
        if label:
            style = self.theme.cards[node.role] | self._fill(box) | lit
            if box.times > 1:
                style |= {"peripheries": "2"}
            aside = node.role == "constant" and node.label is None and box.times == 1
            style |= {"class": node.role, "tooltip": told}
            self.shapes.append(Shape(end, label, style, frame, number, aside=aside))
        self.ends.append(end)
        self._edges(box, entry, frame)
        if end != entry:
            self.arrows.append(Arrow(entry, end, RESULT | lit))

    def _edges(self, box: Box, entry: str, frame: UnitPath | None) -> None:
        """Add the edges into a box; a distant input is drawn again."""
        own = len(self.ends) - 1
        around = box.path if box.kind == "value" and box.path else ()
        pairs = box.times == 1 and pairs_arguments(box.node.op)
        orders = argument_order(box.node.op if pairs else None, len(box.args))
        for position, (arg, span, bright) in enumerate(box.args):
            source = self.boxes[arg]
            style: dict[str, str] = {}
            # In a folded part that uses itself again, an argument may come later than its use.
            tail = self.ends[arg] if arg < len(self.ends) else f"v{source.place}"
            if (arg, own) in self.apart:
                tail = f"{tail}for{box.place}.{position}"
                again = self.theme.cards[source.node.role] | {"style": "rounded,filled,dashed", "class": "again"}
                told = {"tooltip": tooltip(sentence(source, self.picture.has_numbers))}
                label = again_label(source, self.digits)
                self.shapes.append(Shape(tail, label, again | told, frame, -len(self.shapes) - 1))
            elif (source.path or ())[: len(around)] != around:
                style |= INTO_FRAME
            if source.kind == "value" and source.node.role == "constant":
                style |= SIDEWAYS
            if span is not None and "partials" in self.shown:
                style["label"] = partial_label(span, self.digits)
            if bright:
                style |= {"color": self.theme.path, "fontcolor": self.theme.path, "penwidth": "2.4"}
            told_partial = "" if span is None else partial_sentence(span)
            self.arrows.append(Arrow(tail, entry, style, orders[position], told_partial, pairs))

    def _fill(self, box: Box) -> dict[str, str]:
        if self.scale is None or box.grads is None:
            return {}
        return {"fillcolor": self.scale.fill(box.grads.strongest)}

    def _quiet(self, box: Box) -> str:
        """Return the colour of secondary text; on a coloured box, that of other text."""
        return self.theme.quiet if not self._fill(box) else self.theme.ink
