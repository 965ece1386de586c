"""Run one of several functions, and only that one: `cond` and `switch`.

`where` computes both of its branches. Here the branch that is not taken does not run: not its operations, not its
rows of the user's own, not its derivative. In a batch each sample takes its own branch: for samples that take another
one a vector may compute what is thrown away, but no row of the user's own is asked for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..data import NUMBER, arranged, flatten, unflatten
from ..errors import describe
from ..operations import table
from ..programs import WHILE, Loop, function_name, traced, values_in, zeros
from .bodies import Body, any_traced, numbers_of, seen, shown_as

__all__ = ["cond", "switch"]

Test = Callable[[Any], Any]


def cond(condition: Any, f: Callable[..., Any], g: Callable[..., Any], *args: Any) -> Any:
    """Return ``f(*args)`` where the condition holds, else ``g(*args)``; the other function does not run.

    Args:
        condition: a number or truth value; all but 0 is true, nan too.
        f, g: functions of `args` whose results have the same structure.
        args: numbers or nested structures of them. What the functions close over counts, too.

    >>> cond(2.0 > 1.0, lambda x: x * x, lambda x: 1 / x, 3.0)
    9.0
    >>> from chainrule import grad, sqrt, trace
    >>> grad(lambda x: cond(x > 0, sqrt, lambda x: 0.0, x))(0.0)
    0.0
    >>> print(trace(lambda x: cond(x > 0, lambda x: sqrt(x), lambda x: -x, x), 1.0))
    lambda(x):
        v1 = 0.0 < x
        v2 = when true: lambda from 0.0 with v1, x:
            lambda(result, chosen, x):
                v1 = sqrt(x)
                return (v1,)
            true(result, chosen, x):
                return (chosen,)
        v3 = when false: lambda from v2 with v1, x:
            lambda(result, chosen, x):
                v1 = −x
                return (v1,)
            false(result, chosen, x):
                v1 = chosen = 0.0
                return (v1,)
        return v3
    """
    chosen = _one_number("cond", "condition", condition)
    if not any_traced([chosen]):
        return _run("cond", f if chosen else g, args)
    return _branches("cond", chosen, [("true", _holds, f), ("false", _fails, g)], args)


def switch(index: Any, branches: Iterable[Callable[..., Any]], *args: Any) -> Any:
    """Return ``branches[index](*args)``; the other branches do not run.

    Args:
        index: a number; below 0 it counts as 0, above the last place as the last one, and so does nan. Of a number that
            is not whole the whole part counts.
        branches: functions of `args`, at least one, whose results have the same structure.
        args: numbers or nested structures of them. What the functions close over counts, too.

    >>> [switch(k, [lambda x: x, lambda x: x * x, lambda x: 1 / x], 4.0) for k in (0, 1, 7)]
    [4.0, 16.0, 0.25]
    """
    functions = list(branches)
    if not functions or not all(map(callable, functions)):
        raise TypeError(f"switch expected one function or more but got {describe('branches', branches)}")
    chosen, last = _one_number("switch", "index", index), len(functions) - 1
    if last == 0:
        return _run("switch", functions[0], args)
    if not any_traced([chosen]):
        return _run("switch", functions[_place(float(getattr(chosen, "value", chosen)), last)], args)
    taken = [(f"is {place}", _is_place(place, last), f) for place, f in enumerate(functions)]
    return _branches("switch", chosen, taken, args)


def _one_number(function: str, name: str, number: Any) -> Any:
    numbers, structure = flatten(number, function, name)
    if structure is not NUMBER:
        raise TypeError(f"{function} expected one number as {name} but got {describe(name, number)}")
    return seen(numbers)[0]


def _place(index: float, last: int) -> int:
    return last if math.isnan(index) else int(max(0.0, min(index, last)))


def _holds(chosen: Any) -> Any:
    return chosen


def _fails(chosen: Any) -> Any:
    return table.equal(chosen, 0.0)


def _is_place(place: int, last: int) -> Test:
    """Return the test of whether an index selects this place; exactly one place passes, for nan as well."""
    if place == 0:
        return lambda index: table.less(index, 1.0)
    if place == last:
        return lambda index: table.equal(table.less(index, float(last)), 0.0)
    return lambda index: table.where(table.less(index, float(place)), 0.0, table.less(index, place + 1.0))


def _run(function: str, f: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Run a branch known to be taken, on numbers as `flatten` makes them."""
    numbers, structure = flatten(args, function, "args")
    found, shape = numbers_of(f(*unflatten(structure, numbers)), function, f)
    return unflatten(shape, found)


def _branches(
    function: str, chosen: Any, branches: Sequence[tuple[str, Test, Callable[..., Any]]], args: Sequence[Any]
) -> Any:
    """Trace all branches: each is a loop of at most one iteration, which replaces the result if its test passes."""
    numbers, structure = values_in(args, function, "args")
    bodies: list[Body] = []
    for _, _, f in branches:
        body = Body(function, f, structure)
        expected = bodies[0].result if bodies else body.result
        placed = arranged(body.numbers, body.result, expected)
        if placed is None:
            raise ValueError(
                f"{function} expected results of one structure but got {expected} of {function_name(branches[0][2])} "
                f"and {body.result} of {function_name(f)}"
            )
        body.finish(placed)
        bodies.append(body)
    results: list[Any] = list(map(zeros, bodies[0].program.output_shapes))
    for (name, test, _), body in zip(branches, bodies, strict=True):
        loop = _branch(body, name, test)
        results = loop.apply((*results, chosen, *numbers, *body.lifted))
    return shown_as(bodies[0].result, results)


def _branch(body: Body, name: str, test: Test) -> Loop:
    """Return the loop of one branch: its body takes the results so far, which it ignores, then the index."""
    given = body.program.output_shapes
    count = len(given)
    names = [*["result"] * count, "chosen", *body.program.names]
    shapes = [*given, (), *body.program.shapes]
    program = traced(body.name, names, lambda xs: body.program.run(xs[count + 1 :]), shapes)
    condition = traced(name, names, lambda xs: [test(xs[count])], shapes)
    return Loop(WHILE, program, 1, count, 0, 0, condition=condition)
