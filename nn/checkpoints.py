"""Keep in a file what a training is at, from which `fit` can go on bit for bit: JSON, of which nothing is executed."""

from __future__ import annotations

import base64
import json
import os
import random
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.data import write_whole
from chainrule.errors import describe

from .optimisers import Optimiser

FORMAT = "chainrule checkpoint"
VERSION = 1

_LONG = 16  # numbers that are written as bytes from here on


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/run", {"loss": [0.1, float("inf")], "order": (1, None)})
    ...     read(f"{folder}/run")
    {'loss': [0.1, inf], 'order': (1, None)}
    """
    whole = {"format": FORMAT, "version": VERSION, "content": _packed(content)}
    write_whole(path, json.dumps(whole).encode())


def read(path: str | os.PathLike[str], names: Iterable[str] = ()) -> dict[str, Any]:
    """Return what `write` was given, which has to have these names.

    Errors: `ValueError` for a file that is no checkpoint, `OSError` for one that cannot be read.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"fit expected the path of a checkpoint but got {describe('resume_from', path)}")
    try:
        with open(path, "rb") as file:
            whole = json.load(file)
        if not isinstance(whole, dict) or whole.get("format") != FORMAT:
            raise ValueError(f"it is no {FORMAT}")
        if whole.get("version") != VERSION:
            raise ValueError(f"it is of version {whole.get('version')!r}, which a newer chainrule may read")
        content = _unpacked(whole["content"])
        if not isinstance(content, dict) or not content.keys() >= set(names):
            raise ValueError(f"it does not hold {', '.join(names)}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} expected a checkpoint of version {VERSION} that fit wrote, but {error}") from None
    return content


def digest(parts: Iterable[Sequence[Any] | None]) -> str:
    """Return a fingerprint of numbers, and of rows of them.

    >>> digest([[1, 2.0]]) == digest([[1.0, 2]]) != digest([[1.0], [2.0]])
    True
    """
    import hashlib  # imported here, since most trainings keep nothing

    found = hashlib.sha256()
    for part in parts:
        items = [] if part is None else part
        rows = [item if isinstance(item, list) else [item] for item in items]
        found.update(f"{len(rows)} {sorted(set(map(len, rows)))};".encode())
        found.update(_bytes([number for row in rows for number in row]))
    return found.hexdigest()


def source_state(source: random.Random) -> Any:
    """Return where a source of random numbers is."""
    version, words, rest = source.getstate()
    return [version, list(words), rest]


def set_source_state(source: random.Random, state: Any) -> None:
    """Go on from there."""
    version, words, rest = state
    source.setstate((version, tuple(words), rest))


def optimiser_state(optimiser: Optimiser) -> dict[str, Any]:
    """Return what an optimiser is at: its numbers, what it remembers, and the same of optimisers within it.

    Parameters and functions, such as schedules, are not among it: these are what `fit` is called with again.
    """
    found: dict[str, Any] = {}
    for name, value in vars(optimiser).items():
        if name == "parameters":
            continue
        inside = _inside(optimiser, name)
        if inside:
            found[name] = list(map(optimiser_state, inside))
        elif name == "memories":
            found[name] = _columns(value)
        elif _is_plain(value):
            found[name] = value
    return {"kind": type(optimiser).__name__, "values": found}


def check_optimiser_state(optimiser: Optimiser, state: dict[str, Any]) -> None:
    """Refuse the state of another kind of optimiser, or of another number of parameters, with nothing changed.

    Errors: `ValueError`.
    """
    kind = type(optimiser).__name__
    if state["kind"] != kind:
        raise ValueError(f"resume_from expected the optimiser of the checkpoint, {state['kind']}, but got {kind}")
    if "memories" in state["values"]:
        count = len(_rows(state["values"]["memories"]))
        if count != len(optimiser.parameters):
            raise ValueError(
                f"resume_from expected the optimiser of the checkpoint, {kind} of {count} parameters, but got one of "
                f"{len(optimiser.parameters)}"
            )
    for name, value in state["values"].items():
        inside = _inside(optimiser, name)
        if not inside:
            continue
        if len(inside) != len(value):
            raise ValueError(
                f"resume_from expected the optimiser of the checkpoint, {kind} of {len(value)} optimisers, but got "
                f"one of {len(inside)}"
            )
        for item, each in zip(inside, value, strict=True):
            check_optimiser_state(item, each)


def set_optimiser_state(optimiser: Optimiser, state: dict[str, Any]) -> None:
    """Go on from there; `check_optimiser_state` says whether that can be done."""
    for name, value in state["values"].items():
        inside = _inside(optimiser, name)
        if inside:
            for item, each in zip(inside, value, strict=True):
                set_optimiser_state(item, each)
        elif name == "memories":
            optimiser.memories = _rows(value)
        else:
            setattr(optimiser, name, value)


def _inside(optimiser: Optimiser, name: str) -> Sequence[Optimiser]:
    """Return the optimisers that an attribute is or holds; none where it is something else."""
    own = getattr(optimiser, name, None)
    items = [own] if isinstance(own, Optimiser) else own
    if not isinstance(items, list | tuple) or not all(isinstance(item, Optimiser) for item in items):
        return []
    return items


def _columns(memories: list[Any]) -> Any:
    """Return what is remembered of all parameters number by number, which is written faster."""
    if len({len(memory) for memory in memories}) > 1:
        return {"rows": [list(memory) for memory in memories]}
    return {"columns": [list(column) for column in zip(*memories, strict=True)], "count": len(memories)}


def _rows(columns: Any) -> list[Any]:
    if "rows" in columns:
        return list(map(tuple, columns["rows"]))
    return list(zip(*columns["columns"], strict=True)) if columns["columns"] else [()] * columns["count"]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float)


def _bytes(numbers: Iterable[Any]) -> bytes:
    found = array("d", numbers)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _packed(value: Any) -> Any:
    """Return the same as what JSON can say: long lists of floats as their bytes, tuples and dicts with a mark."""
    if isinstance(value, list):
        if len(value) >= _LONG and all(type(item) is float for item in value):
            return {"doubles": base64.b64encode(_bytes(value)).decode()}
        return list(map(_packed, value))
    if isinstance(value, tuple):
        return {"tuple": list(map(_packed, value))}
    if isinstance(value, dict):
        return {"dict": [[_packed(key), _packed(item)] for key, item in value.items()]}
    if isinstance(value, float):
        return float(value)
    if value is not None and not isinstance(value, str | int):
        raise TypeError(f"a checkpoint expected plain data, numbers and lists of them, but got {describe('it', value)}")
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_unpacked, value))
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "doubles":
        found = array("d", base64.b64decode(inside, validate=True))
        if sys.byteorder == "big":
            found.byteswap()
        return found.tolist()
    if kind == "tuple":
        return tuple(map(_unpacked, inside))
    if kind == "dict":
        return {_unpacked(key): _unpacked(item) for key, item in inside}
    raise ValueError(f"it marks something as {kind!r}")
