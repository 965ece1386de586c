"""Train a model on rows of data: `fit` takes the steps and returns the `History` of what happened."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chainrule import NonFiniteError, Var
from chainrule.primitive import describe, to_float
from tqdm import tqdm

from . import losses
from .data import Row, rows_of, targets_of
from .module import Module
from .optimisers import Adam, Optimiser
from .schedules import Schedule
from .steps import CompiledSteps, EagerSteps, Loss, Steps

Metric = Callable[[Any, Any], float]
Samples = tuple[list[Row], list[Any]]


@dataclasses.dataclass
class History:
    """Hold what `fit` measured, one item for each epoch unless said otherwise.

    Attributes:
        model: the model that was trained.
        loss: the mean of the training losses, each measured before its step.
        batch_loss: the training loss of every mini-batch, before its step.
        validation_loss: the loss over the held-out samples after the epoch; empty where there are none.
        metrics: by name, the metrics after the epoch, over held-out samples where there are any, else over all.
        learning_rate: the learning rate of the first step.
        seconds: how long the epoch took.
        parameters: with ``record=True``, the values of all parameters by name: before training, then after each epoch.
        gradients: with ``record=True``, the gradients of all parameters by name, at the last step of each epoch.
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
    parameters: list[dict[str, float]] = dataclasses.field(default_factory=list)
    gradients: list[dict[str, float]] = dataclasses.field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch with the least validation loss, or training loss where there is none."""
        watched = self.validation_loss or self.loss
        return min(range(len(watched)), key=watched.__getitem__)

    def __repr__(self) -> str:
        epochs = len(self.loss)
        text = f"History of {epochs} epoch{'' if epochs == 1 else 's'}"
        if self.loss:
            text += f", loss {self.loss[-1]:.3g}"
        if self.validation_loss:
            text += f", validation loss {self.validation_loss[-1]:.3g}"
        return text + "".join(f", {name} {values[-1]:.3g}" for name, values in self.metrics.items() if values)


def fit(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: str | Loss = "mse",
    optimiser: Optimiser | Callable[[list[Var]], Optimiser] | None = None,
    lr: float | Schedule | None = None,
    epochs: int = 100,
    batch_size: int | None = 32,
    validation: float | tuple[Any, Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    patience: int | None = None,
    tolerance: float = 0.0,
    seed: int | random.Random | None = None,
    compiled: bool = False,
    record: bool = False,
    progress: bool = False,
    after_epoch: Callable[[History], object] | None = None,
) -> History:
    """Train `model` to predict `y` from the rows of `X`, and return the history.

    Args:
        model: a `Module`; it is trained in place.
        X: samples: rows of numbers, in a list, array or data frame; plain numbers for a model of one input.
        y: the target of each sample: a number, a row of numbers, or a class counted from 0 for cross_entropy.
        loss: a function of predictions and targets, or the name of one of ``nn``: "mse", "mae", "huber", "hinge",
            "binary_cross_entropy", "cross_entropy".
        optimiser: an optimiser, or what makes one of the list of parameters, such as ``nn.SGD``; default ``nn.Adam``
            with a learning rate of 0.01.
        lr: the learning rate, or a schedule over the steps; None for that of the optimiser.
        epochs: how often to go through all samples, each time in another random order.
        batch_size: how many samples one step takes; None for all, in their order.
        validation: the share of samples to hold out, between 0 and 1, or a pair of rows and targets; None for none.
        metrics: functions of predictions and targets, as plain numbers, by name; such as ``nn.accuracy``.
        patience: stop after so many epochs without a loss (of validation, if any) lower by more than `tolerance`, and
            take the parameters of the best epoch; None for never.
        tolerance: what counts as lower, 0 or above.
        seed: a whole number, or a `random.Random`, for the same order and split every time.
        compiled: whether to run gradients and steps as machine code. The loss must be a mean over samples that
            depends on parameters through predictions alone, as those of ``nn`` do: on the first batch that is checked.
        record: whether to keep parameters and gradients of each epoch, for drawing.
        progress: whether to show a bar.
        after_epoch: called with the history after each epoch; training ends where it returns True.

    Errors: `TypeError` and `ValueError` for data of the wrong kind, before any step; `NonFiniteError` where the loss
    becomes nan or infinite, with the parameters from before that step; those of `compile`.

    >>> from chainrule import nn
    >>> rows, targets = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> model = nn.MLP(2, [4, 1], output_activation="sigmoid", seed=1)
    >>> history = nn.fit(model, rows, targets, loss="binary_cross_entropy", lr=0.1, epochs=200)
    >>> [round(p) for p in model.predict(rows)]
    [0, 1, 1, 0]
    """
    if not isinstance(model, Module):
        raise TypeError(f"fit expected a Module but got {describe('model', model)}")
    training = _samples(X, y, "")
    source = seed if isinstance(seed, random.Random) else random.Random(seed)
    training, held_out = _split(training, validation, source)
    rows, targets = training
    epochs = _count("epochs", epochs, least=0)
    size = len(rows) if batch_size is None else min(_count("batch_size", batch_size), len(rows))
    patience = None if patience is None else _count("patience", patience)
    tolerance = to_float(tolerance, "fit", "tolerance")
    measures = dict(metrics or {})
    mover = _optimiser(optimiser, model, lr)

    measure = find_loss(loss)
    kind: type[Steps] = CompiledSteps if compiled else EagerSteps
    steps = kind(model, measure, mover, rows, targets)
    history = History(model, metrics={name: [] for name in measures})
    if record:
        history.parameters.append(model.state_dict())
    best = _Best(model, patience, tolerance)
    bar = tqdm(total=epochs, desc="training", unit="epoch", disable=not progress)
    with bar:
        for epoch in range(epochs):
            start = time.perf_counter()
            history.learning_rate.append(mover.lr)
            total = 0.0
            for batch in _batches(len(rows), size, source):
                value = steps.take(batch)
                if not math.isfinite(value):
                    steps.write_back()
                    raise NonFiniteError(
                        f"fit expected a finite loss but got {value!r} in epoch {epoch + 1}, batch "
                        f"{len(history.batch_loss) % math.ceil(len(rows) / size) + 1}; lower the learning rate, or "
                        "find the operation by training inside chainrule.strict()"
                    )
                steps.move()
                history.batch_loss.append(value)
                total += value * len(batch)
            steps.write_back()
            history.loss.append(total / len(rows))
            _measure(history, steps, held_out or training, bool(held_out), measures, measure)
            if record:
                history.gradients.append({name: p.grad for name, p in model.named_parameters()})
                history.parameters.append(model.state_dict())
            history.seconds.append(time.perf_counter() - start)
            bar.update()
            bar.set_postfix_str(f"loss {history.loss[-1]:.3g}")
            enough = best.watch((history.validation_loss or history.loss)[-1])
            if enough or (after_epoch is not None and after_epoch(history) is True):
                break
    best.restore()
    return history


def find_loss(loss: str | Loss) -> Loss:
    """Return the loss that a name stands for; a function is itself.

    >>> find_loss("mse")([1.0], [3.0])
    4.0
    """
    if callable(loss):
        return loss
    names = ("mse", "mae", "huber", "hinge", "binary_cross_entropy", "cross_entropy")
    if not isinstance(loss, str) or loss not in names:
        raise ValueError(f"fit expected a function or one of {', '.join(names)} but got {describe('loss', loss)}")
    function: Loss = getattr(losses, loss)
    return function


class _Best:
    """Remember the parameters of the best epoch, and tell when patience is at its end."""

    def __init__(self, model: Module, patience: int | None, tolerance: float) -> None:
        self.model = model
        self.patience = patience
        self.tolerance = tolerance
        self.least = math.inf
        self.epochs_since = 0
        self.state: dict[str, float] | None = None

    def watch(self, loss: float) -> bool:
        if self.patience is None:
            return False
        if loss < self.least - self.tolerance:
            self.least, self.epochs_since, self.state = loss, 0, self.model.state_dict()
        else:
            self.epochs_since += 1
        return self.epochs_since >= self.patience

    def restore(self) -> None:
        if self.state is not None:
            self.model.load_state_dict(self.state)


def _measure(
    history: History,
    steps: Steps,
    samples: Samples,
    is_held_out: bool,
    metrics: dict[str, Metric],
    loss: Loss,
) -> None:
    """Append what is measured after an epoch."""
    if not is_held_out and not metrics:
        return
    rows, targets = samples
    predictions = steps.predict(rows)
    if is_held_out:
        history.validation_loss.append(_number("loss", loss(predictions, targets)))
    for name, metric in metrics.items():
        history.metrics[name].append(_number(name, metric(predictions, targets)))


def _number(name: str, result: Any) -> float:
    return float(result.value) if isinstance(result, Var) else to_float(result, "fit", name)


def _batches(count: int, size: int, source: random.Random) -> Iterator[list[int]]:
    order = list(range(count))
    if size < count:
        source.shuffle(order)
    for start in range(0, count, size):
        yield order[start : start + size]


def _samples(X: Any, y: Any, mark: str, width: int | None = None) -> Samples:
    rows = rows_of(X, "fit", width, f"{mark}X")
    targets = targets_of(y, "fit", f"{mark}y")
    if len(rows) != len(targets):
        raise ValueError(
            f"fit expected a target for each sample but got {len(rows)} rows in {mark}X and {len(targets)} targets in "
            f"{mark}y"
        )
    return rows, targets


def _split(training: Samples, validation: Any, source: random.Random) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those held out."""
    if validation is None:
        return training, None
    rows, _ = training
    if isinstance(validation, tuple):
        if len(validation) != 2:
            raise ValueError(f"fit expected a pair of rows and targets but got {describe('validation', validation)}")
        return training, _samples(*validation, "validation ", len(rows[0]))
    share = to_float(validation, "fit", "validation")
    count = round(share * len(rows))
    if not 0.0 < share < 1.0 or not 0 < count < len(rows):
        raise ValueError(
            f"fit expected a share between 0 and 1 that leaves samples on both sides of {len(rows)} but got "
            f"{describe('validation', validation)}"
        )
    order = list(range(len(rows)))
    source.shuffle(order)
    held_out, kept = sorted(order[:count]), sorted(order[count:])
    return _chosen(training, kept), _chosen(training, held_out)


def _chosen(samples: Samples, positions: list[int]) -> Samples:
    rows, targets = samples
    return [rows[k] for k in positions], [targets[k] for k in positions]


def _optimiser(optimiser: Any, model: Module, lr: float | Schedule | None) -> Optimiser:
    if optimiser is None:
        optimiser = Adam(model.parameters(), lr=0.01)
    elif not isinstance(optimiser, Optimiser):
        if not callable(optimiser):
            raise TypeError(
                f"fit expected an optimiser, or a class of them, but got {describe('optimiser', optimiser)}"
            )
        optimiser = optimiser(model.parameters())
        if not isinstance(optimiser, Optimiser):
            raise TypeError(f"fit expected optimiser to make an Optimiser but got {describe('it', optimiser)}")
    if lr is not None:
        optimiser.lr = lr
    return optimiser


def _count(name: str, number: Any, least: int = 1) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise ValueError(f"fit expected a whole number, {least} or above, but got {describe(name, number)}")
    return number
