"""Divide each parameter's steps by the root of its squared gradients: `RMSProp`, `Adagrad`, `Adadelta`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from chainrule import Var, maximum, sqrt

from ..schedules import Schedule
from .optimiser import Memory, Optimiser


@final
class RMSProp(Optimiser):
    """Divide each step by the root of a running mean of squared gradients.

    ``mean = alpha * mean + (1 - alpha) * grad**2`` and ``value -= lr * grad / (sqrt(mean) + eps)``, with the gradient
    taken as ``grad + weight_decay * value``. With momentum the quotients are added up:
    ``velocity = momentum * velocity + quotient``. Centered, the divisor is the deviation of gradients from their mean.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule.
        alpha: the share of the mean that is kept, from 0 to below 1.
        eps: keeps the divisor from 0; above 0.
        weight_decay: how strongly values are drawn to 0.
        momentum: the share of the velocity that is kept, from 0 to below 1.
        centered: whether to divide by the deviation.

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
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        self.centered = bool(centered)
        super().__init__(parameters, lr, memory=(0.0,) * (3 if self.centered else 2))
        self.alpha = self._in_range("alpha", alpha, 1.0)
        self.eps = self._in_range("eps", eps, zero=False)
        self.weight_decay = self._in_range("weight_decay", weight_decay)
        self.momentum = self._in_range("momentum", momentum, 1.0)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, the share of the means that is kept, eps, weight decay and momentum."""
        return self.lr, self.alpha, self.eps, self.weight_decay, self.momentum

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds its mean square, velocity and, centered, mean."""
        lr, alpha, eps, weight_decay, momentum = scalars
        square, velocity, *mean = memory
        slope = grad + weight_decay * value
        spread = square = alpha * square + (1.0 - alpha) * slope * slope
        if self.centered:
            mean = [alpha * mean[0] + (1.0 - alpha) * slope]
            # Rounding may leave less than nothing of a mean square, where all gradients were alike.
            spread = maximum(square - mean[0] * mean[0], 0.0)
        velocity = momentum * velocity + slope / (sqrt(spread) + eps)
        return value - lr * velocity, (square, velocity, *mean)


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


@final
class Adadelta(Optimiser):
    """Divide by the root of a running mean of squared gradients, and multiply by that of squared steps.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule; steps have the size of the parameters by themselves.
        rho: the share of both means that is kept, from 0 to below 1.
        eps: added to both means, so that there is a first step; above 0.
        weight_decay: how strongly values are drawn to 0.

    Source: Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> Adadelta([x], rho=0.75, eps=0.01).step()
    >>> round(1.0 - x.value, 6)
    0.199007
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0, 0.0))
        self.rho = self._in_range("rho", rho, 1.0)
        self.eps = self._in_range("eps", eps, zero=False)
        self.weight_decay = self._in_range("weight_decay", weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, the share of the means that is kept, what is added to them, and weight decay."""
        return self.lr, self.rho, self.eps, self.weight_decay

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds its mean squares of gradients and of steps."""
        lr, rho, eps, weight_decay = scalars
        slope = grad + weight_decay * value
        square = rho * memory[0] + (1.0 - rho) * slope * slope
        step = sqrt(memory[1] + eps) / sqrt(square + eps) * slope
        return value - lr * step, (square, rho * memory[1] + (1.0 - rho) * step * step)
