"""What losses have in common: reading predictions and targets, and the mean over samples, weighted or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import chainrule
from chainrule.data import number_within, to_float
from chainrule.errors import describe

Scalar = Any
Weights = Iterable[float] | None


def mean_over(
    reader: str,
    predictions: Iterable[Any],
    targets: Iterable[Any],
    loss: Callable[[Scalar, Scalar], Scalar],
    weights: Weights = None,
) -> Scalar:
    """Return the mean of `loss` over all pairs of a prediction and its target.

    >>> mean_over("loss", [1.0, 2.0], [0.0, 0.0], lambda p, t: p - t, weights=[3.0, 1.0])
    1.25
    """
    found, wanted = items(reader, "predictions", predictions), items(reader, "targets", targets)
    samples = []
    for position, (p, t) in enumerate(zip_same(reader, "", found, wanted)):
        if is_row(p) != is_row(t):
            got = f"{describe(f'predictions[{position}]', p)} and {describe(f'targets[{position}]', t)}"
            advice = '; loss="cross_entropy" takes a class for each row of scores' if _is_class(t, p) else ""
            raise ValueError(f"{reader} expected predictions and targets nested alike but got {got}{advice}")
        place = f"[{position}]"
        pairs = zip_same(reader, place, items(reader, place, p), items(reader, place, t)) if is_row(p) else [(p, t)]
        samples.append([(number(reader, p), number(reader, t)) for p, t in pairs])
    return weighted_mean(reader, [[loss(*pair) for pair in pairs] for pairs in samples], weights)


def weighted_mean(reader: str, losses: Sequence[Sequence[Scalar]], weights: Weights) -> Scalar:
    """Return the mean over all losses of all samples, each of which counts as much as the weight of its sample.

    >>> weighted_mean("loss", [[1.0, 3.0], [5.0]], None), weighted_mean("loss", [[1.0], [5.0]], [1.0, 3.0])
    (3.0, 4.0)
    """
    if not any(losses):
        raise ValueError(f"{reader} expected at least one prediction but got none")
    if weights is None:
        return chainrule.mean([loss for each in losses for loss in each])
    shares = [number_within(reader, f"weights[{k}]", w) for k, w in enumerate(items(reader, "weights", weights))]
    total = sum(share * len(each) for share, each in zip(shares, losses, strict=False))
    if len(shares) != len(losses) or not total:
        raise ValueError(
            f"{reader} expected a weight for each of {len(losses)} samples, not all 0, but got {len(shares)} of sum "
            f"{sum(shares)}"
        )
    # What counts nothing may be infinite.
    pairs = zip(shares, losses, strict=True)
    return chainrule.sum([share / total * loss for share, each in pairs if share for loss in each])


def zip_same(reader: str, place: str, found: list[Any], wanted: list[Any]) -> list[tuple[Any, Any]]:
    """Return pairs of two lists of one length; `place` is where they stand.

    >>> zip_same("mse", "", [1.0], [2.0])
    [(1.0, 2.0)]
    """
    if len(found) != len(wanted):
        where = f" at {place}" if place else ""
        raise ValueError(
            f"{reader} expected as many targets as predictions but got {len(found)} predictions and "
            f"{len(wanted)} targets{where}"
        )
    return list(zip(found, wanted, strict=True))


def items(reader: str, name: str, values: Any) -> list[Any]:
    """Return what an iterable holds, as a list.

    >>> items("mse", "predictions", (1.0, 2.0))
    [1.0, 2.0]
    """
    if not is_row(values):
        raise TypeError(f"{reader} expected an iterable of numbers or Vars but got {describe(name, values)}")
    # tolist turns NumPy's own numbers into plain ones, at all depths at once.
    return values.tolist() if hasattr(values, "tolist") else list(values)


def is_row(value: Any) -> bool:
    """Return whether a value holds several numbers.

    >>> is_row([1.0]), is_row(1.0)
    (True, False)
    """
    return isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", None) != ()


def _is_class(target: Any, scores: Any) -> bool:
    """Return whether a target may be the class of a row of scores."""
    return isinstance(target, int | float) and target in range(len(scores)) and len(scores) > 1


def number(reader: str, value: Any) -> Scalar:
    """Return a number as it is calculated with: a float, a Var, or one that is traced.

    >>> number("mse", 1)
    1.0
    """
    return value if type(value) is float or hasattr(type(value), "__apply__") else to_float(value, reader, "item")
