"""Move parameters as scikit-learn's solvers do: optimisers, and a penalty on the squares of weights around them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, final

from chainrule import Var

from ..optimisers import Adagrad, Adam, AdamW, Memory, Optimiser, RMSProp
from ..schedules import Schedule
from .settings import Settings


@final
class Penalised(Optimiser):
    """Draw weights to 0 by a penalty of ``alpha / 2`` times their squares over the size of each batch.

    A memory is ``(decay, total, *memory of the inner optimiser)``: what the penalty's derivative is a multiple of, and
    the penalties of all steps so far, each times the samples of its batch.

    Args:
        inner: what moves the parameters.
        decays: alpha for each weight, 0 for each bias.
        apart: whether values shrink apart from the gradient, as in `AdamW`; then no loss has the penalty.
    """

    def __init__(self, inner: Optimiser, decays: Sequence[float], apart: bool = False) -> None:
        self.inner, self.apart = inner, apart
        self.batches: list[tuple[float, float]] = [(1.0, 0.0)]
        self.first = 0
        super().__init__(inner.parameters, inner.lr)
        self.memories = [(decay, 0.0, *memory) for decay, memory in zip(decays, inner.memories, strict=True)]

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.inner.lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        self.inner.lr = lr

    def expect(self, batches: Iterable[tuple[int, float]]) -> None:
        """Prepare the steps of an epoch: for each, the number of its samples, and their weights in all."""
        self.first = self.steps
        self.batches = [(1.0 / total, 0.5 * size / total) if total else (0.0, 0.0) for size, total in batches]

    def total(self) -> float:
        """Return the penalties of all steps, each times the samples of its batch."""
        return 0.0 if self.apart else math.fsum(memory[1] for memory in self.memories)

    def scalars(self) -> tuple[float, ...]:
        """Return what a decay is multiplied by in the gradient and in the total, and the scalars of the inner one."""
        self.inner.steps = self.steps
        return *self.batches[min(self.steps - self.first, len(self.batches) - 1)], *self.inner.scalars()

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value and memory of one parameter."""
        share, counted, *rest = scalars
        decay, total, *inner = memory
        total = total + counted * decay * value * value
        if self.apart:
            value = value - rest[0] * share * decay * value
        else:
            grad = grad + share * decay * value
        value, moved = self.inner.update(value, grad, tuple(inner), *rest)
        return value, (decay, total, *moved)


@final
class Descent(Optimiser):
    """Descend with a velocity that has the learning rates of its time in it, as scikit-learn's "sgd" does.

    ``velocity = momentum * velocity - lr * grad`` is added to the value; with `nesterov` once more so changed.
    """

    def __init__(self, parameters: Iterable[Var], lr: float, momentum: float, nesterov: bool) -> None:
        super().__init__(parameters, lr, memory=(0.0,))
        self.momentum, self.nesterov = momentum, nesterov

    def scalars(self) -> tuple[float, ...]:
        """Return learning rate and momentum."""
        return self.lr, self.momentum

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value of one parameter, and its velocity as the memory."""
        lr, momentum = scalars
        velocity = momentum * memory[0] - lr * grad
        return value + (momentum * velocity - lr * grad if self.nesterov else velocity), (velocity,)


@final
class Moments(Adam):
    """`Adam` as scikit-learn has it: `eps` is added to the root before the mean of squares is corrected."""

    def scalars(self) -> tuple[float, ...]:
        """Return those of `Adam`, with `eps` as large as the correction makes it."""
        lr, weight_decay, eps, *rest = super().scalars()
        return lr, weight_decay, eps / math.sqrt(rest[-1]), *rest


def mover(settings: Settings, weights: Sequence[Var], parameters: Sequence[Var]) -> Penalised:
    """Return the optimiser that the settings ask for; `weights` are those of the parameters that are penalised."""
    lr = settings.learning_rate_init
    betas = (settings.beta_1, settings.beta_2)
    inner: Optimiser
    if settings.solver == "sgd":
        inner = Descent(parameters, lr, settings.momentum, settings.nesterovs_momentum)
    elif settings.solver == "adam":
        inner = Moments(parameters, lr, betas, settings.epsilon)
    elif settings.solver == "adamw":
        inner = AdamW(parameters, lr, betas, settings.epsilon, weight_decay=0.0)
    else:
        inner = {"rmsprop": RMSProp, "adagrad": Adagrad}[settings.solver](parameters, lr)
    penalised = set(map(id, weights))
    decays = [settings.alpha if id(parameter) in penalised else 0.0 for parameter in parameters]
    return Penalised(inner, decays, apart=settings.solver == "adamw")
