"""Collect the functions and constants of a module that runs loops, and write its text."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Hashable
from typing import NamedTuple

from ....operations import Primitive
from ....programs import Loop, Numbers, Program, size_of
from ..instructions import Operations
from ..machine import Machine
from .memory import Spot, in_order

LARGE = 1024  # constants: so many stand in no code
TABLE = "@table_"  # begins the names of pointers to these


class Written(NamedTuple):
    """The names of written functions, to be called one after another, and the size of their frame in bytes."""

    names: list[str]
    size: int


class Module:
    """Collect the functions of a module; equal loops are written once."""

    def __init__(self, machine: Machine, callbacks: list[Primitive]) -> None:
        self.machine, self.callbacks = machine, callbacks
        self.scalar, self.size = machine.scalar, machine.size
        self.texts: list[str] = []
        self.constants: dict[bytes, str] = {}
        self.functions: dict[object, Written] = {}  # of loops
        self.shares = True  # whether threads may share loops: none inside one that they share
        self._operations: dict[int, Operations] = {}
        self._declared: dict[str, None] = {}
        self._walks: dict[Hashable, str] = {}
        self._names = itertools.count()

    def operations(self, lanes: int) -> Operations:
        """Return the writer of operations on so many lanes."""
        if lanes not in self._operations:
            self._operations[lanes] = Operations(self.machine, lanes, self.callbacks, loops=True)
        return self._operations[lanes]

    def name(self, kind: str) -> str:
        """Return a new name for a function."""
        return f"{kind}_{next(self._names)}"

    def array(self, numbers: Numbers) -> Spot:
        """Return where an array of constants stands; a large one is handed over by the kernel (see `large_tables`)."""
        data, shape = numbers.data, numbers.shape
        size = size_of(shape)
        if size > 1 and data == data[:8] * size:
            one = self.array(Numbers(data[:8], (1,)))
            return one._replace(shape=shape, strides=(0,) * len(shape))
        if data not in self.constants:
            is_large = size >= LARGE
            self.constants[data] = table_name(data) if is_large else f"@numbers_{len(self.constants)}"
        return in_order(self.constants[data], 0, shape, self.size)

    def declare(self, text: str) -> None:
        """Add a declaration that the text needs."""
        self._declared[text] = None

    def walk(self, key: Hashable, write: Callable[[str], str]) -> str:
        """Return the name of a function that runs through arrays; `write` gets its name and returns its text."""
        if key not in self._walks:
            name = self.name("walk")
            self._walks[key] = name
            self.texts.append(write(name))
        return self._walks[key]

    def _constant(self, name: str, doubles: bytes) -> str:
        data = self.machine.format.packed(doubles)
        text = "".join([f"\\{byte:02X}" for byte in data])
        return f'{name} = internal constant [{len(data)} x i8] c"{text}", align 64\n'

    def text(self) -> str:
        """Return the module's text."""
        declared = {k: v for operations in self._operations.values() for k, v in operations.declarations.items()}
        arrays = [
            f"{name} = global ptr null\n" if name.startswith(TABLE) else self._constant(name, data)
            for data, name in self.constants.items()
        ]
        own = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
        return "".join([own, *self._declared, *declared.values(), *arrays, *self.texts])


def table_name(data: bytes) -> str:
    """Return the name of the pointer to a large array of constants."""
    return f"{TABLE}{hashlib.sha256(data).hexdigest()[:32]}"


def large_tables(program: Program, machine: Machine) -> dict[str, bytes]:
    """Return the large arrays of constants of a program and its inner ones, by the names of the pointers to them."""
    inner = [body for op in program.rows_and_loops() if isinstance(op, Loop) for body in op.programs()]
    found: dict[str, bytes] = {}
    for own in {id(body): body for body in [program, *inner]}.values():
        for item in own.constants:
            if isinstance(item, Numbers) and size_of(item.shape) >= LARGE:
                found[table_name(item.data)[1:]] = machine.format.packed(item.data)
    return found
