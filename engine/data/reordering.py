"""Bring numbers into the order of a structure whose dicts list the same keys in another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .structure import Structure


def arranged(numbers: Sequence[Any], found: Structure, expected: Structure) -> Sequence[Any] | None:
    """Reorder numbers for a structure whose dicts list the same keys in another order; None if it differs otherwise.

    >>> from chainrule.data import flatten
    >>> xs, found = flatten({"b": 1, "a": 2}, "f", "x")
    >>> arranged(xs, found, flatten({"a": 0, "b": 0}, "f", "x")[1])
    [2.0, 1.0]
    """
    if found is expected or found == expected:
        return numbers
    order = _order(found, expected, 0)
    return None if order is None else [numbers[k] for k in order]


def _order(found: Structure, expected: Structure, start: int) -> list[int] | None:
    """Map the numbers of one structure, counted from `start`, to their places in another; None if they do not match."""
    if found == expected:
        return list(range(start, start + found.count))
    parts, count = dict(enumerate(found.parts)), len(found.parts)
    names: Sequence[Any] = range(count)
    if found.kind == "dict" and set(found.keys) == set(expected.keys):
        parts, names = dict(zip(found.keys, found.parts, strict=True)), expected.keys
    elif found.keys != expected.keys:
        return None
    if (found.kind, found.made, count) != (expected.kind, expected.made, len(expected.parts)) or not count:
        return None
    starts = {}
    for key, part in parts.items():
        starts[key] = start
        start += part.count
    order: list[int] = []
    for key, part in zip(names, expected.parts, strict=True):
        own = _order(parts[key], part, starts[key])
        if own is None:
            return None
        order += own
    return order
