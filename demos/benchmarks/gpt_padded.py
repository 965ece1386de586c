"""The contenders of `benchmark.py gpt` that are tools of others: batched arrays, padded to the longest of all names."""

from __future__ import annotations

import math
from typing import Any

import gpt
import numpy as np

from .gpt_programs import Array, Setting, adam
from .peers import optional


def padded_loss(tool: Any, w: Any, tokens: Any, following: Any, weights: Any) -> Any:
    """Return the loss of a batch in the arrays of JAX or torch, which name these functions alike."""
    batch, most = tokens.shape
    width = w["mix"].shape[0]

    def normalise(x: Any) -> Any:
        return x * (tool.mean(x * x, -1)[..., None] + 1e-5) ** -0.5

    def split(x: Any) -> Any:
        return tool.swapaxes(x.reshape(batch, most, gpt.HEADS, -1), 1, 2)

    first = normalise(w["token"][tokens] + w["place"][:most])
    x = normalise(first)
    query, key, value = (split(x @ w[part].T) for part in ("query", "key", "value"))
    scores = query @ tool.swapaxes(key, 2, 3) * (width // gpt.HEADS) ** -0.5
    later = tool.triu(tool.ones((most, most)), 1) > 0
    powers = tool.exp(tool.where(later, -math.inf, scores))
    shares = powers / tool.sum(powers, -1)[..., None]
    mixed = tool.swapaxes(shares @ value, 1, 2).reshape(batch, most, width)
    second = first + mixed @ w["mix"].T
    last = second + tool.clip(normalise(second) @ w["widen"].T, 0.0, None) @ w["narrow"].T
    logits = last @ w["readout"].T
    told = tool.sum(logits * following, -1)
    return tool.sum(weights * (tool.log(tool.sum(tool.exp(logits), -1)) - told))


def padded(setting: Setting) -> list[tuple[Array, Array, Array]]:
    """Return for each step tokens, the tokens that follow as rows of 0 and 1, and the weight of each place."""
    most, found = int(setting.lengths.max()), []
    for tokens, lengths in map(setting.batch, range(len(setting.tokens))):
        inside = np.arange(most) < lengths[:, None]
        following = np.eye(gpt.TOKENS, dtype=setting.dtype)[tokens[:, 1 : most + 1].astype(int)]
        weights = (inside / (len(tokens) * lengths[:, None])).astype(setting.dtype)
        found.append((tokens[:, :most].astype(int), following, weights))
    return found


class Jax:
    """JAX, the whole step jitted; parameters and means are donated."""

    def __init__(self, jax: Any, setting: Setting) -> None:
        jnp = jax.numpy
        self.batches = [tuple(map(jnp.asarray, batch)) for batch in padded(setting)]
        p = jnp.asarray(setting.start)
        self.state = (p, jnp.zeros_like(p), jnp.zeros_like(p))

        def step(state: Any, taken: Any, batch: Any) -> Any:
            def loss(p: Any) -> Any:
                return padded_loss(jnp, gpt.unpack(p, setting.width), *batch)

            value, slopes = jax.value_and_grad(loss)(state[0])
            return adam(*state, slopes, taken, jnp.sqrt), value

        self.step, self.type = jax.jit(step, donate_argnums=0), np.dtype(setting.dtype).type

    def __call__(self, k: int) -> float:
        self.state, value = self.step(self.state, self.type(k + 1), self.batches[k % len(self.batches)])
        return float(value)

    @property
    def means(self) -> Array:
        return np.asarray(self.state[1])


def jax(setting: Setting) -> Jax | None:
    """JAX jit on padded arrays, computing in the thread that calls."""
    tool = optional("jax")
    if tool is None:
        return None
    tool.config.update("jax_cpu_enable_async_dispatch", False)
    return Jax(tool, setting)


class Torch:
    """PyTorch on padded arrays."""

    def __init__(self, torch: Any, setting: Setting) -> None:
        torch.set_num_threads(1)
        self.torch, self.width = torch, setting.width
        self.batches = [tuple(map(torch.tensor, batch)) for batch in padded(setting)]
        self.p = torch.tensor(setting.start, requires_grad=True)
        self.state = torch.zeros_like(self.p), torch.zeros_like(self.p)

    def __call__(self, k: int) -> float:
        torch, p = self.torch, self.p
        p.grad = None
        value = padded_loss(torch, gpt.unpack(p, self.width), *self.batches[k % len(self.batches)])
        value.backward()
        with torch.no_grad():
            new, *self.state = adam(p, *self.state, p.grad, k + 1.0, torch.sqrt)
            p.copy_(new)
        return float(value.detach())

    @property
    def means(self) -> Array:
        return self.state[0].numpy()


def torch(setting: Setting) -> Torch | None:
    """PyTorch on padded arrays."""
    tool = optional("torch")
    return None if tool is None else Torch(tool, setting)
