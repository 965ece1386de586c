"""Pack parameters by name into a safetensors file, those of a layer or a list as tensors, and read them again."""

from __future__ import annotations

import importlib
import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from chainrule.errors import needing

_OF_NEURON = re.compile(r"(.*?)neurons\.(\d+)\.(?:weights\.(\d+)|bias)", re.DOTALL)
_OF_LIST = re.compile(r"(.+?)\.(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?", re.DOTALL)


def packed(state: Mapping[str, float], kept: Mapping[str, str]) -> bytes:
    """Return the bytes of a file: `state` as tensors, and `kept`, the metadata.

    The parameters of a layer "layers.0" become "layers.0.weight", a row for each neuron, and "layers.0.bias", as
    PyTorch names them; those of a list, or of a list of equally long lists, become a tensor with one axis or two; every
    other parameter is a tensor without axes. Needs safetensors and NumPy.
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
    """Return the same with the parameters of each layer as a list of rows and a list of biases, and of lists as lists.

    >>> grouped({"neurons.0.weights.0": 1.0, "neurons.0.weights.1": 2.0, "neurons.0.bias": 3.0, "scale": 4.0})
    {'weight': [[1.0, 2.0]], 'bias': [3.0], 'scale': 4.0}
    >>> grouped({"rows.0.0": 1.0, "rows.0.1": 2.0, "shifts.0": 3.0, "shifts.1": 4.0})
    {'rows': [[1.0, 2.0]], 'shifts': [3.0, 4.0]}
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
    return found | _lists({name: value for name, value in state.items() if name not in grown})


def _lists(state: Mapping[str, float]) -> dict[str, Any]:
    """Return the same with the parameters of each list, or list of equally long lists, together."""
    lists: dict[str, dict[tuple[int, ...], float]] = {}
    for name, value in state.items():
        match = _OF_LIST.fullmatch(name)
        if match:
            prefix, *places = match.groups()
            lists.setdefault(prefix, {})[tuple(int(place) for place in places if place is not None)] = value
    found: dict[str, Any] = {}
    for prefix, values in lists.items():
        axes = set(map(len, values))
        # "weight" and "bias" are those of layers.
        if len(axes) > 1 or prefix in state or prefix.rpartition(".")[2] in ("weight", "bias"):
            continue
        sizes = [max(place[axis] for place in values) + 1 for axis in range(axes.pop())]
        if math.prod(sizes) != len(values):
            continue
        # As many different places as there are, so each of them is there.
        rows = [values[place] for place in itertools.product(*map(range, sizes))]
        width = sizes[-1]
        found[prefix] = rows if len(sizes) == 1 else [rows[k : k + width] for k in range(0, len(rows), width)]
    kept = {}
    for name, value in state.items():
        match = _OF_LIST.fullmatch(name)
        if match is None or match[1] not in found:
            kept[name] = value
    return found | kept


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of what `grouped` gives for a name.

    >>> shape_of([[1.0, 2.0]]), shape_of([1.0]), shape_of(1.0)
    ((1, 2), (1,), ())
    """
    return (len(value), *shape_of(value[0])) if isinstance(value, list) else ()


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
    if field not in ("weight", "bias"):
        for j, item in enumerate(value):
            state.update({f"{key}.{j}.{i}": number for i, number in enumerate(item)} if rows else {f"{key}.{j}": item})
        return
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
