"""The table of operations: each is one row, with its value, its derivative and where that holds.

To add an operation, add a row and its name in ``__all__``: it is then exported, drawn and tested with no
further line. Rules are written with operators and rows only (never ``math``), so that the same line serves
floats, Vars and traces; ``/`` and ``**`` follow IEEE in them. They are written as products and quotients that
neither cancel nor overflow where the derivative itself does not: that is why tanh' is ``1/cosh**2`` and not
``1 - y**2``. Conventions at kinks and poles stand with their rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

from ..floats import ieee, special
from .primitive import Interval, Scalar, primitive, reduction

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "celu",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "degrees",
    "digamma",
    "div",
    "dot",
    "elu",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "exp_remainder",
    "expm1",
    "floor",
    "floor_divide",
    "fma",
    "fmod",
    "fraction",
    "gamma",
    "gelu",
    "gelu_slope",
    "hypot",
    "leaky_relu",
    "less",
    "less_equal",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_sigmoid",
    "logaddexp",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "mish",
    "mul",
    "neg",
    "norm",
    "normal_cdf",
    "normal_pdf",
    "not_equal",
    "one_minus_square",
    "polygamma",
    "pos",
    "pow",
    "radians",
    "reciprocal",
    "relu",
    "remainder",
    "round",
    "rsqrt",
    "sech_square",
    "share",
    "sigmoid",
    "sign",
    "silu",
    "silu_slope",
    "sin",
    "sinc",
    "sinc_derivative",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "stop_gradient",
    "strong_mul",
    "strong_sub",
    "sub",
    "sum",
    "tan",
    "tanh",
    "trunc",
    "unit",
    "where",
    "xlogy",
]

inf, nan, pi = math.inf, math.nan, math.pi

R = Interval(-inf, inf)
POSITIVE = Interval(0.0, inf)
UNIT = Interval(-1.0, 1.0)
ABOVE_MINUS_1 = Interval(-1.0, inf)
ABOVE_1 = Interval(1.0, inf)
ORDER = Interval(0.5, 8.0, integers=True)
FLAG = Interval(-0.5, 1.5, integers=True)

# fmt: off

# ---- arithmetic ----

add = primitive("add", "+", evaluate=lambda x, y: x + y, partials=lambda z, x, y: (1.0, 1.0), domain=(R, R),
    exact=lambda mp, x, y: x + y, infix="+", commutes=True, cheap=True, any_constant=True, doc="Return x + y.")
sub = primitive("sub", "−", evaluate=lambda x, y: x - y, partials=lambda z, x, y: (1.0, -1.0), domain=(R, R),
    exact=lambda mp, x, y: x - y, infix="-", cheap=True, any_constant=True, code={"numpy": "subtract"}, doc="Return x - y.")
mul = primitive("mul", "×", evaluate=lambda x, y: x * y, partials=lambda z, x, y: (y, x), domain=(R, R),
    exact=lambda mp, x, y: x * y, infix="*", commutes=True, cheap=True, any_constant=True, code={"numpy": "multiply"}, doc="Return x * y.")
div = primitive("div", "÷", evaluate=ieee.div, partials=lambda z, x, y: (1 / y, -(z / y)), domain=(R, POSITIVE),
    exact=lambda mp, x, y: x / y, infix="/", cheap=True, code={"numpy": "divide"}, doc="Return x / y; 1/0 is inf.")
neg = primitive("neg", "−", evaluate=lambda x: -x, partials=lambda y, x: (-1.0,), domain=(R,),
    exact=lambda mp, x: -x, cheap=True, code={"numpy": "negative"}, doc="Return -x.")
pos = primitive("pos", "+", evaluate=lambda x: x, partials=lambda y, x: (1.0,), domain=(R,), exact=lambda mp, x: x,
    cheap=True, code={"numpy": "positive"},
    doc="Return x itself, as a node of its own.")
# 0**0 is 1 with partials 0 and 0.
pow = primitive("pow", "**", evaluate=ieee.pow, domain=(POSITIVE, R), partials=lambda z, x, y: _power_partials(z, x, y),
    exact=lambda mp, x, y: x**y, infix="**", code={"numpy": "power"}, doc="Return x to the power y.")
square = primitive("square", "x²", evaluate=lambda x: x * x, partials=lambda y, x: (2 * x,), domain=(R,),
    exact=lambda mp, x: x * x, cheap=True, doc="Return x * x.")
reciprocal = primitive("reciprocal", "1/x", evaluate=lambda x: ieee.div(1.0, x), partials=lambda y, x: (-y * y,),
    domain=(POSITIVE,), exact=lambda mp, x: 1 / x, doc="Return 1 / x.")
sqrt = primitive("sqrt", "√", evaluate=ieee.sqrt, partials=lambda y, x: (0.5 / (y + 0.0),), domain=(POSITIVE,),
    doc="Return the square root; nan below 0, derivative inf at 0.")
rsqrt = primitive("rsqrt", "1/√", evaluate=lambda x: ieee.div(1.0, ieee.sqrt(x)), partials=lambda y, x: (-0.5 * (y / x),),
    domain=(POSITIVE,), exact=lambda mp, x: 1 / mp.sqrt(x), doc="Return 1 / sqrt(x).")
cbrt = primitive("cbrt", "∛", evaluate=ieee.cbrt, partials=lambda y, x: (1 / (3 * y * y),), domain=(R,),
    smooth=lambda x: x != 0, exact=lambda mp, x: mp.sign(x) * mp.cbrt(mp.fabs(x)), doc="Return the real cube root.")
hypot = primitive("hypot", "hypot", evaluate=ieee.hypot, partials=lambda r, x, y: (unit(x, y), unit(y, x)), domain=(R, R),
    smooth=lambda x, y: x != 0 or y != 0, commutes=True, doc="Return sqrt(x*x + y*y) without overflow; partials 0 at the origin.")
fma = primitive("fma", "fma", evaluate=ieee.fma, partials=lambda w, x, y, z: (y, x, 1.0), domain=(R, R, R),
    exact=lambda mp, x, y, z: x * y + z, doc="Return x*y + z rounded once.")
fmod = primitive("fmod", "fmod", evaluate=ieee.fmod, partials=lambda z, x, y: (1.0, -round(x / y - z / y)), domain=(R, POSITIVE),
    smooth=lambda x, y: ieee.fmod(x, y) != 0, exact=lambda mp, x, y: x - y * mp.sign(x / y) * mp.floor(mp.fabs(x / y)),
    doc="Return C's remainder of x / y, which has the sign of x.")
remainder = primitive("remainder", "%", evaluate=ieee.remainder, partials=lambda z, x, y: (1.0, -floor_divide(x, y)),
    domain=(R, POSITIVE), smooth=lambda x, y: ieee.fmod(x, y) != 0, exact=lambda mp, x, y: x - y * mp.floor(x / y),
    infix="%", doc="Return Python's x % y, which has the sign of y.")
floor_divide = primitive("floor_divide", "//", evaluate=ieee.floor_divide, partials=lambda z, x, y: (0.0, 0.0),
    domain=(R, POSITIVE), smooth=lambda x, y: ieee.fmod(x, y) != 0, exact=lambda mp, x, y: mp.floor(x / y),
    infix="//", doc="Return Python's x // y; derivative 0.")

# ---- steps, signs and choices: derivative 0 at the steps; abs'(0) = 0; ties of max and min share 1/2 each ----

abs = primitive("abs", "|x|", evaluate=math.fabs, partials=lambda y, x: (sign(x),), domain=(R,),
    smooth=lambda x: x != 0, exact=lambda mp, x: mp.fabs(x),
    cheap=True, code={"numpy": "absolute"}, doc="Return the absolute value; derivative 0 at 0.")
sign = primitive("sign", "sign", evaluate=ieee.sign, partials=lambda y, x: (0.0,), domain=(R,),
    smooth=lambda x: x != 0, doc="Return -1, 0 or 1; derivative 0.")
floor = primitive("floor", "⌊x⌋", evaluate=ieee.floor, partials=lambda y, x: (0.0,), domain=(R,),
    smooth=lambda x: x != ieee.floor(x), doc="Return the greatest integer not above x, as a float; derivative 0.")
ceil = primitive("ceil", "⌈x⌉", evaluate=ieee.ceil, partials=lambda y, x: (0.0,), domain=(R,),
    smooth=lambda x: x != ieee.floor(x), doc="Return the least integer not below x, as a float; derivative 0.")
trunc = primitive("trunc", "trunc", evaluate=ieee.trunc, partials=lambda y, x: (0.0,), domain=(R,),
    smooth=lambda x: x != ieee.floor(x), exact=lambda mp, x: mp.sign(x) * mp.floor(mp.fabs(x)), doc="Drop the fraction; derivative 0.")
round = primitive("round", "round", evaluate=ieee.round, partials=lambda y, x: (0.0,), domain=(R,),
    smooth=lambda x: 2 * x != ieee.floor(2 * x), exact=lambda mp, x: mp.nint(x), code={"numpy": "rint"},
    doc="Round to the nearest integer, halves to even; derivative 0.")
copysign = primitive("copysign", "copysign", evaluate=math.copysign, partials=lambda z, x, y: (sign(x) * copysign(1.0, y), 0.0),
    domain=(R, R), smooth=lambda x, y: x != 0 and y != 0, exact=lambda mp, x, y: mp.fabs(x) * (1 if y >= 0 else -1),
    doc="Return the size of x with the sign of y.")
maximum = primitive("maximum", "max", evaluate=ieee.maximum, domain=(R, R), smooth=lambda x, y: x != y,
    partials=lambda z, x, y: (where(x > y, 1.0, where(x == y, 0.5, 0.0)), where(x < y, 1.0, where(x == y, 0.5, 0.0))),
    exact=lambda mp, x, y: max(x, y),
    commutes=True, cheap=True, any_constant=True, doc="Return the greater of two, nan if either is; a tie shares the derivative.")
minimum = primitive("minimum", "min", evaluate=ieee.minimum, domain=(R, R), smooth=lambda x, y: x != y,
    partials=lambda z, x, y: (where(x < y, 1.0, where(x == y, 0.5, 0.0)), where(x > y, 1.0, where(x == y, 0.5, 0.0))),
    exact=lambda mp, x, y: min(x, y),
    commutes=True, cheap=True, any_constant=True, doc="Return the lesser of two, nan if either is; a tie shares the derivative.")
# At a bound all three partials are 0.
clip = primitive("clip", "clip", evaluate=ieee.clip, domain=(R, Interval(-3.0, -1.0), Interval(1.0, 3.0)),
    partials=lambda y, x, low, high: (
        where(x > low, where(x < high, 1.0, 0.0), 0.0), where(x < low, where(low < high, 1.0, 0.0), 0.0), where(maximum(x, low) > high, 1.0, 0.0)),
    smooth=lambda x, low, high: x != low and max(x, low) != high, exact=lambda mp, x, low, high: min(max(x, low), high),
    activation=True, doc="Bring x into the range from low to high; derivative 0 at a bound.")
where = primitive("where", "where", evaluate=lambda condition, x, y: x if condition else y, domain=(FLAG, R, R),
    partials=lambda z, condition, x, y: (0.0, where(condition, 1.0, 0.0), where(condition, 0.0, 1.0)),
    exact=lambda mp, condition, x, y: x if condition else y,
    cheap=True, doc="Return x where the condition holds, else y; the other branch gets derivative 0, even if its own is nan.")
less = primitive("less", "<", evaluate=lambda x, y: 1.0 if x < y else 0.0, partials=lambda z, x, y: (0.0, 0.0), domain=(R, R),
    smooth=lambda x, y: x != y, exact=lambda mp, x, y: mp.mpf(x < y),
    infix="<", compares=True, cheap=True, doc="Return 1 where x < y, else 0: a condition for where.")
less_equal = primitive("less_equal", "≤", evaluate=lambda x, y: 1.0 if x <= y else 0.0, partials=lambda z, x, y: (0.0, 0.0), domain=(R, R),
    smooth=lambda x, y: x != y, exact=lambda mp, x, y: mp.mpf(x <= y), infix="<=", compares=True, cheap=True, doc="Return 1 where x <= y, else 0.")
equal = primitive("equal", "=", evaluate=lambda x, y: 1.0 if x == y else 0.0, partials=lambda z, x, y: (0.0, 0.0), domain=(R, R),
    smooth=lambda x, y: x != y, exact=lambda mp, x, y: mp.mpf(x == y),
    infix="==", commutes=True, compares=True, cheap=True, doc="Return 1 where x == y, else 0.")
not_equal = primitive("not_equal", "≠", evaluate=lambda x, y: 1.0 if x != y else 0.0, partials=lambda z, x, y: (0.0, 0.0), domain=(R, R),
    smooth=lambda x, y: x != y, exact=lambda mp, x, y: mp.mpf(x != y),
    infix="!=", commutes=True, compares=True, cheap=True, doc="Return 1 where x != y, also where either is nan, else 0.")
stop_gradient = primitive("stop_gradient", "stop", evaluate=lambda x: x, partials=lambda y, x: (0.0,), domain=(R,),
    exact=lambda mp, x: mp.mpf(float(x)), cheap=True, doc="Return x as a constant: its derivative is 0.")

# ---- exponentials and logarithms ----

exp = primitive("exp", "exp", evaluate=ieee.exp, partials=lambda y, x: (y,), domain=(R,), doc="Return e to the power x.")
exp2 = primitive("exp2", "2ˣ", evaluate=ieee.exp2, partials=lambda y, x: (2 * (math.log(2.0) * exp2(x - 1)),), domain=(R,),
    exact=lambda mp, x: mp.mpf(2) ** x, doc="Return 2 to the power x.")
expm1 = primitive("expm1", "expm1", evaluate=ieee.expm1, partials=lambda y, x: (exp(x),), domain=(R,),
    doc="Return exp(x) - 1 without cancellation.")
log = primitive("log", "ln", evaluate=ieee.log, partials=lambda y, x: (where(x < 0, nan, 1 / (x + 0.0)),), domain=(POSITIVE,),
    doc="Return the natural logarithm: -inf at 0, nan below.")
log2 = primitive("log2", "log₂", evaluate=ieee.log2, partials=lambda y, x: (where(x < 0, nan, 1 / math.log(2.0) / (x + 0.0)),),
    domain=(POSITIVE,), exact=lambda mp, x: mp.log(x) / mp.log(2), doc="Return the logarithm to base 2.")
log10 = primitive("log10", "log₁₀", evaluate=ieee.log10, partials=lambda y, x: (where(x < 0, nan, 1 / math.log(10.0) / (x + 0.0)),),
    domain=(POSITIVE,), doc="Return the logarithm to base 10.")
log1p = primitive("log1p", "log1p", evaluate=ieee.log1p, partials=lambda y, x: (where(x < -1, nan, 1 / (1 + x)),),
    domain=(ABOVE_MINUS_1,), doc="Return log(1 + x) without cancellation.")
logaddexp = primitive("logaddexp", "logaddexp", evaluate=ieee.log_add_exp, partials=lambda z, x, y: (sigmoid(strong_sub(x, y)), sigmoid(strong_sub(y, x))),
    domain=(R, R), exact=lambda mp, x, y: max(x, y) + mp.log1p(mp.exp(-mp.fabs(x - y))), commutes=True, doc="Return log(exp(x) + exp(y)) without overflow.")
# xlogy(0, 0) is 0 with partials 0 and 0: the -inf by x is not reached.
xlogy = primitive("xlogy", "x·ln y", evaluate=ieee.xlogy, domain=(R, POSITIVE),
    partials=lambda z, x, y: (where(y == 0, where(x == 0, 0.0, log(y)), log(y)), where(y < 0, nan, where(y == 0, strong_mul(x, 1 / y), x / y))),
    exact=lambda mp, x, y: x * mp.log(y), doc="Return x * log(y), 0 for x = 0.")

# ---- trigonometric and hyperbolic functions ----

sin = primitive("sin", "sin", evaluate=ieee.sin, partials=lambda y, x: (cos(x),), domain=(R,), activation=True, doc="Return the sine of x (radians).")
cos = primitive("cos", "cos", evaluate=ieee.cos, partials=lambda y, x: (-sin(x),), domain=(R,), doc="Return the cosine of x (radians).")
tan = primitive("tan", "tan", evaluate=ieee.tan, partials=lambda y, x: (1 + y * y,), domain=(Interval(-pi / 2, pi / 2),),
    doc="Return the tangent of x (radians).")
asin = primitive("asin", "asin", evaluate=ieee.asin, partials=lambda y, x: (1 / sqrt(one_minus_square(x)),), domain=(UNIT,),
    code={"numpy": "arcsin"}, doc="Return the inverse sine, in radians; nan beyond -1 and 1.")
acos = primitive("acos", "acos", evaluate=ieee.acos, partials=lambda y, x: (-1 / sqrt(one_minus_square(x)),), domain=(UNIT,),
    code={"numpy": "arccos"}, doc="Return the inverse cosine, in radians; nan beyond -1 and 1.")
atan = primitive("atan", "atan", evaluate=math.atan, partials=lambda y, x: (square(unit(1.0, x)),), domain=(R,),
    code={"numpy": "arctan"}, doc="Return the inverse tangent, in radians.")
atan2 = primitive("atan2", "atan2", evaluate=math.atan2, domain=(R, R), smooth=lambda y, x: y != 0 or x > 0,
    partials=lambda z, y, x: _angle_partials(hypot(x, y), y, x),
    code={"numpy": "arctan2"}, doc="Return the angle of the point (x, y), in radians; partials 0 at the origin.")
sinh = primitive("sinh", "sinh", evaluate=ieee.sinh, partials=lambda y, x: (cosh(x),), domain=(R,), doc="Return the hyperbolic sine.")
cosh = primitive("cosh", "cosh", evaluate=ieee.cosh, partials=lambda y, x: (sinh(x),), domain=(R,), doc="Return the hyperbolic cosine.")
tanh = primitive("tanh", "tanh", evaluate=math.tanh, partials=lambda y, x: (sech_square(x),), domain=(R,),
    activation=True, doc="Return the hyperbolic tangent.")
asinh = primitive("asinh", "asinh", evaluate=math.asinh, partials=lambda y, x: (unit(1.0, x),), domain=(R,),
    code={"numpy": "arcsinh"}, doc="Return the inverse hyperbolic sine.")
acosh = primitive("acosh", "acosh", evaluate=ieee.acosh, partials=lambda y, x: (1 / (sqrt(x - 1) * sqrt(x + 1)),), domain=(ABOVE_1,),
    code={"numpy": "arccosh"}, doc="Return the inverse hyperbolic cosine; nan below 1.")
atanh = primitive("atanh", "atanh", evaluate=ieee.atanh, partials=lambda y, x: (where(abs(x) > 1, nan, 1 / one_minus_square(x)),),
    domain=(UNIT,), code={"numpy": "arctanh"}, doc="Return the inverse hyperbolic tangent; nan beyond -1 and 1.")
sinc = primitive("sinc", "sinc", evaluate=special.sinc, partials=lambda y, x: (sinc_derivative(1.0, x),), domain=(R,),
    exact=lambda mp, x: mp.sincpi(x), doc="Return sin(pi x)/(pi x), 1 at 0.")
degrees = primitive("degrees", "°", evaluate=math.degrees, partials=lambda y, x: (180 / pi,), domain=(R,),
    code={"numpy": "rad2deg"}, doc="Convert from radians to degrees.")
radians = primitive("radians", "rad", evaluate=math.radians, partials=lambda y, x: (pi / 180,), domain=(R,),
    code={"numpy": "deg2rad"}, doc="Convert from degrees to radians.")

# ---- special functions ----

erf = primitive("erf", "erf", evaluate=special.erf, partials=lambda y, x: (2 / math.sqrt(pi) * _bell(x),), domain=(R,),
    doc="Return the error function.")
erfc = primitive("erfc", "erfc", evaluate=special.erfc, partials=lambda y, x: (-2 / math.sqrt(pi) * _bell(x),), domain=(R,),
    doc="Return 1 - erf(x) without cancellation.")
erfinv = primitive("erfinv", "erf⁻¹", evaluate=special.erfinv, partials=lambda y, x: (math.sqrt(pi) / 2 * exp(y * y),), domain=(UNIT,),
    doc="Return the inverse of erf; infinite at -1 and 1.")
gamma = primitive("gamma", "Γ", evaluate=special.gamma, partials=lambda y, x: (y * digamma(x),), domain=(POSITIVE,),
    doc="Return the gamma function, also left of 0.")
lgamma = primitive("lgamma", "ln|Γ|", evaluate=special.lgamma, partials=lambda y, x: (digamma(x),), domain=(POSITIVE,),
    exact=lambda mp, x: mp.loggamma(x) if x > 0 else mp.log(mp.pi / mp.fabs(mp.sinpi(x))) - mp.loggamma(1 - x), doc="Return log(abs(gamma(x))), also left of 0.")
digamma = primitive("digamma", "ψ", evaluate=special.digamma, partials=lambda y, x: (polygamma(1.0, x),), domain=(POSITIVE,),
    doc="Return the derivative of log(gamma(x)), also left of 0.")
polygamma = primitive("polygamma", "ψ⁽ⁿ⁾", evaluate=special.polygamma, partials=lambda y, n, x: (0.0, polygamma(n + 1, x)),
    domain=(ORDER, POSITIVE), exact=lambda mp, n, x: _exact_polygamma(mp, n, x), doc="Return the n-th derivative of digamma; n is a constant.")
normal_pdf = primitive("normal_pdf", "φ", evaluate=special.normal_pdf, partials=lambda y, x: (strong_mul(-x, y),), domain=(R,),
    exact=lambda mp, x: mp.npdf(x), doc="Return the density of the standard normal distribution.")
normal_cdf = primitive("normal_cdf", "Φ", evaluate=special.normal_cdf, partials=lambda y, x: (normal_pdf(x),), domain=(R,),
    exact=lambda mp, x: mp.ncdf(x), doc="Return the standard normal distribution function.")

# ---- activations: relu'(0) = 0, leaky_relu'(0) the slope of the left branch, elu'(0) = celu'(0) = 1 ----

relu = primitive("relu", "ReLU", evaluate=lambda x: x if x > 0.0 or x != x else 0.0, partials=lambda y, x: (where(x > 0, 1.0, 0.0),), domain=(R,),
    smooth=lambda x: x != 0, exact=lambda mp, x: max(x, mp.mpf(0)), cheap=True, activation=True, doc="Return max(x, 0); derivative 0 at 0.")
leaky_relu = primitive("leaky_relu", "LeakyReLU", evaluate=lambda x, slope: x if x > 0.0 else slope * x, domain=(R, POSITIVE), defaults=(0.01,),
    partials=lambda y, x, slope: (where(x > 0, 1.0, slope), where(x > 0, 0.0, x)),
    smooth=lambda x, slope: x != 0, exact=lambda mp, x, slope: x if x > 0 else slope * x, activation=True, doc="Return x above 0, slope * x below.")
elu = primitive("elu", "ELU", evaluate=lambda x, alpha: x if x >= 0.0 else alpha * ieee.expm1(x), domain=(R, POSITIVE), defaults=(1.0,),
    partials=lambda y, x, alpha: (where(x >= 0, 1.0, _scaled_exp(alpha, 0.5 * x)), where(x >= 0, 0.0, expm1(x))),
    smooth=lambda x, alpha: x != 0, exact=lambda mp, x, alpha: x if x >= 0 else alpha * mp.expm1(x),
    activation=True, doc="Return x above 0, alpha * expm1(x) below.")
celu = primitive("celu", "CELU", evaluate=ieee.celu, domain=(R, POSITIVE), defaults=(1.0,),
    partials=lambda y, x, alpha: (where(x >= 0, 1.0, exp(x / alpha)), where(x >= 0, 0.0, exp_remainder(x / alpha))),
    smooth=lambda x, alpha: x != 0, exact=lambda mp, x, alpha: x if x >= 0 else alpha * mp.expm1(x / alpha),
    activation=True, doc="Return x above 0, alpha * expm1(x / alpha) below.")
gelu = primitive("gelu", "GELU", evaluate=special.gelu, partials=lambda y, x: (gelu_slope(x),), domain=(R,),
    exact=lambda mp, x: x * mp.ncdf(x), activation=True, doc="Return x times the normal distribution function: the exact GELU.")
silu = primitive("silu", "SiLU", evaluate=ieee.silu, partials=lambda y, x: (silu_slope(x),), domain=(R,),
    exact=lambda mp, x: x / (1 + mp.exp(-x)), activation=True, doc="Return x * sigmoid(x), also called swish.")
mish = primitive("mish", "Mish", evaluate=ieee.mish, partials=lambda y, x: (_mish_slope(x),), domain=(R,),
    exact=lambda mp, x: x * mp.tanh(mp.log1p(mp.exp(x))), activation=True, doc="Return x * tanh(softplus(x)).")
sigmoid = primitive("sigmoid", "σ", evaluate=ieee.sigmoid, partials=lambda y, x: (0.25 * sech_square(0.5 * x),), domain=(R,),
    exact=lambda mp, x: 1 / (1 + mp.exp(-x)), activation=True, doc="Return 1 / (1 + exp(-x)).")
log_sigmoid = primitive("log_sigmoid", "ln σ", evaluate=lambda x: -ieee.softplus(-x), partials=lambda y, x: (sigmoid(-x),), domain=(R,),
    exact=lambda mp, x: -mp.log1p(mp.exp(-x)), doc="Return log(sigmoid(x)).")
softplus = primitive("softplus", "softplus", evaluate=ieee.softplus, partials=lambda y, x: (sigmoid(x),), domain=(R,),
    exact=lambda mp, x: mp.log1p(mp.exp(x)), activation=True, doc="Return log(1 + exp(x)).")
softsign = primitive("softsign", "softsign", evaluate=ieee.softsign, partials=lambda y, x: (square(1 / (1 + abs(x))),), domain=(R,),
    smooth=lambda x: x != 0, exact=lambda mp, x: x / (1 + mp.fabs(x)), activation=True, doc="Return x / (1 + abs(x)).")

# ---- operations on any number of arguments ----

sum = reduction("sum", "Σ", evaluate=ieee.total_sum, partials=lambda y, *xs: (1.0,) * len(xs), domain=(R, R, R), empty=0.0,
    exact=lambda mp, *xs: mp.fsum(xs), cheap=True, any_constant=True, doc="Return the sum of an iterable, added from left to right.")
mean = reduction("mean", "mean", evaluate=ieee.mean, partials=lambda y, *xs: (1 / len(xs),) * len(xs), domain=(R, R, R),
    exact=lambda mp, *xs: mp.fsum(xs) / len(xs), cheap=True, any_constant=True, doc="Return the arithmetic mean of an iterable.")
dot = reduction("dot", "·", evaluate=ieee.dot, partials=lambda y, *xs: xs[len(xs) // 2:] + xs[:len(xs) // 2], domain=(R, R, R, R), iterables=2, empty=0.0,
    exact=lambda mp, *xs: mp.fdot(xs[:len(xs) // 2], xs[len(xs) // 2:]),
    cheap=True, any_constant=True, doc="Return the inner product of two iterables of the same length.")
norm = reduction("norm", "‖x‖", evaluate=math.hypot, partials=lambda y, *xs: _directions(y, xs), domain=(R, R, R), empty=0.0,
    exact=lambda mp, *xs: mp.norm(xs), doc="Return the Euclidean length of an iterable; partials 0 at the origin.")
logsumexp = reduction("logsumexp", "LSE", evaluate=ieee.log_sum_exp, partials=lambda y, *xs: shares(*xs), domain=(R, R, R), empty=-inf,
    exact=lambda mp, *xs: max(xs) + mp.log(mp.fsum(mp.exp(x - max(xs)) for x in xs)), doc="Return the logarithm of the sum of exponentials of an iterable.")

# ---- rows that other rows' derivatives are made of ----

# The product of the chain rule: a factor that is exactly 0 wins over inf and nan.
strong_mul = primitive("strong_mul", "×", evaluate=ieee.strong_mul, partials=lambda z, x, y: (y, x), domain=(R, R),
    exact=lambda mp, x, y: x * y, commutes=True, cheap=True, any_constant=True, doc="Return x * y, and 0 if either is exactly 0.")
strong_sub = primitive("strong_sub", "−", evaluate=lambda x, y: 0.0 if x == y else x - y, partials=lambda z, x, y: (1.0, -1.0), domain=(R, R),
    exact=lambda mp, x, y: x - y, doc="Return x - y, and 0 also where both are the same infinity.")
# Stored programs have it; softmax takes `share`.
fraction = primitive("fraction", "x/(x+y)", evaluate=ieee.fraction, partials=lambda z, x, y: (fraction(y, x) / (x + y), -z / (x + y)),
    domain=(POSITIVE, POSITIVE), exact=lambda mp, x, y: x / (x + y), doc="Return x / (x + y).")
share = primitive("share", "x/(x+y)", evaluate=lambda x, y: x * ieee.div(1.0, x + y), partials=lambda z, x, y: (y * (r := 1.0 / (x + y)) * r, -x * r * r),
    domain=(Interval(1e-20, 1e20),) * 2, exact=lambda mp, x, y: x / (x + y), doc="Return x / (x + y), of numbers whose sum is neither tiny nor huge.")
unit = primitive("unit", "unit", evaluate=ieee.unit, domain=(R, R), smooth=lambda x, y: x != 0 or y != 0,
    partials=lambda z, x, y: (
        where(hypot(x, y) == 0, 0.0, strong_mul(unit(y, x), unit(y, x) / hypot(x, y))),
        where(hypot(x, y) == 0, 0.0, strong_mul(-z, unit(y, x) / hypot(x, y)))),
    exact=lambda mp, x, y: x / mp.hypot(x, y), doc="Return x / hypot(x, y), 0 at the origin.")
one_minus_square = primitive("one_minus_square", "1−x²", evaluate=lambda x: (1.0 - x) * (1.0 + x), partials=lambda y, x: (-2 * x,), domain=(R,),
    exact=lambda mp, x: 1 - x * x, doc="Return 1 - x*x, accurate also near -1 and 1.")
sech_square = primitive("sech_square", "sech²", evaluate=ieee.sech_square, partials=lambda y, x: (-2 * y * tanh(x),), domain=(R,),
    exact=lambda mp, x: 1 / mp.cosh(x)**2, doc="Return 1 / cosh(x)**2, the derivative of tanh.")
gelu_slope = primitive("gelu_slope", "GELU′", evaluate=special.gelu_slope, domain=(R,),
    partials=lambda y, x: (strong_mul(fma(-x, x, 2.0), normal_pdf(x)),),
    exact=lambda mp, x: mp.ncdf(x) + x * mp.npdf(x), doc="Return the derivative of gelu.")
silu_slope = primitive("silu_slope", "SiLU′", evaluate=ieee.silu_slope, partials=lambda y, x: (-0.25 * strong_mul(sech_square(0.5 * x), _silu_bend(x)),), domain=(R,),
    exact=lambda mp, x: (1 + x / (1 + mp.exp(x))) / (1 + mp.exp(-x)), doc="Return the derivative of silu.")
sinc_derivative = primitive("sinc_derivative", "sinc⁽ⁿ⁾", evaluate=special.sinc_derivative, partials=lambda y, n, x: (0.0, sinc_derivative(n + 1, x)),
    domain=(ORDER, R), exact=lambda mp, n, x: _exact_sinc_derivative(mp, n, x), doc="Return the n-th derivative of sinc; n is a constant.")
exp_remainder = primitive("exp_remainder", "expm1−x·exp", evaluate=special.exp_remainder, partials=lambda y, x: (strong_mul(-x, exp(x)),), domain=(R,),
    exact=lambda mp, x: mp.expm1(x) - x * mp.exp(x), doc="Return expm1(x) - x*exp(x) without cancellation.")

# fmt: on


# ---- rules too long for a line ----

_EXACT = 2.0**24  # of whole numbers up to here single precision, too, has each and the one before
# The zeros of silu'' and mish', each in two doubles; there tanh(x/2) and exp(x).
_BEND_ZERO, _BEND_ZERO_MORE, _BEND_TANH = 2.3993572805154675, 1.8464872855353363e-16, 0.8335565596009648
_MISH_ZERO, _MISH_ZERO_MORE, _MISH_EXP = -1.1924312145154952, 4.8484829848031044e-17, 0.3034825352815289


def _power_partials(z: Scalar, x: Scalar, y: Scalar) -> tuple[Scalar, Scalar]:
    power = pow(x, y - 1)
    if type(y) is float and 1 <= y <= _EXACT:
        return y * power, strong_mul(z, log(x))
    # x**(y - 1) may overflow where y times it does not.
    otherwise = where(x == 0, strong_mul(y, power), where(abs(z) < inf, y * z / x, y * power))
    by_y = where(x == 0, where(y < 0, -inf, 0.0), strong_mul(z, log(x)))
    if type(y) is float and abs(y) <= 0.5 and y * 2.0**23 % 1 != 0:
        return otherwise, by_y  # in single precision y - 1 is rounded
    # What rounding takes away from y - 1 counts where x is far from 1.
    taken = (y - 1) - y
    lost = (y - ((y - 1) - taken)) - (1 + taken)
    # In single precision numbers beyond are even, so that less 1 they may be rounded to even ones instead of odd ones.
    power = where(abs(y) >= _EXACT, where(x < 0, copysign(power, -z), power), power)
    power = where(lost, power + power * (lost * log(x)), power)
    return where(abs(power) < inf, y * power, otherwise), by_y


def _bell(x: Scalar) -> Scalar:
    """Return exp(-x * x), with what rounding takes away from the square."""
    area = x * x
    bell = exp(-area)
    return bell - strong_mul(bell, fma(x, x, -area))


def _angle_partials(r: Scalar, y: Scalar, x: Scalar) -> tuple[Scalar, Scalar]:
    return where(r == 0, 0.0, unit(x, y) / r), where(r == 0, 0.0, -unit(y, x) / r)


def _scaled_exp(factor: Scalar, half: Scalar) -> Scalar:
    """Return factor * exp(2 * half), also where that exponential alone underflows."""
    root = exp(half)
    return factor * root * root


def _silu_bend(x: Scalar) -> Scalar:
    """Return x tanh(x/2) - 2; around its zeros as a sum of two terms of the same sign.

    The function is even. At 0 its mirror must be one that derivatives pass, which those of ``abs`` do not.
    """
    x = where(x < 0, -x, x)
    t = tanh(0.5 * x)
    distance = (x - _BEND_ZERO) - _BEND_ZERO_MORE
    # tanh(a) - tanh(b) = tanh(a - b) (1 - tanh(a) tanh(b))
    around = distance * t + _BEND_ZERO * (tanh(0.5 * distance) * (1 - _BEND_TANH * t))
    return where(abs(distance) < 1, around, x * t - 2)


def _mish_slope(x: Scalar) -> Scalar:
    """Return t + x (1 - t**2) sigmoid(x) for t = tanh(softplus(x)); left of 0 so that no digit is lost at the zero.

    With e = exp(x) it is e w / (e**2 + 2 e + 2)**2 and w = 4 (x + 1) + 4 e**2 + e**3 + e (4 x + 6).
    """
    log1pexp = softplus(x)
    above = tanh(log1pexp) + strong_mul(x, sech_square(log1pexp) * sigmoid(x))
    distance = (x - _MISH_ZERO) + _MISH_ZERO_MORE
    growth = expm1(distance)
    e = exp(x)
    # Each summand of w, less what it is at the zero.
    w = 4 * distance + (_MISH_EXP * growth) * (4 * (e + _MISH_EXP) + (e * e + e * _MISH_EXP + _MISH_EXP * _MISH_EXP))
    w = w + _MISH_EXP * ((4 * x + 6) * growth + 4 * distance)
    return where(x > 0, above, strong_mul(e, w) * square(1 / (e * (e + 2) + 2)))


def _directions(r: Scalar, xs: Sequence[Scalar]) -> list[Scalar]:
    """Return x / r for each x; for one that makes up most of r so that no derivative cancels, of any order.

    Of that one it is 1 / sqrt(1 + q), where q is the sum of the squares of the others beside it: smooth also where they
    are 0. Two infinities count as equal.
    """
    great = [abs(x) >= 0.9 * r for x in xs]
    top = reduce(lambda top, one: where(*one, top), zip(great, xs, strict=True), r)
    parts = [where(flag, 1.0, square(x / top)) for flag, x in zip(great, xs, strict=True)]
    share = rsqrt(sum(parts))
    # At the origin all of them are great, of sign 0.
    return [where(flag, sign(x) * share, x / r) for flag, x in zip(great, xs, strict=True)]


def shares(*xs: Scalar) -> list[Scalar]:
    """Return exp(x) over their sum for each x, right even where rounding loses log(sum) beside x."""
    top = stop_gradient(reduce(maximum, xs))
    weights = [exp(strong_sub(x, top)) for x in xs]
    return [*map(share, weights, sums_of_others(weights))]


def sums_of_others(weights: Sequence[Scalar]) -> list[Scalar]:
    """Return for each number the sum of all others, without subtraction."""
    after = [*accumulate(reversed(weights), initial=0.0)][-2::-1]
    return [left + right for left, right in zip(accumulate(weights, initial=0.0), after, strict=False)]


# ---- definitions too long for a line ----


def _exact_polygamma(mp: Any, n: Any, x: Any) -> Any:
    """Return polygamma; left of 0 by reflection, the derivatives of cot(pi x) by the Leibniz rule from cot' = -1 - cot**2."""
    if x > 0:
        return mp.psi(n, x)
    order = int(n)
    cotangents = [mp.cospi(x) / mp.sinpi(x)]
    for k in range(order):
        square = mp.fsum(mp.binomial(k, j) * cotangents[j] * cotangents[k - j] for j in range(k + 1))
        cotangents.append(-square - (1 if k == 0 else 0))
    return (-1) ** order * mp.psi(n, 1 - x) - mp.pi ** (order + 1) * cotangents[order]


def _exact_sinc_derivative(mp: Any, n: Any, x: Any) -> Any:
    """Return the integral of (pi t)**n cos(pi x t + n pi / 2) for t from 0 to 1 as a series or by parts."""
    order, z = int(n), mp.pi * x
    if abs(z) < 40:
        odd = order % 2
        series = mp.hyp1f2(mp.mpf(order + 1 + odd) / 2, odd + mp.mpf(1) / 2, mp.mpf(order + 3 + odd) / 2, -z * z / 4)
        return mp.pi**order * (-1) ** ((order + odd) // 2) * z**odd / (order + 1 + odd) * series
    sine, cosine = mp.sinpi(x), mp.cospi(x)
    waves = (sine, cosine, -sine, -cosine)
    terms = [mp.ff(order, k) * (-1) ** k * waves[(order - k) % 4] / z ** (k + 1) for k in range(order + 1)]
    return mp.pi**order * mp.fsum(terms)
