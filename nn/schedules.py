"""Let the learning rate change with the number of steps taken: give a schedule as the `lr` of an optimiser.

A schedule is any function from a number of steps, 0 or above, to a learning rate, 0 or above.

>>> from chainrule import Var, nn
>>> optimiser = nn.SGD([Var(1.0)], lr=nn.linear_schedule(1.0, 0.0, steps=4))
>>> rates = []
>>> for _ in range(5):
...     rates.append(optimiser.lr)
...     optimiser.step()
>>> rates
[1.0, 0.75, 0.5, 0.25, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import chainrule
from chainrule.arguments import number_within, whole_number
from chainrule.primitive import describe

Schedule = Callable[[int], float]


def linear_schedule(first: float, last: float, steps: int) -> Schedule:
    """Go from `first` to `last` in a straight line over `steps` steps, and stay there.

    >>> rate = linear_schedule(1.0, 0.1, steps=100)
    >>> rate(0), rate(50), rate(1000)
    (1.0, 0.55, 0.1)
    """
    return _Linear(*_ends("linear_schedule", first, last), _steps("linear_schedule", steps))


def cosine_schedule(first: float, last: float, steps: int) -> Schedule:
    """Go from `first` to `last` along half a cosine over `steps` steps, and stay there.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", without restarts.

    >>> rate = cosine_schedule(1.0, 0.0, steps=100)
    >>> rate(0), round(rate(50), 12), rate(100)
    (1.0, 0.5, 0.0)
    """
    return _Cosine(*_ends("cosine_schedule", first, last), _steps("cosine_schedule", steps))


def exponential_schedule(first: float, factor: float, steps: int = 1) -> Schedule:
    """Multiply by `factor` once every `steps` steps, evenly in between; what exceeds all doubles is infinite.

    >>> rate = exponential_schedule(1.0, 0.5, steps=10)
    >>> rate(0), rate(10), rate(20)
    (1.0, 0.5, 0.25)
    """
    name = "exponential_schedule"
    return _Exponential(number_within(name, "first", first), number_within(name, "factor", factor), _steps(name, steps))


def step_schedule(first: float, changes: Mapping[int, float]) -> Schedule:
    """Start at `first`, and take the rates of `changes` from the steps on that they stand under.

    >>> rate = step_schedule(0.1, {100: 0.01, 200: 0.001})
    >>> rate(99), rate(100), rate(500)
    (0.1, 0.01, 0.001)
    """
    name = "step_schedule"
    if not isinstance(changes, Mapping):
        raise TypeError(f"{name} expected a dict from steps to learning rates but got {describe('changes', changes)}")
    rates = {_steps(name, step): number_within(name, f"changes[{step}]", rate) for step, rate in changes.items()}
    rates[0] = number_within(name, "first", first)
    return _Stepped(tuple(rates.items()))


def warm_up(schedule: Schedule | float, steps: int) -> Schedule:
    """Rise in a straight line from 0 over `steps` steps, then follow `schedule` from its beginning.

    Args:
        schedule: what follows, a schedule or a constant rate.
        steps: how long the rise takes; the first step already has a rate above 0.

    >>> rate = warm_up(cosine_schedule(1.0, 0.0, steps=100), steps=4)
    >>> [rate(step) for step in (0, 1, 3, 4, 104)]
    [0.25, 0.5, 1.0, 1.0, 0.0]
    """
    steps = _steps("warm_up", steps)
    if not callable(schedule):
        return _Rising(number_within("warm_up", "schedule", schedule), steps)
    return _WarmedUp(schedule, steps)


# Classes, not functions inside functions: an optimiser is pickled with its schedule.


@dataclass(frozen=True)
class _Linear:
    first: float
    last: float
    steps: int

    def __call__(self, step: int) -> float:
        return self.last + (self.first - self.last) * max(0.0, 1.0 - step / self.steps)


@dataclass(frozen=True)
class _Cosine:
    first: float
    last: float
    steps: int

    def __call__(self, step: int) -> float:
        # cos**2(x/2) is (1 + cos x)/2, and never below 0.
        left = math.cos(0.5 * math.pi * step / self.steps) ** 2 if step < self.steps else 0.0
        return self.last + (self.first - self.last) * left


@dataclass(frozen=True)
class _Exponential:
    first: float
    factor: float
    steps: int

    def __call__(self, step: int) -> float:
        # 0 stays 0, also times a power that is infinite.
        return self.first and self.first * chainrule.pow(self.factor, step / self.steps)


@dataclass(frozen=True)
class _Stepped:
    rates: tuple[tuple[int, float], ...]

    def __call__(self, step: int) -> float:
        return max(change for change in self.rates if change[0] <= step)[1]


@dataclass(frozen=True)
class _Rising:
    rate: float
    steps: int

    def __call__(self, step: int) -> float:
        return self.rate * min(1.0, (step + 1) / self.steps)


@dataclass(frozen=True)
class _WarmedUp:
    schedule: Schedule
    steps: int

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return self.schedule(0) * (step + 1) / self.steps
        return self.schedule(step - self.steps)


def _ends(schedule: str, first: float, last: float) -> tuple[float, float]:
    return number_within(schedule, "first", first), number_within(schedule, "last", last)


def _steps(schedule: str, steps: int) -> int:
    return whole_number(schedule, "steps", steps, noun="whole number of steps")
