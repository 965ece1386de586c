"""Make of a traced program what a backend runs: here stands which passes there are, and in which order.

    recognise     steps that do the same to other numbers become maps: the passes after it have less to do
    fuse          maps that hand arrays to each other row by row become one: these need not be stored
    restructure   small calls are written out, and what does not change leaves its loop: maps have come to be
    merge         maps over the same rows become one: a value and its gradient read them once
    optimise      equal steps once, constants folded, identities applied: across what was written out; the rest goes
    outer sums    of a scan: what is multiplied is stacked, and one product of matrices follows
    values_only   `stop_gradient` goes: all derivatives are taken
    separate      sums of long parts that overlap become maps: lanes and threads take them
    keep          what one map computed at length, a later one reads: where there is no batch, and so memory for it
    hoist         what depends on shared arguments only comes first, to run once for a batch

Derivatives that are taken while tracing recognise and fuse first what they differentiate, but not what is worth
keeping for them. `relax`, apart from these, gives a quicker program that is right wherever no result is nan; the exact
one then runs where one is.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ..programs import Program
from .fusing import fuse
from .hoisting import hoist
from .rerolling import recognise
from .simplifying import optimise, values_only


def prepared(traced: Program, batched: Sequence[bool]) -> Program:
    """Return the program that a backend gets, with the same values.

    Args:
        traced: what `trace` recorded, derivatives included.
        batched: for each argument, whether it carries a batch.

    >>> from chainrule import trace
    >>> print(prepared(trace(lambda w, x: x * (w + 0.0 * 2.0) ** 2, 1.0, 1.0), [False, True]))
    lambda(w, x):
        v1 = w + 0.0
        v2 = square(v1)
        v3 = x × v2
        return v3
    """
    found, is_batch = fuse(recognise(traced, alone=not any(batched))), any(batched)
    if found.has_loops or found.has_arrays:
        values = _of_loops().of_loops(found, is_batch)
    else:
        values = values_only(optimise(found))
    return hoist(values, batched) if is_batch else optimise(values)


def look_up(program: Program) -> Program:
    """Return the program with maps that read short rows by index where they take their numbers."""
    found: Program = _of_loops().look_up(program) if program.has_loops else program
    return found


def _of_loops() -> Any:
    # The first small program does not wait for passes that do nothing for it.
    return importlib.import_module(".of_loops", __package__)
