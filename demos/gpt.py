"""Train a GPT whose every number is a scalar on the first names of the US census, and let it make up new ones.

The names come from the package `names` (MIT licence; the census itself is in the public domain): 5,163 of them. The
model is one layer of a transformer: it reads a name letter by letter, and says at each place which letter may follow.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needed import needed

with needed("numpy", "matplotlib", "names"):
    import chainrule as cr
    import names
    import numpy as np
    from chainrule import viz
    from matplotlib.figure import Figure

WIDTH = 16  # numbers that stand for a letter
HEADS = 4
SIZE = WIDTH // HEADS
CONTEXT = 16  # places: a name of up to 15 letters, and its end
BOUNDARY = 26  # the token before and after a name; the letters are 0 to 25
TOKENS = 27
SHAPES = {
    "token": (TOKENS, WIDTH),
    "place": (CONTEXT, WIDTH),
    "query": (WIDTH, WIDTH),
    "key": (WIDTH, WIDTH),
    "value": (WIDTH, WIDTH),
    "mix": (WIDTH, WIDTH),
    "widen": (4 * WIDTH, WIDTH),
    "narrow": (WIDTH, 4 * WIDTH),
    "readout": (TOKENS, WIDTH),
}
RATE, FIRST, SECOND, LEAST = 0.01, 0.85, 0.99, 1e-8  # of Adam

Array = Any
Vector = Any  # a list or an array of numbers: floats, Vars, or what a trace has for them
Weights = dict[str, Any]


# ---- the model ----


def multiply(matrix: Any, x: Vector) -> Vector:
    return cr.map(cr.dot, matrix, x)


def add(a: Vector, b: Vector) -> Vector:
    return [p + q for p, q in zip(a, b, strict=True)]


def normalise(x: Vector) -> Vector:
    """Divide by the root mean square."""
    scale = (cr.dot(x, x) / len(x) + 1e-5) ** -0.5
    return [p * scale for p in x]


def embed(item: Any, w: Weights) -> tuple[Vector, Vector, Vector, Vector]:
    """Return what stands for the token at a place, what it looks for, what it is found by, and what it tells."""
    token, place = item
    x = normalise(add(cr.take(w["token"], token), place))
    y = normalise(x)
    return x, multiply(w["query"], y), multiply(w["key"], y), multiply(w["value"], y)


def attend(place: Any, query: Vector, keys: Any, values: Any) -> tuple[Vector, list[Vector]]:
    """Return what the places so far tell this one, and how much each head listens to each of them."""
    told, heads = [], []
    for first in range(0, WIDTH, SIZE):
        part = slice(first, first + SIZE)
        scores = [cr.dot(query[part], key[part]) / SIZE**0.5 for key in keys]
        shares = cr.softmax([cr.where(k <= place, score, -math.inf) for k, score in enumerate(scores)])
        told += [cr.dot(shares, [value[k] for value in values]) for k in range(first, first + SIZE)]
        heads.append(shares)
    return told, heads


def read(item: Any, keys: Any, values: Any, w: Weights) -> tuple[Vector, list[Vector]]:
    """Return a score for each token that may follow a place, and the attention of the heads."""
    place, x, query = item
    told, heads = attend(place, query, keys, values)
    x = add(x, multiply(w["mix"], told))
    inner = [cr.relu(p) for p in multiply(w["widen"], normalise(x))]
    x = add(x, multiply(w["narrow"], inner))
    return multiply(w["readout"], x), heads


def loss(name: Any, w: Weights) -> Any:
    """Return minus the logarithm of the share that the model gives the next token, on average over a name."""
    tokens, length = name
    x, queries, keys, values = cr.map(embed, (tokens[:-1], w["place"]), w)

    def surprise(item: Any, keys: Any, values: Any, w: Weights) -> Any:
        *item, following = item
        scores, _ = read(item, keys, values, w)
        inside = cr.where(item[0] < length, 1.0, 0.0)
        return inside * (cr.logsumexp(scores) - cr.take(scores, following))

    items = (PLACES, x, queries, tokens[1:])
    return cr.map(surprise, items, keys, values, w, reduce="sum") / length


PLACES = np.arange(float(CONTEXT))


# ---- training ----


def step(state: Any, batch: Any) -> tuple[Any, Any]:
    """Move all weights against the gradient of the mean loss over a batch, by Adam; return the loss, too."""
    w, means, squares, taken = state
    *batch, rate = batch

    def mean_loss(w: Weights) -> Any:
        return cr.map(loss, tuple(batch), w, reduce="mean")

    value, slopes = cr.value_and_grad(mean_loss)(w)
    taken = taken + 1.0
    rate = rate / (1.0 - FIRST**taken)
    scale = 1.0 / (1.0 - SECOND**taken)
    means = {k: FIRST * means[k] + (1.0 - FIRST) * slopes[k] for k in w}
    squares = {k: SECOND * squares[k] + (1.0 - SECOND) * slopes[k] ** 2 for k in w}
    w = {k: w[k] - rate * means[k] / (np.sqrt(scale * squares[k]) + LEAST) for k in w}
    return (w, means, squares, taken), value
