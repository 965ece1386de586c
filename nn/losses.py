"""Measure how far predictions are from targets: each loss is one scalar to call `backward()` on.

The losses of numbers take iterables of the same length, nested one level at most and nested alike, and average
over everything in them. The losses of classes take scores as the network gives them ("logits"), since the
probability itself cannot say how sure it is once it rounds to 0 or 1.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import chainrule
from chainrule.data import is_symbolic, number_within, to_float
from chainrule.errors import describe
from chainrule.misspelt import NAMES, advice

Scalar = Any


def mse(predictions: Iterable[Any], targets: Iterable[Any]) -> Scalar:
    """Return the mean of the squared errors.

    Errors: `ValueError` where lengths or nesting differ, or nothing is given.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    >>> mse([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 6.0]])
    1.0
    """
    return _mean_over("mse", predictions, targets, lambda p, t: chainrule.square(p - t))


def mae(predictions: Iterable[Any], targets: Iterable[Any]) -> Scalar:
    """Return the mean of the absolute errors; the derivative at an error of 0 is 0.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return _mean_over("mae", predictions, targets, lambda p, t: chainrule.abs(p - t))


def huber(predictions: Iterable[Any], targets: Iterable[Any], delta: float = 1.0) -> Scalar:
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

    return _mean_over("huber", predictions, targets, loss)


def hinge(scores: Iterable[Any], targets: Iterable[Any]) -> Scalar:
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

    return _mean_over("hinge", scores, targets, loss)


def binary_cross_entropy(predictions: Iterable[Any], targets: Iterable[Any], *, from_logits: bool = False) -> Scalar:
    """Return the mean of ``-target*log(p) - (1-target)*log(1-p)``.

    Args:
        predictions: probabilities from 0 to 1; with `from_logits`, the scores before the sigmoid, which keeps all
            digits where a probability would round to 0 or 1.
        targets: 0, 1 or probabilities between.
        from_logits: what the predictions are.

    >>> round(binary_cross_entropy([0.5, 0.9], [0, 1]), 6)
    0.399254
    >>> binary_cross_entropy([1000.0], [0], from_logits=True)
    1000.0
    """

    def loss(prediction: Scalar, target: Scalar) -> Scalar:
        if type(target) is float and not 0.0 <= target <= 1.0:
            raise ValueError(f"binary_cross_entropy expected targets from 0 to 1 but got {describe('target', target)}")
        if from_logits:
            # -log(sigmoid(x)) is softplus(-x), and -log(1 - sigmoid(x)) is softplus(x).
            yes, no = chainrule.softplus(-prediction), chainrule.softplus(prediction)
        elif not is_symbolic(prediction) and not 0.0 <= prediction <= 1.0:
            raise ValueError(
                f"binary_cross_entropy expected predictions from 0 to 1 but got {describe('prediction', prediction)}; "
                "pass from_logits=True for scores"
            )
        else:
            yes, no = -chainrule.log(prediction), -chainrule.log1p(-prediction)
        if type(target) is float and target in (0.0, 1.0):
            return yes if target else no
        return target * yes + (1.0 - target) * no

    return _mean_over("binary_cross_entropy", predictions, targets, loss)


def cross_entropy(logits: Iterable[Any], target: Any) -> Scalar:
    """Return the negative logarithm of the probability that `softmax` of the scores gives to the right class.

    Args:
        logits: the scores of one sample, one for each class; or a list of such rows.
        target: the class, counted from 0; or a list of classes, one for each row: the mean is returned.

    Errors: `ValueError` for a class that has no score or for differing lengths, `TypeError` for a class that is
    no whole number.

    >>> round(cross_entropy([2.0, 0.0, 0.0], 0), 6)
    0.239545
    >>> cross_entropy([[1000.0, 0.0], [0.0, 1000.0]], [0, 0])
    500.0
    """
    rows = _items("cross_entropy", "logits", logits)
    if not _is_row(target):
        return _cross_entropy_of_one(rows, target)
    classes = _items("cross_entropy", "target", target)
    if len(rows) != len(classes):
        raise ValueError(
            f"cross_entropy expected a class for each row but got {len(rows)} rows and {len(classes)} classes"
        )
    if not rows:
        raise ValueError("cross_entropy expected at least one row but got none")
    return chainrule.mean(
        [
            _cross_entropy_of_one(_items("cross_entropy", f"logits[{k}]", row), class_)
            for k, (row, class_) in enumerate(zip(rows, classes, strict=True))
        ]
    )


def _no_such_class(reader: str, scores: list[Any], name: str, target: Any) -> ValueError:
    return ValueError(
        f"{reader} expected a class from 0 to {len(scores) - 1}, as there are {len(scores)} scores, but got "
        f"{describe(name, target)}"
    )


def _cross_entropy_of_one(scores: list[Any], target: Any) -> Scalar:
    if is_symbolic(target):
        return -chainrule.take(chainrule.log_softmax(scores), target)
    try:
        position = operator.index(target)
    except TypeError:
        raise TypeError(f"cross_entropy expected a class counted from 0 but got {describe('target', target)}") from None
    if any(_is_row(score) for score in scores):
        raise ValueError(
            f"cross_entropy expected one row of scores for one class but got several rows and "
            f"{describe('target', target)}; give a list of classes, one for each row"
        )
    if not scores:
        raise ValueError("cross_entropy expected at least one score but got none")
    if not 0 <= position < len(scores):
        raise _no_such_class("cross_entropy", scores, "target", target)
    return -chainrule.log_softmax(scores)[position]


def _mean_over(
    reader: str, predictions: Iterable[Any], targets: Iterable[Any], loss: Callable[[Scalar, Scalar], Scalar]
) -> Scalar:
    """Return the mean of `loss` over all pairs of a prediction and its target."""
    found, wanted = _items(reader, "predictions", predictions), _items(reader, "targets", targets)
    pairs = []
    for position, (p, t) in enumerate(_zip_same(reader, "", found, wanted)):
        if _is_row(p) != _is_row(t):
            got = f"{describe(f'predictions[{position}]', p)} and {describe(f'targets[{position}]', t)}"
            raise ValueError(f"{reader} expected predictions and targets nested alike but got {got}")
        if _is_row(p):
            place = f"[{position}]"
            pairs += _zip_same(reader, place, _items(reader, place, p), _items(reader, place, t))
        else:
            pairs.append((p, t))
    if not pairs:
        raise ValueError(f"{reader} expected at least one prediction but got none")
    return chainrule.mean([loss(_number(reader, p), _number(reader, t)) for p, t in pairs])


def _zip_same(reader: str, place: str, found: list[Any], wanted: list[Any]) -> list[tuple[Any, Any]]:
    if len(found) != len(wanted):
        where = f" at {place}" if place else ""
        raise ValueError(
            f"{reader} expected as many targets as predictions but got {len(found)} predictions and "
            f"{len(wanted)} targets{where}"
        )
    return list(zip(found, wanted, strict=True))


def _items(reader: str, name: str, values: Any) -> list[Any]:
    if not _is_row(values):
        raise TypeError(f"{reader} expected an iterable of numbers or Vars but got {describe(name, values)}")
    # tolist turns NumPy's own numbers into plain ones, at all depths at once.
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _is_row(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", None) != ()


def _number(reader: str, value: Any) -> Scalar:
    return value if type(value) is float or hasattr(type(value), "__apply__") else to_float(value, reader, "item")


BY_NAME: dict[str, Callable[[Any, Any], Scalar]] = {
    function.__name__: function for function in (mse, mae, huber, hinge, binary_cross_entropy, cross_entropy)
}
"""The losses that `fit` knows by name."""


def find_loss(loss: str | Callable[[Any, Any], Scalar], reader: str = "fit") -> Callable[[Any, Any], Scalar]:
    """Return the loss of that name; a function is returned unchanged.

    >>> find_loss("mse")([1.0], [3.0])
    4.0
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in BY_NAME:
        meant = advice(str(loss).lower(), NAMES, BY_NAME)
        raise ValueError(
            f"{reader} expected a function or one of {', '.join(BY_NAME)} but got {describe('loss', loss)}{meant}"
        )
    return BY_NAME[loss]
