"""Turn a function into data: `trace` runs it once on `Tracer`s and lists what they recorded as a `Program`."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..data import NUMBER, Structure, flatten, unflatten
from ..errors import TraceError
from ..graph import Outside, lift, number_of, recording, session, uncollected, while_tracing
from ..operations import table
from .naming import function_name, input_names
from .program import Program, Step, numbers_in_tuple
from .pruning import drop
from .tracer import Tracer, _births

__all__ = ["trace"]

_traces = itertools.count(1)


def trace(f: Callable[..., Any], *examples: Any) -> Program:
    """Run `f` once on symbols in place of numbers and return what it did as a `Program`.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts or arrays of them. Loops unroll; a condition on a
            traced number raises `TraceError` (use `where`). Vars that `f` closes over are inputs of the program, which
            its attribute `closed` holds.
        examples: arguments; only their structure matters.

    >>> from chainrule import grad, tanh, trace
    >>> print(trace(grad(lambda x: tanh(x)), 1.0))
    lambda(x):
        v1 = sech²(x)
        return v1
    """
    _, structure = flatten(examples, "trace", "examples")
    names = input_names(f, structure)
    since = next(_births)
    inputs = [Tracer(name) for name in names]
    if not session.depth:
        session.number, session.first = next(_traces), since
    enclosing, outside = session.outside, Outside(Tracer)
    session.depth += 1
    session.outside = outside
    try:
        with recording(), uncollected(), while_tracing(outside.start):
            result = f(*unflatten(structure, inputs))
            if result is None:
                raise TypeError(
                    f"trace expected {function_name(f)} to return a number but got None; is a return missing?"
                )
            outputs, shape = flatten(result, "trace", f"the result of {function_name(f)}")
            closed: list[Tracer] = []
            program = listed(function_name(f), inputs, outputs, structure, shape, since, closed)
    finally:
        session.depth -= 1
        session.outside = enclosing
    if not closed:
        return program
    for tracer in closed:
        if id(tracer) not in outside.inputs and not (session.depth and session.first <= tracer.birth < since):
            raise TraceError(
                f"trace expected a result of {program.name}'s own arguments but got {tracer!r} of another trace"
            )
    arguments = Structure("tuple", (*structure.parts, Structure("tuple", (NUMBER,) * len(closed))))
    found = tuple([outside.inputs.get(id(tracer), tracer) for tracer in closed])
    return replace(program, arguments=arguments, closed=found)


def listed(
    name: str,
    inputs: Sequence[Tracer],
    outputs: Sequence[Any],
    arguments: Structure,
    result: Structure,
    since: int = -1,
    lifted: list[Tracer] | None = None,
) -> Program:
    """Number everything that the outputs need, in the order in which it was computed; a `pos` is only an alias.

    Tracers born before `since` come from outside; they are appended to `lifted`, and are inputs after the others.
    """
    outputs = [lift(item) for item in outputs]
    needed, outside, plain = _reached(name, inputs, outputs, since)
    if lifted is not None:
        lifted += outside
        inputs = [*inputs, *outside]
        arguments = Structure("tuple", (*arguments.parts, *[NUMBER] * len(outside)))
    # The identity of an object is that of its number: all of them are alive as long as the trace is.
    place = {id(tracer): k for k, tracer in enumerate(inputs)}
    constants: dict[str, int] = {}  # by hexadecimal digits: in them -0.0 differs from 0.0
    for item in plain:
        place[id(item)] = len(inputs) + constants.setdefault(_plain(item).hex(), len(constants))
    steps = []
    count = len(inputs) + len(constants)
    for tracer in needed:
        op, args = tracer.op, tracer.args
        assert op is not None
        if tracer.place >= 0:
            node = args[0]
            place[id(tracer)] = place[id(node)] + node.loop.result_at(tracer.place)
        elif op is table.pos:
            place[id(tracer)] = place[id(args[0])]
        else:
            steps.append(Step(op, tuple([place[k] for k in map(id, args)])))
            place[id(tracer)] = count
            count += op.results
    chosen = tuple([place[id(item)] for item in outputs])
    names = tuple([tracer.name or "outer" for tracer in inputs])
    program = Program(names, tuple(map(float.fromhex, constants)), tuple(steps), chosen, arguments, result, name)
    return drop(program) if program.has_loops else program


def _reached(
    name: str, inputs: Sequence[Tracer], outputs: Sequence[Any], since: int
) -> tuple[list[Tracer], list[Tracer], list[Any]]:
    """List what outputs need: newer operations and older tracers, by birth, and plain numbers."""
    known = set(map(id, inputs))
    needed: list[Tracer] = []
    outside: list[Tracer] = []
    plain: list[Any] = []
    waiting: list[Sequence[Any]] = [outputs]
    for items in waiting:
        if known.issuperset(map(id, items)):
            continue
        for item in items:
            if id(item) in known:
                continue
            known.add(id(item))
            if not isinstance(item, Tracer):
                plain.append(item)
            elif item.birth < since or (since >= 0 and item.op is None):
                outside.append(item)
            elif item.op is None:
                raise TraceError(
                    f"trace expected a result of {name}'s own arguments but got {item!r} of another trace; what the "
                    "rule of a row takes into a loop has to be an argument of the row"
                )
            else:
                needed.append(item)
                waiting.append(item.args)
    needed.sort(key=_BIRTH)
    outside.sort(key=_BIRTH)
    return needed, outside, plain


_BIRTH = operator.attrgetter("birth")


def _plain(number: Any) -> float:
    value: float = number_of(number)
    return value if value == value else math.nan


def traced(name: str, names: Sequence[str], f: Callable[[Sequence[Any]], list[Any]]) -> Program:
    """Trace a function of a flat list of numbers, one that runs programs: these tell what has no derivative."""
    inputs = [Tracer(label) for label in names]
    with recording():
        outputs = f(inputs)
    return listed(name, inputs, outputs, numbers_in_tuple(len(names)), numbers_in_tuple(len(outputs)))
