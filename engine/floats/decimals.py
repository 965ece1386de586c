"""Compute a few functions with 60 digits, at the arguments where doubles cancel: close to zeros of the result.

Each takes doubles as they stand and returns the double nearest to the true result, or the one beside it. A call costs
some tenths of a millisecond; `ieee` and `special` come here only where a sum has lost two digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal, localcontext
from functools import cache
from typing import TypeVar

_DIGITS = 60
_LARGE = 50  # from here on 30 terms of the asymptotic series give all digits
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798215"
)

Number = TypeVar("Number", float, Decimal)


def log_sum_exp(xs: Sequence[float]) -> float:
    """Return log of the sum of exp(x), where that sum is close to 1."""
    top = max(xs)
    with localcontext(_context(2 * math.ceil(-math.log10(abs(top))) if abs(top) < 1.0 else 0)):
        return float(sum((Decimal(x).exp() for x in xs), Decimal(0)).ln())


def log_gamma(x: float) -> float:
    """Return log(abs(gamma(x))) left of 0, by reflection (NIST DLMF 5.5.3)."""
    with localcontext(_context()):
        return float((_PI / abs(_sine_pi(x))).ln() - _log_gamma(1 - Decimal(x)))


def polygamma(order: int, x: float) -> float:
    """Return the derivative of digamma of that order (0 for itself) left of 0, by reflection (NIST DLMF 5.15.6)."""
    with localcontext(_context()):
        reflected = cotangent_derivative(order, _cosine_pi(x) / _sine_pi(x)) * _PI ** (order + 1)
        return float(_polygamma(order, 1 - Decimal(x)) * (-1) ** order - reflected)


def sinc_derivative(order: int, x: float) -> float:
    """Return the derivative of sin(pi x)/(pi x) of that order."""
    size = abs(x)
    # The series has terms as great as exp(pi x).
    with localcontext(_context(order + (30 if size < 20.0 else 0))):
        z = _PI * Decimal(size)
        if size < 20.0:
            value = sinc_series(order, z, Decimal(10) ** -_DIGITS)
        else:
            value = sum(sinc_terms(order, 1 / z, _sine_pi(size), _cosine_pi(size)), Decimal(0))
        return float(value * _PI**order) * (-1.0 if x < 0.0 and order % 2 else 1.0)


# ---- formulas for floats and Decimals alike ----


def sinc_series(order: int, z: Number, smallest: Number) -> Number:
    """Return the derivative of sin(z)/z of that order: the sum of (-1)**j z**m / m! / (2j+1) over 2j = m + order."""
    m = order % 2
    j = (order + m) // 2
    term = z**m * (-1) ** j
    value = term / (2 * j + 1)
    while m <= z or abs(term) > smallest * abs(value):
        term *= -z * z / ((m + 1) * (m + 2))
        m, j = m + 2, j + 1
        value += term / (2 * j + 1)
        if term == 0:
            break
    return value


def sinc_terms(order: int, inverse: Number, sine: Number, cosine: Number) -> Iterator[Number]:
    """Yield the terms of Leibniz's rule for the derivative of sin(z) * 1/z of that order; `inverse` is 1/z."""
    derivatives = (sine, cosine, -sine, -cosine)
    factor = inverse
    for k in range(order + 1):
        yield factor * derivatives[(order - k) % 4]
        factor *= -(order - k) * inverse


def cotangent_derivative(order: int, cotangent: Number) -> Number:
    """Return the derivative of cot of that order, from the cotangent itself."""
    value = cotangent * 0
    for coefficient in reversed(_cotangent_polynomial(order)):
        value = value * cotangent + coefficient
    return value


@cache
def _cotangent_polynomial(order: int) -> tuple[int, ...]:
    """Return the coefficients, all of one sign, of the derivative of cot of that order in powers of cot."""
    polynomial = [0, 1]
    for _ in range(order):
        derivative = [k * c for k, c in enumerate(polynomial)][1:]
        # cot' = -(1 + cot**2)
        polynomial = [-(a + b) for a, b in zip([*derivative, 0, 0], [0, 0, *derivative], strict=True)]
    return tuple(polynomial)


# ---- Decimals only ----


def _context(more: int = 0) -> Context:
    return Context(prec=_DIGITS + more, Emin=-999999, Emax=999999)


def _log_gamma(x: Decimal) -> Decimal:
    product = Decimal(1)
    while x < _LARGE:
        product *= x
        x += 1
    value = (x - Decimal("0.5")) * x.ln() - x + (2 * _PI).ln() / 2 - product.ln()
    for k, bernoulli in enumerate(_bernoulli(), start=1):
        value += bernoulli / (2 * k * (2 * k - 1)) / x ** (2 * k - 1)
    return value


def _polygamma(order: int, x: Decimal) -> Decimal:
    factorial = math.factorial(order)
    value = Decimal(0)
    while x < _LARGE + order:
        value += factorial / x ** (order + 1)
        x += 1
    value += (math.factorial(order - 1) / x**order if order else -x.ln()) + factorial / (2 * x ** (order + 1))
    for k, bernoulli in enumerate(_bernoulli(), start=1):
        value += bernoulli * math.perm(2 * k + order - 1, order) / (2 * k) / x ** (2 * k + order)
    return value if order % 2 else -value


@cache
def _bernoulli(count: int = 30) -> tuple[Decimal, ...]:
    """Return the Bernoulli numbers B(2), B(4), ... by way of the tangent numbers.

    Those are whole numbers, and so is all on the way to them (Brent and Harvey 2011, Fast Computation of Bernoulli,
    Tangent and Secant Numbers, section 4).
    """
    tangent = [math.factorial(max(0, k - 1)) for k in range(count + 1)]
    for k in range(2, count + 1):
        for j in range(k, count + 1):
            tangent[j] = (j - k) * tangent[j - 1] + (j - k + 2) * tangent[j]
    with localcontext(_context(_DIGITS)):
        return tuple([Decimal((-1) ** (k - 1) * 2 * k * tangent[k]) / (4**k * (4**k - 1)) for k in range(1, count + 1)])


def _sine_pi(x: float) -> Decimal:
    r = math.fmod(x, 2.0)
    if abs(r) > 1.0:
        r -= math.copysign(2.0, r)
    if abs(r) > 0.5:
        r = math.copysign(1.0, r) - r
    return _sine(_PI * Decimal(r))


def _cosine_pi(x: float) -> Decimal:
    r = math.fmod(abs(x), 2.0)
    return _sine(_PI * (Decimal("0.5") - Decimal(2.0 - r if r > 1.0 else r)))


def _sine(angle: Decimal) -> Decimal:
    term = total = angle
    k = 1
    while abs(term) > abs(total) * Decimal(10) ** -(_DIGITS + 10):
        k += 2
        term *= -angle * angle / (k * (k - 1))
        total += term
    return total
