"""Copy, add and clear numbers in memory, side by side as vectors, else by small loops over the axes of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....programs import Numbers
from ..turns import loop
from .memory import Sink, Spot, in_order_of_memory, merged, size_in, together
from .transposing import read_rows, turned
from .writer import Writer

_RUN = 3  # numbers that are moved as an array, at least
_FEW = 4  # numbers that are written one by one
_LONG = 64  # numbers side by side that are copied, or added, by a call

Move = tuple[int, Spot]  # a value, and where it goes
Emit = Callable[[list[Spot], Sequence[str]], None]  # writes what happens to numbers at these places, with operands


def send(writer: Writer, value: int, sink: Sink) -> None:
    """Write a value to where it goes."""
    if not sink.spot.shape:
        text = writer.operand(value, sink.spot.varies)
        if sink.spot.fold:
            writer.fold(sink.spot, [text])
        else:
            writer.store(writer.sum(text, sink.spot) if sink.adds else text, sink.spot)
    elif not sink.adds and _is_zero(writer, value):
        clear(writer, sink.spot)
    else:
        copy(writer, writer.homes[value], sink.spot, adds=sink.adds)


def send_all(writer: Writer, sent: Sequence[tuple[int, Sink]]) -> None:
    """Write values to where they go; numbers that move from and to equal distances as arrays."""
    runs: list[list[tuple[int, Sink]]] = []
    for one in sent:
        last = [*runs[-1][-2:], one] if runs else []
        if last and _as_arrays(writer, last):
            runs[-1].append(one)
        else:
            runs.append([one])
    for run in runs:
        arrays = _as_arrays(writer, run) if len(run) >= _RUN else None
        if arrays is not None:
            copy(writer, *arrays, adds=run[0][1].adds)
            continue
        for value, sink in run:
            send(writer, value, sink)


def _as_arrays(writer: Writer, run: Sequence[tuple[int, Sink]]) -> tuple[Spot, Spot] | None:
    """Return from where and to where numbers are moved as an array, if they stand at equal distances."""
    homes = [spot for value, _ in run if (spot := writer.homes.get(value)) is not None]
    if len(homes) < len(run) or any(
        sink.spot.shape or sink.adds != run[0][1].adds or sink.spot in writer.held for _, sink in run
    ):
        return None
    source, target = together(homes, (len(run),)), together([sink.spot for _, sink in run], (len(run),))
    return None if source is None or target is None else (source, target)


def _is_zero(writer: Writer, value: int) -> bool:
    place = value - len(writer.program.names)
    item = writer.program.constants[place] if 0 <= place < len(writer.program.constants) else None
    return isinstance(item, Numbers) and not any(item.data[:8]) and item.data == item.data[:8] * size_in_numbers(item)


def size_in_numbers(item: Numbers) -> int:
    """Return how many constants there are."""
    return len(item.data) // 8


def copy(writer: Writer, source: Spot, target: Spot, *, adds: bool = False) -> None:
    """Copy an array, or add it to what is there; source and target must be the same or not overlap."""
    if source == target and not adds:
        return
    width, is_same = writer.width(target), source.wide == target.wide
    is_plain = is_same and not (source.lane or target.lane or target.fold) and not (adds and writer.dead)
    axes = merged(target.shape, source.strides, target.strides)
    if is_plain and (not axes or (len(axes) == 1 and axes[0][1:] == (width, width))):
        size = size_in(target) * width
        if size <= writer.size * _LONG:
            _in_pieces(writer, source, target, size, adds)
            return
        if not adds:
            writer.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n")
            pointers = ", ".join([f"ptr {writer.pointer(spot.base, spot.offset)}" for spot in (target, source)])
            writer.lines.append(f"call void @llvm.memcpy.p0.p0.i64({pointers}, i64 {size}, i1 false)")
            return
    own = writer.module.machine.lanes
    is_turned = source.lane > writer.size and target.wide and not (adds or target.fold or writer.lanes % own)
    if is_turned and len(axes) == 1 and axes[0][0] >= own and axes[0][1:] == (writer.size, width):
        _turn(writer, source, target, axes[0][0])
        return
    in_rows = is_plain and not source.wide and axes[-1][1:] == (width, width)
    if in_rows and axes[-1][0] >= own:
        _by_vectors(writer, source, target, axes, adds)
        return
    if is_plain and not source.wide and (pair := _transposed(axes, width, writer.module.machine.lanes)):
        _by_squares(writer, source, target, axes, pair, adds)
        return

    def one(spots: list[Spot], _: Sequence[str]) -> None:
        text = writer.load(spots[0])
        if target.varies and not source.varies:
            text = writer.splat(text)
        if target.fold:
            writer.fold(spots[1], [text])
        else:
            writer.store(writer.sum(text, spots[1]) if adds else text, spots[1])

    walk(writer, ("copy", adds), [source, target], one)


def _turn(writer: Writer, source: Spot, target: Spot, length: int) -> None:
    """Copy rows that the lanes have somewhere each to vectors with a number of each lane, a square at a time."""
    own, width = writer.module.machine.lanes, writer.width(target)
    whole, rest = divmod(length, own)

    def squares(count: int) -> Emit:
        def emit(spots: list[Spot], _: Sequence[str]) -> None:
            row, to = spots
            pointers = [writer.pointer(row.base, row.offset + lane * row.lane) for lane in range(writer.lanes)]
            read_rows(writer, pointers, count, to._replace(shape=(count,), strides=(width,)))

        return emit

    steps = writer.size * own, width * own
    pair = [spot._replace(shape=(whole,), strides=(step,)) for spot, step in zip((source, target), steps, strict=True)]
    walk(writer, ("squares", own), pair, squares(own))
    if rest:
        squares(rest)([spot.further(whole * step) for spot, step in zip((source, target), steps, strict=True)], ())


def _by_vectors(writer: Writer, source: Spot, target: Spot, axes: Sequence[tuple[int, ...]], adds: bool) -> None:
    """Copy or add numbers that stand side by side along the last axis: vectors, then what is left."""
    lanes, size = writer.module.machine.lanes, writer.size
    operations = writer.module.operations(lanes)
    outer, length = axes[:-1], axes[-1][0]

    def spot_of(spot: Spot, which: int, count: int, step: int, start: int) -> Spot:
        shape = (*[axis[0] for axis in outer], count)
        return spot._replace(offset=spot.offset + start, shape=shape, strides=(*[axis[which] for axis in outer], step))

    def vector(spots: list[Spot], _: Sequence[str]) -> None:
        key, (p, q) = writer.temporary(), [writer.pointer(spot.base, spot.offset) for spot in spots]
        text = f"%x{key} = load {operations.type}, ptr {p}, align {size}\n"
        if adds:
            text += f"%t{key} = load {operations.type}, ptr {q}, align {size}\n"
            text += f"%s{key} = fadd {operations.type} %t{key}, %x{key}\n"
        writer.lines.append(f"{text}store {operations.type} %{'s' if adds else 'x'}{key}, ptr {q}, align {size}")

    def one(spots: list[Spot], _: Sequence[str]) -> None:
        text = writer.load(spots[0])
        writer.store(writer.sum(text, spots[1]) if adds else text, spots[1])

    pair = (source, 1), (target, 2)
    whole, rest = length // lanes, length % lanes
    walk(writer, ("vectors", adds), [spot_of(s, k, whole, size * lanes, 0) for s, k in pair], vector)
    if rest:
        walk(writer, ("copy", adds), [spot_of(s, k, rest, size, size * lanes * whole) for s, k in pair], one)


def _transposed(axes: Sequence[tuple[int, ...]], width: int, lanes: int) -> tuple[int, int] | None:
    """Return the axes along which numbers stand side by side in the source, and in the target, if both are long."""
    by_source = [k for k, (length, step, _) in enumerate(axes) if step == width and length >= lanes]
    by_target = [k for k, (length, _, step) in enumerate(axes) if step == width and length >= lanes]
    found = by_source and by_target and by_source[0] != by_target[0]
    return (by_source[0], by_target[0]) if found else None


def _by_squares(
    writer: Writer, source: Spot, target: Spot, axes: Sequence[tuple[int, ...]], pair: tuple[int, int], adds: bool
) -> None:
    """Copy or add a matrix that lies across: squares are turned in registers, what is left goes number by number."""
    lanes, size = writer.module.machine.lanes, writer.size
    operations = writer.module.operations(lanes)
    outer = [axis for k, axis in enumerate(axes) if k not in pair]
    (down, _, far_target), (along, far_source, _) = axes[pair[0]], axes[pair[1]]

    def part(spot: Spot, which: int, starts: tuple[int, int], counts: tuple[int, int], steps: int) -> Spot:
        strides = (size, far_target)[which - 1], (far_source, size)[which - 1]
        offset = spot.offset + sum([start * stride for start, stride in zip(starts, strides, strict=True)])
        shape = (*[axis[0] for axis in outer], *counts)
        own = (*[axis[which] for axis in outer], *[stride * steps for stride in strides])
        return spot._replace(offset=offset, shape=shape, strides=own)

    def square(spots: list[Spot], _: Sequence[str]) -> None:
        rows = []
        for k in range(lanes):
            pointer, key = writer.pointer(spots[0].base, spots[0].offset + k * far_source), writer.temporary()
            writer.lines.append(f"%x{key} = load {operations.type}, ptr {pointer}, align {size}")
            rows.append(f"%x{key}")
        for k, text in enumerate(turned(writer, rows)):
            pointer, key = writer.pointer(spots[1].base, spots[1].offset + k * far_target), writer.temporary()
            if adds:
                writer.lines.append(
                    f"%t{key} = load {operations.type}, ptr {pointer}, align {size}\n"
                    f"%s{key} = fadd {operations.type} %t{key}, {text}"
                )
                text = f"%s{key}"
            writer.lines.append(f"store {operations.type} {text}, ptr {pointer}, align {size}")

    def one(spots: list[Spot], _: Sequence[str]) -> None:
        text = writer.load(spots[0])
        writer.store(writer.sum(text, spots[1]) if adds else text, spots[1])

    def send(starts: tuple[int, int], counts: tuple[int, int], squares: bool) -> None:
        if 0 in counts:
            return
        step, emit = (lanes, square) if squares else (1, one)
        key = ("squares", adds, far_source, far_target) if squares else ("copy", adds)
        walk(writer, key, [part(s, k, starts, counts, step) for s, k in ((source, 1), (target, 2))], emit)

    rest = down % lanes, along % lanes
    whole = down - rest[0], along - rest[1]
    send((0, 0), (down // lanes, along // lanes), squares=True)
    send((whole[0], 0), (rest[0], along), squares=False)
    send((0, whole[1]), (whole[0], rest[1]), squares=False)


def clear(writer: Writer, spot: Spot) -> None:
    """Set a number or an array to 0."""
    if not spot.shape:
        writer.store((writer.wide if spot.varies else writer.plain).zero, spot)
        return
    axes, width = in_order_of_memory(spot.shape, spot.strides), writer.width(spot)
    if not spot.lane and (not axes or (len(axes) == 1 and axes[0][1] == width)):
        pointer = writer.pointer(spot.base, spot.offset)
        size = width * size_in(spot)
        writer.lines.append(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {size}, i1 false)")
        return
    type_ = writer.module.machine.type(spot.fold)

    def one(spots: list[Spot], _: Sequence[str]) -> None:
        if spot.fold:
            pointer = writer.pointer(spots[0].base, spots[0].offset)
            writer.lines.append(f"store {type_} zeroinitializer, ptr {pointer}, align {writer.size}")
        else:
            writer.store((writer.wide if spot.varies else writer.plain).zero, spots[0])

    shape, strides = zip(*axes, strict=True) if axes else ((), ())
    walk(writer, ("clear",), [spot._replace(shape=shape, strides=strides)], one)


def exchange(writer: Writer, moves: Sequence[Move]) -> None:
    """Copy values whose sources and targets may overlap: all are read first."""
    numbers, arrays = [], []
    bases = {spot.base for _, spot in moves}
    for value, spot in moves:
        if not spot.shape:
            numbers.append((writer.operand(value, spot.varies), spot))
            continue
        source = writer.homes[value]
        if source == spot:
            continue
        if source.base in bases:
            # Where carried arrays stand another one may be written before this is read.
            aside = writer.block(spot.shape, writer.differs[value])
            copy(writer, source, aside)
            source = aside
        arrays.append((source, spot))
    for text, spot in numbers:
        writer.store(text, spot)
    for source, spot in arrays:
        copy(writer, source, spot)


def walk(writer: Writer, key: tuple[object, ...], spots: Sequence[Spot], emit: Emit, more: Sequence[str] = ()) -> None:
    """Call a function that runs through arrays of one shape, number by number, and does to each what `emit` writes.

    `key` tells what that is; `more` are operands that it takes besides, with their types.
    """
    axes = merged(spots[0].shape, *[spot.strides for spot in spots])
    size = size_in(spots[0])
    if size <= _FEW:
        names = [operand.rsplit(" ", 1)[1] for operand in more]
        for places in zip(*[_each(spot) for spot in spots], strict=True):
            emit(list(places), names)
        return
    kinds = [spot._replace(base="", offset=0, shape=(), strides=()) for spot in spots]
    types = [operand.rsplit(" ", 1)[0] for operand in more]
    dead = writer.dead if any(spot.varies for spot in spots) else 0

    def write(name: str) -> str:
        lines, writer.lines = writer.lines, []
        own = [spot._replace(base=f"%w{k}_{len(axes)}") for k, spot in enumerate(kinds)]
        emit(own, [f"%a{k}" for k in range(len(more))])
        text, writer.lines = "\n".join(writer.lines) + "\n", lines
        for depth in range(len(axes) - 1, -1, -1):
            length, *steps = axes[depth]
            moved = "".join(
                f"%d{k}_{depth} = mul i64 %k{depth}, {step}\n"
                f"%w{k}_{depth + 1} = getelementptr i8, ptr %w{k}_{depth}, i64 %d{k}_{depth}\n"
                for k, step in enumerate(steps)
            )
            text = loop(f"k{depth}", "0", f"{length}", 1, moved + text)
        parameters = [f"ptr %w{k}_0" for k in range(len(spots))] + [f"{t} %a{k}" for k, t in enumerate(types)]
        return f"define internal void @{name}({', '.join(parameters)}) #2 {{\nbegin:\n{text}ret void\n}}\n"

    name = writer.module.walk((key, writer.lanes, dead, tuple(kinds), tuple(axes)), write)
    operands = [*[f"ptr {writer.pointer(spot.base, spot.offset)}" for spot in spots], *more]
    writer.lines.append(f"call void @{name}({', '.join(operands)})")


def _each(spot: Spot) -> list[Spot]:
    found = [spot._replace(shape=(), strides=())]
    for length, step in zip(spot.shape, spot.strides, strict=True):
        found = [one.further(k * step) for one in found for k in range(length)]
    return found


def _in_pieces(writer: Writer, source: Spot, target: Spot, size: int, adds: bool) -> None:
    """Copy or add a few bytes that stand side by side as vectors, all read before any is written."""
    machine, width = writer.module.machine, writer.size
    pieces, place, lanes = [], 0, machine.lanes
    while place < size:
        while place + width * lanes > size:
            lanes //= 2
        type_, key = machine.type(lanes), writer.temporary()
        pointer = writer.pointer(source.base, source.offset + place)
        writer.lines.append(f"%x{key} = load {type_}, ptr {pointer}, align {width}")
        pieces.append((type_, place, f"%x{key}"))
        place += width * lanes
    for type_, place, text in pieces:
        pointer = writer.pointer(target.base, target.offset + place)
        if adds:
            key = writer.temporary()
            writer.lines.append(
                f"%t{key} = load {type_}, ptr {pointer}, align {width}\n%s{key} = fadd {type_} %t{key}, {text}"
            )
            text = f"%s{key}"
        writer.lines.append(f"store {type_} {text}, ptr {pointer}, align {width}")
