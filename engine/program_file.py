"""Keep a `Program` in a file: JSON, versioned, checked in full when it is read, never executed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .files import write_whole
from .primitive import PRIMITIVES, Primitive, Reduction
from .structure import Structure

FORMAT = "chainrule program"
VERSION = 1
_KINDS = ("number", "array", "list", "tuple", "dict", "none")
_SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def write(program: Any, path: Any) -> None:
    """Write a `Program` as JSON; the file appears whole or not at all."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": program.name,
        "arguments": _of_structure(program.arguments),
        "names": program.names,
        "constants": [number if math.isfinite(number) else repr(number) for number in program.constants],
        "steps": [[step.op.name, *step.args] for step in program.steps],
        "outputs": program.outputs,
        "result": _of_structure(program.result),
    }
    write_whole(path, json.dumps(content, ensure_ascii=False, allow_nan=False).encode())


def read(path: Any) -> dict[str, Any]:
    """Read and check the fields of a `Program`; `ValueError` names the file, the place and what stands there."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} expected a program in JSON, but it is truncated or not JSON: {error}") from None
    try:
        return _fields(content)
    except _Wrong as error:
        raise ValueError(f"{path} expected {error}") from None


class _Wrong(Exception):
    """Tell what was expected where, and what came."""


def _check(condition: bool, expected: str, got: Any) -> None:
    if not condition:
        text = repr(got)
        raise _Wrong(f"{expected} but got {text if len(text) < 80 else text[:77] + '...'}")


def _fields(content: Any) -> dict[str, Any]:
    _check(isinstance(content, dict) and content.get("format") == FORMAT, f'"format": "{FORMAT}"', content)
    version = content.get("version")
    _check(version == VERSION, f"version {VERSION} of the format, the one this release reads,", version)
    wanted = {"arguments", "constants", "format", "name", "names", "outputs", "result", "steps", "version"}
    _check(content.keys() == wanted, f"the keys {sorted(wanted)}", sorted(content))
    _check(isinstance(content["name"], str), "name to be a string", content["name"])
    for key in ("names", "constants", "steps", "outputs"):
        _check(isinstance(content[key], list), f"{key} to be a list", content[key])
    arguments = _structure(content["arguments"], "arguments")
    result = _structure(content["result"], "result")
    _check(arguments.kind == "tuple", "arguments to be a tuple", arguments.kind)
    for k, name in enumerate(content["names"]):
        _check(isinstance(name, str), f"names[{k}] to be a string", name)
    _check(arguments.size == len(content["names"]), f"{arguments.size} names, as arguments", len(content["names"]))
    constants = []
    for k, number in enumerate(content["constants"]):
        plain = isinstance(number, (int, float)) and not isinstance(number, bool)
        _check(plain or (isinstance(number, str) and number in _SPECIAL), f"constants[{k}] to be a number", number)
        constants.append(float(number) if plain else _SPECIAL[number])
    values = len(content["names"]) + len(constants)
    steps = []
    for k, step in enumerate(content["steps"]):
        steps.append(_step(step, f"steps[{k}]", values + k))
    for k, number in enumerate(content["outputs"]):
        _check(_is_below(number, values + len(steps)), f"outputs[{k}] to be the number of a value", number)
    _check(result.size == len(content["outputs"]), f"{result.size} outputs, as result", len(content["outputs"]))
    return {
        "names": tuple(content["names"]),
        "constants": tuple(constants),
        "steps": tuple(steps),
        "outputs": tuple(content["outputs"]),
        "arguments": arguments,
        "result": result,
        "name": content["name"],
    }


def _step(step: Any, place: str, values: int) -> tuple[Primitive, tuple[int, ...]]:
    _check(isinstance(step, list) and bool(step), f"{place} to be a list of an operation and its arguments", step)
    name, *args = step
    row = PRIMITIVES.get(name) if isinstance(name, str) else None
    if row is None:
        raise _Wrong(f"{place} to name an operation of the table (import the module of a custom one) but got {name!r}")
    for number in args:
        _check(_is_below(number, values), f"{place} to take values computed before it, numbers below {values},", number)
    if isinstance(row, Reduction):
        _check(len(args) % row.iterables == 0, f"{place}, {name}, to take {row.iterables} equal lists", len(args))
    else:
        _check(len(args) == row.arity, f"{place}, {name}, to take {row.arity} arguments", len(args))
    return row, tuple(args)


def _is_below(number: Any, limit: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < limit


def _of_structure(structure: Structure) -> Any:
    if structure.kind == "array":
        return {"array": structure.shape}
    if structure.kind == "dict":
        for key in structure.keys:
            if not isinstance(key, (str, int)):
                raise TypeError(f"save expected keys of type str or int in the arguments but got {key!r}")
        return {"dict": [[key, _of_structure(part)] for key, part in zip(structure.keys, structure.parts, strict=True)]}
    if structure.kind in ("list", "tuple"):
        return {structure.kind: [_of_structure(part) for part in structure.parts]}
    return structure.kind


def _structure(content: Any, place: str) -> Structure:
    if isinstance(content, str):
        _check(content in ("number", "none"), f"{place} to be a structure", content)
        return Structure(content)
    _check(isinstance(content, dict) and len(content) == 1, f"{place} to be a structure", content)
    ((kind, inside),) = content.items()
    _check(kind in _KINDS and isinstance(inside, list), f"{place} to be a structure", content)
    if kind == "array":
        for number in inside:
            _check(_is_below(number, 2**63), f"{place} to have a shape of whole numbers", number)
        return Structure("array", shape=tuple(inside))
    if kind == "dict":
        for pair in inside:
            fits = isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], (str, int))
            _check(fits, f"{place} to list keys and structures", pair)
        parts = tuple([_structure(part, f"{place}[{key!r}]") for key, part in inside])
        return Structure("dict", parts, tuple([key for key, _ in inside]))
    return Structure(kind, tuple([_structure(part, f"{place}[{k}]") for k, part in enumerate(inside)]))
