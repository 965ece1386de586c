"""Read and add to rows of arrays by whole numbers: rows that are not there are nan, and so is their derivative."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import moves
from .memory import Spot
from .transposing import MOST, read_rows, row_length
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
    """Add rows to those rows of an array that an index says; a row for none that is not 0 makes it nan."""
    count, (row, step) = target.shape[0], target.row()
    depth = len(index.shape)
    first = rows._replace(shape=index.shape, strides=rows.strides[:depth])
    own = rows._replace(shape=rows.shape[depth:], strides=rows.strides[depth:])
    flag = writer.block((), target.varies)

    def add(spots: list[Spot], more: Sequence[str]) -> None:
        wanted = _row(writer, writer.load(spots[0]), index.varies, count, step)
        given = own.moved(spots[1].base, spots[1].offset)
        whole, marked = target.moved(more[0], 0), flag.moved(more[1], 0)
        if index.varies:
            _scatter_lanes(writer, given, row.moved(more[0], 0), *wanted)
            lost, some = writer.temporary(), writer.temporary()
            writer.lines.append(f"%none{lost} = xor {writer.wide.mask} {wanted[1]}, splat (i1 true)")
            _branch_if_any(writer, f"%none{lost}", True, f"lost{lost}", f"done{some}")
            _lose(writer, given, whole, marked, f"%none{lost}")
            writer.lines.append(f"br label %done{some}\ndone{some}:")
            return
        key = _begin_choice(writer, more[0], *wanted)
        moves.copy(writer, given, row.moved(f"%row{key}", 0), adds=True)
        writer.lines.append(f"br label %done{key}\nlost{key}:")
        _lose(writer, given, whole, marked)
        writer.lines.append(f"br label %done{key}\ndone{key}:")

    key = ("scatter", row.moved("", 0), step, count, own.moved("", 0))
    pointers = [f"ptr {writer.pointer(spot.base, spot.offset)}" for spot in (target, flag)]
    moves.walk(writer, key, [index, first], add, pointers)


def _lose(writer: Writer, given: Spot, target: Spot, flag: Spot, lost: str = "") -> None:
    """Make an array nan, in the lanes that are `lost` where these differ, if a row for no place is not 0."""
    operations = writer.wide if target.varies else writer.plain
    type_, mask = operations.type, operations.mask
    writer.store(operations.literal(-0.0), flag)  # to which anything is added as it is

    def mark(spots: list[Spot], more: Sequence[str]) -> None:
        text, before, key = writer.load(spots[0]), writer.load(spots[1]), writer.temporary()
        text = writer.splat(text) if target.varies and not given.varies else text
        writer.lines.append(f"%is{key} = fcmp une {type_} {text}, {operations.zero}")
        if more:
            writer.lines.append(f"%in{key} = and {mask} %is{key}, {more[0]}")
        chosen = f"%in{key}" if more else f"%is{key}"
        nan = operations.literal(math.nan)
        writer.lines.append(f"%f{key} = select {mask} {chosen}, {type_} {nan}, {type_} {before}")
        writer.store(f"%f{key}", spots[1])

    def spoil(spots: list[Spot], _: Sequence[str]) -> None:
        if target.fold:
            writer.fold(spots[0], [writer.load(spots[1])])
            return
        own, key = [writer.load(spot) for spot in spots], writer.temporary()
        writer.lines.append(f"%f{key} = fadd {type_} {own[0]}, {own[1]}")
        writer.store(f"%f{key}", spots[0])

    def spread(spot: Spot) -> Spot:
        return flag._replace(shape=spot.shape, strides=(0,) * len(spot.shape))

    moves.walk(writer, ("lost", bool(lost)), [given, spread(given)], mark, [f"{mask} {lost}"] if lost else [])
    found, key = writer.load(flag), writer.temporary()
    writer.lines.append(f"%is{key} = fcmp une {type_} {found}, {operations.zero}")
    _branch_if_any(writer, f"%is{key}", target.varies, f"spoil{key}", f"kept{key}")
    moves.walk(writer, ("spoil",), [target, spread(target)], spoil)
    writer.lines.append(f"br label %kept{key}\nkept{key}:")


def _branch_if_any(writer: Writer, condition: str, varies: bool, then: str, otherwise: str) -> None:
    """Begin the code at a label, run if a condition holds in any lane; else that at another one follows."""
    if varies:
        key, symbol, mask = writer.temporary(), f"llvm.vector.reduce.or.v{writer.lanes}i1", writer.wide.mask
        writer.module.declare(f"declare i1 @{symbol}({mask})\n")
        writer.lines.append(f"%any{key} = call i1 @{symbol}({mask} {condition})")
        condition = f"%any{key}"
    # In one piece, since a label may be put between two.
    writer.lines.append(f"br i1 {condition}, label %{then}, label %{otherwise}\n{then}:")


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


def _pointers(writer: Writer, spot: Spot, offsets: str, lanes: int) -> str:
    """Write a vector of pointers: that of a number in the row of each lane."""
    key, each = writer.temporary(), writer.size if spot.wide else spot.lane
    between = ", ".join(f"i64 {each * lane}" for lane in range(lanes))
    type_ = f"<{lanes} x i64>"
    writer.lines.append(
        f"%off{key} = add {type_} {offsets}, <{between}>\n"
        f"%ptr{key} = getelementptr i8, ptr {writer.pointer(spot.base, spot.offset)}, {type_} %off{key}"
    )
    return f"%ptr{key}"


def _read(writer: Writer, pointers: str, known: str, otherwise: str, lanes: int) -> str:
    machine, key = writer.module.machine, writer.temporary()
    type_, vector, mask = machine.type(lanes), f"<{lanes} x ptr>", f"<{lanes} x i1>"
    symbol = f"llvm.masked.gather.{machine.suffix(lanes)}.v{lanes}p0"
    writer.module.declare(f"declare {type_} @{symbol}({vector}, i32, {mask}, {type_})\n")
    operands = f"{vector} {pointers}, i32 {writer.size}, {mask} {known}, {type_} {otherwise}"
    writer.lines.append(f"%got{key} = call {type_} @{symbol}({operands})")
    return f"%got{key}"


def _gather_lanes(writer: Writer, row: Spot, target: Spot, offsets: str, known: str) -> None:
    length, width = row_length(writer, row), writer.size * writer.lanes
    if length and not row.lane and target.wide and target.strides == (width,):
        read_rows(writer, _rows(writer, row, offsets, known), length, target)
        return

    def one(spots: list[Spot], more: Sequence[str]) -> None:
        pointers = _pointers(writer, spots[0], more[0], writer.lanes)
        writer.store(_read(writer, pointers, more[1], writer.wide.literal(math.nan), writer.lanes), spots[1])

    moves.walk(writer, ("gather lanes",), [row, target], one, _of_lanes(writer, offsets, known))


def _rows(writer: Writer, row: Spot, offsets: str, known: str) -> list[str]:
    """Write pointers to the row of each lane; where there is none, to one of nan."""
    lanes, scalar = writer.lanes, writer.scalar
    nans = ", ".join([f"{scalar} {writer.plain.literal(math.nan)}"] * MOST)
    writer.module.declare(f"@nans = internal constant [{MOST} x {scalar}] [{nans}]\n")
    key, type_ = writer.temporary(), f"<{lanes} x ptr>"
    writer.lines.append(
        f"%ptr{key} = getelementptr i8, ptr {writer.pointer(row.base, row.offset)}, <{lanes} x i64> {offsets}\n"
        f"%own{key} = select {writer.wide.mask} {known}, {type_} %ptr{key}, {type_} splat (ptr @nans)"
    )
    found = []
    for lane in range(lanes):
        found.append(f"%row{writer.temporary()}")
        writer.lines.append(f"{found[-1]} = extractelement {type_} %own{key}, i64 {lane}")
    return found


def _scatter_lanes(writer: Writer, given: Spot, row: Spot, offsets: str, known: str) -> None:
    """Add a number of each lane to the row of its own; to sums over a shorter vector part by part."""
    lanes, machine = row.fold or writer.lanes, writer.module.machine
    type_, symbol = machine.type(lanes), f"llvm.masked.scatter.{machine.suffix(lanes)}.v{lanes}p0"
    vector, mask = f"<{lanes} x ptr>", f"<{lanes} x i1>"
    writer.module.declare(f"declare void @{symbol}({type_}, {vector}, i32, {mask})\n")

    def one(spots: list[Spot], more: Sequence[str]) -> None:
        text = writer.load(spots[0])
        text = text if given.varies else writer.splat(text)
        for first in range(0, writer.lanes, lanes):
            places, flags, items = [
                _part(writer, kind, own, first, lanes)
                for kind, own in (("i64", more[0]), ("i1", more[1]), (writer.scalar, text))
            ]
            pointers, key = _pointers(writer, spots[1], places, lanes), writer.temporary()
            before = _read(writer, pointers, flags, "zeroinitializer", lanes)
            writer.lines.append(
                f"%sum{key} = fadd {type_} {before}, {items}\n"
                f"call void @{symbol}({type_} %sum{key}, {vector} {pointers}, i32 {writer.size}, {mask} {flags})"
            )

    moves.walk(writer, ("scatter lanes",), [given, row], one, _of_lanes(writer, offsets, known))


def _part(writer: Writer, kind: str, text: str, first: int, lanes: int) -> str:
    """Return some lanes of a vector as a shorter one."""
    if lanes == writer.lanes:
        return text
    key, type_ = writer.temporary(), f"<{writer.lanes} x {kind}>"
    chosen = ", ".join(f"i32 {k}" for k in range(first, first + lanes))
    writer.lines.append(f"%part{key} = shufflevector {type_} {text}, {type_} poison, <{lanes} x i32> <{chosen}>")
    return f"%part{key}"


def _of_lanes(writer: Writer, offsets: str, known: str) -> list[str]:
    return [f"<{writer.lanes} x i64> {offsets}", f"{writer.wide.mask} {known}"]
