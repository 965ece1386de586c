"""Get the outputs of any model: one of `nn`, an estimator, a function, or a history of its training.

Nothing here knows a class of nn: what has ``predict`` or can be called is a model, what has ``parameters`` recorded
by name is a history.
"""

from __future__ import annotations

import copy
from typing import Any

import chainrule
from chainrule import Var
from chainrule.data import Row, plain
from chainrule.errors import describe


def outputs_of(model: Any, rows: list[Row], reader: str) -> list[Any]:
    """Return a number for each row, or a row of numbers.

    Args:
        model: what has ``predict``, which takes all rows; or a function of one row, or of one number where rows hold
            one.
        rows: what to predict from.
        reader: the function that asks, for messages.

    >>> outputs_of(lambda x: 2 * x, [[1.0], [2.0]], "plot_fit")
    [2.0, 4.0]
    """
    if hasattr(model, "predict_proba"):
        # Of two probabilities that of the second class says all.
        found = plain(model.predict_proba(rows))
        return [row[1] for row in found] if len(found[0]) == 2 else list(found)
    if hasattr(model, "predict"):
        return list(plain(model.predict(rows)))
    if not callable(model):
        raise TypeError(f"{reader} expected a model, with predict, or a function but got {describe('model', model)}")
    with chainrule.no_grad():
        return [_number(model(row[0] if len(row) == 1 else row)) for row in rows]


def is_history(item: Any) -> bool:
    """Return whether something is the record of a training, as `fit` returns it."""
    return hasattr(item, "loss") and hasattr(item, "model") and hasattr(item, "parameters")


def check_recorded(history: Any, reader: str) -> None:
    """Raise an error that says what to do if a history has not recorded parameters."""
    if not is_history(history):
        raise TypeError(f"{reader} expected the History that fit returns but got {describe('history', history)}")
    if not history.parameters or not history.rows:
        raise ValueError(f"{reader} expected a History that kept parameters but got {history!r}; fit with record=True")


class Replay:
    """Compute what the model of a history gives with other parameter values; the model is not changed."""

    def __init__(self, history: Any, reader: str) -> None:
        check_recorded(history, reader)
        self.reader = reader
        self.model = copy.deepcopy(history.model)
        self.compiled: Any = None
        # What was trained as machine code can be traced; all snapshots go through one function.
        if getattr(history, "compiled", False):
            self.compiled = chainrule.compile(lambda values, x: self.model.with_parameters(values)(x), batch="x")

    def outputs(self, snapshot: dict[str, float], rows: Any) -> list[Any]:
        """Return the output for each row, with the parameters of a snapshot."""
        if self.compiled is None:
            self.model.load_state_dict(snapshot)
            return outputs_of(self.model, rows, self.reader)
        outputs = self.compiled(list(snapshot.values()), rows)
        if isinstance(outputs, list | tuple):
            return [list(row) for row in zip(*map(plain, outputs), strict=True)]
        return list(plain(outputs))


def _number(output: Any) -> Any:
    if isinstance(output, list | tuple):
        return [_number(item) for item in output]
    return output.value if isinstance(output, Var) else output
