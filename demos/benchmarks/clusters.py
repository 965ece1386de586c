"""Measure a Gaussian mixture and k-means for `benchmark.py scale`: points belong to all clusters, or to one."""

from __future__ import annotations

from typing import Any, ClassVar

import chainrule as cr
import numpy as np

from .peers import optional
from .scale_workload import Call, Workload


class Mixture(Workload):
    """Gaussians by triangular factors of their precisions: exp(scales) on the diagonal, `below` row by row under it."""

    contenders: ClassVar = {"chainrule": "factors as matrices", "rows": "factors row by row", "jax": "JAX jit"}
    own: ClassVar = ("chainrule", "rows")
    bars: ClassVar = {"first": 3.0, "JAX jit": 1.0}

    def __init__(self, dimensions: int = 64, components: int = 100, points: int = 10_000) -> None:
        draw, d, k = np.random.default_rng(3), dimensions, components
        p = (
            *(draw.normal(size=k), draw.normal(size=(k, d))),
            *(draw.normal(size=(k, d)) * 0.1, draw.normal(size=(k, d * (d - 1) // 2)) * 0.1),
        )
        self.arguments = (p, draw.normal(size=(points, d)))
        # Where each number of a factor stands among its scales, what is below, and a zero.
        self.places = np.full((d, d), d * (d + 1) // 2)
        self.places[np.diag_indices(d)] = np.arange(d)
        self.places[np.tril_indices(d, -1)] = np.arange(d, d * (d + 1) // 2)
        self.title = f"Gaussian mixture, {d} dimensions, {k} components, {points:,} points, value and all gradients"

    def chainrule(self) -> Call:
        def component(own: Any, x: Any) -> Any:
            weight, mean, scale, factor = own
            z = factor @ (x - mean)
            return weight + cr.sum(scale) - 0.5 * cr.dot(z, z)

        def loss(p: Any, x: Any) -> Any:
            weights, means, scales, below = p
            numbers = np.concatenate([np.exp(scales), below, np.zeros((len(weights), 1))], axis=1)
            all_of = (weights, means, scales, numbers[:, self.places])
            scores = cr.map(lambda x, *all_of: cr.logsumexp(cr.map(component, all_of, x)), x, *all_of, reduce="sum")
            return scores - len(x) * cr.logsumexp(weights)

        return self.compiled(cr.value_and_grad(loss))

    def rows(self) -> Call:
        def component(own: Any, x: Any) -> Any:
            weight, mean, scale, below = own
            away, start, squares = x - mean, 0, 0.0
            for i in range(len(scale)):
                z = np.exp(scale[i]) * away[i]
                if i:
                    z = z + cr.dot(below[start : start + i], away[:i])
                squares, start = squares + z * z, start + i
            return weight + cr.sum(scale) - 0.5 * squares

        def loss(p: Any, x: Any) -> Any:
            return cr.logsumexp(cr.map(component, p, x)) - cr.logsumexp(p[0])

        return self.compiled(cr.value_and_grad(loss), batch="x", reduce="sum")

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
    bars: ClassVar = {"first": 2.0, "JAX jit": 1.0}

    def __init__(self, dimensions: int = 1000, centres: int = 16, points: int = 10_000) -> None:
        draw = np.random.default_rng(4)
        self.arguments = (draw.normal(size=(centres, dimensions)), draw.normal(size=(points, dimensions)))
        self.title = (
            f"k-means, {dimensions:,} dimensions, {centres} centres, {points:,} points, gradient and diagonal Hessian"
        )

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
