"""Collect the functions and constants of a module that runs loops, and write its text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from ....operations import Primitive
from ..instructions import Operations, number
from ..machine import Machine


class Written(NamedTuple):
    """Name functions that were written, to be called one after another, and tell how many bytes their frame takes."""

    names: list[str]
    size: int


class Module:
    """Collect the functions of a module; equal loops are written once."""

    def __init__(self, machine: Machine, callbacks: list[Primitive]) -> None:
        self.machine, self.callbacks = machine, callbacks
        self.texts: list[str] = []
        self.constants: dict[tuple[str, ...], str] = {}
        self.functions: dict[object, Written] = {}  # of loops
        self._operations: dict[int, Operations] = {}
        self._declared: dict[str, None] = {}
        self._movers: dict[tuple[str, bool, int], str] = {}
        self._names = itertools.count()

    def operations(self, lanes: int) -> Operations:
        """Return what writes operations on so many lanes."""
        if lanes not in self._operations:
            self._operations[lanes] = Operations(self.machine, lanes, self.callbacks)
        return self._operations[lanes]

    def name(self, kind: str) -> str:
        """Return a new name for a function."""
        return f"{kind}_{next(self._names)}"

    def array(self, numbers: Sequence[float]) -> str:
        """Return the name of a constant array."""
        key = tuple(map(number, numbers))
        if key not in self.constants:
            self.constants[key] = f"@numbers_{len(self.constants)}"
        return self.constants[key]

    def declare(self, text: str) -> None:
        """Note a declaration that the text needs."""
        self._declared[text] = None

    def mover(self, type_: str, adds: bool, lane: int) -> str:
        """Return the name of the function that copies numbers of a type at any distances, or adds them."""
        key = (type_, adds, lane)
        if key not in self._movers:
            self._movers[key] = self.name("add" if adds else "copy")
            self.texts.append(_mover(self._movers[key], *key))
        return self._movers[key]

    def text(self) -> str:
        """Return all that was written."""
        declared = {k: v for operations in self._operations.values() for k, v in operations.declarations.items()}
        arrays = [
            f"{name} = internal constant [{len(key)} x double] [{', '.join(f'double {x}' for x in key)}]\n"
            for key, name in self.constants.items()
        ]
        own = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
        return "".join([own, *self._declared, *declared.values(), *arrays, *self.texts])


def _mover(name: str, type_: str, adds: bool, lane: int) -> str:
    """Write the function that copies or adds numbers of a type: from, to, the distances in bytes, and how many.

    With `lane` those of a vector are gathered, so many bytes apart.
    """
    load = _gathered(type_, lane) if lane else f"%x = load {type_}, ptr %p, align 8\n"
    add = f"%t = load {type_}, ptr %q, align 8\n%s = fadd {type_} %t, %x\n" if adds else ""
    return (
        f"define internal void @{name}(ptr %from, ptr %to, i64 %a, i64 %b, i64 %n) #2 {{\nenter:\nbr label %head\n"
        "head:\n%p = phi ptr [ %from, %enter ], [ %p1, %head ]\n%q = phi ptr [ %to, %enter ], [ %q1, %head ]\n"
        f"%k = phi i64 [ 0, %enter ], [ %k1, %head ]\n{load}{add}"
        f"store {type_} %{'s' if adds else 'x'}, ptr %q, align 8\n%p1 = getelementptr i8, ptr %p, i64 %a\n"
        "%q1 = getelementptr i8, ptr %q, i64 %b\n%k1 = add i64 %k, 1\n%more = icmp slt i64 %k1, %n\n"
        "br i1 %more, label %head, label %done\ndone:\nret void\n}\n"
    )


def _gathered(type_: str, lane: int) -> str:
    text, before, lanes = "", "poison", int(type_[1:].split(" ")[0])
    for k in range(lanes):
        after = "%x" if k == lanes - 1 else f"%g{k}"
        text += f"%l{k} = getelementptr i8, ptr %p, i64 {k * lane}\n%h{k} = load double, ptr %l{k}, align 8\n"
        text += f"{after} = insertelement {type_} {before}, double %h{k}, i64 {k}\n"
        before = after
    return text
