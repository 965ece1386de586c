"""Find an optimiser's class by its name."""

from __future__ import annotations

from chainrule.errors import describe
from chainrule.misspelt import NAMES, advice

from .descent import SGD, Lion, Rprop
from .lbfgs import LBFGS
from .least_squares import LevenbergMarquardt
from .moments import Adam, Adamax, AdamW, NAdam, RAdam
from .optimiser import Optimiser
from .squares import Adadelta, Adagrad, RMSProp

_BY_NAME: dict[str, type[Optimiser]] = {
    kind.__name__.lower(): kind
    for kind in (
        Adadelta,
        Adagrad,
        Adam,
        Adamax,
        AdamW,
        LBFGS,
        LevenbergMarquardt,
        Lion,
        NAdam,
        RAdam,
        RMSProp,
        Rprop,
        SGD,
    )
}


def optimiser_named(name: str) -> type[Optimiser]:
    """Return the class of that name, in small or capital letters.

    >>> optimiser_named("adamw") is AdamW
    True
    """
    if name.lower() not in _BY_NAME:
        meant = advice(name.lower(), NAMES, _BY_NAME)
        raise ValueError(f"fit expected one of {', '.join(_BY_NAME)} but got {describe('optimiser', name)}{meant}")
    return _BY_NAME[name.lower()]
