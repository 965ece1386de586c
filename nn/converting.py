"""Take models to PyTorch and bring them from PyTorch and scikit-learn, layer by layer."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import chainrule
from chainrule.errors import describe, needing

from .activations import linear
from .chain import Dense, chain_of, known, set_dense, unknown
from .layers import MLP, Layer, Sequential
from .module import Module

# The class of torch.nn, and the arguments with which it computes what chainrule's function does.
_TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("Identity", {}),
    "relu": ("ReLU", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {"beta": 1, "threshold": 700}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "celu": ("CELU", {"alpha": 1.0}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {"approximate": "none"}),
    "silu": ("SiLU", {}),
    "mish": ("Mish", {}),
    "softsign": ("Softsign", {}),
    "log_sigmoid": ("LogSigmoid", {}),
    "hardtanh": ("Hardtanh", {"min_val": -1.0, "max_val": 1.0}),
    "softmax": ("Softmax", {"dim": -1}),
    "log_softmax": ("LogSoftmax", {"dim": -1}),
}
_CHAINRULE = {torch_name: (name, arguments) for name, (torch_name, arguments) in _TORCH.items()}
# Softplus beyond its threshold, 20, differs from the true value by 2e-9 at most; rows have their features on axis 1.
_ALLOWED: dict[str, tuple[Any, ...]] = {"threshold": (), "dim": (-1, 1)}
_LAST = (chainrule.softmax, chainrule.log_softmax)
_SKLEARN = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


def to_torch(model: Module) -> Any:
    """Return the same model as a `torch.nn.Sequential` of doubles; a single output keeps its axis of length 1.

    Errors: `TypeError` that names the layer that PyTorch does not know. Needs PyTorch.
    """
    links = chain_of(model, "to_torch")
    found = [known("to_torch", link, _TORCH) for link in links]
    with needing("nn.to_torch", "torch"):
        torch = importlib.import_module("torch")
    stages = []
    for link, (name, arguments) in zip(links, found, strict=True):
        if isinstance(link, Dense):
            stage = torch.nn.Linear(len(link.weights[0]), len(link.biases), dtype=torch.float64)
            with torch.no_grad():
                stage.weight.copy_(torch.tensor(link.weights, dtype=torch.float64))
                stage.bias.copy_(torch.tensor(link.biases, dtype=torch.float64))
            stages.append(stage)
        if name != "Identity":
            stages.append(getattr(torch.nn, name)(**arguments))
    return torch.nn.Sequential(*stages)


def from_torch(module: Any) -> Module:
    """Return a model of nn that computes what a PyTorch module of linear layers and activations does.

    Args:
        module: a `torch.nn.Linear`, or a `torch.nn.Sequential`, nested at will, of those and of activations.

    Errors: `TypeError` that names the layer that chainrule does not know, or whose settings are others.
    """
    with needing("nn.from_torch", "torch"):
        torch = importlib.import_module("torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch expected a torch.nn.Module but got {describe('module', module)}")
    layers: list[tuple[Any, Any, Any]] = []  # weights, biases, activation
    functions: list[Any] = []
    for name, stage in _torch_stages(module, "", torch):
        if isinstance(stage, torch.nn.Linear):
            if functions:
                raise unknown("from_torch", f"{name}, after softmax,", stage)
            weights = stage.weight.detach().double().tolist()
            biases = [0.0] * len(weights) if stage.bias is None else stage.bias.detach().double().tolist()
            if layers and len(layers[-1][0]) != len(weights[0]):
                raise ValueError(
                    f"from_torch expected {name} to take the {len(layers[-1][0])} outputs of the layer before but it "
                    f"takes {len(weights[0])}"
                )
            layers.append((weights, biases, linear))
            continue
        function = _activation(name, stage)
        if function in _LAST and layers:
            functions.append(function)
        elif function is not linear:
            if not layers or functions or layers[-1][2] is not linear:
                raise unknown("from_torch", f"{name}, which follows no linear layer,", stage)
            layers[-1] = (*layers[-1][:2], function)
    if not layers:
        raise TypeError(f"from_torch expected at least one linear layer but got {describe('module', module)}")
    return _chained(layers, functions)


def from_sklearn(estimator: Any) -> Module:
    """Return the network of a fitted `MLPRegressor` or `MLPClassifier` of scikit-learn as a model of nn.

    A classifier's model gives probabilities: that of the second class, or of each of several.

    Errors: `TypeError` for anything else, `ValueError` for an estimator that is not fitted.
    """
    activation = getattr(estimator, "activation", None)
    if isinstance(estimator, type) or not hasattr(estimator, "hidden_layer_sizes") or activation is None:
        raise TypeError(
            "from_sklearn expected a fitted MLPRegressor or MLPClassifier of scikit-learn but got "
            f"{describe('estimator', estimator)}"
        )
    if not hasattr(estimator, "coefs_"):
        raise ValueError(f"from_sklearn expected a fitted estimator but {type(estimator).__name__} is not; call fit")
    last = estimator.out_activation_
    if activation not in _SKLEARN or last not in (*_SKLEARN, "softmax"):
        raise TypeError(
            f"from_sklearn expected an activation of {', '.join(_SKLEARN)} but the layers have {activation!r}, {last!r}"
        )
    names = [activation] * (len(estimator.coefs_) - 1) + ["identity" if last == "softmax" else last]
    layers = [
        (weights.T.tolist(), biases.tolist(), _SKLEARN[name])
        for weights, biases, name in zip(estimator.coefs_, estimator.intercepts_, names, strict=True)
    ]
    return _chained(layers, [chainrule.softmax] if last == "softmax" else [])


def _torch_stages(module: Any, name: str, torch: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(module, torch.nn.Sequential):
        for key, part in enumerate(module):  # not named_children, which drops a stage that stands there twice
            yield from _torch_stages(part, f"{name}.{key}" if name else str(key), torch)
    else:
        yield f"layer {name}" if name else "the model", module


def _activation(name: str, stage: Any) -> Any:
    kind = type(stage).__name__
    if not type(stage).__module__.startswith("torch.nn.") or kind not in _CHAINRULE:
        raise unknown("from_torch", name, stage)
    found, arguments = _CHAINRULE[kind]
    for argument, wanted in arguments.items():
        allowed = _ALLOWED.get(argument, (wanted,))
        if allowed and getattr(stage, argument) not in allowed:
            raise TypeError(
                f"from_torch expected {argument}={wanted!r}, as chainrule's {found} has it, but {name} is {stage!r}"
            )
    return linear if found == "linear" else getattr(chainrule, found)


def _chained(layers: list[tuple[Any, Any, Any]], functions: list[Any]) -> Module:
    """Build a model of layers, each (weights, biases, activation), and functions after them."""
    model = MLP(len(layers[0][0][0]), [len(biases) for _, biases, _ in layers])
    model.layers = [Layer(len(weights[0]), len(biases), activation) for weights, biases, activation in layers]
    for number, (layer, (weights, biases, _)) in enumerate(zip(model.layers, layers, strict=True), 1):
        layer.label_parameters(str(number))
        set_dense(layer, weights, biases)
    return Sequential(model, *functions) if functions else model
