"""Pickle things by a public name and a word, so that pickles outlive the files that make these things.

A pickle of a Var, a row, a program or a derivative says ``chainrule.unpickled("graph", ...)``: which function that is
for a word, `pickled_as` has noted beside the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]

_makers: dict[str, Callable[..., Any]] = {}


def pickled_as(word: str) -> Callable[[F], F]:
    """Decorate a function that makes things anew: pickles call it by this word, which must never change."""

    def note(make: F) -> F:
        _makers[word] = make
        return make

    return note


def unpickled(word: str, *fields: Any) -> Any:
    """Make anew what a pickle holds: `pickle.loads` calls this, and users need not.

    Errors: `ValueError` for a word that this version does not know.

    >>> unpickled("row", "sin")
    <primitive sin>
    """
    if word not in _makers:
        raise ValueError(f"loads expected a pickle of this version or an older one but got one of a {word!r}")
    return _makers[word](*fields)
