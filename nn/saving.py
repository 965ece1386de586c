"""Keep a model in a file: JSON or safetensors, versioned, checked in full when it is read, never executed."""

from __future__ import annotations

import json
import math
import os
from typing import Any

from chainrule.data import check_path, write_whole
from chainrule.errors import describe

from .building import architecture, built
from .module import Module
from .tensors import packed, unpacked

FORMAT = "chainrule model"
VERSION = 1

_SUFFIX = ".safetensors"
_SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def save(model: Module, path: str | os.PathLike[str]) -> None:
    """Write a model's parameters to a file, exactly, and how it is built if `nn` can build it.

    Args:
        model: any `Module`.
        path: the file, which appears whole or not at all: ``.safetensors`` for a layer's weights as a tensor, which
            other libraries read and which needs the package safetensors; anything else, conventionally
            ``.json``, for JSON.

    >>> import tempfile
    >>> from chainrule import nn
    >>> model = nn.MLP(2, [3, 1], activation="relu", seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(model, f"{folder}/model.json")
    ...     again = nn.load(f"{folder}/model.json")
    >>> again
    MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(3)]]
    >>> again.state_dict() == model.state_dict()
    True
    """
    if not isinstance(model, Module):
        raise TypeError(f"save expected a Module but got {describe('model', model)}")
    check_path("save", path)
    described, state = architecture(model), model.state_dict()
    if _is_tensors(path):
        kept = {"format": FORMAT, "version": str(VERSION), "architecture": json.dumps(described)}
        write_whole(path, packed(state, kept))
        return
    content = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": described,
        "parameters": {name: v if math.isfinite(v) else repr(v) for name, v in state.items()},
    }
    write_whole(path, json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode())


def load(path: str | os.PathLike[str] | Module, model: Module | str | os.PathLike[str] | None = None) -> Module:
    """Read a file that `save` wrote, and return the model.

    Args:
        path: the file.
        model: a model of the same build, whose parameters are set; None to build one, which takes a model of nn's own
            modules with functions of chainrule's own. Both may come in either order.

    Errors: `ValueError` for a file that is no such model, with what stands there instead, for parameters that do not
    fit, and for None where the file does not say how the model is built; then nothing has been changed.

    >>> import tempfile
    >>> from chainrule import nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(nn.Neuron(1, initialise=lambda source, nin, nout: 0.5), f"{folder}/model.json")
    ...     nn.load(f"{folder}/model.json", nn.Neuron(1)).state_dict()
    {'weights.0': 0.5, 'bias': 0.0}
    """
    if isinstance(path, Module):
        path, model = model, path  # type: ignore[assignment]
    check_path("load", path)
    if not isinstance(model, Module | None):
        raise TypeError(f"load expected a Module but got {describe('model', model)}")
    described, parameters = _read(path)
    if model is None:
        if described is None:
            raise ValueError(
                f"load expected a model to fill, as {path} holds parameters alone; build it and give it as model"
            )
        model = built(described, path, len(parameters))
    try:
        model.load_state_dict(parameters)
    except ValueError as error:
        raise ValueError(f"{path} does not fit the model: {error}") from None
    return model


def _read(path: Any) -> tuple[Any, dict[str, float]]:
    """Read and check a file; return the architecture and the parameters."""
    if _is_tensors(path):
        return _read_tensors(path)
    try:
        with open(path, "rb") as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} expected a model in JSON, but it is truncated or not JSON: {error}") from None
    _check_format(path, content, VERSION)
    parameters = content.get("parameters")
    if not isinstance(parameters, dict):
        raise ValueError(f"{path} expected parameters by name but got {describe('parameters', parameters)}")
    return content.get("architecture"), {name: _float(path, name, value) for name, value in parameters.items()}


def _check_format(path: Any, content: Any, version: int | str) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} expected a file that save wrote, with format {FORMAT!r}, but it is another")
    if content.get("version") != version:
        raise ValueError(
            f"{path} expected version {version} but got {content.get('version')!r}; a newer chainrule may read it"
        )


def _read_tensors(path: Any) -> tuple[Any, dict[str, float]]:
    kept, parameters = unpacked(path)
    _check_format(path, kept, str(VERSION))
    try:
        return json.loads(kept.get("architecture", "null")), parameters
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} expected an architecture in JSON but got another: {error}") from None


def _is_tensors(path: Any) -> bool:
    return os.path.splitext(path)[1] == _SUFFIX


def _float(path: Any, name: str, value: Any) -> float:
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise ValueError(f"{path} expected a number for each parameter but got {describe(name, value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"{path} expected numbers within the range of doubles but got {describe(name, value)}"
        ) from None
