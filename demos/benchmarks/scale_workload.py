"""What a workload of `benchmark.py scale` has: arguments, contenders, bars."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, ClassVar

import chainrule as cr
import numpy as np

from .loops import leaves
from .peers import optional

Call = Callable[[], Any]
Array = Any
THREADS = os.cpu_count() or 1


class Workload:
    """What is measured: its title, arguments, contenders and bars.

    Attributes:
        contenders: their names by their methods, chainrule's first.
        own: the methods that are chainrule's.
        bars: "first" and "traced" in seconds, "memory" in sizes of the data, or a contender's name: times its speed.
        tolerance: how far results may differ, relative to the greatest number of each part.
    """

    contenders: ClassVar[dict[str, str]] = {"chainrule": "chainrule", "by_numpy": "NumPy by hand", "jax": "JAX jit"}
    own: ClassVar[tuple[str, ...]] = ("chainrule",)
    bars: ClassVar[dict[str, float]] = {}
    tolerance = 1e-9
    title: str
    arguments: Any

    def data(self) -> int:
        """Return the bytes of the arguments."""
        return sum(part.nbytes for part in leaves(self.arguments))

    def comparable(self, result: Any) -> list[Array]:
        """Return the parts of a result."""
        return [np.asarray(part) for part in leaves(result)]

    def compiled(self, f: Any, *others: Any, **options: Any) -> Call:
        """Return the call of a function on the arguments, and others, compiled by chainrule."""
        step, arguments = machine_code(f, **options), (*self.arguments, *others)
        return lambda: step(*arguments)

    def jitted(self, f: Any) -> Call:
        """Return the call of a function on the arguments, compiled by JAX."""
        jax = optional("jax")
        run, arguments = jax.jit(f), jax.tree.map(jax.numpy.asarray, self.arguments)
        return lambda: jax.block_until_ready(run(*arguments))


def machine_code(f: Any, **options: Any) -> Any:
    """Compile with everything loaded that it takes, so that a first result does not wait for imports."""
    for module in ("backends.llvm", "loops.whole_arrays"):
        importlib.import_module(f"chainrule.{module}")
    return cr.compile(f, backend="llvm", threads=THREADS, **options)
