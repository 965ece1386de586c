"""Turn the graph behind a `Var` into DOT text, which Graphviz lays out and anyone can read or edit.

Values are cards with label, value and gradient; operations stand between them. Nothing here runs a program.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import graphviz
from chainrule.data import whole_number
from chainrule.errors import describe

from ..theme import THEMES
from .folding import LEVELS, Folding, fold
from .highlight import find_start, follow
from .network import draw_network, is_model
from .picture import collector_paused, gather
from .units import labelled_units, units_of
from .writer import DIRECTIONS, Writer

SHOWN = ("label", "value", "grad", "partials")

_ALL_DIGITS = 17  # tell every double from all others


def draw(
    root: Any,
    *,
    direction: str = "LR",
    show: Collection[str] = SHOWN,
    collapse: str | None = "auto",
    highlight: Any = None,
    max_nodes: int = 500,
    theme: str = "light",
    digits: int = 6,
    module: Any = None,
    by: str = "weight",
    inputs: Any = None,
) -> graphviz.Digraph:
    """Write the graph below `root`, or a model as a network, as DOT text.

    Nodes are numbered by their place in the computation, so the same computation gives the same text in
    every run. What comes is a `graphviz.Digraph`: its ``source`` is the text, and nodes, edges and attributes
    can be added before it goes to `render`.

    Args:
        root: the Var whose graph to draw, or a list, tuple or dict of several, nested at will; keys of a dict are the
            names of results without a label. Or a `Program`, or a compiled function: a loop is one box; what it runs
            is a program, too, and drawn by ``draw(program.steps[k].op.body)``. Or a model of `nn`: its neurons by
            layer, its weights as lines, and for two inputs what each neuron makes of them. Or the History of a
            training: its losses are plotted, by the options of `plot_history` (`of`, `ax`, `ylabel`, `theme`), on axes.
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
        digits: how many digits numbers have, from 1 to 17; their tooltips have all.
        module: a model whose parameters are in the graph: its layers and neurons are framed and named. Those of
            `nn` are found without it, by their labels, unless two models with the same labels are in the graph.
        by: of a model: whether lines show each "weight" or its "gradient".
        inputs: of a model of two inputs: rows that the maps in its neurons reach over; None for -1 to 1.

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
    places = whole_number("draw", "digits", digits)
    if places > _ALL_DIGITS:
        raise ValueError(f"draw expected digits from 1 to {_ALL_DIGITS} but got {describe('digits', digits)}")
    if is_model(root):
        if highlight is not None or module is not None or collapse != "auto":
            raise ValueError("draw expected no collapse, highlight or module for a model: draw the graph of its output")
        return draw_network(root, by, direction, colours, places, inputs)
    if by != "weight" or inputs is not None:
        raise ValueError(f"draw expected by and inputs for a model only but got {describe('root', root)}")
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
        return Writer(picture, folding, units, paths, shown, colours, places).write(direction, highlight)


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
