"""The contenders of `benchmark.py gpt`: each takes one training step after another, on the same names.

``make(setting)`` gives a function from the number of a step, from 0 on, to the loss of its names; the function has the
latest ``means`` of Adam, which after the first step are 0.15 times its slopes. None comes back where a tool is missing.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import chainrule as cr
import gpt
import numpy as np

from .peers import FAST, compiled_c
from .workloads import GPT, Functions, Value

Array = Any
KEPT, KEPT_SQUARES, LEAST, RATE = gpt.FIRST, gpt.SECOND, gpt.LEAST, 0.01


class Setting(NamedTuple):
    """What is trained: the size of the model, the names of each step, and the precision."""

    width: int
    tokens: Array  # steps x names x places and one more
    lengths: Array  # steps x names: how many tokens are to be told
    dtype: str = "float64"

    @property
    def start(self) -> Array:
        """The parameters before the first step."""
        count = sum(rows * columns for rows, columns in gpt.shapes(self.width).values())
        return np.random.default_rng(42).normal(0.0, 0.08, count).astype(self.dtype)

    def batch(self, k: int) -> tuple[Array, Array]:
        """The names of a step; after the last come the first again."""
        return self.tokens[k % len(self.tokens)], self.lengths[k % len(self.lengths)]


def names(steps: int, batch: int, letters: int | None = None) -> tuple[Array, Array]:
    """Return tokens and lengths for some steps: of names as they come, or of those with so many letters."""
    known = [name for name in gpt.first_names() if letters in (None, len(name))]
    rows = np.arange(steps * batch) % len(known)
    tokens, lengths = map(np.array, zip(*map(gpt.encode, known), strict=True))
    return tokens[rows].reshape(steps, batch, -1), lengths[rows].reshape(steps, batch).astype(float)


# ---- chainrule ----


class Steps:
    """Steps of a function like `gpt.step`, which takes its state and gives it back."""

    def __init__(self, step: Callable[..., Any], setting: Setting, in_place: bool = False) -> None:
        self.step, self.in_place = step, in_place
        p = setting.start
        self.state: list[Array] = [p, np.zeros_like(p), np.zeros_like(p)]
        self.batches = [setting.batch(k) for k in range(len(setting.tokens))]

    def __call__(self, k: int) -> float:
        batch = self.batches[k % len(self.batches)]
        if self.in_place:
            return float(self.step(*self.state, k + 1.0, RATE, *batch, out=(*self.state, None))[-1])
        *self.state, value = self.step(*self.state, k + 1.0, RATE, *batch)
        return float(value)

    @property
    def means(self) -> Array:
        return self.state[1]


def arrays(setting: Setting, in_place: bool = False) -> Steps:
    """The program of gpt.py, compiled."""
    options: dict[str, Any] = {} if setting.dtype == "float64" else {"dtype": setting.dtype}
    return Steps(cr.compile(functools.partial(gpt.step, width=setting.width), **options), setting, in_place)


def in_place(setting: Setting) -> Steps:
    """The same; parameters and means are updated where they are."""
    return arrays(setting, in_place=True)


def lanes(setting: Setting) -> Steps:
    """The same model; names have the lanes of vectors, so loss and slopes are one call and the update another."""
    options: dict[str, Any] = {} if setting.dtype == "float64" else {"dtype": setting.dtype}

    def loss(p: Array, tokens: Array, length: Any) -> Any:
        return gpt.loss((tokens, length), gpt.unpack(p, setting.width))

    slopes_of = cr.compile(cr.value_and_grad(loss), batch=("tokens", "length"), reduce="mean", **options)
    update = cr.compile(functools.partial(adam, root=cr.sqrt), **options)

    def step(p: Array, means: Array, squares: Array, taken: float, rate: float, tokens: Array, lengths: Array) -> Any:
        value, slopes = slopes_of(p, tokens, lengths)
        return *update(p, means, squares, slopes, taken), value

    return Steps(step, setting)


def recorded_arrays(setting: Setting) -> Steps:
    """The same, recorded as a graph for each step."""
    return Steps(functools.partial(gpt.step, width=setting.width), setting)


def adam(
    p: Array, means: Array, squares: Array, slopes: Array, taken: Any, root: Callable[[Any], Any] = np.sqrt
) -> Any:
    """Return parameters and means after a step, in arrays of any kind."""
    means = KEPT * means + (1.0 - KEPT) * slopes
    squares = KEPT_SQUARES * squares + (1.0 - KEPT_SQUARES) * slopes * slopes
    rate, scale = RATE / (1.0 - KEPT**taken), 1.0 / (1.0 - KEPT_SQUARES**taken)
    return p - rate * means / (root(scale * squares) + LEAST), means, squares


def top(scores: list[Any]) -> Any:
    """Return the greatest of some traced scores, as a constant."""
    return cr.stop_gradient(functools.reduce(cr.maximum, scores))


COMPILED = Functions(cr.relu, cr.exp, cr.log, take=cr.take, top=top)


def plain(setting: Setting) -> Steps:
    """The program of lists that everybody writes, for one name of a length that is known, compiled."""
    lists, places = GPT(setting.width), int(setting.lengths[0, 0]) + 1

    def step(p: Array, means: Array, squares: Array, taken: Any, rate: Any, tokens: Array, lengths: Array) -> Any:
        def loss(p: Array) -> Any:
            return lists.loss_of(list(tokens[0][:places]), gpt.unpack(p, setting.width), COMPILED)

        value, slopes = cr.value_and_grad(loss)(p)
        return *adam(p, means, squares, slopes, taken, cr.sqrt), value

    return Steps(cr.compile(step), setting)


class Graphs:
    """Steps through a graph of the same program of lists, of one engine's numbers."""

    def __init__(self, setting: Setting, number: Callable[[float], Any], functions: Functions) -> None:
        self.lists, self.number, self.functions = GPT(setting.width), number, functions
        self.setting, self.p = setting, setting.start
        self.means, self.squares = np.zeros_like(self.p), np.zeros_like(self.p)

    def __call__(self, k: int) -> float:
        tokens, lengths = self.setting.batch(k)
        leaves = [self.number(x) for x in self.p.tolist()]
        model, total = self.lists.model(leaves), 0.0
        for row, length in zip(tokens, lengths, strict=True):
            own = [int(token) for token in row[: int(length) + 1]]
            total = total + self.lists.loss_of(own, model, self.functions) * (1.0 / len(tokens))
        total.backward()
        slopes = np.array([leaf.grad for leaf in leaves])
        self.p, self.means, self.squares = adam(self.p, self.means, self.squares, slopes, k + 1.0)
        return self.functions.value(total)


def recorded(setting: Setting) -> Graphs:
    """The program of lists, recorded as a graph."""
    return Graphs(setting, cr.Var, Functions(cr.relu, cr.exp, cr.log, lambda x: x.value))


def values(setting: Setting) -> Graphs:
    """The same on the plain `Value` class."""
    return Graphs(setting, Value, Functions(Value.relu, Value.exp, Value.log, lambda x: x.data))


# ---- by hand ----


class Numpy:
    """Slopes written by hand: letters are rows of matrices without padding, but for attention."""

    def __init__(self, setting: Setting, start: Array = None) -> None:
        self.setting, self.p = setting, setting.start if start is None else start
        self.means, self.squares = np.zeros_like(self.p), np.zeros_like(self.p)

    def __call__(self, k: int) -> float:
        value, slopes = self.slopes(*self.setting.batch(k))
        self.p, self.means, self.squares = adam(self.p, self.means, self.squares, slopes, k + 1)
        return value

    def slopes(self, tokens: Array, lengths: Array) -> tuple[float, Array]:
        """Return the loss of some names and its slopes."""
        w = gpt.unpack(self.p, self.setting.width)
        batch, width, heads = len(tokens), self.setting.width, gpt.HEADS
        most = int(lengths.max())
        inside = np.arange(most) < lengths[:, None]
        name, place = inside.nonzero()
        now, following = tokens[name, place].astype(int), tokens[name, place + 1].astype(int)
        weight = (1.0 / (batch * lengths[name])).astype(self.p.dtype)

        def padded(x: Array) -> Array:
            full = np.zeros((batch, most, width), x.dtype)
            full[name, place] = x
            return full.reshape(batch, most, heads, -1).transpose(0, 2, 1, 3)

        def rows(x: Array) -> Array:
            return x.transpose(0, 2, 1, 3).reshape(batch, most, width)[name, place]

        start = w["token"][now] + w["place"][place]
        first, by_first = normalised(start)
        x, by_x = normalised(first)
        query, key, value = (padded(x @ w[part].T) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) * (width // heads) ** -0.5
        scores[:, :, np.arange(most)[:, None] < np.arange(most)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = rows(shares @ value)
        second = first + mixed @ w["mix"].T
        y, by_y = normalised(second)
        inner = np.maximum(y @ w["widen"].T, 0.0)
        last = second + inner @ w["narrow"].T
        logits = last @ w["readout"].T
        logits -= logits.max(-1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(-1, keepdims=True)
        row = np.arange(len(name))
        loss = float(weight @ (np.log(total[:, 0]) - logits[row, following]))

        d = powers * (weight[:, None] / total)
        d[row, following] -= weight
        found = {"readout": d.T @ last}
        d_last = d @ w["readout"]
        found["narrow"] = d_last.T @ inner
        d_inner = d_last @ w["narrow"] * (inner > 0)
        found["widen"] = d_inner.T @ y
        d_second = d_last + by_y(d_inner @ w["widen"])
        found["mix"] = d_second.T @ mixed
        d_mixed = padded(d_second @ w["mix"])
        d_shares = d_mixed @ value.transpose(0, 1, 3, 2)
        d_scores = shares * (d_shares - (shares * d_shares).sum(-1, keepdims=True)) * (width // heads) ** -0.5
        d_x = 0.0
        for part, slope in (
            ("query", d_scores @ key),
            ("key", d_scores.transpose(0, 1, 3, 2) @ query),
            ("value", shares.transpose(0, 1, 3, 2) @ d_mixed),
        ):
            own = rows(slope)
            found[part] = own.T @ x
            d_x = d_x + own @ w[part]
        d_start = by_first(d_second + by_x(d_x))
        found["token"], found["place"] = np.zeros_like(w["token"]), np.zeros_like(w["place"])
        np.add.at(found["token"], now, d_start)
        np.add.at(found["place"], place, d_start)
        return loss, np.concatenate([found[part].ravel() for part in w])


def in_double(setting: Setting) -> Numpy:
    """NumPy in double precision, from the same start."""
    return Numpy(setting, setting.start.astype(float))


def normalised(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return rows divided by their root mean squares, and what takes slopes by these to slopes by x."""
    scale = (np.mean(x * x, -1, keepdims=True) + 1e-5) ** -0.5

    def back(d: Array) -> Array:
        return d * scale - x * (np.mean(d * x, -1, keepdims=True) * scale**3)

    return x * scale, back


class C:
    """gpt.c, compiled by gcc for this width and precision."""

    def __init__(self, setting: Setting) -> None:
        single = setting.dtype == "float32"
        self.setting, lanes = setting, min(16 if single else 8, setting.tokens.shape[1])
        names = {"EXP": "exp", "LOG": "log", "SQRT": "sqrt"}
        defined = {"REAL": "float" if single else "double", "LANES": lanes, "WIDTH": setting.width}
        defined |= {name: text + "f" * single for name, text in names.items()}
        flags = [*FAST, *[f"-D{name}={text}" for name, text in defined.items()]]
        self.library = compiled_c(Path(__file__).with_name("gpt.c").read_text(), options=flags)
        self.p = setting.start
        self.means, self.squares = np.zeros_like(self.p), np.zeros_like(self.p)
        self.batches = [
            (np.ascontiguousarray(tokens, np.int32), np.ascontiguousarray(lengths, np.int32))
            for tokens, lengths in map(setting.batch, range(len(setting.tokens)))
        ]
        self.library.step.restype = ctypes.c_double
        self.state = [ctypes.c_void_p(array.ctypes.data) for array in (self.p, self.means, self.squares)]
        self.pointers = [tuple(ctypes.c_void_p(array.ctypes.data) for array in batch) for batch in self.batches]

    def __call__(self, k: int) -> float:
        place = k % len(self.batches)
        size = ctypes.c_long(len(self.batches[place][1]))
        rates = ctypes.c_double(k + 1.0), ctypes.c_double(RATE)
        return float(self.library.step(*self.state, *rates, *self.pointers[place], size))


def c(setting: Setting) -> C | None:
    """Names in the lanes of gcc's vectors, padding skipped."""
    return C(setting) if shutil.which("gcc") else None
