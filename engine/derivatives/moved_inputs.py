"""See past what only moves the inputs of a graph, to the arrays that computing begins with.

Rows that index arrays take of an input, and views of these, hold its numbers again and again. Taken for inputs of their
own, they are what each result depends on alone, and the derivative by a number of theirs is part of the one by the
number that it is.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from ..programs import CALL, MAP, ArrayTracer, Gather, Loop, Numbers, Structural, View, size_of
from .patterns import numbers_asked, places_of, shape_of_node
from .sweeps import Recorded, between


class Moved(NamedTuple):
    """A graph from where computing begins, and which number of the inputs each number there is; -1 for none."""

    graph: Recorded
    numbers: Any


def from_moved(graph: Recorded) -> Moved | None:
    """Return the graph from the moved inputs; None where none is moved, or a loop hands on what it computes."""
    numpy = importlib.import_module("numpy")
    if any(isinstance(node.op, Loop) and node.op.kind not in (MAP, CALL) for node in graph.order):
        return None
    start, own = 0, {}
    for node in graph.inputs:
        size = size_of(shape_of_node(node))
        own[id(node)] = numpy.arange(start, start + size)
        start += size
    if len(own) < len(graph.inputs):
        return None
    begun: dict[int, Any] = {}
    for node in graph.order:
        found = _moved(node, own)
        if found is not None:
            own[id(node)] = found
        else:
            begun.update((id(arg), arg) for arg in node.args if id(arg) in own)
    begun.update((id(result), result) for result in graph.results if id(result) in own)
    if not begun or begun.keys() == {id(node) for node in graph.inputs}:
        return None
    inputs = list(begun.values())
    return Moved(between(inputs, graph.results), numpy.concatenate([own[place] for place in begun]))


def _moved(node: Any, own: dict[int, Any]) -> Any:
    """Return which numbers a node has that only moves some; None for another."""
    op = node.op
    before = own.get(id(node.args[0])) if node.args else None
    if before is None:
        return None
    if isinstance(op, View):
        return None if op.stops else before[places_of(op.part)]
    if isinstance(op, Gather) and isinstance(node.args[1], Numbers):
        found = numbers_asked(node.args[1], op.of)
        found[found >= 0] = before[found[found >= 0]]
        return found
    if type(node) is ArrayTracer and not isinstance(op, Structural):
        return before  # a copy
    return None
