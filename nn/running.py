"""Run a training: epoch after epoch of steps, measurements and callbacks, until something ends it."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule import NonFiniteError
from chainrule.data import plain

from .callbacks import Callback, Training, remembering
from .checkpoints import write
from .data import Batches, Samples
from .evaluating import loss_of, many, measured
from .history import History
from .interrupts import Interrupt
from .losses import Loss
from .metrics import Metric
from .module import Module
from .patience import Best
from .progress import Bar
from .resuming import State
from .steps import Steps

_GROWTH = 1e6  # times the first loss, from which on it is warned of
_FIRST = 10  # steps whose losses tell the first value, by their median, where a batch is not of all samples
_LEAST_LOSS = 1e-6  # a first loss below it counts as this
_LARGE = 100.0  # data that reach beyond it are better scaled


@dataclasses.dataclass(frozen=True)
class Measuring:
    """What is measured after each epoch.

    Attributes:
        samples: those that predictions are made for.
        is_held_out: whether they are others than those trained on.
        metrics, loss: what is computed of them.
        weights: how much each counts; None for alike.
        threshold: between two classes.
    """

    samples: Samples
    is_held_out: bool
    metrics: Mapping[str, Metric]
    loss: Loss
    weights: Sequence[float] | None
    threshold: float | None

    @functools.cached_property
    def arrays(self) -> Samples:
        """The samples, as arrays where they are many."""
        rows, targets = self.samples
        return many(rows), many(targets)

    def of(self, model: Module, steps: Steps) -> tuple[list[float], dict[str, float]]:
        """Return the loss over held-out samples, in a list that is empty where there are none, and the metrics."""
        if not self.is_held_out and not self.metrics:
            return [], {}
        rows, targets = self.arrays
        if rows is self.samples[0]:
            predictions = steps.predict(rows)
        else:
            steps.write_back()
            predictions = model.predict(rows)
        try:
            loss = [loss_of(self.loss, predictions, targets, self.weights)] if self.is_held_out else []
            return loss, measured(self.metrics, targets, predictions, self.weights, self.threshold)
        except (ValueError, ArithmeticError) as error:
            found = [item if isinstance(item, list) else [item] for item in plain(predictions)]
            if all(math.isfinite(number) for row in found for number in row):
                raise
            raise NonFiniteError(f"fit expected finite predictions but got others after a step: {error}") from error


class Run:
    """Go through epochs, and end well whatever ends them.

    Args:
        epochs: how many there are to be.
        steps: that move the parameters.
        state: what a checkpoint keeps.
        samples: those trained on.
        measuring: what is measured after an epoch.
        best: the best epoch so far.
        callbacks: those that listen, in order.
        every: after how many epochs parameters are recorded; 0 for never.
        bar: shows how far it is; None for no bar.
    """

    def __init__(
        self,
        epochs: int,
        steps: Steps,
        state: State,
        samples: Samples,
        measuring: Measuring,
        best: Best,
        callbacks: list[Callback],
        every: int,
        bar: Bar | None,
    ) -> None:
        history, self.optimiser = state.history, state.recipe.optimiser
        self.training = Training(history.model, self.optimiser, history, epochs, self._keep)
        self.steps, self.state, self.samples, self.history = steps, state, samples, history
        self.measuring, self.best, self.callbacks, self.every, self.bar = measuring, best, callbacks, every, bar
        self.of_batches = [each for each in callbacks if type(each).on_batch is not Callback.on_batch]
        self.interrupt = Interrupt()
        self.unheard = self.optimiser.steps - len(history.batch_loss)  # steps that an optimiser took elsewhere
        self.has_warned = False
        self.is_between = True  # two epochs

    def go(self, kept: Mapping[str, Any] | None) -> History:
        """Train, from the beginning or from what a checkpoint kept, and return the history."""
        history = self.history
        try:
            with self.interrupt:
                self._start(kept)
                while not history.stopped and self.training.epoch < self.training.epochs:
                    self._epoch()
                history.stopped = history.stopped or "epochs"
        except KeyboardInterrupt:
            history.stopped = "interrupt"
        except NonFiniteError as error:
            history.stopped = "not finite"
            error.history = history
            self.best.rescue(self._current_loss)
            self._call("on_end")
            raise
        finally:
            if self.bar is not None:
                self.bar.close()
        if self.best.patience is not None:
            self.best.restore(self._current_loss)
        self.steps.write_back()
        if self.steps.reason:
            history.compiled, history.reason = False, self.steps.reason
        self._call("on_end")
        return history

    def _start(self, kept: Mapping[str, Any] | None) -> None:
        if self.every and not self.history.recorded:
            self._record(0)
        ended = self._call("on_start")
        if kept is not None:
            self.best.set_state(kept["best"])
            for each, (_, state) in zip(remembering(self.callbacks), kept["callbacks"], strict=True):
                if state is not None:
                    each.set_state(state)
        if self.callbacks:
            self.steps.read_again()
        if self.best.is_over:
            self.history.stopped = "patience"
        elif kept is not None and self.optimiser.has_converged:
            self.history.stopped = "converged"
        elif ended:
            self.history.stopped = "callback"

    def _epoch(self) -> None:
        history, start, rate = self.history, time.perf_counter(), self.optimiser.lr
        portions, first = self.state.order.epoch(), len(history.batch_loss)
        self.best.before()
        self.is_between = False
        self._go_through(portions)
        losses = history.batch_loss[first:]
        held_out, metrics = self.measuring.of(history.model, self.steps)
        # All at once, so that an epoch that is broken off is not there at all.
        history.loss.append(self._mean(losses, portions[: len(losses)]))
        history.learning_rate.append(rate)
        history.validation_loss += held_out
        for name, value in metrics.items():
            history.metrics[name].append(value)
        self.best.after(history.watched()[-1])
        self.optimiser.measure(history.watched()[-1])
        epoch = self.training.epoch
        is_recorded = bool(self.every) and epoch % self.every == 0
        if self.callbacks or is_recorded:
            self.steps.write_back()
        if is_recorded:
            self._record(epoch)
        history.seconds.append(time.perf_counter() - start)
        self.is_between = True
        self._warn(losses)
        if self.optimiser.has_converged:
            history.stopped = "converged"
        if self.best.is_over:
            history.stopped = "patience"
        if self.callbacks:
            for each in self.callbacks:  # those that write checkpoints come last, and ask why training ended
                if each.on_epoch(self.training):
                    history.stopped = history.stopped or "callback"
            self.steps.read_again()
        if self.interrupt.asked:
            raise KeyboardInterrupt

    def _go_through(self, portions: Sequence[Sequence[int]]) -> None:
        """Take one step for each batch of an epoch."""
        start = len(self.history.batch_loss)
        if not self.of_batches:
            self._take(portions, start)
            return
        for portion in portions:
            self._take([portion], start)
            self.steps.write_back()
            if self._call("on_batch", self.of_batches):
                self.history.stopped = "callback"
            self.steps.read_again()
            if self.history.stopped:
                return

    def _take(self, portions: Sequence[Sequence[int]], start: int) -> None:
        """Take steps and note their losses; the parameters are up to date if that is broken off."""
        history = self.history
        try:
            for value in self.steps.run(portions):
                if not math.isfinite(value):
                    raise NonFiniteError(
                        f"fit expected a finite loss but got {value!r} in epoch {self.training.epoch + 1}, batch "
                        f"{len(history.batch_loss) - start + 1}; lower the learning rate{self._scaling()}, or find "
                        "the operation by training inside chainrule.strict()"
                    )
                if self.interrupt.asked:
                    self._answer()
                history.batch_loss.append(value)
                if self.bar is not None:
                    self.bar.show(len(history.batch_loss), value, self.training.epoch)
                if self.interrupt.asked:
                    self._answer()
        except (Exception, KeyboardInterrupt):
            self.steps.write_back()
            raise

    def _answer(self) -> None:
        """Raise `KeyboardInterrupt`, which was asked for, if the losses of all steps taken are noted."""
        if self.optimiser.steps - self.unheard == len(self.history.batch_loss):
            raise KeyboardInterrupt

    def _mean(self, losses: list[float], portions: Sequence[Sequence[int]]) -> float:
        weights = self.state.recipe.weights
        counts = [len(p) if weights is None else sum(weights[k] for k in p) for p in portions]
        total = sum(counts)
        return sum(value * (count / total) for value, count in zip(losses, counts, strict=True)) if total else 0.0

    def _current_loss(self) -> float:
        """Return the training loss at the current values of the parameters."""
        order = self.state.order
        portions = Batches(order.count, order.size, None).once()
        try:
            return self._mean([self.steps.take(portion) for portion in portions], portions)
        except (ValueError, ArithmeticError):
            return math.inf  # a step too far, such as to probabilities that are nan

    def _record(self, epoch: int) -> None:
        history = self.history
        history.recorded.append(epoch)
        history.parameters.append(history.model.state_dict())
        if epoch:
            history.gradients.append({name: parameter.grad for name, parameter in history.model.named_parameters()})

    def _call(self, moment: str, callbacks: Sequence[Callback] | None = None) -> bool:
        """Call this method of every callback; return whether one of them wants to end the training."""
        enough = False
        for each in self.callbacks if callbacks is None else callbacks:
            if getattr(each, moment)(self.training):
                enough = True
        return enough

    def _keep(self, path: Any) -> None:
        if not self.is_between:
            raise ValueError("save expected to be called after an epoch but got called in the midst of one")
        states = [[type(each).__name__, each.state()] for each in remembering(self.callbacks)]
        write(path, {**self.state.kept(), "best": self.best.state(), "callbacks": states})

    def _warn(self, losses: list[float]) -> None:
        """Warn, once, of a loss that has grown very much; that of a few samples may be next to 0 at first by chance."""
        order = self.state.order
        count = 1 if order.size == order.count else _FIRST
        seen = self.history.batch_loss[:count]
        if self.has_warned or len(seen) < count:
            return
        first, greatest = sorted(seen)[(count - 1) // 2], max(losses)
        if greatest > _GROWTH * max(abs(first), _LEAST_LOSS):
            self.has_warned = True
            warnings.warn(
                f"the loss grew from {first:.3g} to {greatest:.3g} in epoch {self.training.epoch}: the training "
                f"diverges; lower the learning rate{self._scaling()}",
                RuntimeWarning,
                stacklevel=5,
            )

    def _scaling(self) -> str:
        """Advise to scale data that are large."""
        found = []
        for name, part in zip("Xy", self.samples, strict=True):
            reach = max((abs(n) for item in part for n in (item if isinstance(item, list) else [item])), default=0.0)
            if reach > _LARGE:
                found.append(f"{name} reaches {float(reach):.3g}")
        return f" or scale the data ({', '.join(found)}), as by (x - mean) / deviation" if found else ""
