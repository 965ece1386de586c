"""Rerun a compiled call operation by operation, so that `strict` can name the one that made nan or inf, and the sample.

Machine code looks at nothing while it runs. Only where a result is nan or infinite does the function run once more, on
Vars, sample by sample: the operation that is to blame then raises as it would have without `compile`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..data import Structure, flatten, unflatten
from ..errors import NonFiniteError
from ..floats import DOUBLE
from ..graph import Var, user_line
from ..programs import Program, function_name, in_arrays
from .packing import Argument


def blame(compiled: Any, plan: Any, packed: Sequence[Argument], n: int, out: Sequence[float]) -> None:
    """Raise if an operation, or the sum over a batch, made nan or inf; return if the arguments explain them all.

    Args:
        compiled: what was called: a function (which knows the user's lines), and the options it was compiled with.
        plan: what ran.
        packed: the arguments.
        n: how many samples there are.
        out: what the kernel wrote.
    """
    if compiled.reduce is None:
        for k in _bad_samples(plan.program.result, out, n):
            _run_again(compiled.f, plan.traced, packed, k)
            if plan.options.format is not DOUBLE and all(math.isfinite(x) for a in packed for x in a.sample(k)):
                own, name = plan.options.format.name, function_name(compiled.f)
                raise NonFiniteError(f"{own} made nan or inf of what is finite in doubles, in {name} at {user_line()}")
        return
    each = compiled.without_reduction()(*[argument.value for argument in packed])
    if all(map(math.isfinite, flatten(each, "compile", "results")[0])):
        wrong = next(x for x in out if not math.isfinite(x))
        name = function_name(compiled.f)
        raise NonFiniteError(
            f"the {compiled.reduce} over the batch made {wrong} of finite results of {name} at {user_line()}"
        )


def _run_again(f: Callable[..., Any], traced: Program, packed: Sequence[Argument], k: int) -> None:
    """Run one sample on Vars, which raise: the function, then its program, in case the function has changed."""
    samples = [argument.sample(k) for argument in packed]
    try:
        f(*[unflatten(a.structure, _constants(numbers)) for a, numbers in zip(packed, samples, strict=True)])
        structure = Structure("tuple", tuple([argument.structure for argument in packed]))
        traced.run(in_arrays(_constants([x for numbers in samples for x in numbers]), structure, traced.arguments))
    except NonFiniteError as error:
        batched = any(argument.rows is not None for argument in packed)
        raise NonFiniteError(f"{error}, in sample {k} of the batch" if batched else str(error)) from None


def _bad_samples(result: Structure, out: Sequence[float], n: int) -> list[int]:
    """List the samples that have a nan or infinite number in n samples' results, as kernels lay them out."""
    return sorted({k for k, number in zip(_samples(result, n), out, strict=True) if not math.isfinite(number)})


def _samples(result: Structure, n: int) -> Iterator[int]:
    for unit in result.units():
        for k in range(n):
            for _ in range(unit.size):
                yield k


def _constants(numbers: Sequence[float]) -> list[Var]:
    return [Var(number, None, False) for number in numbers]
