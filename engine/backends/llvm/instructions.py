"""Write single operations as LLVM IR, on numbers or on vectors of them, and the functions that they call."""

from __future__ import annotations

from collections.abc import Callable

from ...operations import Primitive
from ..lowering import DELICATE, defined
from . import exponential, sine
from .machine import Machine

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
    """Return whether a row needs no definition here."""
    return row.name in NATIVE and not row.custom


def supported_in_loops(row: Primitive) -> bool:
    """Return the same for programs with loops: they are short, so a spelled-out tanh can share an exponential."""
    return row.name != "tanh" and supported(row)


def written(machine: Machine, in_loops: bool) -> Callable[[Primitive], bool]:
    """Return what tells whether a row is written by `Operations`, so that it needs no definition in a program."""
    known = supported_in_loops if in_loops else supported
    if machine.double is None:
        return known
    return lambda row: known(row) or row.name in DELICATE


def weight(row: Primitive) -> int:
    """Estimate how long a step takes, in additions."""
    return 10 if row.name in _LIBM or not supported(row) else 1


class Operations:
    """Write operations on values of one type.

    `declarations` collects what the text written so far calls; `callbacks` the rows that only Python can evaluate.
    A template holds {0} {1} {2} for the operands and {v} for the number of the value. Text that runs many times is
    longer, where it is faster, for `loops`.
    """

    def __init__(
        self,
        machine: Machine,
        lanes: int,
        callbacks: list[Primitive],
        declarations: dict[str, str] | None = None,
        loops: bool = False,
    ) -> None:
        self.machine, self.lanes, self.callbacks = machine, lanes, callbacks
        self.type, self.scalar = machine.type(lanes), machine.scalar
        self.mask = f"<{lanes} x i1>" if lanes > 1 else "i1"
        self.suffix = machine.suffix(lanes)
        self.zero, self.one = self.literal(0.0), self.literal(1.0)
        self.declarations = {} if declarations is None else declarations
        self.trigonometric = lanes > 1 and machine.fused and machine.double is None
        self._writes_exp = loops and lanes > 1 and machine.fused
        self._scales = machine.scales and lanes % machine.lanes == 0
        self._vector = machine.lanes  # of a vector function
        self._vector_functions = dict(machine.vector_functions) if lanes > 1 else {}
        self._templates: dict[tuple[Primitive, bool], str] = {}

    def literal(self, x: float) -> str:
        text = self.machine.literal(x)
        return f"splat ({self.scalar} {text})" if self.lanes > 1 else text

    def flag(self, value: int | str) -> str:
        """Turn a condition into a number: 1 where it holds."""
        return f"%v{value} = select {self.mask} %c{value}, {self.type} {self.one}, {self.type} {self.zero}"

    def truth(self, condition: str, text: str) -> str:
        """Turn a number into a condition; nan counts as true, as in Python."""
        return f"{condition} = fcmp une {self.type} {text}, {self.zero}"

    def template(self, op: Primitive, many: bool = False) -> str:
        """Return the text for one operation, of which there may be `many`; {c} stands for the condition of `where`."""
        many = many and self.spells(op)
        text = self._templates.get((op, many))
        if text is None:
            text = self._templates[op, many] = self._called(op) if many else self._write(op)
        return text

    def spells(self, op: Primitive) -> bool:
        """Return whether an operation is written by several others."""
        return op.name == "exp" and not op.custom and self._writes_exp

    def _called(self, op: Primitive) -> str:
        """Write the call of an operation that has a function of its own, since it is long."""
        type_, name = self.type, f"{op.name}_{self.lanes}"
        text = self.template(op).format("%x", v="0")
        self.declarations[name] = f"define internal {type_} @{name}({type_} %x) #2 {{\n{text}\nret {type_} %v0\n}}\n"
        return f"%v{{v}} = call {type_} @{name}({type_} {{0}})"

    def _write(self, op: Primitive) -> str:
        type_, mask, zero, name, double = self.type, self.mask, self.zero, op.name, self.machine.double
        if self.spells(op):
            self._intrinsic("fma", 3)
            if self._scales:
                symbol, declared = exponential.scaling(self.machine)
                self.declarations[symbol] = declared
            text = exponential.exponential(self.machine, self.lanes, self._scales)
        elif double is not None and (not supported(op) or (name in _LIBM and name not in self._vector_functions)):
            text = self._in_doubles(op, double)
        elif not supported(op) or name in _LIBM:
            text = self._call(op)
        elif name in _OPERATIONS:
            text = f"%v{{v}} = {_OPERATIONS[name]} {type_} {{0}}, {{1}}"
        elif name in COMPARISONS:
            text = f"%c{{v}} = fcmp {COMPARISONS[name]} {type_} {{0}}, {{1}}\n" + self.flag("{v}")
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
        else:
            text = self._invoke(self._intrinsic(_INTRINSICS[name], op.arity), op.arity)
        return text

    def fused(self) -> str:
        """Return the template of {0} * {1} + {2}, rounded once where the machine can."""
        return self._invoke(self._intrinsic("fmuladd", 3), 3)

    def sine_and_cosine(self, pair: str, operand: str) -> str:
        """Return the call that computes the pair of an operand's sine and cosine."""
        for name in ("sin", "cos"):
            self.declarations[name] = f"declare {self.scalar} @{name}({self.scalar}) #1\n"
        self._intrinsic("fma", 3)
        self._intrinsic("fabs", 1)
        self.declarations[sine.NAME] = sine.sine_and_cosine(self.lanes)
        return f"{pair} = call {{{self.type}, {self.type}}} @{sine.NAME}({self.type} {operand})"

    def of_pair(self, value: int, pair: str, name: str) -> str:
        """Return the text that extracts sine or cosine from a pair."""
        return f"%v{value} = extractvalue {{{self.type}, {self.type}}} {pair}, {int(name == 'cos')}"

    def _intrinsic(self, name: str, arity: int) -> str:
        symbol = f"llvm.{name}.{self.suffix}"
        self.declarations[symbol] = f"declare {self.type} @{symbol}({', '.join([self.type] * arity)})\n"
        return symbol

    def _invoke(self, symbol: str, arity: int) -> str:
        operands = ", ".join(f"{self.type} {{{place}}}" for place in range(arity))
        return f"%v{{v}} = call {self.type} @{symbol}({operands})"

    def _call(self, op: Primitive) -> str:
        """Call a vector function if there is one, else the scalar one lane by lane."""
        arity = op.arity
        known = supported(op)
        size, attribute = 1, " #1"  # lanes that one call takes
        vector = self._vector_functions.get(op.name) if known else None
        if vector:
            symbol, size = vector, self._vector
        elif known:
            symbol = _LIBM[op.name]
        else:
            if op not in self.callbacks:
                self.callbacks.append(op)
            symbol, attribute = f"chainrule_callback_{self.callbacks.index(op)}", ""
        part = self.machine.type(size)
        self.declarations[symbol] = f"declare {part} @{symbol}({', '.join([part] * arity)}){attribute}\n"
        if size == self.lanes:
            return self._invoke(symbol, arity)
        helper = f"parts_{self.lanes}_{symbol}"
        self.declarations[helper] = self._in_parts(helper, symbol, arity, size)
        return self._invoke(helper, arity)

    def _in_doubles(self, op: Primitive, machine: Machine) -> str:
        """Call the function that computes a row in doubles and rounds the result."""
        own = Operations(machine, self.lanes, self.callbacks, self.declarations)
        program, arguments = defined(op, supported), range(op.arity)
        lines = [f"%x{k} = fpext {self.type} %a{k} to {own.type}" for k in arguments]
        texts = [f"%x{k}" for k in arguments]
        texts += [own.literal(item) for item in program.constants if isinstance(item, float)]
        for value, (row, args) in enumerate(program.steps, program.offset):
            operands = [texts[k] for k in args]
            if row.name == "where":
                lines.append(own.truth(f"%t{value}", operands[0]))
            lines.append(own.template(row).format(*operands, v=value, c=f"%t{value}"))
            texts.append(f"%v{value}")
        lines.append(f"%r = fptrunc {own.type} {texts[program.outputs[0]]} to {self.type}\nret {self.type} %r")
        own_rows = f".{self.callbacks.index(op)}" if op.custom else ""
        name = f"doubles_{self.lanes}_{op.name if op.name.isidentifier() else ''}{own_rows}"
        parameters = ", ".join([f"{self.type} %a{k}" for k in arguments])
        body = "\n".join(lines)
        self.declarations[name] = f"define internal {self.type} @{name}({parameters}) #2 {{\n{body}\n}}\n"
        return self._invoke(name, op.arity)

    def _in_parts(self, helper: str, symbol: str, arity: int, size: int) -> str:
        """Write the function that calls another one on a few lanes at a time, or on a shorter vector twice over."""
        part, whole = self.machine.type(size), self.type
        lines = [f"define internal {whole} @{helper}({', '.join(f'{whole} %x{k}' for k in range(arity))}) #2 {{"]
        before = "poison"
        for lane in range(0, self.lanes, size):
            for k in range(arity):
                text = f"extractelement {whole} %x{k}, i64 {lane}"
                if size > 1:
                    taken = ", ".join(f"i32 {lane + i % self.lanes}" for i in range(size))
                    text = f"shufflevector {whole} %x{k}, {whole} poison, <{size} x i32> <{taken}>"
                lines.append(f"%e{lane}_{k} = {text}")
            operands = ", ".join(f"{part} %e{lane}_{k}" for k in range(arity))
            lines.append(f"%r{lane} = call {part} @{symbol}({operands})")
            text = f"insertelement {whole} {before}, {part} %r{lane}, i64 {lane}"
            if size > 1:
                wide = ", ".join(f"i32 {i}" if i < size else "i32 poison" for i in range(self.lanes))
                lines.append(f"%w{lane} = shufflevector {part} %r{lane}, {part} poison, <{self.lanes} x i32> <{wide}>")
                own = range(lane, lane + size)
                mixed = ", ".join(f"i32 {self.lanes + i - lane if i in own else i}" for i in range(self.lanes))
                text = f"shufflevector {whole} {before}, {whole} %w{lane}, <{self.lanes} x i32> <{mixed}>"
            lines.append(f"%s{lane} = {text}")
            before = f"%s{lane}"
        return "\n".join([*lines, f"ret {whole} {before}", "}", ""])
