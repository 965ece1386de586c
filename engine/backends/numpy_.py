"""Run a program with NumPy: each step is one operation on all samples of a piece of the batch.

A number is an array over the samples, and over the iterations of the maps around it, which come before: the lanes. An
array has its own axes first, then the lanes. What is the same in all lanes of an axis has length 1 there, or not that
axis nor those before.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import BackendError, describe
from ..floats import DOUBLE, Format
from ..operations import Primitive
from ..programs import CALL, COUNTED, MAP, WHILE, Gather, Loop, Numbers, Place, Program, Scatter, Shape, View, size_of
from .array_moves import added_up, gathered, joined_lanes, kind_of, placed, scattered, seen, stacked, with_lanes
from .layout import Layout
from .lowering import DELICATE, defined, lower
from .repeating import repeat

Array = Any  # an array with a number for each sample, or one number for all


class Body(NamedTuple):
    """An inner program: the function that runs it, and how many numbers its largest value has in each lane."""

    run: Callable[[Sequence[Array]], list[Array]]
    most: int


class Inner:
    """The inner programs of one, made so far, and the dtype of its numbers."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.bodies: dict[Program, Body] = {}


_PIECE = 4096  # samples at a time: a piece of each value, 32 KiB, stays in the cache
_AT_ONCE = 2**18  # numbers of one value at a time, where samples or iterations hold many

# NumPy's functions have other edges than these rows, or fewer digits.
_BY_DEFINITION = {"floor_divide", "logaddexp", "remainder"}

_OWN: dict[str, Callable[..., Array]] = {
    "pos": lambda x: x,
    "pow": lambda x, y: _power(x, y),
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


def _power(x: Array, y: Array) -> Array:
    """Return powers as C has them: where all exponents are 1/2, NumPy takes roots, which differ below 0."""
    found, half = np.power(x, y), y == 0.5
    if not np.any(half):
        return found
    return np.where(half, np.where(x == -np.inf, np.inf, found + 0.0), found)


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
    program: Program,
    batched: Sequence[bool],
    reduce: str | None = None,
    threads: int = 1,
    format: Format = DOUBLE,
) -> Callable[[Sequence[Any], int, Any], None]:
    """Return the kernel of a program: ``kernel(arrays, n, out)``; threads bring nothing here."""
    inner = Inner(np.dtype(format.name).type)
    program = lower(program, lambda row: _on_arrays(row, inner.kind) is not None, format)
    layout = Layout(program, batched, reduce)
    constants = _constants(program, inner.kind)
    first = _Steps(program, layout.shared_steps, inner)
    # What is shared stays for the next piece; pieces let go what they have made.
    rest = _Steps(program, layout.sample_steps, inner)
    needed = {k for place in layout.sample_steps for k in program.steps[place].args}
    first.let_go(kept={*program.outputs, *needed})
    rest.let_go(kept=set(program.outputs))
    piece = max(1, min(_PIECE, _AT_ONCE // _most(program, inner)))
    outputs = [
        (k, shape, place, layout.units[layout.unit_at(place)])
        for k, shape, place in zip(program.outputs, program.output_shapes, layout.output_starts, strict=True)
        if size_of(shape)
    ]

    def kernel(arrays: Sequence[Any], n: int, out: Any) -> None:
        numbers = [np.asarray(array) for array in arrays]
        shared: list[Any] = []
        for argument, flag in enumerate(layout.batched):
            own = layout.inputs_of(argument)
            shared += [None] * len(own) if flag else _taken(numbers[argument].ravel(), own, layout)
        shared += constants
        shared += [None] * (program.count - program.offset)
        totals = np.zeros(layout.outputs)
        with np.errstate(all="ignore"):
            first.run(shared)
            for start in range(0, n if layout.has_batch else 1, piece):
                count = min(piece, n - start) if layout.has_batch else 1
                values = list(shared)
                for argument, (size, flag) in enumerate(zip(layout.sizes, layout.batched, strict=True)):
                    if flag:
                        rows = numbers[argument].reshape(n, size)[start : start + count]
                        own = layout.inputs_of(argument)
                        values[own.start : own.stop] = _taken(np.ascontiguousarray(rows.T), own, layout)
                rest.run(values)
                for k, shape, place, (head, size) in outputs:
                    found, width = values[k], size_of(shape)
                    if shape:
                        found = with_lanes(found, len(shape), 1)
                        found = found.reshape(width, found.shape[-1]).T
                    if layout.per_sample:
                        block = out[n * head : n * (head + size)].reshape(n, size)[start : start + count]
                        block[:, slice(place - head, place - head + width) if shape else place - head] = found
                    elif not layout.has_batch:
                        totals[place : place + width] = found  # as it is: added to 0, -0.0 loses its sign
                    elif shape:
                        totals[place : place + width] += np.broadcast_to(found, (count, width)).sum(axis=0, dtype=float)
                    else:
                        totals[place] += np.broadcast_to(found, count).sum(dtype=float)
            if not layout.per_sample:
                out[:] = totals / n if layout.reduce == "mean" else totals

    return kernel


def _taken(numbers: Any, inputs: range, layout: Layout) -> list[Array]:
    """Return the inputs of an argument from its numbers, with a lane for samples or without."""
    shapes = layout.program.shapes
    if len(inputs) == len(numbers) and not any(shapes[k] for k in inputs):
        return list(numbers)
    found = []
    for k in inputs:
        start, shape = layout.offsets[k], shapes[k]
        own = numbers[start : start + size_of(shape)]
        found.append(own.reshape((*shape, *numbers.shape[1:])))
    return found


def _constants(program: Program, kind: Any) -> list[Array]:
    with np.errstate(over="ignore"):
        return [
            np.frombuffer(item.data).reshape(item.shape).astype(kind, copy=False)
            if isinstance(item, Numbers)
            else kind(item)
            for item in program.constants
        ]


def _most(program: Program, inner: Inner) -> int:
    """Return how many numbers the largest value has in each lane around it, iterations of maps counted."""
    found = max(map(size_of, program.value_shapes), default=1)
    for op, _ in program.steps:
        if isinstance(op, Loop):
            most = max(inner.bodies[body].most for body in op.programs())
            found = max(found, most * (_at_once(op.length, most, 1) if op.kind == MAP else 1))
    return max(1, found)


def _at_once(length: int, most: int, lanes: int) -> int:
    """Return how many iterations of a map run at once."""
    return max(1, min(length, _AT_ONCE // (most * lanes)))


class _Steps:
    """Run some steps of a program; values are let go after their last use, so that memory follows what is alive."""

    def __init__(self, program: Program, places: Sequence[int], inner: Inner) -> None:
        self.first = program.offset
        self.steps = []
        for place in places:
            op, args = program.steps[place]
            self.steps.append((_function(op, inner), args, program.firsts[place], op.results, isinstance(op, Loop)))
        self.dead: list[list[int]] = [[] for _ in self.steps]

    def let_go(self, kept: set[int]) -> None:
        """Drop values after these steps have read them for the last time, other than those that are kept."""
        last = {k: place for place, (_, args, _, _, _) in enumerate(self.steps) for k in args}
        for k, place in last.items():
            if k >= self.first and k not in kept:
                self.dead[place].append(k)

    def run(self, values: list[Any]) -> None:
        """Run the steps on a list with a place for each value."""
        for (function, args, start, results, several), dead in zip(self.steps, self.dead, strict=True):
            found = function(*[values[k] for k in args])
            values[start : start + results] = found if several else [found]
            for k in dead:
                values[k] = None


def _body(program: Program, inner: Inner) -> Body:
    """Return an inner program as a function; one that stands in many places is made once."""
    if program in inner.bodies:
        return inner.bodies[program]
    steps = _Steps(program, range(len(program.steps)), inner)
    steps.let_go(set(program.outputs))
    constants = _constants(program, inner.kind)
    made = program.count - program.offset

    def run(inputs: Sequence[Array]) -> list[Array]:
        values = [*inputs, *constants, *[None] * made]
        steps.run(values)
        return [values[k] for k in program.outputs]

    inner.bodies[program] = Body(run, _most(program, inner))
    return inner.bodies[program]


def _loop(op: Loop, inner: Inner) -> Callable[..., list[Array]]:
    """Return the function that runs a loop: a map at once, along a new first lane, others one by one."""
    body = _body(op.body, inner)
    if op.kind == MAP:
        return lambda *args: _map(op, body, args)
    if op.kind in (WHILE, COUNTED):
        condition = None if op.condition is None else _body(op.condition, inner).run
        return lambda *args: repeat(op, body.run, condition, args)
    if op.kind == CALL:
        return lambda *args: body.run(args)
    return lambda *args: _one_after_another(op, body, args)


def _map(op: Loop, body: Body, args: Sequence[Array]) -> list[Array]:
    """Run iterations at once, as many as memory is meant for."""
    lanes = joined_lanes(args, [len(shape) for shape in op.argument_shapes])
    # The new lane comes before every one that an argument has.
    depth = len(lanes)
    own = [len(shape) for shape in op.body.shapes[: op.rows]]
    columns = [np.moveaxis(with_lanes(x, 1 + axes, depth), 0, axes) for x, axes in zip(args, own, strict=False)]
    given = [len(shape) for shape in op.body.output_shapes]
    kept: list[list[Array]] = [[] for _ in range(op.stacked)]
    totals = [np.zeros(shape) for shape in op.body.output_shapes[op.stacked :]]
    step = _at_once(op.length, body.most, max(1, math.prod(lanes)))
    for start in range(0, op.length, step):
        end = min(start + step, op.length)
        rows = [x[(*[slice(None)] * axes, slice(start, end))] for x, axes in zip(columns, own, strict=True)]
        results = body.run([*rows, *args[op.rows :]])
        found = [_along(x, axes, end - start, depth) for x, axes in zip(results, given, strict=True)]
        for parts, x, axes in zip(kept, found, given, strict=False):
            parts.append(np.moveaxis(x, axes, 0))
        sums = zip(totals, found[op.stacked :], given[op.stacked :], strict=True)
        totals = [added_up(total, x.sum(axis=axes, dtype=float), axes) for total, x, axes in sums]
    return [*map(_joined, kept, op.shapes), *_in_kind(totals, args)]


def _in_kind(totals: Sequence[Array], args: Sequence[Array]) -> list[Array]:
    """Return sums, which are added up in doubles, as numbers like the arguments'."""
    return [np.asarray(total, kind_of(args))[()] for total in totals]


def _along(x: Array, own: int, length: int, depth: int) -> Array:
    """Give a result the lane of its map, even if it is the same in every iteration."""
    x = with_lanes(x, own, depth + 1)
    return x if x.shape[own] == length else np.broadcast_to(x, (*x.shape[:own], length, *x.shape[own + 1 :]))


def _joined(parts: Sequence[Array], shape: Shape) -> Array:
    """Return the pieces of a stacked result as one array."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(shape)


def _one_after_another(op: Loop, body: Body, args: Sequence[Array]) -> list[Array]:
    first, end = op.carry, op.carry + op.rows
    given = [len(shape) for shape in op.body.output_shapes[first:]]
    carry, columns, shared = list(args[:first]), args[first:end], args[end:]
    kept: list[list[Array]] = [[None] * op.length for _ in range(op.stacked)]
    totals: list[Array] = [np.zeros(shape)[()] for shape in op.body.output_shapes[first + op.stacked :]]
    for k in op.iterations:
        found = body.run([*carry, *[column[k] for column in columns], *shared])
        carry = found[:first]
        for own, x in zip(kept, found[first:], strict=False):
            own[k] = x
        sums = zip(totals, found[first + op.stacked :], given[op.stacked :], strict=True)
        totals = [added_up(total, x, axes) for total, x, axes in sums]
    shapes = op.shapes[first:]
    whole = [
        stacked(own, axes) if own else np.zeros(shape) for own, axes, shape in zip(kept, given, shapes, strict=False)
    ]
    return [*carry, *whole, *_in_kind(totals, args)]


_MOVES: dict[type[Primitive], Callable[[Any], Callable[..., Array]]] = {
    View: seen,
    Place: placed,
    Gather: gathered,
    Scatter: scattered,
}


def _function(op: Primitive, inner: Inner) -> Callable[..., Any]:
    if isinstance(op, Loop):
        return _loop(op, inner)
    return _MOVES[type(op)](op) if type(op) in _MOVES else _on_arrays(op, inner.kind) or _one_by_one(op)


def _on_arrays(row: Primitive, kind: Any) -> Callable[..., Array] | None:
    """Return what computes a row on whole arrays: a function above, or the one that the row's code names."""
    if kind is not np.float64 and not row.custom and row.name in DELICATE:
        return _in_doubles(row, kind)
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
    return (lambda *xs: ufunc(*xs).astype(kind)) if row.compares else ufunc


def _in_doubles(row: Primitive, kind: Any) -> Callable[..., Array]:
    """Return what computes a row in doubles and rounds its results."""
    inner = Inner(np.float64)
    run = _body(defined(row, lambda own: _on_arrays(own, inner.kind) is not None), inner).run
    return lambda *xs: run([np.asarray(x, float)[()] for x in xs])[0].astype(kind)


def _one_by_one(op: Primitive) -> Callable[..., Array]:
    """Evaluate a row that NumPy has no function for, sample by sample."""
    evaluate = op.evaluate

    def function(*args: Array) -> Array:
        kind = kind_of(args)
        if not any(isinstance(arg, np.ndarray) for arg in args):
            return kind.type(evaluate(*map(float, args)))
        columns = np.broadcast_arrays(*args)
        rows = zip(*[column.ravel().tolist() for column in columns], strict=True)
        return np.array([evaluate(*row) for row in rows], kind).reshape(columns[0].shape)

    return function
