"""Plain floating-point functions, which rows evaluate: those of `math` as IEEE 754 has them, special ones, decimals."""

from . import ieee as ieee
from . import special as special
from .formats import DOUBLE as DOUBLE
from .formats import FORMATS as FORMATS
from .formats import SINGLE as SINGLE
from .formats import Format as Format
