"""Pack parameters by name into a safetensors file, a layer's as two tensors, and read them again."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping
from typing import Any

from chainrule.errors import needing

_OF_NEURON = re.compile(r"(.*?)neurons\.(\d+)\.(?:weights\.(\d+)|bias)", re.DOTALL)


def packed(state: Mapping[str, float], kept: Mapping[str, str]) -> bytes:
    """Return the bytes of a file: `state` as tensors, and `kept`, the metadata.

    The parameters of a layer "layers.0" become "layers.0.weight", a row for each neuron, and "layers.0.bias", as
    PyTorch names them; every other parameter is a tensor without axes. Needs safetensors and NumPy.
    """
    numpy, safetensors = _packages("nn.save")
    tensors = {name: numpy.array(value, dtype=numpy.float64) for name, value in grouped(state).items()}
    found: bytes = safetensors.numpy.save(tensors, dict(kept))
    return found


def unpacked(path: Any) -> tuple[dict[str, str], dict[str, float]]:
    """Return the metadata of a file and its parameters by name.

    Errors: `ValueError` for a file that is truncated or no safetensors file, or holds other tensors.
    """
    numpy, safetensors = _packages("nn.load")
    state: dict[str, float] = {}
    try:
        with safetensors.safe_open(path, "numpy") as file:
            kept, keys = file.metadata() or {}, file.keys()
            for key in keys:
                part = file.get_slice(key)
                shape, dtype = tuple(part.get_shape()), part.get_dtype()
                if dtype not in ("F64", "F32", "F16") or len(shape) > 2 or math.prod(shape) == 0:
                    raise ValueError(f"tensor {key!r} of {dtype} and shape {shape} holds no parameters")
                spread(key, numpy.asarray(file.get_tensor(key), dtype=numpy.float64).tolist(), state)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} expected a safetensors file, but it is truncated or another: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path} expected tensors that save wrote, but {error}") from None
    return kept, state


def grouped(state: Mapping[str, float]) -> dict[str, Any]:
    """Return the same with the parameters of each layer as a list of rows and a list of biases.

    >>> grouped({"neurons.0.weights.0": 1.0, "neurons.0.weights.1": 2.0, "neurons.0.bias": 3.0, "scale": 4.0})
    {'weight': [[1.0, 2.0]], 'bias': [3.0], 'scale': 4.0}
    """
    layers: dict[str, dict[tuple[int, int], str]] = {}
    for name in state:
        match = _OF_NEURON.fullmatch(name)
        if match:
            prefix, neuron, weight = match.groups()
            layers.setdefault(prefix, {})[int(neuron), -1 if weight is None else int(weight)] = name
    found: dict[str, Any] = {}
    grown: set[str] = set()
    for prefix, names in layers.items():
        nout, nin = max(j for j, _ in names) + 1, max(i for _, i in names) + 1
        places = [(j, i) for j in range(nout) for i in range(nin)] if nout * (nin + 1) == len(names) else []
        is_taken = f"{prefix}weight" in state or f"{prefix}bias" in state
        if not places or is_taken or any(at not in names for at in places):
            continue  # of a module of the user's own
        found[f"{prefix}weight"] = [[state[names[j, i]] for i in range(nin)] for j in range(nout)]
        found[f"{prefix}bias"] = [state[names[j, -1]] for j in range(nout)]
        grown.update(names.values())
    return found | {name: value for name, value in state.items() if name not in grown}


def spread(key: str, value: Any, state: dict[str, float]) -> None:
    """Add the parameters of one tensor, as nested lists, to `state` by name.

    >>> state = {}
    >>> spread("weight", [[1.0, 2.0]], state)
    >>> state
    {'neurons.0.weights.0': 1.0, 'neurons.0.weights.1': 2.0}
    """
    if isinstance(value, float):
        state[key] = value
        return
    rows = isinstance(value[0], list)
    prefix, dot, field = key.rpartition(".")
    if field != ("weight" if rows else "bias"):
        raise ValueError(f"tensor {key!r} is neither a layer's weight nor its bias")
    for j, item in enumerate(value):
        if rows:
            state.update({f"{prefix}{dot}neurons.{j}.weights.{i}": weight for i, weight in enumerate(item)})
        else:
            state[f"{prefix}{dot}neurons.{j}.bias"] = item


def _packages(reader: str) -> tuple[Any, Any]:
    with needing(f"{reader} of a .safetensors file", "safetensors", "numpy"):
        numpy = importlib.import_module("numpy")
        importlib.import_module("safetensors.numpy")
        return numpy, importlib.import_module("safetensors")
