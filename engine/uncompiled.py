"""Run the engine's source as plain Python where Cython is not installed: what it reads of the module `cython`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
compiled = False


def _same(definition: T) -> T:
    return definition


def annotation_typing(_on: bool) -> Callable[[T], T]:
    """Decorate nothing."""
    return _same


def check_signals() -> None:
    """Do nothing: Python itself looks for signals."""


def cast(_kind: type[T], value: T) -> T:
    """Return a value as it is."""
    return value


cclass = final = no_gc = _same
