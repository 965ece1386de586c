"""The character model of `benchmark.py gpt` as everybody writes it: scalars, lists and comprehensions.

One layer, embedding 16, 4 heads, context 16, RMSNorm, an MLP with ReLU four times as wide, 27 tokens, no biases: 4,192
parameters. Nothing in it knows of arrays, maps or chainrule but for two functions of numbers.
"""

from __future__ import annotations

import math
import random
from typing import Any

import chainrule as cr

TOKENS, WIDTH, HEADS, CONTEXT = 27, 16, 4, 16
SIZE = WIDTH // HEADS
SHAPES = {
    "token": (TOKENS, WIDTH),
    "place": (CONTEXT, WIDTH),
    "query": (WIDTH, WIDTH),
    "key": (WIDTH, WIDTH),
    "value": (WIDTH, WIDTH),
    "out": (WIDTH, WIDTH),
    "up": (4 * WIDTH, WIDTH),
    "down": (WIDTH, 4 * WIDTH),
    "head": (TOKENS, WIDTH),
}

Rows = list[list[Any]]


def parameters(seed: int = 0) -> dict[str, Rows]:
    """Draw the parameters: rows of weights by name."""
    draw = random.Random(seed)
    return {
        name: [[draw.gauss(0.0, 1.0 / math.sqrt(columns)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in SHAPES.items()
    }


def tokens_of(name: str) -> list[int]:
    """Return the letters of a name as numbers, between two boundaries.

    >>> tokens_of("ada")
    [26, 0, 3, 0, 26]
    """
    return [TOKENS - 1, *[ord(letter) - ord("a") for letter in name], TOKENS - 1]


def linear(x: list[Any], rows: Any) -> list[Any]:
    """Multiply a matrix by a vector."""
    return [sum(w * xi for w, xi in zip(row, x, strict=True)) for row in rows]


def softmax(scores: list[Any]) -> list[Any]:
    """Return probabilities in proportion to the exponentials of scores."""
    parts = [cr.exp(score) for score in scores]
    total = sum(parts)
    return [part / total for part in parts]


def rms_norm(x: list[Any]) -> list[Any]:
    """Scale a vector to a mean square of 1."""
    scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def step(p: Any, token: int, place: int, keys: Rows, values: Rows) -> list[Any]:
    """Return the scores of the next letter; keys and values grow by those of this place."""
    x = rms_norm([a + b for a, b in zip(p["token"][token], p["place"][place], strict=True)])
    before, x = x, rms_norm(x)
    query = linear(x, p["query"])
    keys.append(linear(x, p["key"]))
    values.append(linear(x, p["value"]))
    found: list[Any] = []
    for head in range(HEADS):
        own = slice(head * SIZE, (head + 1) * SIZE)
        scores = [sum(q * k for q, k in zip(query[own], key[own], strict=True)) / SIZE**0.5 for key in keys]
        weights = softmax(scores)
        found += [
            sum(w * value[k] for w, value in zip(weights, values, strict=True)) for k in range(own.start, own.stop)
        ]
    x = [a + b for a, b in zip(linear(found, p["out"]), before, strict=True)]
    before, x = x, rms_norm(x)
    x = linear([cr.relu(xi) for xi in linear(x, p["up"])], p["down"])
    return linear([a + b for a, b in zip(x, before, strict=True)], p["head"])


def loss(p: Any, tokens: list[int]) -> Any:
    """Return the mean of -log of the probability of each next letter."""
    keys: Rows = []
    values: Rows = []
    losses = []
    for place in range(len(tokens) - 1):
        chances = softmax(step(p, tokens[place], place, keys, values))
        losses.append(-cr.log(chances[tokens[place + 1]]))
    return sum(losses) / len(losses)
