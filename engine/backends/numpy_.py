"""Run a program with NumPy: each step is one operation on all samples of a piece of the batch."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import BackendError, describe
from ..operations import Primitive
from ..programs import MAP, WHILE, Loop, Program
from .flat import flat
from .layout import Layout
from .lowering import lower

Array = Any  # an array with a number for each sample, or one number for all
Body = Callable[[Sequence[Array]], list[Array]]

_PIECE = 4096  # samples at a time: a piece of each value, 32 KiB, stays in the cache

# NumPy's functions have other edges than these rows, or fewer digits.
_BY_DEFINITION = {"floor_divide", "logaddexp", "remainder"}

_OWN: dict[str, Callable[..., Array]] = {
    "pos": lambda x: x,
    "stop_gradient": lambda x: x,
    "where": lambda condition, x, y: np.where(condition != 0.0, x, y),
    "relu": lambda x: np.where((x > 0.0) | (x != x), x, 0.0),
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "strong_mul": lambda x, y: np.where((x == 0.0) | (y == 0.0), 0.0, x * y),
    "strong_sub": lambda x, y: np.where(x == y, 0.0, x - y),
    "one_minus_square": lambda x: (1.0 - x) * (1.0 + x),
    "sum": lambda *xs: _total(xs),
    "mean": lambda *xs: _mean(xs),
    "dot": lambda *xs: _total([x * y for x, y in zip(xs[: len(xs) // 2], xs[len(xs) // 2 :], strict=True)]),
}


def _total(xs: Sequence[Array]) -> Array:
    total: Array = 0.0
    for x in xs:
        total = total + x
    return total


def _mean(xs: Sequence[Array]) -> Array:
    value = _total(xs) / len(xs)
    finite = np.isfinite(value)
    return value if np.all(finite) else np.where(finite, value, _total([x / len(xs) for x in xs]))


def build(
    program: Program, batched: Sequence[bool], reduce: str | None = None, threads: int = 1
) -> Callable[[Sequence[Any], int, Any], None]:
    """Return the kernel of a program: ``kernel(arrays, n, out)``; threads bring nothing here."""
    program = lower(flat(program), lambda row: _on_arrays(row) is not None)
    layout = Layout(program, batched, reduce)
    varies, firsts = layout.varying, program.firsts
    steps = _steps(program)
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
            function, args, several = steps[place]
            found = function(*[values[k] for k in args])
            start = firsts[place]
            values[start : start + program.steps[place].op.results] = found if several else [found]
            for k in dead[place]:
                values[k] = None

    def kernel(arrays: Sequence[Any], n: int, out: Any) -> None:
        shared: list[Any] = []
        for array, size, flag in zip(arrays, layout.sizes, layout.batched, strict=True):
            shared += [None] * size if flag else list(np.asarray(array).ravel())
        shared += map(np.float64, program.constants)
        shared += [None] * (program.count - program.offset)
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
                        totals[place] += np.broadcast_to(values[k], count).sum()
            if not layout.per_sample:
                out[:] = totals / n if layout.reduce == "mean" else totals

    return kernel


def _store(out: Any, layout: Layout, results: Sequence[Array], start: int, count: int, n: int) -> None:
    """Write one piece of every output to its block."""
    for first, size in layout.units:
        block = out[n * first : n * (first + size)].reshape(n, size)
        for column in range(size):
            block[start : start + count, column] = results[first + column]


def _steps(program: Program) -> list[tuple[Callable[..., Any], tuple[int, ...], bool]]:
    """Return the function that runs each step, its arguments, and whether it gives several values."""
    return [
        (_loop(op), args, True) if isinstance(op, Loop) else (_function(op), args, False) for op, args in program.steps
    ]


def _inner(program: Program) -> Body:
    """Return the function that runs an inner program."""
    steps = _steps(program)
    constants = list(map(np.float64, program.constants))

    def run(inputs: Sequence[Array]) -> list[Array]:
        values = [*inputs, *constants]
        for function, args, several in steps:
            found = function(*[values[k] for k in args])
            values += found if several else (found,)
        return [values[k] for k in program.outputs]

    return run


def _loop(op: Loop) -> Callable[..., list[Array]]:
    """Return the function that runs a loop: a map at once, along a new first axis, others one by one."""
    body = _inner(op.body)
    if op.kind == MAP:
        return lambda *args: _map(op, body, args)
    if op.kind == WHILE:
        condition = _inner(op.condition)
        return lambda *args: _repeat(op, body, condition, args)
    return lambda *args: _one_after_another(op, body, args)


def _map(op: Loop, body: Body, args: Sequence[Array]) -> list[Array]:
    # The new axis comes before every axis that an argument has.
    depth = max((np.ndim(x) for x in args), default=0)
    rows = [_stacked(op.column(args, j), depth) for j in range(op.rows)]
    found = body([*rows, *args[op.length * op.rows :]])
    whole = [_along(x, op.length, depth) for x in found]
    columns, sums = whole[: op.stacked], whole[op.stacked :]
    return [*[column[k] for k in range(op.length) for column in columns], *[x.sum(axis=0) for x in sums]]


def _along(x: Array, length: int, depth: int) -> Array:
    """Give a result the axis of its map, even if it is the same in every iteration."""
    if np.ndim(x) > depth:
        return np.broadcast_to(x, (length, *x.shape[1:]))
    return np.broadcast_to(x, (length, *[1] * (depth - np.ndim(x)), *np.shape(x)))


def _stacked(column: Sequence[Array], depth: int) -> Array:
    """Stack numbers and arrays along a new first axis, in front of so many others."""
    if not any(np.ndim(x) for x in column):
        return np.array(column, float).reshape(-1, *[1] * depth)
    whole = np.stack(np.broadcast_arrays(*column))
    return whole.reshape(len(whole), *[1] * (depth + 1 - whole.ndim), *whole.shape[1:])


def _one_after_another(op: Loop, body: Body, args: Sequence[Array]) -> list[Array]:
    first, width = op.carry, op.rows
    carry, shared = list(args[:first]), args[first + op.length * width :]
    kept: list[Sequence[Array]] = [[]] * op.length
    sums: list[Array] = [np.float64(0.0)] * op.sums
    for k in op.iterations:
        found = body([*carry, *args[first + k * width : first + (k + 1) * width], *shared])
        carry, kept[k] = found[:first], found[first : first + op.stacked]
        sums = [total + x for total, x in zip(sums, found[first + op.stacked :], strict=True)]
    return [*carry, *[x for row in kept for x in row], *sums]


def _repeat(op: Loop, body: Body, condition: Body, args: Sequence[Array]) -> list[Array]:
    """Iterate while any sample goes on; those that have ended no longer take part."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    if not shape:
        return _repeat_alone(op, body, condition, args)
    places = np.arange(math.prod(shape))  # of the samples that go on
    values = [np.broadcast_to(x, shape).reshape(-1) if np.ndim(x) else x for x in args]
    carry, shared, count = values[: op.carry], values[op.carry :], 0
    results = [np.empty(len(places)) for _ in carry]
    while len(places) and (not op.length or count < op.length):
        going = np.broadcast_to(condition([*carry, *shared])[0] != 0.0, places.shape)
        if not going.all():
            for result, x in zip(results, carry, strict=True):
                result[places[~going]] = x[~going] if np.ndim(x) else x
            places = places[going]
            carry, shared = ([x[going] if np.ndim(x) else x for x in part] for part in (carry, shared))
        if len(places):
            carry = body([*carry, *shared])
        count += 1
    for result, x in zip(results, carry, strict=True):
        result[places] = x
    return [result.reshape(shape) for result in results]


def _repeat_alone(op: Loop, body: Body, condition: Body, args: Sequence[Array]) -> list[Array]:
    carry, shared, count = list(args[: op.carry]), args[op.carry :], 0
    while (not op.length or count < op.length) and condition([*carry, *shared])[0] != 0.0:
        carry = body([*carry, *shared])
        count += 1
    return carry


def _function(op: Primitive) -> Callable[..., Array]:
    return _on_arrays(op) or _one_by_one(op)


def _on_arrays(row: Primitive) -> Callable[..., Array] | None:
    """Return what computes a row on whole arrays: a function above, or the one that the row's code names."""
    if not row.custom and row.name in _OWN:
        return _OWN[row.name]
    name = row.code.get("numpy", "" if row.custom or row.name in _BY_DEFINITION else row.name)
    module, _, word = name.rpartition(".")
    ufunc: Any = getattr(importlib.import_module(module or "numpy"), word, None) if word else None
    if not isinstance(ufunc, np.ufunc) or (ufunc.nin, ufunc.nout) != (row.arity, 1):
        if row.custom and name:
            raise BackendError(
                f'the backend "numpy" expected code["numpy"] of {row.name} to be the name of a ufunc of {row.arity} '
                f"arguments but got {describe('name', name)}"
            )
        return None
    return (lambda *xs: ufunc(*xs).astype(float)) if row.compares else ufunc


def _one_by_one(op: Primitive) -> Callable[..., Array]:
    """Evaluate a row that NumPy has no function for, sample by sample."""
    evaluate = op.evaluate

    def function(*args: Array) -> Array:
        if not any(isinstance(arg, np.ndarray) for arg in args):
            return np.float64(evaluate(*map(float, args)))
        columns = np.broadcast_arrays(*args)
        rows = zip(*[column.ravel().tolist() for column in columns], strict=True)
        return np.array([evaluate(*row) for row in rows]).reshape(columns[0].shape)

    return function
