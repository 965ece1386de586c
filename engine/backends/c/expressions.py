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


def supported(row: Primitive) -> bool:
    """Return whether a row is an operator, a function of C's math.h or one of special.c, or says how C writes it."""
    named = row.name in _OPERATORS or row.name in _FUNCTIONS or row.name in _SPECIAL
    return "c" in row.code or (named and not row.custom)


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


def identifier(name: str) -> str:
    """Return what a function may be called: a name as it is, if C and its library leave it free.

    >>> identifier("loss"), identifier("sin"), identifier("a-b")
    ('loss', 'f_sin', 'a_b')
    """
    word = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    # math.h declares each function three times, as sin, sinf and sinl.
    meant = {word, word[:-1] if word.endswith(("f", "l")) else word}
    is_free = word and not word[0].isdigit() and meant.isdisjoint((*_TAKEN.split(), *_FUNCTIONS.values()))
    # C keeps what begins with two of these, or one and a capital, for itself.
    is_free = is_free and not (word[0] == "_" and (word[1:2] == "_" or word[1:2].isupper()))
    return word if is_free and not word.startswith("chainrule_") else f"f_{word}"


def definitions(rows: Iterable[Primitive], has_index: bool) -> Iterator[str]:
    """Yield the parts of special.c that operations call; with `has_index` the one that finds rows of arrays."""
    parts = {_SPECIAL[row.name][1] for row in rows if row.name in _SPECIAL}
    yield from (_special(part) for part in (["pairs", *sorted(parts)] if parts else []))
    if has_index:
        yield _special("row")


@functools.cache
def _special(part: str) -> str:
    """Return a part of special.c."""
    text = (resources.files(__package__) / "special.c").read_text(encoding="utf-8")
    _, *parts = text.split("/* ==== ")
    return {name: code for name, _, code in (part.partition(" ==== */\n") for part in parts)}[part]
