"""Turn squares of numbers: rows that lanes have somewhere each to vectors with a number of each lane, and back.

A row is read or written as a vector; eight of them take 24 exchanges, where 64 numbers would be moved one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import squares
from .memory import Spot
from .writer import Writer

MOST = 64  # numbers of a row


def row_length(writer: Writer, row: Spot) -> int:
    """Return how many numbers a row has, if they stand side by side and are worth turning; else 0."""
    own = writer.module.machine.lanes
    if len(row.shape) != 1 or row.strides != (writer.size,) or row.wide or writer.lanes % own:
        return 0
    return row.shape[0] if 1 < row.shape[0] <= MOST else 0


def read_rows(writer: Writer, pointers: Sequence[str], length: int, target: Spot) -> None:
    """Read a row at each lane's pointer into vectors, one for each number of a row."""
    own, size = writer.module.machine.lanes, writer.size
    for first in range(0, writer.lanes, own):
        for start in range(0, length, own):
            count = min(own, length - start)
            rows = [_row(writer, writer.pointer(p, size * start), count) for p in pointers[first : first + own]]
            for k, text in enumerate(turned(writer, rows)[:count]):
                _store(writer, text, _of_group(writer, target, start + k, first), own)


def write_rows(writer: Writer, source: Spot, pointers: Sequence[str], length: int) -> None:
    """Write vectors, one for each number of a row, as a row at each lane's pointer."""
    machine, size = writer.module.machine, writer.size
    own = machine.lanes
    for first in range(0, writer.lanes, own):
        for start in range(0, length, own):
            count, vectors = min(own, length - start), []
            for k in range(count):
                vectors.append(f"%x{writer.temporary()}")
                pointer = _of_group(writer, source, start + k, first)
                writer.lines.append(f"{vectors[-1]} = load {machine.type(own)}, ptr {pointer}, align {size}")
            rows = turned(writer, [*vectors, *["poison"] * (own - count)])
            for text, pointer in zip(rows, pointers[first : first + own], strict=True):
                _store(writer, text, writer.pointer(pointer, size * start), count)


def _of_group(writer: Writer, spot: Spot, place: int, first: int) -> str:
    """Return the pointer to the lanes of a group in the vector of one number of an array."""
    return writer.pointer(spot.base, spot.offset + place * spot.strides[0] + writer.size * first)


def turned(writer: Writer, rows: Sequence[str]) -> list[str]:
    """Return the columns of a square of numbers, given its rows."""
    text, found = squares.turned(f"x{writer.temporary()}", rows, writer.module.machine.type(len(rows)))
    writer.lines.append(text.rstrip())
    return found


def _row(writer: Writer, pointer: str, count: int) -> str:
    """Read the first numbers of a row."""
    machine, key = writer.module.machine, writer.temporary()
    type_, mask = machine.type(machine.lanes), _mask(machine.lanes, count)
    if count == machine.lanes:
        writer.lines.append(f"%x{key} = load {type_}, ptr {pointer}, align {writer.size}")
        return f"%x{key}"
    symbol = f"llvm.masked.load.{machine.suffix(machine.lanes)}.p0"
    writer.module.declare(f"declare {type_} @{symbol}(ptr, i32, <{machine.lanes} x i1>, {type_})\n")
    writer.lines.append(f"%x{key} = call {type_} @{symbol}(ptr {pointer}, i32 {writer.size}, {mask}, {type_} poison)")
    return f"%x{key}"


def _store(writer: Writer, text: str, pointer: str, count: int) -> None:
    """Write the first numbers of a vector."""
    machine = writer.module.machine
    type_ = machine.type(machine.lanes)
    if count == machine.lanes:
        writer.lines.append(f"store {type_} {text}, ptr {pointer}, align {writer.size}")
        return
    symbol = f"llvm.masked.store.{machine.suffix(machine.lanes)}.p0"
    writer.module.declare(f"declare void @{symbol}({type_}, ptr, i32, <{machine.lanes} x i1>)\n")
    mask = _mask(machine.lanes, count)
    writer.lines.append(f"call void @{symbol}({type_} {text}, ptr {pointer}, i32 {writer.size}, {mask})")


def _mask(lanes: int, count: int) -> str:
    return f"<{lanes} x i1> <{', '.join(f'i1 {int(lane < count)}' for lane in range(lanes))}>"
