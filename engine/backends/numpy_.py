"""Run a program with NumPy: each step is one operation on all samples of a piece of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..lowering import lower
from ..primitive import Primitive
from ..program import Program
from .layout import Layout

Array = Any  # an array with a number for each sample, or one number for all

_PIECE = 4096  # samples at a time: a piece of each value, 32 KiB, stays in the cache

_DIRECT: dict[str, Callable[..., Array]] = {
    name: getattr(np, ufunc)
    for name, ufunc in {
        "abs": "absolute",
        "acos": "arccos",
        "acosh": "arccosh",
        "add": "add",
        "asin": "arcsin",
        "asinh": "arcsinh",
        "atan": "arctan",
        "atan2": "arctan2",
        "atanh": "arctanh",
        "cbrt": "cbrt",
        "ceil": "ceil",
        "copysign": "copysign",
        "cos": "cos",
        "cosh": "cosh",
        "div": "divide",
        "exp": "exp",
        "expm1": "expm1",
        "floor": "floor",
        "fmod": "fmod",
        "hypot": "hypot",
        "log": "log",
        "log10": "log10",
        "log1p": "log1p",
        "log2": "log2",
        "maximum": "maximum",
        "minimum": "minimum",
        "mul": "multiply",
        "neg": "negative",
        "pow": "power",
        "round": "rint",
        "sign": "sign",
        "sin": "sin",
        "sinh": "sinh",
        "sqrt": "sqrt",
        "square": "square",
        "sub": "subtract",
        "tan": "tan",
        "tanh": "tanh",
        "trunc": "trunc",
    }.items()
}
_DIRECT |= {
    "pos": lambda x: x,
    "stop_gradient": lambda x: x,
    "where": lambda condition, x, y: np.where(condition != 0.0, x, y),
    "less": lambda x, y: np.less(x, y).astype(float),
    "less_equal": lambda x, y: np.less_equal(x, y).astype(float),
    "equal": lambda x, y: np.equal(x, y).astype(float),
    "not_equal": lambda x, y: np.not_equal(x, y).astype(float),
    "relu": lambda x: np.where((x > 0.0) | (x != x), x, 0.0),
    "reciprocal": lambda x: 1.0 / x,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "strong_mul": lambda x, y: np.where((x == 0.0) | (y == 0.0), 0.0, x * y),
    "strong_sub": lambda x, y: np.where(x == y, 0.0, x - y),
    "one_minus_square": lambda x: (1.0 - x) * (1.0 + x),
    "sum": lambda *xs: _total(xs),
    "mean": lambda *xs: _total(xs) / len(xs),
    "dot": lambda *xs: _total([x * y for x, y in zip(xs[: len(xs) // 2], xs[len(xs) // 2 :], strict=True)]),
}


def _total(xs: Sequence[Array]) -> Array:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def build(
    program: Program, batched: Sequence[bool], reduce: str | None = None, threads: int = 1
) -> Callable[[Sequence[Any], int, Any], None]:
    """Return the kernel of a program: ``kernel(arrays, n, out)``; threads bring nothing here."""
    program = lower(program, lambda row: row.name in _DIRECT and not row.custom)
    layout = Layout(program, batched, reduce)
    varies = layout.varying
    steps = [(_function(op), args) for op, args in program.steps]
    # Values are let go after their last use, so that memory follows what is alive, not the length of the program.
    last = {k: place for place, (_, args) in enumerate(program.steps) for k in args}
    kept = set(program.outputs)
    dead: list[list[int]] = [[] for _ in steps]
    for k, place in last.items():
        if k >= program.offset and varies[k] and k not in kept:
            dead[place].append(k)
    first, rest = layout.shared_steps, layout.sample_steps

    def run(values: list[Any], places: Sequence[int]) -> None:
        for place in places:
            function, args = steps[place]
            values[program.offset + place] = function(*[values[k] for k in args])
            for k in dead[place]:
                values[k] = None

    def kernel(arrays: Sequence[Any], n: int, out: Any) -> None:
        shared: list[Any] = []
        for array, size, flag in zip(arrays, layout.sizes, layout.batched, strict=True):
            shared += [None] * size if flag else list(np.asarray(array).ravel())
        shared += map(np.float64, program.constants)
        shared += [None] * len(steps)
        totals = np.zeros(len(program.outputs))
        with np.errstate(all="ignore"):
            run(shared, first)
            for start in range(0, n if layout.has_batch else 1, _PIECE):
                count = min(_PIECE, n - start) if layout.has_batch else 1
                values = list(shared)
                place = 0
                for array, size, flag in zip(arrays, layout.sizes, layout.batched, strict=True):
                    if flag:
                        rows = np.asarray(array).reshape(n, size)[start : start + count]
                        values[place : place + size] = np.ascontiguousarray(rows.T)
                    place += size
                run(values, rest)
                if layout.per_sample:
                    _store(out, layout, [values[k] for k in program.outputs], start, count, n)
                else:
                    for place, k in enumerate(program.outputs):
                        totals[place] += values[k].sum() if varies[k] else count * values[k]
            if not layout.per_sample:
                out[:] = totals / n if layout.reduce == "mean" else totals

    return kernel


def _store(out: Any, layout: Layout, results: Sequence[Array], start: int, count: int, n: int) -> None:
    """Write one piece of every output to its block."""
    for first, size in layout.units:
        block = out[n * first : n * (first + size)].reshape(n, size)
        for column in range(size):
            block[start : start + count, column] = results[first + column]


def _function(op: Primitive) -> Callable[..., Array]:
    direct = None if op.custom else _DIRECT.get(op.name)
    return direct or _one_by_one(op)


def _one_by_one(op: Primitive) -> Callable[..., Array]:
    """Evaluate a row that NumPy has no function for, sample by sample."""
    evaluate = op.evaluate

    def function(*args: Array) -> Array:
        if not any(isinstance(arg, np.ndarray) for arg in args):
            return np.float64(evaluate(*map(float, args)))
        columns = [column.tolist() for column in np.broadcast_arrays(*args)]
        return np.array([evaluate(*row) for row in zip(*columns, strict=True)])

    return function
