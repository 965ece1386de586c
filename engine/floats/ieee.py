"""IEEE 754 versions of math functions: each is total, and returns inf or nan where `math` raises."""

from __future__ import annotations

import math
from collections.abc import Callable

from . import decimals

inf, nan = math.inf, math.nan

# The zero of silu' in two doubles, and exp there.
_SILU_ZERO, _SILU_ZERO_MORE, _SILU_EXP = -1.2784645427610737, -1.0946994183093437e-16, 0.2784645427610738


def total(function: Callable[..., float], pole: float = nan, overflow: float = inf) -> Callable[..., float]:
    """Make a `math` function total: return `pole` for a domain error and `overflow` for an overflow.

    >>> total(math.log, pole=nan)(-1.0)
    nan
    """

    def evaluate(*xs: float) -> float:
        try:
            return function(*xs)
        except OverflowError:
            return overflow
        except ValueError:
            return pole

    evaluate.__name__ = function.__name__
    return evaluate


sin, cos, tan = total(math.sin), total(math.cos), total(math.tan)
asin, acos, acosh = total(math.asin), total(math.acos), total(math.acosh)
sqrt, exp, exp2, expm1 = total(math.sqrt), total(math.exp), total(math.exp2), total(math.expm1)
cosh = total(math.cosh)
tanh = math.tanh
fmod = total(math.fmod)


def sinh(x: float) -> float:
    """Return the hyperbolic sine; beyond the range of doubles, infinity with the sign of `x`."""
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(inf, x)


def atanh(x: float) -> float:
    """Return the inverse hyperbolic tangent: infinite at -1 and 1, nan beyond."""
    if abs(x) == 1.0:
        return math.copysign(inf, x)
    return math.atanh(x) if abs(x) < 1.0 else nan


def _logarithm(function: Callable[[float], float], pole: float) -> Callable[[float], float]:
    def evaluate(x: float) -> float:
        if x > pole:
            return function(x)
        return -inf if x == pole else nan

    return evaluate


log, log2, log10 = _logarithm(math.log, 0.0), _logarithm(math.log2, 0.0), _logarithm(math.log10, 0.0)
log1p = _logarithm(math.log1p, -1.0)


def div(x: float, y: float) -> float:
    """Divide; division by zero gives an infinity with the sign of the quotient, and 0/0 gives nan.

    >>> div(1.0, -0.0)
    -inf
    """
    if y != 0.0:
        return x / y
    if x == 0.0 or x != x:
        return nan
    return math.copysign(inf, x) * math.copysign(1.0, y)


def pow(x: float, y: float) -> float:
    """Raise `x` to the power `y` as C's pow does.

    >>> pow(0.0, -1.0), pow(-8.0, 1 / 3), pow(-10.0, 309.0)
    (inf, nan, -inf)
    """
    try:
        return math.pow(x, y)
    except OverflowError:
        return -inf if x < 0.0 and math.fmod(y, 2.0) != 0.0 else inf
    except ValueError:
        if x != 0.0:
            return nan
        odd = math.fmod(y, 2.0) in (1.0, -1.0)
        return math.copysign(inf, x) if odd else inf


_EVEN, _PARTS = 2.0**24, 2.0**23  # as the rule of powers has them: y - 1 is exact of so many parts of 1, up to there


def power_slope(x: float, y: float) -> float:
    """Return the derivative of ``x**y`` by `x` as the row's rule does; nan if that is to. `slopes.h` has it for graphs.

    >>> power_slope(3.0, 2.0), power_slope(8.0, 1 / 3), power_slope(-8.0, 0.7)
    (6.0, 0.08333333333333333, nan)
    """
    if 1.0 <= y <= _EVEN or (-_EVEN < y < 1.0 and y * _PARTS % 1.0 == 0.0):
        return y * pow(x, y - 1.0)
    if x != 0.0 and math.fabs(y) <= 0.5:
        power = pow(x, y)
        return y * power / x if math.fabs(power) < inf else nan
    if x <= 0.0:
        return nan
    less_one = y - 1.0
    taken = less_one - y
    lost = (y - (less_one - taken)) - (1.0 + taken)
    power = pow(x, less_one)
    power = power + power * (lost * log(x)) if lost else power
    return y * power if math.fabs(power) < inf else nan


def remainder(x: float, y: float) -> float:
    """Return Python's ``x % y``, whose sign is that of `y`; nan for a zero `y`."""
    try:
        return x % y
    except ZeroDivisionError:
        return nan


def floor_divide(x: float, y: float) -> float:
    """Return Python's ``x // y``; division by zero as `div` has it."""
    return x // y if y != 0.0 else div(x, y)


def _integral(function: Callable[[float], float]) -> Callable[[float], float]:
    def evaluate(x: float) -> float:
        # Adding nothing above 2**52 also keeps inf and nan; copysign keeps -0.0.
        return math.copysign(float(function(x)), x) if abs(x) < 4503599627370496.0 else x

    return evaluate


floor, ceil, trunc, round = _integral(math.floor), _integral(math.ceil), _integral(math.trunc), _integral(round)


def sign(x: float) -> float:
    """Return -1, 0 or 1; a zero and nan are returned as they are."""
    return math.copysign(1.0, x) if x < 0.0 or x > 0.0 else x


def maximum(x: float, y: float) -> float:
    """Return the greater of two; nan if either is."""
    return x + y if x != x or y != y else (x if x > y or (x == y and math.copysign(1.0, y) < 0) else y)


def minimum(x: float, y: float) -> float:
    """Return the lesser of two; nan if either is."""
    return -maximum(-x, -y)


def clip(x: float, low: float, high: float) -> float:
    """Limit `x` to the range from `low` to `high`; nan if any argument is."""
    return minimum(maximum(x, low), high)


def fma(x: float, y: float, z: float) -> float:
    """Return ``x * y + z`` rounded once.

    >>> fma(0.1, 10.0, -1.0)
    5.551115123125783e-17
    """
    plain = x * y + z
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        return plain
    (a, b), (c, d), (e, f) = [number.as_integer_ratio() for number in (x, y, z)]
    above, below = a * c * f + e * b * d, b * d * f
    if above == 0:
        return plain if x == 0.0 or y == 0.0 or z == 0.0 else 0.0
    try:
        return above / below  # of two ints, which Python rounds correctly
    except OverflowError:
        return inf if above > 0 else -inf


def hypot(x: float, y: float) -> float:
    """Return sqrt(x*x + y*y) by C's hypot, which rounds better than Python's own; an infinity wins over nan.

    >>> hypot(math.nan, 1.0), hypot(math.nan, -math.inf)
    (nan, inf)
    """
    # Of nan and infinities CPython 3.11's abs reads an errno that it did not set: an older overflow would raise here.
    if not (math.isfinite(x) and math.isfinite(y)):
        return math.hypot(x, y)
    try:
        return abs(complex(x, y))
    except OverflowError:
        return inf


def cbrt(x: float) -> float:
    """Return the real cube root, also of negative numbers."""
    return math.cbrt(x)


def strong_mul(x: float, y: float) -> float:
    """Multiply; a factor that is exactly 0 wins over inf and nan."""
    product = x * y
    return product if product == product or (x != 0.0 and y != 0.0) else 0.0


def unit(x: float, y: float) -> float:
    """Return x / hypot(x, y): `x` itself at the origin; two infinities count as equal."""
    r = hypot(x, y)
    if 1e-300 < r < inf:
        return x / r
    if x == 0.0 and y == 0.0:
        return x
    if math.isinf(x):
        return math.copysign(math.sqrt(0.5) if math.isinf(y) else 1.0, x) if y == y else nan
    if math.isinf(y) or r != r:
        return x / r
    scale = 2.0**-600 if r > 1.0 else 2.0**600
    x, y = x * scale, y * scale
    return x / hypot(x, y)


def fraction(x: float, y: float) -> float:
    """Return x / (x + y), also where the sum overflows; two infinities of one sign count as equal."""
    total = x + y
    if abs(total) < inf or total != total:
        return div(x, total)
    if math.isinf(x):
        return 0.5 if math.isinf(y) else 1.0
    return 0.5 * x / (0.5 * x + 0.5 * y)


def log_add_exp(x: float, y: float) -> float:
    """Return log(exp(x) + exp(y)) without overflow."""
    if x != x or y != y:
        return x + y
    top = x if x > y else y
    value = top + math.log1p(math.exp(-abs(x - y)) if x != y else 1.0)
    return value if abs(value) >= 0.01 * abs(top) else decimals.log_sum_exp((x, y))


def log_sum_exp(*xs: float) -> float:
    """Return log of the sum of exp(x) without overflow."""
    top = max(xs)
    if not math.isfinite(top) or any(x != x for x in xs):
        return total_sum(*xs) if any(x != x for x in xs) else top
    # The greatest term is exactly 1: log1p of the others keeps the digits when it dominates.
    rest = [math.exp(x - top) for x in xs]
    rest.remove(1.0)
    value = top + math.log1p(math.fsum(rest))
    return value if abs(value) >= 0.01 * abs(top) else decimals.log_sum_exp(xs)


def xlogy(x: float, y: float) -> float:
    """Return ``x * log(y)``, and 0 for a zero `x` (nan only for a nan `y`)."""
    return 0.0 if x == 0.0 and y == y else x * log(y)


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)), accurate in both tails."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    power = math.exp(x)
    return power / (1.0 + power)


def softplus(x: float) -> float:
    """Return log(1 + exp(x)), accurate in both tails."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def silu(x: float) -> float:
    """Return x sigmoid(x)."""
    return x * sigmoid(x) if x != -inf else -0.0


def silu_slope(x: float) -> float:
    """Return the derivative of silu, s (1 + x (1 - s)) for s = sigmoid(x); its zero is near -1.28."""
    left, right = sigmoid(x), sigmoid(-x)
    if not x < 0.0:
        return left * (1.0 + x * right) if x != inf else 1.0
    # It is s (1 - s) (1 + x + exp(x)); the last factor, less what that is at its zero, is two terms of the same sign.
    distance = (x - _SILU_ZERO) - _SILU_ZERO_MORE
    return left * right * (distance + _SILU_EXP * math.expm1(distance)) if left != 0.0 else -0.0


def mish(x: float) -> float:
    """Return x tanh(softplus(x))."""
    return x * math.tanh(softplus(x)) if x != -inf else -0.0


def softsign(x: float) -> float:
    """Return x / (1 + abs(x))."""
    return x / (1.0 + abs(x)) if abs(x) < inf or x != x else math.copysign(1.0, x)


def celu(x: float, alpha: float) -> float:
    """Return x above 0, alpha expm1(x / alpha) below."""
    quotient = div(x, alpha)
    if x >= 0.0 or abs(quotient) < 1e-17:
        return x
    if quotient > 700.0:
        root = exp(0.5 * quotient)
        return alpha * root * root
    return alpha * expm1(quotient)


def sech_square(x: float) -> float:
    """Return 1 / cosh(x)**2."""
    root = 1.0 / cosh(x)
    return root * root


def sine_pi(x: float) -> float:
    """Return sin(pi x); the argument is reduced without error, so integers give exactly 0.

    >>> sine_pi(1e15 + 0.5), sine_pi(3.0)
    (1.0, 0.0)
    """
    if not math.isfinite(x):
        return nan
    r = math.fmod(abs(x), 2.0)
    half, r = (-1.0, r - 1.0) if r >= 1.0 else (1.0, r)
    # Now 0 <= r < 1; the sine is taken where its argument is at most pi/4.
    if r <= 0.25:
        value = math.sin(math.pi * r)
    elif r <= 0.75:
        value = math.cos(math.pi * (0.5 - r))
    else:
        value = math.sin(math.pi * (1.0 - r))
    return math.copysign(1.0, x) * half * value + 0.0


def cosine_pi(x: float) -> float:
    """Return cos(pi x); the argument is reduced without error.

    >>> cosine_pi(0.5), cosine_pi(1e16 + 2)
    (0.0, 1.0)
    """
    if not math.isfinite(x):
        return nan
    r = math.fmod(abs(x), 2.0)
    r = 2.0 - r if r > 1.0 else r
    if r <= 0.25:
        return math.cos(math.pi * r)
    if r <= 0.75:
        return math.sin(math.pi * (0.5 - r))
    return -math.cos(math.pi * (1.0 - r))


def total_sum(*xs: float) -> float:
    """Add from left to right, like a chain of ``+``."""
    value = 0.0
    for x in xs:
        value += x
    return value


def mean(*xs: float) -> float:
    """Return the arithmetic mean, also where the sum overflows."""
    value = total_sum(*xs) / len(xs)
    return value if math.isfinite(value) else total_sum(*(x / len(xs) for x in xs))


def dot(*xs: float) -> float:
    """Return the inner product of the first half of the arguments with the second."""
    half = len(xs) // 2
    value = 0.0
    for x, y in zip(xs[:half], xs[half:], strict=True):
        value += x * y
    return value
