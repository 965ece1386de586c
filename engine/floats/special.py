"""Evaluate the special functions that Python's `math` lacks, to a few units in the last place, on plain floats.

Close to a zero of a function its terms cancel: there `decimals` adds them up.
"""

from __future__ import annotations

import math

from . import decimals
from .decimals import cotangent_derivative, sinc_series, sinc_terms
from .ieee import cosine_pi, div, exp, sine_pi, total
from .ieee import pow as power

inf, nan = math.inf, math.nan

# B(2k) for k = 1, 2, ...: the Bernoulli numbers of the asymptotic series (NIST DLMF 24.2.1, 5.11.2, 5.15.8).
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
)  # fmt: skip
# (-1)**k (zeta(k) - 1)/k for k = 2, 3, ...: lgamma around 1 and 2 (NIST DLMF 5.7.3).
_ZETA = (
    0.3224670334241132, -0.0673523010531981, 0.020580808427784546, -0.007385551028673986, 0.0028905103307415234,
    -0.001192753911703261, 0.0005096695247430425, -0.00022315475845357939, 9.945751278180853e-05,
    -4.492623673813314e-05,
    2.050721277567069e-05, -9.439488275268397e-06, 4.374866789907488e-06, -2.039215753801366e-06, 9.55141213040742e-07,
    -4.492469198764566e-07, 2.1207184805554665e-07, -1.0043224823968099e-07,
)  # fmt: skip
_ONE_MINUS_EULER = 0.42278433509846714
_GREATEST_ORDER = 150.0  # of polygamma and sinc_derivative: beyond it factorials leave the range of doubles
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
        return math.copysign(inf, x)  # left of 0 only right beside it
    except ValueError:
        return nan


_lgamma = total(math.lgamma, pole=inf)


def lgamma(x: float) -> float:
    """Return log(abs(gamma(x))): infinite at 0 and the negative integers."""
    if 0.75 < x < 1.25 or 1.75 < x < 2.25:
        z = x - 1.0 if x < 1.5 else x - 2.0
        value = 0.0
        for coefficient in reversed(_ZETA):
            value = (value + coefficient) * z
        value = (value + _ONE_MINUS_EULER) * z
        return value - math.log1p(z) if x < 1.5 else value
    value = _lgamma(x)
    if x < 0.0 and abs(value) < 0.05 * (1.0 + _lgamma(1.0 - x)):
        return decimals.log_gamma(x)
    return value


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


def gelu(x: float) -> float:
    """Return x normal_cdf(x)."""
    return x * normal_cdf(x) if x != -inf else -0.0


def gelu_slope(x: float) -> float:
    """Return the derivative of gelu, normal_cdf(x) + x normal_pdf(x); its zero is near -0.75."""
    distance = (x - _GELU_ROOT_HIGH) - _GELU_ROOT_LOW
    if abs(distance) > 0.01:
        return normal_cdf(x) + x * normal_pdf(x) if abs(x) != inf else float(x > 0.0)
    value = 0.0
    for coefficient in reversed(_AT_GELU_ROOT):
        value = (value + coefficient) * distance
    return value


def digamma(x: float) -> float:
    """Return the logarithmic derivative of gamma; nan at negative integers, infinite at 0."""
    if x <= 0.0:
        if x == 0.0:
            return -math.copysign(inf, x)
        if x == -inf or x == math.floor(x):
            return nan
        # Reflection, DLMF 5.5.4.
        mirrored = digamma(1.0 - x)
        value = mirrored - math.pi * cosine_pi(x) / sine_pi(x)
        return value if abs(value) > 0.02 * mirrored else decimals.polygamma(0, x)
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
            return inf if order % 2 and x != -inf else nan
        # Reflection, DLMF 5.15.6.
        mirrored = polygamma(n, 1.0 - x) * (-1.0 if order % 2 else 1.0)
        value = mirrored - cotangent_derivative(order, div(cosine_pi(x), sine_pi(x))) * math.pi ** (order + 1)
        return value if abs(value) > 0.02 * abs(mirrored) else decimals.polygamma(order, x)
    if x == inf:
        return 0.0
    factorial = float(math.factorial(order))
    half = float((order + 1) // 2)
    value = 0.0
    while x < 15.0 + order:
        # In two steps, because x**(n + 1) alone may leave the range.
        value += div(div(factorial, power(x, half)), power(x, n + 1.0 - half))
        x += 1.0
    # DLMF 5.15.8, each term (2k+n-1)!/(2k)!/x**(2k+n) made from the one before.
    term = factorial / order * power(x, -n)
    value += term + 0.5 * term * order / x
    term *= order * 0.5 / x * (order + 1.0) / x
    for k, bernoulli in enumerate(_BERNOULLI, start=1):
        value += bernoulli * term
        term *= (2 * k + order) / (2 * k + 1.0) * ((2 * k + order + 1) / (2 * k + 2.0)) / x / x
    return value if order % 2 else -value


def sinc(x: float) -> float:
    """Return sin(pi x)/(pi x), 1 at 0."""
    if math.isinf(x):
        return 0.0
    return sine_pi(x) / (math.pi * x) if x != 0.0 else 1.0


def sinc_derivative(n: float, x: float) -> float:
    """Return the derivative of sinc of order n, a whole number >= 0; nan for other n."""
    if n == 0.0:
        return sinc(x)
    if not (0.0 < n <= _GREATEST_ORDER) or n != math.floor(n) or x != x:
        return nan
    if math.isinf(x):
        return 0.0
    order = int(n)
    z = math.pi * abs(x)
    if z < 3.0:
        value = sinc_series(order, z, 1e-17)
        lost = abs(value) < 0.02 / (order + 1.0) * (z if order % 2 else 1.0)
    else:
        terms = list(sinc_terms(order, 1.0 / math.pi / abs(x), sine_pi(abs(x)), cosine_pi(x)))
        value = math.fsum(terms)
        lost = abs(value) < 0.02 * max(map(abs, terms))
    if lost:
        return decimals.sinc_derivative(order, x)
    return value * math.pi**order * (-1.0 if x < 0.0 and order % 2 else 1.0)


def exp_remainder(x: float) -> float:
    """Return expm1(x) - x exp(x), about -x**2/2 near 0, without cancellation."""
    if abs(x) > 0.5:
        if x > 700.0:
            return -exp(x + math.log(x - 1.0))
        return math.expm1(x) - x * math.exp(x) if x > -800.0 else -1.0
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

# The same for the derivative of gelu at its zero.
_GELU_ROOT_HIGH, _GELU_ROOT_LOW = -0.7517915246935645, 1.4956759177009883e-17
_AT_GELU_ROOT = (
    0.4314939923140469, 0.388284982990552, -0.018199676398671087, -0.1140082332972217, -0.014771522148244337,
    0.019421679838189067, 0.004539228379125415, -0.002239538068073497,
)  # fmt: skip
