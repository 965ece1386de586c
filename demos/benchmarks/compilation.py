"""Measure for `benchmark.py compile`: a network's loss and gradient, and a chain of sines, compiled and by hand.

Every contender computes the same numbers from the same arrays; they are compared before any time is printed. A time is
that of a whole Python call. Contenders take turns, since a machine's speed changes while it measures.
"""

from __future__ import annotations

import ctypes
import functools
import os
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

from . import peers
from .peers import Elsewhere, compiled_c, turn

Call = Callable[[], Any]
Array = Any
_TURN = 0.08  # seconds that a contender has before the next one comes
_LONGEST = 8.0  # seconds after which a contender takes no more turns
_SHARED = 100_000  # samples, of which two threads take their share


# ---- a network with hinge loss: the mean over samples, and all its derivatives ----


class Network:
    """An MLP with ReLU layers, its parameters in one array: for each neuron its weights, then its bias."""

    def __init__(self, sizes: list[int], samples: int) -> None:
        self.sizes, self.samples = sizes, samples
        draw = np.random.default_rng(0)
        count = sum((a + 1) * b for a, b in pairwise(sizes))
        self.p = draw.normal(size=count) / np.sqrt(sizes[1])
        self.x = draw.normal(size=(samples, sizes[0]))
        self.y = np.sign(draw.normal(size=samples))
        self.jax_seconds = 0.0  # that JAX took to compile the scalar code
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

    def contenders(self) -> dict[str, Call | None]:
        options = {"batch": ("x", "y"), "reduce": "mean", "backend": "llvm"}
        step = cr.compile(cr.value_and_grad(self.loss), **options)
        two = cr.compile(cr.value_and_grad(self.loss), threads=2, **options)
        calls: dict[str, Call | None] = {
            "chainrule": lambda: step(self.p, self.x, self.y),
            "chainrule, 2 threads": (lambda: two(self.p, self.x, self.y)) if self.samples >= _SHARED else None,
            "C by hand": self.c(),
            "NumPy by hand": self.by_numpy,
            "JAX arrays": peers.jax_network(self),
            "torch arrays": peers.torch_network(self),
        }
        if calls["JAX arrays"] is not None:
            calls["JAX arrays, same thread"] = Elsewhere(peers.jax_network, self)
        if len(self.p) < 1000:
            # Longer scalar code takes these tools minutes to compile.
            calls["CasADi, C code"] = peers.casadi_network(self)
            calls["heyoka"] = peers.heyoka_network(self)
        if self.samples <= 100:
            scalars = peers.jax_network_scalars(self)
            if scalars is not None:
                calls["JAX scalars"], self.jax_seconds = scalars
            calls["micrograd"] = peers.micrograd_network(self)
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
        """Write C as one would by hand: loops over layers, samples and weights, all sizes constant."""
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


# ---- fifty sines ----


class Sines:
    """A chain of 50 sines: value and derivative for each sample."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.x = np.random.default_rng(0).normal(size=samples)
        self.title = f"50 chained sines, value and derivative, {samples} samples"

    @staticmethod
    def f(x: Any, sin: Any = cr.sin) -> Any:
        for _ in range(50):
            x = sin(x)
        return x

    def contenders(self) -> dict[str, Call | None]:
        both = cr.value_and_grad(lambda x: self.f(x))
        one = cr.compile(both, batch="x", backend="llvm")
        two = cr.compile(both, batch="x", backend="llvm", threads=2)
        calls: dict[str, Call | None] = {
            "chainrule": lambda: one(self.x),
            "chainrule, 2 threads": lambda: two(self.x),
            "NumPy by hand": self.by_numpy,
            "JAX arrays": peers.jax_sines(self),
            "CasADi, C code": peers.casadi_sines(self),
            "heyoka": peers.heyoka_sines(self),
        }
        if calls["JAX arrays"] is not None:
            calls["JAX arrays, same thread"] = Elsewhere(peers.jax_sines, self)
        return calls

    def by_numpy(self) -> tuple[Array, Array]:
        x, slope = self.x, np.ones(self.samples)
        for _ in range(50):
            slope = slope * np.cos(x)
            x = np.sin(x)
        return x, slope


# ---- turns and the report ----


def compare(calls: dict[str, Call], tolerance: float = 1e-9) -> None:
    """Exit if a contender's numbers differ from chainrule's."""
    value, gradient = calls["chainrule"]()
    for name, call in calls.items():
        v, g = call()
        least = 1e-4 * tolerance
        close = np.allclose(v, value, rtol=tolerance) and np.allclose(np.asarray(g), gradient, tolerance, least)
        if not close:
            sys.exit(f"{name} computes other numbers than chainrule")


def measure(calls: dict[str, Call], turns: int, seconds: float = _TURN) -> dict[str, float]:
    """Return the median microseconds per call of each contender; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            if sum(times[name]) < 1e6 * _LONGEST:
                times[name] += call.turn(seconds) if isinstance(call, Elsewhere) else turn(call, seconds)
    return {name: statistics.median(numbers) for name, numbers in times.items()}


def report(title: str, times: dict[str, float]) -> None:
    """Print a table of times and ratios."""
    print(f"\n{title}")
    for name, number in times.items():
        print(f"  {name:26} {number:12.1f} us {number / times['chainrule']:9.2f} x chainrule's time")
    sys.stdout.flush()


def overhead(turns: int, seconds: float) -> None:
    """Print the cost of a call that computes next to nothing."""
    network = Network([2, 16, 16, 1], 100)
    f = cr.compile(lambda p, x, y: p[0] * x[0] + y, batch=("x", "y"), reduce="mean", backend="llvm")
    g = cr.compile(lambda x: x + 1.0, backend="llvm")
    total = cr.compile(cr.sum, backend="llvm")
    pair = cr.compile(lambda p: p[0] * p[1], backend="llvm")
    line = cr.compile(lambda p: p["w"] * p["x"] + p["b"], backend="llvm")
    hundred = np.arange(100.0)
    calls: dict[str, tuple[Any, ...]] = {
        "337 parameters, batches of shapes (100, 2) and (100,)": (f, network.p, network.x, network.y),
        "the same batches as lists": (f, network.p, network.x.tolist(), network.y.tolist()),
        "a float": (g, 2.0),
        "an int": (g, 2),
        "a np.float64": (g, np.float64(2.0)),
        "a np.float32": (g, np.float32(2.0)),
        "an array of 100": (total, hundred),
        "every other of 200": (total, np.arange(200.0)[::2]),
        "a float32 array of 100": (total, hundred.astype(np.float32)),
        "an int array of 100": (total, np.arange(100)),
        "a list of 100": (total, hundred.tolist()),
        "a tuple of 2": (pair, (2.0, 3.0)),
        "a dict of 3": (line, {"w": 2.0, "x": 3.0, "b": 1.0}),
    }
    timed = {name: functools.partial(call, *args) for name, (call, *args) in calls.items()}
    print("\na call of next to nothing")
    for name, number in measure(timed, turns, seconds).items():
        print(f"  {name:54} {number:9.2f} us")


def compile_times(network: Network) -> None:
    """Print how long compilation takes, without and with the cache on disk, and JAX's time for the same scalar code."""
    code = (
        "import sys, time, numpy as np; sys.path.insert(0, sys.argv[1])\n"
        "import chainrule as cr; from benchmarks import compilation\n"
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
            here = str(Path(__file__).parents[1])
            done = subprocess.run(
                [sys.executable, "-c", code, here], env=environment, capture_output=True, text=True, check=True
            )
            print(f"  chainrule, {label:20} {float(done.stdout) * 1e3:9.1f} ms")
    start = time.perf_counter()
    cr.trace(cr.value_and_grad(network.loss), network.p, network.x[0], 1.0)
    print(f"  chainrule, tracing alone        {(time.perf_counter() - start) * 1e3:9.1f} ms")
    if network.jax_seconds:
        print(f"  JAX jit, the same scalar code   {network.jax_seconds * 1e3:9.1f} ms")


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


def run(repeats: int, quick: bool) -> None:
    """Print all tables; `quick` takes tiny sizes."""
    os.environ.setdefault("CHAINRULE_CACHE", "0")
    networks = [Network([2, 16, 16, 1], 100), Network([2, 16, 16, 1], 1024), Network([16, 64, 64, 1], 1024)]
    large = [Network([2, 16, 16, 1], _SHARED), Sines(_SHARED)]
    workloads: list[Any] = [Network([2, 4, 1], 10), Sines(100)] if quick else [*networks, *large]
    turns, seconds = (1, 0.0) if quick else (repeats, _TURN)
    for workload in workloads:
        calls = {name: call for name, call in workload.contenders().items() if call is not None}
        compare(calls)
        report(workload.title, measure(calls, turns, seconds))
        for call in calls.values():
            if isinstance(call, Elsewhere):
                call.end()
    overhead(turns, seconds)
    compile_times(workloads[0])
    scale((1_000,) if quick else (1_000, 10_000, 100_000))
