"""What `benchmark.py gpt` measures: the rows of its tables, each with contenders and the bars that issue 17 set."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import chainrule as cr
import numpy as np

from . import gpt_padded
from . import gpt_programs as programs
from .gpt_programs import Setting
from .loops import Network, flat
from .peers import optional

Array = Any
Make = Callable[[Any], Any]
BY_HAND = {
    "C, gcc's vectors": programs.c,
    "NumPy by hand": programs.Numpy,
    "JAX jit, padded": gpt_padded.jax,
    "torch, padded": gpt_padded.torch,
}


@dataclass(frozen=True)
class Bar:
    """What one contender is to reach.

    Attributes:
        own: the contender.
        what: "step", "letter" (microseconds), "first" (seconds), or another contender: times its speed.
        limit: how much at most, or how many times its speed at least.
    """

    own: str
    what: str
    limit: float


@dataclass(frozen=True)
class Row:
    """One table.

    Attributes:
        title: what is computed.
        setting: makes what the contenders take.
        contenders: what makes each, the first is what others are compared with.
        bars: what is to be reached.
        tolerance: how far numbers may differ, relative to the greatest of each kind.
        repeated: whether steps are timed; else all is in the first result.
    """

    title: str
    setting: Callable[[], Any]
    contenders: dict[str, Make]
    bars: tuple[Bar, ...] = ()
    tolerance: float = 1e-9
    repeated: bool = True

    def ready(self, contender: str) -> tuple[Make, Any]:
        """Return what makes a contender and what it takes, with all loaded that it needs."""
        setting = self.setting()
        importlib.import_module("chainrule.backends.llvm")
        for tool in ("jax", "torch"):
            if tool in contender.lower():
                optional(tool)
        return self.contenders[contender], setting

    def letters(self) -> float:
        """Return how many letters a step has on average, 0 where there are no names."""
        setting = self.setting()
        return float((setting.lengths - 1).sum(1).mean()) if isinstance(setting, Setting) else 0.0


class Slopes:
    """The same gradient again and again."""

    def __init__(self, call: Callable[[], tuple[float, Array]]) -> None:
        self.call, self.means = call, np.zeros(1)

    def __call__(self, k: int) -> float:
        value, self.means = self.call()
        return value


def network(workload: Network) -> Slopes:
    """The network of `benchmark.py loops`, by one thread."""
    options = {"batch": ("x", "y"), "reduce": "mean", "backend": "llvm"}
    step = cr.compile(cr.value_and_grad(workload.loss), **options)
    return Slopes(lambda: flat(step(workload.p, workload.x, workload.y)))


def network_by_jax(workload: Network) -> Slopes | None:
    """The same in arrays of JAX."""
    call = workload.peers().get("JAX arrays")
    return call and Slopes(call)


class All:
    """Many steps, from nothing to the last."""

    def __init__(self, run: Callable[[], Array]) -> None:
        self.run, self.means = run, np.zeros(1)

    def __call__(self, k: int) -> Array:
        """Return the losses of the first steps; later ones differ as rounding grows."""
        return self.run()[:50]


def one_by_one(make: Make) -> Make:
    """Call a step for each batch."""

    def run(setting: Setting) -> All:
        return All(lambda: np.array(list(map(make(setting), range(len(setting.tokens))))))

    return run


def in_one_call(setting: Setting) -> All:
    """One compiled call: a scan over all batches, whose carry are the parameters and means."""

    def train(state: Any, batches: Any) -> Any:
        def step(state: Any, batch: Any) -> Any:
            *state, taken = state
            *state, value = programs.gpt.step(*state, taken, programs.RATE, *batch, width=setting.width)
            return (*state, taken + 1.0), value

        return cr.scan(step, state, batches)

    def run() -> Array:
        p = setting.start
        state = (p, np.zeros_like(p), np.zeros_like(p), 1.0)
        _, losses = cr.compile(train)(state, (setting.tokens, setting.lengths))
        return losses

    return All(run)


def rows(quick: bool) -> dict[str, Row]:
    """Return all rows; `quick` takes tiny sizes."""
    few, batch, wide, many = (2, 2, 16, 20) if quick else (64, 16, 64, 10_000)
    sizes, samples = ((3, 5, 1), 10) if quick else ((64, 128, 64, 1), 1024)

    def setting(*size: int, width: int = 16, dtype: str = "float64") -> Callable[[], Setting]:
        return lambda: Setting(width, *programs.names(*size), dtype)

    return {
        "one": Row(
            "one name of 6 letters a step, double",
            setting(few, 1, 2 if quick else 6),
            {
                "chainrule, lists": programs.plain,
                "chainrule, arrays": programs.arrays,
                "recorded, lists": programs.recorded,
                "recorded, arrays": programs.recorded_arrays,
                "plain Value class": programs.values,
                **BY_HAND,
            },
            (
                Bar("chainrule, lists", "step", 25.0),
                Bar("chainrule, lists", "first", 2.0),
                Bar("recorded, lists", "plain Value class", 40.0),
            ),
        ),
        "names": Row(
            f"{batch} names a step, double",
            setting(few, batch),
            {
                "chainrule, arrays": programs.arrays,
                "chainrule, out=": programs.in_place,
                "chainrule, batch=": programs.lanes,
                **BY_HAND,
            },
            (Bar("chainrule, arrays", "letter", 1.5), Bar("chainrule, batch=", "letter", 1.5)),
        ),
        "single": Row(
            f"{batch} names a step, single precision",
            setting(few, batch, dtype="float32"),
            {"double by NumPy": programs.in_double, "chainrule, arrays": programs.arrays, **BY_HAND},
            (
                Bar("chainrule, arrays", "letter", 0.8),
                Bar("chainrule, arrays", "C, gcc's vectors", 1.0),
            ),
            tolerance=1e-4,
        ),
        "wide": Row(
            f"{batch} names a step, embedding {wide}, double",
            setting(few, batch, width=wide),
            {"chainrule, arrays": programs.arrays, **BY_HAND},
            (
                Bar("chainrule, arrays", "NumPy by hand", 0.5),
                Bar("chainrule, arrays", "first", 4.0),
            ),
        ),
        "network": Row(
            f"MLP {'-'.join(map(str, sizes))}, squared loss and all gradients, {samples} samples, no update",
            lambda: Network(sizes, samples),
            {"chainrule": network, "JAX jit": network_by_jax},
            (Bar("chainrule", "JAX jit", 1.5),),
        ),
        "all": Row(
            f"{many:,} steps of one name each, everything included",
            setting(many, 1),
            {
                "chainrule, calls": one_by_one(programs.arrays),
                "chainrule, out=": one_by_one(programs.in_place),
                "chainrule, one call": in_one_call,
                "C, gcc's vectors": one_by_one(programs.c),
            },
            (Bar("chainrule, calls", "first", 1.0),),
            repeated=False,
        ),
    }
