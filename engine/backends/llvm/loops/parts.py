"""Tell which parts of an array that is put together meet others."""

from __future__ import annotations

from ....programs import Part, Place, size_of

_MOST = 64  # parts that are compared with each other


def overlaps(op: Place) -> list[bool]:
    """Return for each part whether it may meet one before it, so that it has to be added to what is there.

    >>> overlaps(Place((4,), [Part(0, (2,), (1,)), Part(2, (), ()), Part(1, (2,), (1,))]))
    [False, False, True]
    """
    if order_of(op) is not None:
        return [False] * len(op.parts)
    if not any(part.shape for part in op.parts):
        first = {part.start: k for k, part in reversed(list(enumerate(op.parts)))}
        return [first[part.start] != k for k, part in enumerate(op.parts)]
    if len(op.parts) > _MOST:
        return _by_places(op)
    found = []
    for k, part in enumerate(op.parts):
        found.append(any(not _apart(part, other) for other in op.parts[:k]))
    return found


def is_disjoint(op: Place) -> bool:
    """Return whether no parts meet."""
    return order_of(op) is not None or not any(overlaps(op))


def order_of(op: Place) -> list[int] | None:
    """Return in which order the parts stand side by side and are the array; None if they do not, or are not all of it.

    >>> order_of(Place((3,), [Part(2, (), ()), Part(0, (2,), (1,))]))
    [1, 0]
    """
    order = sorted(range(len(op.parts)), key=lambda k: op.parts[k].start)
    end = 0
    for k in order:
        part = op.parts[k]
        if part.start != end or not part.is_contiguous:
            return None
        end += size_of(part.shape)
    return order if end == size_of(op.shape) else None


def _by_places(op: Place) -> list[bool]:
    """Compare the intervals that parts lie in."""
    reached = -1
    found = []
    for part in op.parts:
        low, high = _bounds(part)
        found.append(low <= reached)
        reached = max(reached, high)
    return found


def _bounds(part: Part) -> tuple[int, int]:
    ends = [stride * (length - 1) for length, stride in zip(part.shape, part.strides, strict=True)]
    return part.start + sum(min(0, end) for end in ends), part.start + sum(max(0, end) for end in ends)


def _apart(a: Part, b: Part) -> bool:
    if not size_of(a.shape) or not size_of(b.shape):
        return True
    (low, high), (start, end) = _bounds(a), _bounds(b)
    if high < start or end < low:
        return True
    # Columns of one matrix, each on its own: what both step over is longer than what they reach in between.
    step = max([abs(stride) for stride in (*a.strides, *b.strides)], default=0)
    if not step:
        return False
    own, other = _within(a, step), _within(b, step)
    if own is None or other is None:
        return False
    return own[1] < other[0] or other[1] < own[0]


def _within(part: Part, step: int) -> tuple[int, int] | None:
    """Return between which remainders by a step the numbers of a part lie, if they lie in one run."""
    rest = Part(
        part.start,
        tuple([length for length, stride in zip(part.shape, part.strides, strict=True) if stride % step]),
        tuple([stride for stride in part.strides if stride % step]),
    )
    low, high = _bounds(rest)
    return (low % step, low % step + high - low) if low % step + high - low < step else None
