"""Keep numbers at a size: `LayerNorm` and `RMSNorm`; and let each have a slope of its own: `PReLU`."""

from __future__ import annotations

from typing import Any, final

import chainrule
from chainrule import Var
from chainrule.data import number_within, to_float, whole_number
from chainrule.errors import describe

from ..module import Module
from .rows import Numbers, holds_rows, is_number, of_each, on_rows


@final
class LayerNorm(Module):
    """Move and scale the numbers of a row to mean 0 and variance 1, then by a weight and a bias for each.

    Args:
        size: how many numbers a row has.
        eps: keeps the divisor from 0; above 0.

    Source: Ba, Kiros and Hinton 2016, "Layer Normalization".

    >>> norm = LayerNorm(2)
    >>> [round(x.value, 4) for x in norm([1.0, 3.0])]
    [-1.0, 1.0]
    """

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        self.size = whole_number("LayerNorm", "size", size)
        self.eps = number_within("LayerNorm", "eps", eps, zero=False)
        self.weights = [Var(1.0, label=f"w{k}") for k in range(1, self.size + 1)]
        self.biases = [Var(0.0, label=f"b{k}") for k in range(1, self.size + 1)]

    def __call__(self, x: Any) -> Any:
        """Return a row for a row of `size` numbers, and rows for rows."""
        return on_rows(self._of_one, x, self.size, "LayerNorm")

    def _of_one(self, row: Numbers) -> Any:
        mean = chainrule.mean(row)
        apart = of_each(lambda x: x - mean, row)
        scale = chainrule.rsqrt(_mean_square(apart) + self.eps)
        return of_each(lambda x, weight, bias: x * scale * weight + bias, apart, self.weights, self.biases)

    def __repr__(self) -> str:
        return f"LayerNorm({self.size})"


@final
class RMSNorm(Module):
    """Divide the numbers of a row by the root of their mean square, and multiply each by a weight.

    Args: those of `LayerNorm`.

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".

    >>> norm = RMSNorm(2)
    >>> [round(x.value, 4) for x in norm([3.0, 4.0])]
    [0.8485, 1.1314]
    """

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        self.size = whole_number("RMSNorm", "size", size)
        self.eps = number_within("RMSNorm", "eps", eps, zero=False)
        self.weights = [Var(1.0, label=f"w{k}") for k in range(1, self.size + 1)]

    def __call__(self, x: Any) -> Any:
        """Return a row for a row of `size` numbers, and rows for rows."""
        return on_rows(self._of_one, x, self.size, "RMSNorm")

    def _of_one(self, row: Numbers) -> Any:
        scale = chainrule.rsqrt(_mean_square(row) + self.eps)
        return of_each(lambda x, weight: x * scale * weight, row, self.weights)

    def __repr__(self) -> str:
        return f"RMSNorm({self.size})"


@final
class PReLU(Module):
    """Compute ``x`` above 0 and ``slope * x`` below, with a slope that is learned.

    Args:
        count: how many slopes: 1 for all numbers, or one for each of a row.
        slope: where they begin.

    Source: He, Zhang, Ren and Sun 2015, "Delving deep into rectifiers".

    >>> [x.value for x in PReLU()([2.0, -2.0])]
    [2.0, -0.5]
    """

    def __init__(self, count: int = 1, slope: float = 0.25) -> None:
        self.count = whole_number("PReLU", "count", count)
        self.slopes = [Var(to_float(slope, "PReLU", "slope"), label=f"a{k}") for k in range(1, self.count + 1)]

    def __call__(self, x: Any) -> Any:
        """Return a number for a number, a row for a row, and rows for rows."""
        if holds_rows(x):
            return of_each(self, x)
        if is_number(x):
            return self._of_one(x, self.slopes[0])
        if self.count == 1:
            return of_each(lambda item: self._of_one(item, self.slopes[0]), x)
        if len(x) != self.count:
            raise ValueError(f"PReLU expected {self.count} numbers but got {len(x)} in {describe('x', x)}")
        return of_each(self._of_one, x, self.slopes)

    def _of_one(self, x: Any, slope: Any) -> Any:
        return chainrule.where(x > 0.0, x, slope * x)

    def __repr__(self) -> str:
        return f"PReLU({self.count})"


def _mean_square(row: Numbers) -> Any:
    return chainrule.mean(of_each(chainrule.square, row))
