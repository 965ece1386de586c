"""Find out what this machine offers: vector width, CPU features, and glibc's vector functions."""

from __future__ import annotations

import math
import struct
import sys
import threading
from dataclasses import dataclass, replace
from functools import cache

import llvmlite
import llvmlite.binding as llvm

from ...floats import DOUBLE, Format
from ...forking import at_fork

lock = threading.RLock()  # for several steps with LLVM that belong together

# How libmvec names a function: _ZGV, the instruction set's letter, N, lanes, a v for each argument.
_LETTERS = {("x86", 64): "e", ("x86", 32): "d", ("x86", 16): "b", ("aarch64", 16): "n"}  # by the bytes of a vector
# Each was compared with libm over the whole range: within 1e-15, the same nan, infinities and zeros; in single
# precision at every 101st number: within 4 units in the last place, but erf (4.00), which is left to doubles
# (glibc 2.36, AVX-512 and AVX2).
_VECTOR_FUNCTIONS = {
    1: "acos acosh asin asinh atan atanh cbrt cos cosh erf erfc exp exp2 expm1 log log10 log1p log2 sin sinh tan tanh",
    2: "atan2 hypot pow",
}


@dataclass(frozen=True)
class Machine:
    """The target: everything that object code depends on besides the program."""

    triple: str
    cpu: str
    features: str
    lanes: int  # numbers in a vector
    registers: int  # for vectors
    fused: bool  # whether a multiply-add that rounds once is one instruction
    scales: bool  # whether a product of all lanes with powers of 2 is
    vector_functions: tuple[tuple[str, str], ...]  # name and symbol
    format: Format = DOUBLE  # of the numbers
    double: Machine | None = None  # the same with doubles, for what fewer digits would spoil

    @property
    def size(self) -> int:
        """How many bytes a number takes."""
        return self.format.size

    @property
    def scalar(self) -> str:
        """The type of one number in LLVM IR."""
        return self.type(1)

    def type(self, lanes: int) -> str:
        """Return the type of so many numbers: a vector, or one number."""
        scalar = "double" if self.format is DOUBLE else "float"
        return f"<{lanes} x {scalar}>" if lanes > 1 else scalar

    def suffix(self, lanes: int) -> str:
        """Return how the name of an intrinsic function ends that takes so many numbers."""
        return f"v{lanes}f{8 * self.size}" if lanes > 1 else f"f{8 * self.size}"

    def literal(self, x: float) -> str:
        """Write one number, rounded to the format: the 64 bits of its double in hexadecimal."""
        return f"0x{struct.unpack('<Q', struct.pack('<d', math.nan if x != x else self.format.rounded(x)))[0]:016X}"

    @property
    def identity(self) -> str:
        """A text of everything that object code for this machine depends on."""
        versions = f"llvmlite {llvmlite.__version__} llvm {llvm.llvm_version_info}"
        return repr(
            (
                self.triple,
                self.cpu,
                self.features,
                self.lanes,
                self.registers,
                self.fused,
                self.scales,
                self.vector_functions,
                self.format,
                self.double and self.double.identity,
                versions,
            )
        )


@cache
def host(own: Format = DOUBLE) -> Machine:
    """Describe this machine with numbers of a format, and make LLVM ready for it."""
    if own is not DOUBLE:
        double = host()
        lanes = double.lanes * DOUBLE.size // own.size
        functions = tuple([item for item in _vector_functions(double.triple, lanes, own) if item[0] != "erf"])
        return replace(double, lanes=lanes, vector_functions=functions, format=own, double=double)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_default_triple()
    features = llvm.get_host_cpu_features()
    family = _family(triple)
    if family == "x86":
        lanes = 8 if features.get("avx512f") and features.get("avx512dq") else 4 if features.get("avx2") else 2
    else:
        lanes = 2  # NEON; elsewhere LLVM splits the pair
    functions = _vector_functions(triple, lanes, DOUBLE)
    registers = 32 if lanes == 8 or family == "aarch64" else 16
    fused = family == "aarch64" or bool(features.get("fma"))
    scales = family == "x86" and lanes == 8
    return Machine(triple, llvm.get_host_cpu_name(), features.flatten(), lanes, registers, fused, scales, functions)


def _family(triple: str) -> str:
    return "x86" if triple.startswith(("x86_64", "i686", "amd64")) else triple.split("-")[0]


def _vector_functions(triple: str, lanes: int, own: Format) -> tuple[tuple[str, str], ...]:
    letter = _LETTERS.get((_family(triple), lanes * own.size))
    if letter is None or sys.platform != "linux":
        return ()
    try:
        llvm.load_library_permanently("libmvec.so.1")
    except RuntimeError:
        return ()
    names = [
        (name, f"_ZGV{letter}N{lanes}{'v' * count}_{name}{'' if own is DOUBLE else 'f'}")
        for count, listed in _VECTOR_FUNCTIONS.items()
        for name in listed.split()
    ]
    return tuple((name, symbol) for name, symbol in names if llvm.address_of_symbol(symbol))


def target(level: int) -> llvm.TargetMachine:
    """Return a code generator for this machine, at a level from 0 to 3; each engine takes ownership of one."""
    machine = host()
    return llvm.Target.from_triple(machine.triple).create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=level, jit=True, codemodel="jitdefault"
    )


def _hold() -> None:
    lock.acquire()
    llvm.ffi.lib._lock.__enter__()


def _let_go() -> None:
    llvm.ffi.lib._lock.__exit__()
    lock.release()


# LLVM has state, and locks, of its own that a fork may not catch halfway: it waits until no thread is inside.
at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
