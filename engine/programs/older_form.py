"""Read programs of the form before there were arrays, in which loops took and gave numbers one by one.

Their arguments were the carry, one row after another, and what is shared; their results the carry, the stacked rows one
after another, and the sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..operations import Primitive
from .loop import CALL, Loop
from .views import Part, Place, View

Bare = tuple[Primitive, tuple[int, ...]]


def arity_of(loop: Loop) -> int:
    """Return how many numbers a loop took."""
    return loop.carry + loop.length * loop.rows + loop.shared


def results_of(op: Primitive) -> int:
    """Return how many numbers an operation gave."""
    return op.carry + op.length * op.stacked + op.sums if isinstance(op, Loop) else op.results


def in_arrays(first: int, steps: Iterable[Bare], outputs: Sequence[int]) -> tuple[list[Bare], list[int]]:
    """Return steps and outputs with loops that take and give arrays; the first step's value has the number `first`."""
    new = list(range(first))
    found: list[Bare] = []
    count = first

    def add(op: Primitive, args: Sequence[int]) -> int:
        nonlocal count
        found.append((op, tuple(args)))
        count += op.results
        return count - op.results

    for op, args in steps:
        taken = [new[k] for k in args]
        if not isinstance(op, Loop) or op.kind == CALL:
            start = add(op, taken)
            new += range(start, count)
            continue
        end = op.carry + op.length * op.rows
        numbers = [Part(k, (), ()) for k in range(op.length)]
        rows = [add(Place((op.length,), numbers), taken[op.carry + k : end : op.rows]) for k in range(op.rows)]
        start = add(op, [*taken[: op.carry], *rows, *taken[end:]])
        new += range(start, start + op.carry)
        stacked = range(start + op.carry, start + op.carry + op.stacked)
        new += [add(View((op.length,), part), [k]) for part in numbers if stacked for k in stacked]
        new += range(stacked.stop, stacked.stop + op.sums)
    return found, [new[k] for k in outputs]
