"""See what there is to draw: every value below a root, numbered so that arguments come before results.

A picture is plain data. Whatever records operations can be turned into one, and whatever shows graphs
(DOT text, a formula, a page to step through) can read one, without either knowing the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chainrule import Primitive, Var
from chainrule.primitive import describe

Role = Literal["input", "constant", "step", "root"]


@dataclass(frozen=True, slots=True)
class Node:
    """Hold one value of the graph and the operation that made it.

    Args:
        role: ``input`` for a leaf that wants a gradient, ``constant`` for one that does not, ``root`` for
            the computed value that was asked for, ``step`` for every other computed value.
        value: the number.
        grad: its gradient; None where none was computed yet, or none is wanted.
        label: the user's name for it.
        op: the operation; None for inputs and constants.
        args: the places of the operation's arguments in the picture, in order.
    """

    role: Role
    value: float
    grad: float | None
    label: str | None
    op: Primitive | None
    args: tuple[int, ...]


def collect(root: Var, max_nodes: int) -> list[Node]:
    """List the graph below `root`, each Var once; the same graph always gives the same list.

    Raises `ValueError` for a graph of more than `max_nodes` Vars, constants included. The walk stops there,
    so refusing takes no longer for a larger graph.

    >>> x = Var(3.0, label="x")
    >>> [(node.label, node.value, node.args) for node in collect(x * x + 1.0, max_nodes=10)]
    [('x', 3.0, ()), (None, 9.0, (0, 0)), (None, 1.0, ()), (None, 10.0, (1, 2))]
    """
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
            if len(seen) > max_nodes:
                raise ValueError(
                    f"draw expected a graph of at most {max_nodes} nodes but got more than {max_nodes} below "
                    f"{describe('root', root)}; draw a part of it, or raise the limit with max_nodes="
                )
            stack += (var, None)
            stack += [parent for parent in reversed(var.parents) if id(parent) not in seen]
    return nodes


def _node(var: Var, root: Var, args: tuple[int, ...]) -> Node:
    role: Role
    if var.op is None:
        role = "input" if var.requires_grad else "constant"
    elif var is root:
        role = "root"
    else:
        role = "step"
    # A gradient assigned by hand shows too, though no sweep has come.
    known = var.requires_grad and (var.has_grad or var.grad != 0.0)
    return Node(role, var.value, var.grad if known else None, var.label, var.op, args)
