"""Plain floating-point functions, which rows evaluate: those of `math` as IEEE 754 has them, special ones, decimals."""

from . import ieee as ieee
from . import special as special
