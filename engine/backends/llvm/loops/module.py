"""Collect the functions and constants of a module that runs loops, and write its text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ....operations import Primitive
from ..instructions import Operations, number
from ..machine import Machine
from . import moves


class Module:
    """Collect the functions of a module; equal loops are written once."""

    def __init__(self, machine: Machine, callbacks: list[Primitive]) -> None:
        self.machine, self.callbacks = machine, callbacks
        self.texts: list[str] = []
        self.constants: dict[tuple[str, ...], str] = {}
        self.functions: dict[object, tuple[str, int]] = {}  # of loops: name and size of the frame
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
            self.texts.append(moves.mover(self._movers[key], *key))
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
