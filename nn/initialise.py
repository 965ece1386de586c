"""Choose initial weights: by the activation they feed, by name, or by a function of your own.

Those chosen by activation are uniform around 0 and differ in their bound, which keeps the size of signals (Glorot) or
of what is left of them by an activation that cuts half away (He) the same from layer to layer. Biases start at 0 unless
`initialise_bias` says otherwise.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable

from chainrule.data import to_float
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


def normal(source: random.Random, nin: int, nout: int) -> float:
    """Draw from the normal distribution with deviation 1/sqrt(nin), as `lecun` has it.

    >>> round(normal(random.Random(0), 4, 2), 6)
    0.470858
    """
    return source.gauss(0.0, 1.0 / math.sqrt(nin))


def xavier_normal(source: random.Random, nin: int, nout: int) -> float:
    """Draw from the normal distribution with deviation sqrt(2 / (nin + nout)), as `xavier` has it.

    >>> round(xavier_normal(random.Random(0), 4, 4), 6)
    0.470858
    """
    return source.gauss(0.0, math.sqrt(2.0 / (nin + nout)))


def he_normal(source: random.Random, nin: int, nout: int) -> float:
    """Draw from the normal distribution with deviation sqrt(2 / nin), as `he` has it.

    >>> round(he_normal(random.Random(0), 8, 4), 6)
    0.470858
    """
    return source.gauss(0.0, math.sqrt(2.0 / nin))


def zeros(source: random.Random, nin: int, nout: int) -> float:
    """Draw nothing: 0, for biases, or for the last layer of a residual part.

    >>> zeros(random.Random(0), 4, 2)
    0.0
    """
    return 0.0


def ones(source: random.Random, nin: int, nout: int) -> float:
    """Draw nothing: 1.

    >>> ones(random.Random(0), 4, 2)
    1.0
    """
    return 1.0


_BY_NAME: dict[str, Initialiser] = {
    "uniform": uniform,
    "normal": normal,
    **dict.fromkeys(("xavier", "glorot"), xavier),
    **dict.fromkeys(("xavier_normal", "glorot_normal"), xavier_normal),
    **dict.fromkeys(("he", "kaiming"), he),
    **dict.fromkeys(("he_normal", "kaiming_normal"), he_normal),
    "lecun": lecun,
    "zeros": zeros,
    "ones": ones,
}

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
    return _named(initialise, "initialise")


def find_bias_initialiser(initialise: str | float | Initialiser | None) -> Initialiser:
    """Return the function that `initialise_bias` names; a number is where all biases start, None for 0.

    Errors: those of `find_initialiser`, and `ValueError` for a number that is not finite.

    >>> find_bias_initialiser(0.1)(random.Random(0), 4, 2), find_bias_initialiser(None) is zeros
    (0.1, True)
    """
    if initialise is None:
        return zeros
    if callable(initialise) or isinstance(initialise, str):
        return _named(initialise, "initialise_bias")
    number = to_float(initialise, "initialise_bias", "it")
    if not math.isfinite(number):
        raise ValueError(f"initialise_bias expected a finite number but got {describe('it', initialise)}")
    return lambda source, nin, nout: number


def _named(initialise: str | Initialiser, name: str) -> Initialiser:
    if callable(initialise):
        return initialise
    if not isinstance(initialise, str):
        raise TypeError(
            f"{name} expected a name, a function of (source, nin, nout), or None but got {describe(name, initialise)}"
        )
    if initialise not in _BY_NAME:
        names = ", ".join(repr(known) for known in _BY_NAME)
        raise ValueError(f"{name} expected one of {names} but got {describe(name, initialise)}")
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
