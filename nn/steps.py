"""Take the steps of `fit` in one of two ways: through graphs of Vars, or as machine code."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any, Protocol, final

import chainrule
from chainrule import TraceError, Var
from chainrule.data import Row
from chainrule.errors import describe, needing

from .module import WIDE, Module
from .optimisers import Optimiser

Loss = Callable[[Any, Any], Any]

# Sums in another order differ by rounding; what this module guards against differs by far more.
_AGREEMENT = 1e-9
_ROUNDING = 1e-12  # of numbers about the size of the data: where a model fits them, gradients are nothing else

# Making machine code takes a parameter about as long as graphs take it for so many samples, and a tenth of a second.
_SAMPLES_TO_COMPILE = 2_000
_SAMPLES_TO_COMPILE_WIDE = 500  # where layers are loops
_LEAST_WORK = 100_000  # parameters times samples
_MOST_TRIED = 1_000_000  # parameters times samples that are tried in both ways


class Steps(Protocol):
    """Compute gradients over some samples, and move the parameters by them."""

    def take(self, batch: list[int]) -> float:
        """Return the loss over the samples at these positions; `move` uses its gradients."""

    def move(self) -> None:
        """Take one step of the optimiser."""

    def write_back(self) -> None:
        """Update the values and gradients of the parameters."""

    def read_again(self) -> None:
        """Continue from the current values of the parameters."""

    def predict(self, rows: list[Row]) -> Any:
        """Return the predictions for these rows, as plain numbers."""


@final
class EagerSteps:
    """Build the graph of each batch, as a loop written by hand would."""

    def __init__(self, model: Module, loss: Loss, optimiser: Optimiser, rows: list[Row], targets: list[Any]) -> None:
        self.model, self.loss, self.optimiser = model, loss, optimiser
        self.rows, self.targets = rows, targets

    def take(self, batch: list[int]) -> float:
        result = self.loss([self.model(self.rows[k]) for k in batch], [self.targets[k] for k in batch])
        if not isinstance(result, Var):
            raise TypeError(
                f"fit expected model and loss to give one Var but got {describe('loss', result)}; compute both from "
                "the parameters, with chainrule's functions"
            )
        self.optimiser.zero_grad()
        result.backward()
        return float(result.value)

    def move(self) -> None:
        self.optimiser.step()

    def write_back(self) -> None:
        """Nothing to do: the parameters are the only state."""

    def read_again(self) -> None:
        """Nothing to do, for the same reason."""

    def predict(self, rows: list[Row]) -> Any:
        return self.model.predict(rows)


@final
class CompiledSteps:
    """Run gradients and updates as compiled functions over arrays; write them back to the parameters on demand."""

    def __init__(self, eager: EagerSteps) -> None:
        with needing("fit(compiled=True)", "numpy"):
            self.array: Any = importlib.import_module("numpy").array
        self.eager = eager
        self.model, self.loss, self.optimiser = eager.model, eager.loss, eager.optimiser
        own = list(map(id, self.model.parameters()))
        self.moves_all = own == list(map(id, self.optimiser.parameters))
        self.rows, self.targets = self.array(eager.rows, dtype=float), self.array(eager.targets, dtype=float)
        self.values: Any = None
        self.read_again()
        self.gradients: Any = self.values
        self.memories = self._columns()
        self.gradient = chainrule.compile(
            chainrule.value_and_grad(self._loss_of_one), batch=("x", "target"), reduce="mean"
        )
        self.output = chainrule.compile(self._output_of_one, batch="x")
        self.update: Any = chainrule.compile(self._updated, batch=("value", "grad", "memory"))

    def _with(self, values: Any) -> Module:
        """Return the model with these values for the parameters of the optimiser."""
        if self.moves_all:
            return self.model.with_parameters(values)
        moving = {id(p): value for p, value in zip(self.optimiser.parameters, values, strict=True)}
        return self.model.with_parameters([moving.get(id(p), p) for p in self.model.parameters()])

    def _loss_of_one(self, values: Any, x: Any, target: Any) -> Any:
        return self.loss([self._with(values)(x)], [target])

    def _output_of_one(self, values: Any, x: Any) -> Any:
        return self._with(values)(x)

    def _updated(self, value: Any, grad: Any, memory: Any, lr: Any) -> Any:
        return self.optimiser.update(value, grad, memory, lr)

    def _columns(self) -> tuple[Any, ...]:
        """Return the optimiser's memory as arrays over the parameters."""
        return tuple(self.array(column) for column in zip(*self.optimiser.memories, strict=True))

    def take(self, batch: list[int]) -> float:
        with chainrule.no_grad():  # Vars that the loss closes over are numbers here
            value, self.gradients = self.gradient(self.values, self.rows[batch], self.targets[batch])
        if math.isfinite(value):
            return float(value)
        # The graph may tell what was wrong: a class that has no score, say.
        self.write_back()
        return self.eager.take(batch)

    def move(self) -> None:
        optimiser = self.optimiser
        if self.update is not None:
            try:
                self.values, self.memories = self.update(self.values, self.gradients, self.memories, optimiser.lr)
            except TraceError:
                # An update with branches of its own runs as it is written.
                self.update = None
            else:
                optimiser.steps += 1
                return
        self.write_back()
        optimiser.step()
        self.read_again()
        self.memories = self._columns()

    def write_back(self) -> None:
        columns = [memory.tolist() for memory in self.memories]
        if columns:
            self.optimiser.memories = list(zip(*columns, strict=True))
        for parameter, value, gradient in zip(
            self.optimiser.parameters, self.values.tolist(), self.gradients.tolist(), strict=True
        ):
            parameter.value, parameter.grad = value, gradient

    def read_again(self) -> None:
        self.values = self.array([parameter.value for parameter in self.optimiser.parameters])

    def predict(self, rows: list[Row]) -> Any:
        with chainrule.no_grad():
            outputs = self.output(self.values, self.array(rows, dtype=float))
        if isinstance(outputs, list | tuple):
            # One array for each output, as the model returns a list.
            return [list(row) for row in zip(*(output.tolist() for output in outputs), strict=True)]
        return outputs.tolist()


def choose_steps(compiled: bool | str, eager: EagerSteps, size: int, epochs: int) -> tuple[Steps, str]:
    """Return the steps to take and, if they are not compiled, the reason.

    Args:
        compiled: what `fit` was asked for.
        eager: the steps by graphs.
        size: how many samples a batch has; as many, or fewer of a large model, are tried in both ways before machine
            code is trusted.
        epochs: how often all samples are gone through.

    Errors: those of the model and of the loss; where `compiled` is True, those of `compile` and `ValueError` for a loss
    that machine code cannot take a mean of.
    """
    if compiled is False or epochs == 0:
        return eager, "compiled=False" if epochs else "no epochs"
    parameters, samples = len(eager.optimiser.parameters), len(eager.rows) * epochs
    least = _SAMPLES_TO_COMPILE_WIDE if parameters >= WIDE else _SAMPLES_TO_COMPILE
    if compiled == "auto" and parameters * (samples - least) < _LEAST_WORK:
        return eager, f"graphs are done sooner: {parameters:,} parameters, {samples:,} samples in all epochs"
    batch = list(range(min(size, max(2, _MOST_TRIED // max(1, parameters)))))
    wanted = [eager.take(batch), *(parameter.grad for parameter in eager.optimiser.parameters)]
    eager.optimiser.zero_grad()
    try:
        steps = CompiledSteps(eager)
        found = [steps.take(batch), *steps.gradients.tolist()]
        size_of_data = max(1.0, abs(steps.rows).max(), abs(steps.targets).max())
        _check_agreement(found, wanted, _AGREEMENT * max(map(abs, wanted)) + _ROUNDING * size_of_data)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RuntimeError, ImportError) as error:
        # Whatever a model does that graphs can follow and a trace cannot.
        if compiled is True:
            raise
        return eager, f"{type(error).__name__}: {error}"
    return steps, ""


def _check_agreement(found: list[float], wanted: list[float], tolerance: float) -> None:
    """Compare a loss and its gradients with those of the graph."""
    # One that is nan on both sides is no disagreement: fit reports it.
    if any(abs(a - b) > tolerance for a, b in zip(found, wanted, strict=True)):
        raise ValueError(
            "fit(compiled=True) expected a loss that is the mean over samples and depends on parameters through "
            f"predictions alone, but over the first samples the compiled loss is {found[0]:.6g} and that of the graph "
            f"{wanted[0]:.6g}, or their gradients differ; take compiled=False, or the weight_decay of an optimiser "
            "for a penalty"
        )
