"""Measure how well a model does, in numbers that are no losses: `accuracy`, `r2`, `rmse`, or functions of your own.

A metric is a function of targets and predictions, in this order, as in scikit-learn and Keras; losses take predictions
first. Those of one number each, of two classes, are told apart by a border that the loss decides: see `border`.
"""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chainrule import Var
from chainrule.data import plain, to_float
from chainrule.errors import describe
from chainrule.misspelt import NAMES, advice

from . import losses

Metric = Callable[..., Any]

_CLOSE = 1e-9
_OFF = 1e-6  # from 1, of the sum of probabilities
_MANY = 200  # samples that are taken as arrays
_COLUMNS = ("epoch", "loss", "validation_loss", "learning_rate", "seconds")  # that a history has besides metrics


def accuracy(targets: Any, predictions: Any, *, threshold: float | None = None, sample_weight: Any = None) -> float:
    """Return the share of samples whose class is predicted.

    Args:
        targets: classes counted from 0, or rows of probabilities, where predictions are rows; where they are numbers,
            two classes on both sides of `threshold`, or the lower one on it, such as -1 and 1 or 0 and 1.
        predictions: a row of scores for each sample, of which the greatest tells the class; or one number for each, or
            a row of one, which tells one of two classes by whether it is above `threshold`.
        threshold: 0 for scores, 0.5 for probabilities; None for 0.5 where all targets and predictions lie from 0 to 1,
            else 0. `fit` and `Module.evaluate` know it from the loss.
        sample_weight: how much each sample counts; None for alike.

    Errors: `ValueError` for a target of a row that is no class with a score, for more than two classes where
    predictions are numbers, and for differing lengths.

    >>> accuracy([1, -1, -1, -1], [0.3, -2.0, 0.1, -0.5])
    0.75
    >>> accuracy([1, 0], [[0.1, 2.0], [3.0, 1.0]])
    1.0
    """
    arrays = _arrays(targets, predictions)
    hits: Any = None if arrays is None else _hits(*arrays, threshold)
    if hits is not None:
        return mean_of("accuracy", hits, sample_weight)
    wanted, found = _pairs("accuracy", targets, predictions)
    if isinstance(found[0], list):
        hits = [_is_hit(k, target, scores) for k, (target, scores) in enumerate(zip(wanted, found, strict=True))]
    else:
        wanted, found = _numbers("accuracy", "targets", wanted), _numbers("accuracy", "predictions", found)
        check_two_classes(wanted)
        if threshold is None:
            threshold = 0.5 if all(0.0 <= number <= 1.0 for number in [*wanted, *found]) else 0.0
        hits = [(score > threshold) == (target > threshold) for target, score in zip(wanted, found, strict=True)]
    return mean_of("accuracy", hits, sample_weight)


def r2(targets: Any, predictions: Any, *, sample_weight: Any = None) -> float:
    """Return the share of the targets' variance that is explained: 1 at best, 0 for their mean, below 0 for worse.

    Rows of several numbers count column by column, of which the mean is returned. Targets that are all the same give
    1 where they are met and else 0, as in scikit-learn.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    shares = []
    for t, p in _columns("r2", targets, predictions):
        mean = mean_of("r2", t, sample_weight)
        rest = mean_of("r2", _squares(t, p), sample_weight)
        spread = mean_of("r2", _squares(t, mean), sample_weight)
        shares.append(1.0 - rest / spread if spread else float(rest == 0.0))
    return sum(shares) / len(shares)


def rmse(targets: Any, predictions: Any, *, sample_weight: Any = None) -> float:
    """Return the root of the mean squared error, which has the targets' unit.

    >>> rmse([1.0, 2.0], [4.0, 6.0]) == math.sqrt(12.5)
    True
    """
    squares = [mean_of("rmse", _squares(t, p), sample_weight) for t, p in _columns("rmse", targets, predictions)]
    return math.sqrt(sum(squares) / len(squares))


_BY_NAME: dict[str, Metric] = {"accuracy": accuracy, "r2": r2, "rmse": rmse}


def find_metrics(metrics: Any, reader: str) -> dict[str, Metric]:
    """Return metrics by name: of one name, a list of names and functions, or a dict of them.

    Errors: `ValueError` for two of one name, and for a name that a history calls something else by.

    >>> list(find_metrics(["accuracy", "mae"], "fit"))
    ['accuracy', 'mae']
    """
    if metrics is None:
        return {}
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Mapping):
        if not isinstance(metrics, Iterable):
            raise TypeError(
                f"{reader} expected names of metrics, such as ['accuracy'], or a dict of functions by name but got "
                f"{describe('metrics', metrics)}"
            )
        pairs = [(item if isinstance(item, str) else name_of(item), item) for item in metrics]
    else:
        pairs = [(str(name), metric) for name, metric in metrics.items()]
    found: dict[str, Metric] = {}
    for name, item in pairs:
        metric = _found(item, f"metrics[{name!r}]", reader)
        if found.setdefault(name, metric) is not metric:
            raise ValueError(
                f"{reader} expected a different name for each metric but got {name!r} twice; give a dict of them by "
                "name"
            )
        if name in _COLUMNS:
            raise ValueError(
                f"{reader} expected other names of metrics than {', '.join(_COLUMNS)} but got {name!r}; give a dict of "
                "them by name"
            )
    return found


def name_of(function: Any) -> str:
    """Return the name of a function, with options or without, or of a class.

    >>> name_of(functools.partial(losses.huber, delta=2.0))
    'huber'
    """
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _found(metric: Any, name: str, reader: str) -> Metric:
    if callable(metric):
        return metric
    known = _BY_NAME | losses.BY_NAME
    if not isinstance(metric, str) or metric not in known:
        raise (ValueError if isinstance(metric, str) else TypeError)(
            f"{reader} expected a function of targets and predictions or one of {', '.join(known)} but got "
            f"{describe(name, metric)}{advice(str(metric).lower(), NAMES, known)}"
        )
    return known[metric]


def border(loss: losses.Loss, targets: Sequence[Any], model: Any) -> float | None:
    """Return the score between two classes: that for which the loss is the same, whichever of them is true.

    None where targets are no two classes, or the loss is of no such kind and the last function of the model says
    nothing either.

    >>> border(losses.mse, [0, 1, 1], None), border(losses.hinge, [-1, 1, 1], None)
    (0.5, 0.0)
    """
    numbers: set[float] = set()
    for target in targets:
        if isinstance(target, list) or len(numbers) > 2:
            return None
        numbers.add(target)
    last = _last_function(model)
    if len(numbers) == 2:
        pairs = [(min(numbers), max(numbers))]
    elif numbers <= {-1, 0, 1} and len(numbers) == 1:
        # The other class is not among these samples.
        pairs = [pair for pair in ((0, 1), (-1, 1)) if numbers <= set(pair)]
        pairs.sort(key=lambda pair: pair[0] * (last == "tanh"))
    else:
        return None
    for low, high in pairs:
        for score in ((low + high) / 2, 0.5, 0.0):
            if _is_border(loss, low, high, score):
                return score
    return {"sigmoid": 0.5, "hardsigmoid": 0.5, "tanh": 0.0}.get(last)


def _is_border(loss: losses.Loss, low: float, high: float, score: float) -> bool:
    try:
        here = [as_float("loss", loss([score], [target])) for target in (low, high)]
        above = [as_float("loss", loss([score + 0.25 * (high - low)], [target])) for target in (low, high)]
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return False  # a loss of other predictions or targets
    return math.isclose(*here, rel_tol=_CLOSE, abs_tol=_CLOSE) and above[1] < above[0]


def _last_function(model: Any) -> str:
    """Return the name of the function that a model's outputs come from; that of a class where it does not tell."""
    while True:
        inside = next(
            (part for part in (getattr(model, n, None) for n in ("stages", "layers", "neurons")) if part), None
        )
        if not isinstance(inside, list):
            return name_of(getattr(model, "activation", model))
        model = inside[-1]


def check_two_classes(targets: Sequence[Any]) -> None:
    """Refuse targets that are no two classes, for predictions of one number each."""
    count = len(set(targets))
    if count > 2:
        raise ValueError(
            f"accuracy expected two classes, as predictions are single numbers, but got {count} different targets; "
            "take 'r2' or 'mae' for numbers, or loss='cross_entropy' and a model with an output for each class"
        )


def _is_hit(place: int, target: Any, scores: list[Any]) -> bool:
    if not scores:
        raise ValueError(f"accuracy expected at least one score but got {describe(f'predictions[{place}]', scores)}")
    if isinstance(target, list) and len(target) == len(scores) > 1 and abs(sum(target) - 1.0) < _OFF:
        target = target.index(max(target))  # of probabilities, or of a 1 among zeros
    if isinstance(target, list) or target not in range(len(scores)):
        raise ValueError(
            f"accuracy expected a class from 0 to {len(scores) - 1}, as there are {len(scores)} scores, but got "
            f"{describe(f'targets[{place}]', target)}"
        )
    return bool(scores.index(max(scores)) == target)


def _pairs(reader: str, targets: Any, predictions: Any) -> tuple[list[Any], list[Any]]:
    """Return both as lists of plain numbers or of rows, rows of one number as that number."""
    wanted, found = _items(reader, "targets", targets), _items(reader, "predictions", predictions)
    if len(wanted) != len(found):
        raise ValueError(
            f"{reader} expected as many targets as predictions but got {len(wanted)} targets and {len(found)} "
            "predictions"
        )
    if not found:
        raise ValueError(f"{reader} expected at least one prediction but got none")
    return wanted, found


def _items(reader: str, name: str, values: Any) -> list[Any]:
    values = plain(values)
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{reader} expected an iterable of numbers or rows but got {describe(name, values)}")
    items = [_plain(item) for item in values]
    return [item[0] if isinstance(item, list) and len(item) == 1 else item for item in items]


def _plain(item: Any) -> Any:
    item = plain(item)
    if isinstance(item, Var):
        return item.value
    if isinstance(item, Iterable) and not isinstance(item, str):
        return [_plain(part) for part in item]
    return item


def _arrays(targets: Any, predictions: Any) -> tuple[Any, Any] | None:
    """Return both as arrays of numbers, where they are many; None for going through them one by one."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not all(hasattr(part, "__len__") and len(part) >= _MANY for part in (targets, predictions)):
        return None
    try:
        pair = [numpy.asarray(part) for part in (targets, predictions)]
    except (TypeError, ValueError):
        return None  # going through them tells what is wrong
    if len(pair[0]) != len(pair[1]) or any(part.dtype.kind not in "biuf" or part.ndim > 2 for part in pair):
        return None
    t, p = (part[:, 0] if part.shape[1:] == (1,) else part for part in pair)
    return t, p


def _hits(t: Any, p: Any, threshold: float | None) -> Any:
    """Return where the class is predicted; None where targets and predictions do not go together."""
    if p.ndim == 1:
        low, high = t.min(), t.max()
        if t.ndim != 1 or not ((t == low) | (t == high)).all():
            return None
        if threshold is None:
            threshold = 0.5 if low >= 0 and high <= 1 and p.min() >= 0 and p.max() <= 1 else 0.0
        return (p > threshold) == (t > threshold)
    if t.ndim == 1:
        return p.argmax(axis=1) == t if ((t % 1 == 0) & (t >= 0) & (t < p.shape[1])).all() else None
    is_shares = t.shape == p.shape and (abs(t.sum(axis=1) - 1.0) < _OFF).all()
    return p.argmax(axis=1) == t.argmax(axis=1) if is_shares else None


def _squares(values: Any, others: Any) -> Any:
    """Return the squared differences of two columns, or of one and a number."""
    if not isinstance(values, list):
        return (values - others) ** 2
    pairs = zip(values, others if isinstance(others, list) else itertools.repeat(others, len(values)), strict=True)
    return [(a - b) ** 2 for a, b in pairs]


def _columns(reader: str, targets: Any, predictions: Any) -> list[tuple[Any, Any]]:
    """Return targets and predictions of each output."""
    arrays = _arrays(targets, predictions)
    if arrays is not None and arrays[0].shape == arrays[1].shape:
        t, p = arrays
        return [(t, p)] if t.ndim == 1 else list(zip(t.T, p.T, strict=True))
    wanted, found = _pairs(reader, targets, predictions)
    rows = [[t if isinstance(t, list) else [t] for t in part] for part in (wanted, found)]
    width = len(rows[1][0])
    if any(len(row) != width for part in rows for row in part):
        raise ValueError(f"{reader} expected targets and predictions nested alike but got rows of other lengths")
    columns = [list(zip(*part, strict=True)) for part in rows]
    return [(_numbers(reader, "targets", t), _numbers(reader, "predictions", p)) for t, p in zip(*columns, strict=True)]


def _numbers(reader: str, name: str, values: Iterable[Any]) -> list[float]:
    return [v if type(v) is float else to_float(v, reader, f"{name}[{k}]") for k, v in enumerate(values)]


def mean_of(reader: str, values: Any, weights: Any) -> float:
    """Return the mean of numbers, with weights or None; `reader` is named where these are wrong.

    >>> mean_of("r2", [1.0, 2.0], [3, 1])
    1.25
    """
    count = len(values)
    total = values.sum() if hasattr(values, "sum") else sum(values)
    if weights is None:
        return float(total / count)
    weights = _items(reader, "sample_weight", weights)
    if len(weights) != count or not sum(weights) > 0:
        raise ValueError(
            f"{reader} expected a weight for each of {count} samples, not all 0, but got {len(weights)} of sum "
            f"{sum(weights)}"
        )
    return float(sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights))


def as_float(name: str, result: Any) -> float:
    """Return a number or a Var as a float, checked.

    >>> as_float("loss", Var(2.0))
    2.0
    """
    return float(result.value) if isinstance(result, Var) else to_float(result, "fit", name)
