"""Run the workloads of `compilation` with other tools; each function returns a callable, or None without the tool.

Arguments are put into a tool's own arrays beforehand, and a call is the shortest that it offers.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]


def optional(name: str) -> Any:
    """Import a peer, or return None where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        return None
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


# -ffast-math, but for what that links: it has the whole process take numbers near 0 for 0.
FAST = (
    *("-fno-math-errno", "-ffinite-math-only", "-fno-trapping-math"),
    *("-fno-signed-zeros", "-fassociative-math", "-freciprocal-math"),
)


def compiled_c(source: str, compiler: str = "gcc", options: Sequence[str] = FAST) -> Any:
    """Compile C for this machine, or C++ with g++; None without the compiler."""
    if shutil.which(compiler) is None:
        return None
    folder = Path(tempfile.mkdtemp())
    file = folder / ("step.cpp" if compiler == "g++" else "step.c")
    file.write_text(source)
    flags = ["-O3", "-march=native", "-shared", "-fPIC", *options]
    subprocess.run([compiler, *flags, "-o", folder / "step.so", file, "-lm"], check=True)
    library = ctypes.CDLL(str(folder / "step.so"))
    shutil.rmtree(folder)
    return library


def plain_dot(a: Any, b: Any) -> Any:
    """Add up products one after another, as scalar code does."""
    return sum(u * v for u, v in zip(a, b, strict=True))


# ---- JAX and torch ----


def jax_network(network: Any) -> Call | None:
    jax = optional("jax")
    if jax is None:
        return None
    jnp = jax.numpy
    x, y = jnp.asarray(network.x), jnp.asarray(network.y)

    def loss(p: Any) -> Any:
        h, layers = x, network.layers(p)
        for k, (weights, biases) in enumerate(layers):
            h = h @ weights.T + biases
            h = h if k == len(layers) - 1 else jax.nn.relu(h)
        return jax.nn.relu(1.0 - y * h[:, 0]).mean()

    run, p = jax.jit(jax.value_and_grad(loss)), jnp.asarray(network.p)
    return lambda: jax.block_until_ready(run(p))


def jax_network_scalars(network: Any) -> tuple[Call, float] | None:
    """Return the call of the same scalar code, mapped over the samples, and the seconds that JAX took to compile it."""
    jax = optional("jax")
    if jax is None:
        return None
    jnp = jax.numpy
    x, y, p = jnp.asarray(network.x), jnp.asarray(network.y), jnp.asarray(network.p)

    def loss(p: Any, x: Any, y: Any) -> Any:
        return network.loss(list(p), list(x), y, jax.nn.relu, plain_dot)

    run = jax.jit(jax.value_and_grad(lambda p: jax.vmap(loss, (None, 0, 0))(p, x, y).mean()))
    start = time.perf_counter()
    jax.block_until_ready(run(p))
    return lambda: jax.block_until_ready(run(p)), time.perf_counter() - start


def jax_sines(sines: Any) -> Call | None:
    jax = optional("jax")
    if jax is None:
        return None
    x = jax.numpy.asarray(sines.x)
    run = jax.jit(jax.vmap(jax.value_and_grad(lambda x: sines.f(x, jax.numpy.sin))))
    return lambda: jax.block_until_ready(run(x))


def torch_network(network: Any) -> Call | None:
    torch = optional("torch")
    if torch is None:
        return None
    torch.set_num_threads(1)
    p, x, y = torch.tensor(network.p, requires_grad=True), torch.tensor(network.x), torch.tensor(network.y)

    def call() -> Any:
        p.grad = None
        h, layers = x, network.layers(p)
        for k, (weights, biases) in enumerate(layers):
            h = h @ weights.T + biases
            h = h if k == len(layers) - 1 else torch.relu(h)
        value = torch.relu(1.0 - y * h[:, 0]).mean()
        value.backward()
        return value.item(), p.grad.numpy()

    return call


# ---- CasADi and heyoka ----


def casadi_call(function: Any, arguments: list[Any], shapes: list[Any]) -> Call | None:
    """Compile CasADi's own C code with gcc and return its call; results are in column order, as CasADi has them."""
    import casadi

    generator = casadi.CodeGenerator("peer", {"with_header": False})
    generator.add(function)
    library = compiled_c(generator.dump())
    if library is None:
        return None
    evaluate = library[function.name()]
    out = [np.empty(shape, order="F") for shape in shapes]
    counts = function.sz_arg(), function.sz_res()
    inputs = (ctypes.c_void_p * counts[0])(*[a.ctypes.data for a in arguments])
    outputs = (ctypes.c_void_p * counts[1])(*[a.ctypes.data for a in out])
    integers = (ctypes.c_longlong * (function.sz_iw() + 1))()
    work = (ctypes.c_double * (function.sz_w() + 1))()

    def call() -> Any:
        evaluate(inputs, outputs, integers, work, 0)
        return out

    call.__dict__["arguments"] = arguments  # kept as long as the call
    return call


def casadi_network(network: Any) -> Call | None:
    casadi = optional("casadi")
    if casadi is None:
        return None
    n, count, width = network.samples, len(network.p), network.sizes[0]
    p, x, y = casadi.SX.sym("p", count), casadi.SX.sym("x", width), casadi.SX.sym("y")
    value = network.loss(
        casadi.vertsplit(p), casadi.vertsplit(x), y, lambda t: casadi.if_else(t > 0, t, 0.0), plain_dot
    )
    one = casadi.Function("one", [p, x, y], [casadi.vertcat(value, casadi.gradient(value, p))])
    arguments = casadi.MX.sym("P", count), casadi.MX.sym("X", width, n), casadi.MX.sym("Y", 1, n)
    mean = casadi.sum2(one.map(n)(arguments[0], *arguments[1:])) / n
    # Samples are columns to CasADi: the memory is that of rows here.
    call = casadi_call(casadi.Function("mean", list(arguments), [mean]), [network.p, network.x, network.y], [count + 1])
    if call is None:
        return None

    def split() -> Any:
        (found,) = call()
        return found[0], found[1:]

    return split


def casadi_sines(sines: Any) -> Call | None:
    casadi = optional("casadi")
    if casadi is None:
        return None
    x = casadi.SX.sym("x")
    value = sines.f(x, casadi.sin)
    one = casadi.Function("one", [x], [value, casadi.gradient(value, x)])
    return casadi_call(one.map(sines.samples), [sines.x], [sines.samples, sines.samples])


def heyoka_network(network: Any) -> Call | None:
    """Compile loss and gradient of one sample; samples are columns, parameters repeat, NumPy adds up."""
    heyoka = optional("heyoka")
    if heyoka is None:
        return None
    count, width = len(network.p), network.sizes[0]
    names = [f"x{k}" for k in range(width)] + ["y"]
    inputs = list(heyoka.make_vars(*names))
    p = [heyoka.par[k] for k in range(count)]
    value = network.loss(p, inputs[:-1], inputs[-1], heyoka.relu, plain_dot)
    tensors = heyoka.diff_tensors([value], diff_args=p, diff_order=1)
    function = heyoka.cfunc([value, *tensors.gradient], inputs)
    columns = np.ascontiguousarray(np.vstack([network.x.T, network.y]))
    parameters = np.ascontiguousarray(np.repeat(network.p[:, None], network.samples, 1))
    out = np.empty((count + 1, network.samples))

    def call() -> Any:
        function(columns, outputs=out, pars=parameters)
        mean = out.mean(1)
        return mean[0], mean[1:]

    return call


def heyoka_sines(sines: Any) -> Call | None:
    heyoka = optional("heyoka")
    if heyoka is None:
        return None
    x = heyoka.expression("x")
    value = sines.f(x, heyoka.sin)
    tensors = heyoka.diff_tensors([value], diff_args=[x], diff_order=1)
    # By its default a batch is shared among all cores; every tool has one thread here.
    function = heyoka.cfunc([value, *tensors.gradient], [x], parallel_mode=False, fast_math=True)
    columns, out = sines.x[None, :].copy(), np.empty((2, sines.samples))
    return lambda: function(columns, outputs=out)


# ---- micrograd ----


def micrograd_network(network: Any) -> Call | None:
    engine = optional("micrograd.engine")
    if engine is None:
        return None

    def call() -> Any:
        p = [engine.Value(float(v)) for v in network.p]
        losses = [
            network.loss(p, list(map(float, x)), float(y), lambda v: v.relu(), plain_dot)
            for x, y in zip(network.x, network.y, strict=True)
        ]
        total = sum(losses) * (1.0 / len(losses))
        total.backward()
        return total.data, [v.grad for v in p]

    return call


# ---- JAX in a process of its own, where it computes in the thread that calls ----


def _serve(make: Callable[[Any], Call], workload: Any, pipe: Connection) -> None:
    warnings.simplefilter("ignore")
    jax = optional("jax")
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    call = make(workload)
    value, gradient = call()
    pipe.send((np.asarray(value), np.asarray(gradient)))
    while (seconds := pipe.recv()) is not None:
        pipe.send(turn(call, seconds))


def turn(call: Call, seconds: float) -> list[float]:
    """Return the microseconds of each call that fits into that time, at least one; the first is not counted."""
    call()
    times: list[float] = []
    clock, end = time.perf_counter, time.perf_counter() + seconds
    while not times or times[-1] < end:
        start = clock()
        call()
        times += (start, clock())
    return [1e6 * (after - before) for before, after in zip(times[::2], times[1::2], strict=True)]


class Elsewhere:
    """A contender that runs in its own process."""

    def __init__(self, make: Callable[[Any], Any], workload: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(make, workload, other), daemon=True)
        self.process.start()
        other.close()
        self.result = self.pipe.recv()

    def __call__(self) -> Any:
        return self.result

    def turn(self, seconds: float) -> list[float]:
        self.pipe.send(seconds)
        times: list[float] = self.pipe.recv()
        return times

    def end(self) -> None:
        self.pipe.send(None)
        self.process.join()
