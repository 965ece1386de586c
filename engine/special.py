"""Evaluate the special functions that Python's `math` lacks, to a few units in the last place, on plain floats."""

from __future__ import annotations

import math

from .ieee import cosine_pi, div, exp, sine_pi, total
from .ieee import pow as power

inf, nan = math.inf, math.nan

# B(2k) for k = 1, 2, ...: the Bernoulli numbers of the asymptotic series (NIST DLMF 24.2.1, 5.11.2, 5.15.8).
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
)  # fmt: skip
_GREATEST_ORDER = 150.0  # of polygamma and spherical_sinc: beyond it factorials leave the range of doubles
_SQRT_PI = math.sqrt(math.pi)
_SQRT_2PI = math.sqrt(2.0 * math.pi)

erf, erfc = math.erf, math.erfc


def gamma(x: float) -> float:
    """Return the gamma function: infinite at 0 (with its sign), nan at negative integers and -inf."""
    if x == 0.0:
        return math.copysign(inf, x)
    try:
        return math.gamma(x)
    except OverflowError:
        return inf
    except ValueError:
        return nan


lgamma = total(math.lgamma, pole=inf)


def erfinv(x: float) -> float:
    """Return y with erf(y) = x: infinite at -1 and 1, nan beyond.

    Near 1 the equation is solved for erfc, so that no digit of ``1 - x`` is lost.

    >>> erfinv(0.5)
    0.4769362762044699
    """
    size = abs(x)
    if not size < 1.0:
        return math.copysign(inf, x) if size == 1.0 else nan
    if size < 1e-9:
        return x * (0.5 * _SQRT_PI)
    # Start from Winitzki's approximation (relative error below 0.002), then Halley's method.
    logarithm = math.log1p(-size) + math.log1p(size)
    middle = 2.0 / (math.pi * 0.147) + 0.5 * logarithm
    # sqrt(middle**2 - c) - middle cancels for small x; this is the same without the difference.
    y = math.sqrt(-logarithm / 0.147 / (math.sqrt(middle * middle - logarithm / 0.147) + middle))
    for _ in range(3):
        error = (math.erf(y) - size) if size < 0.5 else ((1.0 - size) - math.erfc(y))
        step = error / (2.0 / _SQRT_PI * math.exp(-y * y))
        y -= step / (1.0 + y * step)
    return math.copysign(y, x)


def normal_pdf(x: float) -> float:
    """Return the density of the standard normal distribution."""
    return math.exp(-0.5 * x * x) / _SQRT_2PI


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function, accurate in the lower tail."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def digamma(x: float) -> float:
    """Return the logarithmic derivative of gamma; nan at negative integers, infinite at 0."""
    if x <= 0.0:
        if x == 0.0:
            return -math.copysign(inf, x)
        if x == -inf or x == math.floor(x):
            return nan
        # Reflection, DLMF 5.5.4.
        return digamma(1.0 - x) - math.pi * cosine_pi(x) / sine_pi(x)
    distance = (x - _ROOT_HIGH) - _ROOT_LOW
    if abs(distance) < 0.4:
        value = 0.0
        for coefficient in reversed(_AT_ROOT):
            value = value * distance + coefficient
        return value * distance
    value = 0.0
    while x < 10.0:
        value -= 1.0 / x
        x += 1.0
    if x == inf or x != x:
        return x
    square = 1.0 / x / x
    series = 0.0
    for k in range(len(_BERNOULLI), 0, -1):
        series = (series + _BERNOULLI[k - 1] / (2 * k)) * square
    return value + (math.log(x) - 0.5 / x - series)


def polygamma(n: float, x: float) -> float:
    """Return the n-th derivative of digamma, for integers n >= 0; nan for other n."""
    if n == 0.0:
        return digamma(x)
    if not (0.0 < n <= _GREATEST_ORDER) or n != math.floor(n) or x != x:
        return nan
    order = int(n)
    if x <= 0.0:
        if x == -inf or x == math.floor(x):
            return inf if order % 2 or x == -inf else nan
        # Reflection, DLMF 5.15.6.
        mirrored = polygamma(n, 1.0 - x) * (-1.0 if order % 2 else 1.0)
        return mirrored - math.pi * _cotangent_derivative(order, x)
    if x == inf:
        return 0.0
    factorial = float(math.factorial(order))
    value = 0.0
    while x < 15.0 + order:
        value += div(factorial, power(x, n + 1.0))
        x += 1.0
    # DLMF 5.15.8, each term (2k+n-1)!/(2k)!/x**(2k+n) made from the one before.
    term = factorial / order * power(x, -n)
    value += term + 0.5 * term * order / x
    term *= order * 0.5 / x * (order + 1.0) / x
    for k, bernoulli in enumerate(_BERNOULLI, start=1):
        value += bernoulli * term
        term *= (2 * k + order) / (2 * k + 1.0) * ((2 * k + order + 1) / (2 * k + 2.0)) / x / x
    return value if order % 2 else -value


def _cotangent_derivative(order: int, x: float) -> float:
    """Return the derivative of that order of cot(pi x), a polynomial in cot(pi x)."""
    polynomial = [0.0, 1.0]
    for _ in range(order):
        derivative = [k * c for k, c in enumerate(polynomial)][1:]
        # cot' = -(1 + cot**2)
        polynomial = [-(a + b) for a, b in zip([*derivative, 0.0, 0.0], [0.0, 0.0, *derivative], strict=True)]
    cotangent = div(cosine_pi(x), sine_pi(x))
    value = 0.0
    for coefficient in reversed(polynomial):
        value = value * cotangent + coefficient
    return value * math.pi**order


def sinc(x: float) -> float:
    """Return sin(pi x)/(pi x), 1 at 0."""
    return sine_pi(x) / (math.pi * x) if x != 0.0 else 1.0


def spherical_sinc(n: float, x: float) -> float:
    """Return the spherical Bessel function j of order n at pi x; order 0 is `sinc`.

    These are the derivatives of sinc without its removable singularity (DLMF 10.51.2).
    """
    if not (-1.0 <= n <= _GREATEST_ORDER) or n != math.floor(n):
        return nan
    order = int(n)
    z = math.pi * abs(x)
    sign = -1.0 if x < 0.0 and order % 2 else 1.0
    if order < 0:
        return math.copysign(1.0, x) * div(cosine_pi(x), z)
    if math.isinf(z):
        return 0.0 if math.isfinite(x) else nan
    if z > max(order, 1.0):
        # Upward recurrence, stable here: j(n+1) = (2n+1)/z j(n) - j(n-1).
        before, value = cosine_pi(x) / z, sine_pi(abs(x)) / z
        for k in range(order):
            before, value = value, (2 * k + 1) / z * value - before
        return sign * value
    term = 1.0
    for k in range(1, order + 1):
        term *= z / (2 * k + 1)
    value, k = term, 0
    while abs(term) > 1e-17 * abs(value):
        k += 1
        term *= -0.5 * z * z / (k * (2 * order + 2 * k + 1))
        value += term
    return sign * value


def exp_remainder(x: float) -> float:
    """Return expm1(x) - x exp(x), which is -x**2/2 at first, without cancellation."""
    if abs(x) > 0.5:
        return math.expm1(x) - x * math.exp(x) if x < 700.0 else -exp(x + math.log(x - 1.0))
    # -sum over k >= 2 of (k - 1)/k! x**k
    value = 0.0
    for k in range(19, 1, -1):
        value = value * x - (k - 1) / math.factorial(k)
    return value * x * x


# digamma's positive root in two parts, and its Taylor coefficients there (mpmath: taylor(digamma, root, 40)).
_ROOT_HIGH, _ROOT_LOW = 1.4616321449683622, 9.549995429965697e-17
_AT_ROOT = (
    0.9676722454476212, -0.4427631689835921, 0.258499760955651, -0.16394270544240652, 0.10782405069126237,
    -0.07219956125645471, 0.04880428816414311, -0.03316112647484736, 0.022597648232218104, -0.01542476590494896,
    0.010538791616612175, -0.007204534386356869, 0.004926781395729853, -0.003369801655439328, 0.002305126326734928,
    -0.0015769367714301972, 0.0010788252019162967, -0.0007380709389960052, 0.000504953265834602,
    -0.0003454680251063077, 0.00023635601564027053, -0.00016170622091974803, 0.0001106337276874741,
    -7.569179582195066e-05, 5.178575795222081e-05, -3.5430070947659604e-05, 2.424006611860132e-05,
    -1.6584242271854135e-05, 1.134638458466385e-05, -7.762817668462094e-06, 5.3110609208898636e-06,
    -3.6336507898010456e-06, 2.486022733129538e-06, -1.7008538854332607e-06, 1.1636675363548843e-06,
)  # fmt: skip
