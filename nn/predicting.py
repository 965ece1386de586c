"""Predict many rows at once: as machine code where that is possible and gives the same as graphs."""

from __future__ import annotations

import copy
import importlib.util
import math
from functools import cache
from typing import Any, final

import chainrule
from chainrule import Var, no_grad
from chainrule.data import plain

from .architecture import Latest, architecture

# From so many rows on, of one architecture in all calls, machine code is made.
_WORTH_COMPILING = 200

_FEW = 64  # fewer rows are those of calls bit by bit, whatever was compiled before
_KEPT = 32  # architectures
_CALLS = 32  # of the model with one row, that tell whether it gives the same each time
_PROBES = 20  # rows that are computed in both ways at first
_PROBES_LATER = 2
_MOST_TRIED = 1_000_000  # parameters times rows that are tried in both ways


def predictions(model: Any, rows: Any) -> Any:
    """Return the output of `model` for each row of a list or array as numbers: an array of them, or a list.

    >>> from chainrule.nn import Neuron
    >>> neuron = Neuron(1, activation=None, initialise=lambda source, nin, nout: 2.0)
    >>> predictions(neuron, [[1.0], [4.0]])
    [2.0, 8.0]
    """
    found = predicted_array(model, rows)
    if found is not None:
        return found
    with no_grad():
        return [_value(model(row)) for row in plain(rows)]


def predicted_array(model: Any, rows: Any, at_once: bool = False) -> Any:
    """Return the output of `model` for each row of a list or array as an array of doubles, computed by machine code.

    None where there are few rows, unless they are wanted `at_once`, and where machine code cannot be made of the model
    or gives something else.
    """
    count = len(rows)
    if not count or (count < _FEW and not at_once) or not _has_numpy():
        return None
    import numpy

    try:
        data = numpy.asarray(rows, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return None  # rows that are wrong: going through them tells which
    made, parameters = architecture(model)
    key = made, data.shape[1:]
    network = _networks.get(key)
    if network is None:
        network = _networks[key] = _Network()
    if network.function is None:
        network.rows += count
        if network.is_refused or (network.rows < _WORTH_COMPILING and not at_once):
            return None
    values = numpy.array([parameter.value for parameter in parameters])
    fresh = network.function is None
    found = network.outputs(model, values, rows, data, _PROBES if fresh else _PROBES_LATER)
    if not fresh and not network.is_trusted:
        # What the model is made of was changed where the key does not look: in a global variable, say.
        network.function = None
        found = network.outputs(model, values, rows, data, _PROBES)
    network.is_refused |= not network.is_trusted
    return found


def repeats(model: Any, row: Any, parameters: int) -> bool:
    """Return whether `model` gives the same for a row each time; a model that draws random numbers does not."""
    calls = max(2, min(_CALLS, _MOST_TRIED // max(1, parameters)))
    with no_grad():
        return len({repr(_value(model(row))) for _ in range(calls)}) == 1


@final
class _Network:
    """The outputs of all models of one architecture as a compiled function of their parameters and a row.

    Attributes:
        function: compiled when it is first wanted.
        rows: how many were asked for without it.
        is_refused: whether the architecture cannot be compiled.
        is_trusted: whether the latest outputs were those of graphs, for the rows that were computed in both ways.
    """

    def __init__(self) -> None:
        self.function: Any = None
        self.rows = 0
        self.is_refused = False
        self.is_trusted = False

    def outputs(self, model: Any, values: Any, rows: Any, data: Any, probes: int) -> Any:
        """Return the outputs of this model, which has these values; None where they cannot be computed so.

        Args:
            model: of the architecture.
            values: its parameters.
            rows: as they were given.
            data: the same as an array.
            probes: how many rows are computed as graphs, too.
        """
        import numpy

        self.is_trusted = True
        probes = max(1, min(probes, _MOST_TRIED // max(1, len(values))))
        try:
            if self.function is None:
                if not repeats(model, plain(rows[0]), len(values)):
                    self.is_trusted = False
                    return None
                own = copy.deepcopy(model)
                self.function = chainrule.compile(lambda values, x: own.with_parameters(values)(x), batch="x")
            with no_grad():
                outputs = self.function(values, data)
                found = numpy.ascontiguousarray(numpy.moveaxis(numpy.asarray(outputs), _depth(outputs), 0))
        except (TypeError, ValueError, AttributeError, LookupError, RuntimeError):
            # A model that looks at numbers, say, or rows that are wrong: going through them tells which.
            self.function, self.is_trusted = None, False
            return None
        # Where something is not finite, `strict` may have to raise.
        if not numpy.isfinite(found).all():
            return None
        places = range(0, len(data), -(-len(data) // probes))
        with no_grad():
            self.is_trusted = all(_same(plain(found[k]), _value(model(plain(rows[k])))) for k in places)
        return found if self.is_trusted else None


_networks: Latest[_Network] = Latest(_KEPT)


@cache
def _has_numpy() -> bool:
    return importlib.util.find_spec("numpy") is not None


def _depth(outputs: Any) -> int:
    """Return in how many lists the arrays of a batch stand, one in the other: the place of the axis of rows."""
    return 1 + _depth(outputs[0]) if isinstance(outputs, list | tuple) and outputs else 0


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
