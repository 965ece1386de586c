"""Write the exponential of a vector inline: calls of libmvec take three times as long, and all registers.

The argument is reduced by multiples of log 2, held in two numbers; a polynomial does the rest. Results are within one
unit in the last place, also those that are subnormal; infinities, zeros and nan come without a choice between ways.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...floats import DOUBLE, SINGLE, Format
from .machine import Machine


class _Constants(NamedTuple):
    """What the exponential in a format takes.

    Attributes:
        integer: added to a number, it leaves the nearest integer in the lowest bits.
        log_2: in two parts; multiples of the first are exact.
        most: a number whose exponential is infinite, and that of its negative 0.
        polynomial: coefficients of (exp(r) - 1 - r)/r^2 by powers of r, by mpmath's chebyfit on [-log(2)/2, log(2)/2].
        bits: of a number before its exponent, and of the exponent of 1.
        scale: the function that multiplies by powers of 2, of as many numbers at once as AVX-512's vectors have.
    """

    integer: float
    log_2: tuple[float, float]
    most: float
    polynomial: tuple[float, ...]
    bits: tuple[int, int]
    scale: str


_CONSTANTS: dict[Format, _Constants] = {
    # The greatest error of the polynomials makes 2e-17 and 3e-10 of the exponential.
    DOUBLE: _Constants(
        1.5 * 2.0**52,
        (0.6931471805598903, 5.497923018708371e-14),
        1000.0,
        (
            0.5000000000000001,
            0.16666666666666669,
            0.04166666666662399,
            0.008333333333330051,
            0.0013888888917281794,
            0.00019841269863105968,
            2.480152119021773e-05,
            2.7557268378684192e-06,
            2.7620138719733994e-07,
            2.5100424157005067e-08,
        ),
        (52, 1023),
        "llvm.x86.avx512.mask.scalef.pd.512",
    ),
    SINGLE: _Constants(
        1.5 * 2.0**23,
        (0.693145751953125, 1.428606765330187e-06),
        110.0,
        (
            0.5,
            0.1666666716337204,
            0.041666463017463684,
            0.00833331048488617,
            0.0013933685841038823,
            0.00019891030387952924,
        ),
        (23, 127),
        "llvm.x86.avx512.mask.scalef.ps.512",
    ),
}


def exponential(machine: Machine, lanes: int, scales: bool) -> str:
    """Return the template of the exponential of a vector {0}, as {v}; tell whether the machine `scales` by itself."""
    return _Text(machine, lanes).template(scales)


def scaling(machine: Machine) -> tuple[str, str]:
    """Return the name of what multiplies by powers of 2, and its declaration."""
    symbol, wide = _CONSTANTS[machine.format].scale, 64 // machine.size
    type_ = machine.type(wide)
    return symbol, f"declare {type_} @{symbol}({type_}, {type_}, {type_}, i{wide}, i32)\n"


class _Text:
    """Collect the lines of the template."""

    def __init__(self, machine: Machine, lanes: int) -> None:
        self.machine, self.lanes, self.own = machine, lanes, _CONSTANTS[machine.format]
        self.type, self.bits = machine.type(lanes), f"<{lanes} x i{8 * machine.size}>"
        self.lines: list[str] = []

    def add(self, name: str, text: str) -> str:
        self.lines.append(f"%exp{{v}}.{name} = {text}")
        return f"%exp{{v}}.{name}"

    def shuffle(self, name: str, first: str, second: str, chosen: str, count: int) -> str:
        return self.add(name, f"shufflevector {first}, {second}, <{count} x i32> <{chosen}>")

    def real(self, x: float) -> str:
        return f"splat ({self.machine.scalar} {self.machine.literal(x)})"

    def fma(self, name: str, a: str, b: str, c: str) -> str:
        type_, suffix = self.type, self.machine.suffix(self.lanes)
        return self.add(name, f"call {type_} @llvm.fma.{suffix}({type_} {a}, {type_} {b}, {type_} {c})")

    def bounded(self, name: str, relation: str, bound: float, x: str) -> str:
        """Keep a number on one side of a bound; nan stays."""
        own = self.real(bound)
        beyond = self.add(f"{name}.c", f"fcmp {relation} {self.type} {own}, {x}")
        return self.add(name, f"select <{self.lanes} x i1> {beyond}, {self.type} {own}, {self.type} {x}")

    def polynomial(self, name: str, coefficients: tuple[float, ...], x: str) -> str:
        value = self.real(coefficients[-1])
        for k in range(len(coefficients) - 2, -1, -1):
            value = self.fma(f"{name}{k}", value, x, self.real(coefficients[k]))
        return value

    def power(self, name: str, shifted: str) -> str:
        """Return 2 to the power of the integer in the lowest bits of a number."""
        kind, (before, one) = f"i{8 * self.machine.size}", self.own.bits
        raw = self.add(f"{name}.r", f"bitcast {self.type} {shifted} to {self.bits}")
        high = self.add(f"{name}.h", f"shl {self.bits} {raw}, splat ({kind} {before})")
        whole = self.add(f"{name}.w", f"add {self.bits} {high}, splat ({kind} {one << before})")
        return self.add(name, f"bitcast {self.bits} {whole} to {self.type}")

    def scaled(self, near: str, count: str) -> None:
        """Multiply by a power of 2, part by part, in one instruction each."""
        wide = 64 // self.machine.size
        part, before = self.machine.type(wide), "poison"
        for first in range(0, self.lanes, wide):
            own = ", ".join(f"i32 {k}" for k in range(first, first + wide))
            taken = [
                self.shuffle(f"{name}{first}", f"{self.type} {x}", f"{self.type} poison", own, wide)
                for name, x in (("n", near), ("c", count))
            ]
            factors = ", ".join(f"{part} {x}" for x in (*taken, "zeroinitializer"))
            found = self.add(f"s{first}", f"call {part} @{self.own.scale}({factors}, i{wide} -1, i32 4)")
            spread = ", ".join(f"i32 {k if k < wide else 'poison'}" for k in range(self.lanes))
            spread_out = self.shuffle(f"w{first}", f"{part} {found}", f"{part} poison", spread, self.lanes)
            chosen = ", ".join(
                f"i32 {self.lanes + k - first if first <= k < first + wide else k}" for k in range(self.lanes)
            )
            before = self.shuffle(f"m{first}", f"{self.type} {before}", f"{self.type} {spread_out}", chosen, self.lanes)
        self.lines[-1] = self.lines[-1].replace(before, "%v{v}", 1)

    def multiplied(self, near: str, count: str) -> None:
        """Multiply by two powers of 2, each of which is a normal number: only the last product rounds."""
        half = self.fma("half", count, self.real(0.5), self.real(self.own.integer))
        first = self.add("k1", f"fsub {self.type} {half}, {self.real(self.own.integer)}")
        second = self.add("k2", f"fsub {self.type} {count}, {first}")
        second = self.add("t2", f"fadd {self.type} {second}, {self.real(self.own.integer)}")
        part = self.add("part", f"fmul {self.type} {near}, {self.power('p1', half)}")
        self.lines.append(f"%v{{v}} = fmul {self.type} {part}, {self.power('p2', second)}")

    def template(self, scales: bool) -> str:
        type_ = self.type
        x = self.bounded("high", "olt", self.own.most, "{0}")
        x = self.bounded("x", "ogt", -self.own.most, x)
        shifted = self.fma("t", x, self.real(1.0 / math.log(2.0)), self.real(self.own.integer))
        count = self.add("k", f"fsub {type_} {shifted}, {self.real(self.own.integer)}")
        rest = x
        for k, part in enumerate(self.own.log_2):
            rest = self.fma(f"rest{k}", count, self.real(-part), rest)
        square = self.add("square", f"fmul {type_} {rest}, {rest}")
        # Even and odd powers apart: half as many steps that wait for each other.
        even = self.polynomial("even", self.own.polynomial[::2], square)
        odd = self.polynomial("odd", self.own.polynomial[1::2], square)
        inner = self.fma("inner", odd, rest, even)
        above = self.fma("above", inner, square, rest)
        near = self.add("near", f"fadd {type_} {above}, {self.real(1.0)}")
        if scales:
            self.scaled(near, count)
        else:
            self.multiplied(near, count)
        return "\n".join(self.lines)
