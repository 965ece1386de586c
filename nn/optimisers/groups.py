"""Move groups of parameters by rules of their own: `Together`."""

from __future__ import annotations

import itertools
from typing import Any, final

from chainrule import where
from chainrule.data import is_symbolic
from chainrule.errors import describe

from ..schedules import Schedule
from .full_batch import FullBatch
from .optimiser import Memory, Optimiser, checked


@final
class Together(Optimiser):
    """Combine optimisers that take each step together, each with parameters of its own.

    Args:
        optimisers: two or more, of different parameters, each with rates and rules as it likes.

    The learning rate is that of the first; assigned, it is the first's, and the others' change by the same factor.

    Errors: `TypeError` for what is no optimiser, `ValueError` for a parameter that two of them have.

    >>> from chainrule import Var, nn
    >>> x, y = Var(1.0), Var(1.0)
    >>> optimiser = Together(nn.SGD([x], lr=0.1), nn.Adam([y], lr=0.5))
    >>> (x * x + y * y).backward()
    >>> optimiser.step()
    >>> x.value, round(y.value, 6)
    (0.8, 0.5)
    """

    def __init__(self, *optimisers: Optimiser) -> None:
        for position, optimiser in enumerate(optimisers):
            if not isinstance(optimiser, Optimiser) or isinstance(optimiser, Together):
                got = describe(f"optimisers[{position}]", optimiser)
                raise TypeError(f"Together expected optimisers, such as nn.SGD(parameters), but got {got}")
            if isinstance(optimiser, FullBatch):
                got = describe(f"optimisers[{position}]", optimiser)
                raise TypeError(
                    f"Together expected optimisers that move each parameter by its gradient but got {got}, which finds "
                    "a step for all of its parameters at once"
                )
        self.optimisers = optimisers
        self.parameters = checked([p for each in optimisers for p in each.parameters], "Together")
        ends = [0, *itertools.accumulate(len(each.scalars()) for each in optimisers)]
        self._spans = [slice(*span) for span in itertools.pairwise(ends)]

    @property
    def lr(self) -> float:
        """The learning rate of the first optimiser in the next step."""
        return self.optimisers[0].lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        if callable(lr):
            raise TypeError(
                f"Together expected a number but got {describe('lr', lr)}; give each optimiser its schedule"
            )
        rates, first = [each.lr for each in self.optimisers], self._in_range("lr", lr)
        if first and not rates[0]:
            raise ValueError(f"Together expected 0, as the first has, but got {describe('lr', lr)}; set each rate")
        for each, rate in zip(self.optimisers, rates, strict=True):
            each.lr = rate * (first / rates[0]) if first else 0.0
        self.optimisers[0].lr = first

    @property
    def steps(self) -> int:
        """How many steps the first optimiser has taken."""
        return self.optimisers[0].steps

    @steps.setter
    def steps(self, steps: int) -> None:
        more = steps - self.steps
        for each in self.optimisers:
            each.steps += more

    @property
    def memories(self) -> list[Memory]:
        """What is remembered of each parameter: the number of its optimiser, its memory there, zeros to one length."""
        width = max(len(memory) for each in self.optimisers for memory in each.memories)
        return [
            (float(k), *memory, *[0.0] * (width - len(memory)))
            for k, each in enumerate(self.optimisers)
            for memory in each.memories
        ]

    @memories.setter
    def memories(self, memories: list[Memory]) -> None:
        left = iter(memories)
        for each in self.optimisers:
            each.memories = [tuple(next(left)[1 : 1 + len(memory)]) for memory in each.memories]

    def measure(self, loss: float) -> None:
        """Report the loss of an epoch to all optimisers."""
        for each in self.optimisers:
            each.measure(loss)

    def scalars(self) -> tuple[float, ...]:
        """Return the scalars of all optimisers, one after the other."""
        return tuple(itertools.chain.from_iterable(each.scalars() for each in self.optimisers))

    def update(self, value: Any, grad: Any, memory: Memory, /, *scalars: Any) -> tuple[Any, Memory]:
        """Return the new value and memory of one parameter by the rule of its optimiser."""
        number, *own = memory
        if not is_symbolic(number):
            value, *kept = self._by_one(int(number), value, grad, own, scalars)
            return value, (number, *kept)
        # One function moves all parameters in machine code: it computes each rule, and takes the one that is meant.
        chosen = self._by_one(0, value, grad, own, scalars)
        for k in range(1, len(self.optimisers)):
            found = self._by_one(k, value, grad, own, scalars)
            chosen = [where(number == float(k), new, old) for new, old in zip(found, chosen, strict=True)]
        return chosen[0], (number, *chosen[1:])

    def _by_one(self, k: int, value: Any, grad: Any, own: list[Any], scalars: tuple[Any, ...]) -> list[Any]:
        """Return the new value by one optimiser's rule, and the memory at its full length."""
        length = len(self.optimisers[k].memories[0])
        value, kept = self.optimisers[k].update(value, grad, tuple(own[:length]), *scalars[self._spans[k]])
        return [value, *kept, *own[length:]]

    def step(self) -> None:
        """Take the step of each optimiser."""
        for each in self.optimisers:
            each.step()
