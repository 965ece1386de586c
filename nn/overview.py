"""Look at a model as a whole: a table of its layers, what each of them gives for a row, their weights as arrays."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chainrule import Var, no_grad
from chainrule.errors import needing

from .tensors import grouped


class Summary(str):
    """A text that is shown as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Weights:
    """The values of a module's parameters as arrays by name, for a module that has no attribute of that name."""

    def __get__(self, module: Any, kind: Any = None) -> Any:
        if module is None:
            return self
        with needing("weights", "numpy"):
            numpy = importlib.import_module("numpy")
        return {name: numpy.array(value) for name, value in grouped(module.state_dict()).items()}


def summary_of(model: Any) -> Summary:
    """Return a table of a model's layers."""
    lines = [[type(model).__name__, "", "parameters", "frozen"]]
    for name, module in _layers(model):
        size = getattr(module, "nout", "")
        lines.append([name, f"{type(module).__name__} {size}".rstrip(), *_counts(module)])
    lines.append(["sum", "", *_counts(model)])
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rows = [
        "  ".join([*(c.ljust(w) for c, w in cells[:2]), *(c.rjust(w) for c, w in cells[2:])])
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    return Summary("\n".join(rows))


def outputs_inside(model: Any, leaves: Sequence[Var], x: Any) -> dict[str, Any]:
    """Return what each layer of a model gives when it is called with `x`, as numbers by name; the model is not changed.

    Args:
        leaves: of the model: its copy computes with the same.
    """
    twin = copy.deepcopy(model, {id(leaf): leaf for leaf in leaves})
    found: dict[str, Any] = {}
    names = []
    for name, layer in _layers(twin):
        names.append(name)
        _watch(layer, name, found)
    for name, module in [("", twin), *_layers(twin)]:
        stages: Any = getattr(module, "stages", None)
        for k, stage in enumerate(stages if isinstance(stages, list) else ()):
            if not hasattr(stage, "named_modules"):
                names.append(f"{name}.stages.{k}" if name else f"stages.{k}")
                stages[k] = _watched(stage, names[-1], found)
    with no_grad():
        twin(x)
    # In order of definition: attributes as they came, items of lists by number.
    places: dict[str, int] = {}
    for name in names:
        for part in name.split("."):
            places.setdefault(part, int(part) if part.isdigit() else len(places))
    order = sorted(names, key=lambda name: [places[part] for part in name.split(".")])
    return {name: found[name] for name in order if name in found}


def _layers(model: Any) -> list[tuple[str, Any]]:
    """Return the modules inside a model by name, neurons aside; those of a single neuron, itself."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if name and not any(part == "neurons" for part in name.split("."))
    ]


def _watch(layer: Any, name: str, found: dict[str, Any]) -> None:
    """Give a layer methods that keep what they return."""
    kind = type(layer)
    methods = {each: getattr(kind, each) for each in ("forward", "__call__") if hasattr(kind, each)}
    watched = {each: _watched(method, name, found) for each, method in methods.items()}
    layer.__class__ = type(kind.__name__, (kind,), watched)


def _watched(function: Callable[..., Any], name: str, found: dict[str, Any]) -> Callable[..., Any]:
    def keeping(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        value = _value(result)
        found[name] = value[0] if isinstance(value, list) and len(value) == 1 else value
        return result

    return keeping


def _value(result: Any) -> Any:
    if isinstance(result, Var):
        return result.value
    if isinstance(result, Iterable) and not isinstance(result, str):
        return [_value(item) for item in result]
    return result


def _counts(module: Any) -> list[str]:
    free = len(module.parameters())
    frozen = len(module.state_dict()) - free
    return [f"{free + frozen:,}", f"{frozen:,}"]
