"""Write in C what only moves numbers of arrays: places, gathers and scatters; a view is another way to count memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...programs import Gather, Place, Scatter, Structural, View, regular, size_of
from ..meeting import added
from .places import Frame, Side, Slot, Statement, array, copied_array, counters_of, nested


def arrange(op: Structural, args: Sequence[int], value: int, frame: Frame) -> Iterator[Statement]:
    """Yield the statements of an operation; where its result stands is chosen here."""
    if isinstance(op, View):
        yield from _view(op, args[0], value, frame)
    elif isinstance(op, Place):
        yield from _place(op, args, value, frame)
    elif isinstance(op, Gather):
        yield from _gather(op, args[0], args[1], value, frame)
    elif isinstance(op, Scatter):
        yield from _scatter(op, args[0], args[1], value, frame)


def _view(op: View, source: int, value: int, frame: Frame) -> Iterator[Statement]:
    found = frame.seen(op.part, op.of, frame.slot(source))
    if found is None:
        # Where strides lead through no part of it, the array is set side by side.
        slot, solid = frame.slot(source), frame.take_array(op.of)
        yield Statement(lambda: copied_array(op.of, frame.side(slot), frame.side(solid)), ())
        found = frame.seen(op.part, op.of, solid)
    assert found is not None
    frame.slots[value] = found


def _place(op: Place, args: Sequence[int], value: int, frame: Frame) -> Iterator[Statement]:
    slots = [frame.slot(arg) for arg in args]
    known = _standing(op, slots)
    if known is not None:
        frame.slots[value] = known
        return
    slot = frame.slots[value] = frame.take_array(op.shape)
    assert slot.place is not None
    if not any(part.shape for part in op.parts) and op.fills:
        yield from frame.move(args, array("work", slot.place))
        return
    size, adds = size_of(op.shape), added(op)
    own = [Slot("work", slot.place + part.start, part.strides) for part in op.parts]
    if not op.fills:
        yield Statement(lambda: iter([f"memset(&{frame.element(slot)}, 0, {size} * sizeof(double));"]), ())
    for part, side, adding in zip(op.parts, own, adds, strict=True):
        if adding:
            # To -0.0 anything is added as it is.
            yield _copied(part.shape, Side(lambda *_: "-0.0", (0,) * len(part.shape)), frame.side(side))
    for arg, part, side, adding in zip(args, op.parts, own, adds, strict=True):
        yield _moved(frame, arg, part.shape, side, "+=" if adding else "=")


def _copied(shape: tuple[int, ...], source: Side, target: Side) -> Statement:
    return Statement(lambda: copied_array(shape, source, target), ())


def _moved(frame: Frame, arg: int, shape: tuple[int, ...], target: Slot, sign: str) -> Statement:
    return Statement(lambda: copied_array(shape, frame.side(frame.slot(arg)), frame.side(target), sign), (arg,))


def _standing(op: Place, slots: Sequence[Slot]) -> Slot | None:
    """Return where the numbers of an array stand already, if strides lead through them."""
    if not slots or not op.fills or any(part.shape for part in op.parts):
        return None
    starts = [slot.place for slot in slots if slot.place is not None and slot.name == slots[0].name]
    part = regular(starts, op.shape) if len(starts) == len(slots) else None
    return None if part is None else Slot(slots[0].name, part.start, part.strides)


def _row_lines(frame: Frame, index: int, count: int, shape: tuple[int, ...]) -> Iterator[str]:
    """Yield the heads of loops over an index, and the row that it asks for."""
    counters = counters_of(len(shape))
    yield from nested(shape, counters)
    inside = "    " * len(shape)
    yield f"{inside}{{"
    steps = frame.slot(index).along(*counters)
    yield f"{inside}    const size_t at = chainrule_row({frame.text(index, *steps)}, {count});"


def _gather(op: Gather, source: int, index: int, value: int, frame: Frame) -> Iterator[Statement]:
    slot = frame.slots[value] = frame.take_array(op.shape)

    def lines() -> Iterator[str]:
        if not size_of(op.shape):
            return
        row, own, given = op.of[1:], counters_of(len(op.index)), frame.slot(source)
        inner = counters_of(len(row), "m")
        yield from _row_lines(frame, index, op.of[0], op.index)
        inside = "    " * (len(own) + 1)
        yield from (inside + line for line in nested(row, inner))
        found = frame.element(given, *given.along("at", *inner)) if op.of[0] else "0.0"
        text = f"{frame.element(slot, *slot.along(*own, *inner))} = at < {op.of[0]} ? {found} : ((double)NAN);"
        yield f"{inside}{'    ' * len(inner)}{text}"
        yield f"{'    ' * len(own)}}}"

    yield Statement(lines, (index,))


def _scatter(op: Scatter, index: int, rows: int, value: int, frame: Frame) -> Iterator[Statement]:
    slot = frame.slots[value] = frame.take_array(op.shape)

    def lines() -> Iterator[str]:
        if not size_of(op.shape):
            return
        yield f"memset(&{frame.element(slot)}, 0, {size_of(op.shape)} * sizeof(double));"
        if not size_of(op.index):
            return
        yield f"int lost{value} = 0;"
        row, own = op.shape[1:], counters_of(len(op.index))
        inner = counters_of(len(row), "m")
        yield from _row_lines(frame, index, op.shape[0], op.index)
        inside = "    " * (len(own) + 1)
        yield f"{inside}if (at < {op.shape[0]})"
        yield from (f"{inside}    {line}" for line in nested(row, inner))
        added_row = frame.text(rows, *frame.slot(rows).along(*own, *inner))
        text = f"{frame.element(slot, *slot.along('at', *inner))} += {added_row};"
        yield f"{inside}    {'    ' * len(inner)}{text}"
        yield f"{inside}else"
        yield from (f"{inside}    {line}" for line in nested(row, inner))
        yield f"{inside}    {'    ' * len(inner)}lost{value} |= {added_row} != 0.0;"
        yield f"{'    ' * len(own)}}}"
        yield f"for (size_t k = 0; lost{value} && k < {size_of(op.shape)}; k++)"
        yield f"    {frame.element(slot, (1, 'k'))} = ((double)NAN);"

    yield Statement(lines, (index, rows))
