"""Measure how far predictions are from classes.

Losses of classes take scores as the network gives them ("logits"), since the probability itself cannot say how sure it
is once it rounds to 0 or 1; `binary_cross_entropy` takes probabilities unless it is told.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import chainrule
from chainrule.data import is_symbolic, number_within
from chainrule.errors import describe

from .items import Scalar, Weights, is_row, items, mean_over, number, weighted_mean

_ROUNDING = 1e-3  # of probabilities that were kept in single precision, or written with few digits


def hinge(scores: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None) -> Scalar:
    """Return the mean of ``max(0, 1 - target * score)``; targets are -1 or 1.

    >>> hinge([2.0, 0.5], [1, -1])
    0.75
    """

    def loss(score: Scalar, target: Scalar) -> Scalar:
        if type(target) is float and target not in (-1.0, 1.0):
            raise ValueError(
                f"hinge expected targets of -1 or 1 but got {describe('target', target)}; "
                "classes 0 and 1 become them by 2 * target - 1"
            )
        return chainrule.relu(1.0 - target * score)

    return mean_over("hinge", scores, targets, loss, weights)


def binary_cross_entropy(
    predictions: Iterable[Any], targets: Iterable[Any], *, from_logits: bool = False, weights: Weights = None
) -> Scalar:
    """Return the mean of ``-target*log(p) - (1-target)*log(1-p)``.

    Args:
        predictions: probabilities from 0 to 1; with `from_logits`, the scores before the sigmoid, which keeps all
            digits where a probability would round to 0 or 1.
        targets: 0, 1 or probabilities between.
        from_logits: what the predictions are.
        weights: how much each sample counts, 0 or above, of which not all are 0; None for alike.

    >>> round(binary_cross_entropy([0.5, 0.9], [0, 1]), 6)
    0.399254
    >>> binary_cross_entropy([1000.0], [0], from_logits=True)
    1000.0
    """
    return _of_two("binary_cross_entropy", predictions, targets, from_logits, weights)


def binary_cross_entropy_with_logits(
    predictions: Iterable[Any], targets: Iterable[Any], *, weights: Weights = None
) -> Scalar:
    """Return `binary_cross_entropy` of scores: under this name `fit` knows it for models without a sigmoid at the end.

    >>> binary_cross_entropy_with_logits([1000.0], [0])
    1000.0
    """
    return _of_two("binary_cross_entropy_with_logits", predictions, targets, True, weights)


def cross_entropy(
    logits: Iterable[Any], target: Any, *, label_smoothing: float = 0.0, weights: Weights = None
) -> Scalar:
    """Return the negative logarithm of the probability that `softmax` of the scores gives to the right class.

    Args:
        logits: the scores of one sample, one for each class; or a list of such rows.
        target: the class, counted from 0, or a row of probabilities, one for each class, such as a 1 among zeros; or
            a list of such targets, one for each row: the mean is returned.
        label_smoothing: the share of a target that is spread evenly over all classes, from 0 to below 1.
        weights: how much each sample counts, 0 or above, of which not all are 0; None for alike.

    Errors: `ValueError` for a class that has no score, for differing lengths and for probabilities that are below 0 or
    do not add up to 1, `TypeError` for a class that is no whole number.

    >>> round(cross_entropy([2.0, 0.0, 0.0], 0), 6)
    0.239545
    >>> cross_entropy([[1000.0, 0.0], [0.0, 1000.0]], [0, 0])
    500.0
    >>> round(cross_entropy([[2.0, 0.0, 0.0]], [[0.5, 0.5, 0.0]]), 6)
    1.239545
    """
    share = number_within("cross_entropy", "label_smoothing", label_smoothing, 1.0)
    rows = items("cross_entropy", "logits", logits)
    if not is_row(target) or (rows and not any(map(is_row, rows))):
        return weighted_mean("cross_entropy", [[_of_one(rows, target, share)]], weights)
    targets = items("cross_entropy", "target", target)
    if len(rows) != len(targets):
        raise ValueError(
            f"cross_entropy expected a class for each row but got {len(rows)} rows and {len(targets)} classes"
        )
    if not rows:
        raise ValueError("cross_entropy expected at least one row but got none")
    each = [
        [_of_one(items("cross_entropy", f"logits[{k}]", row), wanted, share)]
        for k, (row, wanted) in enumerate(zip(rows, targets, strict=True))
    ]
    return weighted_mean("cross_entropy", each, weights)


def _of_two(
    reader: str, predictions: Iterable[Any], targets: Iterable[Any], from_logits: bool, weights: Weights
) -> Scalar:
    def loss(prediction: Scalar, target: Scalar) -> Scalar:
        if type(target) is float and not 0.0 <= target <= 1.0:
            raise ValueError(f"{reader} expected targets from 0 to 1 but got {describe('target', target)}")
        if from_logits:
            # -log(sigmoid(x)) is softplus(-x), and -log(1 - sigmoid(x)) is softplus(x).
            yes, no = chainrule.softplus(-prediction), chainrule.softplus(prediction)
        elif not is_symbolic(prediction) and not 0.0 <= prediction <= 1.0:
            raise ValueError(
                f"{reader} expected predictions from 0 to 1 but got {describe('prediction', prediction)}; "
                'for scores, call it with from_logits=True, or fit with loss="binary_cross_entropy_with_logits"'
            )
        else:
            yes, no = -chainrule.log(prediction), -chainrule.log1p(-prediction)
        if type(target) is float and target in (0.0, 1.0):
            return yes if target else no
        return target * yes + (1.0 - target) * no

    return mean_over(reader, predictions, targets, loss, weights)


def _of_one(scores: list[Any], target: Any, smoothing: float) -> Scalar:
    """Return the loss of one row of scores."""
    if is_row(target):
        shares = _probabilities(scores, items("cross_entropy", "target", target))
        logs = chainrule.log_softmax(scores)
        # What has no share may be infinite.
        found = chainrule.sum([p * log for p, log in zip(shares, logs, strict=True) if is_symbolic(p) or p])
    elif is_symbolic(target):
        logs = chainrule.log_softmax(scores)
        found = chainrule.take(logs, target)
    else:
        position = _position(scores, target)
        logs = chainrule.log_softmax(scores)
        found = logs[position]
    if smoothing:
        found = (1.0 - smoothing) * found + smoothing * chainrule.mean(logs)
    return -found


def _probabilities(scores: list[Any], target: list[Any]) -> list[Scalar]:
    if len(target) != len(scores) or any(map(is_row, scores)):
        raise ValueError(
            f"cross_entropy expected a probability for each score, or a class for each row of scores, but got "
            f"{len(scores)} in {describe('logits', scores)} and {len(target)} in {describe('target', target)}"
        )
    shares = [number("cross_entropy", p) for p in target]
    known = all(type(p) is float for p in shares)
    if known and (min(shares) < 0.0 or abs(sum(shares) - 1.0) > _ROUNDING):
        raise ValueError(
            f"cross_entropy expected probabilities, 0 or above, that add up to 1 but got {describe('target', target)}"
        )
    return shares


def _position(scores: list[Any], target: Any) -> int:
    """Return the class that a target is, checked."""
    try:
        position = operator.index(target)
    except TypeError:
        raise TypeError(f"cross_entropy expected a class counted from 0 but got {describe('target', target)}") from None
    if any(is_row(score) for score in scores):
        raise ValueError(
            f"cross_entropy expected one row of scores for one class but got several rows and "
            f"{describe('target', target)}; give a list of classes, one for each row"
        )
    if not scores:
        raise ValueError("cross_entropy expected at least one score but got none")
    if not 0 <= position < len(scores):
        raise ValueError(
            f"cross_entropy expected a class from 0 to {len(scores) - 1}, as there are {len(scores)} scores, but got "
            f"{describe('target', target)}"
        )
    return position
