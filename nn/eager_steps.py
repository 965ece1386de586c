"""Take the steps of `fit` through graphs of Vars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

from chainrule import Var
from chainrule.data import Row
from chainrule.errors import describe

from .module import Module
from .optimisers import Optimiser

Loss = Callable[[Any, Any], Any]


@final
class EagerSteps:
    """Build the graph of each batch, as a loop written by hand would."""

    def __init__(self, model: Module, loss: Loss, optimiser: Optimiser, rows: list[Row], targets: list[Any]) -> None:
        self.model, self.loss, self.optimiser = model, loss, optimiser
        self.rows, self.targets = rows, targets

    def take(self, batch: Sequence[int]) -> float:
        result = self.loss([self.model(self.rows[k]) for k in batch], [self.targets[k] for k in batch])
        if not isinstance(result, Var):
            raise TypeError(
                f"fit expected model and loss to give one Var but got {describe('loss', result)}; compute both from "
                "the parameters, with chainrule's functions"
            )
        self.optimiser.zero_grad()
        result.backward()
        return float(result.value)

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        for batch in batches:
            yield self.take(batch)
            self.optimiser.step()

    def write_back(self) -> None:
        """Nothing to do: the parameters are the only state."""

    def read_again(self) -> None:
        """Nothing to do, for the same reason."""

    def predict(self, rows: list[Row]) -> Any:
        return self.model.predict(rows)
