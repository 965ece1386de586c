"""The workloads of `benchmark.py scale`, each written as one would who knows NumPy, and by hand for its peers.

A contender is a method that returns a call, which compiles at its first time, or None where its tool is not installed.
Results are compared part by part, in order. Formulas of benchmarks that others published are written anew here.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ClassVar

import chainrule as cr
import numpy as np

from .bundle import Bundle
from .clusters import Means, Mixture
from .peers import optional
from .scale_workload import Call, Workload, machine_code


class LogSumExp(Workload):
    bars: ClassVar = {"first": 0.3, "NumPy by hand": 1.5, "memory": 5.0}

    def __init__(self, count: int = 1_000_000) -> None:
        self.arguments = (np.random.default_rng(2).normal(size=count) * 3.0,)
        self.title = f"log-sum-exp of {count:,} numbers, value and gradient"

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(lambda x: cr.logsumexp(x)))

    def by_numpy(self) -> Call:
        (x,) = self.arguments

        powers = np.empty_like(x)

        def call() -> Any:
            top = x.max()
            np.exp(np.subtract(x, top, out=powers), out=powers)
            total = powers.sum()
            return top + np.log(total), powers / total

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        return jax and self.jitted(jax.value_and_grad(jax.nn.logsumexp))


class LongLogSumExp(LogSumExp):
    bars: ClassVar = {"first": 0.5}


class Network(Workload):
    bars: ClassVar = {"first": 1.5, "JAX jit": 1.0}

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
    bars: ClassVar = {"first": 0.5, "NumPy by hand": 2.0}

    def __init__(self, count: int = 1_000_000) -> None:
        self.arguments = (np.random.default_rng(1).normal(size=count),)
        self.title = f"chained Rosenbrock of {count:,} variables, value and gradient"

    @staticmethod
    def f(x: Any, xp: Any = np) -> Any:
        return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(self.f))

    def by_numpy(self) -> Call:
        """Keep all arrays but the result, and add up without BLAS: page faults and its threads took most time."""
        (x,) = self.arguments
        off, rest, work = (np.empty(len(x) - 1) for _ in range(3))

        def call() -> Any:
            a, gradient = x[:-1], np.empty_like(x)
            np.subtract(x[1:], np.multiply(a, a, out=off), out=off)
            np.subtract(1.0, a, out=rest)
            gradient[0] = 0.0
            np.multiply(off, 200.0, out=gradient[1:])
            np.multiply(a, off, out=work)
            np.multiply(work, 200.0, out=work)
            np.add(work, rest, out=work)
            np.multiply(work, 2.0, out=work)
            gradient[:-1] -= work
            return 100.0 * np.einsum("i,i", off, off) + np.einsum("i,i", rest, rest), gradient

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
        moved, work = (np.empty(len(x) - 1) for _ in range(2))

        def call() -> Any:
            a, u, product = x[:-1], v[:-1], np.empty_like(x)
            np.multiply(a, u, out=moved)
            np.multiply(moved, -2.0, out=moved)
            np.add(moved, v[1:], out=moved)
            product[0] = 0.0
            np.multiply(moved, 200.0, out=product[1:])
            # 2 u - 400 (a moved + (x[1:] - a a) u)
            np.multiply(a, moved, out=moved)
            np.subtract(x[1:], np.multiply(a, a, out=work), out=work)
            np.multiply(work, u, out=work)
            np.add(work, moved, out=work)
            np.multiply(work, -200.0, out=work)
            np.add(work, u, out=work)
            np.multiply(work, 2.0, out=work)
            product[:-1] += work
            return product

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        return jax and self.jitted(lambda x, v: jax.jvp(jax.grad(lambda x: self.f(x, jax.numpy)), (x,), (v,))[1])


class Recurrence(Workload):
    """An LSTM of two layers that foretells the next row of a series of shares: cross-entropy and all gradients."""

    contenders: ClassVar = {"chainrule": "chainrule", "jax": "JAX scan"}
    bars: ClassVar = {"first": 3.0, "JAX scan": 5.0}

    def __init__(self, units: int = 14, steps: int = 4096) -> None:
        draw = np.random.default_rng(5)
        weights = [draw.normal(size=(4 * units, 2 * units + 1)) * 0.3 for _ in range(2)]
        series = np.exp(draw.normal(size=(steps, units)))
        series /= series.sum(1, keepdims=True)
        self.arguments = ((*weights, draw.normal(size=(units, units))), series)
        self.units = units
        self.title = f"LSTM of 2 layers, {units} units, {steps:,} steps, value and gradient"

    @staticmethod
    def layer(w: Any, x: Any, h: Any, c: Any, xp: Any) -> Any:
        z = xp.split(w @ xp.concatenate([x, h, xp.ones(1)]), 4)
        i, f, o = (1.0 / (1.0 + xp.exp(-part)) for part in z[:3])
        c = f * c + i * xp.tanh(z[3])
        return o * xp.tanh(c), c

    def loss(self, p: Any, x: Any, xp: Any, scan: Any, logsumexp: Any) -> Any:
        first, second, readout = p

        def step(state: Any, rows: Any) -> Any:
            (h, c), (k, d), (row, following) = *state, rows
            h, c = self.layer(first, row, h, c, xp)
            k, d = self.layer(second, h, k, d, xp)
            z = readout @ k
            return ((h, c), (k, d)), logsumexp(z) - xp.dot(following, z)

        zeros = xp.zeros(self.units)
        _, losses = scan(step, ((zeros, zeros), (zeros, zeros)), (x[:-1], x[1:]))
        return xp.mean(losses)

    def chainrule(self) -> Call:
        return self.compiled(cr.value_and_grad(lambda p, x: self.loss(p, x, np, cr.scan, cr.logsumexp)))

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None
        tools = (jax.numpy, jax.lax.scan, jax.nn.logsumexp)
        return self.jitted(jax.value_and_grad(lambda p, x: self.loss(p, x, *tools)))


class Matrices(Workload):
    bars: ClassVar = {"first": 1.0, "JAX jit": 0.5}

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

    contenders: ClassVar = {"chainrule": "recursion", "shared": "minors kept by hand", "by_numpy": "NumPy by inverse"}
    own: ClassVar = ("chainrule", "shared")
    bars: ClassVar = {"traced": 1.0}

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
                steps.append(machine_code(program))
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
    "logsumexp": LogSumExp,
    "logsumexp-long": lambda: LongLogSumExp(10_000_000),
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
    "logsumexp": lambda: LogSumExp(1200),
    "logsumexp-long": lambda: LongLogSumExp(5000),
    "mlp": lambda: Network(20, 16, 3, 5),
    "rosenbrock": lambda: Rosenbrock(1000),
    "rosenbrock-product": lambda: RosenbrockProduct(1000),
    "mixture": lambda: Mixture(4, 3, 9),
    "means": lambda: Means(30, 12, 20),
    "bundle": lambda: Bundle(30, 90, 400),
    "lstm": lambda: Recurrence(3, 12),
    "matrices": lambda: Matrices(20),
    "cofactors": lambda: Cofactors(4),
}
