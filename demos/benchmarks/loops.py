"""Measure for `benchmark.py loops`: programs whose loops stay loops, against JAX, NumPy by hand and recorded graphs.

Every contender computes a value and its gradient from the same arrays; they are compared before any time is printed. A
time is that of a whole Python call; contenders take turns. A batch is shared by as many threads as JAX takes: one for
each processor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import chainrule as cr
import numpy as np
from chainrule import nn

from .compilation import compare, measure, report
from .peers import optional
from .workloads import GPT, Functions

Call = Callable[[], Any]
Array = Any
_THREADS = os.cpu_count() or 1
_SHARED = f"{_THREADS} threads" if _THREADS > 1 else "1 thread"


class Network:
    """An MLP, a map over the neurons of each layer; parameters in arrays: for each neuron weights, then bias.

    A comprehension over the neurons, and `nn.MLP`, have to come to the same loops.
    """

    def __init__(self, sizes: tuple[int, ...] = (64, 128, 64, 1), samples: int = 1024) -> None:
        draw = np.random.default_rng(0)
        self.sizes = sizes
        self.p = [draw.normal(size=(b, a + 1)) / np.sqrt(a) for a, b in pairwise(sizes)]
        self.x, self.y = draw.normal(size=(samples, sizes[0])), draw.normal(size=samples)
        self.title = f"MLP {'-'.join(map(str, sizes))}, squared loss and all gradients, {samples} samples, {_SHARED}"

    @staticmethod
    def neuron(row: Any, x: Any) -> Any:
        return cr.tanh(cr.dot(row[:-1], x) + row[-1])

    def loss(self, p: Any, x: Any, y: Any) -> Any:
        for layer in p[:-1]:
            x = cr.map(self.neuron, layer, x)
        return cr.square(cr.dot(p[-1][0][:-1], x) + p[-1][0][-1] - y)

    def written_out(self, p: Any, x: Any, y: Any) -> Any:
        for layer in p[:-1]:
            x = [self.neuron(row, x) for row in layer]
        return cr.square(cr.dot(p[-1][0][:-1], x) + p[-1][0][-1] - y)

    def of_model(self, p: Any, x: Any, y: Any) -> Any:
        model = nn.MLP(self.sizes[0], self.sizes[1:]).with_parameters(p)
        return cr.square(model(x) - y)

    def compiled(self, loss: Any, p: Any, dtype: str = "float64") -> Call:
        options = {"batch": ("x", "y"), "reduce": "mean", "backend": "llvm", "threads": _THREADS, "dtype": dtype}
        step, x, y = cr.compile(cr.value_and_grad(loss), **options), self.x.astype(dtype), self.y.astype(dtype)
        return lambda: flat(step(p, x, y))

    def chainrule(self) -> Call:
        return self.compiled(self.loss, self.p)

    def peers(self) -> dict[str, Call]:
        calls = {
            "a comprehension": self.compiled(self.written_out, self.p),
            "nn.MLP": self.compiled(self.of_model, np.concatenate([layer.ravel() for layer in self.p])),
        }
        jax = optional("jax")
        return calls if jax is None else calls | {"JAX arrays": self.by_jax(jax)}

    def by_jax(self, jax: Any, dtype: str = "float64") -> Call:
        jnp = jax.numpy
        x, y = jnp.asarray(self.x, dtype), jnp.asarray(self.y, dtype)

        def loss(p: Any) -> Any:
            h = x
            for w in p[:-1]:
                h = jnp.tanh(h @ w[:, :-1].T + w[:, -1])
            return jnp.mean((h @ p[-1][0, :-1] + p[-1][0, -1] - y) ** 2)

        run, p = jax.jit(jax.value_and_grad(loss)), [jnp.asarray(w, dtype) for w in self.p]
        return lambda: flat(jax.block_until_ready(run(p)))


class SingleNetwork(Network):
    """The same in single precision, beside doubles."""

    tolerance = 1e-4

    def __init__(self, *sizes: Any) -> None:
        super().__init__(*sizes)
        self.title += ", float32"

    def chainrule(self) -> Call:
        return self.compiled(self.loss, [w.astype("float32") for w in self.p], "float32")

    def peers(self) -> dict[str, Call]:
        jax = optional("jax")
        calls = {"chainrule, float64": super().chainrule()}
        return calls if jax is None else calls | {"JAX arrays, float32": self.by_jax(jax, "float32")}


class Recurrence:
    """An LSTM cell followed over a series: a scan."""

    def __init__(self, units: int = 14, steps: int = 1000) -> None:
        draw = np.random.default_rng(1)
        self.units = units
        self.w, self.r = draw.normal(size=(4 * units, units + 2)) * 0.3, draw.normal(size=units)
        self.x = draw.normal(size=steps)
        self.title = f"LSTM cell, {units} units, {steps} steps, value and gradient by {self.w.size} weights"

    def cell(self, state: Any, x: Any, w: Any) -> Any:
        n, (h, c) = self.units, state
        z = [*h, x, 1.0]
        g = [cr.dot(row, z) for row in w]
        i, f, o = ([cr.sigmoid(v) for v in g[k * n : (k + 1) * n]] for k in range(3))
        c = [a * b + d * cr.tanh(e) for a, b, d, e in zip(f, c, i, g[3 * n :], strict=True)]
        return ([a * cr.tanh(b) for a, b in zip(o, c, strict=True)], c), None

    def loss(self, w: Any, x: Any, r: Any) -> Any:
        zeros = [0.0] * self.units
        (h, _), _ = cr.scan(self.cell, (zeros, zeros), x, w)
        return cr.dot(r, h)

    def chainrule(self) -> Call:
        step = cr.compile(cr.value_and_grad(self.loss), backend="llvm")
        return lambda: flat(step(self.w, self.x, self.r))

    def peers(self) -> dict[str, Call]:
        jax = optional("jax")
        if jax is None:
            return {}
        jnp, n = jax.numpy, self.units
        x, r = jnp.asarray(self.x), jnp.asarray(self.r)

        def loss(w: Any) -> Any:
            def cell(state: Any, x: Any) -> Any:
                h, c = state
                g = w @ jnp.concatenate([h, jnp.array([x, 1.0])])
                i, f, o = (jax.nn.sigmoid(g[k * n : (k + 1) * n]) for k in range(3))
                c = f * c + i * jnp.tanh(g[3 * n :])
                return (o * jnp.tanh(c), c), None

            (h, _), _ = jax.lax.scan(cell, (jnp.zeros(n), jnp.zeros(n)), x)
            return r @ h

        run, w = jax.jit(jax.value_and_grad(loss)), jnp.asarray(self.w)
        return {"JAX scan": lambda: flat(jax.block_until_ready(run(w)))}


class Oscillator:
    """Runge-Kutta of fourth order for two coupled oscillators: a scan without items."""

    def __init__(self, steps: int = 10_000) -> None:
        self.steps = steps
        self.start, self.q = np.array([1.0, 0.0, 0.0, 1.1]), np.array([1.0, 0.01, 0.3, 0.02])
        self.title = f"Runge-Kutta, {steps} steps of 4 variables, gradient by the start and 4 parameters"

    @staticmethod
    def field(y: Any, q: Any) -> list[Any]:
        return [
            *(y[2], y[3]),
            -q[0] * y[0] - q[1] * y[0] * y[1] - q[3] * y[2],
            -q[2] * y[1] - q[1] * y[0] * y[0] - q[3] * y[3],
        ]

    def loss(self, y: Any, q: Any, scan: Any = cr.scan) -> Any:
        h = 0.001

        def move(y: Any, k: Any, h: float) -> list[Any]:
            return [a + h * b for a, b in zip(y, k, strict=True)]

        def step(y: Any, _: Any) -> Any:
            k = self.field(y, q)
            total = k
            for part, weight in ((h / 2, 2.0), (h / 2, 2.0), (h, 1.0)):
                k = self.field(move(y, k, part), q)
                total = [a + weight * b for a, b in zip(total, k, strict=True)]
            return move(y, total, h / 6), None

        y, _ = scan(step, [y[0], y[1], y[2], y[3]], None, length=self.steps)
        return y[0] * y[0] + y[1] * y[2] + y[3]

    def chainrule(self) -> Call:
        step = cr.compile(cr.value_and_grad(self.loss, (0, 1)), backend="llvm")
        return lambda: flat(step(self.start, self.q))

    def peers(self) -> dict[str, Call]:
        jax = optional("jax")
        if jax is None:
            return {}
        y, q = jax.numpy.asarray(self.start), jax.numpy.asarray(self.q)
        run = jax.jit(jax.value_and_grad(lambda y, q: self.loss(y, q, jax.lax.scan), (0, 1)))
        return {"JAX scan": lambda: flat(jax.block_until_ready(run(y, q)))}


class LogSumExp:
    """One long reduction, without a batch."""

    def __init__(self, count: int = 1_000_000) -> None:
        self.x = np.random.default_rng(2).normal(size=count) * 3.0
        self.title = f"log-sum-exp of {count} numbers, value and gradient"

    def chainrule(self) -> Call:
        step = cr.compile(cr.value_and_grad(lambda x: cr.logsumexp(x)), backend="llvm")
        return lambda: flat(step(self.x))

    def peers(self) -> dict[str, Call]:
        def by_hand() -> Any:
            top = self.x.max()
            powers = np.exp(self.x - top)
            total = powers.sum()
            return top + np.log(total), powers / total

        return {"NumPy by hand": by_hand}


class Mixture:
    """The log-likelihood of Gaussians with triangular factors of their precision: a map over them, in a batch."""

    def __init__(self, dimensions: int = 10, components: int = 25, points: int = 1000) -> None:
        draw, d, k = np.random.default_rng(3), dimensions, components
        self.p = (
            *(draw.normal(size=k), draw.normal(size=(k, d))),
            *(draw.normal(size=(k, d)) * 0.1, draw.normal(size=(k, d * (d - 1) // 2)) * 0.1),
        )
        self.x = draw.normal(size=(points, d))
        self.title = f"Gaussian mixture, {d} dimensions, {k} components, {points} points, value and gradient, {_SHARED}"

    @staticmethod
    def component(parameters: Any, x: Any) -> Any:
        weight, mean, scales, below = parameters
        away = [a - b for a, b in zip(x, mean, strict=True)]
        z, start = [], 0
        for i, scale in enumerate(scales):
            z.append(cr.exp(scale) * away[i] + (cr.dot(below[start : start + i], away[:i]) if i else 0.0))
            start += i
        return weight + cr.sum(scales) - 0.5 * cr.dot(z, z)

    def loss(self, p: Any, x: Any) -> Any:
        return cr.logsumexp(list(cr.map(self.component, p, x)))

    def chainrule(self) -> Call:
        step = cr.compile(cr.value_and_grad(self.loss), batch="x", reduce="sum", backend="llvm", threads=_THREADS)
        return lambda: flat(step(self.p, self.x))

    def peers(self) -> dict[str, Call]:
        jax = optional("jax")
        if jax is None:
            return {}
        jnp, x = jax.numpy, jax.numpy.asarray(self.x)
        rows, columns = np.tril_indices(self.x.shape[1], -1)

        def loss(p: Any) -> Any:
            weights, means, scales, below = p
            factors = jax.vmap(jnp.diag)(jnp.exp(scales)).at[:, rows, columns].set(below)
            z = jnp.einsum("kij,nkj->nki", factors, x[:, None, :] - means[None])
            scores = weights + scales.sum(1) - 0.5 * (z * z).sum(-1)
            return jax.scipy.special.logsumexp(scores, axis=1).sum()

        run, p = jax.jit(jax.value_and_grad(loss)), tuple(map(jnp.asarray, self.p))
        return {"JAX arrays": lambda: flat(jax.block_until_ready(run(p)))}


class Transformer:
    """One layer of a GPT made of scalars: maps over places, rows and heads; the peer records a graph each time."""

    def __init__(self, width: int = 16, heads: int = 4, context: int = 16) -> None:
        self.gpt = GPT(width, heads, context)
        self.p = np.array(self.gpt.start)
        self.title = f"GPT layer, embedding {width}, {heads} heads, context {context}, loss and {self.p.size} gradients"

    def loss(self, p: Any) -> Any:
        gpt, width, heads = self.gpt, self.gpt.width, self.gpt.heads
        w: Any = gpt.model(list(p))
        size, count = width // heads, len(gpt.tokens) - 1
        tokens = [w["token"][token] for token in gpt.tokens[:-1]]

        def multiply(matrix: Any, x: Any) -> Any:
            return cr.map(cr.dot, matrix, x)

        def normalise(x: Any) -> Any:
            scale = (cr.dot(x, x) * (1.0 / len(x)) + 1e-5) ** -0.5
            return [a * scale for a in x]

        def look(item: Any, query: Any, key: Any, value: Any) -> Any:
            x = normalise([a + b for a, b in zip(*item, strict=True)])
            y = normalise(x)
            return x, multiply(query, y), multiply(key, y), multiply(value, y)

        def attend(item: Any, keys: Any, values: Any, mix: Any, widen: Any, narrow: Any, readout: Any) -> Any:
            x, query, place, target = item
            mixed = []
            for first in range(0, width, size):
                part = slice(first, first + size)
                scores = [cr.dot(query[part], key[part]) * size**-0.5 for key in keys]
                # What comes later has no share.
                scores = [cr.where(place < k, -1e30, score) for k, score in enumerate(scores)]
                shares = cr.softmax(scores)
                mixed += [cr.dot(shares, [value[k] for value in values]) for k in range(first, first + size)]
            x = [a + b for a, b in zip(x, multiply(mix, mixed), strict=True)]
            inner = cr.map(lambda row, x: cr.relu(cr.dot(row, x)), widen, normalise(x))
            x = [a + b for a, b in zip(x, multiply(narrow, inner), strict=True)]
            return cr.logsumexp(multiply(readout, x)) - cr.dot(target, x)

        x, queries, keys, values = cr.map(look, (tokens, w["place"][:count]), w["query"], w["key"], w["value"])
        places, targets = [float(k) for k in range(count)], [w["readout"][token] for token in gpt.tokens[1:]]
        rest = (w["mix"], w["widen"], w["narrow"], w["readout"])
        return cr.map(attend, (x, queries, places, targets), keys, values, *rest, reduce="mean")

    def chainrule(self) -> Call:
        step = cr.compile(cr.value_and_grad(self.loss), backend="llvm")
        return lambda: flat(step(self.p))

    def peers(self) -> dict[str, Call]:
        functions = Functions(cr.relu, cr.exp, cr.log, lambda x: x.value)

        def recorded() -> Any:
            leaves: Any = [cr.Var(x) for x in self.p]
            loss: Any = self.gpt.loss(self.gpt.model(leaves), functions)
            loss.backward()
            return loss.value, np.array([leaf.grad for leaf in leaves])

        return {"recorded graph": recorded}


def flat(result: Any) -> tuple[float, Array]:
    """Return the value and all gradients in one array."""
    value, gradient = result
    return float(value), np.concatenate([np.ravel(np.asarray(part)) for part in leaves(gradient)])


def leaves(tree: Any) -> list[Any]:
    """List the arrays of a nested structure; of dicts by their keys, in the order that JAX gives them."""
    tree = [tree[key] for key in sorted(tree)] if isinstance(tree, dict) else tree
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, (list, tuple)) else [tree]


QUICK = (
    *(
        Network((3, 5, 1), 10),
        SingleNetwork((3, 5, 1), 10),
        Recurrence(2, 5),
        Oscillator(5),
        LogSumExp(1200),
        Mixture(2, 3, 9),
    ),
    Transformer(4, 2, 4),
)


def run(repeats: int, quick: bool) -> None:
    """Print a table for each workload; `quick` takes tiny sizes."""
    os.environ.setdefault("CHAINRULE_CACHE", "0")
    full = [Network, SingleNetwork, Recurrence, Oscillator, LogSumExp, Mixture, Transformer]
    turns, seconds = (1, 0.0) if quick else (repeats, 0.3)
    for workload in QUICK if quick else [make() for make in full]:
        start = time.perf_counter()
        own = workload.chainrule()
        own()
        compiled = time.perf_counter() - start
        calls = {"chainrule": own} | workload.peers()
        compare(calls, getattr(workload, "tolerance", 1e-9))
        report(workload.title, measure(calls, turns, seconds))
        print(f"  traced, compiled and run in {compiled:.2f} s")
