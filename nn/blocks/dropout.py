"""Leave out numbers at random while a model is trained: `Dropout`, and where its random numbers come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, final

import chainrule
from chainrule import no_grad
from chainrule.data import number_within

from ..module import Module
from .rows import is_whole, of_each


@final
class Dropout(Module):
    """While `fit` trains, make each number 0 with probability `rate` and divide the others by ``1 - rate``.

    Anywhere else, in calls, `predict` and measurements, numbers pass unchanged. The random numbers are drawn from the
    stream of `fit`, new ones for each sample of each step, so that graphs and machine code leave out the same.

    Args:
        rate: from 0 to below 1.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, "Dropout: A Simple Way to Prevent Neural
    Networks from Overfitting".

    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Layer(2, 8, seed=0), nn.Dropout(0.5), nn.Layer(8, 1, None, seed=1))
    >>> history = nn.fit(model, [[0.0, 1.0], [1.0, 0.0]], [1.0, -1.0], epochs=50, seed=0)
    >>> model([0.0, 1.0]).value == model([0.0, 1.0]).value
    True
    """

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = number_within("Dropout", "rate", rate, 1.0)

    def __call__(self, x: Any) -> Any:
        """Return `x`, a number, a row or rows, some of its numbers 0 while `fit` trains."""
        draws = _draws.get()
        return x if draws is None or not self.rate else self._thinned(x, draws)

    def _thinned(self, x: Any, draws: _Draws) -> Any:
        if is_whole(x):
            count = math.prod(x.shape)
            kept = of_each(self._kept, x.reshape(count), draws.next(count))
            return kept if len(x.shape) == 1 else kept.reshape(*x.shape)
        if not hasattr(x, "__len__"):
            return self._kept(x, draws.next(1)[0])
        return [self._thinned(item, draws) for item in x]

    def _kept(self, x: Any, draw: Any) -> Any:
        return chainrule.where(draw < self.rate, 0.0, x * (1.0 / (1.0 - self.rate)))

    def __repr__(self) -> str:
        return f"Dropout({self.rate!r})"


@final
class _Draws:
    """Hand out numbers between 0 and 1 in their order."""

    def __init__(self, numbers: Sequence[Any]) -> None:
        self.numbers, self.taken = numbers, 0

    def next(self, count: int) -> Sequence[Any]:
        """Return the next numbers."""
        start, self.taken = self.taken, self.taken + count
        if self.taken > len(self.numbers):
            raise ValueError("fit expected a model that leaves out as many numbers for every row but got more for one")
        return self.numbers[start : self.taken]


class _Endless(Sequence[float]):
    """Zeros without end, to count how many are asked for."""

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, at: Any) -> Any:
        return [0.0] * (at.stop - at.start)


_draws: ContextVar[_Draws | None] = ContextVar("draws", default=None)


@contextmanager
def drawing(numbers: Sequence[Any]) -> Iterator[_Draws]:
    """Make every `Dropout` that is called meanwhile decide by these numbers, in the order of calls."""
    draws = _Draws(numbers)
    token = _draws.set(draws)
    try:
        yield draws
    finally:
        _draws.reset(token)


def draws_of(model: Module, row: Any) -> int:
    """Return how many random numbers `model` takes for a row while it is trained.

    >>> from chainrule import nn
    >>> draws_of(nn.Sequential(nn.Dropout(0.1), nn.Layer(2, 5), nn.Dropout(0.5)), [1.0, 2.0])
    7
    """
    with no_grad(), drawing(_Endless()) as draws:
        model(row)
    return draws.taken
