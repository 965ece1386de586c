"""Write single operations and numbers as C, and the functions that math.h lacks."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from importlib import resources

from ...operations import Primitive

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
# What a function of ours must not be called, beside what it calls: words of C, and what math.h and string.h declare.
_TAKEN = """
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    main memchr memcmp memcpy memmove memset strcat strchr strcmp strcpy strlen strstr fdim fmax fmin fma frexp
    ilogb isfinite isinf isnan isnormal signbit ldexp llrint llround logb lrint lround modf nan nearbyint nextafter
    nexttoward remainder remquo rint round scalbln scalbn fpclassify isgreater isless j0 j1 jn y0 y1 yn gamma
    INFINITY NAN HUGE_VAL
    asm bool catch class delete explicit export false friend inline mutable namespace new operator private protected
    public template this throw true try typeid typename using virtual wchar_t
"""


def supported(row: Primitive) -> bool:
    """Tell whether a row is an operator, a function of C's math.h or one of special.c."""
    return not row.custom and (row.name in _OPERATORS or row.name in _FUNCTIONS or row.name in _SPECIAL)


def expression(op: Primitive, words: Iterable[str]) -> str:
    """Write an operation on operands.

    >>> from chainrule import hypot
    >>> expression(hypot, ["x", "y"])
    'hypot(x, y)'
    """
    text = _OPERATORS.get(op.name) or (_SPECIAL[op.name][0] if op.name in _SPECIAL else None)
    return f"{_FUNCTIONS[op.name]}({', '.join(words)})" if text is None else text.format(*words)


def literal(number: float) -> str:
    """Write a double; hexadecimal keeps every bit."""
    # The macros are floats, which compilers may warn of.
    if number != number:
        return "((double)NAN)"
    if math.isinf(number):
        return "((double)INFINITY)" if number > 0 else "(-(double)INFINITY)"
    return number.hex() if math.copysign(1.0, number) > 0 else f"({number.hex()})"


def identifier(name: str) -> str:
    """Return what a function may be called: a name as it is, if C and its library leave it free.

    >>> identifier("loss"), identifier("sin"), identifier("a-b")
    ('loss', 'f_sin', 'a_b')
    """
    word = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    # math.h declares each function three times, as sin, sinf and sinl.
    meant = {word, word[:-1] if word.endswith(("f", "l")) else word}
    is_free = word and not word[0].isdigit() and meant.isdisjoint((*_TAKEN.split(), *_FUNCTIONS.values()))
    return word if is_free and not word.startswith("chainrule_") else f"f_{word}"


def definitions(rows: Iterable[Primitive]) -> Iterator[str]:
    """Yield the parts of special.c that operations call."""
    parts = {_SPECIAL[row.name][1] for row in rows if row.name in _SPECIAL}
    yield from (_special(part) for part in (["pairs", *sorted(parts)] if parts else []))


@functools.cache
def _special(part: str) -> str:
    """Return a part of special.c."""
    text = (resources.files(__package__) / "special.c").read_text(encoding="utf-8")
    _, *parts = text.split("/* ==== ")
    return {name: code for name, _, code in (part.partition(" ==== */\n") for part in parts)}[part]
