"""Minimise a sum of squares over all samples by the Jacobian of its errors: `LevenbergMarquardt`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, final

from chainrule import Var

from .full_batch import Array, FullBatch, Problem

_TRIALS = 40  # dampings in one iteration
_GRAIN = 2.0**-52


@final
class LevenbergMarquardt(FullBatch):
    """Solve in each iteration the least squares that errors are near the parameters, damped so that moves stay near.

    For the loss "mse" and up to some thousand parameters: few iterations reach what gradients need thousands of steps
    for. The normal equations are solved, and corrected by what the Jacobian itself leaves of the errors.

    Args:
        parameters, weight_decay, tolerance: those of `FullBatch`.
        damping: the first one, relative to the greatest sum of squared derivatives; above 0.

    Source: Marquardt 1963, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", with the damping of
    Nielsen 1999, "Damping Parameter in Marquardt's Method".

    >>> from chainrule import nn
    >>> model = nn.MLP(1, [4, 1], seed=1)
    >>> rows = [k / 10 for k in range(11)]
    >>> history = nn.fit(model, rows, [x * x for x in rows], optimiser=nn.LevenbergMarquardt, epochs=30)
    >>> history.loss[-1] < 1e-7
    True
    """

    def __init__(
        self,
        parameters: Iterable[Var],
        damping: float = 1e-3,
        weight_decay: float | Sequence[float] = 0.0,
        tolerance: float = 1e-10,
    ) -> None:
        super().__init__(parameters, weight_decay, tolerance)
        self.damping = self._in_range("damping", damping, zero=False)
        self.current = 0.0  # the damping of the next iteration; 0 before the first
        self.growth = 2.0  # by which it grows next

    def iterate(self, problem: Problem) -> float:
        """Take one iteration; return the loss before it."""
        np, start = self._np, problem.values
        errors, slopes = problem.errors_and_slopes()
        loss = float(errors @ errors)
        if not math.isfinite(loss) or not np.isfinite(slopes).all():
            return loss if not math.isfinite(loss) else math.nan
        # The penalty is one more error for each parameter.
        roots = np.sqrt(0.5 * np.array(self.decays))
        if roots.any():
            errors, slopes = np.concatenate([errors, roots * start]), np.concatenate([slopes, np.diag(roots)])
        total, gradient = float(errors @ errors), slopes.T @ errors
        self.has_converged = bool(2.0 * np.abs(gradient).max() <= self.tolerance)
        if self.has_converged:
            return loss
        if not self.current:
            self.current = self.damping * float((slopes * slopes).sum(axis=0).max())
        products = slopes.T @ slopes
        for _ in range(_TRIALS):
            move = self._solved(slopes, products, gradient)
            if float(np.abs(move).max()) <= _GRAIN * float(np.abs(start).max()):
                break
            after = self._total(problem, start + move, roots)
            if after < total:
                gain = (total - after) / float(move @ (self.current * move - gradient))
                self.current *= max(1.0 / 3.0, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3)
                self.growth = 2.0
                return loss
            self.current *= self.growth
            self.growth *= 2.0
        problem.move(start)
        self.has_converged = True  # no descent is left that rounding would show
        return loss

    def _solved(self, slopes: Array, products: Array, gradient: Array) -> Array:
        """Return the move that minimises the squares of ``errors + slopes @ move`` and of the damped move."""
        np, damping = self._np, self.current
        damped = products + damping * np.eye(len(products))
        try:
            move = np.linalg.solve(damped, -gradient)
            # What the products of slopes have lost to rounding, the slopes themselves give back.
            rest = gradient + slopes.T @ (slopes @ move) + damping * move
            return move - np.linalg.solve(damped, rest)
        except np.linalg.LinAlgError:
            return np.full_like(gradient, math.inf)  # too far

    def _total(self, problem: Problem, values: Array, roots: Array) -> float:
        if not self._np.isfinite(values).all():
            return math.inf
        problem.move(values)
        try:
            errors = problem.errors()
        except (ValueError, ArithmeticError):
            return math.inf  # too far
        penalty: Any = roots * values
        total = float(errors @ errors + penalty @ penalty)
        return total if math.isfinite(total) else math.inf
