"""Plain floating point, which rows evaluate: IEEE 754 versions of math functions, special functions, decimals."""

from . import ieee as ieee
from . import special as special
