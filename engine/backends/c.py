"""Write a program as one self-contained C99 file: `source`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..errors import BackendError
from ..loop import Loop
from ..lowering import lower
from ..primitive import Primitive
from ..program import Program
from . import c_loops
from .layout import Layout

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
_FUNCTIONS = {
    "abs": "fabs",
    "gamma": "tgamma",
    **{name: name for name in _MATH_H.split()},
}


def supported(row: Primitive) -> bool:
    """Tell whether a row is an operator or a function of C's math.h."""
    return not row.custom and (row.name in _OPERATORS or row.name in _FUNCTIONS)


def source(program: Program, batched: Sequence[bool] = (), reduce: str | None = None, name: str = "f") -> str:
    """Return C99 source with one function, which its leading comment documents; it allocates nothing.

    Args:
        program: what to compute.
        batched: for each positional argument, whether it carries a leading axis of samples; none by default.
        reduce: "sum" or "mean" over the samples; None gives each sample's result.
        name: of the function; characters that C does not allow become underscores.

    `BackendError` names an operation that C's library lacks.
    """
    batched = tuple(batched) or (False,) * len(program.arguments.parts)
    lowered = lower(program, supported)
    return "\n".join(_lines(lowered, Layout(lowered, batched, reduce), _word(name)))


# What a function of ours must not be called, beside what it calls: words of C, and what math.h and string.h declare.
_TAKEN = """
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    main memchr memcmp memcpy memmove memset strcat strchr strcmp strcpy strlen strstr fdim fmax fmin fma frexp
    ilogb isfinite isinf isnan isnormal signbit ldexp llrint llround logb lrint lround modf nan nearbyint nextafter
    nexttoward remainder remquo rint round scalbln scalbn fpclassify isgreater isless j0 j1 jn y0 y1 yn gamma
    INFINITY NAN HUGE_VAL
"""


def _word(name: str) -> str:
    word = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    # math.h declares each function three times, as sin, sinf and sinl.
    meant = {word, word[:-1] if word.endswith(("f", "l")) else word}
    is_free = word and not word[0].isdigit() and meant.isdisjoint((*_TAKEN.split(), *_FUNCTIONS.values()))
    return word if is_free else f"f_{word}"


def _lines(program: Program, layout: Layout, name: str) -> Iterator[str]:
    unknown = next((op for op in program.rows() if not supported(op)), None)
    if unknown is not None:
        raise BackendError(
            f'the backend "c" has no operation {unknown.name!r}, since math.h lacks it; use another backend'
        )
    yield from _comment(program, layout, name)
    yield "#include <math.h>\n#include <stddef.h>" + ("\n#include <string.h>\n" if program.has_loops else "\n")
    names: dict[Program, str] = {}

    def steps(program: Program, places: Sequence[int], words: list[str], indent: str) -> Iterator[str]:
        return _steps(program, places, words, indent, names)

    yield from c_loops.functions(program, name, steps, _literal, names)
    yield f"void {name}({_parameters(layout)});\n"
    yield f"void {name}({_parameters(layout)})\n{{"
    words = [""] * program.count
    for k, number in enumerate(program.constants, layout.inputs):
        words[k] = _literal(number)
    for k, argument in enumerate(layout.argument_of):
        words[k] = f"a{argument}[{k - layout.starts[argument]}]"
    yield from _unused(program, layout)
    yield from steps(program, layout.shared_steps, words, "    ")
    if not layout.has_batch:
        for place, value in enumerate(program.outputs):
            yield f"    out[{place}] = {words[value]};"
        yield "}\n"
        return
    if layout.reduce:
        yield f"    for (size_t k = 0; k < {len(program.outputs)}; k++)\n        out[k] = 0.0;"
    for argument, flag in enumerate(layout.batched):
        if flag:
            size, start = layout.sizes[argument], layout.starts[argument]
            for k in range(start, start + size):
                words[k] = f"a{argument}[i * {size} + {k - start}]"
    yield "    for (size_t i = 0; i < n; i++) {"
    yield from steps(program, layout.sample_steps, words, "        ")
    for start, size in layout.units:
        for column in range(size):
            word = words[program.outputs[start + column]]
            if layout.reduce:
                yield f"        out[{start + column}] += {word};"
            else:
                yield f"        out[n * {start} + i * {size} + {column}] = {word};"
    yield "    }"
    if layout.reduce == "mean":
        yield f"    for (size_t k = 0; k < {len(program.outputs)}; k++)\n        out[k] /= (double)n;"
    yield "}\n"


def _steps(
    program: Program, places: Sequence[int], words: list[str], indent: str, names: dict[Program, str]
) -> Iterator[str]:
    for place in places:
        (op, args), value = program.steps[place], program.firsts[place]
        if isinstance(op, Loop):
            yield from c_loops.loop(op, args, value, words, names, indent)
            continue
        words[value] = f"v{place}"
        chosen = [words[k] for k in args]
        if op.name in _OPERATORS:
            text = _OPERATORS[op.name].format(*chosen)
        else:
            text = f"{_FUNCTIONS[op.name]}({', '.join(chosen)})"
        yield f"{indent}const double v{place} = {text};"


def _unused(program: Program, layout: Layout) -> Iterator[str]:
    """Name what the program does not read, so that no compiler warns."""
    used = {k for _, args in program.steps for k in args} | set(program.outputs)
    for argument, (start, size) in enumerate(zip(layout.starts, layout.sizes, strict=True)):
        if not used.intersection(range(start, start + size)):
            yield f"    (void)a{argument};"


def _parameters(layout: Layout) -> str:
    parameters = [f"const double *a{k}" for k in range(len(layout.sizes))]
    return ", ".join([*parameters, *(["size_t n"] if layout.has_batch else []), "double *out"])


def _comment(program: Program, layout: Layout, name: str) -> Iterator[str]:
    """Tell what the function takes and gives."""
    yield f"/* {name}: {len(program.steps)} operations, written by chainrule."
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
    yield " *"
    yield " * Nothing is allocated; arrays must not overlap. Compile with -std=c99 and link with -lm;"
    yield " * -ffast-math would break the handling of nan and infinity. */"


def _literal(number: float) -> str:
    if number != number:
        return "NAN"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "(-INFINITY)"
    # Hexadecimal keeps every bit.
    return number.hex() if math.copysign(1.0, number) > 0 else f"({number.hex()})"
