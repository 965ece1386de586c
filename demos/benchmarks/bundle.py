"""Measure bundle adjustment: residuals of points that cameras saw, and their sparse Jacobian, for `benchmark.py scale`.

A camera has 11 parameters: its turn (axis times angle), its centre, focal length, middle of the picture (2) and two
coefficients of the lens. An observation compares where it sees a point with where it was seen, times a weight.
`bundle.cpp` has the Jacobian by hand.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, ClassVar

import chainrule as cr
import numpy as np

from .peers import compiled_c, optional
from .scale_workload import THREADS, Array, Call, Workload


def residual(camera: Any, point: Any, weight: Any, seen: Any, xp: Any = np) -> tuple[Any, Any]:
    """Return both residuals, of numbers or of arrays with a number for each observation."""
    r0, r1, r2, c0, c1, c2, focal, u0, v0, k1, k2 = camera
    x0, x1, x2 = point[0] - c0, point[1] - c1, point[2] - c2
    square = r0 * r0 + r1 * r1 + r2 * r2
    angle = xp.sqrt(square)
    cosine, a = xp.cos(angle), xp.sin(angle) / angle
    b = (1.0 - cosine) * (r0 * x0 + r1 * x1 + r2 * x2) / square
    y0 = cosine * x0 + a * (r1 * x2 - r2 * x1) + b * r0
    y1 = cosine * x1 + a * (r2 * x0 - r0 * x2) + b * r1
    y2 = cosine * x2 + a * (r0 * x1 - r1 * x0) + b * r2
    u, v = y0 / y2, y1 / y2
    s = u * u + v * v
    lens = focal * (1.0 + s * (k1 + s * k2))
    return weight * (lens * u + u0 - seen[0]), weight * (lens * v + v0 - seen[1])


class Bundle(Workload):
    contenders: ClassVar = {
        "chainrule": "sparse=True",
        "blocks": "blocks, in a batch",
        "by_cpp": "C++ by hand",
        "by_cpp_alone": "C++ by hand, 1 thread",
        "torch": "torch",
        "jax": "JAX jit",
    }
    own: ClassVar = ("chainrule", "blocks")
    bars: ClassVar = {"first": 2.0, "torch": 20.0, "C++ by hand": 1.0}

    def __init__(self, cameras: int = 50, points: int = 1000, observations: int = 30_000) -> None:
        draw, n = np.random.default_rng(8), observations
        turns, centres = draw.normal(size=(cameras, 3)) * 0.3, draw.normal(size=(cameras, 3))
        lenses = draw.normal(size=(cameras, 5)) * [50.0, 5.0, 5.0, 0.01, 0.001] + [500.0, 320.0, 240.0, 0.0, 0.0]
        places = draw.normal(size=(points, 3)) + [0.0, 0.0, 12.0]
        self.camera, self.point = draw.integers(cameras, size=n), draw.integers(points, size=n)
        self.seen = draw.normal(size=(n, 2)) * 100.0 + [320.0, 240.0]
        weights = 1.0 + 0.1 * draw.normal(size=n)
        self.arguments = (np.hstack([turns, centres, lenses]), places, weights)
        self.title = f"bundle adjustment, Jacobian: {n:,} observations of {points:,} points by {cameras} cameras"

    def residuals(self, cameras: Any, points: Any, weights: Any) -> Any:
        return np.stack(residual(cameras[self.camera].T, points[self.point].T, weights, self.seen.T))

    def chainrule(self) -> Call:
        return self.compiled(cr.jacobian(self.residuals, (0, 1, 2), sparse=True))

    def blocks(self) -> Call:
        def of_one(cameras: Any, points: Any, weight: Any, camera: Any, point: Any, seen: Any) -> Any:
            return cr.jacobian(residual, (0, 1, 2))(cameras[camera], points[point], weight, seen)

        batch = ("weight", "camera", "point", "seen")
        return self.compiled(of_one, self.camera, self.point, self.seen, batch=batch)

    def comparable(self, result: Any) -> list[Array]:
        """Return for all observations, for both residuals, the derivatives by camera, by point and by weight."""
        if hasattr(result, "tocoo"):
            entries, dense = result.tocoo(), np.zeros((len(self.seen), 2, 15))
            k, n = np.divmod(entries.row, len(self.seen))
            points = self.arguments[0].size
            weights = points + self.arguments[1].size
            by_point, by_camera = entries.col - points - 3 * self.point[n], entries.col - 11 * self.camera[n]
            place = np.select([entries.col >= weights, entries.col >= points], [14, 11 + by_point], by_camera)
            dense[n, k, place] = entries.data
            result = dense
        elif isinstance(result, tuple):
            rows = [np.concatenate([np.reshape(part, (len(self.seen), -1)) for part in row], 1) for row in result]
            result = np.stack(rows, 1)
        result = np.asarray(result)
        # Parts are of very different size: each is compared for itself.
        return [result[:, k, j] for k in range(2) for j in range(15)]

    def by_cpp_alone(self) -> Call | None:
        return self.by_cpp(1)

    def by_cpp(self, threads: int = THREADS) -> Call | None:
        library = compiled_c(Path(__file__).with_name("bundle.cpp").read_text(), "g++", ["-fopenmp"])
        if library is None:
            return None
        camera, point = self.camera.astype(np.int32), self.point.astype(np.int32)
        given = [*self.arguments, self.seen, camera, point]

        def call() -> Array:
            out = np.empty((len(self.seen), 2, 15))
            pointers = [ctypes.c_void_p(part.ctypes.data) for part in [*given, out]]
            library.jacobian(*pointers, ctypes.c_int(len(self.seen)), ctypes.c_int(threads))
            return out

        return call

    def torch(self) -> Call | None:
        torch = optional("torch")
        if torch is None:
            return None
        torch.set_num_threads(THREADS)
        cameras, points, weights = map(torch.tensor, self.arguments)
        camera, point, seen = map(torch.tensor, (self.camera, self.point, self.seen))

        def call() -> Any:
            own = [cameras[camera].T, points[point].T, weights.clone()]
            for part in own:
                part.requires_grad_()
            results = residual(*own, seen.T, torch)
            # Rows of one residual are independent: their sum has all their derivatives.
            both = [torch.autograd.grad(row.sum(), own, retain_graph=True) for row in results]
            return tuple(tuple((part.T if part.ndim > 1 else part).numpy() for part in row) for row in both)

        return call

    def jax(self) -> Call | None:
        jax = optional("jax")
        if jax is None:
            return None
        one = jax.vmap(jax.jacrev(lambda *given: residual(*given, jax.numpy), (0, 1, 2)))
        camera, point, seen = self.camera, self.point, self.seen
        return self.jitted(lambda cameras, points, weights: one(cameras[camera], points[point], weights, seen))
