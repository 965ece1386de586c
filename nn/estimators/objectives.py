"""What an estimator minimises: a loss of scores for machine code, the same for arrays, and what scores mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import chainrule
import numpy

from .. import losses
from ..losses import Loss


class Objective(NamedTuple):
    """A loss, and what belongs to it.

    Attributes:
        loss: the mean over samples of the sum over outputs, of scores and targets; what steps descend.
        each: the same for each sample, of arrays of rows.
        out_activation: the name that scikit-learn has for what becomes of scores in a prediction.
        outputs: how many scores a sample has.
        divisor: what `loss` is divided by where it is reported.
    """

    loss: Loss
    each: Loss
    out_activation: str
    outputs: int
    divisor: int = 1

    def measured(self, scores: Any, targets: Any, weights: Any) -> float:
        """Return the loss that is reported, of arrays; with the weights of samples, or None."""
        rows = scores.reshape(len(scores), -1)
        return float(numpy.average(self.each(rows, targets.reshape(len(rows), -1)), weights=weights)) / self.divisor


def squared_error(outputs: int) -> Objective:
    """Half the squared error; over several outputs, what is reported is their mean, and what is descended their sum.

    >>> squared_error(2).loss([[1.0, 0.0]], [[0.0, 2.0]])
    2.5
    >>> squared_error(2).measured(numpy.array([[1.0, 0.0]]), numpy.array([[0.0, 2.0]]), None)
    1.25
    """
    return Objective(_half_squared, _half_squared_of_each, "identity", outputs, outputs)


def poisson(outputs: int) -> Objective:
    """Half the Poisson deviance of predictions whose logarithms are the scores.

    >>> poisson(1).loss([0.0], [0.0]), poisson(1).loss([0.0], [1.0])
    (1.0, 0.0)
    """
    return Objective(_half_deviance, _half_deviance_of_each, "exp", outputs)


def one_of_several(classes: int) -> Objective:
    """The cross-entropy of one of several classes, each with a score."""
    return Objective(losses.cross_entropy, _surprise_of_each, "softmax", classes)


def yes_or_no(labels: int) -> Objective:
    """The cross-entropy of labels that are each on or off, or of the second of two classes, by one score each.

    >>> yes_or_no(2).loss([[0.0, 1000.0]], [[0.0, 0.0]]) > 1000
    True
    """
    return Objective(_binary, _binary_of_each, "logistic", labels)


def _width(rows: Sequence[Any]) -> int:
    """Return how many scores each row has."""
    return len(rows[0]) if isinstance(rows[0], list | tuple) else 1


def _half_squared(predictions: Any, targets: Any) -> Any:
    return 0.5 * _width(predictions) * losses.mse(predictions, targets)


def _half_squared_of_each(scores: Any, targets: Any) -> Any:
    return 0.5 * ((scores - targets) ** 2).sum(axis=1)


def _half_deviance(predictions: Any, targets: Any) -> Any:
    def of_one(score: Any, target: Any) -> Any:
        return chainrule.exp(score) - target * score + (chainrule.xlogy(target, target) - target)

    several = _width(predictions) > 1
    pairs = zip(predictions, targets, strict=True)
    each = [zip(scores, row, strict=True) if several else [(scores, row)] for scores, row in pairs]
    return chainrule.mean([chainrule.sum([of_one(*pair) for pair in row]) for row in each])


def _half_deviance_of_each(scores: Any, targets: Any) -> Any:
    entropy = targets * numpy.log(numpy.where(targets > 0.0, targets, 1.0))
    return (numpy.exp(scores) - targets * scores + entropy - targets).sum(axis=1)


def _surprise_of_each(scores: Any, targets: Any) -> Any:
    return -log_shares(scores)[numpy.arange(len(scores)), targets[:, 0].astype(int)]


def _binary(predictions: Any, targets: Any) -> Any:
    return _width(predictions) * losses.binary_cross_entropy(predictions, targets, from_logits=True)


def _binary_of_each(scores: Any, targets: Any) -> Any:
    return (numpy.logaddexp(0.0, scores) - targets * scores).sum(axis=1)


def log_shares(scores: Any) -> Any:
    """Return the logarithm of each class's probability, for each row of scores.

    >>> log_shares(numpy.array([[1000.0, 0.0]])).tolist()
    [[0.0, -1000.0]]
    """
    below = scores - scores.max(axis=1, keepdims=True)
    return below - numpy.log(numpy.exp(below).sum(axis=1, keepdims=True))
