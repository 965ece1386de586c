"""Step along a running mean of gradients, divided by the size they usually have: `Adam` and its kin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, final

from chainrule import Var, maximum, sqrt

from ..schedules import Schedule
from .optimiser import Memory, Optimiser


class _Moments(Optimiser):
    """What Adam and its kin have in common: two shares, a divisor kept from 0, weight decay in the gradient."""

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, memory=(0.0, 0.0))
        self.betas = self._shares(betas)
        self.eps = self._in_range("eps", eps, zero=False)
        self.weight_decay = self._in_range("weight_decay", weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay, eps and both shares."""
        return self.lr, self.weight_decay, self.eps, *self.betas


def _means(memory: Memory, slope: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Return the running means of slopes and of their squares, one slope later."""
    mean = first * memory[0] + (1.0 - first) * slope
    return mean, second * memory[1] + (1.0 - second) * slope * slope


def _gathered(share: float, steps: int) -> float:
    """Return ``1 - share**steps``, the weights of a running mean so far, without cancellation."""
    return -math.expm1(steps * math.log(share)) if share else 1.0


class Adam(_Moments):
    """Step along a running mean of gradients, divided by the root of a running mean of squares; both bias-corrected.

    Args:
        parameters: leaf Vars that require gradients.
        lr: the learning rate, 0 or above, or a schedule.
        betas: the shares of both means that are kept, each from 0 to below 1.
        eps: keeps the divisor from 0; above 0.
        weight_decay: how strongly values are drawn to 0, as part of the gradient; `AdamW` keeps it apart.
        amsgrad: whether to divide by the root of the greatest mean of squares so far, so that steps never grow again.

    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization"; for amsgrad Reddi, Kale and Kumar
    2018, "On the Convergence of Adam and Beyond".

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
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
        self.amsgrad = bool(amsgrad)
        if self.amsgrad:
            self.memories = [(*memory, 0.0) for memory in self.memories]

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay, eps, both shares, and what the means of this step are divided by."""
        return *super().scalars(), *[_gathered(share, self.steps + 1) for share in self.betas]

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds both means, with amsgrad the greatest square too."""
        lr, weight_decay, *rest = scalars
        return self._moved(value, grad + weight_decay * value, memory, lr, *rest)

    def _moved(self, value: Any, slope: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        lr, eps, first, second, correction, square_correction = scalars
        mean, square = _means(memory, slope, first, second)
        greatest = (maximum(memory[2], square),) if self.amsgrad else ()
        divisor = sqrt((greatest or (square,))[0] / square_correction) + eps
        return value - lr * (mean / correction) / divisor, (mean, square, *greatest)


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
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory is that of `Adam`."""
        lr, weight_decay, *rest = scalars
        return self._moved(value - lr * weight_decay * value, grad, memory, lr, *rest)


@final
class NAdam(_Moments):
    """`Adam` with Nesterov's look ahead: a step along the mean as it will be after the next gradient.

    Args: those of `Adam`, and
        momentum_decay: how fast the share of the mean rises to ``betas[0]``, 0 or above.

    Source: Dozat 2016, "Incorporating Nesterov Momentum into Adam".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> NAdam([x], lr=0.1).step()
    >>> round(x.value, 6)
    0.894355
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
        self.memories = [(*memory, 1.0) for memory in self.memories]
        self.momentum_decay = self._in_range("momentum_decay", momentum_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay, eps, both shares, those of this and the next step, and the correction."""
        first, second = self.betas
        step = self.steps + 1
        now, next_ = [first * (1.0 - 0.5 * 0.96 ** (k * self.momentum_decay)) for k in (step, step + 1)]
        return *super().scalars(), now, next_, _gathered(second, step)

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds both means, and the product of all steps' shares."""
        lr, weight_decay, eps, first, second, now, next_, correction = scalars
        slope = grad + weight_decay * value
        mean, square = _means(memory, slope, first, second)
        product = memory[2] * now
        ahead = slope * ((1.0 - now) / (1.0 - product)) + mean * (next_ / (1.0 - product * next_))
        return value - lr * ahead / (sqrt(square / correction) + eps), (mean, square, product)


@final
class RAdam(_Moments):
    """`Adam` that is rectified: the first steps follow the mean alone, until that of squares can be relied on.

    Args: those of `Adam`.

    Source: Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond".

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> RAdam([x], lr=0.1).step()
    >>> round(x.value, 6)
    0.8
    """

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay, eps, both shares, the correction, and two weights of which one is 0.

        They are those of the step as it is, and of the step divided by the root of squares.
        """
        first, second = self.betas
        step = self.steps + 1
        gathered = _gathered(second, step)
        most = 2.0 / (1.0 - second) - 1.0
        length = most - 2.0 * step * second**step / gathered  # of the mean of squares, in steps
        plain, divided = 1.0, 0.0
        if length > 5.0:
            share = (length - 4.0) * (length - 2.0) * most / ((most - 4.0) * (most - 2.0) * length)
            plain, divided = 0.0, math.sqrt(gathered * share)
        return *super().scalars(), _gathered(first, step), plain, divided

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds both means."""
        lr, weight_decay, eps, first, second, correction, plain, divided = scalars
        slope = grad + weight_decay * value
        mean, square = _means(memory, slope, first, second)
        return value - lr * (mean / correction) * (plain + divided / (sqrt(square) + eps)), (mean, square)


@final
class Adamax(_Moments):
    """`Adam` that divides by a running maximum of gradients instead of a mean of squares.

    Args: those of `Adam`.

    Source: Kingma and Ba 2015, section 7.

    >>> x = Var(1.0)
    >>> (x * x).backward()
    >>> Adamax([x], lr=0.1).step()
    >>> round(x.value, 6)
    0.9
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        lr: float | Schedule = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate, weight decay, eps, both shares, and what the mean of this step is divided by."""
        return *super().scalars(), _gathered(self.betas[0], self.steps + 1)

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter; the memory holds the mean and the maximum."""
        lr, weight_decay, eps, first, second, correction = scalars
        slope = grad + weight_decay * value
        mean = first * memory[0] + (1.0 - first) * slope
        greatest = maximum(second * memory[1], abs(slope) + eps)
        return value - lr * (mean / correction) / greatest, (mean, greatest)
