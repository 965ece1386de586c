"""Train a network of dense layers with other tools, for `train`: an epoch of Adam each, ReLU inside, squared error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .peers import optional

SIZE = 64  # of a batch
_RATE, _FIRST, _SECOND, _EPS = 0.01, 0.9, 0.999, 1e-8


class Measured(NamedTuple):
    """Seconds of the processor and of the clock."""

    cpu: float
    wall: float

    def __sub__(self, other: Any) -> Measured:
        return Measured(self.cpu - other.cpu, self.wall - other.wall)


def clock() -> Measured:
    """Return what both clocks say."""
    return Measured(time.process_time(), time.perf_counter())


def take(call: Callable[[], Any]) -> Measured:
    """Call, and return what that took."""
    before = clock()
    call()
    return clock() - before


class Contender:
    """A tool that trains from given weights: of each neuron those of its inputs, then its bias.

    Attributes:
        name: of the tool.
        bar: how many times longer it is to take than chainrule; 0 for none.
    """

    name: ClassVar[str] = ""
    bar: ClassVar[float] = 0.0

    def __init__(self, sizes: list[int], x: Any, y: Any, start: Any) -> None:
        self.sizes, self.x, self.y, self.start = sizes, x, y, start
        self.source = np.random.default_rng(3)
        self.prepare()

    def prepare(self) -> None:
        """Get ready; `ImportError` where the tool is not installed."""

    def epochs(self, count: int, shuffle: bool = True) -> list[Measured]:
        """Train, and return what each epoch took, its order of samples included."""
        found = []
        for _ in range(count):
            before = clock()
            order = self.source.permutation(len(self.x)) if shuffle else np.arange(len(self.x))
            self.epoch(order)
            found.append(clock() - before)
        return found

    def epoch(self, order: Any) -> None:
        """Take a step for each batch of samples in this order."""
        raise NotImplementedError

    def weights(self) -> Any:
        """Return all weights as one array, as they were given."""
        return np.concatenate([np.c_[w, b].ravel() for w, b in self.layers()])

    def layers(self) -> list[tuple[Any, Any]]:
        """Return matrix and biases of each layer."""
        raise NotImplementedError

    def parts(self, values: Any) -> list[tuple[Any, Any]]:
        """Return matrix and biases of each layer, as views of an array of all."""
        found, at = [], 0
        for nin, nout in zip(self.sizes, self.sizes[1:], strict=False):
            part = values[at : at + nout * (nin + 1)].reshape(nout, nin + 1)
            found.append((part[:, :-1], part[:, -1]))
            at += nout * (nin + 1)
        return found


class ByHand(Contender):
    """NumPy, with the derivatives written out and one array of all parameters."""

    name = "NumPy by hand"
    bar = 8.0

    def prepare(self) -> None:
        """Copy the weights; their means are 0."""
        self.values, self.slopes = self.start.copy(), np.zeros_like(self.start)
        self.mean, self.square = np.zeros_like(self.start), np.zeros_like(self.start)
        self.steps = 0
        self.own, self.own_slopes = self.parts(self.values), self.parts(self.slopes)

    def epoch(self, order: Any) -> None:
        """Take the steps of an epoch."""
        x, y = self.x[order], self.y[order]
        for at in range(0, len(x), SIZE):
            self.step(x[at : at + SIZE], y[at : at + SIZE])

    def step(self, x: Any, y: Any) -> None:
        """Compute gradients layer by layer, and move."""
        inputs = [x]
        for k, (w, b) in enumerate(self.own):
            z = inputs[-1] @ w.T
            z += b
            inputs.append(z if k == len(self.own) - 1 else np.maximum(z, 0.0))
        slope = (2.0 / len(x)) * (inputs[-1] - y[:, None])
        for k in range(len(self.own) - 1, -1, -1):
            w_slope, b_slope = self.own_slopes[k]
            np.matmul(slope.T, inputs[k], out=w_slope)
            slope.sum(axis=0, out=b_slope)
            if k:
                slope = (slope @ self.own[k][0]) * (inputs[k] > 0.0)
        self.steps += 1
        g = self.slopes
        self.mean += (1.0 - _FIRST) * (g - self.mean)
        self.square *= _SECOND
        self.square += (1.0 - _SECOND) * g * g
        root = np.sqrt(self.square / (1.0 - _SECOND**self.steps)) + _EPS
        self.values -= (_RATE / (1.0 - _FIRST**self.steps)) * self.mean / root

    def weights(self) -> Any:
        """Return all weights."""
        return self.values


class Torch(Contender):
    """PyTorch on one thread, in doubles, with its own optimiser."""

    name = "torch"
    bar = 40.0

    def prepare(self) -> None:
        """Build the network."""
        torch = optional("torch")
        if torch is None:
            raise ImportError(self.name)
        torch.set_num_threads(1)
        self.torch = torch
        stages = []
        for w, b in self.parts(self.start):
            layer = torch.nn.Linear(w.shape[1], w.shape[0], dtype=torch.float64)
            layer.weight.data, layer.bias.data = torch.tensor(w), torch.tensor(b)
            stages += [layer, torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*stages[:-1])
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=_RATE)
        self.tensors = torch.tensor(self.x), torch.tensor(self.y)[:, None]

    def epoch(self, order: Any) -> None:
        """Take the steps of an epoch."""
        places = self.torch.as_tensor(order)
        x, y = (part[places] for part in self.tensors)
        for at in range(0, len(x), SIZE):
            self.optimiser.zero_grad()
            loss = self.torch.nn.functional.mse_loss(self.network(x[at : at + SIZE]), y[at : at + SIZE])
            loss.backward()
            self.optimiser.step()

    def layers(self) -> list[tuple[Any, Any]]:
        """Return matrix and biases of each layer."""
        return [(stage.weight.detach().numpy(), stage.bias.detach().numpy()) for stage in self.network[::2]]


class Jax(Contender):
    """JAX: `scan` over the whole batches of an epoch, jitted, then a step for what is left."""

    name = "JAX scan"
    bar = 6.0

    def prepare(self) -> None:
        """Write the step."""
        jax = optional("jax")
        if jax is None:
            raise ImportError(self.name)
        jnp = self.jnp = jax.numpy

        def loss(layers: Any, x: Any, y: Any) -> Any:
            for k, (w, b) in enumerate(layers):
                x = x @ w.T + b
                x = x if k == len(layers) - 1 else jax.nn.relu(x)
            return ((x[:, 0] - y) ** 2).mean()

        def step(state: Any, batch: Any) -> Any:
            layers, means, squares, count = state
            value, slopes = jax.value_and_grad(loss)(layers, *batch)
            count = count + 1.0
            means = jax.tree.map(lambda m, g: _FIRST * m + (1.0 - _FIRST) * g, means, slopes)
            squares = jax.tree.map(lambda s, g: _SECOND * s + (1.0 - _SECOND) * g * g, squares, slopes)
            first, second = 1.0 - _FIRST**count, 1.0 - _SECOND**count
            layers = jax.tree.map(
                lambda v, m, s: v - _RATE * (m / first) / (jnp.sqrt(s / second) + _EPS), layers, means, squares
            )
            return (layers, means, squares, count), value

        def whole(state: Any, x: Any, y: Any, order: Any) -> Any:
            return jax.lax.scan(lambda state, places: step(state, (x[places], y[places])), state, order)

        layers = [(jnp.asarray(w), jnp.asarray(b)) for w, b in self.parts(self.start)]
        zeros = jax.tree.map(jnp.zeros_like, layers)
        self.state = layers, zeros, zeros, 0.0
        self.data = jnp.asarray(self.x), jnp.asarray(self.y)
        self.run = jax.jit(whole)

    def epoch(self, order: Any) -> None:
        """Take the steps of an epoch."""
        whole = len(order) // SIZE * SIZE
        for places in (order[:whole].reshape(-1, SIZE), order[None, whole:]):
            if places.size:
                self.state, losses = self.run(self.state, *self.data, self.jnp.asarray(places))
                losses.block_until_ready()

    def layers(self) -> list[tuple[Any, Any]]:
        """Return matrix and biases of each layer."""
        return [(np.asarray(w), np.asarray(b)) for w, b in self.state[0]]
