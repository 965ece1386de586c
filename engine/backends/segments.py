"""Write the steps of a program as LLVM IR: straight-line functions of some hundred steps each.

One large function would take time quadratic in its length to compile. Values that one segment hands to another
stand in slots of memory, used again as soon as nobody reads them any more.
"""

from __future__ import annotations

import heapq
import math
import struct
from collections.abc import Iterator

from ..primitive import Primitive
from . import fusion
from .layout import Layout
from .machine import Machine

SEGMENT = 500  # steps in a function
COMPARISONS = {"less": "olt", "less_equal": "ole", "equal": "oeq", "not_equal": "une"}
_OPERATIONS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INTRINSICS = {
    "abs": "fabs",
    "round": "roundeven",
    **{name: name for name in ("sqrt", "floor", "ceil", "trunc", "copysign", "fma", "maximum", "minimum")},
}
_MATH_H = """
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf erfc exp exp2 expm1 fmod hypot lgamma log log10 log1p log2
    pow sin sinh tan tanh
"""
_LIBM = {
    "gamma": "tgamma",
    **{name: name for name in _MATH_H.split()},
}
NATIVE = {"neg", "where", "strong_mul", "square", *COMPARISONS, *_OPERATIONS, *_INTRINSICS, *_LIBM}


def supported(row: Primitive) -> bool:
    """Tell whether a row needs no definition here."""
    return row.name in NATIVE and not row.custom


def number(x: float) -> str:
    """Write a double as LLVM does: its 64 bits in hexadecimal."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', math.nan if x != x else x))[0]:016X}"


class Section:
    """Write either the shared steps, on single doubles, or those of every sample, on vectors.

    `declarations` collects what the functions written so far call; `callbacks` the rows that only Python can evaluate.
    """

    def __init__(self, layout: Layout, machine: Machine, callbacks: list[Primitive], *, sample: bool) -> None:
        self.layout, self.sample, self.callbacks = layout, sample, callbacks
        self.lanes = machine.lanes if sample else 1
        self.prefix = "sample" if sample else "shared"
        self.memory = "%scratch" if sample else "%shared"
        self.width = 8 * self.lanes
        self.type = f"<{self.lanes} x double>" if sample else "double"
        self.mask = f"<{self.lanes} x i1>" if sample else "i1"
        self.zero, self.one = self.literal(0.0), self.literal(1.0)
        self.slots: dict[int, int] = {}
        self.slot_count = 0
        self.declarations: dict[str, str] = {}
        self.vector_functions = dict(machine.vector_functions) if sample else {}
        self.places = layout.sample_steps if sample else layout.shared_steps
        self.names: list[str] = []
        self._summed = fusion.summed(layout) if sample and layout.reduce else set()
        self._fused = fusion.fused(layout, self.places, SEGMENT)
        self._absorbed = {product for product, _ in self._fused.values()}
        self._templates: dict[Primitive, str] = {}
        self._free: list[int] = []

    def literal(self, x: float) -> str:
        return f"splat (double {number(x)})" if self.sample else number(x)

    # ---- one function after another ----

    def write(self, shared_slots: dict[int, int]) -> Iterator[tuple[str, int]]:
        """Yield each function's text and how many steps it has; `shared_slots` are those of the shared section."""
        layout, places = self.layout, self.places
        chunks = [places[k : k + SEGMENT] for k in range(0, len(places), SEGMENT)] or [[]]
        self._shared_slots = shared_slots
        self._last: dict[int, int] = {}
        steps = layout.program.steps
        for k, chunk in enumerate(chunks):
            for place in chunk:
                for arg in steps[place].args:
                    self._last[arg] = k
        own = {layout.base + place for place in places}
        # What is written out but not computed here waits for the last function.
        if self.sample:
            late = [v for v in layout.positions if v not in own and (not layout.reduce or layout.varying[v])]
        elif layout.has_batch:
            exported = layout.exported()
            for value in exported:
                self._last[value] = len(chunks)
            late = [v for v in layout.positions if v not in own and v in exported] if layout.reduce else []
        else:
            late = [v for v in layout.positions if v not in own]
        if self.sample:
            for value in late:
                self._last[value] = len(chunks) - 1
        for k, chunk in enumerate(chunks):
            self.names.append(f"{self.prefix}_{k}")
            yield self._function(k, chunk, late if k == len(chunks) - 1 else []), len(chunk)

    def _function(self, k: int, chunk: list[int], late: list[int]) -> str:
        base, steps, last = self.layout.base, self.layout.program.steps, self._last
        self._known: dict[int, str] = {}
        self._conditions: dict[int, str] = {}
        self._pointers: set[int] = set()
        self._lines: list[str] = []
        self._segment = k
        lines, known, conditions = self._lines, self._known, self._conditions
        templates = self._templates
        positions = self.layout.positions
        written = self.sample or not self.layout.has_batch
        for place in chunk:
            op, args = steps[place]
            value = base + place
            if value in self._absorbed:
                continue
            template, name = templates.get(op) or self._template(op), op.name
            if value in self._fused:
                product, other = self._fused[value]
                args = (*steps[product - base].args, other)
                template = self._fused_template()
            operands = [known.get(arg) or self._load(arg) for arg in args]
            if value in self._summed:
                # The product is rounded once, together with the sum over the batch that takes it.
                self._add_product(value, operands)
                continue
            if name == "where":
                template = self._condition(args[0], operands[0]) + template
                lines.append(template.format(*operands, v=value, c=conditions[args[0]]))
            elif name in ("maximum", "minimum") and args[0] in conditions and args[1] in conditions:
                gate = "or" if name == "maximum" else "and"
                lines.append(f"%c{value} = {gate} {self.mask} {conditions[args[0]]}, {conditions[args[1]]}")
                lines.append(self._flag(value))
            else:
                lines.append(template.format(*operands, v=value))
            if name in COMPARISONS:
                conditions[value] = f"%c{value}"
            known[value] = f"%v{value}"
            if last.get(value, -1) > k:
                self._save(value)
            if written and value in positions:
                self._output(value)
        for value in late:
            if value not in known:
                self._load(value)
            if written:
                self._output(value)
            else:
                self._save(value)
        for value in [value for value in self.slots if last[value] == k]:
            heapq.heappush(self._free, self.slots.pop(value))
        parameters = "ptr %cursors, ptr noalias %shared, ptr noalias %scratch, ptr noalias %sink"
        head = f"define void @{self.prefix}_{k}({parameters})"
        return f"{head} #0 {{\n" + "\n".join(lines) + "\nret void\n}\n"

    # ---- values ----

    def _load(self, value: int) -> str:
        """Bring a value that is not computed in this function into reach."""
        layout, lines = self.layout, self._lines
        text = f"%v{value}"
        if value < layout.inputs:
            argument = layout.argument_of[value]
            if self.sample and layout.batched[argument]:
                if value in self.slots:
                    self._load_slot(value)
                else:
                    self._gather(value, argument)
                    self._known[value] = text
                    if self._last[value] > self._segment:
                        self._save(value)
            else:
                offset = 8 * (value - layout.starts[argument])
                lines.append(f"%p{value} = getelementptr i8, ptr {self._pointer(argument)}, i64 {offset}")
                self._load_scalar(value)
        elif value < layout.base:
            text = self.literal(layout.program.constants[value - layout.inputs])
        elif self.sample and not layout.varying[value]:
            lines.append(f"%p{value} = getelementptr i8, ptr %shared, i64 {8 * self._shared_slots[value]}")
            self._load_scalar(value)
        else:
            self._load_slot(value)
        self._known[value] = text
        return text

    def _load_scalar(self, value: int) -> None:
        if not self.sample:
            self._lines.append(f"%v{value} = load double, ptr %p{value}, align 8")
            return
        self._lines.append(
            f"%s{value} = load double, ptr %p{value}, align 8\n"
            f"%i{value} = insertelement {self.type} poison, double %s{value}, i64 0\n"
            f"%v{value} = shufflevector {self.type} %i{value}, {self.type} poison, <{self.lanes} x i32> zeroinitializer"
        )

    def _load_slot(self, value: int) -> None:
        self._lines.append(
            f"%p{value} = getelementptr i8, ptr {self.memory}, i64 {self.width * self.slots[value]}\n"
            f"%v{value} = load {self.type}, ptr %p{value}, align {self.width}"
        )

    def _gather(self, value: int, argument: int) -> None:
        """Read one number of each sample; the samples' rows stand one behind the other."""
        size, offset = self.layout.sizes[argument], value - self.layout.starts[argument]
        pointer = self._pointer(argument)
        if size == 1:
            self._lines.append(f"%v{value} = load {self.type}, ptr {pointer}, align 8")
            return
        before = "poison"
        for lane in range(self.lanes):
            after = f"%v{value}" if lane == self.lanes - 1 else f"%l{value}_{lane}"
            self._lines.append(
                f"%g{value}_{lane} = getelementptr i8, ptr {pointer}, i64 {8 * (lane * size + offset)}\n"
                f"%h{value}_{lane} = load double, ptr %g{value}_{lane}, align 8\n"
                f"{after} = insertelement {self.type} {before}, double %h{value}_{lane}, i64 {lane}"
            )
            before = after

    def _pointer(self, cursor: int) -> str:
        if cursor not in self._pointers:
            self._pointers.add(cursor)
            self._lines.append(
                f"%k{cursor} = getelementptr i8, ptr %cursors, i64 {8 * cursor}\n"
                f"%b{cursor} = load ptr, ptr %k{cursor}, align 8"
            )
        return f"%b{cursor}"

    def _save(self, value: int) -> None:
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot = self.slot_count
            self.slot_count += 1
        self.slots[value] = slot
        self._lines.append(
            f"%z{value} = getelementptr i8, ptr {self.memory}, i64 {self.width * slot}\n"
            f"store {self.type} {self._known[value]}, ptr %z{value}, align {self.width}"
        )

    def _output(self, value: int) -> None:
        layout, type_ = self.layout, self.type
        text = self._known[value]
        for place in layout.positions[value]:
            if not layout.has_batch:
                self._lines.append(
                    f"%o{place} = getelementptr i8, ptr %sink, i64 {8 * place}\n"
                    f"store double {text}, ptr %o{place}, align 8"
                )
            elif layout.reduce:
                self._lines.append(
                    f"%o{place} = getelementptr i8, ptr %sink, i64 {self.width * place}\n"
                    f"%a{place} = load {type_}, ptr %o{place}, align {self.width}\n"
                    f"%n{place} = fadd {type_} %a{place}, {text}\n"
                    f"store {type_} %n{place}, ptr %o{place}, align {self.width}"
                )
            else:
                self._scatter(place, text)

    def _fused_template(self) -> str:
        type_ = self.type
        symbol = f"llvm.fmuladd.v{self.lanes}f64" if self.sample else "llvm.fmuladd.f64"
        self.declarations[symbol] = f"declare {type_} @{symbol}({type_}, {type_}, {type_})\n"
        return self._invoke(symbol, 3)

    def _add_product(self, value: int, operands: list[str]) -> None:
        """Add a product to the sums over the batch, rounded once."""
        type_, template = self.type, self._fused_template()
        for place in self.layout.positions[value]:
            self._lines.append(
                f"%o{place} = getelementptr i8, ptr %sink, i64 {self.width * place}\n"
                f"%a{place} = load {type_}, ptr %o{place}, align {self.width}\n"
                + template.format(*operands, f"%a{place}", v=f"n{place}")
                + f"\nstore {type_} %vn{place}, ptr %o{place}, align {self.width}"
            )

    def _scatter(self, place: int, text: str) -> None:
        layout = self.layout
        unit = layout.unit_of[place]
        start, size = layout.units[unit]
        pointer = self._pointer(len(layout.sizes) + unit)
        if size == 1:
            self._lines.append(f"store {self.type} {text}, ptr {pointer}, align 8")
            return
        for lane in range(self.lanes):
            self._lines.append(
                f"%e{place}_{lane} = extractelement {self.type} {text}, i64 {lane}\n"
                f"%o{place}_{lane} = getelementptr i8, ptr {pointer}, i64 {8 * (lane * size + place - start)}\n"
                f"store double %e{place}_{lane}, ptr %o{place}_{lane}, align 8"
            )

    # ---- operations ----

    def _flag(self, value: int | str) -> str:
        return f"%v{value} = select {self.mask} %c{value}, {self.type} {self.one}, {self.type} {self.zero}"

    def _condition(self, value: int, text: str) -> str:
        """Make the truth of a value known; nan counts as true, as in Python."""
        if value in self._conditions:
            return ""
        self._conditions[value] = f"%d{value}"
        return f"%d{value} = fcmp une {self.type} {text}, {self.zero}\n"

    def _template(self, op: Primitive) -> str:
        """Return the text for one operation: {0} {1} {2} stand for the operands, {v} for the value's number."""
        type_, mask, zero, name = self.type, self.mask, self.zero, op.name
        if not supported(op):
            text = self._call(op)
        elif name in _OPERATIONS:
            text = f"%v{{v}} = {_OPERATIONS[name]} {type_} {{0}}, {{1}}"
        elif name in COMPARISONS:
            text = f"%c{{v}} = fcmp {COMPARISONS[name]} {type_} {{0}}, {{1}}\n" + self._flag("{v}")
        elif name == "neg":
            text = f"%v{{v}} = fneg {type_} {{0}}"
        elif name == "square":
            text = f"%v{{v}} = fmul {type_} {{0}}, {{0}}"
        elif name == "where":
            text = f"%v{{v}} = select {mask} {{c}}, {type_} {{1}}, {type_} {{2}}"
        elif name == "strong_mul":
            text = (
                f"%w{{v}} = fmul {type_} {{0}}, {{1}}\n%c{{v}} = fcmp uno {type_} %w{{v}}, {zero}\n"
                f"%d{{v}}x = fcmp oeq {type_} {{0}}, {zero}\n%d{{v}}y = fcmp oeq {type_} {{1}}, {zero}\n"
                f"%d{{v}}z = or {mask} %d{{v}}x, %d{{v}}y\n%d{{v}}s = and {mask} %c{{v}}, %d{{v}}z\n"
                f"%v{{v}} = select {mask} %d{{v}}s, {type_} {zero}, {type_} %w{{v}}"
            )
        elif name in _INTRINSICS:
            suffix = f"v{self.lanes}f64" if self.sample else "f64"
            symbol = f"llvm.{_INTRINSICS[name]}.{suffix}"
            text = self._invoke(symbol, op.arity)
            self.declarations[symbol] = f"declare {type_} @{symbol}({', '.join([type_] * op.arity)})\n"
        else:
            text = self._call(op)
        self._templates[op] = text
        return text

    def _invoke(self, symbol: str, arity: int) -> str:
        operands = ", ".join(f"{self.type} {{{place}}}" for place in range(arity))
        return f"%v{{v}} = call {self.type} @{symbol}({operands})"

    def _call(self, op: Primitive) -> str:
        """Call a vector function where there is one, else the scalar one on lane after lane."""
        arity = op.arity
        known = supported(op)
        vector = self.vector_functions.get(op.name) if known else None
        if vector:
            self.declarations[vector] = f"declare {self.type} @{vector}({', '.join([self.type] * arity)}) #1\n"
            return self._invoke(vector, arity)
        if known:
            symbol, attribute = _LIBM[op.name], " #1"
        else:
            if op not in self.callbacks:
                self.callbacks.append(op)
            symbol, attribute = f"chainrule_callback_{self.callbacks.index(op)}", ""
        self.declarations[symbol] = f"declare double @{symbol}({', '.join(['double'] * arity)}){attribute}\n"
        if not self.sample:
            return self._invoke(symbol, arity)
        helper = f"lanes_{symbol}"
        self.declarations[helper] = self._lane_by_lane(helper, symbol, arity)
        return self._invoke(helper, arity)

    def _lane_by_lane(self, helper: str, symbol: str, arity: int) -> str:
        parameters = ", ".join(f"{self.type} %x{place}" for place in range(arity))
        lines = [f"define internal {self.type} @{helper}({parameters}) #2 {{"]
        before = "poison"
        for lane in range(self.lanes):
            for place in range(arity):
                lines.append(f"%e{lane}_{place} = extractelement {self.type} %x{place}, i64 {lane}")
            operands = ", ".join(f"double %e{lane}_{place}" for place in range(arity))
            lines.append(f"%r{lane} = call double @{symbol}({operands})")
            lines.append(f"%s{lane} = insertelement {self.type} {before}, double %r{lane}, i64 {lane}")
            before = f"%s{lane}"
        return "\n".join([*lines, f"ret {self.type} {before}", "}", ""])
