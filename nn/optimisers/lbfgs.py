"""Minimise a smooth loss over all samples by what the last gradients tell of its curvature: `LBFGS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

from chainrule import Var
from chainrule.data import whole_number

from .full_batch import Array, FullBatch, Problem

_ENOUGH, _FLAT = 1e-4, 0.9  # the conditions of Wolfe: of the promised descent, and of the slope that may be left
_TRIALS = 30  # of lengths in one iteration
_GRAIN = 64 * 2.0**-52  # a relative descent below it is rounding


@final
class LBFGS(FullBatch):
    """Quasi-Newton steps over all samples, with the curvature seen in the last few of them: limited-memory BFGS.

    Each iteration looks for a length that meets Wolfe's strong conditions. It is written here, not taken from SciPy,
    whose minimisation is one call that keeps the steps it remembers to itself: taken one by one, iterations can be
    checkpointed and resumed, and callbacks, patience and Ctrl-C work as ever. `MLPClassifier` and `MLPRegressor`, whose
    parameters mean what they do in scikit-learn, call SciPy's, as that does.

    Args:
        parameters, weight_decay, tolerance: those of `FullBatch`.
        memory: how many of the last steps are remembered.

    Source: Nocedal and Wright 2006, "Numerical Optimization", algorithms 7.4, 3.5 and 3.6.

    >>> from chainrule import nn
    >>> model = nn.MLP(1, [4, 1], seed=1)
    >>> rows = [k / 10 for k in range(11)]
    >>> history = nn.fit(model, rows, [x * x for x in rows], optimiser=nn.LBFGS, epochs=100)
    >>> history.loss[-1] < 1e-5
    True
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        memory: int = 10,
        weight_decay: float | Sequence[float] = 0.0,
        tolerance: float = 1e-8,
    ) -> None:
        super().__init__(parameters, weight_decay, tolerance)
        self.memory = whole_number("LBFGS", "memory", memory)
        self.pairs: list[list[list[float]]] = []  # the last moves, and how the slopes changed

    def iterate(self, problem: Problem) -> float:
        """Take one iteration; return the loss before it."""
        np, start = self._np, problem.values
        self.has_converged = False
        loss, total, slopes = self._at(problem, start)
        if not math.isfinite(total) or not np.isfinite(slopes).all():
            return loss
        self.has_converged = bool(np.abs(slopes).max() <= self.tolerance)
        if self.has_converged:
            return loss
        steepest = -slopes / max(1.0, float(np.abs(slopes).sum()))
        direction = self._direction(slopes) if self.pairs else steepest
        if not direction @ slopes < 0.0:
            self.pairs, direction = [], steepest
        found = self._search(problem, start, total, slopes, direction)
        if found is None and self.pairs:
            self.pairs = []
            found = self._search(problem, start, total, slopes, steepest)
        if found is None:
            problem.move(start)
            self.has_converged = True  # no descent is left that rounding would show
            return loss
        values, _, after, changed = found
        problem.move(values)
        problem.known = found
        move, change = values - start, changed - slopes
        if move @ change > 1e-12 * float(np.sqrt((move @ move) * (change @ change))):
            self.pairs = [*self.pairs, [move.tolist(), change.tolist()]][-self.memory :]
        self.has_converged = total - after <= _GRAIN * max(abs(total), abs(after)) or bool(
            np.abs(changed).max() <= self.tolerance
        )
        return loss

    def _at(self, problem: Problem, values: Array) -> tuple[float, float, Array]:
        """Return the loss, the loss with `weight_decay` and the derivatives of this, which may be known already."""
        known = problem.known
        if known is None or not self._np.array_equal(known[0], values):
            known = problem.known = self._computed(problem, values)
        loss, total, slopes = known[1:]
        return loss, total, slopes

    def _computed(self, problem: Problem, values: Array) -> tuple[Array, float, float, Array]:
        problem.move(values)
        loss, slopes = problem.loss_and_slopes()
        total = loss + float(self._penalty(values).sum())
        return values, loss, total, slopes + self._np.array(self.decays) * values

    def _direction(self, slopes: Array) -> Array:
        """Return minus the slopes times the inverse of the curvature that the pairs tell of: two loops over them."""
        np, left, shares = self._np, -slopes, []
        pairs = [(np.array(move), np.array(change)) for move, change in self.pairs]
        for move, change in reversed(pairs):
            share = (move @ left) / (move @ change)
            shares.append(share)
            left = left - share * change
        move, change = pairs[-1]
        left = left * ((move @ change) / (change @ change))
        for (move, change), share in zip(pairs, reversed(shares), strict=True):
            left = left + (share - (change @ left) / (move @ change)) * move
        return left

    def _search(self, problem: Problem, start: Array, total: float, slopes: Array, direction: Array) -> Any:
        """Return what was computed at a length that meets the conditions, or at the best; None for no descent."""
        seen: list[Any] = []

        def at(length: float) -> tuple[float, float]:
            try:
                found = self._computed(problem, start + length * direction)
            except (ValueError, ArithmeticError):
                return math.inf, math.inf  # too far, such as to probabilities that are nan
            if not math.isfinite(found[2]) or not self._np.isfinite(found[3]).all():
                return math.inf, math.inf
            seen.append(found)
            return found[2], float(found[3] @ direction)

        try:
            is_met = _meets(at, total, float(slopes @ direction))
        except BaseException:  # such as Ctrl-C: no trial is left behind
            problem.move(start)
            raise
        if is_met:
            return seen[-1]
        best = min(seen, key=lambda found: found[2], default=None)
        return best if best is not None and best[2] < total else None


def _meets(at: Callable[[float], tuple[float, float]], total: float, slope: float) -> bool:
    """Look for a length that meets the strong conditions of Wolfe; return whether the last one asked for does.

    Args:
        at: returns loss and slope at a length.
        total, slope: those at 0.

    >>> asked = []
    >>> def parabola(length):
    ...     asked.append(length)
    ...     return (length - 3.0) ** 2, 2.0 * (length - 3.0)
    >>> _meets(parabola, 9.0, -6.0), asked
    (True, [1.0])
    """
    low, high, length = (0.0, total, slope), None, 1.0
    for _ in range(_TRIALS):
        trial = (length, *at(length))
        ahead = 1.0 if high is None else high[0] - low[0]
        if trial[1] > total + _ENOUGH * length * slope or (low[0] and trial[1] >= low[1]) or trial[1] == math.inf:
            high = trial
        elif abs(trial[2]) <= -_FLAT * slope:
            return True
        elif trial[2] * ahead >= 0.0:
            high, low = low, trial
        else:
            low = trial
        length = 2.0 * length if high is None else _between(low, high)
        if high is not None and length in (low[0], high[0]):
            return False  # no number lies between them, as at a kink
    return False


def _between(low: tuple[float, float, float], high: tuple[float, float, float]) -> float:
    """Return where the cubic through two values with their slopes is least, not too near to either end."""
    (a, value, slope), (b, other, change) = low, high
    middle = 0.5 * (a + b)
    if math.isinf(other):
        return middle
    width = b - a
    bend = slope + change - 3.0 * (other - value) / width
    root = bend * bend - slope * change
    if not root >= 0.0:
        return middle
    root = math.copysign(math.sqrt(root), width)
    divisor = change - slope + 2.0 * root
    share = 1.0 - (change + root - bend) / divisor if divisor else 0.5
    return a + min(0.9, max(0.1, share)) * width if share == share else middle
