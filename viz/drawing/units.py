"""Find the part of a model that each node of a picture belongs to, by the dotted names of its parameters.

Nothing here knows a class of nn: any object with ``named_parameters()`` is a model. In the name
``layers.0.neurons.3.weights.1`` the part ``layers.0`` is a layer and ``layers.0.neurons.3`` a neuron in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterable
from typing import Any

from chainrule import PRIMITIVES, Primitive
from chainrule.errors import describe

from .picture import Node, Picture

# As nn labels parameters: w2[3,1] and b2[3].
_PARAMETER = re.compile(r"(?:w(?=\d*\[\d+,)|b(?=\d*\[\d+\]))(\d*)\[([1-9]\d*)(?:,([1-9]\d*))?\]")

UnitPath = tuple[str, ...]  # ("layers.0", "neurons.3"); empty for the model itself


class Units:
    """The units of a model that a picture shows.

    Args:
        picture: what is drawn.
        name: of the model.
        parameters: of each its dotted name, its label, and its place in the picture, None where it is not there.
        activations: for the path of a unit, the operations that it may apply last.

    `owner` gives the path of the innermost unit that each node belongs to, None for those outside; `parameters`
    names the parameters of each innermost unit, and `depth` is the length of the longest path.
    """

    def __init__(
        self,
        picture: Picture,
        name: str,
        parameters: Iterable[tuple[str, str, int | None]],
        activations: Callable[[UnitPath], Container[Primitive]],
    ) -> None:
        self.name = name
        self.parameters: dict[UnitPath, list[str]] = {}
        self.owner: list[UnitPath | None] = [None] * len(picture.nodes)
        for dotted, label, place in parameters:
            path = path_of(dotted)
            self.parameters.setdefault(path, []).append(label)
            if place is not None:
                self.owner[place] = path
        self.depth = max(map(len, self.parameters), default=0)
        self._claim(picture, {path: activations(path) for path in self.parameters})

    def _claim(self, picture: Picture, activations: dict[UnitPath, Container[Primitive]]) -> None:
        """Assign to each unit the operations on its parameters, those that join them, and then its activation.

        An operation joins a unit while parameters of the unit are still to come: the loss, which follows the last
        of them, stays outside.
        """
        nodes, owner = picture.nodes, self.owner
        taken = [0 if path is None else 1 for path in owner]  # how many parameters of the owner stand below a node
        finished: set[int] = set()  # nodes after an activation
        for place, node in enumerate(nodes):
            path = None if node.op is None else self._claimant(nodes, node.args)
            if path is None:
                continue
            entering = [arg for arg in node.args if owner[arg] == path]
            # What comes after one with all parameters is the activation, or outside.
            if any(taken[arg] >= len(self.parameters[path]) for arg in entering if nodes[arg].op is not None):
                if node.op not in activations[path] or not finished.isdisjoint(entering):
                    continue
                finished.add(place)
            owner[place], taken[place] = path, sum([taken[arg] for arg in dict.fromkeys(entering)])
            for arg in node.args:
                if nodes[arg].role == "constant" and nodes[arg].label is None:
                    owner[arg] = path  # such as the 1 that a bias is multiplied by

    def _claimant(self, nodes: list[Node], args: tuple[int, ...]) -> UnitPath | None:
        """Return the one unit whose parameters are among the arguments, or else to which all arguments belong."""
        shared: UnitPath | None = None
        direct: UnitPath | None = None
        same = True
        for arg in args:
            path = self.owner[arg]
            if nodes[arg].role == "constant":
                continue
            if path is not None and nodes[arg].op is None:
                if direct is not None and path != direct:
                    return None
                direct = path
            if path is None or (shared is not None and path != shared):
                same = False
            shared = path
        return direct if direct is not None else shared if same else None

    def folded(self, path: UnitPath, levels: int) -> UnitPath:
        """Return the unit that a node of `path` belongs to when the innermost `levels` levels fold."""
        return path[: max(0, self.depth - levels + 1)]

    def count(self, levels: int) -> int:
        """Return the number of boxes when the innermost `levels` levels fold; with none, each parameter is a box."""
        if levels == 0:
            return sum(map(len, self.parameters.values()))
        return len({self.folded(path, levels) for path in self.parameters})

    def within(self, path: UnitPath) -> list[str]:
        """Name the parameters of a unit and of all units in it."""
        return [name for own, names in self.parameters.items() if own[: len(path)] == path for name in names]

    def title(self, path: UnitPath) -> str:
        """Name a unit as its parameters are labelled, counting from 1: "neuron 4"."""
        if not path:
            return self.name
        kind, _, number = path[-1].rpartition(".")
        return f"{kind.removesuffix('s')} {int(number) + 1}" if kind else number


def units_of(picture: Picture, module: Any) -> Units:
    """Find the units of a model; `TypeError` if it is not one, `ValueError` if it is not in the picture."""
    if not callable(getattr(module, "named_parameters", None)):
        raise TypeError(f"draw expected a module with named_parameters() but got {describe('module', module)}")
    parameters = [(name, var.label or name, picture.places.get(id(var))) for name, var in module.named_parameters()]
    if all(place is None for _, _, place in parameters):
        raise ValueError(
            f"draw expected a module whose parameters are in the graph but got {describe('module', module)}"
        )
    return Units(picture, type(module).__name__, parameters, lambda path: _activations(module, path))


def labelled_units(picture: Picture) -> Units | None:
    """Find neurons by the labels that nn gives their parameters; None if there are none, or a label occurs twice.

    ``w2[3,1]`` is the weight of neuron 3 of layer 2 for its first input, ``b2[3]`` its bias; without the first number
    there is one layer. Both must be there: ``w[1,2]`` alone may be a matrix.

    >>> from chainrule import Var
    >>> from chainrule.viz.drawing.picture import gather
    >>> w, b = Var(0.5, label="w[1,1]"), Var(0.1, label="b[1]")
    >>> units = labelled_units(gather((w * 2 + b).tanh()))
    >>> units.parameters, units.owner[-1]
    ({('neurons.0',): ['w[1,1]', 'b[1]']}, ('neurons.0',))
    >>> labelled_units(gather(w * 2)) is None
    True
    """
    found: dict[tuple[int, int, int], tuple[str, int]] = {}  # label and place by layer, neuron and input
    for place, node in enumerate(picture.nodes):
        match = _PARAMETER.fullmatch(node.label) if node.role == "input" and node.label else None
        if match is None:
            continue
        layer, neuron, entry = [int(digits or 0) for digits in match.groups()]
        if (layer, neuron, entry) in found:
            return None
        found[layer, neuron, entry] = node.label or "", place
    neurons = {key[:2] for key in found}
    if not neurons or any((*key, 0) not in found or (*key, 1) not in found for key in neurons):
        return None
    layers = sorted({layer for layer, _ in neurons})
    if layers == [0]:
        model, dotted = "layer", "neurons.{1}.parameters"
    elif 0 not in layers:
        model, dotted = "network", "layers.{0}.neurons.{1}.parameters"
    else:
        return None
    # Weights first, as nn lists them.
    ordered = sorted(found, key=lambda key: (*key[:2], key[2] or math.inf))
    parameters = [(dotted.format(layer - 1, neuron - 1), *found[layer, neuron, k]) for layer, neuron, k in ordered]
    # What may follow a weighted sum inside a neuron of which nothing but the labels is known.
    activations = {row for row in PRIMITIVES.values() if row.activation}
    return Units(picture, model, parameters, lambda path: activations)


def path_of(name: str) -> UnitPath:
    """Split off the parameter itself, ``weights.1``, and pair each attribute that is left with its number."""
    parts: list[str] = []
    for part in name.split("."):
        if part.isdigit() and parts and not parts[-1].rpartition(".")[2].isdigit():
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return tuple(parts[:-1])


def part_at(module: Any, path: UnitPath) -> Any:
    """Return the part of a model that a path names; None where there is none."""
    item = module
    for step in ".".join(path).split(".") if path else ():
        if isinstance(item, list | tuple):
            item = item[int(step)]
        elif isinstance(item, dict):
            item = item.get(step)
        else:
            item = getattr(item, step, None)
    return item


def _activations(module: Any, path: UnitPath) -> tuple[Primitive, ...]:
    """Return the operation that a unit applies last, according to its attribute ``activation``."""
    activation = getattr(part_at(module, path), "activation", None)
    return (activation,) if isinstance(activation, Primitive) else ()
