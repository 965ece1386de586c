"""Move parameters against their gradients: make an optimiser for `model.parameters()` and call `step()`.

An optimiser is one scalar rule, `update`, from a parameter's value, gradient and memory, and from numbers that are the
same for all parameters in a step, to the new value and memory. To write your own, derive from `Optimiser` and define
that rule; numbers besides the learning rate are what `scalars` returns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, final

from chainrule import Var, sqrt
from chainrule.data import number_within
from chainrule.errors import describe

from .schedules import Schedule

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

    def __init__(self, parameters: Iterable[Var], lr: float | Schedule, memory: Memory = ()) -> None:
        self.parameters = _checked(parameters, type(self).__name__)
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

        >>> x = Var(3.0)
        >>> (x * x).backward()
        >>> SGD([x], lr=0.5).zero_grad()
        >>> x.grad
        0.0
        """
        for parameter in self.parameters:
            parameter.zero_grad()

    def _in_range(self, name: str, number: float, below: float = math.inf, zero: bool = True) -> float:
        return number_within(type(self).__name__, name, number, below, zero=zero)


@final
class SGD(Optimiser):
    """Step down the gradient: stochastic gradient descent.

    ``velocity = momentum * velocity + grad + weight_decay * value`` and ``value -= lr * velocity``; with `nesterov`,
    ``value -= lr * (grad + weight_decay * value + momentum * velocity)``: the gradient as seen one step ahead.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule; it can be assigned between steps.
        momentum: the share of the velocity that is kept, from 0 to below 1.
        nesterov: whether to look ahead; needs momentum.
        weight_decay: how strongly values are drawn to 0.

    Source: Sutskever, Martens, Dahl and Hinton 2013, "On the importance of initialization and momentum".

    >>> x = Var(1.0)
    >>> optimiser = SGD([x], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (x * x).backward()
    ...     optimiser.step()
    >>> round(x.value, 12)
    0.54
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0,))
        self.momentum = self._in_range("momentum", momentum, 1.0)
        self.weight_decay = self._in_range("weight_decay", weight_decay)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("SGD expected momentum above 0 for nesterov=True but got momentum=0.0 (float)")

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, momentum and weight decay."""
        return self.lr, self.momentum, self.weight_decay

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter, and its velocity as the memory."""
        lr, momentum, weight_decay = scalars
        slope = grad + weight_decay * value
        velocity = momentum * memory[0] + slope
        direction = slope + momentum * velocity if self.nesterov else velocity
        return value - lr * direction, (velocity,)


@final
class RMSProp(Optimiser):
    """Divide each step by the root of a running mean of squared gradients.

    ``mean = alpha * mean + (1 - alpha) * grad**2`` and ``value -= lr * grad / (sqrt(mean) + eps)``, with the gradient
    taken as ``grad + weight_decay * value``.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule.
        alpha: the share of the mean that is kept, from 0 to below 1.
        eps: keeps the divisor from 0; above 0.
        weight_decay: how strongly values are drawn to 0.

    Source: Tieleman and Hinton 2012, lecture 6.5 of "Neural Networks for Machine Learning".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> RMSProp([x], lr=0.1, alpha=0.75).step()
    >>> round(x.value, 6)
    0.8
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0,))
        self.alpha = self._in_range("alpha", alpha, 1.0)
        self.eps = self._in_range("eps", eps, zero=False)
        self.weight_decay = self._in_range("weight_decay", weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, the share of the mean that is kept, what keeps the divisor from 0, and weight decay."""
        return self.lr, self.alpha, self.eps, self.weight_decay

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter, and its mean square as the memory."""
        lr, alpha, eps, weight_decay = scalars
        slope = grad + weight_decay * value
        mean = alpha * memory[0] + (1.0 - alpha) * slope * slope
        return value - lr * slope / (sqrt(mean) + eps), (mean,)


@final
class Adagrad(Optimiser):
    """Divide each step by the root of the sum of all squared gradients so far.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule.
        eps: keeps the divisor from 0; above 0.
        weight_decay: how strongly values are drawn to 0.

    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> Adagrad([x], lr=0.1).step()
    >>> round(x.value, 6)
    0.9
    """

    def __init__(
        self, parameters: Iterable[Var], lr: float | Schedule = 0.01, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0,))
        self.eps = self._in_range("eps", eps, zero=False)
        self.weight_decay = self._in_range("weight_decay", weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, what keeps the divisor from 0, and weight decay."""
        return self.lr, self.eps, self.weight_decay

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter, and its sum of squares as the memory."""
        lr, eps, weight_decay = scalars
        slope = grad + weight_decay * value
        total = memory[0] + slope * slope
        return value - lr * slope / (sqrt(total) + eps), (total,)


class Adam(Optimiser):
    """Step along a running mean of gradients, divided by the root of a running mean of squares; both bias-corrected.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule.
        betas: the shares of both means that are kept, each from 0 to below 1.
        eps: keeps the divisor from 0; above 0.
        weight_decay: how strongly values are drawn to 0, as part of the gradient; `AdamW` keeps it apart.

    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> Adam([x], lr=0.1).step()
    >>> round(x.value, 6)
    0.9
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0, 0.0))
        if not isinstance(betas, tuple) or len(betas) != 2:
            raise TypeError(f"{type(self).__name__} expected a pair of numbers but got {describe('betas', betas)}")
        self.betas = (self._in_range("betas[0]", betas[0], 1.0), self._in_range("betas[1]", betas[1], 1.0))
        self.eps = self._in_range("eps", eps, zero=False)
        self.weight_decay = self._in_range("weight_decay", weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay, eps, both shares, and what the means of this step are divided by."""
        first, second = self.betas
        step = self.steps + 1
        return self.lr, self.weight_decay, self.eps, first, second, _gathered(first, step), _gathered(second, step)

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds both means."""
        lr, weight_decay, *rest = scalars
        return self._moved(value, grad + weight_decay * value, memory, lr, *rest)

    def _moved(self, value: Any, slope: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        lr, eps, first, second, correction, square_correction = scalars
        mean = first * memory[0] + (1.0 - first) * slope
        square = second * memory[1] + (1.0 - second) * slope * slope
        divisor = sqrt(square / square_correction) + eps
        return value - lr * (mean / correction) / divisor, (mean, square)


def _gathered(share: float, steps: int) -> float:
    """Return ``1 - share**steps``, the weights of a running mean so far, without cancellation."""
    return -math.expm1(steps * math.log(share)) if share else 1.0


@final
class AdamW(Adam):
    """`Adam` with decoupled weight decay: ``value -= lr * weight_decay * value`` comes first.

    Args: those of `Adam`.

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> AdamW([x], lr=0.1, weight_decay=0.5).step()
    >>> round(x.value, 6)
    0.85
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory is that of `Adam`."""
        lr, weight_decay, *rest = scalars
        return self._moved(value - lr * weight_decay * value, grad, memory, lr, *rest)


def _checked(parameters: Iterable[Var], reader: str) -> list[Var]:
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        raise TypeError(
            f"{reader} expected the list that model.parameters() returns but got {describe('parameters', parameters)}"
        )
    found = list(parameters)
    if not found:
        raise ValueError(f"{reader} expected at least one parameter but got none")
    for position, parameter in enumerate(found):
        got = describe(f"parameters[{position}]", parameter)
        if not isinstance(parameter, Var):
            raise TypeError(f"{reader} expected Vars but got {got}")
        if not parameter.is_leaf or not parameter.requires_grad:
            raise ValueError(f"{reader} expected leaf Vars that require gradients but got {got}")
    if len({id(parameter) for parameter in found}) < len(found):
        raise ValueError(f"{reader} expected each parameter once but got one twice")
    return found
