"""Trade a second run for memory: a checkpointed function leaves one node in the graph, not its whole recording."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .backward import leaf_gradients
from .modes import recording
from .primitive import Interval, Primitive, Scalar
from .structure import Structure, flatten, unflatten
from .sweeps import between, is_node, reverse
from .transforms import traced_copy
from .var import Var
from .wrapping import made_of_function

__all__ = ["checkpoint"]


@made_of_function
def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f`, made to keep the derivatives by its arguments instead of all that it computed.

    The function is recorded and swept when it is called, and the record is dropped: each number it returns is one node
    that holds a partial by each argument. A first derivative needs no second run; higher ones run `f` again. Vars that
    `f` closes over count as arguments (they are followed down to leaves, so pass what was computed as an argument).
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
        with recording() as outside:
            if not outside:
                return _without_record(f, structure, numbers)
            inputs = [_copy(number) if is_node(number) else number for number in numbers]
            results, shape = flatten(f(*unflatten(structure, inputs)), "checkpoint", "the result")
            found = []
            for place, result in enumerate(results):
                if type(result) is not Var or not result.requires_grad:
                    found.append(result)
                    continue
                slopes = {id(leaf): (leaf, slope) for leaf, slope in leaf_gradients(result)}
                own = [slopes.pop(id(number), (None, 0.0))[1] for number in inputs]
                leaves, others = zip(*slopes.values(), strict=True) if slopes else ((), ())
                key = (structure, place, len(leaves))
                row = rows.setdefault(key, _row(f, structure, place, len(numbers), len(leaves)))
                found.append(Var.record(row, result.value, (*numbers, *leaves), (*own, *others)))
        return unflatten(shape, found)

    return checkpointed


def _copy(number: Any) -> Any:
    # Of a Var, a leaf: the record begins at it.
    return Var(number.value) if type(number) is Var else traced_copy(number)


def _without_record(f: Callable[..., Any], structure: Structure, numbers: Sequence[Any]) -> Any:
    return f(*unflatten(structure, [Var(n.value, None, False) if type(n) is Var else n for n in numbers]))


def _row(f: Callable[..., Any], structure: Structure, place: int, count: int, leaves: int) -> Primitive:
    """Make the operation that one result of `f` is of its arguments and the leaves it closes over."""

    def result_of(inputs: Sequence[Any]) -> Any:
        return flatten(f(*unflatten(structure, inputs)), "checkpoint", "the result")[0][place]

    def partials(y: Scalar, *xs: Scalar) -> Sequence[Scalar]:
        inputs = [traced_copy(x) for x in xs[:count]]
        graph = between([*inputs, *xs[count:]], [result_of(inputs)])
        return reverse(graph, [1.0], True)

    def evaluate(*xs: float) -> float:
        value = result_of([Var(x, None, False) for x in xs[:count]])
        return value.value if type(value) is Var else value

    name = f"checkpoint {getattr(f, '__name__', 'function')}"
    domain = (Interval(float("-inf"), float("inf")),) * (count + leaves)
    row = Primitive(name, name, evaluate=evaluate, partials=partials, domain=domain, doc=f"Run {name}.")
    row.replay = lambda *xs: result_of(xs[:count])
    return row
