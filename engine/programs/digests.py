"""Identify programs by what they do, in any process, with a digest."""

from __future__ import annotations

import importlib
import struct
from array import array
from typing import Any

from ..operations import Primitive
from .loop import Loop
from .program import Program
from .tables import Numbers
from .views import Structural

_Known = dict[int, bytes]  # of programs by their ids


def digest_of(program: Program, named: bool = False) -> bytes:
    """Return a digest of what a program does; where it is `named`, the names in it and in its loops count, too.

    >>> from chainrule import trace
    >>> digest_of(trace(lambda x: x * x, 1.0)) == digest_of(trace(lambda y: y * y, 2.0))
    True
    """
    return _digest(program, named, {})


def _digest(program: Program, named: bool, known: _Known) -> bytes:
    if id(program) in known:
        return known[id(program)]
    digest = importlib.import_module("hashlib").sha256()  # which takes long to load
    rows: dict[Primitive, int] = {}
    flat = array("q")
    for op, args in program.steps:
        flat.append(rows.setdefault(op, len(rows)))
        flat.append(len(args))
        flat.extend(args)
    names = [(row.name, row.custom, row.arity, *_content_of_structural(row, named, known)) for row in rows]
    shapes = program.shapes, [item.shape if isinstance(item, Numbers) else () for item in program.constants]
    digest.update(repr((names, shapes, program.outputs, len(flat))).encode())
    if named:
        digest.update(repr((program.name, program.names)).encode())
    for item in program.constants:
        digest.update(item.data if isinstance(item, Numbers) else struct.pack("<d", item))
    digest.update(flat.tobytes())
    found: bytes = digest.digest()
    known[id(program)] = found
    return found


def _content_of_structural(row: Primitive, named: bool, known: _Known) -> tuple[Any, ...]:
    if not isinstance(row, Structural):
        return ()
    if not isinstance(row, Loop):
        fields = ("of", "part", "parts", "index", "stops")
        return (row.shapes, *[getattr(row, name) for name in fields if hasattr(row, name)])
    inner = [_digest(program, named, known) for program in row.programs()]
    structures = [(program.arguments, program.result) for program in row.programs()] if named else []
    return row.length, row.carry, row.rows, row.sums, row.backwards, *inner, *structures
