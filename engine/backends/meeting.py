"""Find which arguments of a `Place` may overlap others, so that they have to be added, not stored."""

from __future__ import annotations

from collections.abc import Iterator

from ..programs import Part, Place, size_of


def added(op: Place) -> list[bool]:
    """Return whether each argument may meet itself or one before it.

    What takes a while to find out counts as meeting: it costs a look at the numbers, not their order.

    >>> added(Place((6,), [Part(0, (3,), (2,)), Part(1, (3,), (2,)), Part(4, (), ())]))
    [False, False, True]
    """
    if op.fills:
        return [False] * len(op.parts)
    found = [meets_itself(part) for part in op.parts]
    spans = [_span(part.start, _axes(part)) for part in op.parts]
    reached: list[int] = []  # those before whose span goes on
    for k in sorted([k for k, part in enumerate(op.parts) if size_of(part.shape)], key=spans.__getitem__):
        reached = [other for other in reached if spans[other][1] >= spans[k][0]]
        for other in reached:
            later = max(k, other)
            found[later] = found[later] or _meet(op.parts[k], op.parts[other])
        reached.append(k)
    return found


def meets_itself(part: Part) -> bool:
    """Return whether numbers of a part may stand at the same place.

    >>> meets_itself(Part(0, (2, 3), (1, 2))), meets_itself(Part(0, (2, 3), (1, 1)))
    (False, True)
    """
    reach = 0
    for stride, length in sorted((abs(stride), length) for length, stride in _axes(part)):
        if stride <= reach:
            return True
        reach += stride * (length - 1)
    return False


def _axes(part: Part) -> list[tuple[int, int]]:
    """Return the length and the stride of each axis that has several numbers."""
    return [axis for axis in zip(part.shape, part.strides, strict=True) if axis[0] > 1]


def _span(start: int, axes: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the first and the last place that a part has."""
    ends = [(length - 1) * stride for length, stride in axes]
    return start + sum(min(0, end) for end in ends), start + sum(max(0, end) for end in ends)


def _meet(one: Part, other: Part) -> bool:
    """Return whether two parts may share a place."""
    if not (one.shape or other.shape):
        return one.start == other.start
    spans = [_span(part.start, _axes(part)) for part in (one, other)]
    return not (_are_apart(*spans) or any(_are_apart(*pair) for pair in _remainders(one, other)))


def _remainders(one: Part, other: Part) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the spans of two parts among the remainders by each stride, where they have such spans."""
    for step in {abs(stride) for _, stride in _axes(one) + _axes(other)} - {0}:
        spans = []
        for part in (one, other):
            low, high = _span(part.start, [axis for axis in _axes(part) if axis[1] % step])
            spans.append((low % step, low % step + high - low))
        if max(spans)[1] < step and min(spans)[1] < step:
            yield spans[0], spans[1]


def _are_apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[1] < other[0] or other[1] < one[0]
