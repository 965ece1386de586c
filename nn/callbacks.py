"""Act while `fit` trains: derive from `Callback`, or take one of those that are there.

>>> from chainrule import nn
>>> class Halving(nn.Callback):
...     def on_epoch(self, training):
...         training.optimiser.lr /= 2
...         return training.history.loss[-1] < 1e-3  # something true ends the training
>>> model = nn.Neuron(1, activation=None, seed=0)
>>> history = nn.fit(model, [0.0, 1.0], [1.0, 3.0], optimiser="sgd", lr=0.4, epochs=4, callbacks=[Halving()])
>>> history.learning_rate
[0.4, 0.2, 0.1, 0.05]
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from typing import Any

from chainrule import Var
from chainrule.data import check_path, number_within, whole_number
from chainrule.errors import describe

from .history import History
from .lowest import Plateau
from .module import Module
from .optimisers import FullBatch, Optimiser


class Training:
    """What a callback sees of a training, and may change.

    Attributes:
        model, optimiser: parameters, learning rate and whatever else they have; what is assigned there counts from the
            next step on.
        history: what was measured so far.
        epochs: how many epochs are to be gone through.
    """

    def __init__(
        self, model: Module, optimiser: Optimiser, history: History, epochs: int, keep: Callable[[Any], None]
    ) -> None:
        self.model, self.optimiser, self.history, self.epochs = model, optimiser, history, epochs
        self._keep = keep

    @property
    def epoch(self) -> int:
        """How many epochs are finished."""
        return len(self.history.loss)

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return len(self.history.batch_loss)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint, from which `fit` goes on where it is given as `resume_from`; after an epoch only."""
        self._keep(path)


class Callback:
    """Act at the start of a training, after each step, after each epoch and at the end; by default, do nothing.

    What is true where it is returned by `on_start`, `on_batch` or `on_epoch` ends the training. A callback of a class
    that has an `on_batch` of its own makes each step a call by itself, which machine code takes many of otherwise.
    """

    def on_start(self, training: Training) -> object:
        """Act before the first step."""

    def on_batch(self, training: Training) -> object:
        """Act after a step."""

    def on_epoch(self, training: Training) -> object:
        """Act after an epoch, when it is measured and recorded."""

    def on_end(self, training: Training) -> object:
        """Act at the end, when the parameters are those of the best epoch if there is `patience`."""

    def state(self) -> Any:
        """Return what a checkpoint is to keep of this callback: plain data; None, as by default, for nothing."""
        return None

    def set_state(self, state: Any) -> None:
        """Go on from what `state` returned, after `on_start`."""


class Checkpoint(Callback):
    """Write a checkpoint after every so many epochs, and after the last.

    Args:
        path: the file, which is replaced each time as a whole.
        every: after how many epochs.

    A checkpoint holds all that the training is at, and `fit` with ``resume_from`` goes on as if it had never stopped.
    It is JSON, and nothing in it is executed. The same as ``checkpoint=path`` of `fit`; the checkpoint is written after
    all other callbacks have acted.
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        check_path("Checkpoint", path)
        self.path = path
        self.every = whole_number("Checkpoint", "every", every)

    def on_start(self, training: Training) -> None:
        """Look whether the file can be written, before the first step.

        Errors: `FileNotFoundError` where its folder is missing, `IsADirectoryError` where it is a folder itself.
        """
        path = os.fspath(self.path)
        if not os.path.isdir(os.path.dirname(path) or os.curdir):
            raise FileNotFoundError(f"Checkpoint expected a file in a folder that is there but got {path=}")
        if os.path.isdir(path):
            raise IsADirectoryError(f"Checkpoint expected the path of a file but got the folder {path=}")

    def on_epoch(self, training: Training) -> None:
        """Write the file if it is due."""
        if training.epoch % self.every == 0 or training.history.stopped or training.epoch == training.epochs:
            training.save(self.path)


class ReduceOnPlateau(Plateau, Callback):
    """Multiply the learning rate by `factor` when the loss has not become lower for `patience` epochs.

    Args:
        patience: how many epochs may pass without a loss (of validation, if any) lower by more than `tolerance`.
        factor: between 0 and 1.
        least: the rate is not reduced below it.
        tolerance: what counts as lower, 0 or above.

    >>> from chainrule import nn
    >>> rates = nn.ReduceOnPlateau(patience=2, factor=0.1)
    >>> model = nn.Neuron(1, activation=None, seed=0)
    >>> history = nn.fit(model, [1.0], [0.0], optimiser="sgd", lr=1.0, epochs=5, callbacks=rates)  # goes to and fro
    >>> [round(rate, 3) for rate in history.learning_rate]
    [1.0, 1.0, 1.0, 0.1, 0.1]
    """

    def on_start(self, training: Training) -> None:
        """Begin to watch.

        Errors: `ValueError` for an optimiser that has no rate to reduce, such as `LBFGS`.
        """
        if isinstance(training.optimiser, FullBatch):
            got = describe("optimiser", training.optimiser)
            raise ValueError(f"ReduceOnPlateau expected an optimiser with a learning rate but got {got}")
        self.best, self.since = math.inf, 0

    def on_epoch(self, training: Training) -> None:
        """Look at the loss of the epoch, and reduce the rate if that is due."""
        optimiser = training.optimiser
        rate = self.reduced(optimiser.lr, training.history.watched()[-1])
        if rate != optimiser.lr:
            optimiser.lr = rate

    def state(self) -> Any:
        """Return the least loss and how long ago it was."""
        return [self.best, self.since]

    def set_state(self, state: Any) -> None:
        """Go on from there."""
        self.best, self.since = state


class MaxNorm(Callback):
    """Keep the Euclidean norm of each neuron's weights, without the bias, at most `limit`, after every step.

    Weights that go beyond are made shorter, in the same direction. A neuron is what has a list of Vars as ``weights``,
    as `Neuron` has.

    >>> from chainrule import nn
    >>> model = nn.Neuron(1, activation=None, seed=0)
    >>> _ = nn.fit(model, [0.0, 1.0], [0.0, 5.0], lr=0.1, epochs=100, callbacks=[nn.MaxNorm(2.0)])
    >>> round(model.weights[0].value, 12)
    2.0
    """

    def __init__(self, limit: float) -> None:
        self.limit = number_within("MaxNorm", "limit", limit, zero=False)
        self.groups: list[list[Var]] = []

    def on_start(self, training: Training) -> None:
        """Find the weights."""
        groups = [getattr(module, "weights", None) for _, module in training.model.named_modules()]
        self.groups = [g for g in groups if isinstance(g, list) and g and all(isinstance(w, Var) for w in g)]
        if not self.groups:
            raise ValueError(
                f"MaxNorm expected a model with neurons, each of a list of Vars as weights, but got "
                f"{describe('model', training.model)}"
            )
        self._shorten()

    def on_batch(self, training: Training) -> None:
        """Shorten what is too long."""
        self._shorten()

    def _shorten(self) -> None:
        for weights in self.groups:
            norm = math.hypot(*[weight.value for weight in weights])
            if norm > self.limit:
                for weight in weights:
                    weight.value *= self.limit / norm


class Average(Callback):
    """Leave the model with the average of its parameters over epochs, which often predicts better than the last.

    Args:
        start: the first epoch that counts, counted from 0.
        decay: None for a mean; else the share of the average that each further epoch leaves of it, from 0 to below 1.

    Sources: Polyak and Juditsky 1992; Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima".

    >>> from chainrule import nn
    >>> model = nn.Neuron(1, activation=None, seed=0)
    >>> history = nn.fit(model, [1.0], [0.0], epochs=3, callbacks=nn.Average(), record=True)
    >>> mean = sum(state["bias"] for state in history.parameters[1:]) / 3
    >>> abs(model.bias.value - mean) < 1e-15
    True
    """

    def __init__(self, start: int = 0, decay: float | None = None) -> None:
        self.start = whole_number("Average", "start", start, 0)
        self.decay = None if decay is None else number_within("Average", "decay", decay, 1.0)
        self.count, self.values = 0, [0.0]

    def on_start(self, training: Training) -> None:
        """Begin without any epoch."""
        self.count, self.values = 0, [0.0] * len(training.model.parameters())

    def on_epoch(self, training: Training) -> None:
        """Count the parameters in."""
        if training.epoch <= self.start:
            return
        self.count += 1
        share = 1.0 / self.count if self.decay is None or self.count == 1 else 1.0 - self.decay
        for k, parameter in enumerate(training.model.parameters()):
            self.values[k] += share * (parameter.value - self.values[k])

    def on_end(self, training: Training) -> None:
        """Set the parameters to the average."""
        if self.count:
            for parameter, value in zip(training.model.parameters(), self.values, strict=True):
                parameter.value = value

    def state(self) -> Any:
        """Return the average so far."""
        return [self.count, self.values]

    def set_state(self, state: Any) -> None:
        """Go on from there."""
        self.count, self.values = state


class AfterEpoch(Callback):
    """Call a function with the history after each epoch."""

    def __init__(self, function: Callable[[History], object]) -> None:
        if not callable(function):
            raise TypeError(f"fit expected a function of the history but got {describe('after_epoch', function)}")
        self.function = function

    def on_epoch(self, training: Training) -> object:
        """Call it."""
        return self.function(training.history)


class CSVLog(Callback):
    """Write a row of comma-separated values after each epoch: losses, metrics, learning rate and seconds.

    Args:
        path: the file, which is begun anew; a training that is resumed writes its first epochs again.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_path("CSVLog", path)
        self.path = path

    def on_start(self, training: Training) -> None:
        """Begin the file."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(training.history.csv() if training.epoch else "")

    def on_epoch(self, training: Training) -> None:
        """Add a row, under one of names if it is the first."""
        lines = training.history.csv(last=training.epoch > 1)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(lines)


def remembering(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks whose class has a `state` of its own, of which a checkpoint keeps what it returns.

    >>> [type(callback).__name__ for callback in remembering([Average(), MaxNorm(1.0)])]
    ['Average']
    """
    return [callback for callback in callbacks if type(callback).state is not Callback.state]


def find_callbacks(callbacks: Any) -> list[Callback]:
    """Return callbacks as a list, those that write checkpoints last.

    >>> [type(callback).__name__ for callback in find_callbacks([Checkpoint("run"), Average()])]
    ['Average', 'Checkpoint']
    """
    found = [callbacks] if isinstance(callbacks, Callback) else callbacks
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise TypeError(f"fit expected a list of nn.Callback but got {describe('callbacks', callbacks)}")
    found = list(found)
    for place, callback in enumerate(found):
        if not isinstance(callback, Callback):
            advice = "; make an instance of it" if isinstance(callback, type) else ""
            raise TypeError(f"fit expected nn.Callback but got {describe(f'callbacks[{place}]', callback)}{advice}")
    return sorted(found, key=lambda callback: isinstance(callback, Checkpoint))
