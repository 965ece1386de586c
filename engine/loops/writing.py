"""Write into whole traced arrays, as into NumPy's: each write makes a new array, which stands in the old one's place.

What was computed before keeps the array as it was. An array that is a view of another one writes to that; views that
are small, which code gets as arrays of numbers, are filled anew.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import TraceError
from ..graph import lift, session, user_line
from ..operations import table
from ..programs import (
    ArrayTracer,
    Gather,
    Numbers,
    Part,
    Place,
    Tracer,
    View,
    copied,
    shape_of,
    size_of,
    whole,
)
from .indexing import is_mask, item, located
from .nests import elementwise, holds_conditions, operand, shown
from .rearranging import broadcast, put


class Memory:
    """What an array holds that was written to.

    Attributes:
        array: as it is, but for the numbers written one by one since.
        numbers: these, by place.
        slices: the small views that code holds.
    """

    def __init__(self, array: ArrayTracer) -> None:
        self.array = array
        self.numbers: dict[int, Any] = {}
        self.slices: list[tuple[weakref.ref[Any], Part]] = []
        self._limit = 64  # of slices, before those that are gone are dropped

    def read(self) -> ArrayTracer:
        """Return the array as it is."""
        if self.numbers:
            size = size_of(self.array.shape)
            parts = list(self._pieces(self.array.view(whole((size,))), size))
            op = Place(self.array.shape, [part for part, _ in parts])
            self.numbers = {}
            self._hold(ArrayTracer(self.array.shape, "", op, tuple([lift(value) for _, value in parts])))
        return self.array

    def _pieces(self, flat: ArrayTracer, size: int) -> Iterator[tuple[Part, Any]]:
        start = 0
        for place in [*sorted(self.numbers), size]:
            if place > start:
                part = Part(start, (place - start,), (1,))
                yield part, flat.view(part)
            if place < size:
                yield Part(place, (), ()), self.numbers[place]
            start = place + 1

    def number(self, place: int) -> Any:
        """Return the number at a place."""
        return self.numbers[place] if place in self.numbers else self.array.view(Part(place, (), ()))

    def write(self, part: Part, value: Any) -> None:
        """Put a number or an array of the same shape into a part."""
        if part.shape:
            self._hold(_with(self.read(), part, value))
        else:
            self.numbers[part.start] = value
        for reference, own in self.slices:
            found = reference()
            if found is not None:
                _fill(found, [self.number(place) for place in own.places()])

    def _hold(self, array: ArrayTracer) -> None:
        # Views of it are not to be views of another one.
        self.array = copied(array) if _is_view(array) else array
        self.array.memory = self

    def hand_out(self, found: Any, part: Part) -> None:
        """Remember a small view, to fill it anew when the array is written to."""
        self.slices.append((weakref.ref(found), part))
        if len(self.slices) > self._limit:
            self.slices = [own for own in self.slices if own[0]() is not None]
            self._limit = max(64, 2 * len(self.slices))


def _fill(target: Any, numbers: list[Any]) -> None:
    target.flags.writeable = True
    np.ndarray.__setitem__(target, ..., np.fromiter(numbers, object, len(numbers)).reshape(target.shape))
    target.flags.writeable = False


def _with(array: ArrayTracer, part: Part, value: Any) -> ArrayTracer:
    """Return an array with other numbers in a part."""
    shape, size, count = array.shape, size_of(array.shape), size_of(part.shape)
    if part.is_contiguous:
        parts: list[tuple[Part, Any]] = [(Part(part.start, (count,), (1,)), _flat(value, count))]
        flat = array.view(whole((size,)))
        for start, end in ((0, part.start), (part.start + count, size)):
            if end > start:
                own = Part(start, (end - start,), (1,))
                parts.append((own, flat.view(own)))
        parts.sort(key=lambda pair: pair[0].start)
        if len(parts) == 1 and isinstance(value, ArrayTracer):
            return copied(value.view(whole((count,))).view(whole(shape)))
        return ArrayTracer(shape, "", Place(shape, [own for own, _ in parts]), tuple([own for _, own in parts]))
    places = list(part.places())
    is_written = np.zeros(size, bool)
    is_written[places] = True
    if is_written.sum() < count:
        raise ValueError("assignment destination is read-only: it is one number several times")
    found = elementwise(table.where, is_written.reshape(shape), put(shape, [(part, value)]), array)
    assert isinstance(found, ArrayTracer)
    return found


def _flat(value: Any, count: int) -> Any:
    if isinstance(value, ArrayTracer):
        return value.view(whole((count,)))
    return Numbers.of(np.ascontiguousarray(value, float).reshape(count))


def write(x: ArrayTracer, index: Any, value: Any) -> None:
    """Carry out ``x[index] = value``."""
    memory, own = _memory_of(x), _part_of(x)
    mask = _mask(index, x.shape)
    if mask is not None:
        if np.shape(value):
            raise TraceError(
                f"an array was written to where traced conditions hold at {user_line()}, so how many is not known; "
                "write numpy.where(mask, array, x) with an array of the shape of x"
            )
        part, value = own, elementwise(table.where, mask, value, x.__whole__())
    else:
        place, axes, chosen = located(x.shape, index)
        if axes:
            part, value = own, _scattered(x, index, chosen, value)
        else:
            found = View(x.shape, place).after(View(memory.array.shape, own))
            if found is None:
                raise TraceError(f"a rearranged traced array was written to at {user_line()}; write to a copy of it")
            part, value = found.part, operand(value)
    if size_of(part.shape):
        memory.write(part, _of_shape(value, part.shape))


def _memory_of(x: ArrayTracer) -> Memory:
    root = _root(x)
    if root.birth < session.since:
        raise TraceError(
            f"an array from outside of a loop or function was written to inside, at {user_line()}; hand it in and "
            "return it, as the carry of a loop, or write to a copy"
        )
    if root.memory is None:
        root.memory = Memory(root)
    found: Memory = root.memory
    return found


def _root(x: ArrayTracer) -> ArrayTracer:
    """Return the array that one is a view of."""
    while x.memory is None and _is_view(x):
        x = x.args[0]
    return x


def _is_view(x: ArrayTracer) -> bool:
    return type(x.op) is View and not x.op.stops and type(x.args[0]) is ArrayTracer


def _part_of(x: ArrayTracer) -> Part:
    """Return which part of its root an array is."""
    part = _known_part(x)
    if part is None:
        raise TraceError(f"a rearranged traced array was written to at {user_line()}; write to a copy of it")
    return part


def _known_part(x: ArrayTracer) -> Part | None:
    """Return which part of its root an array is; None where no strides give it."""
    if x.memory is not None or not _is_view(x):
        return whole(x.shape)
    own: Part = x.op.part
    of = x.args[0]
    if of.memory is not None or not _is_view(of):
        return own
    part = _known_part(of)
    found = None if part is None else View(of.shape, own).after(View(_root(of).shape, part))
    return None if found is None else found.part


def _mask(index: Any, shape: tuple[int, ...]) -> Any:
    """Return an index that is traced conditions, one for each number; None for anything else."""
    if isinstance(index, ArrayTracer):
        index = index.__whole__()
    elif not (isinstance(index, np.ndarray) and index.dtype.kind == "O"):
        return None
    return index if shape_of(index) == shape and is_mask(index) else None


def _scattered(x: ArrayTracer, index: Any, chosen: list[Any], value: Any) -> Any:
    """Return an array with values at indices, of equal ones the last."""
    if not all(isinstance(part, np.ndarray) for part in chosen):
        raise TraceError(
            f"a traced array was written to at a traced index at {user_line()}; write "
            "numpy.where(numpy.arange(len(x)) == index, value, x)"
        )
    source = np.full(x.shape, -1)
    shape = source[index].shape
    source[index] = np.arange(size_of(shape)).reshape(shape)
    value, now = operand(value), x.__whole__()
    if size_of(shape_of(value)) > 1:
        value = _of_shape(value, shape)
        flat = value.view(whole((size_of(shape),))) if isinstance(value, ArrayTracer) else Numbers.of(value.reshape(-1))
        places = Numbers.of(np.maximum(source, 0).astype(float))
        value = Gather(flat.shape, x.shape).apply((flat, places))
        value = value if isinstance(value, ArrayTracer) else np.reshape(value, x.shape)
    elif shape_of(value):
        value = _of_shape(value, ())
    return elementwise(table.where, source >= 0, value, now)


def _of_shape(value: Any, shape: tuple[int, ...]) -> Any:
    """Return a value as a number or an array of a shape, which may have fewer axes of length 1 in front."""
    own = shape_of(value)
    if len(own) > len(shape) and set(own[: len(own) - len(shape)]) <= {1}:
        value = item(value, (0,) * (len(own) - len(shape))) if isinstance(value, ArrayTracer) else value.reshape(shape)
    if not shape:
        return value if not isinstance(value, np.ndarray) else float(value)
    try:
        return value if shape_of(value) == shape else broadcast(value, shape)
    except ValueError:
        raise ValueError(f"could not broadcast input array from shape {own} into shape {shape}") from None


def sliced(x: ArrayTracer, index: Any) -> Any:
    """Return ``x[index]`` as traced code gets it: what is small is filled anew when the array is written to."""
    if type(index) is int and len(x.shape) == 1 and x.memory is not None and x.memory.numbers:
        place, _, _ = located(x.shape, index)
        return x.memory.number(place.start)
    since = Tracer("").birth
    node = item(x.__whole__(), index)
    if located(x.shape, index)[1]:
        return shown(copy_of(node) if is_of(node, since) else node)  # index arrays copy
    return handed_out(node)


def handed_out(node: Any) -> Any:
    """Return a view as traced code gets it: what is small is filled anew when the array is written to."""
    found = shown(node)
    if isinstance(node, ArrayTracer) and found is not node and _is_view(node) and not holds_conditions(node):
        found.slice_of = node
        _keep(found, node)
    return found


def _keep(found: Any, node: ArrayTracer) -> None:
    """Fill an array of numbers anew whenever the view that it shows is written to; nobody else writes to it."""
    found.flags.writeable = False
    if _root(node).birth >= session.since:
        _memory_of(node).hand_out(found, _part_of(node))


def as_numbers(x: ArrayTracer) -> Any:
    """Return an array as one of numbers that only reads: it is filled anew when the array is written to."""
    items = np.fromiter(x.__whole__().numbers(), object, size_of(x.shape)).reshape(x.shape)
    _keep(items, x)
    return items


def placed(x: ArrayTracer) -> tuple[ArrayTracer, Part | None]:
    """Return what an array is a view of, or itself, and which part of it; None where no strides give it."""
    return _root(x), _known_part(x)


def copy_of(x: Any) -> Any:
    """Return an array of its own, which is not written to when another one is."""
    if not isinstance(x, ArrayTracer):
        return x.copy() if isinstance(x, np.ndarray) else x
    found: ArrayTracer = copied(x.__whole__())
    found.holds_conditions = holds_conditions(x)
    return found


def is_of(found: Any, since: int) -> bool:
    """Return whether an array is one from before some birth, or a view of it, or one that can't be written to."""
    if not isinstance(found, ArrayTracer):
        return False
    root, part = placed(found)
    return part is None or root.memory is not None or root.birth < since
