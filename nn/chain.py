"""See a model as a chain of dense layers and functions, for files and libraries that know nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import chainrule
from chainrule import Var
from chainrule.errors import describe

from .activations import activation_name, linear
from .blocks import Dropout
from .layers import MLP, Layer, Neuron, Sequential
from .module import Module


class Dense(NamedTuple):
    """A layer as numbers: a row of weights and a bias for each neuron, then its activation."""

    name: str
    weights: list[list[float]]
    biases: list[float]
    activation: Any


class Function(NamedTuple):
    """A stage of `Sequential` that is a plain function."""

    name: str
    function: Any


Link = Dense | Function


def chain_of(model: Any, reader: str) -> list[Link]:
    """Return the links of a model of `Neuron`, `Layer`, `MLP`, `Sequential` and functions, in order.

    Errors: `TypeError` that names the first stage that is of another kind.

    >>> [type(link).__name__ for link in chain_of(Sequential(MLP(2, [3, 1], seed=0), abs), "export_onnx")]
    ['Dense', 'Dense', 'Function']
    """
    if not isinstance(model, Module):
        raise TypeError(f"{reader} expected a Module but got {describe('model', model)}")
    links = list(_links(model, "", reader))
    if not any(isinstance(link, Dense) for link in links):
        raise TypeError(f"{reader} expected a model with at least one layer but got {describe('model', model)}")
    return links


def set_dense(layer: Layer, weights: Iterable[Iterable[float]], biases: Iterable[float]) -> None:
    """Give a layer its weights, a row for each neuron, and its biases.

    >>> layer = Layer(2, 1)
    >>> set_dense(layer, [[1.0, 2.0]], [3.0])
    >>> layer.state_dict()
    {'neurons.0.weights.0': 1.0, 'neurons.0.weights.1': 2.0, 'neurons.0.bias': 3.0}
    """
    for neuron, row, bias in zip(layer.neurons, weights, biases, strict=True):
        neuron.bias.value = float(bias)
        for weight, value in zip(neuron.weights, row, strict=True):
            weight.value = float(value)


def unknown(reader: str, name: str, stage: Any) -> TypeError:
    """Return the error for a stage that the other side does not know."""
    place = name or "the model"
    return TypeError(f"{reader} expected layers that both sides know but {place} is {describe('it', stage)}")


def _links(stage: Any, name: str, reader: str) -> Iterator[Link]:
    if isinstance(stage, Neuron):
        yield _dense([stage], name or "the neuron")
    elif isinstance(stage, Layer):
        activations = {id(neuron.activation) for neuron in stage.neurons}
        if len(activations) > 1:
            raise TypeError(f"{reader} expected one activation in a layer but {name or 'the layer'} has several")
        yield _dense(stage.neurons, name or "the layer")
    elif isinstance(stage, MLP | Sequential):
        field, stages = ("layers", stage.layers) if isinstance(stage, MLP) else ("stages", stage.stages)
        for k, part in enumerate(stages):
            yield from _links(part, f"{name}.{field}[{k}]" if name else f"{field}[{k}]", reader)
    elif isinstance(stage, Dropout):
        return  # which does nothing outside of training
    elif isinstance(stage, Module | Var):
        raise unknown(reader, name, stage)
    else:
        yield Function(name, stage)


def _dense(neurons: Sequence[Neuron], name: str) -> Dense:
    weights = [[weight.value for weight in neuron.weights] for neuron in neurons]
    return Dense(name, weights, [neuron.bias.value for neuron in neurons], neurons[0].activation)


def known(reader: str, link: Link, table: Any) -> Any:
    """Return the entry of a table for the link's function, looked up by name and meant to be chainrule's own.

    Errors: `TypeError` that names the layer and the function where the table has none.

    >>> known("to_torch", Function("stages[1]", chainrule.tanh), {"tanh": "Tanh"})
    'Tanh'
    """
    function = link.activation if isinstance(link, Dense) else link.function
    name = activation_name(function)
    if name not in table or not (function is linear or function is getattr(chainrule, name, None)):
        raise TypeError(
            f"{reader} expected functions that both sides know ({', '.join(sorted(table))}) but {link.name} has "
            f"{describe('activation', function)}"
        )
    return table[name]
