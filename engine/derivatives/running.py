"""Run a function on recorded copies of its arguments, and decide whether its derivatives are floats or Vars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..data import Structure, flatten, is_constant, is_index, is_symbolic, to_float, unflatten
from ..errors import describe
from ..graph import Var, current, holding, is_tracing, session
from ..operations import table
from ..programs import (
    ArrayTracer,
    Program,
    Tracer,
    arranged_values,
    copied,
    in_numbers,
    listed,
    lists_joined,
    shape_of,
    values_in_tuple,
)
from ..rewriting import fuse, recognise, remembered
from .loop_rules import EXPENSIVE
from .sweeps import is_closed_over, settle

Function = Callable[..., Any]
Places = int | tuple[int, ...]


class Run(NamedTuple):
    """One run of a function on recorded copies of its arguments."""

    inputs: list[Any]
    results: list[Any]
    argument: Structure
    result: Structure
    beside: list[Any]  # the numbers of what came back beside the result
    aux: Structure | None
    # When the outermost function began that is being differentiated. The sweeps belong to it: rules that run a function
    # again copy numbers as its first run did.
    start: float

    def with_aux(self, found: tuple[Any, ...], outside: bool) -> Any:
        """Append the auxiliary result, if there is one."""
        if self.aux is not None:
            found = (*found, unflatten(self.aux, settle(self.beside, self.inputs, outside)))
        return found if len(found) > 1 else found[0]

    def close(self) -> None:
        """Turn the inputs into constants once their derivatives are found: nobody else differentiates by them."""
        self._set_requires_grad(False)

    def reopen(self) -> None:
        """Undo `close`: rules that run a function again record what it does with the inputs."""
        self._set_requires_grad(True)

    def _set_requires_grad(self, flag: bool) -> None:
        for node in self.inputs:
            if type(node) is Var and node.op is None:
                node.requires_grad = flag


def check_places(function: str, argnums: Any) -> None:
    """Refuse what can't be positions of arguments as soon as a derivative is asked for."""
    places = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(map(is_index, places)):
        raise ValueError(
            f"{function} expected argnums to be a position or a tuple of positions but got "
            f"{describe('argnums', argnums)}; give the arguments to what it returns: {function}(f)(x)"
        )


def run_recorded(
    function: str,
    f: Function,
    args: Sequence[Any],
    argnums: Places,
    named: dict[str, Any],
    has_aux: bool = False,
    one_by_one: bool = False,
) -> Run:
    """Run a function on copies of arguments; with `one_by_one` arrays have an input and a result for each number."""
    positions = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(-len(args) <= position < len(args) for position in positions):
        raise ValueError(
            f"{function} expected argnums within the {len(args)} positional arguments given but got "
            f"{describe('argnums', argnums)}"
        )
    if len({position % len(args) for position in positions}) < len(positions):
        raise ValueError(f"{function} expected each argument once in argnums but got {describe('argnums', argnums)}")
    numbers: list[Any] = []
    structures = []
    beside: list[Any] = []
    aux: Structure | None = None
    for position in positions:
        flat, structure = flatten(args[position], function, f"argument {position}")
        if is_constant(args[position]) and function in ("grad", "jacobian", "hessian"):
            to_float(args[position], function, f"argument {position}")  # nothing to differentiate by: refused
        if one_by_one:
            flat = list(in_numbers(flat, structure))
        elif is_tracing():
            flat, structure = lists_joined(flat, structure)
        numbers += flat
        structures.append(structure)

    def call(inputs: list[Any]) -> tuple[list[Any], Structure]:
        nonlocal beside, aux
        whole = Structure("tuple", tuple(structures))
        own = arranged_values(inputs, whole.in_numbers(), whole) if one_by_one else inputs
        copies = unflatten(whole, own or ())
        given = list(args)
        for position, copy in zip(positions, copies, strict=True):
            given[position] = copy
        result = f(*given, **named)
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(
                    f"{function} with has_aux=True expected {name_of(f)} to return a pair (result, aux) but got "
                    f"{describe('result', result)}"
                )
            result, other = result
            beside, aux = flatten(other, function, f"the aux of {name_of(f)}", others=True)
        found, shape = _flatten_result(function, f, result)
        return (list(in_numbers(found, shape)), shape.in_numbers()) if one_by_one else (found, shape)

    inputs, results, shape = run_on_copies(call, numbers)
    if inputs and any(isinstance(item, (Tracer, ArrayTracer)) for item in results):
        # What is repeated becomes a loop first: then its derivative is one, too.
        restated = _restated(inputs, [*results, *beside])
        results, beside = restated[: len(results)], restated[len(results) :]
    argument = Structure("tuple", tuple(structures)) if isinstance(argnums, tuple) else structures[0]
    argument = argument.in_numbers() if one_by_one else argument
    return Run(inputs, results, argument, shape, beside, aux, current.since)


def _restated(inputs: Sequence[Tracer], results: Sequence[Any]) -> list[Any]:
    """Return traced results that are equal, with loops in place of what was written out between inputs and results."""
    lifted: list[Tracer] = []
    structures = values_in_tuple(map(shape_of, inputs)), values_in_tuple(map(shape_of, results))
    program = listed("f", inputs, results, *structures, since=inputs[0].birth, lifted=lifted)
    found = remembered("restated", _in_loops, program, session.alone)
    return list(results) if found is program else found.run([*inputs, *lifted])


def _in_loops(program: Program, alone: bool) -> Program:
    # What is expensive is kept for the derivative: it stays apart until that is taken.
    return fuse(recognise(program, alone), EXPENSIVE)


def run_on_copies(
    call: Callable[[list[Any]], tuple[list[Any], Structure]], numbers: Sequence[Any]
) -> tuple[list[Any], list[Any], Structure]:
    """Run a function on a node of its own for each input; return these nodes, its results and their structure."""
    kinds = set(map(type, numbers))
    only: Any = kinds.pop() if len(kinds) == 1 else None
    inputs = only.__copies__(numbers) if hasattr(only, "__copies__") else [traced_copy(number) for number in numbers]
    with holding(inputs):
        results, shape = call(inputs)
    kind = next((type(item) for item in results if is_symbolic(item)), None)
    if kind is not None and any(type(node) is Var for node in inputs):
        # Traced numbers of an enclosing trace came in, to which a Var is a constant: so the inputs must be traced, too.
        inputs = [kind.__apply__(table.pos, (_read(node),)) if type(node) is Var else node for node in inputs]
        results, shape = call(inputs)
    return inputs, results, shape


def _read(node: Var) -> Any:
    """Return the original of an input: a number, or a Var from outside."""
    return node.value if node.op is None else node.args[0]


def traced_copy(number: Any) -> Any:
    """Return a leaf, or a copy that an enclosing derivative can see through."""
    if type(number) is float:
        return Var(number)
    if type(number) is Var and not number.requires_grad and not is_closed_over(number):
        return Var(number.value)
    if type(number) is ArrayTracer:
        return copied(number)
    return table.pos(number)


def _flatten_result(function: str, f: Function, result: Any) -> tuple[list[Any], Structure]:
    if result is None:
        raise TypeError(f"{function} expected {name_of(f)} to return a number but got None; is a return missing?")
    if is_constant(result):
        to_float(result, function, f"the result of {name_of(f)}")  # refuses it
    return flatten(result, function, f"the result of {name_of(f)}")


def name_of(f: Function) -> str:
    """Name a function for messages."""
    return getattr(f, "__name__", repr(f))
