"""Train the model of an estimator: epoch by epoch as scikit-learn counts them, or on all samples at once."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import chainrule
import numpy
import scipy.optimize
import scipy.special
from chainrule import NonFiniteError
from sklearn.exceptions import ConvergenceWarning

from .. import losses
from ..activations import linear
from ..chain import Dense, chain_of
from ..eager_steps import EagerSteps
from ..full_steps import FullSteps
from ..history import History
from ..layers import MLP
from ..losses import Loss
from ..machine_steps import MachineSteps
from ..optimisers import SGD, LevenbergMarquardt, Optimiser
from ..predicting import predicted_array
from ..recipe import Recipe
from ..steps import Steps, choose_steps
from .moves import Penalised
from .objectives import Objective
from .settings import Settings

_LEAST_RATE = 1e-6  # below which an adaptive learning rate is lowered no further


class Samples(NamedTuple):
    """Rows and targets as arrays, and how much each sample counts; None for alike."""

    rows: Any
    targets: Any
    weights: Any

    def total(self, places: Any = slice(None)) -> float:
        """Return the weights of the samples at some places, in all."""
        if self.weights is None:
            return float(len(self.rows[places]))
        return float(self.weights[places].sum())


class Progress:
    """What training leaves for the estimator's attributes, which have the same names; kept for more training."""

    def __init__(self, early_stopping: bool) -> None:
        self.n_iter = self.t = self.since = 0
        self.best_loss = None if early_stopping else math.inf
        self.scores: list[float] | None = [] if early_stopping else None
        self.best_score = -math.inf if early_stopping else None
        self.best_values: Any = None

    def note(self, loss: float, score: float | None, tol: float, values: Callable[[], Any]) -> None:
        """Count the epochs since loss or score were better by `tol`."""
        if self.scores is not None and self.best_score is not None and score is not None:
            self.scores.append(score)
            self.since = self.since + 1 if score < self.best_score + tol else 0
            if score > self.best_score:
                self.best_score, self.best_values = score, values()
        elif self.best_loss is not None:
            self.since = self.since + 1 if loss > self.best_loss - tol else 0
            self.best_loss = min(self.best_loss, loss)


class Solver:
    """Train a model.

    Args:
        settings: the estimator's.
        model: what is trained.
        objective: what is minimised.
        samples: what it is trained on.
        history: where epochs are written down.
        progress: where training stands.
    """

    def __init__(
        self,
        settings: Settings,
        model: MLP,
        objective: Objective,
        samples: Samples,
        history: History,
        progress: Progress,
    ) -> None:
        self.settings, self.model, self.objective, self.samples = settings, model, objective, samples
        self.history, self.progress = history, progress
        self.parameters = model.parameters()
        if settings.every and not history.recorded:
            history.rows, history.targets = samples.rows.tolist(), samples.targets.tolist()
            self._record(0)

    # ---- epochs ----

    def stochastic(
        self, optimiser: Penalised, size: int, source: Any, epochs: int, held_out: Samples | None, score: Any
    ) -> None:
        """Go through all samples again and again, until neither loss nor score get better.

        Args:
            optimiser: what moves the parameters.
            size: how many samples a step takes.
            source: NumPy's random source, which shuffles.
            epochs: how often at most.
            held_out: samples by which training is stopped; None for the loss.
            score: a function of scores, targets and weights; the higher the better.
        """
        settings, progress, samples = self.settings, self.progress, self.samples
        steps = self._steps(self.objective.loss, optimiser, size, epochs)
        order, done = numpy.arange(len(samples.rows)), len(self.history.loss)
        progress.n_iter, self.history.stopped = 0, "epochs"
        try:
            for epoch in range(1, epochs + 1):
                start = time.perf_counter()
                if settings.shuffle:
                    places = numpy.arange(len(order))
                    source.shuffle(places)  # as scikit-learn's shuffle does
                    order = order[places]
                self.history.learning_rate.append(optimiser.lr)
                loss = self._epoch(steps, optimiser, [order[k : k + size] for k in range(0, len(order), size)])
                progress.n_iter = epoch
                progress.t += len(order)
                self.history.loss.append(loss)
                if settings.verbose:
                    print(f"Iteration {epoch}, loss = {loss:.8f}")
                found = None if held_out is None else self._validate(steps, held_out, score)
                progress.note(loss, found, settings.tol, steps.snapshot)
                self.history.seconds.append(time.perf_counter() - start)
                if settings.every and (done + epoch) % settings.every == 0:
                    steps.write_back()
                    self._record(done + epoch)
                if settings.solver == "sgd" and settings.learning_rate == "invscaling":
                    optimiser.lr = settings.learning_rate_init / (progress.t + 1) ** settings.power_t
                if progress.since > settings.n_iter_no_change:
                    if self._stops(optimiser):
                        self.history.stopped = "patience"
                        break
                    progress.since = 0
                if epoch == settings.max_iter:
                    self._warn(f"the loss still fell in the last of max_iter={epoch} epochs; raise max_iter")
        except KeyboardInterrupt:
            self.history.stopped = "interrupt"
            warnings.warn(f"{settings.kind}: training was interrupted after {progress.n_iter} epochs", stacklevel=6)
        finally:
            steps.write_back()
        if progress.best_values is not None:
            self._assign(progress.best_values)

    def _epoch(self, steps: Steps, optimiser: Penalised, batches: Sequence[Any]) -> float:
        """Take a step for each batch; return the loss with the penalty, each batch's before its step."""
        before, found = _penalties(steps, optimiser), list[float]()
        optimiser.expect((len(batch), self.samples.total(batch)) for batch in batches)
        for value in steps.run(batches):
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"{self.settings.kind} expected a finite loss but got {value!r} in epoch "
                    f"{len(self.history.loss) + 1}; scale the data, or lower learning_rate_init"
                )
            found.append(value)
        self.history.batch_loss += [value / self.objective.divisor for value in found]
        counts = [len(batch) for batch in batches]
        all_losses = math.fsum(value * count for value, count in zip(found, counts, strict=True))
        return (all_losses / self.objective.divisor + _penalties(steps, optimiser) - before) / sum(counts)

    def _validate(self, steps: Steps, held_out: Samples, score: Any) -> float:
        found = numpy.array(steps.predict(held_out.rows))
        self.history.validation_loss.append(self.objective.measured(found, held_out.targets, held_out.weights))
        is_finite = bool(numpy.isfinite(found).all())
        result = float(score(found, held_out.targets, held_out.weights)) if is_finite else math.nan
        if self.settings.verbose:
            print(f"Validation score: {result:f}")
        return result

    def _stops(self, optimiser: Penalised) -> bool:
        """Return whether training ends where nothing gets better; an adaptive learning rate falls first."""
        settings = self.settings
        what = "Training loss" if self.progress.scores is None else "Validation score"
        text = f"{what} did not improve more than tol={settings.tol:f} for {settings.n_iter_no_change} epochs."
        adaptive = settings.solver == "sgd" and settings.learning_rate == "adaptive"
        stops = not adaptive or optimiser.lr <= _LEAST_RATE
        if not stops:
            optimiser.lr = optimiser.lr / 5.0
        if settings.verbose:
            print(text, "Stopping." if stops else f"Setting learning rate to {optimiser.lr:f}")
        return stops

    # ---- all samples at once ----

    def lbfgs(self) -> None:
        """Minimise by L-BFGS-B of SciPy, which scikit-learn takes, too, so that `tol` and `max_fun` mean the same."""
        settings = self.settings
        everything = range(len(self.samples.rows))
        steps = self._steps(self.objective.loss, SGD(self.parameters), len(everything), settings.max_iter)
        decays = numpy.array(self._decays())

        def value_and_gradient(values: Any) -> tuple[float, Any]:
            steps.go_back(values.tolist())
            loss = steps.take(everything)
            steps.write_back()
            gradient = numpy.array([each.grad for each in self.parameters]) + decays * values
            return loss + 0.5 * float(decays @ (values * values)), gradient

        def note(intermediate_result: Any) -> None:
            penalty = 0.5 * float(decays @ intermediate_result.x**2)
            self._note((float(intermediate_result.fun) - penalty) / self.objective.divisor + penalty)

        start = numpy.array([each.value for each in self.parameters])
        options = {"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol}
        found = scipy.optimize.minimize(
            value_and_gradient, start, jac=True, method="L-BFGS-B", options=options, callback=note
        )
        self._assign(found.x)
        self.progress.n_iter = min(int(found.nit), settings.max_iter)
        if not math.isfinite(found.fun):
            raise NonFiniteError(f"{settings.kind} expected a finite loss but got {found.fun!r}; scale the data")
        self.history.stopped = "epochs" if found.status == 1 else "converged"
        if found.status == 1:
            self._warn(f"lbfgs stopped after {found.nit} iterations (max_iter) or {found.nfev} losses (max_fun)")

    def least_squares(self) -> None:
        """Minimise squared errors by `LevenbergMarquardt`, whose loss is twice ours over the outputs."""
        settings, half = self.settings, 0.5 * self.objective.outputs
        everything, decays = range(len(self.samples.rows)), self._decays()
        optimiser = LevenbergMarquardt(
            self.parameters, weight_decay=[decay / half for decay in decays], tolerance=settings.tol / half
        )
        steps = self._steps(losses.mse, optimiser, len(everything), settings.max_iter)
        recipe = self._recipe(losses.mse, optimiser, len(everything))
        full = FullSteps(steps, self.model, recipe, optimiser, (self.samples.rows, self.samples.targets))
        for iteration in range(1, settings.max_iter + 1):
            pairs = zip(decays, self.parameters, strict=True)
            penalty = 0.5 * math.fsum(decay * each.value**2 for decay, each in pairs)
            (loss,) = full.run([everything])
            full.write_back()
            if not math.isfinite(loss):
                raise NonFiniteError(f"{settings.kind} expected a finite loss but got {loss!r}; scale the data")
            self._note(0.5 * loss + penalty)
            self.progress.n_iter = iteration
            if optimiser.has_converged:
                break
        self.history.stopped = "converged" if optimiser.has_converged else "epochs"
        if not optimiser.has_converged:
            self._warn(f"the loss still fell in the last of max_iter={settings.max_iter} iterations; raise max_iter")

    def _note(self, loss: float) -> None:
        """Write down an iteration."""
        self.history.loss.append(loss)
        self.history.learning_rate.append(1.0)
        count = len(self.history.loss)
        if self.settings.verbose:
            print(f"Iteration {count}, loss = {loss:.8f}")
        if self.settings.every and count % self.settings.every == 0:
            self._record(count)

    def _decays(self) -> list[float]:
        """Return for each parameter what the penalty's derivative is a multiple of, over all samples."""
        penalised = set(map(id, weights_of(self.model)))
        share = self.settings.alpha / self.samples.total()
        return [share if id(each) in penalised else 0.0 for each in self.parameters]

    # ---- both ----

    def loss(self) -> float:
        """Return the loss of the model as it is over all samples, with the penalty where there is one."""
        scores = scores_of(self.model, self.samples.rows, self.history.compiled)
        loss = self.objective.measured(scores, self.samples.targets, self.samples.weights)
        if self.settings.solver == "adamw":
            return loss
        squares = math.fsum(weight.value**2 for weight in weights_of(self.model))
        return loss + 0.5 * self.settings.alpha * squares / self.samples.total()

    def _recipe(self, loss: Loss, optimiser: Optimiser, size: int) -> Recipe:
        weights = self.samples.weights
        return Recipe(loss, optimiser, size, None if weights is None else weights.tolist())

    def _steps(self, loss: Loss, optimiser: Optimiser, size: int, epochs: int) -> Steps:
        rows, targets, _ = self.samples
        recipe = self._recipe(loss, optimiser, size)
        steps, reason = choose_steps("auto", EagerSteps(self.model, recipe, rows.tolist(), targets.tolist()), epochs)
        self.history.reason, self.history.compiled = reason, not reason
        return steps

    def _assign(self, values: Iterable[Any]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.value = float(value)

    def _record(self, epoch: int) -> None:
        self.history.recorded.append(epoch)
        self.history.parameters.append(self.model.state_dict())
        if epoch:
            self.history.gradients.append({name: each.grad for name, each in self.model.named_parameters()})

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.settings.kind} has not converged: {text}", ConvergenceWarning, stacklevel=7)


def _penalties(steps: Steps, optimiser: Penalised) -> float:
    """Return the penalties of all steps so far, which machine code has without writing them back."""
    if isinstance(steps, MachineSteps) and not steps.reason and not optimiser.apart:
        return float(steps.memories[1].sum())
    return optimiser.total()


_ON_ARRAYS: dict[Any, Callable[[Any], Any]] = {
    linear: lambda x: x,
    chainrule.relu: lambda x: numpy.maximum(x, 0.0),
    chainrule.tanh: numpy.tanh,
    chainrule.sigmoid: scipy.special.expit,
}


def scores_of(model: MLP, rows: Any, compiled: bool) -> Any:
    """Return the output for each row: by products of arrays where scikit-learn has the activations, too.

    Others go through machine code, also few rows where the model was `compiled` for training.
    """
    layers = chain_of(model, "predict")
    if any(not isinstance(layer, Dense) or layer.activation not in _ON_ARRAYS for layer in layers):
        found = predicted_array(model, rows, at_once=compiled)
        return numpy.asarray(model.predict(rows)) if found is None else found
    with numpy.errstate(all="ignore"):
        for layer in layers:
            if isinstance(layer, Dense):
                rows = _ON_ARRAYS[layer.activation](rows @ numpy.array(layer.weights).T + layer.biases)
    return rows[:, 0] if rows.shape[1] == 1 else rows


def weights_of(model: MLP) -> Iterator[Any]:
    """Yield the weights of a network, without its biases."""
    return (weight for layer in model.layers for neuron in layer.neurons for weight in neuron.weights)
