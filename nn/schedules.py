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
import operator
from collections.abc import Callable, Mapping

from chainrule.primitive import describe, to_float

Schedule = Callable[[int], float]


def linear_schedule(first: float, last: float, steps: int) -> Schedule:
    """Go from `first` to `last` in a straight line over `steps` steps, and stay there.

    >>> rate = linear_schedule(1.0, 0.1, steps=100)
    >>> rate(0), rate(50), rate(1000)
    (1.0, 0.55, 0.1)
    """
    first, last, steps = (
        _rate("linear_schedule", "first", first),
        _rate("linear_schedule", "last", last),
        _steps("linear_schedule", steps),
    )
    return lambda step: last + (first - last) * max(0.0, 1.0 - step / steps)


def cosine_schedule(first: float, last: float, steps: int) -> Schedule:
    """Go from `first` to `last` along half a cosine over `steps` steps, and stay there.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", without restarts.

    >>> rate = cosine_schedule(1.0, 0.0, steps=100)
    >>> rate(0), round(rate(50), 12), rate(100)
    (1.0, 0.5, 0.0)
    """
    name = "cosine_schedule"
    first, last, steps = _rate(name, "first", first), _rate(name, "last", last), _steps(name, steps)
    # cos**2(x/2) is (1 + cos x)/2, and never below 0.
    return lambda step: last + (first - last) * (math.cos(0.5 * math.pi * step / steps) ** 2 if step < steps else 0.0)


def exponential_schedule(first: float, factor: float, steps: int = 1) -> Schedule:
    """Multiply by `factor` once every `steps` steps, evenly in between.

    >>> rate = exponential_schedule(1.0, 0.5, steps=10)
    >>> rate(0), rate(10), rate(20)
    (1.0, 0.5, 0.25)
    """
    name = "exponential_schedule"
    first, factor, steps = _rate(name, "first", first), _rate(name, "factor", factor), _steps(name, steps)
    return lambda step: first * factor ** (step / steps)


def step_schedule(first: float, changes: Mapping[int, float]) -> Schedule:
    """Start at `first`, and take the rates of `changes` from the steps on that they stand under.

    >>> rate = step_schedule(0.1, {100: 0.01, 200: 0.001})
    >>> rate(99), rate(100), rate(500)
    (0.1, 0.01, 0.001)
    """
    name = "step_schedule"
    if not isinstance(changes, Mapping):
        raise TypeError(f"{name} expected a dict from steps to learning rates but got {describe('changes', changes)}")
    rates = {_steps(name, step): _rate(name, f"changes[{step}]", rate) for step, rate in changes.items()}
    rates[0] = _rate(name, "first", first)
    return lambda step: rates[max(start for start in rates if start <= step)]


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
        constant = _rate("warm_up", "schedule", schedule)
        return lambda step: constant * min(1.0, (step + 1) / steps)
    follow = schedule
    return lambda step: follow(0) * (step + 1) / steps if step < steps else follow(step - steps)


def _rate(schedule: str, name: str, rate: float) -> float:
    number = to_float(rate, schedule, name)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{schedule} expected a finite number, 0 or above, but got {describe(name, rate)}")
    return number


def _steps(schedule: str, steps: int) -> int:
    try:
        number = operator.index(steps)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{schedule} expected a whole number of steps, 1 or above, but got {describe('steps', steps)}")
    return number
