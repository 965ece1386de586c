"""The passes that only programs with loops or arrays take, loaded with the first of these; see pipeline.py."""

from __future__ import annotations

from ..programs import Program
from .keeping import keep
from .looking_up import look_up as look_up
from .merging import merge
from .outer_sums import outer_sums_apart
from .separating import separate
from .simplifying import optimise, values_only
from .unnesting import restructure


def of_loops(program: Program, is_batch: bool) -> Program:
    """Return the program with its loops and arrays arranged, from restructuring to keeping.

    >>> import numpy as np
    >>> from chainrule import exp, map, trace
    >>> def both(xs):
    ...     return map(lambda x: exp(x), xs, reduce="sum"), map(lambda x: exp(x) * x, xs, reduce="sum")
    >>> [op.name for op, _ in of_loops(trace(both, np.ones(300)), False).steps]
    ['map']
    """
    shared = optimise(merge(restructure(program)) if program.has_loops else program)
    values = separate(values_only(outer_sums_apart(shared)))
    return values if is_batch else keep(values)
