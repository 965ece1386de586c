"""Measure how far numbers are from targets: each loss is one scalar to call `backward()` on.

They take iterables of the same length, nested one level at most and nested alike, and average over everything in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import chainrule
from chainrule.data import number_within
from chainrule.errors import describe

from .items import Scalar, Weights, is_row, items, mean_over, number, weighted_mean, zip_same


def mse(predictions: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None) -> Scalar:
    """Return the mean of the squared errors.

    Args:
        predictions, targets: of each sample a number, or a row of them.
        weights: how much each sample counts, 0 or above, of which not all are 0; None for alike.

    Errors: `ValueError` where lengths or nesting differ, or nothing is given.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    >>> mse([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 6.0]])
    1.0
    """
    return mean_over("mse", predictions, targets, lambda p, t: chainrule.square(p - t), weights)


def mae(predictions: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None) -> Scalar:
    """Return the mean of the absolute errors; the derivative at an error of 0 is 0.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return mean_over("mae", predictions, targets, lambda p, t: chainrule.abs(p - t), weights)


def huber(predictions: Iterable[Any], targets: Iterable[Any], delta: float = 1.0, *, weights: Weights = None) -> Scalar:
    """Return the mean of half the squared errors, continued as straight lines beyond `delta`.

    Source: Huber 1964, "Robust estimation of a location parameter".

    >>> huber([0.5, 3.0], [0.0, 0.0])
    1.3125
    """
    delta = number_within("huber", "delta", delta, zero=False)

    def loss(p: Scalar, t: Scalar) -> Scalar:
        # Within delta, bounded is the error itself: error**2 / 2. Beyond it: delta * (|error| - delta / 2).
        error = p - t
        bounded = chainrule.clip(error, -delta, delta)
        return bounded * (error - 0.5 * bounded)

    return mean_over("huber", predictions, targets, loss, weights)


def log_cosh(predictions: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None) -> Scalar:
    """Return the mean of ``log(cosh(error))``: half the square of small errors, straight lines for large ones.

    >>> round(log_cosh([1.0, 1000.0], [0.0, 0.0]), 6)
    499.870317
    """

    def loss(p: Scalar, t: Scalar) -> Scalar:
        # cosh(x) - 1 is 2 * sinh(x / 2)**2, which keeps all digits near 0; beyond 20 there is nothing but the line.
        error = p - t
        bounded = chainrule.clip(error, -20.0, 20.0)
        near = chainrule.log1p(2.0 * chainrule.square(chainrule.sinh(0.5 * bounded)))
        return near + (chainrule.abs(error) - chainrule.abs(bounded))

    return mean_over("log_cosh", predictions, targets, loss, weights)


def quantile(predictions: Iterable[Any], targets: Iterable[Any], q: float = 0.5, *, weights: Weights = None) -> Scalar:
    """Return the mean of ``q * error`` for targets above the prediction, and ``(1 - q) * error`` for those below.

    The best prediction is the quantile: a share `q` of targets lies below it. Called "pinball loss" too. In `fit`, the
    loss for another share is ``functools.partial(nn.quantile, q=0.9)``.

    Args:
        q: the share, between 0 and 1.

    Source: Koenker and Bassett 1978, "Regression Quantiles".

    >>> quantile([0.0, 0.0], [1.0, -1.0], q=0.75)
    0.5
    """
    share = number_within("quantile", "q", q, 1.0, zero=False)

    def loss(p: Scalar, t: Scalar) -> Scalar:
        # q * max(e, 0) + (1 - q) * max(-e, 0); as |e| / 2 + (q - 1/2) * e the derivative at 0 is that of the middle.
        error = t - p
        return 0.5 * chainrule.abs(error) + (share - 0.5) * error

    return mean_over("quantile", predictions, targets, loss, weights)


def poisson(predictions: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None) -> Scalar:
    """Return the mean of ``exp(prediction) - target * prediction``: for counts, of which logarithms are predicted.

    That is the negative logarithm of the probability of each count, up to what depends on the count alone.

    >>> round(poisson([0.0, 1.0], [1, 2]), 6)
    0.859141
    """

    def loss(p: Scalar, t: Scalar) -> Scalar:
        if type(t) is float and t < 0.0:
            raise ValueError(f"poisson expected counts, 0 or above, but got {describe('target', t)}")
        return chainrule.exp(p) - t * p

    return mean_over("poisson", predictions, targets, loss, weights)


def gaussian(predictions: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None) -> Scalar:
    """Return the mean of ``(s + (target - mean)**2 / exp(s)) / 2``, of a predicted mean and log variance s.

    That is the negative logarithm of the normal density, up to a constant: a model of two outputs learns how sure it
    can be.

    Args:
        predictions: for each sample a row: the mean of its target, or of each number of it, then as many log variances.
        targets: numbers, or rows of them.

    Source: Nix and Weigend 1994, "Estimating the mean and variance of the target probability distribution".

    >>> gaussian([[1.0, 0.0], [2.0, 0.0]], [1.0, 4.0])
    1.0
    """
    found, wanted = items("gaussian", "predictions", predictions), items("gaussian", "targets", targets)
    losses = []
    for position, (p, t) in enumerate(zip_same("gaussian", "", found, wanted)):
        numbers = items("gaussian", f"predictions[{position}]", p)
        of_target = items("gaussian", f"targets[{position}]", t) if is_row(t) else [t]
        count = len(of_target)
        if len(numbers) != 2 * count:
            raise ValueError(
                f"gaussian expected a mean and a log variance for each of {count} numbers but got {len(numbers)} in "
                f"{describe(f'predictions[{position}]', p)}"
            )
        parts = zip(numbers[:count], numbers[count:], of_target, strict=True)
        losses.append([_gaussian(*[number("gaussian", part) for part in each]) for each in parts])
    return weighted_mean("gaussian", losses, weights)


def _gaussian(mean: Scalar, log_variance: Scalar, target: Scalar) -> Scalar:
    return 0.5 * (log_variance + chainrule.square(target - mean) * chainrule.exp(-log_variance))
