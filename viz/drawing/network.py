"""Draw a model itself: its neurons by layer, its weights as lines, and what each neuron makes of two inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import chainrule
import graphviz
from chainrule import Var
from chainrule.data import Row, rows_of
from chainrule.errors import describe

from ..theme import Theme, mix
from .cards import markup, stacked, tooltip
from .measuring import label_size
from .units import UnitPath, part_at, path_of
from .writer import NODE, Drawing

BY = ("weight", "gradient")

_CIRCLE, _MAP = 38.0, 52.0  # the size of a neuron, in points
_ROOM = 12.0  # between neurons
_MOST = 16  # neurons of a layer; of more, the first and the last are drawn
_CELLS, _CELL = 16, 3  # of a map, along each side, and their size in points: a whole number leaves no seams
_SHADES = 8  # on each side of the middle
_MOST_MAPS = 60
_THIN, _THICK = 0.5, 5.5  # lines, in points; where they are many, the thickest are thinner
_FAINT = 0.2  # the share of colour of the weakest line

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Neuron:
    """One neuron of a model, or one of its inputs, which has no weights."""

    name: str
    weights: list[Var]
    bias: Var | None
    activation: Callable[[Any], Any] | None


def is_model(root: Any) -> bool:
    """Return whether something is a model and no graph; a class of models is none."""
    return not isinstance(root, type) and callable(getattr(root, "named_parameters", None))


def draw_network(model: Any, by: str, direction: str, theme: Theme, digits: int, reach: Any) -> graphviz.Digraph:
    """Draw the neurons of a model by layer, and its weights as lines; errors are those of `draw`."""
    if by not in BY:
        raise ValueError(f"draw expected by to be 'weight' or 'gradient' but got {describe('by', by)}")
    layers = _layers(model)
    parameters = [p for layer in layers for n in layer for p in (*n.weights, n.bias) if p is not None]
    if by == "gradient" and not any(_has_grad(parameter) for parameter in parameters):
        raise ValueError("draw expected gradients for by='gradient' but no parameter has one; call backward() first")
    return _Network(model, layers, by, direction, theme, digits, reach).write()


def _layers(model: Any) -> list[list[_Neuron]]:
    """Return the inputs and the layers of a model whose neurons take all that the layer before gives."""
    units: dict[UnitPath, dict[UnitPath, None]] = {}
    for dotted in model.state_dict() if hasattr(model, "state_dict") else dict(model.named_parameters()):
        path = path_of(dotted)
        units.setdefault(path[:-1], {})[path] = None
    layers: list[list[_Neuron]] = []
    for number, paths in enumerate(units.values(), 1):
        layer = []
        for k, path in enumerate(paths, 1):
            unit = part_at(model, path)
            weights, bias = getattr(unit, "weights", None), getattr(unit, "bias", None)
            if not isinstance(weights, list) or not weights or not all(type(weight) is Var for weight in weights):
                raise _not_a_network(model, f"{'.'.join(path) or 'it'} has no list of weights")
            layer.append(_Neuron(f"layer {number}, neuron {k}", weights, bias, getattr(unit, "activation", None)))
        taken = {len(neuron.weights) for neuron in layer}
        if len(taken) > 1 or (layers and taken != {len(layers[-1])}):
            raise _not_a_network(model, f"layer {number} takes {' or '.join(map(str, sorted(taken)))} numbers")
        layers.append(layer)
    if not layers:
        raise _not_a_network(model, "it has no parameters")
    inputs = [_Neuron(f"x{k}", [], None, None) for k in range(1, len(layers[0][0].weights) + 1)]
    return [inputs, *layers]


def _not_a_network(model: Any, why: str) -> ValueError:
    return ValueError(
        f"draw expected a model of layers of neurons, each taking all that the one before gives, but {why} in "
        f"{describe('root', model)}; call it on a row and draw the graph of what comes"
    )


class _Network:
    """Write one picture of a model."""

    def __init__(
        self, model: Any, layers: list[list[_Neuron]], by: str, direction: str, theme: Theme, digits: int, reach: Any
    ) -> None:
        self.model, self.layers, self.by, self.theme, self.digits = model, layers, by, theme, digits
        self.upright, self.sign = direction in ("TB", "BT"), -1.0 if direction in ("RL", "BT") else 1.0
        self.maps = self._maps(reach)
        self.size = _MAP if self.maps else _CIRCLE
        self.shown = [_shown(len(layer)) for layer in layers]
        sizes = [
            abs(number) for layer in layers for n in layer for w in n.weights if (number := self._number(w)) == number
        ]
        self.thick = max(1.5, _THICK * min(1.0, 8 / max(map(len, self.shown))))
        self.top = max(filter(math.isfinite, sizes), default=0.0) or 1.0

    def write(self) -> graphviz.Digraph:
        theme = self.theme
        count = sum([len(n.weights) + (n.bias is not None) for layer in self.layers for n in layer])
        shape = "-".join([str(len(layer)) for layer in self.layers])
        drawing = Drawing(
            f"{type(self.model).__name__} {shape}, {count:,} parameters",
            filename="network.gv",
            graph_attr={"pad": "0.25", "layout": "nop2", "bgcolor": theme.background, "fontcolor": theme.ink}
            | {"fontname": NODE["fontname"], "fontsize": "11", "label": self._caption(), "labelloc": "b"}
            | {"labeljust": "l", "tooltip": tooltip(f"{shape} neurons; every line is a weight.")},
            node_attr=NODE | {"fontcolor": theme.ink, "fontsize": "10"},
            edge_attr={"arrowhead": "none"},
        )
        places = [self._places(k) for k in range(len(self.layers))]
        for k, layer in enumerate(self.layers):
            self._head(drawing, k, layer)
            for number, place in places[k].items():
                self._add(drawing, k, number, place)
        for k, layer in enumerate(self.layers[1:], 1):
            lines = [
                (abs(self._number(layer[head].weights[tail])), tail, head)
                for head in places[k]
                for tail in places[k - 1]
            ]
            # The strongest last, on top of the others.
            for _, tail, head in sorted(lines, key=lambda line: (line[0] == line[0], line[0])):
                self._line(drawing, k, tail, head, places[k - 1][tail], places[k][head])
        return drawing

    # ---- places ----

    def _places(self, k: int) -> dict[int, Point]:
        """Return where the shown neurons of a layer stand, along and across."""
        shown = self.shown[k]
        pitch = self.size + _ROOM
        rows = self._rows(k)
        gaps = rows - len(shown)
        half = (len(shown) + 1) // 2 if gaps else rows
        return {
            number: (self._along(k), (row + (gaps and row >= half) - (rows - 1) / 2) * pitch)
            for row, number in enumerate(shown)
        }

    def _rows(self, k: int) -> int:
        """Return how many places a layer takes: one for each shown neuron, and one for all that are not."""
        return len(self.shown[k]) + (len(self.shown[k]) < len(self.layers[k]))

    def _along(self, k: int) -> float:
        most = max(map(len, self.shown))
        return k * (self.size + min(70.0 + 7.0 * most, 180.0))

    def _at(self, u: float, v: float) -> str:
        x, y = (v, -self.sign * u) if self.upright else (self.sign * u, -v)
        return f"{x:.2f},{y:.2f}"

    # ---- parts ----

    def _head(self, drawing: graphviz.Digraph, k: int, layer: list[_Neuron]) -> None:
        """Write what a layer is above it, and how many of its neurons are not drawn."""
        names = dict.fromkeys([_activation_name(neuron) for neuron in layer]) if k else {}
        told = ", ".join(filter(None, names))
        text = f"layer {k}" + (f"<br/>{markup(told)}" if told else "") if k else "inputs"
        # Clear of the first neuron of the longest layer; beside it where layers stand as rows.
        width, height = label_size(f"<{text}>", 11.0)
        across = max(map(self._rows, range(len(self.layers)))) * (self.size + _ROOM) / 2
        across += (width if self.upright else height) / 2 + _ROOM / 2
        style = {"shape": "plain", "style": "", "fontcolor": self.theme.quiet, "fontsize": "11", "class": "heading"}
        drawing.node(f"head{k}", f"<{text}>", _attributes=style | {"pos": self._at(self._along(k), -across)})
        hidden = len(layer) - len(self.shown[k])
        if hidden:
            gap = (len(self.shown[k]) + 1) // 2 - len(self.shown[k]) / 2
            where = self._at(self._along(k), gap * (self.size + _ROOM))
            drawing.node(f"more{k}", f"<{hidden:,} more>", _attributes=style | {"pos": where, "class": "more"})

    def _add(self, drawing: graphviz.Digraph, k: int, number: int, place: Point) -> None:
        neuron = self.layers[k][number]
        style = {"pos": self._at(*place), "class": "neuron" if k else "input", "width": f"{self.size / 72:.3f}"}
        style |= {"height": style["width"], "fixedsize": "true", "margin": "0", "penwidth": "1.2"}
        told = [neuron.name, *filter(None, [_activation_name(neuron)])]
        if neuron.bias is not None:
            told.append(_told("bias", neuron.bias))
        card = self.theme.cards["root" if k == len(self.layers) - 1 else "step" if k else "input"]
        label = f"<{markup(neuron.name)}>" if not k else ""
        fill = card["fillcolor"]
        if neuron.bias is not None:
            # Paler than lines, since a number stands on it.
            bias = self._number(neuron.bias)
            fill = _shade(bias, 0.0, max(self.top, abs(bias)), self.theme)
            label = f"<{self._number(neuron.bias):.{min(self.digits, 2)}g}>"
        if self.maps:
            if not k:
                beside = {"shape": "plain", "style": "", "class": "heading"}
                where = self._at(place[0] - self.size / 2 - _ROOM, place[1])
                drawing.node(f"name{number}", f"<{markup(neuron.name)}>", _attributes=beside | {"pos": where})
            label = _map_label(self.maps[k][number], self.theme)
            style |= {"shape": "box", "style": "", "penwidth": "1.6"}
        else:
            style |= {"shape": "circle", "style": "filled", "fillcolor": fill}
        drawing.node(
            f"n{k}.{number}", label, _attributes=style | {"color": card["color"], "tooltip": tooltip(", ".join(told))}
        )

    def _line(self, drawing: graphviz.Digraph, k: int, tail: int, head: int, start: Point, end: Point) -> None:
        weight = self.layers[k][head].weights[tail]
        number = self._number(weight)
        half = self.size / 2
        begin, finish = start[0] + half, end[0] - half
        middle = (begin + finish) / 2
        points = [(begin, start[1]), (middle, start[1]), (middle, end[1]), (finish, end[1])]
        strength = min(1.0, abs(number) / self.top) if number == number else 1.0
        name = weight.label or f"weight {tail + 1} of {self.layers[k][head].name}"
        drawing.edge(
            f"n{k - 1}.{tail}",
            f"n{k}.{head}",
            _attributes={
                "pos": " ".join([self._at(*point) for point in points]),
                "color": self._colour(number, self.theme.background),
                "penwidth": f"{_THIN + (self.thick - _THIN) * strength:.2f}",
                "class": "weight",
                "tooltip": tooltip(_told(name, weight)),
            },
        )

    def _number(self, parameter: Var) -> float:
        return parameter.value if self.by == "weight" else parameter.grad

    def _colour(self, number: float, zero: str) -> str:
        """Return the colour of a weight or gradient: its sign as hue, its size as strength."""
        if not math.isfinite(number):
            return self.theme.not_finite
        strength = min(1.0, abs(number) / self.top)
        hue = self.theme.cards["input"]["color"] if number < 0 else self.theme.cards["root"]["color"]
        return zero if number == 0 else mix(zero, hue, _FAINT + (1 - _FAINT) * strength)

    def _caption(self) -> str:
        told = f"Lines are weights, wider where the {self.by} is larger"
        cells = f"<td>{markup(self.by)}</td>"
        for step in (-self.top, -self.top / 4, self.top / 4, self.top):
            colour = self._colour(step, self.theme.background)
            cells += f'<td width="26" bgcolor="{colour}"></td><td>{step:.3g}  </td>'
        lines = [f"{told}." if self.maps else f"{told}; circles tell biases."]
        if self.maps:
            (low, high), (bottom, top) = self.sides
            lines.append(f"Maps: outputs for x1 from {low:.3g} to {high:.3g}, x2 from {bottom:.3g} to {top:.3g};")
            lines.append("blue is below 0, or below 0.5 where all are from 0 to 1.")
        table = '<table border="0" cellborder="0" cellspacing="4" cellpadding="2">'
        colours = f'<td align="left">{table}<tr>{cells}</tr></table></td>'
        return stacked([colours, *[f'<td align="left">{markup(line, longest=120)}</td>' for line in lines]])

    # ---- what each neuron makes of two inputs ----

    def _maps(self, reach: Any) -> list[list[list[Row]]]:
        """Return rows of numbers for each neuron and input, the highest first; nothing where they are not known."""
        if len(self.layers[0]) != 2 or sum(map(len, self.layers)) > _MOST_MAPS:
            return []
        self.sides = _sides(reach)
        (low, high), (bottom, top) = self.sides
        points = [
            [low + (high - low) * (column + 0.5) / _CELLS, top - (top - bottom) * (row + 0.5) / _CELLS]
            for row in range(_CELLS)
            for column in range(_CELLS)
        ]
        with chainrule.no_grad():
            found = [list(self._outputs(point)) for point in points]
            # What else the model does is not seen here; then the maps might be wrong.
            given = self.model(points[1])
        wanted = [given] if not isinstance(given, list | tuple) else given
        if [float(getattr(item, "value", item)) for item in wanted] != found[1][-1]:
            return []
        return [
            [
                [
                    [row_of[k][number] for row_of in found[start : start + _CELLS]]
                    for start in range(0, len(found), _CELLS)
                ]
                for number in range(len(layer))
            ]
            for k, layer in enumerate(self.layers)
        ]

    def _outputs(self, point: Row) -> Iterator[Row]:
        """Yield the outputs of each layer, the inputs first."""
        numbers = point
        yield numbers
        for layer in self.layers[1:]:
            numbers = [_output(neuron, numbers) for neuron in layer]
            yield numbers


def _output(neuron: _Neuron, numbers: Row) -> float:
    weights = [weight.value for weight in neuron.weights]
    bias = [] if neuron.bias is None else [neuron.bias.value]
    total = chainrule.dot([*weights, *bias], [*numbers, *[1.0] * len(bias)])
    return float(total if neuron.activation is None else neuron.activation(total))


def _sides(reach: Any) -> tuple[Point, Point]:
    """Return how far maps reach: over the rows and a little beyond, or from -1 to 1."""
    if reach is None:
        return (-1.0, 1.0), (-1.0, 1.0)
    rows = rows_of(reach, "draw")
    if len(rows[0]) != 2:
        raise ValueError(f"draw expected inputs of two numbers but got rows of {len(rows[0])}")
    sides = []
    for column in zip(*rows, strict=True):
        margin = 0.1 * (max(column) - min(column)) or 1.0
        sides.append((min(column) - margin, max(column) + margin))
    return sides[0], sides[1]


def _map_label(rows: list[Row], theme: Theme) -> str:
    """Write a map as a table of small cells, neighbours of one colour as one."""
    known = [number for row in rows for number in row if math.isfinite(number)]
    middle = 0.5 if known and 0.0 <= min(known) < 0.5 < max(known) <= 1.0 else 0.0
    far = max([abs(number - middle) for number in known], default=0.0) or 1.0
    written = []
    for place, row in enumerate(rows):
        colours = [_shade(number, middle, far, theme) for number in row]
        cells = []
        while colours:
            # The cells of the first row stay single: they give the columns their width.
            same = next(
                (k for k, colour in enumerate(colours) if k and (not place or colour != colours[0])), len(colours)
            )
            size = f'colspan="{same}" fixedsize="true" width="{_CELL * same}" height="{_CELL}"'
            cells.append(f'<td bgcolor="{colours[0]}" {size}></td>')
            del colours[:same]
        written.append("<tr>" + "".join(cells) + "</tr>")
    return '<<table border="0" cellborder="0" cellspacing="0" cellpadding="0">' + "".join(written) + "</table>>"


def _shade(number: float, middle: float, far: float, theme: Theme) -> str:
    if not math.isfinite(number):
        return theme.not_finite
    strength = round(_SHADES * (number - middle) / far) / _SHADES
    return mix(theme.zero, theme.negative if strength < 0 else theme.positive, abs(strength))


def _shown(count: int) -> Sequence[int]:
    """Choose the neurons of a layer that are drawn.

    >>> list(_shown(3)), list(_shown(100))
    ([0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7, 93, 94, 95, 96, 97, 98, 99])
    """
    if count <= _MOST:
        return range(count)
    return [*range(_MOST // 2), *range(count - _MOST // 2 + 1, count)]


def _activation_name(neuron: _Neuron) -> str:
    return str(getattr(neuron.activation, "__name__", ""))


def _has_grad(parameter: Var) -> bool:
    return parameter.has_grad or parameter.grad != 0.0


def _told(name: str, parameter: Var) -> str:
    return f"{name} {parameter.value!r}" + (f", gradient {parameter.grad!r}" if _has_grad(parameter) else "")
