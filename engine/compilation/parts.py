"""Compile a function with a batch in parts of its arguments: ``batch=("data.x", "data.y")``."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..data import Structure, record_fields
from ..errors import describe
from ..programs import function_name, positional
from .specialising import positions

Function = Callable[..., Any]


class Parts:
    """Call a compiled function with parts of its arguments as arguments of their own, which come first.

    Args:
        f: a function with a signature.
        parameters: the names of its arguments.
        paths: for each part the name of an argument and, after points, keys, fields or positions: ``"data.x"``.
        whole: the positions of arguments that are batches as a whole.
        make: from a function of the parts and the arguments without them to a compiled one.

    Errors: `ValueError` for paths that begin with no argument's name, or lie in one another or in a whole batch.
    """

    def __init__(
        self,
        f: Function,
        parameters: Sequence[str],
        paths: Sequence[str],
        whole: frozenset[int],
        make: Callable[[Function], Any],
    ) -> None:
        self.f, self.paths = f, list(paths)
        for path in paths:
            (place,) = positions(f, parameters, "batch", [path.split(".")[0]])
            outer = [other for other in paths if path.startswith(f"{other}.")]
            if place in whole or outer or self.paths.count(path) > 1:
                within = (outer or [parameters[place] if place in whole else path])[0]
                raise ValueError(f"compile expected each part in batch once but got {path!r} beside {within!r}")
        self.places = [(parameters.index(path.split(".")[0]), tuple(path.split(".")[1:])) for path in paths]
        self.made = make(_Joined(f, self.paths, self.places))

    def of(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Sequence[Any]]:
        """Return what was made, and its arguments for such a call."""
        rest = [*(positional(self.f, args, named, function_name(self.f)) if named else args)]
        parts = []
        for path, (place, keys) in zip(self.paths, self.places, strict=True):
            if place >= len(rest):
                raise TypeError(
                    f"{function_name(self.f)} expected the batch {path!r} but got {len(args)} positional arguments"
                )
            part, rest[place] = _replaced(rest[place], keys, None, path)
            parts.append(part)
        return self.made, [*parts, *rest]


class _Joined:
    """Call a function with parts put back to their places."""

    def __init__(self, f: Function, paths: Sequence[str], places: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        functools.update_wrapper(self, f, updated=())
        self._f, self._paths, self._places = f, paths, places
        own = list(inspect.signature(f).parameters.values())
        names: list[str] = []
        for path in paths:
            name = re.sub(r"\W", "_", path)
            while name in names or any(name == parameter.name for parameter in own):
                name += "_"
            names.append(name)
        first = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
        self.__signature__ = inspect.Signature([*first, *own])

    def __call__(self, *args: Any, **named: Any) -> Any:
        count = len(self._paths)
        rest = list(args[count:])
        for part, path, (place, keys) in zip(args[:count], self._paths, self._places, strict=True):
            rest[place] = _replaced(rest[place], keys, part, path)[1]
        return self._f(*rest, **named)


def _replaced(tree: Any, keys: tuple[str, ...], new: Any, path: str) -> tuple[Any, Any]:
    """Return the part that keys lead to, and a copy of what holds it with another in its place."""
    if not keys:
        return tree, new
    key = keys[0]
    fields = record_fields(tree)
    index = int(key) if key.isdecimal() else -1
    if fields is not None and key in fields:
        part, changed = _replaced(getattr(tree, key), keys[1:], new, path)
        items = [changed if name == key else getattr(tree, name) for name in fields]
        structure = Structure("record", keys=fields, made=type(tree))
        return part, structure.build(items)
    if isinstance(tree, dict) and (key in tree or index in tree):
        place = key if key in tree else index
        part, changed = _replaced(tree[place], keys[1:], new, path)
        return part, {**tree, place: changed}
    if isinstance(tree, (list, tuple)) and fields is None and 0 <= index < len(tree):
        part, changed = _replaced(tree[index], keys[1:], new, path)
        kind = list if isinstance(tree, list) else tuple
        return part, kind([*tree[:index], changed, *tree[index + 1 :]])
    raise TypeError(
        f"compile expected a structure with a part {key!r} for batch={path!r} but got {describe(path, tree)}"
    )
