"""Understand what `fit` is called with: an optimiser or its name, a seed, counts; and try the data on the loss."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

from chainrule.data import whole_number
from chainrule.errors import describe

from .metrics import Metric, accuracy, check_two_classes
from .module import Module
from .optimisers import Adam, Optimiser, optimiser_named
from .schedules import Schedule


def find_optimiser(optimiser: Any, model: Module, lr: float | Schedule | None) -> Optimiser:
    """Return an optimiser: itself, or made of the model's parameters by a class, a function or the name of a class.

    >>> from chainrule import nn
    >>> find_optimiser("AdamW", nn.Neuron(1), 0.5).lr
    0.5
    """
    if optimiser is None:
        optimiser = Adam(model.parameters(), lr=0.01)
    elif not isinstance(optimiser, Optimiser):
        if isinstance(optimiser, str):
            optimiser = optimiser_named(optimiser)
        if not callable(optimiser):
            raise TypeError(
                f"fit expected an optimiser, a class of them or its name but got {describe('optimiser', optimiser)}"
            )
        optimiser = optimiser(model.parameters())
        if not isinstance(optimiser, Optimiser):
            raise TypeError(f"fit expected optimiser to make an Optimiser but got {describe('it', optimiser)}")
    own = set(map(id, model.parameters()))
    if own.isdisjoint(map(id, optimiser.parameters)):
        raise ValueError(
            "fit expected an optimiser of parameters of the model but got one of others alone, which would leave the "
            "model as it is; make it of model.parameters()"
        )
    if not all(parameter.requires_grad for parameter in optimiser.parameters):
        raise ValueError(
            "fit expected an optimiser of parameters that require gradients but some were frozen since it was made; "
            "make it anew of model.parameters()"
        )
    if lr is not None:
        optimiser.lr = lr
    return optimiser


def source_of(seed: int | random.Random | None) -> random.Random:
    """Return where random numbers come from.

    >>> source_of(1).random() == source_of(1).random()
    True
    """
    if isinstance(seed, random.Random):
        return seed
    if seed is None:
        return random.Random()
    # Not of the seed alone: data drawn by random.Random(0) and an order drawn by another would go hand in hand.
    return random.Random(f"chainrule.nn.fit {count_of('seed', seed, least=0)}")


def count_of(name: str, number: Any, least: int = 1) -> int:
    """Return a whole number, checked.

    >>> count_of("epochs", 3)
    3
    """
    return whole_number("fit", name, number, least)


def shows_progress(progress: Any) -> bool:
    """Return whether to show a bar, which "auto" does on a terminal only.

    >>> shows_progress(True)
    True
    """
    if isinstance(progress, str) and progress == "auto":
        return sys.stderr is not None and sys.stderr.isatty()
    if not isinstance(progress, bool):
        raise ValueError(f"fit expected True, False or 'auto' but got {describe('progress', progress)}")
    return progress


def try_metrics(metrics: dict[str, Metric], prediction: Any, targets: Sequence[Any]) -> None:
    """Refuse targets that are no classes where accuracy is asked for.

    Errors: `ValueError`.
    """
    if accuracy in metrics.values() and not isinstance(prediction, list):
        check_two_classes(targets)
