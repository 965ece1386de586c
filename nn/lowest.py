"""Watch the losses of epochs: how long ago one was the lowest, and rates that are reduced when that is long ago."""

from __future__ import annotations

import math

from chainrule.data import number_within, whole_number


class Lowest:
    """Count the epochs since one whose loss was lower than all before it by more than `tolerance`.

    Attributes:
        best: that loss.
        since: how many epochs passed after it.

    >>> losses = Lowest(0.5)
    >>> [losses.is_lower(loss) for loss in (3.0, 2.0, 1.8)], losses.best, losses.since
    ([True, True, False], 2.0, 1)
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.best, self.since = math.inf, 0

    def is_lower(self, loss: float) -> bool:
        """Take note of the loss of an epoch; return whether it was lower."""
        if loss < self.best - self.tolerance:
            self.best, self.since = loss, 0
            return True
        self.since += 1
        return False


class Plateau(Lowest):
    """Multiply a rate by `factor` when the loss has not become lower for `patience` epochs.

    Args:
        patience: how many epochs may pass without a loss lower by more than `tolerance`.
        factor: between 0 and 1.
        least: the rate is not reduced below it.
        tolerance: what counts as lower, 0 or above.
    """

    def __init__(self, patience: int = 10, factor: float = 0.5, least: float = 0.0, tolerance: float = 0.0) -> None:
        name = type(self).__name__
        self.patience = whole_number(name, "patience", patience)
        self.factor = number_within(name, "factor", factor, 1.0, zero=False)
        self.least = number_within(name, "least", least)
        super().__init__(number_within(name, "tolerance", tolerance))

    def reduced(self, rate: float, loss: float) -> float:
        """Return the rate after an epoch of this loss, where it was this before."""
        if self.is_lower(loss) or self.since < self.patience:
            return rate
        self.since = 0
        return min(rate, max(self.least, rate * self.factor))
