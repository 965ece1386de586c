"""Expand a function in its Taylor series: all derivatives to an order in one pass over the recorded graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..data import Structure, flatten, is_symbolic, unflatten, whole_number
from ..errors import describe
from ..graph import Var, begin, inside, recording
from ..programs import ArrayTracer, Loop, Structural, in_numbers
from .running import run_on_copies
from .series import Expansion, Series, constant_series, has_series
from .sweeps import Recorded, between, is_node, settle

__all__ = ["taylor"]


def taylor(f: Callable[..., Any], x: Any, order: int, **named: Any) -> Any:
    """Return the Taylor coefficients of `f` at `x`: f, f', f''/2, f'''/6, ... to the given order.

    Args:
        f: a function of one number; where it returns a structure, each number in it becomes a list.
        x: a float or a Var.
        order: the highest derivative, 0 or more.
        named: keyword arguments of `f`.

    >>> taylor(lambda x: 1 / (1 - x), 0.0, 4)
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    order = whole_number("taylor", "order", order, least=0)
    with recording() as outside, inside(begin()):
        is_one = not hasattr(x, "__len__") or getattr(x, "shape", None) == ()
        (number,), _ = flatten(x, "taylor", "x") if is_one else _reject(x)

        def call(inputs: Sequence[Any]) -> tuple[list[Any], Structure]:
            values, structure = flatten(f(*inputs, **named), "taylor", "the result")
            return list(in_numbers(values, structure)), structure.in_numbers()

        (source,), results, shape = run_on_copies(call, [number])
        graph = between([source], results)
        expansion = Expansion(order)
        series: dict[int, Any] = {id(source): Series(expansion, coefficients=[_plain(source), 1.0])}
        _expand(expansion, graph, series, (graph.foreign and outside) or is_symbolic(source))
        found = []
        for result in results:
            expanded = series.get(id(result))
            coefficients = (
                [expanded.coefficient(k) for k in range(order + 1)]
                if expanded is not None
                else [result] + [0.0] * order
            )
            found.append(settle(coefficients, [source], outside))
        if type(source) is Var and source.op is None:
            source.requires_grad = False
    return unflatten(shape, found)


def _expand(expansion: Expansion, graph: Recorded, series: dict[int, Any], symbolic: bool) -> None:
    """Compute the series of all nodes between inputs, whose series are known, and results."""
    found_by: dict[int, list[Any]] = {}  # the results of each loop
    for node in graph.order:
        if node.op.record is not None:
            series[id(node)] = _expand_again(expansion, node, series, symbolic)
            continue
        args = [series.get(id(arg), arg if symbolic or not is_node(arg) else arg.value) for arg in node.args]
        if isinstance(node.op, Loop):
            if node.place < 0:
                found_by[id(node)] = node.loop.apply(tuple(args))
            else:
                item = found_by[id(node.args[0])][node.args[0].loop.result_at(node.place)]
                series[id(node)] = item if has_series(item) else constant_series(expansion, item)
            continue
        if isinstance(node.op, Structural):
            item = node.op.apply(tuple(args))
            series[id(node)] = item if has_series(item) else constant_series(expansion, item)
            continue
        if type(node) is ArrayTracer:  # a copy
            series[id(node)] = args[0]
            continue
        series[id(node)] = expansion.apply(node.op, tuple(args), node if symbolic else node.value)
        # Arguments first, so that no coefficient is asked for down a long chain of calls.
        series[id(node)].coefficient(expansion.order)


def _expand_again(expansion: Expansion, node: Any, series: dict[int, Any], symbolic: bool) -> Series:
    """Compute the series of a checkpointed result from what its function records when it runs again."""
    graph = node.op.record(node.args)
    expansion.alive.append(graph)  # series are kept by the identity of their nodes
    for copy, arg in zip(graph.inputs, node.args, strict=True):
        if id(arg) in series:
            series[id(copy)] = series[id(arg)]
    moving = [copy for copy in graph.inputs if id(copy) in series]
    _expand(expansion, between(moving, graph.results), series, symbolic)
    (result,) = graph.results
    known = series.get(id(result))
    return known if known is not None else Series(expansion, coefficients=[node if symbolic else node.value])


def _reject(x: Any) -> Any:
    raise TypeError(f"taylor expected one number but got {describe('x', x)}; expand t -> f(x + t * direction) instead")


def _plain(source: Any) -> Any:
    return source.value if type(source) is Var and source.op is None else source
