"""Turn a function into data: `trace` runs it once on `Tracer`s and lists what they recorded as a `Program`."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..data import NUMBER, Structure, arranged, flatten, unflatten
from ..errors import TraceError
from ..graph import Outside, lift, number_of, recording, session, uncollected, while_tracing
from ..operations import table
from .naming import function_name, input_names
from .nested import in_numbers, values_in_tuple
from .program import Program, Step
from .pruning import drop
from .tables import Numbers
from .traced_inputs import symbol, symbols_of
from .tracer import (
    ArrayTracer,
    Tracer,
    _births,
    array_in_order,
    as_values,
    joined,
    shown,
    structural,
    whole_from,
)
from .views import Place, Shape, View, row_at

__all__ = ["trace"]

_traces = itertools.count(1)


def trace(f: Callable[..., Any], *examples: Any) -> Program:
    """Run `f` once on symbols in place of numbers and return what it did as a `Program`.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts or arrays of them. Loops unroll; a condition on a
            traced number raises `TraceError` (use `where`). Vars that `f` closes over are inputs of the program, which
            its attribute `closed` holds.
        examples: arguments; only their structure matters. An array of 256 numbers and more is one value of the
            program: what `f` does with it as NumPy does becomes loops over its rows, however large it is. A smaller
            one comes as an array of numbers, and lists come as lists of them.

    >>> from chainrule import grad, tanh, trace
    >>> print(trace(grad(lambda x: tanh(x)), 1.0))
    lambda(x):
        v1 = sech²(x)
        return v1
    """
    _, structure = flatten(examples, "trace", "examples", least=whole_from())
    return trace_for(f, _with_truths(structure, examples))


def _with_truths(structure: Structure, tree: Any) -> Structure:
    """Return a structure in which arrays of truth values are marked as such."""
    if structure.kind == "array":
        is_truth = getattr(getattr(tree, "dtype", None), "kind", "") == "b"
        return replace(structure, made=bool) if is_truth else structure
    if structure.of_numbers or structure.kind not in ("tuple", "list", "dict", "record"):
        return structure
    of = [getattr(tree, key) for key in structure.keys] if structure.kind == "record" else tree
    items = list(of.values() if isinstance(of, dict) else of)
    parts = tuple([_with_truths(part, item) for part, item in zip(structure.parts, items, strict=True)])
    return structure if parts == structure.parts else replace(structure, parts=parts)


def trace_for(f: Callable[..., Any], structure: Structure) -> Program:
    """Trace a function for arguments of a structure; large arrays stay whole."""
    structure = structure.in_arrays(whole_from())
    names = input_names(f, structure)
    since = next(_births)
    with uncollected():
        inputs = symbols_of(names, structure)
    truths = list(structure.truths())
    structure = structure.without_truths() if truths else structure
    if not session.depth:
        session.number, session.first = next(_traces), since
    enclosing, before, outside = session.outside, session.since, Outside(Tracer)
    session.depth += 1
    session.outside, session.since = outside, since
    try:
        with recording(), uncollected(), while_tracing(outside.start):
            result = f(*unflatten(structure, shown_inputs(inputs, truths)))
            if result is None:
                raise TypeError(
                    f"trace expected {function_name(f)} to return a number but got None; is a return missing?"
                )
            outputs, shape = lists_joined(*values_in(result, "trace", f"the result of {function_name(f)}"))
            closed: list[Tracer] = []
            program = listed(function_name(f), inputs, outputs, structure, shape, since, closed)
    finally:
        session.depth -= 1
        session.outside, session.since = enclosing, before
    if not closed:
        return program
    for tracer in closed:
        if id(tracer) not in outside.inputs and not (session.depth and session.first <= tracer.birth < since):
            raise TraceError(
                f"trace expected a result of {program.name}'s own arguments but got {tracer!r} of another trace"
            )
    outer = values_in_tuple([shape_of(tracer) for tracer in closed])
    arguments = Structure("tuple", (*structure.parts, outer))
    found = tuple([outside.inputs.get(id(tracer), tracer) for tracer in closed])
    return replace(program, arguments=arguments, closed=found)


def shown_inputs(inputs: Sequence[Any], truths: Sequence[int]) -> list[Any]:
    """Return inputs as traced code gets them: those at some places are conditions, or whole arrays of them."""
    given = list(map(shown, inputs))
    for k in truths:
        if type(given[k]) is ArrayTracer:
            given[k].holds_conditions = True
        else:
            given[k] = table.not_equal(given[k], 0.0)
    return given


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
        outer = values_in_tuple([shape_of(tracer) for tracer in outside])
        arguments = Structure("tuple", (*arguments.parts, *outer.parts))
    # The identity of an object is that of its number: all of them are alive as long as the trace is.
    place = {id(tracer): k for k, tracer in enumerate(inputs)}
    constants: dict[Any, int] = {}  # numbers by hexadecimal digits: in them -0.0 differs from 0.0
    for item in plain:
        key = item if type(item) is Numbers else _plain(item).hex()
        place[id(item)] = len(inputs) + constants.setdefault(key, len(constants))
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
    known = tuple([float.fromhex(key) if isinstance(key, str) else key for key in constants])
    program = Program(names, known, tuple(steps), chosen, arguments, result, name)
    return drop(program) if program.has_loops else program


def _reached(
    name: str, inputs: Sequence[Tracer], outputs: Sequence[Any], since: int
) -> tuple[list[Tracer], list[Tracer], list[Any]]:
    """List what outputs need: newer operations and older tracers, by birth, and plain numbers."""
    known = set(map(id, inputs))
    needed: list[Any] = []
    outside: list[Any] = []
    plain: list[Any] = []
    waiting: list[Sequence[Any]] = [outputs]
    for items in waiting:
        if known.issuperset(map(id, items)):
            continue
        for item in items:
            if id(item) in known:
                continue
            known.add(id(item))
            if not isinstance(item, (Tracer, ArrayTracer)):
                plain.append(item)
            elif item.birth < since or (since >= 0 and (item.op is None or _looks_outside(item, since))):
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


def _looks_outside(item: Any, since: int) -> bool:
    """Return whether something is a part of an array from outside, or one more result of a loop there.

    Then only that is taken in. A loop is made to stack more by the derivative of what it gave.
    """
    if item.place >= 0:
        return bool(item.args[0].birth < since)
    return type(item.op) is View and not item.op.stops and getattr(item.args[0], "birth", since) < since


_BIRTH = operator.attrgetter("birth")


def _plain(number: Any) -> float:
    value: float = number_of(number)
    return value if value == value else math.nan


def traced(
    name: str, names: Sequence[str], f: Callable[[Sequence[Any]], list[Any]], shapes: Sequence[Shape] | None = None
) -> Program:
    """Trace a function of a list of values, one that runs programs: these tell what has no derivative.

    Args:
        name: of the program.
        names: of the values.
        f: what to trace; it may return arrays as lists.
        shapes: of the values; all are numbers where it is left out.
    """
    shapes = [()] * len(names) if shapes is None else shapes
    inputs = list(map(symbol, names, shapes))
    with recording():
        outputs = [as_node(item) for item in f(inputs)]
    return listed(name, inputs, outputs, values_in_tuple(shapes), values_in_tuple(map(shape_of, outputs)))


def values_in(tree: Any, function: str, name: str, least: int | None = None) -> tuple[list[Any], Structure]:
    """Flatten a structure as a trace takes it: each array of so many numbers and more is one value."""
    return values_of(*flatten(tree, function, name, least=max(1, whole_from(least))), least)


def values_of(numbers: Sequence[Any], structure: Structure, least: int | None = None) -> tuple[list[Any], Structure]:
    """Return what a structure holds with arrays of so many numbers and more, `WHOLE` if not said, as one value each."""
    expected = structure.in_arrays(whole_from(least))
    if expected is structure and not structure.has_whole:
        return list(numbers), structure
    found, own = [], iter(numbers)
    for leaf, given in zip(expected.leaves(), _given(structure, expected), strict=True):
        if given.whole:
            value = next(own)
            found.append(value if isinstance(value, (list, Numbers, ArrayTracer)) else Numbers.of(value))
        elif not leaf.shape:
            found.append(next(own))
        else:
            found.append(joined(list(itertools.islice(own, leaf.size)), leaf.shape))
    return found, expected


def _given(structure: Structure, expected: Structure) -> Iterator[Structure]:
    """Yield for each value of an expected structure what is given in its place."""
    if expected.kind == "number" or expected.whole:
        yield structure
    elif expected.parts:
        for part, own in zip(structure.parts, expected.parts, strict=True):
            yield from _given(part, own)
    else:
        yield from [NUMBER] * expected.size


def lists_joined(values: Sequence[Any], structure: Structure) -> tuple[list[Any], Structure]:
    """Return what a structure holds with long lists that are one array's numbers, in order, as that array."""
    found: list[Any] = []
    return found, _lists_joined(iter(values), structure, found, structure.in_lists(whole_from()))


def _lists_joined(values: Iterator[Any], structure: Structure, found: list[Any], expected: Structure) -> Structure:
    if expected is structure:
        found += itertools.islice(values, structure.count)
        return structure
    if expected.whole:
        own = list(itertools.islice(values, structure.count))
        array = array_in_order(own)
        if type(array) is ArrayTracer:  # constants stay numbers, which code may branch on
            found.append(array)
            return expected
        values = iter(own)
        expected = replace(expected, whole=False, shape=())
        parts = [part.in_lists(whole_from()) for part in structure.parts]
    else:
        parts = list(expected.parts)
    pairs = zip(structure.parts, parts, strict=True)
    return replace(structure, parts=tuple([_lists_joined(values, part, found, new) for part, new in pairs]))


def stacked(items: Sequence[Any], shape: Shape) -> Any:
    """Return values of one shape as the rows of one array."""
    if not shape:
        return joined(items, (len(items),))
    if all(type(item) is list for item in items):
        return joined([number for item in items for number in item], (len(items), *shape))
    if all(type(item) is Numbers for item in items):
        return Numbers(b"".join([item.data for item in items]), (len(items), *shape))
    parts = [row_at(k, shape) for k in range(len(items))]
    return structural(Place((len(items), *shape), parts), as_values(items, [shape] * len(items)))


def arranged_values(values: Sequence[Any], found: Structure, expected: Structure) -> list[Any] | None:
    """Return values in an expected structure, which may have other arrays whole; None where it is another one."""
    if found == expected:
        return list(values)
    if not found.has_whole and not expected.has_whole:
        placed = arranged(values, found, expected)
        return None if placed is None else list(placed)
    numbers = arranged(list(in_numbers(values, found)), found.in_numbers(), expected.in_numbers())
    if numbers is None:
        return None
    own = iter(numbers)
    return [
        joined(list(itertools.islice(own, leaf.size)), leaf.shape) if leaf.shape else next(own)
        for leaf in expected.leaves()
    ]


def as_node(item: Any) -> Any:
    """Return a result of a function, with an array of one dimension in place of a list."""
    return joined(item, (len(item),)) if type(item) is list else item


def shape_of(item: Any) -> Shape:
    """Return the shape of a node or a constant."""
    return getattr(item, "shape", ())
