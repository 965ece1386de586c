"""Train a GPT made of scalars on the first names of the US census, and let it make up new ones.

The names, 5,163 of them, come with the package `names` 0.3.0 (MIT licence; the census itself is in the public domain).
The model is a transformer of one layer with 4,192 parameters. It reads a name letter by letter, and says at each place
which letter may come next. The same code records a graph of every number, or is compiled.
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

ALPHABET = "abcdefghijklmnopqrstuvwxyz."
BOUNDARY = 26  # the token before and after a name: the dot
TOKENS = len(ALPHABET)
CONTEXT = 16  # places: a name of 15 letters and its end
WIDTH = 16  # numbers that stand for a token
HEADS = 4
COUNT = 4192  # parameters
PLACES = np.arange(float(CONTEXT))

Array = Any  # of floats, of Vars, or what a trace has for them
Number = Any
Weights = dict[str, Array]


# ---- the model ----


def shapes(width: int = WIDTH) -> dict[str, tuple[int, int]]:
    """Return how many rows and columns each matrix of the model has."""
    square = dict.fromkeys(("query", "key", "value", "mix"), (width, width))
    return {
        "token": (TOKENS, width),
        "place": (CONTEXT, width),
        **square,
        "widen": (4 * width, width),
        "narrow": (width, 4 * width),
        "readout": (TOKENS, width),
    }


def unpack(p: Array, width: int = WIDTH) -> Weights:
    """Return the matrices that the parameters are, row by row."""
    w, start = {}, 0
    for name, (rows, columns) in shapes(width).items():
        w[name] = p[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
    return w


def normalise(x: Array) -> Array:
    """Divide by the root mean square."""
    return x * (np.mean(x * x) + 1e-5) ** -0.5


def embed(item: Any, w: Weights) -> tuple[Array, Array, Array, Array]:
    """Return what stands for the token at a place, what it asks for, what it answers to, and what it tells."""
    token, place = item
    x = normalise(cr.take(w["token"], token) + place)
    y = normalise(x)
    return x, w["query"] @ y, w["key"] @ y, w["value"] @ y


def attend(place: Number, query: Array, keys: Array, values: Array) -> tuple[Array, list[Array]]:
    """Return what the places so far tell this one, and the share of attention that each head gives to each."""
    told, heads = [], []
    for part in np.split(np.arange(len(query)), HEADS):
        scores = keys[:, part] @ query[part] / len(part) ** 0.5
        shares = cr.array(cr.softmax(cr.where(place >= PLACES, scores, -math.inf)))
        told.append(shares @ values[:, part])
        heads.append(shares)
    return np.concatenate(told), heads


def follow(item: Any, keys: Array, values: Array, w: Weights) -> tuple[Array, list[Array]]:
    """Return a score for each token that may follow a place, and the attention that was given."""
    place, x, query = item
    told, heads = attend(place, query, keys, values)
    x = x + w["mix"] @ told
    x = x + w["narrow"] @ cr.relu(w["widen"] @ normalise(x))
    return w["readout"] @ x, heads


def loss(name: Any, w: Weights) -> Number:
    """Return how surprising the tokens of a name are, each after those before it: the mean over its places."""
    tokens, length = name
    x, queries, keys, values = cr.map(embed, (tokens[:-1], w["place"]), w, length=length)

    def surprise(item: Any, keys: Array, values: Array, w: Weights) -> Number:
        place, x, query, token = item
        scores, _ = follow((place, x, query), keys, values, w)
        return cr.logsumexp(scores) - cr.take(scores, token)

    items = (PLACES, x, queries, tokens[1:])
    return cr.map(surprise, items, keys, values, w, reduce="sum", length=length) / length


def predict(p: Array, tokens: Array) -> tuple[Array, Array]:
    """Return for each place of a name the scores of the tokens that may follow, and the attention of each head."""
    w = unpack(p)
    x, queries, keys, values = cr.map(embed, (tokens, w["place"]), w)
    return cr.map(follow, (PLACES, x, queries), keys, values, w)


# ---- training ----

FIRST, SECOND, LEAST = 0.85, 0.99, 1e-8  # of Adam: what is kept of both means, and what keeps the divisor from 0


def step(
    p: Array,
    means: Array,
    squares: Array,
    taken: Number,
    rate: Number,
    tokens: Array,
    lengths: Array,
    width: int = WIDTH,
) -> tuple[Array, Array, Array, Number]:
    """Move the parameters against the slope of the mean loss over some names, by Adam.

    Returns the new parameters and both means, which are what the next step takes, and the loss.
    """

    def mean_loss(p: Array) -> Number:
        return cr.map(loss, (tokens, lengths), unpack(p, width), reduce="mean")

    value, slopes = cr.value_and_grad(mean_loss)(p)
    means = FIRST * means + (1.0 - FIRST) * slopes
    squares = SECOND * squares + (1.0 - SECOND) * slopes * slopes
    rate = rate / (1.0 - FIRST**taken)
    scale = 1.0 / (1.0 - SECOND**taken)
    return p - rate * means / (np.sqrt(scale * squares) + LEAST), means, squares, value


def train(
    step: Callable[..., Any], p: Array, batches: Callable[[int], tuple[Array, Array]], steps: int, rate: float = 0.01
) -> tuple[Array, list[float]]:
    """Take some steps, each with a smaller rate than the one before; return the parameters and all losses."""
    state, losses, seconds, tokens = (p, np.zeros_like(p), np.zeros_like(p)), [], 0.0, 0
    for k in range(steps):
        batch = batches(k)
        start = time.perf_counter()
        *state, value = step(*state, k + 1.0, rate * (1 - k / steps), *batch)
        took = time.perf_counter() - start
        losses.append(value)
        if k == 0:
            print(f"first step after {took:.2f} s")
        else:
            seconds, tokens = seconds + took, tokens + int(batch[1].sum())
        if (k + 1) % max(1, steps // 10) == 0:
            print(f"step {k + 1:5d}   loss {np.mean(losses[-max(1, steps // 10) :]):.4f}")
    if seconds:
        print(f"{tokens / seconds:,.0f} tokens a second, {1e6 * seconds / (steps - 1):,.0f} us a step")
    return state[0], losses


# ---- names ----


def first_names() -> list[str]:
    """Return the names that fit into the context, in an order that says nothing."""
    found = set()
    for kind in ("first:female", "first:male"):
        found |= {line.split()[0].lower() for line in Path(names.FILES[kind]).read_text().splitlines()}
    listed = sorted(name for name in found if name.isalpha() and len(name) < CONTEXT)
    random.Random(0).shuffle(listed)
    return listed


def encode(name: str) -> tuple[list[float], float]:
    """Return the tokens of a name, with a boundary before it and filled up with them, and how many are to be told."""
    tokens = [BOUNDARY, *map(ALPHABET.index, name)]
    return [float(token) for token in tokens + [BOUNDARY] * (CONTEXT + 1 - len(tokens))], len(tokens)


def sample(shares: Callable[..., Any], p: Array, draw: random.Random, temperature: float = 0.6) -> str:
    """Make up a name letter by letter; the lower the temperature, the more ordinary it is."""
    name = ""
    while len(name) < CONTEXT:
        tokens, length = encode(name)
        scores = shares(p, np.array(tokens[:-1]))[0][int(length) - 1]
        weights = np.exp((scores - np.max(scores)) / temperature)
        token = draw.choices(range(TOKENS), weights)[0]
        if token == BOUNDARY:
            break
        name += ALPHABET[token]
    return name


def draw_loss(path: Path, losses: list[float]) -> None:
    """Save the loss of each step, and its running mean."""
    axes = (figure := Figure(figsize=(7, 4), layout="constrained")).subplots()
    width = max(1, len(losses) // 20)
    axes.plot(losses, color="#2f7fb8", alpha=0.3, label="each step")
    axes.plot(
        range(width - 1, len(losses)), np.convolve(losses, np.ones(width) / width, "valid"), color="#2f7fb8",
        label=f"mean of {width}",
    )  # fmt: skip
    axes.axhline(math.log(TOKENS), color="0.5", linestyle="-.", label="every token alike")
    axes.set(title="A GPT of scalars learns names", xlabel="step", ylabel="loss (nats a letter)")
    axes.legend()
    figure.savefig(path, dpi=120)


def draw_attention(path: Path, name: str, heads: Array) -> None:
    """Save what each head looks at, at each place of a name."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    labels = "." + name
    for head, axes in enumerate(figure.subplots(1, HEADS)):
        shares = np.array(heads[head])[: len(labels), : len(labels)]
        viz.plot_attention(shares, labels, ax=axes, title=f"head {head + 1}")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=["recorded", "compiled"], default="compiled")
    parser.add_argument("--batch", type=int, default=16, help="names a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="(default: %(default)s)")
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64", help="of the compiled engine")
    arguments = parser.parse_args()
    compiled = arguments.engine == "compiled"
    if arguments.dtype == "float32" and not compiled:
        parser.error("--dtype float32 is for --engine compiled: graphs hold doubles")
    options: dict[str, Any] = {"dtype": "float32"} if arguments.dtype == "float32" else {}

    def prepared(f: Callable[..., Any]) -> Callable[..., Any]:
        return cr.compile(f, **options) if compiled else f

    size = arguments.batch

    known = first_names()
    tokens, lengths = map(np.array, zip(*map(encode, known), strict=True))
    source = np.random.default_rng(42)
    p = source.normal(0.0, 0.08, COUNT).astype(arguments.dtype)
    print(f"{len(known):,} names, {COUNT:,} parameters, {size} names a step, {arguments.engine}")

    def batches(k: int) -> tuple[Array, Array]:
        rows = np.arange(k * size, (k + 1) * size) % len(known)
        return tokens[rows], lengths[rows].astype(float)

    p, losses = train(prepared(step), p, batches, arguments.steps)

    shares, draw = prepared(predict), random.Random(1)
    found = [sample(shares, p, draw) for _ in range(20)]
    print(f"20 names, {sum(name not in known for name in found)} of them new:", *found)
    folder = Path("out")
    folder.mkdir(exist_ok=True)
    draw_loss(folder / "gpt.png", losses)
    name = max(found, key=len)
    draw_attention(folder / "gpt_attention.png", name, np.swapaxes(shares(p, np.array(encode(name)[0][:-1]))[1], 0, 1))
    print(f"pictures: {folder / 'gpt.png'}, {folder / 'gpt_attention.png'}: what the heads look at in {name!r}")


if __name__ == "__main__":
    with needed():
        main()
