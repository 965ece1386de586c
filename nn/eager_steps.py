"""Take the steps of `fit` through graphs of Vars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, final

import chainrule
from chainrule import Var
from chainrule.data import Row, plain
from chainrule.errors import describe

from .blocks import drawing
from .data import drawn
from .module import Module
from .recipe import Recipe

_FEW = 50  # rows


@final
class EagerSteps:
    """Build the graph of each batch, as a loop written by hand would."""

    reason = ""

    def __init__(self, model: Module, recipe: Recipe, rows: list[Row], targets: list[Any]) -> None:
        self.model, self.recipe, self.optimiser = model, recipe, recipe.optimiser
        self.rows, self.targets = rows, targets

    def take(self, batch: Sequence[int]) -> float:
        result = self._loss(self._outputs(batch), [self.targets[k] for k in batch], batch)
        if not isinstance(result, Var):
            raise TypeError(
                f"fit expected model and loss to give one Var but got {describe('loss', result)}; compute both from "
                "the parameters, with chainrule's functions"
            )
        self.optimiser.zero_grad()
        result.backward()
        self._bound()
        return float(result.value)

    def _outputs(self, batch: Sequence[int]) -> list[Any]:
        count = self.recipe.draws
        if not count:
            return [self.model(self.rows[k]) for k in batch]
        numbers, outputs = drawn(count * len(batch), self.recipe.source), []
        for place, k in enumerate(batch):
            with drawing(plain(numbers[place * count : (place + 1) * count])):
                outputs.append(self.model(self.rows[k]))
        return outputs

    def _loss(self, predictions: list[Any], targets: list[Any], batch: Sequence[int]) -> Any:
        if self.recipe.weights is None:
            return self.recipe.loss(predictions, targets)
        each = zip(self.recipe.shares(batch), predictions, targets, strict=True)
        return chainrule.sum([share * self.recipe.loss([p], [t]) for share, p, t in each])

    def _bound(self) -> None:
        """Add the pull of l1 to the gradients, and keep them within the bounds that were asked for."""
        recipe, parameters = self.recipe, self.optimiser.parameters
        if recipe.l1 or recipe.clip_value is not None:
            for parameter in parameters:
                parameter.grad = recipe.bounded(parameter.value, parameter.grad)
        if recipe.clip_norm is not None:
            scale = recipe.scale(math.hypot(*[parameter.grad for parameter in parameters]))
            for parameter in parameters:
                parameter.grad *= scale

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        for batch in batches:
            yield self.take(batch)
            self.optimiser.step()

    def write_back(self) -> None:
        """Nothing to do: the parameters are the only state."""

    def read_again(self) -> None:
        """Nothing to do, for the same reason."""

    def snapshot(self) -> list[float]:
        return [parameter.value for parameter in self.optimiser.parameters]

    def go_back(self, values: list[float]) -> None:
        for parameter, value in zip(self.optimiser.parameters, values, strict=True):
            parameter.value = value

    def predict(self, rows: list[Row]) -> Any:
        # In portions too small for machine code, whatever was compiled before: one that is resumed measures the same.
        portions = [rows[start : start + _FEW] for start in range(0, len(rows), _FEW)]
        return [output for portion in portions for output in self.model.predict(portion)]
