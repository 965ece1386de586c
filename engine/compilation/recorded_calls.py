"""Pass derivatives through calls of a compiled function: on Vars or traced numbers, or if it closes over Vars.

On nodes the function itself runs, a sample at a time. On plain numbers a program finds the results together with
their derivatives by what the function closes over, and each result is one node that holds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from ..data import Structure, flatten, unflatten
from ..derivatives import jacobian, run_again
from ..graph import Var
from ..operations import table
from ..programs import WHILE, Loop, Program, function_name, in_arrays, in_numbers, reached_outputs, trace_for
from .packing import Argument, stacked


def call_on_nodes(f: Callable[..., Any], packed: Sequence[Argument], n: int, reduce: str | None) -> Any:
    """Run a function on each of n samples, and combine what it returns."""
    rows: list[list[Any]] = []
    result, name = None, f"the result of {function_name(f)}"
    for k in range(n):
        row, own = flatten(f(*[argument.tree(k) for argument in packed]), "compile", name)
        if result is not None and own != result:
            raise ValueError(
                f"compile expected {function_name(f)} to return results of one structure but got {result} and {own}"
            )
        rows.append(row)
        result = own
    assert result is not None
    if all(argument.rows is None for argument in packed):
        return unflatten(result, rows[0])
    if reduce is None:
        return stacked(result, rows, [0])
    return unflatten(result, [_reduced(column, reduce) for column in zip(*rows, strict=True)])


def _reduced(numbers: Sequence[Any], reduce: str) -> Any:
    total: Any = 0.0
    for number in numbers:
        total = total + number
    return total if reduce == "sum" else total / len(numbers) if numbers else math.nan


def with_slopes(program: Program) -> Program | None:
    """Return the program of all results, and of the derivative of each by each number that the program closes over.

    None where there is none: the reverse of a while loop without a limit.
    """
    if any(isinstance(op, Loop) and op.kind == WHILE and not op.length for op in program.rows_and_loops()):
        return None
    count = len(program.closed)

    def both(*args: Any) -> Any:
        numbers, _ = flatten(args, "compile", "args")

        def results(closed: Sequence[Any]) -> list[Any]:
            return list(in_numbers(program.run([*numbers[:-count], *closed]), program.result))

        closed = numbers[-count:]
        return results(closed), jacobian(results)(closed)

    return trace_for(both, program.arguments)


def moving_outputs(program: Program) -> list[bool]:
    """Return which results depend on a Var that the program closes over."""
    closed = len(program.closed)
    inputs = [False] * (len(program.names) - closed) + [True] * closed
    flags = reached_outputs(program, inputs, stops=table.stop_gradient)
    return [flag for flag, leaf in zip(flags, program.result.leaves(), strict=True) for _ in range(leaf.size)]


def call_on_numbers(plan: Any, packed: Sequence[Argument], arrays: Sequence[Any], n: int) -> Any:
    """Run a plan, and record each result as a function of what it closes over."""
    program: Program = plan.traced
    slopes = plan.slopes()
    if slopes is None or not n:
        return call_on_nodes(program, packed, n, plan.reduce) if n else plan.run(arrays, n)
    values, matrix = slopes.run(arrays, n)
    moving = moving_outputs(program)
    batched = any(argument.rows is not None for argument in packed)
    if not batched or plan.reduce is not None:
        samples = [[x for argument in packed for x in argument.sample(k)] for k in range(n)]
        numbers = [
            _record(program, place, samples, plan.reduce, value, row) if moving[place] else value
            for place, (value, row) in enumerate(zip(values, matrix, strict=True))
        ]
        return unflatten(program.result.in_numbers(), numbers)
    rows = []
    for k in range(n):
        sample = [x for argument in packed for x in argument.sample(k)]
        rows.append(
            [
                _record(program, place, [sample], None, float(column[k]), [float(slope[k]) for slope in row])
                if moving[place]
                else float(column[k])
                for place, (column, row) in enumerate(zip(values, matrix, strict=True))
            ]
        )
    return stacked(program.result.in_numbers(), rows, [0])


def _record(
    program: Program,
    place: int,
    samples: Sequence[Sequence[float]],
    reduce: str | None,
    value: float,
    slopes: Sequence[float],
) -> Var:
    """Make the node of one result; for higher derivatives the program runs again on its samples."""
    given = Structure("tuple", program.arguments.parts[:-1])

    def result_of(closed: Sequence[Any]) -> Any:
        inputs = [in_arrays(sample, given.in_numbers(), given) for sample in samples]
        every = [program.run([*own, *closed]) for own in inputs]
        found = [next(islice(in_numbers(values, program.result), place, None)) for values in every]
        return found[0] if reduce is None else _reduced(found, reduce)

    row = run_again(f"compiled {program.name}", len(program.closed), 0, result_of)
    return Var.record(row, value, program.closed, slopes)
