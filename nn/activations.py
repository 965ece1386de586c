"""Find an activation by name: any chainrule function of one argument, or your own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainrule
from chainrule import Var
from chainrule.errors import describe
from chainrule.misspelt import FUNCTIONS, near

Activation = Callable[[Any], Any]


def linear(x: Any) -> Any:
    """Return `x` unchanged: the activation of a neuron that has none.

    >>> linear(0.5)
    0.5
    """
    return x


def find_activation(activation: str | Activation | None) -> Activation:
    """Return the function that `activation` names; None means "linear", and a function is returned unchanged.

    Errors: `ValueError` for a name that is no one-argument function of chainrule, `TypeError` for anything else.

    >>> find_activation("tanh")
    <primitive tanh>
    >>> find_activation(None)(0.5)
    0.5
    """
    if activation is None:
        return linear
    if callable(activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(
            "activation expected the name of a function of chainrule, a function of one argument, or None but got "
            f"{describe('activation', activation)}"
        )
    if activation == "linear":
        return linear
    function: Any = getattr(chainrule, activation, None)
    if not _takes_one_number(function):
        elsewhere = FUNCTIONS.get(activation.lower())
        likely = [elsewhere] if elsewhere else near(activation, ["linear", *dir(chainrule)], 10)
        likely = [name for name in likely if name == "linear" or _takes_one_number(getattr(chainrule, name, None))]
        guesses = " or ".join(repr(name) for name in likely[:2])
        advice = f"; did you mean {guesses}?" if likely else "; or give the function itself"
        raise ValueError(
            "activation expected the name of a one-argument function of chainrule, such as 'tanh', 'relu' or "
            f"'sigmoid', or 'linear' but got {describe('activation', activation)}{advice}"
        )
    return function


def find_stage(name: str) -> Callable[[Any], Any]:
    """Return the chainrule function called `name`: one of a number, or of a list of numbers.

    Errors: those of `find_activation`.

    >>> find_stage("softmax")([0.0, 0.0])
    [0.5, 0.5]
    """
    function: Any = getattr(chainrule, name, None)
    return function if _takes(function, [0.5]) else find_activation(name)


def activation_name(activation: Activation) -> str:
    """Return the name by which an activation determines the initialisation.

    >>> activation_name(find_activation("relu"))
    'relu'
    """
    return str(getattr(activation, "__name__", type(activation).__name__))


def activation_title(activation: Activation) -> str:
    """Return the name in the style of a class name, for printing.

    >>> [activation_title(find_activation(name)) for name in ("tanh", "relu", "log_sigmoid", None)]
    ['Tanh', 'ReLU', 'LogSigmoid', 'Linear']
    """
    name = activation_name(activation)
    symbol = str(getattr(activation, "symbol", ""))
    if symbol.isascii() and symbol.isidentifier():
        # The symbol has the capitals of the field: ReLU, GELU, LeakyReLU.
        return symbol[0].upper() + symbol[1:]
    words = [word for word in name.split("_") if word.isidentifier()]
    return "".join(word[0].upper() + word[1:] for word in words) or "Custom"


def _takes_one_number(function: Any) -> bool:
    # Python's ulp, say, takes floats alone.
    return _takes(function, 0.5) and _takes(function, Var(0.5))


def _takes(function: Any, example: Any) -> bool:
    """Return whether a function accepts such an argument; it is called to find out, so no list of names is needed."""
    if isinstance(function, type) or not callable(function):
        return False
    try:
        return isinstance(function(example), float | list | Var)
    except (TypeError, AttributeError):
        return False
