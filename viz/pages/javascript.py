"""Translate operations into JavaScript, so that a page can compute what Python would.

A row's derivatives are translated by running its own rule on objects that write down each step. How a value is
evaluated is spelled below, for the rows whose derivatives the table can be translated for; the rest say that they
cannot be, and a page shows their numbers without letting anyone change them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from chainrule import PRIMITIVES, Primitive
from chainrule.operations import Operators, Reduction

# Value of a row by name: an expression, or the body of a function, in the names that its rule has for its arguments;
# those of a reduction are xs. What is called r_name is another row.
EVALUATE = {
    "add": "x + y",
    "sub": "x - y",
    "mul": "x * y",
    "div": "x / y",
    "neg": "-x",
    "pos": "x",
    # C's pow has 1 where JavaScript has NaN.
    "pow": "x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y",
    "square": "x * x",
    "reciprocal": "1 / x",
    "sqrt": "Math.sqrt(x)",
    "rsqrt": "1 / Math.sqrt(x)",
    "cbrt": "Math.cbrt(x)",
    "hypot": "Math.hypot(x, y)",
    "fmod": "x % y",
    "remainder": "{ const r = x % y;"
    " return r !== 0 ? ((r < 0) !== (y < 0) ? r + y : r) : y < 0 ? -0 : r === r ? 0 : r; }",
    "floor_divide": (
        "{ if (y === 0) return x / y; const r = x % y;"
        " const q = (x - r) / y - (r !== 0 && (r < 0) !== (y < 0) ? 1 : 0);"
        " return r !== r ? NaN : q === 0 ? (x / y) * 0 : Math.round(q); }"
    ),
    "abs": "Math.abs(x)",
    "sign": "Math.sign(x)",
    "floor": "Math.floor(x)",
    "ceil": "Math.ceil(x)",
    "trunc": "Math.trunc(x)",
    # Halves go to the even neighbour.
    "round": (
        "{ if (!(Math.abs(x) < 4503599627370496)) return x; const low = Math.floor(x), rest = x - low;"
        " const near = rest < 0.5 ? low : rest > 0.5 ? low + 1 : low + Math.abs(low % 2);"
        " return near === 0 && (x < 0 || Object.is(x, -0)) ? -0 : near; }"
    ),
    "copysign": "(y < 0 || Object.is(y, -0)) === (x < 0 || Object.is(x, -0)) ? x : -x",
    "maximum": "Math.max(x, y)",
    "minimum": "Math.min(x, y)",
    "clip": "Math.min(Math.max(x, low), high)",
    # As in Python, NaN counts as true.
    "less": "x < y ? 1 : 0",
    "less_equal": "x <= y ? 1 : 0",
    "equal": "x === y ? 1 : 0",
    "not_equal": "x !== y ? 1 : 0",
    # The product and what its rounding takes away (Dekker 1971), then the sum likewise.
    "fma": (
        "{ const p = x * y, least = Math.min(Math.abs(x), Math.abs(y), Math.abs(p));"
        " if (!(Math.max(Math.abs(x), Math.abs(y), Math.abs(p), Math.abs(z)) < 1e290 && least > 1e-250)) return p + z;"
        " let t = 134217729 * x; const a = t - (t - x), b = x - a; t = 134217729 * y; const c = t - (t - y), d = y - c;"
        " const lost = a * c - p + a * d + b * c + b * d, sum = p + z, part = sum - p;"
        " return sum + (lost + (p - (sum - part) + (z - part))); }"
    ),
    "where": "condition !== 0 ? x : y",
    "stop_gradient": "x",
    "exp": "Math.exp(x)",
    "exp2": "2 ** x",
    "expm1": "Math.expm1(x)",
    "log": "Math.log(x)",
    "log2": "Math.log2(x)",
    "log10": "Math.log10(x)",
    "log1p": "Math.log1p(x)",
    "logaddexp": "x === y ? x + Math.LN2 : Math.max(x, y) + Math.log1p(Math.exp(-Math.abs(x - y)))",
    "xlogy": "x === 0 && y === y ? 0 : x * Math.log(y)",
    "sin": "Math.sin(x)",
    "cos": "Math.cos(x)",
    "tan": "Math.tan(x)",
    "asin": "Math.asin(x)",
    "acos": "Math.acos(x)",
    "atan": "Math.atan(x)",
    "atan2": "Math.atan2(y, x)",
    "sinh": "Math.sinh(x)",
    "cosh": "Math.cosh(x)",
    "tanh": "Math.tanh(x)",
    "asinh": "Math.asinh(x)",
    "acosh": "Math.acosh(x)",
    "atanh": "Math.atanh(x)",
    "degrees": "x * (180 / Math.PI)",
    "radians": "x * (Math.PI / 180)",
    # A series without cancellation near 0 (NIST DLMF 7.6.2); for the tail a continued fraction (7.9.1).
    "erf": (
        "{ if (Math.abs(x) >= 2) return Math.sign(x) * (1 - r_erfc(Math.abs(x))); let term = x, sum = x;"
        " for (let n = 1; n < 60; n++) { term *= (2 * x * x) / (2 * n + 1); sum += term; }"
        " return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum; }"
    ),
    "erfc": (
        "{ if (!(x >= 2)) return x === x && x > -2 ? 1 - r_erf(x) : x === x ? 2 - r_erfc(-x) : x;"
        " let tail = 0; for (let n = 120; n > 0; n--) tail = n / 2 / (x + tail);"
        " return x === Infinity ? 0 : Math.exp(-x * x) / (x + tail) / Math.sqrt(Math.PI); }"
    ),
    "normal_pdf": "Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)",
    "normal_cdf": "0.5 * r_erfc(-x / Math.SQRT2)",
    "relu": "x > 0 || x !== x ? x : 0",
    "leaky_relu": "x > 0 ? x : slope * x",
    "elu": "x >= 0 ? x : alpha * Math.expm1(x)",
    "celu": "x >= 0 || Math.abs(x / alpha) < 1e-17 ? x : alpha * Math.expm1(x / alpha)",
    "exp_remainder": (
        "{ if (Math.abs(x) <= 0.5) return r_exp_series(x); if (x > 700) return -Math.exp(x + Math.log(x - 1));"
        " return x < -800 ? -1 : Math.expm1(x) - x * Math.exp(x); }"
    ),
    "gelu": "x === -Infinity ? -0 : x * r_normal_cdf(x)",
    "gelu_slope": "Math.abs(x) === Infinity ? (x > 0 ? 1 : 0) : r_normal_cdf(x) + x * r_normal_pdf(x)",
    "silu": "x === -Infinity ? -0 : x * r_sigmoid(x)",
    "silu_slope": (
        "Math.abs(x) === Infinity ? (x > 0 ? 1 : -0) : r_sigmoid(x) * (1 + x * r_sigmoid(-x))"
    ),
    "mish": "x === -Infinity ? -0 : x * Math.tanh(r_softplus(x))",
    "sigmoid": "{ const p = Math.exp(-Math.abs(x)); return x >= 0 ? 1 / (1 + p) : p / (1 + p); }",
    "log_sigmoid": "-r_softplus(-x)",
    "softplus": "Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))",
    "softsign": "Math.abs(x) === Infinity ? Math.sign(x) : x / (1 + Math.abs(x))",
    "sum": "xs.reduce((a, b) => a + b, 0)",
    "mean": "{ const m = r_sum(xs) / xs.length;"
    " return Number.isFinite(m) ? m : r_sum(xs.map((x) => x / xs.length)); }",
    "dot": "{ const half = xs.length / 2; let s = 0;"
    " for (let k = 0; k < half; k++) s += xs[k] * xs[half + k]; return s; }",
    "norm": "Math.hypot(...xs)",
    "logsumexp": (
        "{ const top = Math.max(...xs); if (!Number.isFinite(top)) return top;"
        " const rest = xs.map((x) => Math.exp(x - top));"
        " rest.splice(rest.indexOf(1), 1); return top + Math.log1p(r_sum(rest)); }"
    ),
    "strong_mul": "x === 0 || y === 0 ? 0 : x * y",
    "strong_sub": "x === y ? 0 : x - y",
    "fraction": (
        "{ const s = x + y; if (Math.abs(s) < Infinity || s !== s) return x / s;"
        " return Math.abs(x) === Infinity ? (Math.abs(y) === Infinity ? 0.5 : 1) : (0.5 * x) / (0.5 * x + 0.5 * y); }"
    ),
    "share": "x * (1 / (x + y))",
    "unit": (
        "{ if (x === 0 && y === 0) return x; if (Math.abs(x) === Infinity)"
        " return y !== y ? NaN : Math.sign(x) * (Math.abs(y) === Infinity ? Math.SQRT1_2 : 1);"
        " const s = Math.max(Math.abs(x), Math.abs(y));"
        " return s === Infinity ? x / s : x / s / Math.hypot(x / s, y / s); }"
    ),
    "one_minus_square": "(1 - x) * (1 + x)",
    "sech_square": "{ const root = 1 / Math.cosh(x); return root * root; }",
}  # fmt: skip

# Functions that are no rows.
_HELPERS = {
    # -sum over k >= 2 of (k - 1)/k! x**k
    "r_exp_series": (
        "(x) => { let term = x, sum = 0;"
        " for (let k = 2; k < 20; k++) { term *= x / k; sum -= (k - 1) * term; } return sum; }"
    ),
}  # fmt: skip

_OPERATORS = ("+", "-", "*", "/")  # Python's that are JavaScript's, too


class UntranslatableError(TypeError):
    """Report an operation that has no JavaScript translation."""


class Recorder(Operators):
    """A JavaScript variable; each operation on it writes a step and returns another."""

    __slots__ = ("name", "steps")

    def __init__(self, name: str, steps: list[str]) -> None:
        self.name = name
        self.steps = steps

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Recorder:
        steps = next(arg.steps for arg in args if type(arg) is Recorder)
        names = [_operand(arg) for arg in args]
        if row.name == "neg":
            return _step(steps, f"-{names[0]}")
        if row.name == "where":
            condition = names[0] if names[0].startswith("(") else f"{names[0]} !== 0"
            return _step(steps, f"{condition} ? {names[1]} : {names[2]}")
        if row.name not in EVALUATE or row.custom:
            raise UntranslatableError(row.name)
        if row.infix in _OPERATORS:
            return _step(steps, f"{names[0]} {row.infix} {names[1]}")
        inside = ", ".join(names)
        return _step(steps, f"r_{row.name}([{inside}])" if isinstance(row, Reduction) else f"r_{row.name}({inside})")

    def __eq__(self, other: object) -> Any:
        return self._compare("===", other)

    def __ne__(self, other: object) -> Any:
        return self._compare("!==", other)

    def __lt__(self, other: Any) -> Any:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Any:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Any:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Any:
        return self._compare(">=", other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise UntranslatableError("a rule that decides by a number in Python")

    def _compare(self, sign: str, other: Any) -> Recorder:
        return Recorder(f"({self.name} {sign} {_operand(other)})", self.steps)


def library(rows: Iterable[tuple[Primitive, int]]) -> tuple[str, list[str]]:
    """Return JavaScript for operations, and the names of those that cannot be translated.

    Args:
        rows: operations, each with the number of its arguments.

    The text defines an object ``rows``: for each ``"name/arguments"`` its ``value(xs)`` and ``partials(y, xs)``.

    >>> import chainrule as cr
    >>> print(library([(cr.sin, 1)])[0])
    const r_cos = (x) => Math.cos(x);
    const r_sin = (x) => Math.sin(x);
    const rows = {
      "sin/1": { value: ([x]) => r_sin(x), partials(y, [x]) { const t0 = r_cos(x); return [t0]; } },
    };
    >>> library([(cr.erfinv, 1)])[1]
    ['erfinv']
    """
    entries, missing = [], []
    for row, arity in rows:
        try:
            entries.append(_entry(row, arity))
        except UntranslatableError:
            missing.append(row.name)
    definitions = _definitions("\n".join(entries))
    return "\n".join([*definitions, "const rows = {", *entries, "};"]), missing


def _entry(row: Primitive, arity: int) -> str:
    if row.name not in EVALUATE or row.custom:
        raise UntranslatableError(row.name)
    reduces = isinstance(row, Reduction)
    names = [f"x{k}" for k in range(arity)] if reduces else list(row.argument_names)
    steps: list[str] = []
    # In rules the first name is the value's, whatever the rule calls it.
    result = row.partials.__code__.co_varnames[0]
    partials = row.partials(Recorder(result, steps), *[Recorder(name, steps) for name in names])
    listed = ", ".join([_operand(partial) for partial in partials])
    body = " ".join([*steps, f"return [{listed}];"])
    inside = ", ".join(names)
    call = f"r_{row.name}([{inside}])" if reduces else f"r_{row.name}({inside})"
    key = json.dumps(f"{row.name}/{arity}")
    return f"  {key}: {{ value: ([{inside}]) => {call}, partials({result}, [{inside}]) {{ {body} }} }},"


def _definitions(text: str) -> list[str]:
    """Define every function that the text calls, directly or indirectly."""
    found: dict[str, str] = {}
    wanted = set(re.findall(r"\br_\w+", text))
    while wanted:
        name = wanted.pop()
        if name in _HELPERS:
            found[name] = _HELPERS[name]
        else:
            row = PRIMITIVES[name[2:]]
            names = "xs" if isinstance(row, Reduction) else ", ".join(row.argument_names)
            found[name] = f"({names}) => {EVALUATE[row.name]}"
        wanted |= set(re.findall(r"\br_\w+", found[name])) - found.keys()
    return [f"const {name} = {found[name]};" for name in sorted(found)]


def _step(steps: list[str], expression: str) -> Recorder:
    name = f"t{len(steps)}"
    steps.append(f"const {name} = {expression};")
    return Recorder(name, steps)


def _operand(arg: Any) -> str:
    return arg.name if type(arg) is Recorder else literal(arg)


def literal(value: float) -> str:
    """Write a number in JavaScript.

    >>> literal(-0.5), literal(float("-inf")), literal(float("nan"))
    ('(-0.5)', '(-Infinity)', 'NaN')
    """
    text = str(float(value)) if math.isfinite(value) else "NaN" if value != value else "Infinity"
    if value == -math.inf:
        return "(-Infinity)"
    return f"({text})" if text.startswith("-") else text
