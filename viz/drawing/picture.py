"""Collect what there is to draw: every value below a root, numbered so that arguments come before results.

A picture is plain data. Whatever records operations can be turned into one, and whatever shows graphs
(DOT text, a formula, a page to step through) can read one, without either knowing the other.
"""

from __future__ import annotations

import functools
import gc
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from chainrule import Primitive, Var
from chainrule.errors import describe
from chainrule.programs import Loop, Numbers, Place, View, number_names

from ..theme import Role

DRAWN = "a Var, a list or dict of Vars, a model, a Program, a compiled function or a History"
"""All that `chainrule.viz.draw` takes."""

_DIGITS = re.compile(r"\d+")


class Node(NamedTuple):
    """One value of the graph and the operation that made it.

    Args:
        role: ``input`` for a leaf that wants a gradient, ``constant`` for one that does not, ``root`` for
            the computed value that was asked for, ``step`` for every other computed value.
        value: the number; nan for the values of a program, which has none before it runs.
        grad: its gradient; None where none was computed yet, or none is wanted.
        label: the user's name for it.
        op: the operation; None for inputs and constants.
        args: the places of the operation's arguments in the picture, in order.
        partials: the derivative by each argument; empty for inputs, constants and programs.
        is_array: whether it is an array of constants, whose numbers are not shown.
    """

    role: Role
    value: float
    grad: float | None
    label: str | None
    op: Primitive | None
    args: tuple[int, ...]
    partials: tuple[float, ...] = ()
    is_array: bool = False


@dataclass(frozen=True)
class Picture:
    """The nodes of a graph, arguments before results, and the places of the roots."""

    nodes: list[Node]
    roots: tuple[int, ...]
    places: dict[int, int]  # of Vars, by their id; empty for a program
    has_numbers: bool  # False for a program: nothing has been computed

    @functools.cached_property
    def kinds(self) -> list[int]:
        """Number the kinds of nodes: same operation, same role, labels that differ in their digits only.

        >>> x, y = Var(1.0, label="x1"), Var(2.0, label="x2")
        >>> gather(x * y).kinds
        [0, 0, 1]
        """
        known: dict[tuple[object, ...], int] = {}
        shapes: dict[tuple[object, ...], int] = {}
        kinds = []
        for node in self.nodes:
            exact = (node.op, node.role, node.label)
            kind = known.get(exact)
            if kind is None:
                shape = (node.op, node.role, _DIGITS.sub("#", node.label or ""))
                kind = known[exact] = shapes.setdefault(shape, len(shapes))
            kinds.append(kind)
        return kinds


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which would search millions of new objects, none of them in a cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def gather(source: Any) -> Picture:
    """Return the picture of a Var, of Vars in lists, tuples and dicts, of a `Program`, or what has a ``program``.

    Errors: `TypeError` for anything else.

    >>> x = Var(3.0)
    >>> gather(x * x).roots
    (1,)
    """
    if isinstance(source, Var | list | tuple | dict):
        named = list(named_roots(source))
        roots = [root for _, root in named]
        if not roots or not all(isinstance(root, Var) for root in roots):
            raise TypeError(f"draw expected {DRAWN} but got {describe('root', source)}")
        nodes, places = _walk(roots, None)
        _call(nodes, [(name, places[id(root)]) for name, root in named if name and root.label is None])
        return Picture(nodes, tuple(dict.fromkeys([places[id(root)] for root in roots])), places, True)
    program = getattr(source, "program", source)
    if isinstance(program, type) or not all(
        hasattr(program, part) for part in ("names", "constants", "steps", "outputs")
    ):
        raise TypeError(f"draw expected {DRAWN} but got {describe('root', source)}")
    return _gather_program(program)


def named_roots(source: Any) -> Iterator[tuple[str, Any]]:
    """Yield what lists, tuples and dicts hold, however deep, from the first to the last, with its name by dict keys.

    >>> list(named_roots({"a": [1, (2, 3)], "b": 4}))
    [('a[0]', 1), ('a[1][0]', 2), ('a[1][1]', 3), ('b', 4)]
    >>> list(named_roots([1, {"b": 2}]))
    [('', 1), ('b', 2)]
    """
    pending = [("", source)]
    while pending:
        name, item = pending.pop()
        if isinstance(item, dict):
            pending += [(f"{name}[{key!r}]" if name else str(key), inner) for key, inner in reversed(item.items())]
        elif isinstance(item, list | tuple):
            pending += [(name and f"{name}[{k}]", item[k]) for k in range(len(item) - 1, -1, -1)]
        else:
            yield name, item


def _call(nodes: list[Node], named: Iterable[tuple[str, int]]) -> None:
    """Label nodes, given by their places, with all the names that each has."""
    called: dict[int, list[str]] = {}
    for name, place in named:
        called.setdefault(place, []).append(name)
    for place, names in called.items():
        nodes[place] = nodes[place]._replace(label=", ".join(names))


def _gather_program(program: Any) -> Picture:
    """List inputs, then steps in order; each use of a constant gets a node of its own, beside its user.

    What only says where numbers stand has no node: a part of an array is that, and a list is all that is in it.
    """
    nodes = [Node("input", math.nan, None, name, None, ()) for name in program.names]
    # Which nodes a value is, or is put together of.
    places: dict[int, tuple[int, ...]] = {number: (number,) for number in range(len(nodes))}
    first_step = len(nodes) + len(program.constants)

    def find(number: int) -> tuple[int, ...]:
        if number in places:
            return places[number]
        constant = program.constants[number - len(program.names)]
        if isinstance(constant, Numbers):
            label = f"numbers[{' × '.join(map(str, constant.shape))}]"
            nodes.append(Node("constant", math.nan, None, label, None, (), is_array=True))
        else:
            nodes.append(Node("constant", constant, None, None, None, ()))
        return (len(nodes) - 1,)

    outputs = _made_for(program)
    number = first_step
    for op, args in program.steps:
        found = [place for arg in args for place in find(arg)]
        if _is_looked_at(op):
            places[number] = tuple(dict.fromkeys(found))
            number += 1
            continue
        if isinstance(op, Loop):  # one box for all that goes in and all that comes out
            found = list(dict.fromkeys(found))
        own = range(number, number + op.results)
        number += op.results
        places.update(dict.fromkeys(own, (len(nodes),)))
        nodes.append(Node("step" if outputs.isdisjoint(own) else "root", math.nan, None, None, op, tuple(found)))
    roots = [find(number) for number in program.outputs]
    if len(roots) > 1:
        names = number_names("result", program.result)
        named = [(name, root) for own_roots, name in zip(roots, names, strict=True) for root in own_roots]
        _call(nodes, [(name, root) for name, root in named if nodes[root].role == "root"])
    return Picture(nodes, tuple(itertools.chain(*roots)), {}, False)


def _is_looked_at(op: Primitive) -> bool:
    """Return whether an operation only says where numbers stand."""
    return (isinstance(op, View) and not op.stops) or (isinstance(op, Place) and op.fills)


def _made_for(program: Any) -> set[int]:
    """Return the outputs, and the values that they are parts of, or put together of."""
    found = set(program.outputs)
    first = len(program.names) + len(program.constants) + sum([op.results for op, _ in program.steps])
    for op, args in reversed(program.steps):
        first -= op.results
        if first in found and _is_looked_at(op):
            found.update(args)
    return found


def collect(root: Var, max_nodes: int) -> list[Node]:
    """List the graph below `root`, each Var once; the same graph always gives the same list.

    Raises `ValueError` for a graph of more than `max_nodes` Vars, constants included. The walk stops there,
    so refusing takes no longer for a larger graph.

    >>> x = Var(3.0, label="x")
    >>> [(node.label, node.value, node.args) for node in collect(x * x + 1.0, max_nodes=10)]
    [('x', 3.0, ()), (None, 9.0, (0, 0)), (None, 1.0, ()), (None, 10.0, (1, 2))]
    """
    return _walk([root], max_nodes)[0]


def _walk(roots: list[Any], max_nodes: int | None) -> tuple[list[Node], dict[int, int]]:
    """List the nodes below Vars and the place of each Var by id; plain numbers get a node for each use."""
    order: list[Any] = []
    args: list[tuple[int, ...]] = []
    place: dict[int, int] = {}
    numbers: list[int] = []  # places of plain numbers whose users are not in the list yet, the latest user's last
    stack: list[Any] = roots[::-1]
    most = math.inf if max_nodes is None else max_nodes
    count = 0
    while stack:
        item = stack.pop()
        if item is None:
            # Everything below the Var under this mark is in the list.
            item = stack.pop()
            found = [place[id(arg)] if type(arg) is Var else numbers.pop() for arg in reversed(item.args)]
            place[id(item)] = len(order)
            order.append(item)
            args.append(tuple(reversed(found)))
            continue
        if type(item) is not Var:
            numbers.append(len(order))
        elif id(item) in place:
            continue
        else:
            place[id(item)] = len(order)
        if type(item) is Var and item.op is not None:
            stack += (item, None, *reversed(item.args))
        else:
            order.append(item)
            args.append(())
        count += 1
        if count > most:
            raise ValueError(
                f"draw expected a graph of at most {max_nodes} nodes but got more than {max_nodes} below "
                f"{describe('root', roots[0])}; draw a part of it, or raise the limit with max_nodes="
            )
    return _nodes(order, args, roots), place


def _nodes(order: list[Any], args: list[tuple[int, ...]], roots: list[Any]) -> list[Node]:
    """Make the node of each Var or plain number; column by column, which is faster for millions."""
    asked = set(map(id, roots))
    ops = [item.op if type(item) is Var else None for item in order]
    wanted = [type(item) is Var and item.requires_grad for item in order]
    roles: list[Role] = [
        ("input" if want else "constant") if op is None else "root" if id(item) in asked else "step"
        for item, op, want in zip(order, ops, wanted, strict=True)
    ]
    # A gradient assigned by hand shows too, though no sweep has come.
    grads = [
        item.grad if want and (item.has_grad or item.grad != 0.0) else None
        for item, want in zip(order, wanted, strict=True)
    ]
    values = [item.value if type(item) is Var else item for item in order]
    labels = [item.label if type(item) is Var else None for item in order]
    partials = [item.partials if op is not None else () for item, op in zip(order, ops, strict=True)]
    arrays = itertools.repeat(False, len(order))
    return list(map(Node._make, zip(roles, values, grads, labels, ops, args, partials, arrays, strict=True)))
