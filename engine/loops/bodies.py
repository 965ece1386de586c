"""Trace the function of a loop or branch once, for its inner program."""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..data import Structure, all_numbers, flatten, record_fields, unflatten
from ..errors import TraceError
from ..graph import Var, arrays_whole_from, is_tracing, lift, session, user_line
from ..programs import (
    ArrayTracer,
    Loop,
    Place,
    Program,
    Tracer,
    View,
    function_name,
    input_names,
    listed,
    shape_of,
    shown,
    shown_inputs,
    symbols_of,
    values_in_tuple,
    values_of,
)
from ..rewriting import WORK, recognise, size, work
from .carries import Carry

_LEAST = 16  # numbers of an array that stays whole where code is long
_GAIN = 0.5  # of the size that may be left, for that


class Body:
    """Run a loop's function once on symbols; `finish` makes the inner program from what it returned."""

    def __init__(
        self,
        function: str,
        f: Callable[..., Any],
        arguments: Structure,
        inputs: Any = None,
        empty: bool = False,
        carry: Carry | None = None,
        truths: Sequence[int] = (),
    ) -> None:
        self.name, self.arguments = function_name(f), arguments
        if inputs is None:
            inputs = symbols_of(input_names(f, arguments), arguments)
        for own in inputs:
            if isinstance(own, ArrayTracer):
                own.memory = None  # what another body wrote
        self.inputs: list[Any] = inputs
        # Whatever else is traced was born before, outside.
        self.since = inputs[0].birth if inputs else Tracer("").birth
        args = list(unflatten(arguments, shown_inputs(inputs, truths)))
        if empty:
            args[1] = None
        if carry is not None:
            args[0] = carry.give(inputs[: carry.structure.count])
        before, session.since = session.since, self.since
        try:
            self.value = f(*args)
        except IndexError as error:
            if "integer" not in str(error):
                raise
            raise TraceError(
                f"{error}; an array that is not traced takes no traced number as an index, as that of an iteration is: "
                "write chainrule.take(array, index)"
            ) from error
        finally:
            session.since = before
        self.lifted: list[Any] = []
        if function == "scan":
            return
        # Each array of the result is one value: what is stacked of it is an array, too.
        self.numbers, self.result = values_of(*numbers_of(self.value, function, f, 1), 0)

    def finish(self, outputs: Sequence[Any], lifted: Sequence[Any] | None = None) -> None:
        """Make the program; what the function closes over becomes additional inputs, after the others."""
        inputs, arguments = self.inputs, self.arguments
        if lifted is not None:
            inputs = [*inputs, *lifted]
            outer = values_in_tuple(builtins.map(shape_of, lifted))
            arguments = Structure("tuple", (*arguments.parts, *outer.parts))
        found: list[Any] = []
        result = values_in_tuple(builtins.map(shape_of, outputs)) if len(outputs) != 1 else one_value(outputs[0])
        self.program = listed(self.name, inputs, outputs, arguments, result, self.since, found)
        self.lifted = found


def unchanging(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that may not write to its arguments: whoever calls a step of a program would not see it."""

    @functools.wraps(f)
    def called(*args: Any) -> Any:
        before = [*_held(args)]
        found = f(*args)
        after = [*_held(args)]
        if len(before) != len(after) or any(now is not own for own, now in zip(before, after, strict=True)):
            raise TraceError(
                f"{function_name(f)} wrote to its argument, which a trace calls as one step, at {user_line()}; write "
                "to a copy, and return it"
            )
        return found

    return called


def _held(tree: Any) -> Iterator[Any]:
    """Yield what a structure holds at this moment."""
    if isinstance(tree, ArrayTracer):
        yield tree.__whole__()
    elif getattr(getattr(tree, "dtype", None), "kind", "") == "O":
        yield from tree.ravel().tolist()
    elif isinstance(tree, (builtins.list, builtins.tuple)):
        for item in tree:
            yield from _held(item)
    elif isinstance(tree, builtins.dict):
        yield from _held(builtins.list(tree.values()))
    else:
        yield tree


def short(make: Callable[[], tuple[Body, list[Any]]]) -> tuple[Body, list[Any]]:
    """Trace a body; if it is long, or joins numbers to arrays, with small arrays whole, too, and return the shorter.

    `make` returns the body with what its loop is given. What the code does with arrays decides, not their size alone:
    a triangular matrix times a vector of 64 numbers has 4,000 products, none of them in two rows that are alike. What
    stands around such a body hands it arrays, so these are whole, too.
    """
    before = session.kept
    body, given = make()
    if session.least is not None:
        return body, given
    is_around = session.kept > before
    if is_around or _joins(body.program) or work(recognise(body.program)) >= WORK:
        with arrays_whole_from(_LEAST):
            other, others = make()
        if is_around or size(other.program) < _GAIN * size(body.program):
            session.kept += 1
            return other, others
    return body, given


def _joins(program: Program) -> bool:
    """Return whether numbers that were computed one by one become an array, which a loop takes."""
    taken = {value for op, args in program.steps if isinstance(op, Loop) for value in args}
    return any(
        isinstance(op, Place) and len(op.parts) >= _LEAST and value in taken
        for (op, _), value in zip(program.steps, program.firsts, strict=True)
    )


def one_value(item: Any) -> Structure:
    """Return the structure of one value."""
    return values_in_tuple([shape_of(item)]).parts[0]


def shown_as(structure: Structure, values: Sequence[Any]) -> Any:
    """Return values in their structure, as traced code gets them."""
    return unflatten(structure, [*builtins.map(shown, values)])


def numbers_of(
    result: Any, function: str, f: Callable[..., Any], least: float = math.inf
) -> tuple[list[Any], Structure]:
    """List the numbers of a function's result, and describe its structure; `least` is that of `flatten`."""
    if result is None:
        raise TypeError(f"{function} expected {function_name(f)} to return a number but got None; is a return missing?")
    return flatten(result, function, f"the result of {function_name(f)}", least=least)


def as_step(loop: Loop, args: Sequence[Any]) -> list[Any]:
    """Make a loop whose body was traced one step of the trace, also where it takes no traced number."""
    known = [item for arg in args for item in (arg if type(arg) is builtins.list else (arg,))]
    return loop.apply(tuple(args)) if any_traced(known) else Tracer.__apply_loop__(loop, args)


def seen(numbers: Sequence[Any]) -> list[Any]:
    """Return numbers as the trace that runs sees them: Vars that the traced function closes over are traced numbers."""
    if not is_tracing() or Var not in builtins.set(builtins.map(type, numbers)):
        return builtins.list(numbers)
    return [lift(number) for number in numbers]


def any_traced(numbers: Sequence[Any]) -> bool:
    """Return whether any value is traced."""
    return any(getattr(kind, "__symbolic__", False) for kind in builtins.set(builtins.map(type, numbers)))


def holds_traced(tree: Any) -> bool:
    """Return whether a structure holds a traced number or array."""
    if any_traced([tree]):
        return True  # nobody lists the numbers of a traced array
    keys = record_fields(tree)
    if keys is not None:
        tree = [getattr(tree, key) for key in keys]
    elif isinstance(tree, builtins.dict):
        tree = builtins.list(tree.values())
    elif getattr(getattr(tree, "dtype", None), "kind", "") == "O":
        tree = tree.ravel().tolist()
    if not isinstance(tree, (builtins.list, builtins.tuple)):
        return False
    return any_traced(tree) or (not all_numbers(tree) and any(builtins.map(holds_traced, tree)))


def holds_conditions(x: Any) -> bool:
    """Return whether an array holds truth values."""
    if isinstance(x, ArrayTracer):
        found: bool = base_of(x).holds_conditions
        return found
    return getattr(getattr(x, "dtype", None), "kind", "") == "b" or type(x) is bool


def base_of(x: ArrayTracer) -> Any:
    """Return the array that one is a view of."""
    while type(x.op) is View:
        x = x.args[0]
    return x
