"""Replace Cython where it is not installed: what the engine's source reads of the module `cython`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TypeVar

NOTE = os.path.join(os.path.dirname(__file__), "not_compiled.txt")
"""What setup.py leaves where there was no working C compiler."""

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


def tell_once(note: str = NOTE) -> None:
    """Report on stderr, once per installation, that the core was to be compiled but could not be."""
    # Who removes the note tells; where it cannot be removed everybody would, again and again: there `core` tells.
    with contextlib.suppress(OSError):
        os.unlink(note)
        print(
            "chainrule: no C compiler was found at installation, so the core runs interpreted, about 20 times slower; "
            "put one there and install chainrule again (said once)",
            file=sys.stderr,
        )
