"""Write operations as people do: infix, powers, functions, with only the parentheses that are needed.

A `Piece` is text and how tightly its outermost operation binds. Operations join pieces; they never parse them.
Plain text is in Python's spelling, so that the result can be read back; LaTeX is for papers and notebooks.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Literal, NamedTuple

from chainrule import Primitive

Style = Literal["text", "latex"]

# A remainder or a floor stands in a product as any factor does, but no minus may slip into it: -(a % b) is not -a % b.
LOOSE, SUM, MODULO, PRODUCT, SIGN, POWER, ATOM = range(7)

# Names for computed values that have none, in this order; then x1-like ones.
_LETTERS = "uvwstpq"

_NAME = re.compile(r"[^\W\d]\w*(\.\w+)*'*(\[[\w, .]*\])?")
_SUBSCRIPTED = re.compile(r"(?P<stem>[^\W\d_]+?)_?(?P<number>\d*)(?P<index>\[[\w, .]*\])?")
_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|chi|psi|"
    "omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
)
_LATEX_FUNCTIONS = {
    **{name: rf"\{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "log", "exp")},
    "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "log": r"\ln", "log10": r"\log_{10}",
    "log2": r"\log_{2}", "maximum": r"\max", "minimum": r"\min", "gamma": r"\Gamma", "digamma": r"\psi",
    "sigmoid": r"\sigma", "normal_cdf": r"\Phi", "normal_pdf": r"\varphi", "erfinv": r"\operatorname{erf}^{-1}",
}  # fmt: skip
_LATEX_FENCES = {
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\left\lfloor ", r" \right\rfloor"),
    "ceil": (r"\left\lceil ", r" \right\rceil"),
    "sqrt": (r"\sqrt{", "}"),
    "cbrt": (r"\sqrt[3]{", "}"),
}
_LATEX_SPECIAL = {
    "\\": r"\backslash{}", "^": r"\^{}", "~": r"\~{}", **{sign: f"\\{sign}" for sign in "{}$&#_%"},
}  # fmt: skip


class Piece(NamedTuple):
    """Text and the precedence of its outermost operation, from `LOOSE` to `ATOM`."""

    text: str
    level: int

    def at_least(self, level: int, style: Style, *, signed: bool = False) -> str:
        """Return the text, in parentheses if it binds less tightly; `signed` allows a leading minus."""
        if self.level >= level and (signed or not self.text.startswith("-")):
            return self.text
        return rf"\left({self.text}\right)" if style == "latex" else f"({self.text})"


def write(row: Primitive, pieces: Sequence[Piece], style: Style = "text") -> Piece:
    """Write an operation on operands that are already written.

    >>> import chainrule as cr
    >>> total = write(cr.add, [Piece("x", ATOM), Piece("3", ATOM)])
    >>> write(cr.pow, [total, Piece("2", ATOM)]).text, write(cr.sin, [total], "latex").text
    ('(x + 3)**2', '\\\\sin\\\\left(x + 3\\\\right)')
    """
    writer = _WRITERS.get(row.name)
    if writer is not None and not row.custom:
        return writer(pieces, style)
    if row.custom and row.infix:
        # Nobody knows how tightly an operator of the user's own binds.
        left, right = [piece.at_least(ATOM, style) for piece in pieces]
        sign = row.infix if style == "text" else rf"\mathbin{{\text{{{escape_latex(row.infix)}}}}}"
        return Piece(f"{left} {sign} {right}", LOOSE)
    if style == "text":
        inside = ", ".join([piece.text for piece in pieces])
        return Piece(f"{row.name}([{inside}])" if row.name in ("norm", "logsumexp") else f"{row.name}({inside})", ATOM)
    before, after = _LATEX_FENCES.get(row.name, ("", ""))
    if before:
        return Piece(before + pieces[0].text + after, ATOM)
    name = _LATEX_FUNCTIONS.get(row.name) or rf"\operatorname{{{escape_latex(row.name)}}}"
    return Piece(rf"{name}\left({', '.join([piece.text for piece in pieces])}\right)", ATOM)


def number(value: float, style: Style = "text", digits: int = 17) -> Piece:
    """Write a number; with 17 digits it is exact, and whole numbers need no point.

    >>> number(3.0).text, number(-0.1).text, number(1 / 3, digits=6).text, number(1e-7, "latex").text
    ('3', '-0.1', '0.333333', '10^{-7}')
    """
    if math.isfinite(value):
        text = repr(value) if digits >= 17 else f"{value:.{digits}g}"
        if text.endswith(".0") and text != "-0.0":
            text = text[:-2]
    else:
        text = str(value)
    if style == "text":
        return Piece(text, SIGN if text.startswith("-") else ATOM)
    mantissa, e, exponent = text.replace("inf", r"\infty").replace("nan", r"\text{nan}").partition("e")
    if not e or "t" in exponent:
        return Piece(mantissa + e + exponent, SIGN if text.startswith("-") else ATOM)
    power = f"10^{{{int(exponent)}}}"
    return Piece(power, POWER) if mantissa == "1" else Piece(rf"{mantissa} \cdot {power}", PRODUCT)


# ---- operations that are not written as functions ----


def _infix(sign: str, latex: str, level: int) -> Callable[[Sequence[Piece], Style], Piece]:
    def writer(pieces: Sequence[Piece], style: Style) -> Piece:
        left, right = pieces
        between = latex if style == "latex" else sign
        # Left to right: what stands on the right needs parentheses at the same level too.
        return Piece(left.at_least(level, style, signed=True) + between + right.at_least(level + 1, style), level)

    return writer


def _modulo(sign: str, latex: str) -> Callable[[Sequence[Piece], Style], Piece]:
    def writer(pieces: Sequence[Piece], style: Style) -> Piece:
        left, right = pieces
        if style == "latex":
            # On paper no rule says how tightly it binds.
            return Piece(left.at_least(PRODUCT, style, signed=True) + latex + right.at_least(SIGN, style), LOOSE)
        return Piece(f"{left.at_least(MODULO, style, signed=True)}{sign}{right.at_least(SIGN, style)}", MODULO)

    return writer


def product(pieces: Sequence[Piece], style: Style) -> Piece:
    """Write a product; in LaTeX a number and a letter need no sign between them."""
    left, right = pieces
    first, second = left.at_least(MODULO, style, signed=True), right.at_least(SIGN, style)
    if style == "text":
        return Piece(f"{first}*{second}", _level_of_product(left))
    bare = first.removeprefix("-").replace(".", "").isdigit() and (second[0].isalpha() or second[0] == "\\")
    return Piece(f"{first} {second}" if bare else rf"{first} \cdot {second}", PRODUCT)


def _quotient(pieces: Sequence[Piece], style: Style) -> Piece:
    left, right = pieces
    if style == "latex":
        return Piece(rf"\frac{{{left.text}}}{{{right.text}}}", PRODUCT)
    return Piece(f"{left.at_least(MODULO, style, signed=True)}/{right.at_least(SIGN, style)}", _level_of_product(left))


def _level_of_product(left: Piece) -> int:
    return MODULO if left.level == MODULO else PRODUCT


def _power(pieces: Sequence[Piece], style: Style) -> Piece:
    base, exponent = pieces
    if style == "latex":
        return Piece(f"{base.at_least(ATOM, style)}^{{{exponent.text}}}", POWER)
    return Piece(f"{base.at_least(ATOM, style)}**{exponent.at_least(POWER, style)}", POWER)


def _minus(pieces: Sequence[Piece], style: Style) -> Piece:
    return Piece(f"-{pieces[0].at_least(PRODUCT, style)}", PRODUCT if pieces[0].level == PRODUCT else SIGN)


def total(pieces: Sequence[Piece], style: Style) -> Piece:
    """Write a sum of any number of pieces, added from left to right."""
    first, *others = pieces
    if not others:
        return first
    texts = [first.at_least(SUM, style, signed=True)]
    texts += [piece.at_least(SUM + 1, style) for piece in others]
    return Piece(" + ".join(texts), SUM)


def _mean(pieces: Sequence[Piece], style: Style) -> Piece:
    return _quotient([total(pieces, style), number(float(len(pieces)), style)], style)


def _dot(pieces: Sequence[Piece], style: Style) -> Piece:
    half = len(pieces) // 2
    terms = []
    for left, right in zip(pieces[:half], pieces[half:], strict=True):
        # A neuron's bias is the weight of an input that is always 1.
        terms.append(left if right.text == "1" else product([left, right], style))
    return total(terms, style)


def _exp(pieces: Sequence[Piece], style: Style) -> Piece:
    if style == "latex":
        return Piece(f"e^{{{pieces[0].text}}}", POWER)
    return Piece(f"exp({pieces[0].text})", ATOM)


def _norm(pieces: Sequence[Piece], style: Style) -> Piece:
    if style == "latex":
        return Piece(rf"\sqrt{{{total([_square([piece], style) for piece in pieces], style).text}}}", ATOM)
    return Piece(f"norm([{', '.join([piece.text for piece in pieces])}])", ATOM)


def _square(pieces: Sequence[Piece], style: Style) -> Piece:
    return _power([pieces[0], Piece("2", ATOM)], style)


def _reciprocal(pieces: Sequence[Piece], style: Style) -> Piece:
    return _quotient([Piece("1", ATOM), pieces[0]], style)


_WRITERS: dict[str, Callable[[Sequence[Piece], Style], Piece]] = {
    "add": _infix(" + ", " + ", SUM),
    "sub": _infix(" - ", " - ", SUM),
    "strong_sub": _infix(" - ", " - ", SUM),
    "mul": product,
    "strong_mul": product,
    "div": _quotient,
    "remainder": _modulo(" % ", r" \bmod "),
    "floor_divide": _modulo("//", r" \operatorname{div} "),
    "pow": _power,
    "square": _square,
    "reciprocal": _reciprocal,
    "neg": _minus,
    "exp": _exp,
    "sum": total,
    "mean": _mean,
    "dot": _dot,
    "norm": _norm,
}


# ---- names ----


class Names:
    """Give every value a unique name: its label if that can serve as a name, else a free one.

    >>> names = Names()
    >>> names.claim("w"), names.claim("w"), names.letter(), names.numbered("x")
    ('w', 'w_2', 'u', 'x1')
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._letters = iter(_LETTERS)
        self._counters: dict[str, Iterator[int]] = {}

    def claim(self, label: str) -> str:
        """Return the label itself the first time, then numbered; in backticks if it is not a name."""
        name = label if is_name(label) else f"`{' '.join(label.split()).replace('`', chr(39))}`"
        if name in self._taken:
            numbers = self._counters.setdefault(name, count(2))
            name = next(candidate for n in numbers if (candidate := f"{name}_{n}") not in self._taken)
        self._taken.add(name)
        return name

    def letter(self) -> str:
        """Return a free letter, or a numbered one when all are taken."""
        for letter in self._letters:
            if letter not in self._taken:
                self._taken.add(letter)
                return letter
        return self.numbered("u")

    def numbered(self, stem: str) -> str:
        """Return the stem with the next free number."""
        numbers = self._counters.setdefault(f"#{stem}", count(1))
        name = next(candidate for n in numbers if (candidate := f"{stem}{n}") not in self._taken)
        self._taken.add(name)
        return name


def is_name(label: str) -> bool:
    """Return whether a label reads as one name inside a formula: ``w``, ``w1[1,2]``, ``weights.0``; not ``a + b``."""
    return _NAME.fullmatch(label) is not None


# Labels repeat in every neuron of a network.
@functools.lru_cache(maxsize=4096)
def latex_name(name: str) -> str:
    """Write a name in LaTeX: digits and brackets become indices.

    >>> latex_name("w1"), latex_name("w2[1,3]"), latex_name("alpha"), latex_name("loss")
    ('w_{1}', 'w^{(2)}_{1,3}', '\\\\alpha', '\\\\mathrm{loss}')
    """
    if name.startswith("`"):
        return rf"\text{{{escape_latex(name[1:-1])}}}"
    found = _SUBSCRIPTED.fullmatch(name)
    if found is None:
        return rf"\mathrm{{{escape_latex(name)}}}"
    stem, digits, index = found["stem"], found["number"], (found["index"] or "")[1:-1]
    if len(stem) > 1:
        stem = f"\\{stem}" if _GREEK.fullmatch(stem) else rf"\mathrm{{{stem}}}"
    if index:
        return f"{stem}^{{({digits})}}_{{{escape_latex(index)}}}" if digits else f"{stem}_{{{escape_latex(index)}}}"
    return f"{stem}_{{{digits}}}" if digits else stem


def escape_latex(text: str) -> str:
    """Escape text so that LaTeX shows it literally."""
    return "".join([_LATEX_SPECIAL.get(sign, sign) for sign in text])
