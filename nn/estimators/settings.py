"""Check the parameters of an estimator when `fit` is called, as scikit-learn asks, under the names they were given."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from chainrule.data import number_within, plain, whole_number

STOCHASTIC = ("adam", "adamw", "sgd", "rmsprop", "adagrad")
FULL_BATCH = ("lbfgs", "lm")
_RATES = ("constant", "invscaling", "adaptive")
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's names


class Settings(NamedTuple):
    """The parameters of an estimator, checked; each under its own name but for those explained.

    Attributes:
        kind: the estimator's class, for messages.
        hidden: the sizes of the hidden layers.
        activation: as `MLP` knows it.
        every: of `record`: after how many epochs; 0 for never.
    """

    kind: str
    hidden: list[int]
    activation: Any
    solver: str
    alpha: float
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    every: int


def settings_of(estimator: Any) -> Settings:
    """Return the parameters of an estimator, checked.

    Errors: `ValueError` and `TypeError` that name the estimator's class and the parameter.
    """
    kind = type(estimator).__name__

    def number(name: str, below: float = math.inf, zero: bool = True) -> float:
        return number_within(kind, name, getattr(estimator, name), below, zero=zero)

    activation = estimator.activation
    if isinstance(activation, str):
        activation = _ACTIVATIONS.get(activation, activation)
    patience, record = estimator.n_iter_no_change, estimator.record
    return Settings(
        kind,
        _sizes(kind, estimator.hidden_layer_sizes),
        activation,
        _one_of(kind, "solver", estimator.solver, (*STOCHASTIC, *FULL_BATCH)),
        number("alpha"),
        _one_of(kind, "learning_rate", estimator.learning_rate, _RATES),
        number("learning_rate_init", zero=False),
        number("power_t"),
        whole_number(kind, "max_iter", estimator.max_iter),
        bool(estimator.shuffle),
        number("tol"),
        bool(estimator.verbose),
        1.0 if estimator.momentum == 1 else number("momentum", 1.0),
        bool(estimator.nesterovs_momentum),
        bool(estimator.early_stopping),
        number("beta_1", 1.0),
        number("beta_2", 1.0),
        number("epsilon", zero=False),
        math.inf if patience == math.inf else whole_number(kind, "n_iter_no_change", patience),
        whole_number(kind, "max_fun", estimator.max_fun),
        int(record) if isinstance(record, bool) else whole_number(kind, "record", record),
    )


def batch_size_of(kind: str, batch_size: Any, count: int) -> int:
    """Return how many of `count` samples a step takes: "auto" for 200, and never more than there are.

    >>> batch_size_of("MLPRegressor", "auto", 1000)
    200
    """
    if isinstance(batch_size, str) and batch_size == "auto":
        return min(200, count)
    size = whole_number(kind, "batch_size", batch_size)
    if size > count:
        warnings.warn(f"{kind} takes all {count} samples at once: batch_size={size} is more", stacklevel=6)
    return min(size, count)


def _sizes(kind: str, sizes: Any) -> list[int]:
    sizes = plain(sizes)
    if isinstance(sizes, Iterable) and not isinstance(sizes, str):
        return [whole_number(kind, f"hidden_layer_sizes[{k}]", size) for k, size in enumerate(sizes)]
    return [whole_number(kind, "hidden_layer_sizes", sizes)]


def _one_of(kind: str, name: str, found: Any, known: Iterable[str]) -> str:
    if not isinstance(found, str) or found not in known:
        raise ValueError(f"{kind} expected {name} to be one of {', '.join(known)} but got {found!r}")
    return found
