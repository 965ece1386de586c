"""Rewrite a program for a backend with few operations: `lower` spells out rows in more basic ones.

`DEFINITIONS` says how: one function for each row, written with operators and rows as the rules of the table are,
and equal to the row's ``evaluate`` to a few units in the last place, with the same nan and infinities; but `logaddexp`
and `logsumexp` have an absolute error of 1e-16 where they cancel to a result near 0, which eager code computes with 60
digits. Names that
every backend must know by itself are arithmetic, ``abs sqrt floor ceil trunc round copysign fma where maximum
minimum``, the comparisons ``less less_equal equal not_equal``, and the functions of C's ``math.h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from ..floats import DOUBLE, Format, ieee, special
from ..operations import Operators, Primitive, table
from ..operations.table import (
    abs,
    copysign,
    equal,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    fmod,
    hypot,
    less,
    less_equal,
    log,
    log1p,
    maximum,
    minimum,
    not_equal,
    sqrt,
    square,
    tanh,
    where,
)
from ..programs import Builder, Program, Rule, drop, rewrite, values_in_tuple
from .half_powers import HALF_POWERS

inf, nan, pi = math.inf, math.nan, math.pi


def lower(program: Program, supported: Callable[[Primitive], bool], format: Format = DOUBLE) -> Program:
    """Replace each step whose row is not `supported` by the steps of its definition; equal steps are shared.

    A row that is neither supported nor defined stays, for the backend to handle or to refuse.

    >>> from chainrule import square, trace
    >>> lower(trace(square, 1.0), lambda row: row.name == "mul").steps
    (Step(op=<primitive mul>, args=(0, 0)),)
    """
    definitions: dict[Primitive, Callable[..., Any] | None] = {}
    every = DEFINITIONS if format is DOUBLE else {**DEFINITIONS, **_IN_SINGLE}

    def emit(builder: Builder, op: Primitive, args: tuple[int, ...]) -> int:
        if op is table.pow and (root := HALF_POWERS.get(builder.constant_of(args[1]) or 0.0)):
            return place_of(builder, root(_Term(builder, emit, args[0])))
        if op not in definitions:
            definitions[op] = None if op.custom or supported(op) else every.get(op.name)
        definition = definitions[op]
        if definition is None:
            return builder.step(op, args)
        return place_of(builder, definition(*[_Term(builder, emit, place) for place in args]))

    return drop(rewrite(program, emit))


def defined(row: Primitive, supported: Callable[[Primitive], bool]) -> Program:
    """Return the program that defines a row."""
    builder, arguments = Builder(row.arity), values_in_tuple([()] * row.arity)
    frame = Program(row.argument_names, (), (), (), arguments, values_in_tuple([()]), row.name)
    return lower(builder.finish(frame, [builder.step(row, tuple(range(row.arity)))]), supported)


def place_of(builder: Builder, item: Any) -> int:
    """Return the number of a term or a constant in the program being built."""
    return item.place if type(item) is _Term else builder.constant(float(item))


class _Term(Operators):
    """A value while a definition runs: operations on it become steps."""

    __slots__ = ("builder", "emit", "place")
    __apply_rank__ = 100

    def __init__(self, builder: Builder, emit: Rule, place: int) -> None:
        self.builder, self.emit, self.place = builder, emit, place

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> _Term:
        term = next(arg for arg in args if type(arg) is _Term)
        places = tuple([place_of(term.builder, arg) for arg in args])
        return _Term(term.builder, term.emit, term.emit(term.builder, row, places))


def _either(first: Any, second: Any) -> Any:
    return maximum(first, second)


def _both(first: Any, second: Any) -> Any:
    return minimum(first, second)


def _is_infinite(x: Any) -> Any:
    return equal(abs(x), inf)


def _is_nan(x: Any) -> Any:
    return not_equal(x, x)


# ---- arithmetic ----


def _remainder(x: Any, y: Any) -> Any:
    rest = fmod(x, y)
    turned = not_equal(less(y, 0.0), less(rest, 0.0))
    return where(rest, where(turned, rest + y, rest), copysign(0.0, y))


def _floor_divide(x: Any, y: Any) -> Any:
    """Follow CPython's float_floor_div step by step, so that rounding is the same."""
    rest = fmod(x, y)
    quotient = (x - rest) / y
    turned = where(rest, not_equal(less(y, 0.0), less(rest, 0.0)), 0.0)
    quotient = where(turned, quotient - 1.0, quotient)
    below = floor(quotient)
    below = where(less(0.5, quotient - below), below + 1.0, below)
    return where(equal(y, 0.0), x / y, where(quotient, below, copysign(0.0, x / y)))


def _sign(x: Any) -> Any:
    return where(less(0.0, abs(x)), copysign(1.0, x), x)


def _xlogy(x: Any, y: Any) -> Any:
    product = x * log(y)
    return where(equal(x, 0.0), where(equal(y, y), 0.0, product), product)


def _strong_mul(x: Any, y: Any) -> Any:
    product = x * y
    return where(equal(product, product), product, where(equal(x, 0.0), 0.0, where(equal(y, 0.0), 0.0, product)))


def _fraction(x: Any, y: Any) -> Any:
    total = x + y
    is_much = _is_infinite(total)
    share = where(is_much, 0.5 * x, x) / where(is_much, 0.5 * x + 0.5 * y, total)
    return where(_both(is_much, _is_infinite(x)), where(_is_infinite(y), 0.5, 1.0), share)


def _unit(x: Any, y: Any, near: float = 1e-300, scaling: float = 2.0**600) -> Any:
    r = hypot(x, y)
    scale = where(less(1.0, r), 1.0 / scaling, scaling)
    u, v = x * scale, y * scale
    plain = where(_is_infinite(y), x / r, u / hypot(u, v))
    infinite = where(equal(y, y), copysign(where(_is_infinite(y), math.sqrt(0.5), 1.0), x), nan)
    beyond = where(_is_infinite(x), infinite, plain)
    beyond = where(_both(equal(x, 0.0), equal(y, 0.0)), x, beyond)
    return where(_both(less(near, r), less(r, inf)), x / r, where(_is_nan(r), x / r, beyond))


def _unit_in_single(x: Any, y: Any) -> Any:
    return _unit(x, y, near=2.0**-100, scaling=2.0**90)


# ---- exponentials, hyperbolic functions and activations ----


def _sigmoid(x: Any) -> Any:
    power = exp(-abs(x))
    return where(less_equal(0.0, x), 1.0, power) / (1.0 + power)


def _softplus(x: Any) -> Any:
    return where(less(x, 0.0), 0.0, x) + log1p(exp(-abs(x)))


def _silu_slope(x: Any) -> Any:
    left, right = table.sigmoid(x), table.sigmoid(-x)
    distance = (x - ieee._SILU_ZERO) - ieee._SILU_ZERO_MORE
    below = where(equal(left, 0.0), -0.0, left * right * (distance + ieee._SILU_EXP * expm1(distance)))
    return where(less(x, 0.0), below, where(equal(x, inf), 1.0, left * (1.0 + x * right)))


def _celu(x: Any, alpha: Any) -> Any:
    quotient = x / alpha
    root = exp(0.5 * quotient)
    curve = where(less(700.0, quotient), alpha * root * root, alpha * expm1(quotient))
    return where(_either(less_equal(0.0, x), less(abs(quotient), 1e-17)), x, curve)


def _power_of(x: Any) -> Any:
    """Return exp(-2 |x|), from which sech² and tanh of x, and the sigmoid of 2 x, can all be computed."""
    step = x.builder.step_of(x.place)
    if step is not None and step.op is table.mul and x.builder.constant_of(step.args[0]) == 0.5:
        # Twice the half of a number, as in the slope of a sigmoid, is the number.
        return exp(-abs(_Term(x.builder, x.emit, step.args[1])))
    return exp(-(2.0 * abs(x)))


def _sech_square(x: Any) -> Any:
    power = _power_of(x)
    return 4.0 * power / square(1.0 + power)


# Of (tanh(x) - x) / x**3 by powers of x**2, by mpmath's chebyfit on [0, 0.35**2]: tanh(x) / x is within 4e-17.
_TANH = (
    -0.33333333333333304,
    0.13333333333301503,
    -0.05396825391358124,
    0.021869484951957927,
    -0.008863119842786685,
    0.0035900917605044885,
    -0.0014358164861327776,
    0.00048549939897704625,
)


def _tanh(x: Any) -> Any:
    power, size = _power_of(x), abs(x)
    area = square(size)
    series: Any = _TANH[-1]
    for coefficient in reversed(_TANH[:-1]):
        series = series * area + coefficient
    small = size * area * series + size
    return copysign(where(less(size, 0.35), small, (1.0 - power) / (1.0 + power)), x)


def _log_add_exp(x: Any, y: Any) -> Any:
    top = where(less(y, x), x, y)
    return top + log1p(where(equal(x, y), 1.0, exp(-abs(x - y))))


def _exp_remainder(x: Any) -> Any:
    series: Any = 0.0
    for k in range(19, 1, -1):
        series = series * x - (k - 1) / math.factorial(k)
    plain = where(less(-800.0, x), expm1(x) - x * exp(x), -1.0)
    far = where(less(700.0, x), -exp(x + log(x - 1.0)), plain)
    return where(less(0.5, abs(x)), far, series * x * x)


# ---- special functions ----


def _sine_pi(x: Any) -> Any:
    size = abs(x)
    # Exact, as fmod(size, 2) is.
    r = size - 2.0 * floor(0.5 * size)
    half = where(less_equal(1.0, r), -1.0, 1.0)
    r = where(less_equal(1.0, r), r - 1.0, r)
    # One sine serves left and right, one cosine the middle.
    middle = _both(less(0.25, r), less_equal(r, 0.75))
    side = table.sin(pi * where(less_equal(r, 0.25), r, 1.0 - r))
    return copysign(1.0, x) * half * where(middle, table.cos(pi * (0.5 - r)), side) + 0.0


def _sinc(x: Any) -> Any:
    return where(_is_infinite(x), 0.0, where(equal(x, 0.0), 1.0, _sine_pi(x) / (pi * x)))


def _normal_pdf(x: Any) -> Any:
    return exp(-0.5 * x * x) / special._SQRT_2PI


def _normal_cdf(x: Any) -> Any:
    return 0.5 * erfc(-x / math.sqrt(2.0))


def _gelu_slope(x: Any) -> Any:
    distance = (x - special._GELU_ROOT_HIGH) - special._GELU_ROOT_LOW
    series: Any = 0.0
    for coefficient in reversed(special._AT_GELU_ROOT):
        series = (series + coefficient) * distance
    far = where(_is_infinite(x), less(0.0, x), table.normal_cdf(x) + x * table.normal_pdf(x))
    return where(less(0.01, abs(distance)), far, series)


def _erfinv(x: Any) -> Any:
    size = abs(x)
    logarithm = log1p(-size) + log1p(size)
    middle = 2.0 / (pi * 0.147) + 0.5 * logarithm
    y = sqrt(-logarithm / 0.147 / (sqrt(middle * middle - logarithm / 0.147) + middle))
    near = less(size, 0.5)
    for _ in range(3):
        error = where(near, erf(y) - size, (1.0 - size) - erfc(y))
        step = error / (2.0 / special._SQRT_PI * exp(-y * y))
        y = y - step / (1.0 + y * step)
    inside = where(less(size, 1e-9), x * (0.5 * special._SQRT_PI), copysign(y, x))
    return where(less(size, 1.0), inside, where(equal(size, 1.0), copysign(inf, x), nan))


# ---- any number of arguments ----


def _sum(*xs: Any) -> Any:
    return reduce(table.add, xs, 0.0)


def _mean(*xs: Any) -> Any:
    value = _sum(*xs) / len(xs)
    return where(less(abs(value), inf), value, _sum(*[x / len(xs) for x in xs]))


def _dot(*xs: Any) -> Any:
    # Each product comes right before the sum that takes it: compiled, the two are one instruction.
    half = len(xs) // 2
    return reduce(lambda total, pair: total + pair[0] * pair[1], zip(xs[:half], xs[half:], strict=True), 0.0)


def _norm(*xs: Any, far: float = 1e140, scaling: float = 2.0**600) -> Any:
    sizes = [abs(x) for x in xs]
    # Unlike maximum, this passes over nan: an infinity wins over it.
    top = reduce(lambda top, size: where(less(top, size), size, top), sizes, 0.0)
    small, great = less(top, 1.0 / far), less(far, top)
    scale = where(great, 1.0 / scaling, where(small, scaling, 1.0))
    back = where(great, scaling, where(small, 1.0 / scaling, 1.0))
    scaled = [size * scale for size in sizes]
    return where(equal(top, inf), inf, sqrt(_sum(*[size * size for size in scaled])) * back)


def _norm_in_single(*xs: Any) -> Any:
    return _norm(*xs, far=2.0**50, scaling=2.0**90)


def _log_sum_exp(*xs: Any) -> Any:
    top = reduce(maximum, xs)
    rest: Any = 0.0
    taken: Any = 0.0
    # The greatest term is exactly 1 and left to log1p; of several such terms only the first is.
    for x in xs:
        is_top = equal(x, top)
        rest = rest + where(is_top, taken, exp(x - top))
        taken = _either(taken, is_top)
    return where(less(abs(top), inf), top + log1p(rest), top)


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "pos": lambda x: x,
    "stop_gradient": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "rsqrt": lambda x: 1.0 / sqrt(x),
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "sign": _sign,
    "clip": lambda x, low, high: minimum(maximum(x, low), high),
    "xlogy": _xlogy,
    "strong_mul": _strong_mul,
    "strong_sub": lambda x, y: where(equal(x, y), 0.0, x - y),
    "fraction": _fraction,
    "share": lambda x, y: x * (1.0 / (x + y)),
    "unit": _unit,
    "one_minus_square": lambda x: (1.0 - x) * (1.0 + x),
    "degrees": lambda x: x * (180.0 / pi),
    "radians": lambda x: x * (pi / 180.0),
    "relu": lambda x: where(less_equal(x, 0.0), 0.0, x),
    "leaky_relu": lambda x, slope: where(less(0.0, x), x, slope * x),
    "elu": lambda x, alpha: where(less_equal(0.0, x), x, alpha * expm1(x)),
    "celu": _celu,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "log_sigmoid": lambda x: -table.softplus(-x),
    "softsign": lambda x: where(_is_infinite(x), copysign(1.0, x), x / (1.0 + abs(x))),
    "silu": lambda x: where(equal(x, -inf), -0.0, x * table.sigmoid(x)),
    "silu_slope": _silu_slope,
    "mish": lambda x: where(equal(x, -inf), -0.0, x * tanh(table.softplus(x))),
    "sech_square": _sech_square,
    "tanh": _tanh,
    "logaddexp": _log_add_exp,
    "exp_remainder": _exp_remainder,
    "sinc": _sinc,
    "normal_pdf": _normal_pdf,
    "normal_cdf": _normal_cdf,
    "gelu": lambda x: where(equal(x, -inf), -0.0, x * table.normal_cdf(x)),
    "gelu_slope": _gelu_slope,
    "erfinv": _erfinv,
    "sum": _sum,
    "mean": _mean,
    "dot": _dot,
    "norm": _norm,
    "logsumexp": _log_sum_exp,
}
"""How to write a row in more basic rows, by the row's name."""
_IN_SINGLE: dict[str, Callable[..., Any]] = {"norm": _norm_in_single, "unit": _unit_in_single}
_DELICATE = "celu exp_remainder gelu gelu_slope logaddexp mish normal_cdf normal_pdf silu_slope xlogy"
DELICATE = frozenset(_DELICATE.split())
"""Rows whose definition loses more than a few units in the last place where it is computed in single precision."""
