"""See what there is to draw: every value below a root, numbered so that arguments come before results.

A picture is plain data. Whatever records operations can be turned into one, and whatever shows graphs
(DOT text, a formula, a page to step through) can read one, without either knowing the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from chainrule import Primitive, Var
from chainrule.primitive import describe

Role = Literal["input", "constant", "step", "root"]


class Node(NamedTuple):
    """Hold one value of the graph and the operation that made it.

    Args:
        role: ``input`` for a leaf that wants a gradient, ``constant`` for one that does not, ``root`` for
            the computed value that was asked for, ``step`` for every other computed value.
        value: the number; nan for the values of a program, which has none before it runs.
        grad: its gradient; None where none was computed yet, or none is wanted.
        label: the user's name for it.
        op: the operation; None for inputs and constants.
        args: the places of the operation's arguments in the picture, in order.
        partials: the derivative by each argument; empty for inputs, constants and programs.
    """

    role: Role
    value: float
    grad: float | None
    label: str | None
    op: Primitive | None
    args: tuple[int, ...]
    partials: tuple[float, ...] = ()


@dataclass(frozen=True)
class Picture:
    """Hold the nodes of a graph, arguments before results, and the places of what was asked for."""

    nodes: list[Node]
    roots: tuple[int, ...]
    places: dict[int, int]  # of Vars, by their id; empty for a program
    has_numbers: bool  # False for a program: nothing has been computed


def gather(source: Any) -> Picture:
    """See a Var, a `Program` or anything that carries one as ``program``, such as a compiled function.

    Errors: `TypeError` for anything else.

    >>> x = Var(3.0)
    >>> gather(x * x).roots
    (1,)
    """
    if isinstance(source, Var):
        nodes, places = _walk(source, None)
        return Picture(nodes, (len(nodes) - 1,), places, True)
    program = getattr(source, "program", source)
    if not all(hasattr(program, part) for part in ("names", "constants", "steps", "outputs")):
        raise TypeError(f"draw expected a Var, a Program or a compiled function but got {describe('root', source)}")
    return _gather_program(program)


def _gather_program(program: Any) -> Picture:
    """List inputs, then steps in order; each use of a constant gets a node of its own, beside its user."""
    nodes = [Node("input", math.nan, None, name, None, ()) for name in program.names]
    place = dict(enumerate(range(len(nodes))))
    first_step = len(nodes) + len(program.constants)

    def find(number: int) -> int:
        if number in place:
            return place[number]
        nodes.append(Node("constant", program.constants[number - len(program.names)], None, None, None, ()))
        return len(nodes) - 1

    outputs = set(program.outputs)
    number = first_step
    for op, args in program.steps:
        # A loop is one box for all that goes in and all that comes out.
        found = tuple([find(arg) for arg in (args if op.results == 1 else dict.fromkeys(args))])
        own = range(number, number + op.results)
        number += op.results
        place.update(dict.fromkeys(own, len(nodes)))
        nodes.append(Node("step" if outputs.isdisjoint(own) else "root", math.nan, None, None, op, found))
    return Picture(nodes, tuple([find(number) for number in program.outputs]), {}, False)


def collect(root: Var, max_nodes: int) -> list[Node]:
    """List the graph below `root`, each Var once; the same graph always gives the same list.

    Raises `ValueError` for a graph of more than `max_nodes` Vars, constants included. The walk stops there,
    so refusing takes no longer for a larger graph.

    >>> x = Var(3.0, label="x")
    >>> [(node.label, node.value, node.args) for node in collect(x * x + 1.0, max_nodes=10)]
    [('x', 3.0, ()), (None, 9.0, (0, 0)), (None, 1.0, ()), (None, 10.0, (1, 2))]
    """
    return _walk(root, max_nodes)[0]


def _walk(root: Var, max_nodes: int | None) -> tuple[list[Node], dict[int, int]]:
    nodes: list[Node] = []
    place: dict[int, int] = {}
    seen: set[int] = set()
    stack: list[Var | None] = [root]
    while stack:
        var = stack.pop()
        if var is None:
            # Everything below the Var under this mark is in the list.
            var = stack.pop()
            assert var is not None
            place[id(var)] = len(nodes)
            nodes.append(_node(var, root, tuple([place[id(parent)] for parent in var.parents])))
        elif id(var) not in seen:
            seen.add(id(var))
            if max_nodes is not None and len(seen) > max_nodes:
                raise ValueError(
                    f"draw expected a graph of at most {max_nodes} nodes but got more than {max_nodes} below "
                    f"{describe('root', root)}; draw a part of it, or raise the limit with max_nodes="
                )
            stack += (var, None)
            stack += [parent for parent in reversed(var.parents) if id(parent) not in seen]
    return nodes, place


def _node(var: Var, root: Var, args: tuple[int, ...]) -> Node:
    wanted = var.requires_grad
    if var.op is None:
        role: Role = "input" if wanted else "constant"
    else:
        role = "root" if var is root else "step"
    # A gradient assigned by hand shows too, though no sweep has come.
    known = wanted and (var.has_grad or var.grad != 0.0)
    return Node(role, var.value, var.grad if known else None, var.label, var.op, args, var.partials)
