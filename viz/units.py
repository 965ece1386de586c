"""Tell which part of a model each node of a picture belongs to: by the names of its parameters, dotted as nn has them.

Nothing here knows a class of nn: any object with ``named_parameters()`` is a model. In the name
``layers.0.neurons.3.weights.1`` the part ``layers.0`` is a layer and ``layers.0.neurons.3`` a neuron in it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from chainrule import Primitive
from chainrule.primitive import describe

from .picture import Picture

Path = tuple[str, ...]  # ("layers.0", "neurons.3"); empty for the model itself


class Units:
    """Hold the units of a model that a picture shows.

    `owner` gives the path of the innermost unit that each node belongs to, None for those outside; `parameters`
    names the parameters of each innermost unit, `depth` is the length of the longest path, and `name` that of the
    model.
    """

    def __init__(self, picture: Picture, module: Any) -> None:
        if not callable(getattr(module, "named_parameters", None)):
            raise TypeError(f"draw expected a module with named_parameters() but got {describe('module', module)}")
        self.name = type(module).__name__
        self.parameters: dict[Path, list[str]] = {}
        self.owner: list[Path | None] = [None] * len(picture.nodes)
        for name, parameter in module.named_parameters():
            path = _path_of(name)
            self.parameters.setdefault(path, []).append(parameter.label or name)
            place = picture.places.get(id(parameter))
            if place is not None:
                self.owner[place] = path
        self.depth = max(map(len, self.parameters), default=0)
        if not any(path is not None for path in self.owner):
            raise ValueError(
                f"draw expected a module whose parameters are in the graph but got {describe('module', module)}"
            )
        self._claim(picture, {path: _activation(module, path) for path in self.parameters})

    def _claim(self, picture: Picture, activations: dict[Path, Primitive | None]) -> None:
        """Give each unit the operations on its parameters, those that join them, and then its activation.

        An operation joins a unit while parameters of the unit are still to come: the loss, which follows the last
        of them, stays outside.
        """
        taken: Counter[int] = Counter()  # how many parameters of the owner stand below a node
        finished: set[int] = set()  # nodes after an activation
        for place, node in enumerate(picture.nodes):
            if node.op is None:
                taken[place] = 0 if self.owner[place] is None else 1
                continue
            inputs = [arg for arg in node.args if picture.nodes[arg].role != "constant"]
            direct = {
                self.owner[arg] for arg in inputs if picture.nodes[arg].op is None and self.owner[arg] is not None
            }
            inner = {self.owner[arg] for arg in inputs}
            if len(direct) == 1:
                (path,) = direct
            elif not direct and len(inner) == 1:
                (path,) = inner
            else:
                continue
            if path is None:
                continue
            below = sum(taken[arg] for arg in set(inputs) if self.owner[arg] == path)
            if not direct and below >= len(self.parameters[path]):
                if node.op is not activations[path] or finished & set(inputs):
                    continue
                finished.add(place)
            self.owner[place], taken[place] = path, below
            for arg in node.args:
                if picture.nodes[arg].role == "constant" and picture.nodes[arg].label is None:
                    self.owner[arg] = path  # such as the 1 that a bias is multiplied by

    def folded(self, path: Path, levels: int) -> Path:
        """Return the unit that a node of `path` falls into when the innermost `levels` levels fold."""
        return path[: max(0, self.depth - levels + 1)]

    def within(self, path: Path) -> list[str]:
        """Name the parameters of a unit and of all units in it."""
        return [name for own, names in self.parameters.items() if own[: len(path)] == path for name in names]

    def title(self, path: Path) -> str:
        """Name a unit as its parameters are labelled, counting from 1: "neuron 4"."""
        if not path:
            return self.name
        kind, _, number = path[-1].rpartition(".")
        return f"{kind.removesuffix('s')} {int(number) + 1}" if kind else number


def _path_of(name: str) -> Path:
    """Split off the parameter itself, ``weights.1``, and pair each attribute that is left with its number."""
    parts: list[str] = []
    for part in name.split("."):
        if part.isdigit() and parts and not parts[-1].rpartition(".")[2].isdigit():
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return tuple(parts[:-1])


def _activation(module: Any, path: Path) -> Primitive | None:
    """Return the operation that a unit applies last, where it says so in an attribute ``activation``."""
    item = module
    for step in ".".join(path).split(".") if path else ():
        if isinstance(item, list | tuple):
            item = item[int(step)]
        elif isinstance(item, dict):
            item = item.get(step)
        else:
            item = getattr(item, step, None)
    activation = getattr(item, "activation", None)
    return activation if isinstance(activation, Primitive) else None
