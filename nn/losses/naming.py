"""Find a loss by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.errors import describe
from chainrule.misspelt import NAMES, advice

from .classes import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, hinge
from .items import Scalar
from .numbers import gaussian, huber, log_cosh, mae, mse, poisson, quantile

Loss = Callable[[Any, Any], Any]
"""A function of predictions and targets."""

BY_NAME: dict[str, Callable[[Any, Any], Scalar]] = {
    function.__name__: function
    for function in (
        mse,
        mae,
        huber,
        log_cosh,
        quantile,
        poisson,
        gaussian,
        hinge,
        binary_cross_entropy,
        binary_cross_entropy_with_logits,
        cross_entropy,
    )
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
