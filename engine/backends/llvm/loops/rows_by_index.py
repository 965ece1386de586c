"""Read and add to rows of arrays by whole numbers: rows that are not there are nan, or are lost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import moves
from .memory import Spot
from .writer import Writer


def gather(writer: Writer, array: Spot, index: Spot, target: Spot) -> None:
    """Write the rows of an array that an index asks for."""
    count, (row, step) = array.shape[0], array.row()
    depth = len(index.shape)
    first = target._replace(shape=index.shape, strides=target.strides[:depth])
    own = target._replace(shape=target.shape[depth:], strides=target.strides[depth:])
    nan = (writer.wide if target.varies else writer.plain).literal(math.nan)

    def fill(spots: list[Spot], _: Sequence[str]) -> None:
        writer.store(nan, spots[0])

    def look_up(spots: list[Spot], more: Sequence[str]) -> None:
        wanted = _row(writer, writer.load(spots[0]), index.varies, count, step)
        to = own.moved(spots[1].base, spots[1].offset)
        if index.varies:
            _gather_lanes(writer, row.moved(more[0], 0), to, *wanted)
            return
        key = _begin_choice(writer, more[0], *wanted)
        moves.copy(writer, row.moved(f"%row{key}", 0), to)
        writer.lines.append(f"br label %done{key}\nlost{key}:")
        moves.walk(writer, ("nan",), [to], fill)
        writer.lines.append(f"br label %done{key}\ndone{key}:")

    key = ("gather", row.moved("", 0), step, count, own.moved("", 0))
    moves.walk(writer, key, [index, first], look_up, [f"ptr {writer.pointer(array.base, array.offset)}"])


def scatter(writer: Writer, index: Spot, rows: Spot, target: Spot) -> None:
    """Add rows to those rows of an array that an index says."""
    count, (row, step) = target.shape[0], target.row()
    depth = len(index.shape)
    first = rows._replace(shape=index.shape, strides=rows.strides[:depth])
    own = rows._replace(shape=rows.shape[depth:], strides=rows.strides[depth:])

    def add(spots: list[Spot], more: Sequence[str]) -> None:
        wanted = _row(writer, writer.load(spots[0]), index.varies, count, step)
        given = own.moved(spots[1].base, spots[1].offset)
        if index.varies:
            _scatter_lanes(writer, given, row.moved(more[0], 0), *wanted)
            return
        key = _begin_choice(writer, more[0], *wanted)
        moves.copy(writer, given, row.moved(f"%row{key}", 0), adds=True)
        writer.lines.append(f"br label %done{key}\nlost{key}:\nbr label %done{key}\ndone{key}:")

    key = ("scatter", row.moved("", 0), step, count, own.moved("", 0))
    moves.walk(writer, key, [index, first], add, [f"ptr {writer.pointer(target.base, target.offset)}"])


def _row(writer: Writer, text: str, varies: bool, count: int, step: int) -> tuple[str, str]:
    """Write which row a number asks for, in bytes, and whether there is one."""
    key, operations = writer.temporary(), writer.wide if varies else writer.plain
    type_, limit = operations.type, operations.literal(float(count))
    whole = f"<{writer.lanes} x i64>" if varies else "i64"

    def integer(number: int) -> str:
        return f"splat (i64 {number})" if varies else f"{number}"

    size, cut = [f"llvm.{name}.{operations.suffix}" for name in ("fabs", "trunc")]
    for symbol in (size, cut):
        operations.declarations[symbol] = f"declare {type_} @{symbol}({type_})\n"
    writer.lines.append(
        f"%m{key} = call {type_} @{size}({type_} {text})\n%small{key} = fcmp ole {type_} %m{key}, {limit}\n"
        f"%t{key} = call {type_} @{cut}({type_} {text})\n%whole{key} = fcmp oeq {type_} %t{key}, {text}\n"
        f"%in{key} = and {operations.mask} %small{key}, %whole{key}\n"
        f"%n{key} = select {operations.mask} %in{key}, {type_} {text}, {type_} {limit}\n"
        f"%j{key} = fptosi {type_} %n{key} to {whole}\n%neg{key} = icmp slt {whole} %j{key}, {integer(0)}\n"
        f"%end{key} = add {whole} %j{key}, {integer(count)}\n"
        f"%at{key} = select {operations.mask} %neg{key}, {whole} %end{key}, {whole} %j{key}\n"
        f"%is{key} = icmp slt {whole} %at{key}, {integer(count)}\n%by{key} = mul {whole} %at{key}, {integer(step)}"
    )
    return f"%by{key}", f"%is{key}"


def _begin_choice(writer: Writer, base: str, offset: str, known: str) -> int:
    """Begin the code for a row that is there, %row and the number returned."""
    key = writer.temporary()
    writer.lines.append(
        f"br i1 {known}, label %found{key}, label %lost{key}\nfound{key}:\n"
        f"%row{key} = getelementptr i8, ptr {base}, i64 {offset}"
    )
    return key


def _pointers(writer: Writer, spot: Spot, offsets: str) -> str:
    """Write a vector of pointers: that of a number in the row of each lane."""
    key, each = writer.temporary(), writer.size if spot.wide else spot.lane
    between = ", ".join(f"i64 {each * lane}" for lane in range(writer.lanes))
    type_ = f"<{writer.lanes} x i64>"
    writer.lines.append(
        f"%off{key} = add {type_} {offsets}, <{between}>\n"
        f"%ptr{key} = getelementptr i8, ptr {writer.pointer(spot.base, spot.offset)}, {type_} %off{key}"
    )
    return f"%ptr{key}"


def _read(writer: Writer, pointers: str, known: str, otherwise: str) -> str:
    lanes, type_, key = writer.lanes, writer.wide.type, writer.temporary()
    symbol, vector, mask = f"llvm.masked.gather.{writer.wide.suffix}.v{lanes}p0", f"<{lanes} x ptr>", writer.wide.mask
    writer.module.declare(f"declare {type_} @{symbol}({vector}, i32, {mask}, {type_})\n")
    operands = f"{vector} {pointers}, i32 {writer.size}, {mask} {known}, {type_} {otherwise}"
    writer.lines.append(f"%got{key} = call {type_} @{symbol}({operands})")
    return f"%got{key}"


def _gather_lanes(writer: Writer, row: Spot, target: Spot, offsets: str, known: str) -> None:
    def one(spots: list[Spot], more: Sequence[str]) -> None:
        pointers = _pointers(writer, spots[0], more[0])
        writer.store(_read(writer, pointers, more[1], writer.wide.literal(math.nan)), spots[1])

    moves.walk(writer, ("gather lanes",), [row, target], one, _of_lanes(writer, offsets, known))


def _scatter_lanes(writer: Writer, given: Spot, row: Spot, offsets: str, known: str) -> None:
    lanes, type_ = writer.lanes, writer.wide.type
    symbol, vector, mask = f"llvm.masked.scatter.{writer.wide.suffix}.v{lanes}p0", f"<{lanes} x ptr>", writer.wide.mask
    writer.module.declare(f"declare void @{symbol}({type_}, {vector}, i32, {mask})\n")

    def one(spots: list[Spot], more: Sequence[str]) -> None:
        text = writer.load(spots[0])
        text = text if given.varies else writer.splat(text)
        pointers, key = _pointers(writer, spots[1], more[0]), writer.temporary()
        before = _read(writer, pointers, more[1], writer.wide.zero)
        writer.lines.append(
            f"%sum{key} = fadd {type_} {before}, {text}\n"
            f"call void @{symbol}({type_} %sum{key}, {vector} {pointers}, i32 {writer.size}, {mask} {more[1]})"
        )

    moves.walk(writer, ("scatter lanes",), [given, row], one, _of_lanes(writer, offsets, known))


def _of_lanes(writer: Writer, offsets: str, known: str) -> list[str]:
    return [f"<{writer.lanes} x i64> {offsets}", f"{writer.wide.mask} {known}"]
