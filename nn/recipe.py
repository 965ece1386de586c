"""What one step of `fit` does: the loss, the optimiser, and what is made of gradients before they are used."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import chainrule

from .losses import Loss
from .optimisers import Optimiser


@dataclass(frozen=True)
class Recipe:
    """What the steps of one training have in common, through graphs and as machine code.

    Attributes:
        loss: a function of predictions and targets.
        optimiser: what moves the parameters.
        size: how many samples a batch has.
        weights: how much each sample counts; None for alike.
        l1: how strongly each parameter is drawn to 0 by its sign.
        clip_value: the most that a derivative may be, up or down; None for no bound.
        clip_norm: the most that the norm of all derivatives may be, after `clip_value`; None for no bound.
        threads: how many threads machine code may take.
        draws: how many random numbers the model takes for each sample (see `Dropout`).
        source: where they come from.
    """

    loss: Loss
    optimiser: Optimiser
    size: int
    weights: Sequence[float] | None = None
    l1: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    threads: int = 1
    draws: int = 0
    source: random.Random = field(default_factory=random.Random, compare=False)

    def shares(self, batch: Sequence[int]) -> list[float]:
        """Return how much each sample of a batch adds to its loss; 0 for all where no sample counts."""
        if self.weights is None:
            return [1.0 / len(batch)] * len(batch)
        weights = [float(self.weights[k]) for k in batch]
        total = sum(weights)
        return [weight / total if total else 0.0 for weight in weights]

    def bounded(self, value: Any, gradient: Any) -> Any:
        """Return the derivative by one parameter with the pull of `l1`, within `clip_value`."""
        if self.l1:
            gradient = gradient + self.l1 * chainrule.sign(value)
        if self.clip_value is not None:
            gradient = chainrule.clip(gradient, -self.clip_value, self.clip_value)
        return gradient

    def scale(self, norm: Any) -> Any:
        """Return what all derivatives are multiplied by, where this is their norm."""
        return 1.0 if self.clip_norm is None else self.clip_norm / chainrule.maximum(norm, self.clip_norm)
