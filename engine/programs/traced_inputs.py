"""Nodes that stand for the inputs of a trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..data import Structure
from .program import Program
from .tracer import ArrayTracer, Tracer
from .views import Shape


def symbol(name: str, shape: Shape) -> Any:
    """Return a node that stands for an input."""
    return ArrayTracer(shape, name) if shape else Tracer(name)


def symbols(program: Program) -> list[Any]:
    """Return a node for each input of a program."""
    return list(map(symbol, program.names, program.shapes))


def symbols_of(names: Iterable[str], structure: Structure) -> list[Any]:
    """Return a node for each value of a structure."""
    if not structure.has_whole:
        return list(map(Tracer, names))
    return [symbol(name, leaf.shape) for name, leaf in zip(names, structure.leaves(), strict=True)]
