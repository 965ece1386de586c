"""Step down the gradient itself, or by nothing but its sign: `SGD`, `Rprop`, `Lion`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from chainrule import Var, clip, sign, where
from chainrule.errors import describe

from ..schedules import Schedule
from .optimiser import Memory, Optimiser


@final
class SGD(Optimiser):
    """Step down the gradient: stochastic gradient descent.

    ``velocity = momentum * velocity + grad + weight_decay * value`` and ``value -= lr * velocity``; with `nesterov`,
    ``value -= lr * (grad + weight_decay * value + momentum * velocity)``: the gradient as seen one step ahead.
    Dampening multiplies what is added to the velocity by ``1 - dampening``, from the second step on.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule; it can be assigned between steps.
        momentum: the share of the velocity that is kept, from 0 to below 1.
        nesterov: whether to look ahead; needs momentum.
        weight_decay: how strongly values are drawn to 0.
        dampening: the share of a gradient that the velocity does not take up, from 0 to below 1; not with nesterov.

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
        dampening: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0,))
        self.momentum = self._in_range("momentum", momentum, 1.0)
        self.weight_decay = self._in_range("weight_decay", weight_decay)
        self.dampening = self._in_range("dampening", dampening, 1.0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("SGD expected momentum above 0 for nesterov=True but got momentum=0.0 (float)")
        if self.nesterov and self.dampening:
            raise ValueError(f"SGD expected no dampening with nesterov=True but got {describe('dampening', dampening)}")

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, momentum, weight decay, and the share of this gradient that the velocity takes up."""
        return self.lr, self.momentum, self.weight_decay, 1.0 - self.dampening if self.steps and self.momentum else 1.0

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter, and its velocity as the memory."""
        lr, momentum, weight_decay, share = scalars
        slope = grad + weight_decay * value
        velocity = momentum * memory[0] + share * slope
        direction = slope + momentum * velocity if self.nesterov else velocity
        return value - lr * direction, (velocity,)


@final
class Rprop(Optimiser):
    """Give each parameter a step of its own: longer while its slope keeps its sign, shorter where the sign changes.

    Only the signs of gradients count, so the batch should be all samples. Where a sign changed, that parameter rests.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the length of the first step, above 0.
        etas: what a length is multiplied by where the sign changed, and where it did not.
        step_sizes: the least and the greatest length.

    Source: Riedmiller and Braun 1993, "A direct adaptive method for faster backpropagation learning".

    >>> x = Var(1.0)
    >>> optimiser = Rprop([x], lr=0.1)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (x * x).backward()
    ...     optimiser.step()
    >>> round(x.value, 12)
    0.78
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0, 0.0))
        (shorter, longer), (least, most) = etas, step_sizes
        self.etas = (self._in_range("etas[0]", shorter, 1.0, zero=False), self._in_range("etas[1]", longer))
        self.step_sizes = (self._in_range("step_sizes[0]", least, zero=False), self._in_range("step_sizes[1]", most))
        if self.etas[1] < 1.0 or self.step_sizes[0] > self.step_sizes[1]:
            raise ValueError(
                "Rprop expected etas[1] of at least 1 and step_sizes in order but got "
                f"{describe('etas', etas)} and {describe('step_sizes', step_sizes)}"
            )

    def scalars(self) -> tuple[float, ...]:
        """Return the length of the first step, both factors, and the least and greatest length."""
        return self.lr, *self.etas, *self.step_sizes

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds its last slope and its length, 0 at first."""
        lr, shorter, longer, least, most = scalars
        last, length = memory
        turned = sign(grad) * sign(last)
        factor = where(turned > 0.0, longer, where(turned < 0.0, shorter, 1.0))
        length = clip(where(length == 0.0, lr, length) * factor, least, most)
        slope = where(turned < 0.0, 0.0, grad)
        return value - sign(slope) * length, (slope, length)


@final
class Lion(Optimiser):
    """Step by the sign of a running mean of gradients: every parameter equally far.

    ``direction = sign(betas[0] * mean + (1 - betas[0]) * grad)``, ``value -= lr * (direction + weight_decay * value)``,
    and then ``mean = betas[1] * mean + (1 - betas[1]) * grad``.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule; a third to a tenth of that of `AdamW`.
        betas: the share of the mean in the direction, and the share of it that is kept, each from 0 to below 1.
        weight_decay: how strongly values are drawn to 0, apart from the gradient.

    Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> Lion([x], lr=0.1, weight_decay=0.5).step()
    >>> round(x.value, 12)
    0.85
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0,))
        self.betas = self._shares(betas)
        self.weight_decay = self._in_range("weight_decay", weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay and both shares."""
        return self.lr, self.weight_decay, *self.betas

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter, and its mean gradient as the memory."""
        lr, weight_decay, first, second = scalars
        direction = sign(first * memory[0] + (1.0 - first) * grad)
        mean = second * memory[0] + (1.0 - second) * grad
        return value - lr * (direction + weight_decay * value), (mean,)
