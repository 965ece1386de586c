"""Trace the function of a loop or branch once, for its inner program."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

from ..data import NUMBER, Structure, flatten, unflatten
from ..graph import Var, is_tracing, lift
from ..programs import Loop, Tracer, function_name, input_names, listed
from .carries import Carry


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
    ) -> None:
        self.name, self.arguments = function_name(f), arguments
        if inputs is None:
            inputs = [Tracer(name) for name in input_names(f, arguments)]
        self.inputs: list[Tracer] = inputs
        # Whatever else is traced was born before, outside.
        self.since = inputs[0].birth if inputs else Tracer("").birth
        args = list(unflatten(arguments, inputs))
        if empty:
            args[1] = None
        if carry is not None:
            args[0] = carry.give(inputs[: carry.structure.size])
        self.value = f(*args)
        self.lifted: list[Tracer] = []
        if function == "scan":
            return
        self.numbers, self.result = numbers_of(self.value, function, f)

    def finish(self, outputs: Sequence[Any], lifted: Sequence[Tracer] | None = None) -> None:
        """Make the program; what the function closes over becomes additional inputs, after the others."""
        inputs, arguments = self.inputs, self.arguments
        if lifted is not None:
            inputs = [*inputs, *lifted]
            arguments = Structure("tuple", (*arguments.parts, *[NUMBER] * len(lifted)))
        found: list[Tracer] = []
        result = Structure("tuple", (NUMBER,) * len(outputs)) if len(outputs) != 1 else NUMBER
        self.program = listed(self.name, inputs, outputs, arguments, result, self.since, found)
        self.lifted = found


def numbers_of(result: Any, function: str, f: Callable[..., Any]) -> tuple[list[Any], Structure]:
    """List the numbers of a function's result, and describe its structure."""
    if result is None:
        raise TypeError(f"{function} expected {function_name(f)} to return a number but got None; is a return missing?")
    return flatten(result, function, f"the result of {function_name(f)}")


def as_step(loop: Loop, args: Sequence[Any]) -> list[Any]:
    """Make a loop whose body was traced one step of the trace, also where it takes no traced number."""
    return loop.apply(tuple(args)) if any_traced(args) else Tracer.__apply_loop__(loop, args)


def seen(numbers: Sequence[Any]) -> list[Any]:
    """Return numbers as the trace that runs sees them: Vars that the traced function closes over are traced numbers."""
    if not is_tracing() or Var not in builtins.set(builtins.map(type, numbers)):
        return builtins.list(numbers)
    return [lift(number) for number in numbers]


def any_traced(numbers: Sequence[Any]) -> bool:
    """Return whether any number is traced."""
    return any(getattr(kind, "__symbolic__", False) for kind in builtins.set(builtins.map(type, numbers)))
