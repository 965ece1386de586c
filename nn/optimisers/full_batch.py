"""Move all parameters at once by what all samples say, iteration by iteration: what `LBFGS` and its like share."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from chainrule import Var
from chainrule.data import number_within, whole_number
from chainrule.errors import describe, needing

from ..schedules import Schedule
from .optimiser import Memory, Optimiser

Array = Any


class Problem(Protocol):
    """What is to be made small, as a function of all parameters, and where they are.

    Attributes:
        known: what an optimiser computed of it last, to be used again; None where that may not hold any more.
    """

    known: Any

    @property
    def values(self) -> Array:
        """The parameters as they are now."""

    def move(self, values: Array) -> None:
        """Set the parameters."""

    def loss_and_slopes(self) -> tuple[float, Array]:
        """Return the loss where the parameters are, and its derivatives."""

    def errors(self) -> Array:
        """Return the errors whose squares add up to the loss."""

    def errors_and_slopes(self) -> tuple[Array, Array]:
        """Return the errors, and the derivatives of each by all parameters as a row."""


class FullBatch(Optimiser):
    """Take iterations over all samples, each of which finds by itself how far to go.

    `fit` takes one in each epoch, whatever the size of a batch, and ends where `has_converged`. `minimise` does so for
    a function of your own.

    Args:
        parameters: leaf Vars that require gradients.
        weight_decay: how strongly values are drawn to 0: half of it times the square of each parameter is added to the
            loss; a number, or one for each parameter.
        tolerance: it has converged when no derivative is greater, up or down.
    """

    def __init__(self, parameters: Iterable[Var], weight_decay: float | Sequence[float], tolerance: float) -> None:
        super().__init__(parameters, lr=1.0)
        name, count = type(self).__name__, len(self.parameters)
        decays = list(weight_decay) if isinstance(weight_decay, Iterable) else [weight_decay] * count
        if len(decays) != count:
            raise ValueError(f"{name} expected a weight_decay for each of {count} parameters but got {len(decays)}")
        self.decays = [number_within(name, f"weight_decay[{k}]", decay) for k, decay in enumerate(decays)]
        self.tolerance = self._in_range("tolerance", tolerance)
        self.has_converged = False

    @property
    def _np(self) -> Any:
        with needing(f"nn.{type(self).__name__}", "numpy"):
            return importlib.import_module("numpy")

    @property
    def lr(self) -> float:
        """Always 1: how far to go is found in each iteration."""
        return 1.0

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        if lr != 1.0:
            name = type(self).__name__
            raise ValueError(f"{name} expected no learning rate, since it finds lengths, but got {describe('lr', lr)}")

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the value as it is: no parameter is moved by itself."""
        return value, memory

    def step(self) -> None:
        """Refuse to take a step from gradients alone, which do not tell how far to go."""
        name = type(self).__name__
        raise TypeError(f"{name} expected to compute the loss itself, several times a step; call fit, or minimise")

    @abstractmethod
    def iterate(self, problem: Problem) -> float:
        """Take one iteration; return the loss before it, which is not finite where nothing could be done."""

    def minimise(self, function: Callable[[], Any], most: int = 100) -> float:
        """Take iterations until one of them has converged, and return the loss before the last.

        Args:
            function: computes what is to be made small from the parameters: a Var; for `LevenbergMarquardt` a list of
                Vars, whose squares are added up.
            most: how many iterations at most.

        >>> from chainrule.nn import LBFGS
        >>> x, y = Var(-1.0), Var(2.0)
        >>> optimiser = LBFGS([x, y])
        >>> loss = optimiser.minimise(lambda: (1 - x) ** 2 + 100 * (y - x**2) ** 2)
        >>> round(x.value, 6), round(y.value, 6), optimiser.has_converged
        (1.0, 1.0, True)
        """
        problem = _OfFunction(self.parameters, function, self._np)
        loss = 0.0
        for _ in range(whole_number(type(self).__name__, "most", most)):
            loss = self.iterate(problem)
            self.steps += 1
            if self.has_converged:
                break
        return loss

    def _penalty(self, values: Array) -> Array:
        """Return what `weight_decay` adds to the loss, parameter by parameter."""
        return 0.5 * self._np.array(self.decays) * values * values


class _OfFunction:
    """A problem that is a function of Vars, computed as graphs."""

    def __init__(self, parameters: Sequence[Var], function: Callable[[], Any], np: Any) -> None:
        self.parameters, self.function, self.np = parameters, function, np
        self.known: Any = None

    @property
    def values(self) -> Array:
        return self.np.array([parameter.value for parameter in self.parameters])

    def move(self, values: Array) -> None:
        for parameter, value in zip(self.parameters, values.tolist(), strict=True):
            parameter.value = value

    def loss_and_slopes(self) -> tuple[float, Array]:
        loss = self.function()
        if not isinstance(loss, Var):
            raise TypeError(f"minimise expected a function that returns a Var but got {describe('it', loss)}")
        return loss.value, self._slopes(loss)

    def errors(self) -> Array:
        return self.np.array([error.value for error in self._errors()])

    def errors_and_slopes(self) -> tuple[Array, Array]:
        errors = self._errors()
        slopes = [self._slopes(error) for error in errors]
        return self.np.array([error.value for error in errors]), self.np.array(slopes)

    def _errors(self) -> list[Var]:
        errors = self.function()
        if not isinstance(errors, list | tuple) or not all(isinstance(error, Var) for error in errors):
            raise TypeError(
                f"minimise expected a function that returns a list of Vars but got {describe('it', errors)}"
            )
        return list(errors)

    def _slopes(self, of: Var) -> Array:
        for parameter in self.parameters:
            parameter.zero_grad()
        of.backward()
        return self.np.array([parameter.grad for parameter in self.parameters])
