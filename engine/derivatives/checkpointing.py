"""Trade a second run for memory: a checkpointed function leaves one node in the graph, not its whole recording."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..data import Structure, flatten, unflatten
from ..graph import Var, begin, born_since, gradients_since, holding, inside, is_recording, is_tracing, number_of
from ..operations import Interval, Primitive, Scalar, Unlisted, table
from ..programs import made_of_function
from .running import traced_copy
from .sweeps import Recorded, between, is_node, reverse

__all__ = ["checkpoint"]


@made_of_function
def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f`, changed to keep only the derivatives by its arguments, not all that it computed.

    The function is recorded and swept when it is called, and the record is dropped: each number it returns is one node
    that holds a partial by each argument. A first derivative needs no second run; higher ones run `f` again. What `f`
    closes over counts as an argument: the Vars that were there before the call, leaves and computed ones.
    A loop of n steps cut into calls of m steps holds about n/m + m nodes at a time instead of n. Keyword arguments are
    handed on as they are; Vars in them count as closed over.

    >>> @checkpoint
    ... def decay(x):
    ...     for _ in range(1000):
    ...         x = x * 0.999
    ...     return x
    >>> x = Var(1.0)
    >>> y = decay(decay(x))
    >>> y.parents[0].parents[0] is x
    True
    >>> y.backward()
    >>> print(f"{x.grad:.6f}")
    0.135200
    """
    rows: dict[tuple[Any, ...], Primitive] = {}

    def checkpointed(*args: Any, **named: Any) -> Any:
        if named:
            return checkpoint(functools.partial(f, **named))(*args)
        numbers, structure = flatten(args, "checkpoint", "args")
        if is_tracing():
            # A trace keeps no record, and sees through the function what it closes over.
            given = [copy.copy(number) if hasattr(number, "__whole__") else number for number in numbers]
            results, shape = flatten(f(*unflatten(structure, given)), "checkpoint", "the result")
            return unflatten(shape, results)
        if not is_recording():
            return f(*unflatten(structure, numbers))
        start = begin()
        inputs = [_copy(number) if is_node(number) else number for number in numbers]
        with inside(start), holding(inputs):
            results, shape = flatten(f(*unflatten(structure, inputs)), "checkpoint", "the result")
        found = []
        for place, result in enumerate(results):
            if type(result) is not Var or not result.requires_grad:
                found.append(result)
                continue
            if result.op is None and born_since(result, start) and all(result is not node for node in inputs):
                found.append(result)  # a leaf that `f` made leaves nothing to drop
                continue
            slopes = {id(node): (node, slope) for node, slope in gradients_since(result, start)}
            own = [slopes.pop(id(number), (None, 0.0))[1] for number in inputs]
            # Leaves that `f` made are of no interest to anybody else.
            closed = [(node, slope) for node, slope in slopes.values() if not born_since(node, start)]
            outer, others = zip(*closed, strict=True) if closed else ((), ())
            if not outer and not any(map(is_node, numbers)):
                found.append(Var(result.value, None, False))
                continue
            key = (structure, place, len(outer))
            row = rows.setdefault(key, _row(f, structure, place, len(numbers), len(outer)))
            found.append(Var.record(row, result.value, (*numbers, *outer), (*own, *others)))
        return unflatten(shape, found)

    return checkpointed


def _copy(number: Any) -> Any:
    # Of a Var, a leaf: the record begins at it.
    return Var(number.value) if type(number) is Var else traced_copy(number)


def _is_constant(x: Any) -> bool:
    return not is_node(x) or (type(x) is Var and not x.requires_grad and not is_tracing())


def _row(f: Callable[..., Any], structure: Structure, place: int, count: int, outer: int) -> Primitive:
    """Make the operation that computes one result of `f` from its arguments and what it closes over."""

    def result_of(inputs: Sequence[Any]) -> Any:
        return flatten(f(*unflatten(structure, inputs)), "checkpoint", "the result")[0][place]

    return run_again(f"checkpoint {getattr(f, '__name__', 'function')}", count, outer, result_of)


def run_again(name: str, count: int, outer: int, result_of: Callable[[Sequence[Any]], Any]) -> Primitive:
    """Make an operation from a function that runs again for derivatives of higher order.

    Args:
        name: the operation's name.
        count: of the numbers that the function takes.
        outer: how many Vars, the operation's last arguments, the function closes over.
        result_of: the function, of a list of numbers.
    """

    def record(xs: Sequence[Scalar]) -> Recorded:
        with inside(begin()):
            # Constants stay constants, or their copies would be Vars from outside to an enclosing derivative.
            inputs = [x if _is_constant(x) else table.pos(x) for x in xs[:count]]
            with holding(inputs):
                result = result_of(inputs)
        nodes = [x if is_node(x) else Var(x, None, False) for x in (*inputs, *xs[count:])]
        return between(nodes, [result])

    def partials(y: Scalar, *xs: Scalar) -> Sequence[Scalar]:
        return reverse(record(xs), [1.0], True)

    def evaluate(*xs: float) -> float:
        value: float = number_of(result_of([Var(x, None, False) for x in xs[:count]]))
        return value

    domain = (Interval(float("-inf"), float("inf")),) * (count + outer)
    row = Unlisted(name, name, evaluate=evaluate, partials=partials, domain=domain, doc=f"Run {name}.")
    row.record = record
    row.replay = lambda *xs: result_of(xs[:count])
    return row
