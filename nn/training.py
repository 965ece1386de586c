"""Train a model on rows of data: `fit` takes the steps and returns the `History` of what happened."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule import NonFiniteError, Var
from chainrule.data import number_within, to_float, whole_number
from chainrule.errors import describe
from tqdm import tqdm

from . import losses
from .data import Samples, batches, samples_of, split
from .eager_steps import EagerSteps
from .history import History
from .module import Module
from .optimisers import Adam, Optimiser
from .recipe import Loss, Recipe
from .schedules import Schedule
from .steps import Steps, choose_steps

Metric = Callable[[Any, Any], float]


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
    l1: float = 0.0,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    validation: float | tuple[Any, Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    patience: int | None = None,
    tolerance: float = 0.0,
    seed: int | random.Random | None = None,
    compiled: bool | str = "auto",
    threads: int = 1,
    record: bool | int = False,
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
        l1: how strongly parameters are drawn to 0: this times the sign of each is added to its derivative, 0 or above;
            the losses of the history are without it.
        clip_value: the most that a derivative may be, up or down, above 0; None for no bound.
        clip_norm: the most that the Euclidean norm of all derivatives may be, after `clip_value`; None for no bound.
        validation: the share of samples to hold out, between 0 and 1, or a pair of rows and targets; None for none.
        metrics: functions of predictions and targets, as plain numbers, by name; such as ``nn.accuracy``.
        patience: stop after so many epochs without a loss (of validation, if any) lower by more than `tolerance`, and
            take the parameters after the best epoch; without validation those before it, where the loss over all
            samples is lower there. None for never.
        tolerance: what counts as lower, 0 or above.
        seed: a whole number, or a `random.Random`, for the same order and split every time.
        compiled: whether to run gradients and steps as machine code. The loss must be a mean over samples that
            depends on parameters through predictions alone, as those of ``nn`` do; that is tried on a batch. "auto":
            where it is possible and worth it, else ``history.reason`` says why graphs were taken; True: always, else
            an error is raised; False: never.
        threads: how many threads a step takes in machine code.
        record: whether to keep samples, parameters and gradients for drawing: True for each epoch, a whole number for
            every so many.
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
    if not isinstance(compiled, bool) and compiled != "auto":
        raise ValueError(f"fit expected True, False or 'auto' but got {describe('compiled', compiled)}")
    source = _source(seed)
    training, held_out = split(samples_of(X, y, "fit"), validation, source)
    rows, targets = training
    epochs = _count("epochs", epochs, least=0)
    size = len(rows) if batch_size is None else min(_count("batch_size", batch_size), len(rows))
    every = int(record) if isinstance(record, bool) else _count("record", record)
    best = _Best(model, None if patience is None else _count("patience", patience), tolerance, held_out is None)
    measures, measure = _metrics(metrics), find_loss(loss)
    mover = _optimiser(optimiser, model, lr)

    recipe = Recipe(
        measure,
        mover,
        size,
        l1=number_within("fit", "l1", l1),
        clip_value=None if clip_value is None else number_within("fit", "clip_value", clip_value, zero=False),
        clip_norm=None if clip_norm is None else number_within("fit", "clip_norm", clip_norm, zero=False),
        threads=_count("threads", threads),
    )
    steps, reason = choose_steps(compiled, EagerSteps(model, recipe, rows, targets), epochs)
    history = History(model, metrics={name: [] for name in measures}, compiled=not reason, reason=reason)
    if every:
        history.rows, history.targets = training
        _record(history, 0)
    with tqdm(total=epochs, desc="training", unit="epoch", disable=not progress) as bar:
        for epoch in range(epochs):
            start = time.perf_counter()
            history.learning_rate.append(mover.lr)
            portions = batches(len(rows), size, source)
            best.before()
            _go_through(steps, portions, history)
            _measure(history, steps, held_out or training, bool(held_out), measures, measure)
            enough = best.after((history.validation_loss or history.loss)[-1])
            if every and (epoch + 1) % every == 0:
                _record(history, epoch + 1)
            history.seconds.append(time.perf_counter() - start)
            # Written when the bar next moves, not after every epoch.
            bar.set_postfix_str(f"loss {history.loss[-1]:.3g}", refresh=False)
            bar.update()
            is_over = after_epoch is not None and after_epoch(history) is True
            if after_epoch is not None:
                steps.read_again()
            if enough or is_over:
                break
    if steps.reason:
        history.compiled, history.reason = False, steps.reason
    best.restore(lambda: _current_loss(steps, portions))
    return history


def _go_through(steps: Steps, portions: Sequence[Sequence[int]], history: History) -> None:
    """Take one step for each batch of an epoch; the parameters are up to date even if that is interrupted."""
    losses: list[float] = []
    try:
        for value in steps.run(portions):
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"fit expected a finite loss but got {value!r} in epoch {len(history.loss) + 1}, batch "
                    f"{len(losses) + 1}; lower the learning rate, or find the operation by training inside "
                    "chainrule.strict()"
                )
            losses.append(value)
    finally:
        steps.write_back()
        history.batch_loss += losses
    history.loss.append(_mean(losses, portions))


def _mean(losses: list[float], portions: Sequence[Sequence[int]]) -> float:
    samples = sum(map(len, portions))
    return sum(value * (len(portion) / samples) for value, portion in zip(losses, portions, strict=True))


def _current_loss(steps: Steps, portions: Sequence[Sequence[int]]) -> float:
    """Return the training loss at the current values of the parameters."""
    steps.read_again()
    try:
        return _mean([steps.take(portion) for portion in portions], portions)
    except (ValueError, ArithmeticError):
        return math.inf  # a step too far, such as to probabilities that are nan


def _record(history: History, epoch: int) -> None:
    history.recorded.append(epoch)
    history.parameters.append(history.model.state_dict())
    if epoch:
        history.gradients.append({name: parameter.grad for name, parameter in history.model.named_parameters()})


def find_loss(loss: str | Loss) -> Loss:
    """Return the loss of that name; a function is returned unchanged.

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
    """Remember the parameters of the best epoch, and when patience runs out.

    A training loss is measured before the steps of its epoch, so that it speaks of the parameters before them, in one
    batch of all samples exactly. Whether the steps lowered it once more, `restore` finds out.
    """

    def __init__(self, model: Module, patience: int | None, tolerance: float, is_training_loss: bool) -> None:
        self.parameters = model.parameters()
        self.patience = patience
        self.tolerance = number_within("fit", "tolerance", tolerance)
        self.is_training_loss = is_training_loss
        self.least = math.inf
        self.epochs_since = 0
        self.start: list[float] = []
        self.states: list[list[float]] = []

    def before(self) -> None:
        if self.patience is not None and self.is_training_loss:
            self.start = self._values()

    def after(self, loss: float) -> bool:
        if self.patience is None:
            return False
        if loss < self.least - self.tolerance:
            self.least, self.epochs_since = loss, 0
            self.states = [self.start, self._values()] if self.is_training_loss else [self._values()]
        else:
            self.epochs_since += 1
        return self.epochs_since >= self.patience

    def restore(self, current_loss: Callable[[], float]) -> None:
        """Go back to the best epoch; of two candidate states, to the one of lower loss."""
        losses = []
        for state in self.states:
            self._assign(state)
            losses.append(current_loss() if self.is_training_loss else 0.0)
        if len(losses) == 2 and not losses[1] < losses[0]:
            self._assign(self.states[0])

    def _values(self) -> list[float]:
        return [parameter.value for parameter in self.parameters]

    def _assign(self, values: list[float]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.value = value


def _metrics(metrics: Any) -> dict[str, Metric]:
    if not isinstance(metrics, Mapping | None):
        raise TypeError(
            f"fit expected a dict of functions by name, such as {{'accuracy': nn.accuracy}}, but got "
            f"{describe('metrics', metrics)}"
        )
    found = dict(metrics or {})
    for name, metric in found.items():
        if not callable(metric):
            raise TypeError(
                f"fit expected a function of predictions and targets but got {describe(f'metrics[{name!r}]', metric)}"
            )
    return found


def _measure(
    history: History,
    steps: Steps,
    samples: Samples,
    is_held_out: bool,
    metrics: dict[str, Metric],
    loss: Loss,
) -> None:
    """Append the measurements of an epoch."""
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
    own = set(map(id, model.parameters()))
    if own.isdisjoint(map(id, optimiser.parameters)):
        raise ValueError(
            "fit expected an optimiser of parameters of the model but got one of others alone, which would leave the "
            "model as it is; make it of model.parameters()"
        )
    if lr is not None:
        optimiser.lr = lr
    return optimiser


def _source(seed: int | random.Random | None) -> random.Random:
    if isinstance(seed, random.Random):
        return seed
    if seed is None:
        return random.Random()
    # Not of the seed alone: data drawn by random.Random(0) and an order drawn by another would go hand in hand.
    return random.Random(f"chainrule.nn.fit {_count('seed', seed, least=0)}")


def _count(name: str, number: Any, least: int = 1) -> int:
    return whole_number("fit", name, number, least)
