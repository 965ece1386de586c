"""Identify models by what they compute, parameters aside: what was compiled for one serves all that are alike."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any, Generic, TypeVar, final

from chainrule import Var

_PLAIN = frozenset((int, bool, str, bytes, complex, type(None)))

T = TypeVar("T")


@final
class _Self:
    """Compare equal by identity alone; the object is kept so that its id is not given out again."""

    def __init__(self, item: object) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Self) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)


def architecture(model: Any, moving: Collection[int] | None = None) -> tuple[Hashable, list[Var]]:
    """Return a key that is the same for models that differ in their parameters alone, and those parameters.

    The key holds the classes of modules, their attributes (numbers, strings, lists and arrays by what is in them,
    functions and other objects by which they are), constants, and which parameters are the same ones.

    Args:
        model: a `Module`, or what a module may hold.
        moving: the ids of the parameters that do not count; None for all that require a gradient.

    >>> from chainrule.nn import MLP
    >>> keys = [architecture(MLP(2, [3, 1], seed=seed))[0] for seed in (1, 2)]
    >>> keys[0] == keys[1], keys[0] == architecture(MLP(2, [3, 1], "relu"))[0]
    (True, False)
    """
    tokens: list[Hashable] = []
    parameters: list[Var] = []
    seen: dict[int, int] = {}
    stack: list[Any] = [model]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind in _PLAIN:
            tokens.append((kind, item))
            continue
        if kind is float:
            tokens.append(repr(item))  # which tells 0.0 from -0.0, and nan from nothing but nan
            continue
        place = seen.setdefault(id(item), len(seen))
        if place != len(seen) - 1:
            tokens += "again", place
        elif isinstance(item, Var):
            if item.is_leaf and item.requires_grad and (moving is None or id(item) in moving):
                parameters.append(item)
                tokens.append("parameter")
            elif item.is_leaf:
                tokens += "constant", repr(item.value)
            else:
                tokens.append(_Self(item))
        else:
            key, parts = _taken_apart(kind, item)
            tokens.append(key)
            stack.extend(reversed(parts))
    return tuple(tokens), parameters


def _taken_apart(kind: type, item: Any) -> tuple[Hashable, list[Any]]:
    """Return what tells a container from others, and what it holds; anything else is itself, and holds nothing."""
    if isinstance(item, list | tuple):
        return (kind, len(item)), list(item)
    if isinstance(item, dict):
        return (kind, len(item)), [part for pair in item.items() for part in pair]
    if hasattr(kind, "named_parameters"):
        return (kind, *vars(item)), list(vars(item).values())
    if hasattr(item, "dtype") and hasattr(item, "tobytes"):
        if item.dtype.kind == "O":
            return (kind, item.shape), item.ravel().tolist()
        return (kind, item.shape, str(item.dtype), item.tobytes()), []
    return _Self(item), []


class Latest(Generic[T]):
    """Keep what was made for the keys that were asked for last.

    >>> made = Latest(1)
    >>> made["a"] = 1
    >>> made["b"] = 2
    >>> made.get("a"), made.get("b")
    (None, 2)
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._found: dict[Hashable, T] = {}

    def get(self, key: Hashable) -> T | None:
        """Return what was made for a key, None for nothing."""
        found = self._found.pop(key, None)
        if found is not None:
            self._found[key] = found
        return found

    def __setitem__(self, key: Hashable, made: T) -> None:
        self._found.pop(key, None)
        self._found[key] = made
        while len(self._found) > self.most:
            self._found.pop(next(iter(self._found)), None)
