"""Copy and pickle graphs of any depth: a graph goes as one flat list, so nothing recurses.

Leaves go as themselves, so that a model and a loss in one pickle still share their parameters; computed Vars
that two pickled roots share are doubled.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

from .backward import walk
from .primitive import Primitive
from .var import Var

# Operation, arguments (a 1-tuple is a place in the list), partials, value, label, gradient or None.
_Record = tuple[Primitive, tuple[Any, ...], tuple[float, ...], float, str | None, float | None]


def _reduce(root: Var) -> tuple[Callable[..., Var], tuple[Any, ...]]:
    if root.op is None:
        return _leaf, (root.value, root.label, root.requires_grad, root.grad if root.has_grad else None)
    order: list[Var] = walk(root)
    place = {id(node): position for position, node in enumerate(order)}
    return _graph, ([node if node.op is None else _record(node, node.op, place) for node in order],)


def _record(node: Var, row: Primitive, place: dict[int, int]) -> _Record:
    args = tuple([(place[id(arg)],) if type(arg) is Var else arg for arg in node.args])
    return row, args, node.partials, node.value, node.label, node.grad if node.has_grad else None


def _leaf(value: float, label: str | None, requires_grad: bool, grad: float | None) -> Var:
    leaf = Var(value, label, requires_grad)
    if grad is not None:
        leaf.grad = grad
    return leaf


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


copyreg.pickle(Var, _reduce)
