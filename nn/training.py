"""Train a model on rows of data: `fit` takes the steps and returns the `History` of what happened."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chainrule import Var
from chainrule.data import number_within
from chainrule.errors import describe

from .arguments import count_of, find_optimiser, shows_progress, source_of, try_metrics
from .blocks import draws_of
from .callbacks import AfterEpoch, Callback, Checkpoint, find_callbacks
from .checkpoints import read
from .data import Batches, Division, samples_of, split, weights_of
from .eager_steps import EagerSteps
from .evaluating import TRIED, try_targets, try_weights
from .full_steps import FullSteps, check_full
from .history import History
from .losses import Loss, find_loss
from .metrics import Metric, border, find_metrics, name_of
from .module import Module
from .optimisers import FullBatch, Optimiser
from .patience import Best
from .progress import Bar
from .recipe import Recipe
from .resuming import State
from .running import Measuring, Run
from .schedules import Schedule
from .steps import choose_steps


def fit(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: str | Loss = "mse",
    optimiser: str | Optimiser | Callable[[list[Var]], Optimiser] | None = None,
    lr: float | Schedule | None = None,
    epochs: int = 100,
    batch_size: int | None = 32,
    shuffle: bool = True,
    steps_per_epoch: int | None = None,
    sample_weight: Any = None,
    class_weight: str | Mapping[Any, float] | None = None,
    l1: float = 0.0,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    validation: float | tuple[Any, Any] | None = None,
    metrics: str | Iterable[str | Metric] | Mapping[str, str | Metric] | None = None,
    patience: int | None = None,
    tolerance: float = 0.0,
    callbacks: Callback | Iterable[Callback] = (),
    after_epoch: Callable[[History], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume_from: str | os.PathLike[str] | None = None,
    seed: int | random.Random | None = None,
    compiled: bool | str = "auto",
    threads: int = 1,
    record: bool | int = False,
    progress: bool | str = "auto",
    optimizer: Any = None,
) -> History:
    """Train `model` to predict `y` from the rows of `X`, and return the history.

    Args:
        model: a `Module`; it is trained in place.
        X: samples: rows of numbers, in a list, array or data frame; plain numbers for a model of one input.
        y: the target of each sample: a number, a row of numbers, or for cross_entropy a class counted from 0 or a row
            of probabilities.
        loss: a function of predictions and targets, or the name of one of ``nn``: "mse", "mae", "huber", "log_cosh",
            "quantile", "poisson", "gaussian", "hinge", "binary_cross_entropy", "binary_cross_entropy_with_logits",
            "cross_entropy".
        optimiser: an optimiser, or what makes one of the list of parameters, such as ``nn.SGD``, or its name, such as
            "sgd"; default ``nn.Adam`` with a learning rate of 0.01. `optimizer` is another spelling.
        lr: the learning rate, or a schedule over the steps; None for that of the optimiser.
        epochs: how often to go through all samples, each time in another random order.
        batch_size: how many samples one step takes; None for all, in their order, which optimisers such as `nn.LBFGS`
            take in any case.
        shuffle: whether the order is random; else it is that of the samples.
        steps_per_epoch: how many steps an epoch has, which go on through the samples where the last epoch ended; None
            for each sample once.
        sample_weight: how much each sample counts in the loss, 0 or above; None for alike. Those held out keep theirs.
            The loss has to be a mean over samples, which is tried on a batch.
        class_weight: how much the samples of each class count besides: a dict by class, or "balanced" where all
            classes are to count alike in sum. Held-out samples are measured without it.
        l1: how strongly parameters are drawn to 0: this times the sign of each is added to its derivative, 0 or above;
            the losses of the history are without it.
        clip_value: the most that a derivative may be, up or down, above 0; None for no bound.
        clip_norm: the most that the Euclidean norm of all derivatives may be, after `clip_value`; None for no bound.
        validation: the share of samples to hold out, between 0 and 1, or a pair of rows and targets; None for none.
        metrics: names ("accuracy", "r2", "rmse", those of losses), functions of targets and predictions as plain
            numbers, in this order, or a dict of them by name.
        patience: stop after so many epochs without a loss (of validation, if any) lower by more than `tolerance`, and
            take the parameters after the best epoch; without validation those before it, where the loss over all
            samples is lower there. None for never.
        tolerance: what counts as lower, 0 or above.
        callbacks: what acts while this trains: see `nn.Callback`.
        after_epoch: called with the history after each epoch; training ends where it returns something true.
        checkpoint: a file to which all that the training is at is written, as a whole, after every `checkpoint_every`
            epochs and after the last.
        resume_from: such a file, to go on from: called with the same model, data and options, `fit` takes the steps
            that it would have taken had it not stopped, and ends at the same numbers.
        seed: a whole number, or a `random.Random`, for the same order and split every time.
        compiled: whether to run gradients and steps as machine code. The loss must be a mean over samples that
            depends on parameters through predictions alone, as those of ``nn`` do; that is tried on a batch. "auto":
            where it is possible and worth it, else ``history.reason`` says why graphs were taken; True: always, else
            an error is raised; False: never.
        threads: how many threads a step takes in machine code.
        record: whether to keep samples, parameters and gradients for drawing: True for each epoch, a whole number for
            every so many.
        progress: whether to show a bar; "auto" for a bar on a terminal only.

    Ctrl-C ends the training after the step that is under way (pressed again, at once): the history so far is returned,
    and the parameters are those after the last step, or with `patience` those of the best epoch. A loss that grows
    beyond a million times its first value is warned of.

    Errors: `TypeError` and `ValueError` for data of the wrong kind, before any step; `NonFiniteError` where the loss
    becomes nan or infinite: it has the history so far as ``history``, and the parameters are those of the best epoch;
    those of `compile`.

    >>> from chainrule import nn
    >>> rows, targets = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> model = nn.MLP(2, [4, 1], output_activation="sigmoid", seed=1)
    >>> history = nn.fit(
    ...     model, rows, targets, loss="binary_cross_entropy", lr=0.1, epochs=200, metrics="accuracy"
    ... )
    >>> [round(p) for p in model.predict(rows)], history.metrics["accuracy"][-1]
    ([0, 1, 1, 0], 1.0)
    """
    if not isinstance(model, Module):
        raise TypeError(f"fit expected a Module but got {describe('model', model)}")
    if not isinstance(compiled, bool) and compiled != "auto":
        raise ValueError(f"fit expected True, False or 'auto' but got {describe('compiled', compiled)}")
    if shuffle not in (False, True):
        raise ValueError(f"fit expected True or False but got {describe('shuffle', shuffle)}")
    if optimiser is not None and optimizer is not None:
        raise TypeError("fit expected one optimiser but got both optimiser and optimizer, which mean the same")
    listening = find_callbacks(callbacks)
    if after_epoch is not None:
        listening = find_callbacks([*listening, AfterEpoch(after_epoch)])
    if checkpoint is not None:
        listening.append(Checkpoint(checkpoint, count_of("checkpoint_every", checkpoint_every)))
    kept = None if resume_from is None else read(resume_from, State.NAMES)
    source = source_of(seed)
    samples = samples_of(X, y, "fit")
    parts = split(samples, validation, source, None if kept is None else kept["held_out"])
    rows, targets = parts.training
    weights, counting = _weights(sample_weight, class_weight, samples[1], parts)
    epochs = count_of("epochs", epochs, least=0)
    mover = find_optimiser(optimiser if optimizer is None else optimizer, model, lr)
    size = len(rows) if batch_size is None else min(count_of("batch_size", batch_size), len(rows))
    if isinstance(mover, FullBatch):
        size = len(rows)
    each = None if steps_per_epoch is None else count_of("steps_per_epoch", steps_per_epoch)
    order = Batches(len(rows), size, source if shuffle else None, each)
    every = int(record) if isinstance(record, bool) else count_of("record", record)
    tolerance = number_within("fit", "tolerance", tolerance)
    if patience is not None:
        patience = count_of("patience", patience)
    measures, measure = find_metrics(metrics, "fit"), find_loss(loss)
    recipe = Recipe(
        measure,
        mover,
        size,
        weights=weights,
        l1=number_within("fit", "l1", l1),
        clip_value=None if clip_value is None else number_within("fit", "clip_value", clip_value, zero=False),
        clip_norm=None if clip_norm is None else number_within("fit", "clip_norm", clip_norm, zero=False),
        threads=count_of("threads", threads),
        draws=draws_of(model, rows[0]),
        source=source,
    )
    if isinstance(mover, FullBatch):
        check_full(recipe, mover)
    shown = shows_progress(progress)
    seen = parts.held_out or parts.training
    first = model.predict(rows[:1])[0]
    for part in filter(None, (parts.training, parts.held_out)):
        try_targets(measure, first, part[1])
    try_metrics(measures, first, seen[1])
    if weights is not None:
        few = min(size, TRIED)
        try_weights(measure, [model(row) for row in rows[:few]], targets[:few])

    history = History(model, metrics={name: [] for name in measures}, threshold=border(measure, samples[1], model))
    state = State(
        recipe,
        order,
        history,
        parts.taken,
        {
            "loss": name_of(measure),
            "metrics": list(measures),
            "batch_size": size,
            "shuffle": bool(shuffle),
            "steps_per_epoch": order.each,
        },
        [*samples, *(parts.held_out or ())],
    )
    if kept is not None:
        state.resume(kept, listening)
        compiled = kept["history"]["compiled"] if compiled == "auto" else compiled
    steps, history.reason = choose_steps(compiled, EagerSteps(model, recipe, rows, targets), epochs)
    history.compiled = not history.reason
    if isinstance(mover, FullBatch):
        steps = FullSteps(steps, model, recipe, mover, parts.training)
    if every:
        history.rows, history.targets = parts.training
    best = Best(steps, patience, tolerance, parts.held_out is None)
    measuring = Measuring(seen, parts.held_out is not None, measures, measure, counting, history.threshold)
    bar = Bar(epochs, order.each, len(history.loss)) if shown else None
    return Run(epochs, steps, state, parts.training, measuring, best, listening, every, bar).go(kept)


def _weights(own: Any, classes: Any, targets: Sequence[Any], parts: Division) -> tuple[Any, Any]:
    """Return how much each sample trained on counts in the loss, and how much each of those measured does."""
    of_all = weights_of(own, None, targets)
    kept = [of_all[k] for k in parts.kept] if of_all is not None and parts.kept is not None else of_all
    weights = weights_of(kept, classes, parts.training[1])
    if parts.held_out is None or of_all is None:
        return weights, kept
    taken = [of_all[k] for k in parts.taken or ()]
    return weights, taken if any(taken) else None
