"""Measure for `benchmark.py compile`: a network's loss and gradient, and a chain of sines, compiled and by hand.

Every contender computes the same numbers from the same arrays; they are compared before any time is printed. A time is
that of a whole Python call.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import chainrule as cr
import numpy as np

Call = Callable[[], Any]
Array = Any


def median(call: Call, repeats: int, seconds: float = 0.3) -> float:
    """Return the median time of a call in microseconds: of as many as fit, at least `repeats`."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < repeats or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


# ---- a network with hinge loss: the mean over samples, and all its derivatives ----


class Network:
    """Hold an MLP with ReLU layers, its parameters in one array: for each neuron its weights, then its bias."""

    def __init__(self, sizes: list[int], samples: int) -> None:
        self.sizes, self.samples = sizes, samples
        draw = np.random.default_rng(0)
        count = sum((a + 1) * b for a, b in pairwise(sizes))
        self.p = draw.normal(size=count) / np.sqrt(sizes[1])
        self.x = draw.normal(size=(samples, sizes[0]))
        self.y = np.sign(draw.normal(size=samples))
        self.title = f"MLP {'-'.join(map(str, sizes))}, hinge loss and {count} derivatives, {samples} samples"

    def loss(self, p: Any, x: Any, y: Any, relu: Any = cr.relu, dot: Any = cr.dot) -> Any:
        """Compute one sample's loss with scalars."""
        start, last = 0, len(self.sizes) - 2
        for k, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            layer = []
            for _ in range(outputs):
                score = dot(p[start : start + inputs], x) + p[start + inputs]
                layer.append(score if k == last else relu(score))
                start += inputs + 1
            x = layer
        return relu(1.0 - y * x[0])

    def layers(self, p: Array) -> list[tuple[Array, Array]]:
        """Return views of weights and biases."""
        found, start = [], 0
        for inputs, outputs in pairwise(self.sizes):
            block = p[start : start + (inputs + 1) * outputs].reshape(outputs, inputs + 1)
            found.append((block[:, :inputs], block[:, inputs]))
            start += (inputs + 1) * outputs
        return found

    def contenders(self) -> dict[str, Call]:
        step = cr.compile(cr.value_and_grad(self.loss), batch=("x", "y"), reduce="mean", backend="llvm")
        calls: dict[str, Call] = {"chainrule": lambda: step(self.p, self.x, self.y), "NumPy by hand": self.by_numpy}
        for name, make in (("C by hand", self.c), ("JAX arrays", self.jax), ("torch arrays", self.torch)):
            call = make()
            if call is not None:
                calls[name] = call
        return calls

    def by_numpy(self) -> tuple[float, Array]:
        layers = self.layers(self.p)
        values = [self.x]
        for k, (weights, biases) in enumerate(layers):
            score = values[-1] @ weights.T + biases
            values.append(score if k == len(layers) - 1 else np.maximum(score, 0.0))
        margin = 1.0 - self.y * values[-1][:, 0]
        gradient = np.empty_like(self.p)
        slots = self.layers(gradient)
        g = np.where(margin > 0.0, -self.y / self.samples, 0.0)[:, None]
        for k in range(len(layers) - 1, -1, -1):
            slots[k][0][:] = g.T @ values[k]
            slots[k][1][:] = g.sum(0)
            if k:
                g = (g @ layers[k][0]) * (values[k] > 0.0)
        return float(np.maximum(margin, 0.0).mean()), gradient

    def c(self) -> Call | None:
        library = compiled_c(self.c_source())
        if library is None:
            return None
        out = np.empty(len(self.p) + 1)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (self.p, self.x, self.y)]
        count, target = ctypes.c_size_t(self.samples), ctypes.c_void_p(out.ctypes.data)

        def call() -> tuple[float, Array]:
            library.step(*pointers, count, target)
            return out[0], out[1:]

        return call

    def c_source(self) -> str:
        """Write what one writes by hand: loops over layers, samples and weights, all sizes constants."""
        sizes, lines = self.sizes, []
        lines.append("#include <stddef.h>\n#include <string.h>")
        lines.append("void step(const double *p, const double *x, const double *y, size_t n, double *out) {")
        lines.append(f"double *q = out + 1; memset(out, 0, sizeof(double) * {len(self.p) + 1});")
        lines.append("for (size_t s = 0; s < n; s++) {")
        lines.append(f"const double *h0 = x + s * {sizes[0]};")
        starts, start = [], 0
        for k, (a, b) in enumerate(pairwise(sizes), 1):
            starts.append(start)
            cut = "t" if k == len(sizes) - 1 else "t > 0 ? t : 0"
            lines.append(
                f"double h{k}[{b}]; for (int j = 0; j < {b}; j++) {{ const double *w = p + {start} + j * {a + 1};"
                f"double t = w[{a}]; for (int i = 0; i < {a}; i++) t += w[i] * h{k - 1}[i]; h{k}[j] = {cut}; }}"
            )
            start += (a + 1) * b
        last = len(sizes) - 1
        lines.append(f"double m = 1 - y[s] * h{last}[0]; if (m <= 0) continue; out[0] += m;")
        lines.append(f"double g{last}[1] = {{-y[s]}};")
        for k in range(last, 0, -1):
            a, b, at = sizes[k - 1], sizes[k], starts[k - 1]
            if k > 1:
                lines.append(f"double g{k - 1}[{a}]; for (int i = 0; i < {a}; i++) g{k - 1}[i] = 0;")
            inner = f"v[i] += g{k}[j] * h{k - 1}[i];" + (f" g{k - 1}[i] += g{k}[j] * w[i];" if k > 1 else "")
            lines.append(
                f"for (int j = 0; j < {b}; j++) {{ const double *w = p + {at} + j * {a + 1}; (void)w;"
                f"double *v = q + {at} + j * {a + 1}; for (int i = 0; i < {a}; i++) {{ {inner} }} v[{a}] += g{k}[j]; }}"
            )
            if k > 1:
                lines.append(f"for (int i = 0; i < {a}; i++) if (h{k - 1}[i] <= 0) g{k - 1}[i] = 0;")
        lines.append(f"}} for (int i = 0; i < {len(self.p) + 1}; i++) out[i] /= (double)n; }}")
        return "\n".join(lines)

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None
        jnp = jax.numpy
        x, y = jnp.asarray(self.x), jnp.asarray(self.y)

        def loss(p: Any) -> Any:
            h, layers = x, self.layers(p)
            for k, (weights, biases) in enumerate(layers):
                h = h @ weights.T + biases
                h = h if k == len(layers) - 1 else jax.nn.relu(h)
            return jax.nn.relu(1.0 - y * h[:, 0]).mean()

        run, p = jax.jit(jax.value_and_grad(loss)), jnp.asarray(self.p)
        return lambda: jax.block_until_ready(run(p))

    def torch(self) -> Call | None:
        torch = optional("torch")
        if torch is None:
            return None
        torch.set_num_threads(1)
        p, x, y = torch.tensor(self.p, requires_grad=True), torch.tensor(self.x), torch.tensor(self.y)

        def call() -> Any:
            p.grad = None
            h, layers = x, self.layers(p)
            for k, (weights, biases) in enumerate(layers):
                h = h @ weights.T + biases
                h = h if k == len(layers) - 1 else torch.relu(h)
            value = torch.relu(1.0 - y * h[:, 0]).mean()
            value.backward()
            return value.item(), p.grad.numpy()

        return call

    def jax_scalar_compile(self) -> float | None:
        """Return the seconds that JAX takes to compile the same scalar code."""
        jax = optional("jax")
        if jax is None:
            return None
        jnp = jax.numpy

        def loss(p: Any, x: Any, y: Any) -> Any:
            return self.loss(
                list(p), list(x), y, jax.nn.relu, lambda a, b: sum(u * v for u, v in zip(a, b, strict=True))
            )

        def mean(p: Any) -> Any:
            return jax.vmap(loss, (None, 0, 0))(p, jnp.asarray(self.x), jnp.asarray(self.y)).mean()

        start = time.perf_counter()
        jax.block_until_ready(jax.jit(jax.value_and_grad(mean))(jnp.asarray(self.p)))
        return time.perf_counter() - start


# ---- fifty sines ----


class Sines:
    """Hold a chain of 50 sines: value and derivative for each sample."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.x = np.random.default_rng(0).normal(size=samples)
        self.title = f"50 chained sines, value and derivative, {samples} samples"

    @staticmethod
    def f(x: Any) -> Any:
        for _ in range(50):
            x = cr.sin(x)
        return x

    def contenders(self) -> dict[str, Call]:
        one = cr.compile(cr.value_and_grad(self.f), batch="x", backend="llvm")
        two = cr.compile(cr.value_and_grad(self.f), batch="x", backend="llvm", threads=2)
        calls: dict[str, Call] = {
            "chainrule": lambda: one(self.x),
            "chainrule, 2 threads": lambda: two(self.x),
            "NumPy by hand": self.by_numpy,
        }
        jax = optional("jax")
        if jax is not None:
            x = jax.numpy.asarray(self.x)

            def chain(x: Any) -> Any:
                for _ in range(50):
                    x = jax.numpy.sin(x)
                return x

            run = jax.jit(jax.vmap(jax.value_and_grad(chain)))
            calls["JAX arrays"] = lambda: jax.block_until_ready(run(x))
        return calls

    def by_numpy(self) -> tuple[Array, Array]:
        x, slope = self.x, np.ones(self.samples)
        for _ in range(50):
            slope = slope * np.cos(x)
            x = np.sin(x)
        return x, slope


# ---- helpers, scale, and the report ----


def optional(name: str) -> Any:
    """Import a peer, or return None where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        return None
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


def compiled_c(source: str) -> Any:
    """Compile C with gcc for this machine; None where there is no gcc."""
    if shutil.which("gcc") is None:
        return None
    folder = Path(tempfile.mkdtemp())
    (folder / "step.c").write_text(source)
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", folder / "step.so", folder / "step.c", "-lm"], check=True)
    library = ctypes.CDLL(str(folder / "step.so"))
    shutil.rmtree(folder)
    return library


def compare(calls: dict[str, Call]) -> None:
    """Exit where a contender's numbers differ from chainrule's."""
    value, gradient = calls["chainrule"]()
    for name, call in calls.items():
        v, g = call()
        close = np.allclose(v, value, rtol=1e-9) and np.allclose(np.asarray(g), gradient, rtol=1e-9, atol=1e-13)
        if not close:
            sys.exit(f"{name} computes other numbers than chainrule")


def report(title: str, times: dict[str, float]) -> None:
    """Print a table of times and ratios."""
    print(f"\n{title}")
    for name, number in times.items():
        print(f"  {name:24} {number:12.1f} us {number / times['chainrule']:9.2f} x chainrule's time")


def compile_times(network: Network) -> None:
    """Print how long compilation takes: without and with the cache on disk, and JAX on the same scalar code."""
    code = (
        "import sys, time, numpy as np; sys.path.insert(0, sys.argv[1]); import compilation, chainrule as cr\n"
        f"network = compilation.Network({network.sizes}, {network.samples}); import chainrule.backends.llvm\n"
        "program = cr.trace(cr.value_and_grad(network.loss), network.p, network.x[0], 1.0)\n"
        "start = time.perf_counter()\n"
        "cr.compile(program, batch=(1, 2), reduce='mean', backend='llvm')(network.p, network.x, network.y)\n"
        "print(time.perf_counter() - start)\n"
    )
    print(f"\ncompilation of {network.title} (a traced program, first call included)")
    with tempfile.TemporaryDirectory() as folder:
        for label in ("no cache", "second process"):
            environment = {**os.environ, "CHAINRULE_CACHE": folder}
            here = str(Path(__file__).parent)
            done = subprocess.run(
                [sys.executable, "-c", code, here], env=environment, capture_output=True, text=True, check=True
            )
            print(f"  chainrule, {label:20} {float(done.stdout) * 1e3:9.1f} ms")
    start = time.perf_counter()
    cr.trace(cr.value_and_grad(network.loss), network.p, network.x[0], 1.0)
    print(f"  chainrule, tracing alone        {(time.perf_counter() - start) * 1e3:9.1f} ms")
    seconds = network.jax_scalar_compile()
    if seconds is not None:
        print(f"  JAX jit, the same scalar code   {seconds * 1e3:9.1f} ms")


def scale(sizes: tuple[int, ...]) -> None:
    """Print the time per step to compile chains of different length."""
    print("\ncompilation, microseconds per step")
    for count in sizes:

        def chain(x: Any, w: Any, count: int = count) -> Any:
            for k in range(count // 2):
                x = cr.sin(x) * w[k % 10]
            return x

        program = cr.trace(chain, 1.0, [1.0] * 10)
        start = time.perf_counter()
        cr.compile(program, backend="llvm")(1.0, [1.0] * 10)
        print(f"  {len(program):8} steps {(time.perf_counter() - start) / len(program) * 1e6:9.1f} us per step")


def micrograd(network: Network) -> float | None:
    """Return the microseconds of a step of the same network in micrograd."""
    engine = optional("micrograd.engine")
    if engine is None:
        return None

    def dot(a: Any, b: Any) -> Any:
        return sum(u * v for u, v in zip(a, b, strict=True))

    start = time.perf_counter()
    p = [engine.Value(float(v)) for v in network.p]
    losses = [
        network.loss(p, list(map(float, x)), float(y), lambda v: v.relu(), dot)
        for x, y in zip(network.x, network.y, strict=True)
    ]
    (sum(losses) * (1.0 / len(losses))).backward()
    return (time.perf_counter() - start) * 1e6


def run(repeats: int, quick: bool) -> None:
    """Print all tables; `quick` takes tiny sizes."""
    os.environ.setdefault("CHAINRULE_CACHE", "0")
    networks = [Network([2, 16, 16, 1], 100), Network([2, 16, 16, 1], 1024), Network([16, 64, 64, 1], 1024)]
    workloads: list[Any] = [Network([2, 4, 1], 10), Sines(100)] if quick else [*networks, Sines(100_000)]
    for workload in workloads:
        calls = workload.contenders()
        compare(calls)
        times = {name: median(call, repeats, 0.0 if quick else 0.5) for name, call in calls.items()}
        if workload is networks[0]:
            slow = micrograd(workload)
            if slow is not None:
                times["micrograd"] = slow
        report(workload.title, times)
    compile_times(workloads[0])
    scale((1_000,) if quick else (1_000, 10_000, 100_000))
