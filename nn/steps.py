"""Choose how the steps of `fit` are taken: through graphs of Vars, or as machine code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from chainrule.data import Row

from .eager_steps import EagerSteps
from .machine_steps import UNTRACED, MachineSteps
from .module import WIDE

# Making machine code takes a parameter about as long as graphs take it for so many samples, and a tenth of a second.
_SAMPLES_TO_COMPILE = 2_000
_SAMPLES_TO_COMPILE_WIDE = 300  # where layers are loops
_LEAST_WORK = 15_000  # parameters times samples beyond those


class Steps(Protocol):
    """Compute gradients over some samples, and move the parameters by them."""

    @property
    def reason(self) -> str:
        """Why steps are taken through graphs after all, where a model that was changed cannot be compiled any more."""

    def take(self, batch: Sequence[int]) -> float:
        """Return the loss over the samples at these positions, and keep its gradients."""

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        """Take a step for each batch, and yield its loss; one that is not finite is yielded before its step."""

    def write_back(self) -> None:
        """Update the values and gradients of the parameters."""

    def read_again(self) -> None:
        """Continue from parameters, optimiser and model as they are now, whatever a callback changed there."""

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
        eager: the steps by graphs, which machine code is tried against.
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
    try:
        return MachineSteps(eager, must=compiled is True), ""
    except UNTRACED as error:
        if compiled is True:
            raise
        return eager, f"{type(error).__name__}: {error}"
