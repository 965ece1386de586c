"""Sweep a graph in reverse: visit each node before its arguments, and apply the chain rule.

At each node (gradient of the node) x (partial) is added to the gradient of the argument. Compiled, nodes are visited
as they stand in memory, latest first; otherwise the graph is sorted. Nothing here recurses on the graph.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

try:
    import cython
except ImportError:
    from .. import uncompiled as cython

from ..errors import TraceError
from ..forking import open_in_children
from .blame import check_gradient, user_line
from .modes import is_strict
from .runs import is_tracing
from .var import Var, use_reverse_sweep

if cython.compiled:
    pass  # backward.pxd declares these
else:
    from ..uncompiled import check_signals
    from .var import _CLOSED

    tape_start: Any = None  # these are of nodes.h: only compiled code calls them
    tape_back: Any = None

__all__ = ["gradients", "gradients_since", "walk"]

_clock = 1.0  # the greatest mark that a sweep has left
# Sweeps of several threads wait for each other, so that shared leaves lose nothing.
_sweeping = open_in_children(threading.RLock())


def gradients(root: Var, inputs: Sequence[Var]) -> list[float] | None:
    """Return the derivatives by the given leaves without changing any gradient; None if there are other leaves.

    >>> from chainrule import Var
    >>> x, y = Var(2.0), Var(3.0)
    >>> gradients(x * y, [x, y]), gradients(x * y, [x])
    ([3.0, 2.0], None)
    """
    if not root.requires_grad:
        return [0.0] * len(inputs)
    found = _derivatives(root, {id(leaf) for leaf in inputs}, _CLOSED)
    if found is None:
        return None
    by_leaf = {id(leaf): grad for leaf, grad in found}
    return [by_leaf.get(id(leaf), 0.0) for leaf in inputs]


def gradients_since(root: Var, start: float) -> list[tuple[Var, float]]:
    """List leaves, and Vars older than a call, each with the derivative of a Var by it; change no gradient.

    The Var must require grad; `start` is what `begin` returned when the call began. Where a leaf or older Var stands
    below another one, the search ends at the first.

    >>> from chainrule import Var
    >>> from chainrule.graph.var import begin
    >>> x, y = Var(2.0), Var(3.0)
    >>> z = x * y
    >>> start = begin()
    >>> [(node is z, grad) for node, grad in gradients_since(z * z, start)]
    [(True, 12.0)]
    """
    found: list[tuple[Var, float]] = _derivatives(root, None, start)
    return found


def _add_gradients(root: Var, seed: float) -> None:
    """Run the reverse sweep and add its result to the gradient of each leaf."""
    if is_tracing():
        raise TraceError(
            f"backward was called at {user_line()}, in a function that is being traced: the gradients that it leaves "
            "are no numbers of the program; take derivatives with chainrule.grad"
        )
    leaves: list[Var] = []
    before: list[float] = []
    with _sweeping:
        try:
            if cython.compiled and not is_strict():
                if _read_back(root, seed, leaves, before):
                    _add_up(leaves, before)
                    return
                _set_gradients(leaves, before)
                leaves.clear()
                before.clear()
            order = _order(root, leaves, before, None, _CLOSED)
            root._grad = seed
            _propagate(order)
            _add_up(leaves, before)
        finally:
            _set_gradients(leaves, before)


use_reverse_sweep(_add_gradients)


def _derivatives(root: Var, only: Any, start: float) -> Any:
    """Run the reverse sweep and restore all nodes; None if there is a leaf that was not asked for."""
    leaves: list[Var] = []
    state: list[Any] = []
    with _sweeping:
        try:
            order = _order(root, leaves, [], state, start)
            if only is not None and not only.issuperset(map(id, leaves)):
                return None
            root._grad = 1.0
            _propagate(order)
            return [(leaf, leaf.grad) for leaf in leaves]
        finally:
            # An interrupt may come between two appends.
            for k in range(0, len(state) - 2, 3):
                node: Var = state[k]
                node._mark = state[k + 1]
                node._grad = state[k + 2]


def _set_gradients(leaves: list[Var], gradients: list[float]) -> None:
    # An interrupt may come between two appends.
    for grad, item in zip(gradients, leaves, strict=False):
        leaf: Var = item
        leaf._grad = grad


def _add_up(leaves: list[Var], before: list[float]) -> None:
    """Add a sweep's total to each leaf at once, so that a second sweep adds exactly as much as the first."""
    for position, item in enumerate(leaves):
        leaf: Var = item
        before[position] += leaf._grad


def _read_back(root: Var, seed: float, leaves: Any, before: Any) -> Any:
    """Apply the chain rule to each node in memory order, latest first; return whether all were found.

    Compiled, nodes stand in memory as they were computed (nodes.h), so that no graph needs to be sorted. Only where
    that does not hold, `_order` and `_propagate` do the work.
    """
    global _clock
    _clock += 1.0
    seen = _clock
    node = root
    node._grad = seed
    node._mark = seen
    pending = 1  # computed nodes that were reached, but not read yet
    steps = 0
    tape_start(root)
    while node is not None:
        # C code runs on through Ctrl-C unless it asks.
        steps += 1
        if steps & 0xFFFF == 0:
            check_signals()
            tape_start(node)  # a signal's handler may have swept a graph of its own
        g = node._grad
        if node._b is None:
            args, partials = node._a[0], node._a[1]
            for k in range(len(partials)):
                if type(args[k]) is Var:
                    a = args[k]
                    if a._mark < seen:
                        pending += _reach(a, seen, leaves, before)
                    d = partials[k]
                    if g != 0.0 and d != 0.0 and a._mark < _CLOSED:
                        a._grad += g * d
        else:
            # Without names of their own, arguments cost C no counting of references.
            if cython.cast(Var, node._a)._mark < seen:
                pending += _reach(node._a, seen, leaves, before)
            if g != 0.0 and node._da != 0.0 and cython.cast(Var, node._a)._mark < _CLOSED:
                cython.cast(Var, node._a)._grad += g * node._da
            if node._b._mark < seen:
                pending += _reach(node._b, seen, leaves, before)
            if g != 0.0 and node._db != 0.0 and node._b._mark < _CLOSED:
                node._b._grad += g * node._db
        pending -= 1
        if pending == 0:
            return True
        node = tape_back(seen)
    return False


def _reach(arg: Var, seen: Any, leaves: Any, before: Any) -> Any:
    """Mark a node that a sweep reaches for the first time, and set its gradient to 0; return 1 if it was computed."""
    arg._mark = seen
    if arg._op is None:
        before.append(arg._grad)
        leaves.append(arg)
        arg._grad = 0.0
        return 0
    arg._grad = 0.0
    return 1


def _order(root: Var, leaves: Any, before: Any, state: Any, start: float) -> Any:
    """List the computed nodes below `root`, arguments before results, and the leaves; set all gradients to 0.

    What was made before `start` counts as a leaf. The leaves' gradients before, and the state of all nodes if asked
    for, are kept in lists of the caller's, who can so undo what an interrupted search has done.
    """
    global _clock
    _clock += 1.0
    seen = _clock
    order: list[Var] = []
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if item is None:
            # Everything below the node under this mark is in the list.
            order.append(stack.pop())
            continue
        node: Var = item
        if node._mark == seen:
            continue
        if state is not None:
            # One after the other: a tuple for each node would have the collector visit them all.
            state.append(node)
            state.append(node._mark)
            state.append(node._grad)
        older = node._mark > start
        node._mark = seen
        b = node._b
        if b is not None and not older:
            node._grad = 0.0
            a = node._a
            if a._mark < seen:
                stack += (node, None, a, b) if b._mark < seen else (node, None, a)
            elif b._mark < seen:
                stack += (node, None, b)
            else:
                order.append(node)
            continue
        if older or node._op is None:
            before.append(node._grad)
            leaves.append(node)
            node._grad = 0.0
            continue
        node._grad = 0.0
        stack += (node, None)
        for arg in node._a[0]:
            if type(arg) is Var:
                a = arg
                if a._mark < seen:
                    stack.append(a)
    return order


def _propagate(order: Any) -> Any:
    """Apply the chain rule at each node, results before arguments."""
    if is_strict():
        _propagate_strictly(order)
        return
    for end in range(len(order), 0, -0x10000):
        check_signals()  # C code runs on through Ctrl-C unless it asks
        for item in reversed(order[max(end - 0x10000, 0) : end]):
            node: Var = item
            g = node._grad
            if g == 0.0:
                continue
            b = node._b
            if b is None:
                args, partials = node._a[0], node._a[1]
                for k in range(len(partials)):
                    if type(args[k]) is Var:
                        a = args[k]
                        d = partials[k]
                        if d != 0.0 and a._mark < _CLOSED:
                            a._grad += g * d
                continue
            d = node._da
            if d != 0.0:
                a = node._a
                if a._mark < _CLOSED:
                    a._grad += g * d
            d = node._db
            if d != 0.0 and b._mark < _CLOSED:
                b._grad += g * d


def _propagate_strictly(order: list[Var]) -> None:
    """Propagate as `_propagate` does, but raise where a gradient first becomes nan or inf."""
    for item in reversed(order):
        node: Var = item
        row: Any = node._op
        values = [arg.value if type(arg) is Var else arg for arg in node.args]
        for position, (arg, partial) in enumerate(zip(node.args, node.partials, strict=True)):
            if node._grad != 0.0 and partial != 0.0 and type(arg) is Var and arg.requires_grad:
                product = node._grad * partial
                check_gradient(node, row, position, values, node._grad, partial, product)
                operand: Var = arg
                operand._grad += product


def walk(root: Var) -> list[Var]:
    """List all Vars below `root`, leaves and constant Vars too, arguments before results; change nothing.

    >>> from chainrule import Var
    >>> x = Var(2.0)
    >>> [node.value for node in walk(x * x + 1.0)]
    [2.0, 4.0, 5.0]
    """
    order: list[Var] = []
    seen: set[int] = set()
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append(node)
            stack.append(None)
            stack.extend([arg for arg in node.args if type(arg) is Var and id(arg) not in seen])
    return order
