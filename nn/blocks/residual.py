"""Add to an input what layers make of it: `Residual`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, final

from chainrule.errors import describe

from ..layers import Sequential
from ..module import Module
from .rows import holds_rows, is_number, of_each


@final
class Residual(Module):
    """Compute ``x + f(x)``, where `f` is one or several stages as for `Sequential`, which keep the shape of `x`.

    Source: He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image Recognition".

    >>> Residual(lambda row: [2.0 * x for x in row])([1.0, 2.0])
    [3.0, 6.0]
    """

    def __init__(self, *stages: Callable[[Any], Any]) -> None:
        self.inner = Sequential(*stages)

    def __call__(self, x: Any) -> Any:
        """Return the sum of `x`, a number, a row or rows, and what the stages make of it."""
        return _sum(x, self.inner(x))

    def __repr__(self) -> str:
        return repr(self.inner).replace("Sequential", "Residual", 1)


def _sum(x: Any, y: Any) -> Any:
    if is_number(x):
        return x + y
    if is_number(y):
        y = [y]  # the only number of a row, as layers give it
    if len(x) != len(y) or holds_rows(x) != holds_rows(y):
        raise ValueError(
            f"Residual expected stages that keep {len(x)} numbers or rows but got {len(y)}: {describe('f(x)', y)}"
        )
    return of_each(_sum if holds_rows(x) else operator.add, x, y)
