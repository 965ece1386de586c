"""Name functions, and every number of their arguments, for listings and messages."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ..data import Structure


def function_name(f: Callable[..., Any]) -> str:
    """Name a function for listings and messages."""
    return getattr(f, "__name__", type(f).__name__).strip("<>")


def input_names(f: Callable[..., Any], structure: Structure) -> list[str]:
    """Name every number of the arguments, as the function's signature does."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for position, part in enumerate(structure.parts):
        plain = position < len(parameters) and parameters[position].kind is not inspect.Parameter.VAR_POSITIONAL
        names += number_names(parameters[position].name if plain else f"x{position}", part)
    return names


def number_names(name: str, structure: Structure) -> Iterator[str]:
    """Name every number of a structure that is called `name`: ``w[0]``, ``w['a'][1,2]``."""
    if structure.kind == "number" or structure.whole:
        yield name
    elif structure.kind == "array" and len(structure.shape) == 1:
        yield from [f"{name}[{k}]" for k in range(structure.size)]
    elif structure.kind == "array":
        for place in itertools.product(*map(range, structure.shape)):
            yield f"{name}[{','.join(map(str, place))}]"
    elif structure.places is not None:
        yield from [f"{name}[{row},{column}]" for row, column in structure.places]
    else:
        for key, part in zip(structure.keys or range(len(structure.parts)), structure.parts, strict=False):
            yield from number_names(f"{name}.{key}" if structure.kind == "record" else f"{name}[{key!r}]", part)
