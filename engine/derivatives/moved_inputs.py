"""See past what only moves the inputs of a graph, to the arrays that computing begins with.

Rows that index arrays take of an input, and views of these, hold its numbers again and again. Taken for inputs of their
own, they are what each result depends on alone, and the derivative by a number of theirs is part of the one by the
number that it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..programs import CALL, MAP, ArrayTracer, Gather, Loop, Numbers, Place, Structural, View, size_of
from .patterns import numbers_asked, places_of, shape_of_node
from .sweeps import Recorded, between, is_node


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
    known = [own.get(id(arg)) for arg in node.args]
    if isinstance(op, Place):
        return _placed(op, node.args, known)
    if not known or known[0] is None:
        return None
    if isinstance(op, View):
        return None if op.stops else known[0][places_of(op.part)]
    if isinstance(op, Gather) and isinstance(node.args[1], Numbers):
        found = numbers_asked(node.args[1], op.of)
        return known[0][found] if (found >= 0).all() else None  # a row that is not there is nan in derivatives, too
    if type(node) is ArrayTracer and not isinstance(op, Structural):
        return known[0]  # a copy
    return None


def _placed(op: Place, args: Sequence[Any], known: Sequence[Any]) -> Any:
    """Return which numbers are put together; None where some are added up, or computed."""
    numpy = importlib.import_module("numpy")
    found, count = numpy.full(size_of(op.shape), -2), 0
    for part, arg, numbers in zip(op.parts, args, known, strict=True):
        if numbers is None and is_node(arg):
            return None
        places = places_of(part)
        found[places] = -1 if numbers is None else numbers
        count += len(places)
    is_apart = count == (found > -2).sum()
    return numpy.maximum(found, -1) if is_apart else None
