"""Choose how the steps of `fit` are taken: through graphs of Vars, or as machine code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from chainrule.data import Row

from .eager_steps import EagerSteps
from .machine_steps import MachineSteps
from .module import WIDE
from .predicting import repeats

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

    def take(self, batch: Sequence[int]) -> float:
        """Return the loss over the samples at these positions, and keep its gradients."""

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        """Take a step for each batch, and yield its loss; one that is not finite is yielded before its step."""

    def write_back(self) -> None:
        """Update the values and gradients of the parameters."""

    def read_again(self) -> None:
        """Continue from the current values of the parameters."""

    def snapshot(self) -> Any:
        """Return the current values of the parameters, to keep."""

    def go_back(self, values: Any) -> None:
        """Set the parameters to values that `snapshot` returned, or a checkpoint kept."""

    def predict(self, rows: list[Row]) -> Any:
        """Return the predictions for these rows, as plain numbers."""


def choose_steps(compiled: bool | str, eager: EagerSteps, epochs: int) -> tuple[Steps, str]:
    """Return the steps to take and, if they are not compiled, the reason.

    Args:
        compiled: what `fit` was asked for.
        eager: the steps by graphs. A batch, or fewer samples of a large model, is tried in both ways before machine
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
    batch = list(range(min(eager.recipe.size, max(2, _MOST_TRIED // max(1, parameters)))))
    wanted = [eager.take(batch), *(parameter.grad for parameter in eager.optimiser.parameters)]
    eager.optimiser.zero_grad()
    try:
        if not repeats(eager.model, eager.rows[0], parameters):
            raise ValueError(
                "fit(compiled=True) expected a model that gives the same for the same row but got another output in "
                "another call; take compiled=False"
            )
        steps = MachineSteps(eager)
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
