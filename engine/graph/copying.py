"""Copy and pickle graphs of any depth: a graph becomes one flat list, so nothing recurses.

Leaves go as themselves, so that a model and a loss in one pickle still share their parameters; computed Vars
that two pickled roots share are doubled.

Inside a function that is being differentiated, checkpointed or traced, a copy of what the function was given, or of
what it computed, passes derivatives on, in threads that it starts, too. A pickle holds the key of such a number, which
is found for as long as the function runs; later, or in another process, the pickle is one of the number alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ..forking import key_of_its_own
from ..operations import Primitive, table
from ..pickling import Reduced, pickled_as, unpickled
from .backward import walk
from .runs import current, holding
from .var import Var, born_since, use_copies

# Operation, arguments (a 1-tuple is a place in the list), partials, value, label, gradient or None.
_Record = tuple[Primitive, tuple[Any, ...], tuple[float, ...], float, str | None, float | None]


def _reduce(root: Var) -> Reduced:
    row = _copying(root)
    return _pickled(root) if row is None else link(root, row, *_pickled(root))


def link(number: Any, row: Primitive, make: Callable[..., Any] | None = None, args: tuple[Any, ...] = ()) -> Reduced:
    """Describe a running function's number for a pickle: apply `row` to it, or call `make` in another process."""
    key = key_of_its_own()
    running = None if current.since or type(number) is not Var else _elsewhere(number)
    links = current.links if running is None else running.links
    links[key] = number, row
    return unpickled, ("link", key, make, args)


@pickled_as("link")
def _linked(key: tuple[bytes, int, int], make: Callable[..., Any] | None, args: tuple[Any, ...]) -> Any:
    for links in (current.links, *[running.links for running in tuple(holding.open)]):
        if key in links:
            return _applied(*links[key])
    if make is None:
        raise ValueError(
            "loads expected a pickle of plain numbers but got one of a number that belongs to a traced function; load "
            "it inside that function, or pickle what a call returns"
        )
    return make(*args)


def _copying(node: Var) -> Primitive | None:
    """Return the operation that makes a copy; None if the copy is a new leaf or a graph of its own."""
    if current.since and (node.op is not None or born_since(node, current.since)):
        return table.pos
    if _elsewhere(node) is not None:
        return table.pos
    # A trace reads the Var at each call, but derivatives do not pass from the copy of a leaf to it.
    return table.stop_gradient if current.tracing else None


def _elsewhere(node: Var) -> holding | None:
    """Return which function that runs in another thread a Var belongs to."""
    if not holding.open:
        return None
    below = set(map(id, walk(node)))
    return next((running for running in tuple(holding.open) if not running.identities.isdisjoint(below)), None)


def _applied(node: Any, row: Primitive) -> Any:
    made = row.apply((node,))
    if node.label is not None:
        made.label = node.label
    return made


def _copy(node: Var, memo: dict[int, Any] | None) -> Any:
    """Implement `copy.copy`, or with a memo `copy.deepcopy`."""
    row = _copying(node)
    if row is not None:
        return _applied(node, row)
    make, args = _pickled(node)
    return make(*(args if memo is None else copy.deepcopy(args, memo)))


def _pickled(root: Var) -> Reduced:
    if root.op is None:
        return unpickled, ("leaf", root.value, root.label, root.requires_grad, root.grad if root.has_grad else None)
    order: list[Var] = walk(root)
    place = {id(node): position for position, node in enumerate(order)}
    return unpickled, (
        "graph",
        [node if node.op is None else _record(node, node.op, place) for node in order],
    )


def _record(node: Var, row: Primitive, place: dict[int, int]) -> _Record:
    args = tuple([(place[id(arg)],) if type(arg) is Var else arg for arg in node.args])
    return row, args, node.partials, node.value, node.label, node.grad if node.has_grad else None


@pickled_as("leaf")
def _leaf(value: float, label: str | None, requires_grad: bool, grad: float | None) -> Var:
    leaf = Var(value, label, requires_grad)
    if grad is not None:
        leaf.grad = grad
    return leaf


@pickled_as("graph")
def _graph(records: list[Var | _Record]) -> Var:
    nodes: list[Var] = []
    for record in records:
        if isinstance(record, Var):
            nodes.append(record)
            continue
        assert isinstance(record, tuple)
        row, args, partials, value, label, grad = record
        node = Var.record(row, value, tuple([nodes[arg[0]] if type(arg) is tuple else arg for arg in args]), partials)
        node.label = label
        if grad is not None:
            node.grad = grad
        nodes.append(node)
    return nodes[-1]


use_copies(_copy, _reduce)
