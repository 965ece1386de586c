"""Change the learning rate with the number of steps taken: pass a schedule as the `lr` of an optimiser.

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
from functools import partial
from typing import final

import chainrule
from chainrule.data import number_within, whole_number
from chainrule.errors import describe

from .lowest import Plateau

Schedule = Callable[[int], float]


def linear_schedule(first: float, last: float, steps: int) -> Schedule:
    """Go from `first` to `last` in a straight line over `steps` steps, and stay there.

    >>> rate = linear_schedule(1.0, 0.1, steps=100)
    >>> rate(0), rate(50), rate(1000)
    (1.0, 0.55, 0.1)
    """
    return partial(_linear, *_ends("linear_schedule", first, last), _steps("linear_schedule", steps))


def cosine_schedule(first: float, last: float, steps: int) -> Schedule:
    """Go from `first` to `last` along half a cosine over `steps` steps, and stay there.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", without restarts.

    >>> rate = cosine_schedule(1.0, 0.0, steps=100)
    >>> rate(0), round(rate(50), 12), rate(100)
    (1.0, 0.5, 0.0)
    """
    return partial(_cosine, *_ends("cosine_schedule", first, last), _steps("cosine_schedule", steps))


def exponential_schedule(first: float, factor: float, steps: int = 1) -> Schedule:
    """Multiply by `factor` every `steps` steps, smoothly in between; beyond the range of doubles it is infinite.

    >>> rate = exponential_schedule(1.0, 0.5, steps=10)
    >>> rate(0), rate(10), rate(20)
    (1.0, 0.5, 0.25)
    """
    name = "exponential_schedule"
    first, factor = number_within(name, "first", first), number_within(name, "factor", factor)
    return partial(_exponential, first, factor, _steps(name, steps))


def step_schedule(first: float, changes: Mapping[int, float]) -> Schedule:
    """Start at `first`, and switch to each rate of `changes` at the step that is its key.

    >>> rate = step_schedule(0.1, {100: 0.01, 200: 0.001})
    >>> rate(99), rate(100), rate(500)
    (0.1, 0.01, 0.001)
    """
    name = "step_schedule"
    if not isinstance(changes, Mapping):
        raise TypeError(f"{name} expected a dict from steps to learning rates but got {describe('changes', changes)}")
    rates = {_steps(name, step): number_within(name, f"changes[{step}]", rate) for step, rate in changes.items()}
    rates[0] = number_within(name, "first", first)
    return partial(_stepped, rates)


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
        return partial(_rising, number_within("warm_up", "schedule", schedule), steps)
    return partial(_warmed_up, schedule, steps)


def polynomial_schedule(first: float, last: float, steps: int, power: float = 2.0) -> Schedule:
    """Go from `first` to `last` over `steps` steps, by a power of what is left of them, and stay there.

    >>> rate = polynomial_schedule(1.0, 0.0, steps=10, power=2.0)
    >>> rate(0), rate(5), rate(100)
    (1.0, 0.25, 0.0)
    """
    name = "polynomial_schedule"
    power = number_within(name, "power", power, zero=False)
    return partial(_polynomial, *_ends(name, first, last), _steps(name, steps), power)


def one_cycle_schedule(
    greatest: float, steps: int, rise: float = 0.3, first: float | None = None, last: float | None = None
) -> Schedule:
    """Rise from `first` to the greatest rate, then fall to `last` over the rest of `steps`, both along half a cosine.

    Args:
        greatest: the rate at the top, which may be far above what would do for long.
        steps: how many there are in all; the rate stays at `last` after them.
        rise: the share of steps that go up, between 0 and 1.
        first, last: where it begins and ends; None for a 25th of the greatest, and for a 10,000th of `first`.

    Source: Smith and Topin 2018, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates".

    >>> rate = one_cycle_schedule(1.0, steps=100)
    >>> rate(0), rate(30), round(rate(65), 6), rate(100)
    (0.04, 1.0, 0.500002, 4e-06)
    """
    name = "one_cycle_schedule"
    greatest, share = number_within(name, "greatest", greatest), number_within(name, "rise", rise, 1.0, zero=False)
    first = greatest / 25.0 if first is None else number_within(name, "first", first)
    last = first / 1e4 if last is None else number_within(name, "last", last)
    return partial(_one_cycle, greatest, _steps(name, steps), share, first, last)


def restart_schedule(first: float, last: float, steps: int, factor: int = 1) -> Schedule:
    """Go from `first` to `last` along half a cosine over `steps` steps, and again, each time `factor` times as long.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".

    >>> rate = restart_schedule(1.0, 0.0, steps=2, factor=2)
    >>> [round(rate(step), 3) for step in range(8)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0, 0.962]
    """
    name = "restart_schedule"
    factor = whole_number(name, "factor", factor)
    return partial(_restarting, *_ends(name, first, last), _steps(name, steps), factor)


@final
class plateau_schedule(Plateau):
    """Multiply the rate by `factor` when the loss has not become lower for `patience` epochs.

    `fit` tells it the loss of each epoch (of validation, if any); a loop by hand calls `measure` itself. The callback
    `nn.ReduceOnPlateau` does the same to a rate that is already there.

    Args:
        first: the rate to begin with.
        patience: how many epochs may pass without a loss lower by more than `tolerance`.
        factor: between 0 and 1.
        least: the rate is not reduced below it.
        tolerance: what counts as lower, 0 or above.

    >>> rate = plateau_schedule(1.0, patience=2, factor=0.1)
    >>> for loss in (3.0, 2.0, 2.0, 2.5):
    ...     rate.measure(loss)
    >>> rate(4)
    0.1
    """

    def __init__(
        self, first: float, patience: int = 10, factor: float = 0.5, least: float = 0.0, tolerance: float = 0.0
    ) -> None:
        self.rate = number_within("plateau_schedule", "first", first)
        super().__init__(patience, factor, least, tolerance)

    def __call__(self, step: int) -> float:
        """Return the rate as it is now, whatever the number of steps."""
        return self.rate

    def measure(self, loss: float) -> None:
        """Take note of the loss of an epoch."""
        self.rate = self.reduced(self.rate, loss)


# What a schedule computes, with its own numbers first: a partial call is pickled, a function inside a function is not.


def _linear(first: float, last: float, steps: int, step: int) -> float:
    return last + (first - last) * max(0.0, 1.0 - step / steps)


def _cosine(first: float, last: float, steps: int, step: int) -> float:
    # cos**2(x/2) is (1 + cos x)/2, and never below 0.
    return last + (first - last) * (math.cos(0.5 * math.pi * step / steps) ** 2 if step < steps else 0.0)


def _exponential(first: float, factor: float, steps: int, step: int) -> float:
    # 0 stays 0, also times a power that is infinite.
    return first and first * chainrule.pow(factor, step / steps)


def _stepped(rates: Mapping[int, float], step: int) -> float:
    return rates[max(start for start in rates if start <= step)]


def _rising(rate: float, steps: int, step: int) -> float:
    return rate * min(1.0, (step + 1) / steps)


def _warmed_up(schedule: Schedule, steps: int, step: int) -> float:
    return schedule(0) * (step + 1) / steps if step < steps else schedule(step - steps)


def _polynomial(first: float, last: float, steps: int, power: float, step: int) -> float:
    return last + (first - last) * max(0.0, 1.0 - step / steps) ** power


def _one_cycle(greatest: float, steps: int, rise: float, first: float, last: float, step: int) -> float:
    top = rise * steps
    if step < top:
        return first + (greatest - first) * math.sin(0.5 * math.pi * step / top) ** 2
    left = (step - top) / (steps - top)
    return last + (greatest - last) * (math.cos(0.5 * math.pi * left) ** 2 if left < 1.0 else 0.0)


def _restarting(first: float, last: float, steps: int, factor: int, step: int) -> float:
    if factor == 1:
        return _cosine(first, last, steps, step % steps)
    while step >= steps:
        step, steps = step - steps, steps * factor
    return _cosine(first, last, steps, step)


def _ends(schedule: str, first: float, last: float) -> tuple[float, float]:
    return number_within(schedule, "first", first), number_within(schedule, "last", last)


def _steps(schedule: str, steps: int) -> int:
    return whole_number(schedule, "steps", steps, noun="whole number of steps")
