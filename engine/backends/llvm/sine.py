"""Write the LLVM function that computes sine and cosine of a vector together.

The argument is reduced by multiples of pi/2, held in three doubles and subtracted by fused multiply-adds, so that no
digit is lost next to a zero; polynomials do the rest. Beyond `LIMIT` (and for nan) each lane asks libm.
The results are within 1e-15 of the true ones; sines of signed zeros keep their sign.
"""

from __future__ import annotations

import math
import struct

from ..layout import Layout

NAME = "chainrule_sincos"
LIMIT = 2.0**25  # of the multiples, which have to be exact
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
_ROUND = 1.5 * 2.0**52  # added to a number, it leaves the nearest integer in the lowest bits
# Coefficients of the interpolation in Chebyshev points on [0, (pi/4)^2], by mpmath's chebyfit: of (sin(r)/r - 1)/r^2
# and (cos(r) - 1 + r^2/2)/r^4 by powers of r^2. Greatest errors 2e-17 and 1e-18.
_SINE = (
    -0.16666666666666666,
    0.008333333333330946,
    -0.0001984126983675497,
    2.755731610068303e-06,
    -2.5051131455427946e-08,
    1.591810123027412e-10,
)
_COSINE = (
    0.041666666666666664,
    -0.0013888888888887395,
    2.4801587298763433e-05,
    -2.7557317270560326e-07,
    2.0876146024689747e-09,
    -1.1382614868556325e-11,
)


def beside(layout: Layout) -> list[int]:
    """Return the steps in an order in which sine and cosine of the same value are neighbours."""
    steps = layout.program.steps
    partners: dict[tuple[str, int], int] = {}
    for place in layout.sample_steps:
        op, args = steps[place]
        if op.name in ("sin", "cos"):
            partners[op.name, args[0]] = place
    order, done = [], set()
    for place in layout.sample_steps:
        if place in done:
            continue
        order.append(place)
        op, args = steps[place]
        if op.name in ("sin", "cos"):
            partner = partners.get(("cos" if op.name == "sin" else "sin", args[0]))
            if partner is not None:
                order.append(partner)
                done.add(partner)
    return order


def sine_and_cosine(lanes: int) -> str:
    """Return the function from a vector to the pair of its sines and cosines."""
    return _Text(lanes).function()


class _Text:
    """Collect the lines of the function."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.type, self.bits = f"<{lanes} x double>", f"<{lanes} x i64>"
        self.mask = f"<{lanes} x i1>"
        self.lines: list[str] = []

    def add(self, name: str, text: str) -> str:
        self.lines.append(f"%{name} = {text}")
        return f"%{name}"

    def real(self, x: float) -> str:
        return f"splat (double 0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X})"

    def whole(self, n: int) -> str:
        return f"splat (i64 {n})"

    def fma(self, name: str, a: str, b: str, c: str) -> str:
        type_ = self.type
        return self.add(name, f"call {type_} @llvm.fma.v{self.lanes}f64({type_} {a}, {type_} {b}, {type_} {c})")

    def polynomial(self, name: str, coefficients: tuple[float, ...], x: str) -> str:
        """Evaluate by Horner's rule; the vectors of a group keep the processor busy meanwhile."""
        value = self.real(coefficients[-1])
        for k in range(len(coefficients) - 2, -1, -1):
            value = self.fma(f"{name}{k}", value, x, self.real(coefficients[k]))
        return value

    def reduce(self) -> tuple[str, str]:
        """Return the remainder of |x| from the nearest multiple of pi/2, and the number of that multiple."""
        type_ = self.type
        shifted = self.fma("shifted", "%size", self.real(2.0 / math.pi), self.real(_ROUND))
        multiple = self.add("multiple", f"fsub {type_} {shifted}, {self.real(_ROUND)}")
        minus = self.add("minus", f"fneg {type_} {multiple}")
        rest = "%size"
        for k, part in enumerate(_HALF_PI):
            rest = self.fma(f"rest{k}", minus, self.real(part), rest)
        return rest, self.add("quadrant", f"bitcast {type_} {shifted} to {self.bits}")

    def quick(self) -> tuple[str, str]:
        """Return sine and cosine, fast, if no lane is too large."""
        type_, bits = self.type, self.bits
        rest, quadrant = self.reduce()
        square = self.add("square", f"fmul {type_} {rest}, {rest}")
        cube = self.add("cube", f"fmul {type_} {rest}, {square}")
        sine = self.fma("sine", cube, self.polynomial("s", _SINE, square), rest)
        inner = self.fma("inner", square, self.polynomial("c", _COSINE, square), self.real(-0.5))
        cosine = self.fma("cosine", square, inner, self.real(1.0))
        turned = self.add("turned", f"shl {bits} {quadrant}, {self.whole(63)}")
        odd = self.add("odd", f"icmp slt {bits} {turned}, zeroinitializer")
        following = self.add("following", f"add {bits} {quadrant}, {self.whole(1)}")
        sign = self.add("sign", f"and {bits} %pattern, {self.whole(-(2**63))}")
        found = []
        for name, first, second, half in (("sin", cosine, sine, quadrant), ("cos", sine, cosine, following)):
            chosen = self.add(f"{name}.c", f"select {self.mask} {odd}, {type_} {first}, {type_} {second}")
            high = self.add(f"{name}.h", f"shl {bits} {half}, {self.whole(62)}")
            flip = self.add(f"{name}.f", f"and {bits} {high}, {self.whole(-(2**63))}")
            if name == "sin":
                flip = self.add(f"{name}.g", f"xor {bits} {flip}, {sign}")
            raw = self.add(f"{name}.r", f"bitcast {type_} {chosen} to {bits}")
            raw = self.add(f"{name}.x", f"xor {bits} {raw}, {flip}")
            found.append(self.add(f"{name}.v", f"bitcast {bits} {raw} to {type_}"))
        return found[0], found[1]

    def careful(self) -> tuple[str, str]:
        """Return sine and cosine of any numbers, by libm."""
        found = []
        for name in ("sin", "cos"):
            before = "poison"
            for lane in range(self.lanes):
                if name == "sin":
                    self.add(f"x{lane}", f"extractelement {self.type} %x, i64 {lane}")
                self.add(f"{name}{lane}", f"call double @{name}(double %x{lane})")
                before = self.add(
                    f"{name}.s{lane}", f"insertelement {self.type} {before}, double %{name}{lane}, i64 {lane}"
                )
            found.append(before)
        return found[0], found[1]

    def pair(self, name: str, values: tuple[str, str]) -> None:
        both = f"{{{self.type}, {self.type}}}"
        self.add(f"{name}0", f"insertvalue {both} poison, {self.type} {values[0]}, 0")
        self.add(f"{name}1", f"insertvalue {both} %{name}0, {self.type} {values[1]}, 1")
        self.lines.append(f"ret {both} %{name}1")

    def function(self) -> str:
        type_, bits, lanes = self.type, self.bits, self.lanes
        self.add("pattern", f"bitcast {type_} %x to {bits}")
        self.add("size", f"call {type_} @llvm.fabs.v{lanes}f64({type_} %x)")
        self.add("far", f"fcmp uge {type_} %size, {self.real(LIMIT)}")
        self.add("lanes", f"bitcast {self.mask} %far to i{lanes}")
        self.add("any", f"icmp ne i{lanes} %lanes, 0")
        self.lines.append("br i1 %any, label %careful, label %quick\nquick:")
        self.pair("q", self.quick())
        self.lines.append("careful:")
        self.pair("w", self.careful())
        body = "\n".join(self.lines)
        return f"define internal {{{type_}, {type_}}} @{NAME}({type_} %x) #2 {{\n{body}\n}}\n"
