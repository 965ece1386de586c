"""Move parameters against their gradients: make an optimiser for `model.parameters()` and call `step()`.

An optimiser is one scalar rule, `update`, from a parameter's value, gradient and memory, and from numbers that are the
same for all parameters in a step, to the new value and memory. To write your own, derive from `Optimiser` and define
that rule; numbers besides the learning rate are what `scalars` returns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from chainrule import Var
from chainrule.data import number_within
from chainrule.errors import describe

from ..schedules import Schedule

Memory = tuple[Any, ...]


class Optimiser:
    """Apply one update rule to each of a list of parameters; derive from it to make an optimiser.

    Args:
        parameters: leaf Vars that require gradients, as `Module.parameters` gives them.
        lr: the learning rate, 0 or above, or a schedule: a function from the number of steps taken to the rate. It can
            be assigned between steps.
        memory: what `update` remembers of a parameter before the first step.

    Errors: `TypeError` for parameters that are no Vars, `ValueError` for computed or constant ones, for none, and
    for numbers out of range.

    >>> class SignDescent(Optimiser):
    ...     def update(self, value, grad, memory, lr):
    ...         return value - math.copysign(lr, grad), memory
    >>> x = Var(3.0)
    >>> optimiser = SignDescent([x], lr=0.5)
    >>> (x * x).backward()
    >>> optimiser.step()
    >>> x.value
    2.5
    """

    _schedule: Schedule | None = None
    has_converged = False
    """Whether there is nothing left to do, which `fit` ends at; rules by gradient never say so."""

    def __init__(self, parameters: Iterable[Var], lr: float | Schedule, memory: Memory = ()) -> None:
        self.parameters = checked(parameters, type(self).__name__)
        self.steps = 0  # taken so far
        self.lr = lr
        self.memories: list[Memory] = [memory] * len(self.parameters)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        if self._schedule is not None:
            return self._in_range(f"lr({self.steps})", self._schedule(self.steps))
        return self._lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        self._schedule = lr if callable(lr) else None
        if not callable(lr):
            self._lr = self._in_range("lr", lr)

    def measure(self, loss: float) -> None:
        """Report the loss of an epoch to a schedule that asks for it, as `plateau_schedule` does.

        >>> from chainrule.nn import plateau_schedule
        >>> optimiser = Optimiser([Var(1.0)], lr=plateau_schedule(1.0, patience=1))
        >>> optimiser.measure(2.0)
        >>> optimiser.measure(2.0)
        >>> optimiser.lr
        0.5
        """
        measure = getattr(self._schedule, "measure", None)
        if measure is not None:
            measure(loss)

    def scalars(self) -> tuple[float, ...]:
        """Return the numbers that `update` is handed for the next step, read anew before each; here the learning rate.

        Machine code takes them as arguments too, so that what is assigned between steps counts there.

        >>> class Decaying(Optimiser):
        ...     def scalars(self):
        ...         return self.lr, 1.0 / (1 + self.steps)
        ...     def update(self, value, grad, memory, lr, share):
        ...         return value - lr * share * grad, memory
        >>> x = Var(1.0)
        >>> optimiser = Decaying([x], lr=0.5)
        >>> for _ in range(2):
        ...     optimiser.zero_grad()
        ...     (3 * x).backward()
        ...     optimiser.step()
        >>> x.value
        -1.25
        """
        return (self.lr,)

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value and memory of one parameter; written in plain arithmetic.

        Args:
            value, grad, memory: of the parameter.
            scalars: what `scalars` returned before this step; ``lr`` where it is not overridden.
        """
        raise NotImplementedError(f"{type(self).__name__} expected an update method of its own but has none; define it")

    def step(self) -> None:
        """Update every parameter once by its gradient.

        >>> from chainrule.nn import SGD
        >>> x = Var(3.0)
        >>> (x * x).backward()
        >>> SGD([x], lr=0.5).step()
        >>> x.value
        0.0
        """
        scalars = self.scalars()
        for position, parameter in enumerate(self.parameters):
            parameter.value, self.memories[position] = self.update(
                parameter.value, parameter.grad, self.memories[position], *scalars
            )
        self.steps += 1

    def zero_grad(self) -> None:
        """Clear the gradient of every parameter: `backward` adds to what is there.

        >>> from chainrule.nn import SGD
        >>> x = Var(3.0)
        >>> (x * x).backward()
        >>> SGD([x], lr=0.5).zero_grad()
        >>> x.grad
        0.0
        """
        for parameter in self.parameters:
            parameter.zero_grad()

    def _shares(self, betas: tuple[float, float]) -> tuple[float, float]:
        """Return a pair of shares that running means keep, checked."""
        if not isinstance(betas, tuple) or len(betas) != 2:
            raise TypeError(f"{type(self).__name__} expected a pair of numbers but got {describe('betas', betas)}")
        return self._in_range("betas[0]", betas[0], 1.0), self._in_range("betas[1]", betas[1], 1.0)

    def _in_range(self, name: str, number: float, below: float = math.inf, zero: bool = True) -> float:
        return number_within(type(self).__name__, name, number, below, zero=zero)


def checked(parameters: Iterable[Var], reader: str) -> list[Var]:
    """Return parameters as a list: leaf Vars that require gradients, each once; `reader` is who errors speak of.

    >>> checked([Var(1.0)], "SGD")
    [Var(1.0, grad=0.0)]
    """
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        raise TypeError(
            f"{reader} expected the list that model.parameters() returns but got {describe('parameters', parameters)}"
        )
    found = list(parameters)
    if not found:
        raise ValueError(f"{reader} expected at least one parameter but got none")
    for position, parameter in enumerate(found):
        if not isinstance(parameter, Var):
            raise TypeError(f"{reader} expected Vars but got {describe(f'parameters[{position}]', parameter)}")
        if not parameter.is_leaf or not parameter.requires_grad:
            got = describe(f"parameters[{position}]", parameter)
            raise ValueError(f"{reader} expected leaf Vars that require gradients but got {got}")
    if len({id(parameter) for parameter in found}) < len(found):
        raise ValueError(f"{reader} expected each parameter once but got one twice")
    return found
