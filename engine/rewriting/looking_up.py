"""Look numbers of a table up by index inside the map that reads them, so that they are not stored first.

What a gather of short rows reads, and maps take column by column, would be written and read once more. Inside the map
it stays in registers, and threads that share the map share the reading. Rows that a map takes as a whole stay as they
are: it may multiply a matrix of them. This is for machine code: NumPy reads all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..programs import MAP, Builder, Gather, Loop, Program, Shape, Step, View, drop, number_at, size_of
from .inlining import body_of, inlined

_LONGEST = 16  # numbers of a row, of which a map takes half at least


class _Rows(NamedTuple):
    """What a gather reads: rows of this shape from the value that is its table, by another one that says which."""

    of: Shape
    table: int
    rows: int

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return size_of(self.of[1:])


class _Column(NamedTuple):
    """Describe an array as one number of each row that a gather reads, whose value has this number."""

    gather: int
    place: int


def look_up(program: Program) -> Program:
    """Return the program with maps that read short rows by index where they take their numbers.

    >>> import numpy as np
    >>> from chainrule import trace
    >>> def f(table):
    ...     x, y = table[np.arange(300) % 150].T
    ...     return np.sum(x * y)
    >>> from chainrule.rewriting import prepared
    >>> program = prepared(trace(f, np.ones((150, 2))), [False])
    >>> [op.name for op, _ in program.steps], [op.name for op, _ in look_up(program).steps]
    (['gather', 'view', 'view', 'map'], ['map'])
    """
    if not program.has_loops:
        return program
    gathers, columns = _found(program)
    steps = []
    for op, args in program.steps:
        if isinstance(op, Loop):
            op = op.map_programs(look_up)
            if op.kind == MAP and not columns.keys().isdisjoint(args[: op.rows]):
                op, args = _looking_up(op, args, gathers, columns)
        steps.append(Step(op, args))
    same = all(new.op is old.op for new, old in zip(steps, program.steps, strict=True))
    return program if same else drop(replace(program, steps=tuple(steps)))


def _found(program: Program) -> tuple[dict[int, _Rows], dict[int, _Column]]:
    """Return the gathers of which only columns are taken, and by maps only, and these columns, by their values."""
    gathers: dict[int, _Rows] = {}
    columns: dict[int, _Column] = {}
    stored = set(program.outputs)  # what is taken otherwise
    for (op, args), first in zip(program.steps, program.firsts, strict=True):
        if type(op) is Gather and len(op.index) == 1 and len(op.of) <= 2 and size_of(op.of[1:]) <= _LONGEST:
            gathers[first] = _Rows(op.of, *args)
            if len(op.of) == 1:
                columns[first] = _Column(first, 0)
        if type(op) is View and args[0] in gathers and _is_column(op):
            columns[first] = _Column(args[0], op.part.start)
        elif isinstance(op, Loop) and op.kind == MAP:
            stored.update([k for k in args[: op.rows] if k not in columns], args[op.rows :])
        else:
            stored.update(args)
    stored.update([own.gather for value, own in columns.items() if value in stored])
    taken = {value: {own.place for own in columns.values() if own.gather == value} for value in gathers}
    gathers = {k: rows for k, rows in gathers.items() if k not in stored and 2 * len(taken[k]) >= rows.width}
    return gathers, {value: own for value, own in columns.items() if own.gather in gathers}


def _is_column(op: View) -> bool:
    return not op.stops and (op.part.shape, op.part.strides) == (op.of[:1], op.of[1:])


def _looking_up(op: Loop, args: Sequence[int], gathers: dict[int, _Rows], columns: dict[int, _Column]) -> Step:
    """Return a map that looks these columns up, in the place of one that takes them as rows."""
    body, old = op.body, dict(zip(args, zip(op.body.names, op.body.shapes, strict=True), strict=True))
    wanted = dict.fromkeys(columns[k].gather for k in args[: op.rows] if k in columns)
    rows = [*dict.fromkeys([k for k in args[: op.rows] if k not in columns] + [gathers[k].rows for k in wanted])]
    shared = [*dict.fromkeys([*args[op.rows :], *[gathers[k].table for k in wanted]])]
    row_of, shared_of = {k: place for place, k in enumerate(rows)}, {k: len(rows) + j for j, k in enumerate(shared)}
    builder = Builder(len(rows) + len(shared))
    read: dict[int, int] = {}
    for k in wanted:
        of, table, index = gathers[k]
        read[k] = builder.write(Gather(of, ()), (shared_of[table], row_of[index]))

    def taken(k: int) -> int:
        column = columns[k]
        of = gathers[column.gather].of[1:]
        return builder.write(View(of, number_at(column.place)), (read[column.gather],)) if of else read[column.gather]

    given = [taken(k) if k in columns else row_of[k] for k in args[: op.rows]]
    outputs = inlined(builder, body, [*given, *[shared_of[k] for k in args[op.rows :]]])
    tables = {gathers[k].table: ("table", gathers[k].of) for k in wanted}
    known = {gathers[k].rows: ("index", ()) for k in wanted} | tables | old
    inputs = [known[k] for k in (*rows, *shared)]
    names, shapes = [name for name, _ in inputs], [shape for _, shape in inputs]
    whole = body_of(builder, body.name, names, shapes, body.output_shapes, outputs)
    return Step(op.change(body=whole, rows=len(rows)), (*rows, *shared))
