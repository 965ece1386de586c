"""Predict many rows at once: as machine code where that is possible and gives the same as graphs."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

import chainrule
from chainrule import Var, no_grad
from chainrule.data import plain

# From so many parameters times rows on, machine code is made sooner than rows are gone through one by one.
_WORTH_COMPILING = 1_000_000

_PROBES = 20  # rows that are computed in both ways


def predictions(model: Any, parameters: Sequence[Var], rows: list[Any]) -> list[Any]:
    """Return the output of `model` for each row, as numbers.

    >>> from chainrule.nn import Neuron
    >>> neuron = Neuron(1, activation=None, initialise=lambda source, nin, nout: 2.0)
    >>> predictions(neuron, neuron.parameters(), [[1.0], [4.0]])
    [2.0, 8.0]
    """
    if len(parameters) * len(rows) >= _WORTH_COMPILING and importlib.util.find_spec("numpy") is not None:
        found = _compiled(model, parameters, rows)
        if found is not None:
            return found
    with no_grad():
        return [_value(model(row)) for row in rows]


def _compiled(model: Any, parameters: Sequence[Var], rows: list[Any]) -> list[Any] | None:
    """Return the same from a compiled function; None for a model or rows that it cannot compile."""
    numpy = importlib.import_module("numpy")
    try:
        function = chainrule.compile(lambda values, x: model.with_parameters(values)(x), batch="x")
        with no_grad():
            outputs = function(numpy.array([p.value for p in parameters]), numpy.array(rows, dtype=float))
        several = isinstance(outputs, list | tuple)
        columns = outputs if several else [outputs]
        # Where something is not finite, `strict` may have to raise.
        if not all(numpy.isfinite(column).all() for column in columns):
            return None
        found = [list(row) for row in zip(*map(plain, columns), strict=True)] if several else plain(outputs)
    except (TypeError, ValueError, AttributeError, LookupError, RuntimeError):
        # A model that looks at numbers, say, or rows that are wrong: going through them tells which.
        return None
    places = range(0, len(rows), max(1, len(rows) // _PROBES))
    with no_grad():
        agree = all(_same(found[k], _value(model(rows[k]))) for k in places)
    return found if agree else None


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
    return isinstance(found, float) and math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-300)


def _value(output: Any) -> Any:
    """Replace Vars by numbers, in lists of any depth."""
    if isinstance(output, Var):
        return output.value
    if isinstance(output, list | tuple):
        return [_value(item) for item in output]
    return output
