"""Compute losses and metrics of predictions: over many samples as arrays, the loss as machine code."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import chainrule
from chainrule import no_grad
from chainrule.data import plain

from . import losses
from .metrics import Metric, accuracy, as_float, mean_of, r2, rmse

_MANY = 200  # samples whose loss is computed as machine code
TRIED = 32  # samples at most, whose loss is compared with those of single ones
_SAME = 1e-9  # of the greatest loss of a sample: sums in another order differ by rounding
_MOST = 32  # different targets that are tried on a loss; of more, the least and the greatest


def measured(
    metrics: Mapping[str, Metric],
    targets: Sequence[Any],
    predictions: Sequence[Any],
    weights: Sequence[float] | None = None,
    threshold: float | None = None,
) -> dict[str, float]:
    """Return the value of each metric; those that take ``sample_weight`` get the weights, losses get them by sample.

    Functions of the user's own get lists, also where targets and predictions are arrays.

    >>> measured({"mae": losses.mae, "accuracy": accuracy}, [0, 1], [0.25, 0.5], threshold=0.5)
    {'mae': 0.375, 'accuracy': 0.5}
    """
    found = {}
    for name, metric in metrics.items():
        if is_ours(metric):
            found[name] = loss_of(metric, predictions, targets, weights)
            continue
        options: dict[str, Any] = {"threshold": threshold} if metric is accuracy else {}
        if weights is not None and _takes_weights(metric):
            options["sample_weight"] = weights
        if metric not in (accuracy, r2, rmse):
            targets, predictions = plain(targets), plain(predictions)
        found[name] = as_float(name, metric(targets, predictions, **options))
    return found


def loss_of(
    loss: losses.Loss, predictions: Sequence[Any], targets: Sequence[Any], weights: Sequence[float] | None = None
) -> float:
    """Return a loss as a number; with weights, the mean of those of single samples.

    >>> loss_of(losses.mse, [1.0, 2.0], [0.0, 0.0], [3.0, 1.0])
    1.75
    """
    each = _of_samples(loss, predictions, targets)
    if each is not None:
        return mean_of("the loss", each, weights)
    predictions, targets = plain(predictions), plain(targets)
    if weights is None:
        return as_float("loss", loss(predictions, targets))
    return mean_of(
        "the loss", [as_float("loss", loss([p], [t])) for p, t in zip(predictions, targets, strict=True)], weights
    )


def many(rows: Sequence[Any]) -> Any:
    """Return samples as an array, where they are many and NumPy is loaded; else unchanged.

    >>> many([1.0, 2.0])
    [1.0, 2.0]
    """
    numpy = sys.modules.get("numpy")
    return rows if numpy is None or len(rows) < _MANY else numpy.array(rows)


def is_ours(loss: Any) -> bool:
    """Return whether a function is a loss of ``nn``, perhaps with options: a mean over samples, predictions first.

    >>> is_ours(losses.mse), is_ours(functools.partial(losses.huber, delta=2.0)), is_ours(max)
    (True, True, False)
    """
    return (loss.func if isinstance(loss, functools.partial) else loss) in losses.BY_NAME.values()


def try_targets(loss: losses.Loss, prediction: Any, targets: Sequence[Any]) -> None:
    """Call a loss of ``nn`` with each different target, and one prediction: a class that has no score is refused.

    Errors: those of the loss.

    >>> try_targets(losses.cross_entropy, [0.5, 0.5], [0, 1, 2])
    Traceback (most recent call last):
    ValueError: cross_entropy expected a class from 0 to 1, as there are 2 scores, but got target=2 (int)
    """
    if not is_ours(loss):
        return  # one of the user's own may ask for more than one sample
    with no_grad():
        for target in _different(targets):
            loss([prediction], [target])


def try_weights(loss: losses.Loss, predictions: Sequence[Any], targets: Sequence[Any], reader: str = "fit") -> None:
    """Refuse a loss of the user's own that is no mean over samples, where samples have weights.

    With weights the loss is the weighted mean of the losses of single samples; of another kind, such as a sum or a
    correlation, that would be another loss.

    Args:
        loss, predictions, targets: of some samples.
        reader: who asks.

    Errors: `ValueError`, and those of the loss.

    >>> try_weights(lambda p, t: sum(p), [1.0, 2.0], [0.0, 0.0])
    Traceback (most recent call last):
    ValueError: fit expected a loss that is a mean over samples, as there are weights, but got one that is 3 over 2 \
samples, of which those of single samples have the mean 1.5
    """
    if is_ours(loss):
        return
    with no_grad():
        whole = as_float("loss", loss(predictions, targets))
        try:
            each = [as_float("loss", loss([p], [t])) for p, t in zip(predictions, targets, strict=True)]
        except (ValueError, ArithmeticError) as error:
            raise ValueError(
                f"{reader} expected a loss that is a mean over samples, as there are weights, but of a single sample "
                f"it is an error: {error}"
            ) from error
    mean = sum(each) / len(each)
    if not math.isfinite(whole) or math.isclose(whole, mean, rel_tol=0.0, abs_tol=_SAME * max(map(abs, each))):
        return  # what is not finite, training tells
    raise ValueError(
        f"{reader} expected a loss that is a mean over samples, as there are weights, but got one that is {whole:.6g} "
        f"over {len(each)} samples, of which those of single samples have the mean {mean:.6g}"
    )


def _different(targets: Sequence[Any]) -> list[Any]:
    if isinstance(targets[0], list):
        found = list({tuple(target): target for target in targets}.values())
        return found if len(found) <= _MOST else found[:1]
    distinct = set(targets)
    return sorted(distinct) if len(distinct) <= _MOST else [min(distinct), max(distinct)]


def _of_samples(loss: losses.Loss, predictions: Any, targets: Any) -> Any:
    """Return the loss of each sample as an array; None where they are few, or the loss may be no mean over samples."""
    numpy = sys.modules.get("numpy")
    if numpy is None or len(predictions) < _MANY or len(predictions) != len(targets) or not is_ours(loss):
        return None
    try:
        pair = [numpy.asarray(part) for part in (predictions, targets)]
    except (TypeError, ValueError):
        return None  # the loss tells what is wrong
    if any(part.dtype.kind not in "biuf" or part.ndim > 2 for part in pair):
        return None
    p, t = (part.astype(float) for part in pair)
    with no_grad():
        each = _by_sample(loss)(p, t)
    # Where something is not finite, the loss tells what is wrong.
    return each if numpy.isfinite(each).all() else None


@functools.lru_cache(maxsize=32)
def _by_sample(loss: losses.Loss) -> Any:
    """Return the loss as a function of arrays of predictions and targets, compiled."""
    return chainrule.compile(lambda prediction, target: loss([prediction], [target]), batch=("prediction", "target"))


def _takes_weights(metric: Metric) -> bool:
    try:
        return "sample_weight" in inspect.signature(metric).parameters
    except ValueError:  # a function that does not tell
        return False
