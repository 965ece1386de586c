"""Choose initial weights: by the activation they feed, by name, or by a function of your own.

All are uniform around 0 and differ in their bound, which keeps the size of signals (Glorot) or of what is left
of them by an activation that cuts half away (He) the same from layer to layer. Biases start at 0.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable

from chainrule.errors import describe

Initialiser = Callable[[random.Random, int, int], float]
"""A function ``(source, nin, nout)`` that draws one weight; nin inputs feed each of nout neurons."""


def uniform(source: random.Random, nin: int, nout: int) -> float:
    """Draw within 1/sqrt(nin): for activations about which nothing is known.

    >>> abs(uniform(random.Random(0), 4, 1)) <= 0.5
    True
    """
    bound = 1.0 / math.sqrt(nin)
    return source.uniform(-bound, bound)


def xavier(source: random.Random, nin: int, nout: int) -> float:
    """Draw within sqrt(6 / (nin + nout)): for tanh, sigmoid and the like.

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".

    >>> abs(xavier(random.Random(0), 4, 2)) <= 1.0
    True
    """
    bound = math.sqrt(6.0 / (nin + nout))
    return source.uniform(-bound, bound)


def he(source: random.Random, nin: int, nout: int) -> float:
    """Draw within sqrt(6 / nin): for relu and the like.

    Source: He, Zhang, Ren and Sun 2015, "Delving deep into rectifiers".

    >>> abs(he(random.Random(0), 6, 2)) <= 1.0
    True
    """
    bound = math.sqrt(6.0 / nin)
    return source.uniform(-bound, bound)


def lecun(source: random.Random, nin: int, nout: int) -> float:
    """Draw within sqrt(3 / nin), variance 1/nin: what selu needs to normalise itself.

    Source: LeCun, Bottou, Orr and Müller 1998, "Efficient BackProp".

    >>> abs(lecun(random.Random(0), 3, 2)) <= 1.0
    True
    """
    bound = math.sqrt(3.0 / nin)
    return source.uniform(-bound, bound)


_BY_NAME: dict[str, Initialiser] = {"uniform": uniform, "xavier": xavier, "glorot": xavier, "he": he, "lecun": lecun}

_BY_ACTIVATION: dict[str, Initialiser] = {
    **dict.fromkeys(("linear", "tanh", "hardtanh", "sigmoid", "softsign"), xavier),
    **dict.fromkeys(("relu", "leaky_relu", "elu", "celu", "gelu", "silu", "mish", "softplus"), he),
    "selu": lecun,
}


def find_initialiser(initialise: str | Initialiser | None, activation: str) -> Initialiser:
    """Return the function that `initialise` names; None chooses by the name of the activation.

    Errors: `ValueError` for an unknown name, `TypeError` for what is neither a name nor a function.

    >>> find_initialiser(None, "relu") is he, find_initialiser("uniform", "relu") is uniform
    (True, True)
    """
    if initialise is None:
        return _BY_ACTIVATION.get(activation, uniform)
    if callable(initialise):
        return initialise
    if not isinstance(initialise, str):
        raise TypeError(
            "initialise expected a name, a function of (source, nin, nout), or None but got "
            f"{describe('initialise', initialise)}"
        )
    if initialise not in _BY_NAME:
        names = ", ".join(repr(name) for name in _BY_NAME)
        raise ValueError(f"initialise expected one of {names} but got {describe('initialise', initialise)}")
    return _BY_NAME[initialise]


def random_source(seed: int | random.Random | None) -> random.Random:
    """Return a separate random generator; the global one is never touched.

    Args:
        seed: a whole number for the same numbers every time, None for others each time, or a source to draw from.

    >>> random_source(7).random() == random_source(7).random()
    True
    """
    if isinstance(seed, random.Random):
        return seed
    if seed is None:
        return random.Random()
    try:
        return random.Random(operator.index(seed))
    except TypeError:
        raise TypeError(
            f"seed expected a whole number, a random.Random or None but got {describe('seed', seed)}"
        ) from None
