"""Compute with every number of whole arrays: maps inside maps, one for each axis that the arrays do not share.

What is computed is a function of numbers, at each index of some axes; along axes that are summed its results are added
up. That is all that elementwise functions, sums along axes and products of matrices need. The axes along which memory
is read in steps come outermost, those that lie side by side in all arrays are one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import programs
from ..data import all_numbers, array_of, to_float
from ..operations import table
from ..programs import (
    MAP,
    ArrayTracer,
    Loop,
    Numbers,
    Part,
    Program,
    Shape,
    Tracer,
    View,
    contiguous,
    joined,
    listed,
    shape_of,
    size_of,
    symbol,
    values_in_tuple,
)
from .bodies import base_of as base_of
from .bodies import holds_conditions as holds_conditions

FEW = 8
"""Up to so many numbers inside a loop are written out, as code for a few numbers is."""


class Seen(NamedTuple):
    """An array through strides: a traced one, or one of constants; a number has no axes."""

    source: Any
    start: int
    strides: tuple[int, ...]


def operand(x: Any) -> Any:
    """Return what functions of arrays compute with: a traced array, an array of constants, or a number."""
    if isinstance(x, ArrayTracer):
        return x.__whole__()
    if isinstance(x, float) or hasattr(type(x), "__apply__"):
        return x
    if isinstance(x, (list, tuple)) and any(isinstance(item, ArrayTracer) for item in x):
        x = np.asarray([np.asarray(item, object) for item in x], object)
    array = np.asarray(x)
    if array.dtype.kind == "O":
        items = array.ravel().tolist()
        if not all_numbers(items):
            items = [item if hasattr(type(item), "__apply__") else to_float(item, "array", "item") for item in items]
        if set(map(type, items)) > {float} or (items and type(items[0]) is not float):
            return joined(items, array.shape) if array.shape else items[0]
        array = np.array(items, float).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of numbers but got one of {array.dtype}")
    return array.astype(float, copy=False) if array.shape else float(array)


def seen(x: Any) -> Seen:
    """Return an operand by what it is a view of, so that views of views are one."""
    if isinstance(x, ArrayTracer):
        if type(x.op) is View and not x.op.stops:
            return Seen(x.args[0], x.op.part.start, x.op.part.strides)
        return Seen(x, 0, contiguous(x.shape))
    return Seen(x, 0, contiguous(np.shape(x)) if isinstance(x, np.ndarray) else ())


def spread(x: Any, shape: Shape) -> Seen:
    """Return an operand as an array of a shape that it broadcasts to."""
    own = shape_of(x)
    found = seen(x)
    ahead = len(shape) - len(own)
    strides = [0 if length == 1 else stride for length, stride in zip(own, found.strides, strict=False)]
    return Seen(found.source, found.start, (*(0,) * ahead, *strides))


def elementwise(f: Callable[..., Any], *xs: Any) -> Any:
    """Return a function of numbers at every index of arrays, which broadcast as NumPy's do."""
    operands = [operand(x) for x in xs]
    shape = np.broadcast_shapes(*map(shape_of, operands))
    return computed(f, [spread(x, shape) for x in operands], shape)


def computed(f: Callable[..., Any], arrays: Sequence[Seen], lengths: Shape, summed: Iterable[int] = ()) -> Any:
    """Return a function of numbers at every index of some axes, added up along those that are `summed`.

    Args:
        f: of as many numbers as there are arrays.
        arrays: each with a stride for every axis, 0 along those that it does not have; numbers may have none.
        lengths: of the axes.
        summed: which of them.
    """
    sums = {axis for axis in summed if lengths[axis] != 1}
    kept = [axis for axis in range(len(lengths)) if axis not in set(summed)]
    shape = tuple([lengths[axis] for axis in kept])
    if 0 in lengths:
        return np.zeros(shape) if shape else 0.0
    arrays = [array if array.strides else array._replace(strides=(0,) * len(lengths)) for array in arrays]
    order = _in_order([axis for axis, length in enumerate(lengths) if length != 1], arrays, sums)
    groups = _collapsed(order, arrays, lengths, sums)
    values, takes = [], []
    for which, array in enumerate(arrays):
        own = tuple([k for k, (_, _, strides) in enumerate(groups) if strides[which]])
        part = Part(array.start, tuple([groups[k][0] for k in own]), tuple([groups[k][2][which] for k in own]))
        values.append(_part(array.source, part))
        takes.append(own)
    found = _nest(f, values, takes, [length for length, _, _ in groups], [flag for _, flag, _ in groups])
    if not shape:
        return found
    if not isinstance(found, ArrayTracer):  # of one number
        return joined([number_of(found)], shape)
    left = [axis for axis in order if axis not in sums]
    strides = dict(zip(left, contiguous(tuple([lengths[axis] for axis in left])), strict=True))
    return found.view(Part(0, shape, tuple([strides.get(axis, 0) for axis in kept])))


def _in_order(axes: Sequence[int], arrays: Sequence[Seen], sums: set[int]) -> list[int]:
    """Return axes, innermost the one along which memory is read in the smallest steps, then those that are summed."""
    if not axes:
        return []
    steps = {axis: sum([abs(array.strides[axis]) for array in arrays]) for axis in axes}
    inner = min(reversed(axes), key=steps.__getitem__)
    outer = [axis for axis in axes if axis != inner]
    return [*[axis for axis in outer if axis not in sums], *[axis for axis in outer if axis in sums], inner]


_Group = tuple[int, bool, tuple[int, ...]]


def _collapsed(order: Sequence[int], arrays: Sequence[Seen], lengths: Shape, sums: set[int]) -> list[_Group]:
    """Return the length of each axis, whether it is summed, and its strides; neighbours in memory are one axis."""
    groups: list[_Group] = []
    for axis in order:
        length, strides = lengths[axis], tuple([array.strides[axis] for array in arrays])
        if groups:
            before, flag, outer = groups[-1]
            if flag == (axis in sums) and all(a == b * length for a, b in zip(outer, strides, strict=True)):
                groups[-1] = (before * length, flag, strides)
                continue
        groups.append((length, axis in sums, strides))
    return groups


def _part(source: Any, part: Part) -> Any:
    """Return a part of a traced array or of one of constants."""
    if isinstance(source, ArrayTracer):
        return source.view(part)
    if not isinstance(source, np.ndarray):
        return source
    flat = np.ascontiguousarray(source).ravel()
    if not part.shape:
        return float(flat[part.start])
    steps = [8 * stride for stride in part.strides]
    return Numbers.of(np.lib.stride_tricks.as_strided(flat[part.start :], part.shape, steps, writeable=False))


def _nest(
    f: Callable[..., Any],
    values: Sequence[Any],
    takes: Sequence[tuple[int, ...]],
    lengths: Sequence[int],
    summed: Sequence[bool],
    inside: bool = False,
) -> Any:
    """Return a function at every index; `takes` says which axes a value has, counted from the outermost left."""
    if not lengths:
        return f(*values)
    if inside and size_of(tuple(lengths)) <= FEW:
        return _written_out(f, values, takes, lengths, summed)
    keys = [(id(value), take) for value, take in zip(values, takes, strict=True)]
    known = {key: value for key, value in zip(keys, values, strict=True) if type(value) is not float}
    rows = [key for key in known if key[1][:1] == (0,)]
    order = [*rows, *[key for key in known if key[1][:1] != (0,)]]
    shapes = [shape_of(known[key])[1 if key in rows else 0 :] for key in order]
    left = [tuple([axis - 1 for axis in take if axis]) for take in takes]

    def at_one(symbols: Sequence[Any]) -> Any:
        by_key = dict(zip(order, symbols, strict=True))
        inner = [by_key.get(key, value) for key, value in zip(keys, values, strict=True)]
        return _nest(f, inner, left, lengths[1:], summed[1:], True)

    body = program_of(getattr(f, "__name__", "f").strip("<>"), at_one, shapes)
    loop = Loop(MAP, body, lengths[0], 0, len(rows), int(summed[0]))
    (found,) = Tracer.__apply_loop__(loop, [known[key] for key in order])
    return found


def _written_out(
    f: Callable[..., Any],
    values: Sequence[Any],
    takes: Sequence[tuple[int, ...]],
    lengths: Sequence[int],
    summed: Sequence[bool],
) -> Any:
    found = []
    for place in np.ndindex(*lengths):
        own = []
        for value, take in zip(values, takes, strict=True):
            shape = shape_of(value)
            start = sum([place[axis] * stride for axis, stride in zip(take, contiguous(shape), strict=True)])
            own.append(_part_of(value, start) if shape else value)
        found.append(f(*own))
    shape = tuple([length for length, flag in zip(lengths, summed, strict=True) if not flag])
    if any(summed):
        items = np.fromiter(found, object, len(found)).reshape(tuple(lengths))
        kept = [axis for axis, flag in enumerate(summed) if not flag]
        added = [axis for axis, flag in enumerate(summed) if flag]
        lines = items.transpose(*kept, *added).reshape(size_of(shape), -1)
        found = [functools.reduce(table.add, line) for line in lines.tolist()]
    return joined([number_of(item) for item in found], shape) if shape else found[0]


def number_of(item: Any) -> Any:
    """Return a number as a loop's body gives it."""
    return item if hasattr(type(item), "__apply__") else float(item)


def _part_of(value: Any, start: int) -> Any:
    return value.view(Part(start, (), ())) if isinstance(value, ArrayTracer) else value.tolist()[start]


_NAMES = ("x", "y", "z")


def program_of(name: str, f: Callable[[Sequence[Any]], Any], shapes: Sequence[Shape]) -> Program:
    """Trace a function of values of such shapes as the body of a loop."""
    names = _NAMES if len(shapes) <= len(_NAMES) else [f"x{k}" for k in range(len(shapes))]
    inputs = [symbol(own, shape) for own, shape in zip(names, shapes, strict=False)]
    found = f(inputs)
    outputs = list(found) if isinstance(found, tuple) else [found]
    outputs = [item if isinstance(item, ArrayTracer) else number_of(item) for item in outputs]
    result = values_in_tuple([*map(shape_of, outputs)])
    return listed(name, inputs, outputs, values_in_tuple(shapes), result if len(outputs) > 1 else result.parts[0])


def conditions(f: Callable[..., Any], *xs: Any) -> Any:
    """Return the conditions that a function of numbers tells at every index of arrays; `&`, `|`, `^`, `~` join them."""
    found = elementwise(f, *xs)
    if isinstance(found, ArrayTracer):
        base_of(found).holds_conditions = True
    return found


def shown(value: Any) -> Any:
    """Return a value as code that is traced gets it; few conditions are conditions on single numbers."""
    found = programs.shown(value)
    if found is not value and holds_conditions(value):
        return array_of([table.not_equal(number, 0.0) for number in value.numbers()], value.shape)
    return found
