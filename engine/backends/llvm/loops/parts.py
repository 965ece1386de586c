"""Find which parts of an assembled array overlap others."""

from __future__ import annotations

from ....programs import Place, size_of
from ...meeting import added


def overlaps(op: Place) -> list[bool]:
    """Return for each part whether it may meet itself or one before it, so that it is added to what is there.

    >>> from chainrule.programs import Part
    >>> overlaps(Place((4,), [Part(0, (2,), (1,)), Part(2, (), ()), Part(1, (2,), (1,))]))
    [False, False, True]
    """
    if order_of(op) is not None:
        return [False] * len(op.parts)
    if not any(part.shape for part in op.parts):
        first = {part.start: k for k, part in reversed(list(enumerate(op.parts)))}
        return [first[part.start] != k for k, part in enumerate(op.parts)]
    return added(op)


def is_disjoint(op: Place) -> bool:
    """Return whether no parts meet."""
    return order_of(op) is not None or not any(overlaps(op))


def leaves_out(op: Place) -> bool:
    """Return whether parts that do not meet leave out numbers of the array.

    >>> from chainrule.programs import Part
    >>> leaves_out(Place((4,), [Part(0, (2,), (2,)), Part(1, (2,), (2,))])), leaves_out(Place((2,), [Part(1, (), ())]))
    (False, True)
    """
    return sum([size_of(part.shape) for part in op.parts]) < size_of(op.shape)


def order_of(op: Place) -> list[int] | None:
    """Return in which order the parts stand side by side and are the array; None if they do not, or are not all of it.

    >>> from chainrule.programs import Part
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
