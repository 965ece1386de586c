"""Write a program as one self-contained C99 file and its header: `source`, `header`."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ..data import write_whole
from ..errors import BackendError, describe
from ..operations import Primitive
from ..programs import Program
from .c_functions import Body, inner_functions
from .c_places import Frame, Target, array, moved
from .layout import Layout
from .lowering import lower

_OPERATORS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "square": "{0} * {0}",
    "where": "{0} != 0.0 ? {1} : {2}",
    "less": "{} < {} ? 1.0 : 0.0",
    "less_equal": "{} <= {} ? 1.0 : 0.0",
    "equal": "{} == {} ? 1.0 : 0.0",
    "not_equal": "{} != {} ? 1.0 : 0.0",
    "round": "rint({})",
    "maximum": "{0} != {0} || {0} > {1} ? {0} : {1}",
    "minimum": "{0} != {0} || {0} < {1} ? {0} : {1}",
    "strong_mul": "{0} == 0.0 || {1} == 0.0 ? 0.0 : {0} * {1}",
}
_MATH_H = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 floor fma fmod hypot
    lgamma log log10 log1p log2 pow sin sinh sqrt tan tanh trunc
"""
# What special.c has, and the part of it.
_SPECIAL = {
    "digamma": ("chainrule_polygamma(0.0, {})", "polygamma"),
    "polygamma": ("chainrule_polygamma({}, {})", "polygamma"),
    "sinc_derivative": ("chainrule_sinc_derivative({}, {})", "sinc_derivative"),
}
_FUNCTIONS = {
    "abs": "fabs",
    "gamma": "tgamma",
    **{name: name for name in _MATH_H.split()},
}
_ON_STACK = 1024
"""Functions that work in at most so many doubles have them on the stack, others are given them by their caller."""


def supported(row: Primitive) -> bool:
    """Return whether a row is an operator, a function of C's math.h or one of special.c, or says how C writes it."""
    named = row.name in _OPERATORS or row.name in _FUNCTIONS or row.name in _SPECIAL
    return "c" in row.code or (named and not row.custom)


def source(program: Program, batched: Sequence[bool] = (), reduce: str | None = None, name: str = "f") -> str:
    """Return C99 source with one function, documented by its leading comment; it allocates nothing.

    Args:
        program: what to compute.
        batched: for each positional argument, whether it carries a leading axis of samples; none by default.
        reduce: "sum" or "mean" over the samples; None gives each sample's result.
        name: of the function; characters that C does not allow become underscores.

    `BackendError` names an operation that C's library lacks.
    """
    return files(program, batched, reduce, name)[0]


def files(
    program: Program, batched: Sequence[bool] = (), reduce: str | None = None, name: str = "f"
) -> tuple[str, str]:
    """Return the source and a header for C and C++, which defines how much memory the function works in."""
    batched = tuple(batched) or (False,) * len(program.arguments.parts)
    lowered = lower(program, supported)
    unknown = next((op for op in lowered.rows() if not supported(op)), None)
    if unknown is not None:
        raise BackendError(
            f'the backend "c" has no operation {unknown.name!r}, since math.h lacks it; use another backend, '
            'or give a row of your own its expression: primitive(..., code={"c": "{0} * exp(-{0})"})'
        )
    function = _Exported(lowered, Layout(lowered, batched, reduce), _word(name))
    return "\n".join(function.source()), "\n".join(function.header())


def write(path: Any, program: Program, batched: Sequence[bool], reduce: str | None) -> Path:
    """Write the source to a path that ends in ``.c``, and the header beside it; return the path."""
    target = Path(path)
    if target.suffix != ".c":
        raise ValueError(f"export_c expected a path ending in .c but got {describe('path', str(path))}")
    text, header = files(program, batched, reduce, program.name)
    write_whole(target, text.encode())
    write_whole(target.with_suffix(".h"), header.encode())
    return target


# What a function of ours must not be called, beside what it calls: words of C and C++, what compilers define before a
# file begins, what math.h and string.h declare, and what programs take from C's library.
_TAKEN = """
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    alignas alignof constexpr nullptr static_assert thread_local typeof typeof_unqual i386 linux unix
    abort abs atexit calloc div exit free getenv labs llabs ldiv malloc printf puts qsort rand realloc srand system
    clock raise remove rename signal time fabs strcpy strncpy strncat strncmp strspn strcspn strtok strpbrk
    drem exp10 fork lgamma_r pow10 signgam significand sincos int8_t int16_t int32_t int64_t
    stpcpy index rindex bcmp bcopy bzero ffs memccpy strdup strcoll strerror strxfrm fputs putchar scanf
    main memchr memcmp memcpy memmove memset strcat strchr strcmp strcpy strlen strstr fdim fmax fmin fma frexp
    ilogb isfinite isinf isnan isnormal signbit ldexp llrint llround logb lrint lround modf nan nearbyint nextafter
    nexttoward remainder remquo rint round scalbln scalbn fpclassify isgreater isless j0 j1 jn y0 y1 yn gamma
    isgreaterequal islessequal islessgreater isunordered math_errhandling float_t double_t size_t ptrdiff_t max_align_t
    offsetof NULL INFINITY NAN HUGE_VAL HUGE_VALF HUGE_VALL MATH_ERRNO MATH_ERREXCEPT FP_NAN FP_INFINITE FP_ZERO
    FP_SUBNORMAL FP_NORMAL FP_ILOGB0 FP_ILOGBNAN M_E M_LOG2E M_LOG10E M_LN2 M_LN10 M_PI M_PI_2 M_PI_4 M_1_PI M_2_PI
    M_2_SQRTPI M_SQRT2 M_SQRT1_2
    asm bool catch class delete explicit export false friend inline mutable namespace new operator private protected
    public template this throw true try typeid typename using virtual wchar_t
    and and_eq bitand bitor compl not not_eq or or_eq xor xor_eq char8_t char16_t char32_t co_await co_return co_yield
    concept const_cast consteval constinit decltype dynamic_cast noexcept reinterpret_cast requires static_cast
"""


def _word(name: str) -> str:
    word = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    # math.h declares each function three times, as sin, sinf and sinl.
    meant = {word, word[:-1] if word.endswith(("f", "l")) else word}
    is_free = word and not word[0].isdigit() and meant.isdisjoint((*_TAKEN.split(), *_FUNCTIONS.values()))
    # C keeps what begins with two of these, or one and a capital, for itself.
    is_free = is_free and not (word[0] == "_" and (word[1:2] == "_" or word[1:2].isupper()))
    return word if is_free and not word.startswith("chainrule_") else f"f_{word}"


def expression(op: Primitive, words: Iterable[str]) -> str:
    """Write an operation on operands.

    >>> from chainrule import hypot
    >>> expression(hypot, ["x", "y"])
    'hypot(x, y)'
    """
    text = op.code.get("c") or _OPERATORS.get(op.name) or (_SPECIAL[op.name][0] if op.name in _SPECIAL else None)
    return f"{_FUNCTIONS[op.name]}({', '.join(words)})" if text is None else text.format(*words)


def literal(number: float) -> str:
    """Write a double; hexadecimal keeps every bit."""
    # The macros are floats, which compilers may warn of.
    if number != number:
        return "((double)NAN)"
    if math.isinf(number):
        return "((double)INFINITY)" if number > 0 else "(-(double)INFINITY)"
    return number.hex() if math.copysign(1.0, number) > 0 else f"({number.hex()})"


class _Exported:
    """Write the function of a program, those that it calls, and the header."""

    def __init__(self, program: Program, layout: Layout, name: str) -> None:
        self.program, self.layout, self.name = program, layout, name
        self.functions: list[str] = []
        inner = inner_functions(program, name, expression, literal, self.functions)
        frame = Frame([("", None)] * program.count)
        for k, number in enumerate(program.constants, layout.inputs):
            frame.places[k] = (literal(number), None)
        for k, argument in enumerate(layout.argument_of):
            row = "row" if layout.batched[argument] else "a"
            frame.places[k] = (f"{row}{argument}", k - layout.starts[argument])
        pointers = {f"a{k}": f"const double *a{k}" for k in range(len(layout.sizes))}
        pointers |= {f"row{k}": f"const double *row{k}" for k in range(len(layout.sizes))}
        pointers |= {"n": "size_t n", "i": "size_t i", "out": "double *out"}
        self.body = Body(program, frame, inner, expression, pointers, name)
        self.body.steps(layout.shared_steps)
        if layout.reduce:
            self.body.text(f"for (size_t k = 0; k < {len(program.outputs)}; k++)\n    out[k] = 0.0;", "out")
        if layout.has_batch:
            self.body.begin_samples()
        self.body.steps(layout.sample_steps)
        for values, target in self._targets():
            self.body.move(values, target, "+=" if layout.reduce else "=")
        self.lines = list(self.body.lines(self.functions, self._rows()))
        self.work = frame.own + frame.scratch

    def _rows(self) -> dict[str, str]:
        """Return the definitions inside the loop over samples that are used there."""
        sizes = enumerate(self.layout.sizes)
        return {f"row{k}": f"const double *const row{k} = a{k} + i * {size};" for k, size in sizes}

    def _targets(self) -> Iterator[tuple[Sequence[int], Target]]:
        """Yield groups of outputs that are stored alike, and where they go."""
        outputs, layout = self.program.outputs, self.layout
        if not layout.per_sample:
            yield outputs, array("out")
            return
        alone = 0  # how many of the units before hold but one number
        for start, size in [*layout.units, (len(outputs), 0)]:
            if alone and size != 1:
                yield outputs[start - alone : start], _column(start - alone)
                alone = 0
            if size == 1:
                alone += 1
            elif size:
                yield outputs[start : start + size], _block(start, size)

    @functools.cached_property
    def prototype(self) -> str:
        parameters = [f"const double *a{k}" for k in range(len(self.layout.sizes))]
        parameters += ["size_t n"] if self.layout.has_batch else []
        parameters += ["double *out"]
        parameters += ["double *work"] if self.work > _ON_STACK else []
        return f"void {self.name}({', '.join(parameters)})"

    @property
    def macro(self) -> str:
        given = self.work if self.work > _ON_STACK else 0
        return f"#define {self.name.upper()}_WORK {given}"

    def source(self) -> Iterator[str]:
        layout = self.layout
        yield from self.comment()
        yield f"#include <math.h>\n#include <stddef.h>\n#include <string.h>\n\n{self.macro}\n"
        parts = {_SPECIAL[op.name][1] for op in self.program.rows() if op.name in _SPECIAL}
        yield from (_special(part) for part in (["pairs", *sorted(parts)] if parts else []))
        yield from self.functions
        yield f"{self.prototype};\n\n{self.prototype}\n{{"
        if 0 < self.work <= _ON_STACK:
            yield f"    double work[{self.work}];"
        used = self.body.used | {name.replace("row", "a") for name in self.body.used}
        yield from (f"    (void)a{k};" for k in range(len(layout.sizes)) if f"a{k}" not in used)
        if not self.program.outputs:
            yield "    (void)out;"
        yield from self.lines
        if layout.reduce == "mean":
            yield f"    for (size_t k = 0; k < {len(self.program.outputs)}; k++)\n        out[k] /= (double)n;"
        yield "}\n"

    def header(self) -> Iterator[str]:
        guard = f"CHAINRULE_{self.name.upper()}_H"
        yield from self.comment()
        yield f"#ifndef {guard}\n#define {guard}\n\n#include <stddef.h>\n\n{self.macro}\n"
        yield '#ifdef __cplusplus\nextern "C" {\n#endif\n'
        yield f"{self.prototype};\n\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"

    def comment(self) -> Iterator[str]:
        """Return the comment that documents the function's arguments and results."""
        program, layout = self.program, self.layout
        yield f"/* {self.name}: {len(program.steps)} operations, written by chainrule."
        yield " *"
        for argument, (size, flag) in enumerate(zip(layout.sizes, layout.batched, strict=True)):
            first = program.names[layout.starts[argument]].split("[")[0] if size else "empty"
            label = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in first)
            shape = f"n rows of {size}" if flag else f"{size}"
            yield f" *   a{argument}   {label.replace('*/', '')}: {shape} numbers, one after the other"
        if layout.has_batch:
            yield " *   n    how many samples"
        if layout.per_sample:
            yield f" *   out  n * {len(program.outputs)} numbers: for each part of the result a block of n rows;"
            blocks = ", ".join(f"n * {size}" for _, size in layout.units[:8])
            yield f" *        the blocks hold {blocks}{' ...' if len(layout.units) > 8 else ''} numbers"
        else:
            over = f", the {layout.reduce} over all samples" if layout.reduce else ""
            yield f" *   out  {len(program.outputs)} numbers{over}"
        if self.work > _ON_STACK:
            yield f" *   work {self.name.upper()}_WORK numbers to work in, whatever they are; each thread needs its own"
        yield " *"
        yield " * Nothing is allocated; arrays must not overlap. Compile with -std=c99 and link with -lm;"
        yield " * -ffast-math would break the handling of nan and infinity. */"


def _block(start: int, size: int) -> Target:
    """Return where one sample's row of a block of several columns goes."""
    head = f"n * {start} + i * {size}" if start else f"i * {size}"
    return Target(
        lambda index, *steps: f"out[{head} + {moved(index, *steps)}]", ("out", "n", "i") if start else ("out", "i")
    )


def _column(start: int) -> Target:
    """Return the target of numbers that are alone in their blocks, one block after another."""
    return Target(lambda index, *steps: f"out[n * ({moved(start + index, *steps)}) + i]", ("out", "n", "i"), False)


@functools.cache
def _special(part: str) -> str:
    """Return a part of special.c."""
    text = (resources.files(__package__) / "special.c").read_text(encoding="utf-8")
    _, *parts = text.split("/* ==== ")
    return {name: code for name, _, code in (part.partition(" ==== */\n") for part in parts)}[part]
