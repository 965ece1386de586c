"""Walk through what a module holds: parameters and other modules, in attributes, lists, dicts and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chainrule import Var


def walk(module: Any) -> Iterator[tuple[str, object]]:
    """Yield everything inside a module that is no computed Var, each once, with its dotted name, and it itself first.

    >>> from chainrule.nn import Neuron
    >>> [name for name, item in walk(Neuron(2)) if isinstance(item, Var)]
    ['weights.0', 'weights.1', 'bias']
    """
    # What was seen is also held, so that no id is given out twice during the walk.
    seen: dict[int, object] = {}
    stack: list[tuple[str, object]] = [("", module)]
    while stack:
        name, item = stack.pop()
        if id(item) in seen or (isinstance(item, Var) and not item.is_leaf):
            continue
        seen[id(item)] = item
        yield name, item
        if not isinstance(item, Var):
            parts = [(f"{name}.{key}" if name else str(key), part) for key, part in _parts(item)]
            stack.extend(reversed(parts))


def on_array(module: Any, parameters: Sequence[Var], values: Any) -> dict[int, Any]:
    """Return what takes the place of each parameter, and of modules that take all of theirs as one array."""
    places = {id(parameter): k for k, parameter in enumerate(parameters)}
    found: dict[int, Any] = {}
    seen: dict[int, object] = {}
    stack: list[Any] = [module]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, Var):
            if id(item) in places:
                found[id(item)] = values[places[id(item)]]
            continue
        if hasattr(item, "on_array"):
            own = [places[id(parameter)] for parameter in item.parameters()]
            if own and own == list(range(own[0], own[0] + len(own))):
                made = item.on_array(values[own[0] : own[0] + len(own)])
                if made is not None:
                    found[id(item)] = made
                    continue
        stack.extend([part for _, part in _parts(item)])
    return found


def _parts(item: object) -> Iterable[tuple[object, object]]:
    """Name the parts of anything that can hold parameters; other objects have none."""
    if hasattr(type(item), "named_parameters"):
        return vars(item).items()
    if isinstance(item, dict):
        return item.items()
    if isinstance(item, list | tuple):
        return enumerate(item)
    kind = getattr(getattr(item, "dtype", None), "kind", None)
    if kind == "O" and hasattr(item, "tolist"):
        # A NumPy array of Vars; one without axes gives its only item, which is a part of no list.
        nested = item.tolist()
        return enumerate(nested) if isinstance(nested, list) else [(0, nested)]
    return ()
