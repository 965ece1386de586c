"""The record of a training: the `History` that `fit` returns."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from chainrule.data import Row

from .module import Module


@dataclasses.dataclass
class History:
    """What `fit` measured, one item per epoch unless said otherwise.

    Attributes:
        model: the model that was trained.
        loss: the mean of the training losses, each measured before its step.
        batch_loss: the training loss of every mini-batch, before its step.
        validation_loss: the loss over the held-out samples after the epoch; empty where there are none.
        metrics: by name, the metrics after the epoch, over held-out samples where there are any, else over all.
        learning_rate: the learning rate of the first step.
        seconds: how long the epoch took.
        compiled: whether gradients and steps ran as machine code.
        reason: why they did not; empty where they did.
        recorded: with `record`, the numbers of epochs after which the following were taken; the first is 0.
        parameters: with `record`, the values of all parameters by name: before training, then as `recorded` says.
        gradients: with `record`, the gradients of all parameters by name, at the last step before each of those but the
            first.
        rows, targets: with `record`, the samples that were trained on.
        best_epoch: the epoch, counted from 0, with the least validation loss, or training loss where there is none.

    >>> from chainrule import nn
    >>> model = nn.Neuron(1, activation=None, seed=0)
    >>> history = nn.fit(model, [0.0, 1.0, 2.0], [1.0, 3.0, 5.0], optimiser=nn.SGD, lr=0.1, epochs=50, seed=0)
    >>> history
    History of 50 epochs, loss 0.000115
    >>> history.best_epoch
    49
    """

    model: Module
    loss: list[float] = dataclasses.field(default_factory=list)
    batch_loss: list[float] = dataclasses.field(default_factory=list)
    validation_loss: list[float] = dataclasses.field(default_factory=list)
    metrics: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    learning_rate: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    compiled: bool = False
    reason: str = ""
    recorded: list[int] = dataclasses.field(default_factory=list)
    parameters: list[dict[str, float]] = dataclasses.field(default_factory=list)
    gradients: list[dict[str, float]] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    targets: list[Any] = dataclasses.field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, or training loss if there is no validation."""
        watched = self.validation_loss or self.loss
        if not watched:
            raise ValueError("best_epoch expected a History of at least one epoch but got one of none")
        return min(range(len(watched)), key=watched.__getitem__)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        epochs = len(self.loss)
        text = f"History of {epochs} epoch{'' if epochs == 1 else 's'}"
        if self.loss:
            text += f", loss {self.loss[-1]:.3g}"
        if self.validation_loss:
            text += f", validation loss {self.validation_loss[-1]:.3g}"
        return text + "".join(f", {name} {values[-1]:.3g}" for name, values in self.metrics.items() if values)
