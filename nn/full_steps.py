"""Take the steps of `fit` with an optimiser that asks for the loss of all samples several times: `FullBatch`."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, final

import chainrule
from chainrule import Var
from chainrule.data import Row
from chainrule.errors import describe, needing

from .architecture import architecture
from .data import Samples
from .losses import mse
from .machine_steps import MachineSteps
from .module import Module
from .optimisers import FullBatch, LevenbergMarquardt
from .recipe import Recipe
from .steps import Steps

Array = Any


@final
class FullSteps:
    """Run one iteration of an optimiser for each batch, which is all samples, as other steps compute their loss.

    Args:
        steps: through graphs or as machine code; the parameters are theirs.
        model, recipe, optimiser: what is trained, and how; `check_full` says whether the optimiser can do that.
        samples: rows and targets.
    """

    def __init__(self, steps: Steps, model: Module, recipe: Recipe, optimiser: FullBatch, samples: Samples) -> None:
        with needing(f"nn.{type(optimiser).__name__}", "numpy"):
            self.np: Any = importlib.import_module("numpy")
        self.steps, self.model, self.recipe, self.optimiser = steps, model, recipe, optimiser
        self.rows, self.targets = samples
        self.everything = range(len(self.rows))
        self.known: Any = None  # to the optimiser
        self._compile()

    @property
    def is_compiled(self) -> bool:
        """Whether errors come from machine code."""
        return isinstance(self.steps, MachineSteps) and not self.steps.reason

    def _compile(self) -> None:
        """Compile errors and their derivatives, which happens when they are first asked for."""
        options: dict[str, Any] = {"batch": ("x", "target", "share"), "threads": self.recipe.threads}
        self.compiled_errors = chainrule.compile(self._errors_of, **options)
        self.compiled_slopes = chainrule.compile(chainrule.jacobian(self._errors_of), **options)
        self.key = self._key()

    def _key(self) -> Any:
        return architecture(self.model, set(map(id, self.optimiser.parameters)))[0]

    @property
    def reason(self) -> str:
        """Why the other steps are taken through graphs after all."""
        return self.steps.reason

    # ---- what an optimiser asks for ----

    @property
    def values(self) -> Array:
        """The values of the optimiser's parameters."""
        return self.np.array(self.steps.snapshot())

    def move(self, values: Array) -> None:
        """Set the parameters."""
        self.steps.go_back(values.tolist())

    def loss_and_slopes(self) -> tuple[float, Array]:
        """Return the loss, and its derivatives."""
        loss = self.steps.take(self.everything)
        self.steps.write_back()
        return loss, self.np.array([parameter.grad for parameter in self.optimiser.parameters])

    def errors(self) -> Array:
        """Return the errors, each with the root of its share in the loss."""
        if not self.is_compiled:
            return self.np.array([error.value for error in self._recorded()])
        with chainrule.no_grad():
            return self.np.column_stack(self.compiled_errors(self.values, *self._columns)).ravel()

    def errors_and_slopes(self) -> tuple[Array, Array]:
        """Return the errors, and the derivatives of each as a row."""
        if self.is_compiled:
            with chainrule.no_grad():
                slopes = self.compiled_slopes(self.values, *self._columns)
            return self.errors(), self.np.stack(slopes, axis=1).reshape(-1, len(self.optimiser.parameters))
        errors, slopes = self._recorded(), []
        for error in errors:
            self.optimiser.zero_grad()
            error.backward()
            slopes.append([parameter.grad for parameter in self.optimiser.parameters])
        return self.np.array([error.value for error in errors]), self.np.array(slopes)

    def _errors_of(self, values: Any, x: Any, target: Any, share: Any) -> list[Any]:
        moving = dict(zip(map(id, self.optimiser.parameters), values, strict=True))
        model = self.model.with_parameters([moving.get(id(p), p) for p in self.model.parameters()])
        return _errors(model(x), target, share)

    @functools.cached_property
    def _columns(self) -> tuple[Array, Array, Array]:
        """Rows, targets and roots of shares, as arrays."""
        rows, targets = [self.np.array(part, dtype=float) for part in (self.rows, self.targets)]
        return rows, targets, self.np.sqrt(self.recipe.shares(self.everything))

    def _recorded(self) -> list[Var]:
        samples = zip(self.rows, self.targets, self.recipe.shares(self.everything), strict=True)
        return [error for x, target, s in samples for error in _errors(self.model(x), target, math.sqrt(s))]

    # ---- what is called ----

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        """Take an iteration for each batch, and yield the loss before it."""
        for _ in batches:
            loss = self.optimiser.iterate(self)
            self.optimiser.steps += int(math.isfinite(loss))
            yield loss

    def take(self, batch: Sequence[int]) -> float:
        """Return the loss over the samples at these positions, and keep its gradients."""
        return self.steps.take(batch)

    def write_back(self) -> None:
        """Update the values and gradients of the parameters."""
        self.steps.write_back()

    def read_again(self) -> None:
        """Continue from parameters and model as they are now, whatever a callback changed there."""
        self.steps.read_again()
        self.known = None
        if self._key() != self.key:
            self._compile()

    def snapshot(self) -> Any:
        """Return the current values of the parameters, to keep."""
        return self.steps.snapshot()

    def go_back(self, values: Any) -> None:
        """Set the parameters to values that `snapshot` returned, or a checkpoint kept."""
        self.steps.go_back(values)

    def predict(self, rows: list[Row]) -> Any:
        """Return the predictions for these rows, as plain numbers."""
        return self.steps.predict(rows)


def check_full(recipe: Recipe, optimiser: FullBatch) -> None:
    """Refuse what such an optimiser cannot minimise.

    Errors: `ValueError`.
    """
    name = type(optimiser).__name__
    if recipe.l1 or recipe.clip_value is not None or recipe.clip_norm is not None:
        raise ValueError(f"fit expected no l1 and no clipping with {name}, which minimises the loss as it is")
    if recipe.draws:
        raise ValueError(f"fit expected no Dropout with {name}, whose losses would be another at every look")
    if isinstance(optimiser, LevenbergMarquardt) and recipe.loss is not mse:
        raise ValueError(f"fit expected the loss 'mse' with {name} but got {describe('loss', recipe.loss)}")


def _errors(output: Any, target: Any, share: Any) -> list[Any]:
    """Return the errors of one sample, whose squares are its share of the mean."""
    outputs, targets = [list(part) if _is_row(part) else [part] for part in (output, target)]
    scale = share / math.sqrt(len(outputs))
    return [(found - wanted) * scale for found, wanted in zip(outputs, targets, strict=True)]


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple) or bool(getattr(value, "shape", ()))
