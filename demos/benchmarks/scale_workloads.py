"""Hold the workloads of `benchmark.py scale`, each written as one would who knows NumPy, and by hand for its peers.

A contender is a method that returns a call, which compiles at its first time, or None where its tool is not installed.
Results are compared part by part, in order. Formulas of benchmarks that others published are written anew here.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import chainrule as cr
import numpy as np

from .bundle import Bundle
from .peers import optional
from .scale_workload import Call, Workload


class LogSumExp(Workload):
    def __init__(self, count: int, bars: dict[str, float]) -> None:
        self.arguments = (np.random.default_rng(2).normal(size=count) * 3.0,)
        self.title, self.bars = f"log-sum-exp of {count:,} numbers, value and gradient", bars

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(lambda x: cr.logsumexp(x)))

    def by_numpy(self) -> Call:
        (x,) = self.arguments

        def call() -> Any:
            top = x.max()
            powers = np.exp(x - top)
            total = powers.sum()
            return top + np.log(total), powers / total

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        return jax and self.jitted(jax.value_and_grad(jax.nn.logsumexp))


class Network(Workload):
    bars = {"first": 1.5, "JAX jit": 1.0}

    def __init__(self, inputs: int = 784, hidden: int = 128, classes: int = 10, samples: int = 256) -> None:
        draw = np.random.default_rng(0)
        p = {
            "w": draw.normal(size=(hidden, inputs)) / np.sqrt(inputs),
            "b": draw.normal(size=hidden) * 0.1,
            "u": draw.normal(size=(classes, hidden)) / np.sqrt(hidden),
            "c": draw.normal(size=classes) * 0.1,
        }
        labels = np.eye(classes)[draw.integers(classes, size=samples)]
        self.arguments = (p, draw.normal(size=(samples, inputs)), labels)
        count = sum(part.size for part in p.values())
        self.title = f"MLP {inputs}-{hidden}-{classes}, cross-entropy and {count:,} gradients, batch of {samples}"

    @staticmethod
    def loss(p: Any, x: Any, label: Any) -> Any:
        h = np.tanh(p["w"] @ x + p["b"])
        z = p["u"] @ h + p["c"]
        return cr.logsumexp(z) - cr.dot(label, z)

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(self.loss), batch=("x", "label"), reduce="mean")

    def by_numpy(self) -> Call:
        p, x, labels = self.arguments

        def call() -> Any:
            h = np.tanh(x @ p["w"].T + p["b"])
            z = h @ p["u"].T + p["c"]
            top = z.max(1, keepdims=True)
            powers = np.exp(z - top)
            total = powers.sum(1, keepdims=True)
            value = (np.log(total) + top - (labels * z).sum(1, keepdims=True)).mean()
            g = (powers / total - labels) / len(x)
            back = (g @ p["u"]) * (1.0 - h * h)
            return value, {"w": back.T @ x, "b": back.sum(0), "u": g.T @ h, "c": g.sum(0)}

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None
        jnp = jax.numpy

        def loss(p: Any, x: Any, labels: Any) -> Any:
            z = jnp.tanh(x @ p["w"].T + p["b"]) @ p["u"].T + p["c"]
            return (jax.nn.logsumexp(z, axis=1) - (labels * z).sum(1)).mean()

        return self.jitted(jax.value_and_grad(loss))


class Rosenbrock(Workload):
    bars = {"first": 0.5, "NumPy by hand": 2.0}

    def __init__(self, count: int = 1_000_000) -> None:
        self.arguments = (np.random.default_rng(1).normal(size=count),)
        self.title = f"chained Rosenbrock of {count:,} variables, value and gradient"

    @staticmethod
    def f(x: Any, xp: Any = np) -> Any:
        return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(self.f))

    def by_numpy(self) -> Call:
        (x,) = self.arguments

        def call() -> Any:
            a, gradient = x[:-1], np.zeros_like(x)
            off, rest = x[1:] - a * a, 1.0 - a
            gradient[1:] = 200.0 * off
            gradient[:-1] -= 400.0 * a * off + 2.0 * rest
            return 100.0 * (off @ off) + rest @ rest, gradient

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        return jax and self.jitted(jax.value_and_grad(lambda x: self.f(x, jax.numpy)))


class RosenbrockProduct(Rosenbrock):
    def __init__(self, count: int = 1_000_000) -> None:
        super().__init__(count)
        self.arguments = (*self.arguments, np.random.default_rng(2).normal(size=count))
        self.title = f"chained Rosenbrock of {count:,} variables, product of its Hessian with a vector"

    def chainrule(self) -> Call:
        return self.compiled(lambda x, v: cr.hvp(self.f, (x,), (v,)))

    def by_numpy(self) -> Call:
        x, v = self.arguments

        def call() -> Any:
            a, product = x[:-1], np.zeros_like(x)
            moved = v[1:] - 2.0 * a * v[:-1]
            product[1:] = 200.0 * moved
            product[:-1] += 2.0 * v[:-1] - 400.0 * (a * moved + (x[1:] - a * a) * v[:-1])
            return product

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        return jax and self.jitted(lambda x, v: jax.jvp(jax.grad(lambda x: self.f(x, jax.numpy)), (x,), (v,))[1])


class Mixture(Workload):
    """Gaussians by factors of their precisions: exp(scales) on the diagonal, `below` row by row under it."""

    contenders = {"chainrule": "chainrule", "jax": "JAX jit"}
    bars = {"first": 3.0, "JAX jit": 1.0}

    def __init__(self, dimensions: int = 64, components: int = 100, points: int = 10_000) -> None:
        draw, d, k = np.random.default_rng(3), dimensions, components
        p = (
            *(draw.normal(size=k), draw.normal(size=(k, d))),
            *(draw.normal(size=(k, d)) * 0.1, draw.normal(size=(k, d * (d - 1) // 2)) * 0.1),
        )
        self.arguments = (p, draw.normal(size=(points, d)))
        self.title = f"Gaussian mixture, {d} dimensions, {k} components, {points:,} points, value and all gradients"

    @staticmethod
    def component(parameters: Any, x: Any) -> Any:
        weight, mean, scale, below = parameters
        away, start, squares = x - mean, 0, 0.0
        for i in range(len(scale)):
            z = np.exp(scale[i]) * away[i]
            if i:
                z = z + cr.dot(below[start : start + i], away[:i])
            squares, start = squares + z * z, start + i
        return weight + cr.sum(scale) - 0.5 * squares

    def loss(self, p: Any, x: Any) -> Any:
        return cr.logsumexp(cr.map(self.component, p, x)) - cr.logsumexp(p[0])

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(self.loss), batch="x", reduce="sum")

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None
        jnp = jax.numpy
        d = self.arguments[1].shape[1]
        rows, columns = np.tril_indices(d, -1)

        def loss(p: Any, x: Any) -> Any:
            weights, means, scales, below = p
            factors = jax.vmap(jnp.diag)(jnp.exp(scales)).at[:, rows, columns].set(below)

            def score(weight: Any, mean: Any, scale: Any, factor: Any) -> Any:
                z = (x - mean) @ factor.T
                return weight + scale.sum() - 0.5 * (z * z).sum(1)

            scores = jax.vmap(score)(weights, means, scales, factors)
            return jax.nn.logsumexp(scores, axis=0).sum() - len(x) * jax.nn.logsumexp(weights)

        return self.jitted(jax.value_and_grad(loss))


class Means(Workload):
    bars = {"first": 2.0, "JAX jit": 1.0}

    def __init__(self, dimensions: int = 1000, centres: int = 16, points: int = 10_000) -> None:
        draw = np.random.default_rng(4)
        self.arguments = (draw.normal(size=(centres, dimensions)), draw.normal(size=(points, dimensions)))
        self.title = f"k-means, {dimensions:,} dimensions, {centres} centres, {points:,} points, gradient and diagonal Hessian"

    @staticmethod
    def nearest(centres: Any, x: Any) -> Any:
        return np.min(np.sum((centres - x) ** 2, axis=1))

    def both(self, centres: Any, x: Any) -> Any:
        slope = cr.grad(lambda centres: self.nearest(centres, x))
        return cr.jvp(slope, (centres,), (np.ones(self.arguments[0].shape),))

    def chainrule(self) -> Call:
        return self.compiled(self.both, batch="x", reduce="sum")

    def by_numpy(self) -> Call:
        centres, points = self.arguments

        def call() -> Any:
            squares = (centres * centres).sum(1) - 2.0 * points @ centres.T
            member = np.eye(len(centres))[squares.argmin(1)]
            count = member.sum(0)[:, None]
            return 2.0 * (count * centres - member.T @ points), np.broadcast_to(2.0 * count, centres.shape).copy()

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None

        def cost(centres: Any, points: Any) -> Any:
            squares = (centres * centres).sum(1) - 2.0 * points @ centres.T
            return (squares.min(1) + (points * points).sum(1)).sum()

        def both(centres: Any, points: Any) -> Any:
            slope = jax.grad(lambda centres: cost(centres, points))
            return jax.jvp(slope, (centres,), (jax.numpy.ones_like(centres),))

        return self.jitted(both)


class Recurrence(Workload):
    """An LSTM of two layers that foretells the next row of a series of shares: cross-entropy and all gradients."""

    contenders = {"chainrule": "chainrule", "jax": "JAX scan"}
    bars = {"first": 3.0, "JAX scan": 5.0}

    def __init__(self, units: int = 14, steps: int = 4096) -> None:
        draw = np.random.default_rng(5)
        weights = [draw.normal(size=(4 * units, 2 * units + 1)) * 0.3 for _ in range(2)]
        series = np.exp(draw.normal(size=(steps, units)))
        series /= series.sum(1, keepdims=True)
        self.arguments = ((*weights, draw.normal(size=(units, units))), series)
        self.units = units
        self.title = f"LSTM of 2 layers, {units} units, {steps:,} steps, value and gradient"

    @staticmethod
    def layer(w: Any, x: Any, h: Any, c: Any, xp: Any, sigmoid: Any) -> Any:
        i, f, o, g = xp.split(w @ xp.concatenate([x, h, xp.ones(1)]), 4)
        c = sigmoid(f) * c + sigmoid(i) * xp.tanh(g)
        return sigmoid(o) * xp.tanh(c), c

    def loss(self, p: Any, x: Any, xp: Any, sigmoid: Any, scan: Any, logsumexp: Any) -> Any:
        first, second, readout = p

        def step(state: Any, rows: Any) -> Any:
            (h, c), (k, d), (row, following) = *state, rows
            h, c = self.layer(first, row, h, c, xp, sigmoid)
            k, d = self.layer(second, h, k, d, xp, sigmoid)
            z = readout @ k
            return ((h, c), (k, d)), logsumexp(z) - xp.dot(following, z)

        zeros = xp.zeros(self.units)
        _, losses = scan(step, ((zeros, zeros), (zeros, zeros)), (x[:-1], x[1:]))
        return xp.mean(losses)

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(lambda p, x: self.loss(p, x, np, cr.sigmoid, cr.scan, cr.logsumexp)))

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None
        tools = (jax.numpy, jax.nn.sigmoid, jax.lax.scan, jax.nn.logsumexp)
        return self.jitted(jax.value_and_grad(lambda p, x: self.loss(p, x, *tools)))


class Matrices(Workload):
    bars = {"first": 1.0, "JAX jit": 0.5}

    def __init__(self, size: int = 500) -> None:
        draw = np.random.default_rng(6)
        self.arguments = tuple(draw.normal(size=(size, size)) / np.sqrt(size) for _ in range(2))
        self.title = f"sum of tanh(A @ B) of two {size} x {size} matrices, value and both gradients"

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(lambda a, b: np.sum(np.tanh(a @ b)), (0, 1)))

    def by_numpy(self) -> Call:
        a, b = self.arguments

        def call() -> Any:
            y = np.tanh(a @ b)
            slope = 1.0 - y * y
            return y.sum(), (slope @ b.T, a.T @ slope)

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        return jax and self.jitted(jax.value_and_grad(lambda a, b: jax.numpy.tanh(a @ b).sum(), (0, 1)))


class Cofactors(Workload):
    """A determinant along its first row: minors are calls of the function itself, or kept by their columns."""

    contenders = {"chainrule": "recursion", "shared": "minors kept by hand", "by_numpy": "NumPy by inverse"}
    bars = {"traced": 1.0}

    def __init__(self, size: int = 8) -> None:
        self.arguments = (np.random.default_rng(7).normal(size=(size, size)),)
        self.traced = 0.0
        self.title = f"determinant by cofactors with shared minors, {size} x {size}, value and gradient"

    def chainrule(self) -> Call:
        @cr.function
        def determinant(m: Any) -> Any:
            if len(m) == 1:
                return m[0][0]
            minors = [[[*row[:k], *row[k + 1 :]] for row in m[1:]] for k in range(len(m))]
            return sum((-1.0) ** k * m[0][k] * determinant(minor) for k, minor in enumerate(minors))

        return self.of_program(lambda m: determinant([list(row) for row in m]))

    def shared(self) -> Call:
        def determinant(m: Any) -> Any:
            @functools.cache
            def minor(columns: tuple[int, ...]) -> Any:
                if not columns:
                    return 1.0
                rests = [columns[:k] + columns[k + 1 :] for k in range(len(columns))]
                row = m[len(m) - len(columns)]
                return sum((-1.0) ** k * row[columns[k]] * minor(rest) for k, rest in enumerate(rests))

            return minor(tuple(range(len(m))))

        return self.of_program(determinant)

    def of_program(self, f: Any) -> Call:
        """Return the call of a function's gradient; the first notes how long it took to trace."""
        steps: list[Any] = []

        def call() -> Any:
            if not steps:
                start = time.perf_counter()
                program = cr.trace(cr.value_and_grad(f), *self.arguments)
                self.traced = time.perf_counter() - start
                steps.append(cr.compile(program, backend="llvm"))
            return steps[0](*self.arguments)

        return call

    def by_numpy(self) -> Call:
        (m,) = self.arguments

        def call() -> Any:
            value = np.linalg.det(m)
            return value, value * np.linalg.inv(m).T

        return call


Make = Callable[[], Workload]
FULL: dict[str, Make] = {
    "logsumexp": lambda: LogSumExp(1_000_000, {"first": 0.3, "NumPy by hand": 1.5, "memory": 5.0}),
    "logsumexp-long": lambda: LogSumExp(10_000_000, {"first": 0.5}),
    "mlp": Network,
    "rosenbrock": Rosenbrock,
    "rosenbrock-product": RosenbrockProduct,
    "mixture": Mixture,
    "means": Means,
    "bundle": Bundle,
    "lstm": Recurrence,
    "matrices": Matrices,
    "cofactors": Cofactors,
}
QUICK: dict[str, Make] = {
    "logsumexp": lambda: LogSumExp(1200, FULL["logsumexp"]().bars),
    "logsumexp-long": lambda: LogSumExp(5000, {"first": 0.5}),
    "mlp": lambda: Network(20, 16, 3, 5),
    "rosenbrock": lambda: Rosenbrock(1000),
    "rosenbrock-product": lambda: RosenbrockProduct(1000),
    "mixture": lambda: Mixture(4, 3, 9),
    "means": lambda: Means(30, 12, 20),
    "bundle": lambda: Bundle(30, 20, 90),
    "lstm": lambda: Recurrence(3, 12),
    "matrices": lambda: Matrices(20),
    "cofactors": lambda: Cofactors(4),
}
