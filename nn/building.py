"""Describe how a model is built, as plain data, and build it again: what files of models hold beside parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from chainrule.errors import describe

from .activations import activation_name, find_activation, find_stage
from .blocks import GRU, LSTM, RNN, Attention, Conv1d, Dropout, Embedding, LayerNorm, PReLU, Residual, RMSNorm
from .layers import MLP, Layer, Neuron, Sequential
from .module import Module

_SPARE = 1_000  # so many parameters more than the file holds are still built, to say which are missing


class _Kind(NamedTuple):
    """A type of module that its constructor builds again from some of its attributes.

    Attributes:
        type: the class.
        sizes: arguments that are whole numbers above 0.
        others: further arguments; "activation" is that of the module's layer.
        count: how many parameters it has, from its sizes.
    """

    type: Callable[..., Module]
    sizes: tuple[str, ...]
    others: tuple[str, ...]
    count: Callable[..., int]


_KINDS = {
    "Neuron": _Kind(Neuron, ("nin",), ("activation",), lambda nin: nin + 1),
    "Layer": _Kind(Layer, ("nin", "nout"), ("activation",), lambda nin, nout: (nin + 1) * nout),
    "LayerNorm": _Kind(LayerNorm, ("size",), ("eps",), lambda size: 2 * size),
    "RMSNorm": _Kind(RMSNorm, ("size",), ("eps",), lambda size: size),
    "Dropout": _Kind(Dropout, (), ("rate",), lambda: 0),
    "PReLU": _Kind(PReLU, ("count",), (), lambda count: count),
    "Embedding": _Kind(Embedding, ("count", "width"), ("flat",), lambda count, width: count * width),
    "RNN": _Kind(RNN, ("nin", "nout"), ("activation", "sequence"), lambda nin, nout: (nin + nout + 1) * nout),
    "GRU": _Kind(GRU, ("nin", "nout"), ("sequence",), lambda nin, nout: (3 * (nin + nout) + 4) * nout),
    "LSTM": _Kind(LSTM, ("nin", "nout"), ("sequence",), lambda nin, nout: 4 * (nin + nout + 1) * nout),
    "Conv1d": _Kind(
        Conv1d,
        ("nin", "nout", "width", "stride"),
        ("padding", "activation"),
        lambda nin, nout, width, stride: (nin * width + 1) * nout,
    ),
    "Attention": _Kind(Attention, ("size", "heads"), ("causal",), lambda size, heads: 4 * size * (size + 1)),
}
_CHAINS: dict[str, tuple[Any, str]] = {
    "MLP": (MLP, "layers"),
    "Sequential": (Sequential, "stages"),
    "Residual": (Residual, "inner.stages"),
}


def architecture(model: Module) -> Any:
    """Return how a model is built, as plain data; None if that could not build it again.

    >>> architecture(GRU(2, 3))
    {'type': 'GRU', 'nin': 2, 'nout': 3, 'sequence': False}
    """
    description = _described(model)
    return description if description is not None and _outline(_build(description)) == _outline(model) else None


def built(description: Any, path: Any, available: int) -> Module:
    """Build the model described in a file that holds so many parameters; they are counted before it is built.

    Errors: `ValueError` that names the file, for whatever is wrong with the description.

    >>> built({"type": "PReLU", "count": 1}, "model.json", available=1)
    PReLU(1)
    """
    try:
        count = _count(description)
        if count > available + _SPARE:
            raise ValueError(f"it needs {describe('count', count)} parameters where the file holds {available}")
        model = _build(description)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{path} expected a description of a model of nn, but it is wrong: {error!r}") from None
    if not isinstance(model, Module):
        raise ValueError(f"{path} expected a description of a model of nn but got one of a function")
    return model


def _outline(module: Module) -> list[str]:
    """Return what a module and all modules inside it print, and the names of its parameters."""
    return [*map(repr, _inside(module)), *module.state_dict()]


def _inside(item: Any) -> Iterator[Module]:
    if isinstance(item, Module):
        yield item
        item = list(vars(item).values())
    if isinstance(item, list):
        for part in item:
            yield from _inside(part)


def _described(stage: Any) -> Any:
    name = type(stage).__name__
    if name in _KINDS and type(stage) is _KINDS[name].type:
        kind = _KINDS[name]
        description = {"type": name, **{key: getattr(stage, key) for key in kind.sizes}}
        for key in kind.others:
            value = _activation(stage) if key == "activation" else getattr(stage, key)
            if value is None:
                return None
            description[key] = value
        return description
    if name in _CHAINS and type(stage) is _CHAINS[name][0]:
        for field in _CHAINS[name][1].split("."):
            stage = getattr(stage, field)
        parts = [_described(part) for part in stage]
        return None if None in parts else {"type": name, "parts": parts}
    if isinstance(stage, Module):
        return None
    function = _name(stage, find_stage)
    return None if function is None else {"type": "function", "activation": function}


def _activation(stage: Any) -> str | None:
    """Return the name of a module's activation; None if that alone would not find it again."""
    layer = getattr(stage, "layer", stage)
    neuron = layer.neurons[0] if isinstance(layer, Layer) else layer
    return _name(neuron.activation, find_activation)


def _name(function: Any, find: Callable[[str], Any]) -> str | None:
    name = activation_name(function)
    try:
        found = find(name)
    except ValueError:
        return None
    return name if found is function else None


def _build(description: Any) -> Any:
    """Build the model described; raise for anything wrong with the description."""
    name = description["type"]
    if name == "MLP":
        parts = [_build(part) for part in description["parts"]]
        model = MLP(parts[0].nin, [layer.nout for layer in parts])
        model.layers = parts
        for number, layer in enumerate(parts, 1):
            layer.label_parameters(str(number))
        return model
    if name in _CHAINS:
        return _CHAINS[name][0](*[_build(part) for part in description["parts"]])
    if name == "function":
        return find_stage(description["activation"])
    if name not in _KINDS:
        raise ValueError(f"no type {name!r}")
    kind = _KINDS[name]
    options = {key: description[key] for key in (*kind.sizes, *kind.others)}
    if "activation" in options:
        options["activation"] = find_activation(options["activation"])
    return kind.type(**options)


def _count(description: Any) -> int:
    """Return how many parameters the model described has, which is known before any of them is there."""
    name = description["type"]
    if name in _CHAINS:
        parts = description["parts"]
        if name == "MLP":
            for before, after in itertools.pairwise(parts):
                if before["nout"] != after["nin"]:
                    raise ValueError(f"a layer of {after['nin']!r} inputs follows one of {before['nout']!r} outputs")
        return sum(map(_count, parts))
    if name not in _KINDS:
        return 0
    sizes = {key: description[key] for key in _KINDS[name].sizes}
    for key, size in sizes.items():
        if type(size) is not int or size < 1:
            raise ValueError(f"{key} is no whole number above 0: {size!r}")
    return _KINDS[name].count(**sizes)
