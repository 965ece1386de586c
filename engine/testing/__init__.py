"""Check derivative rules: every row of the table against its definition at 50 digits and more.

`check_primitive` evaluates the definition with mpmath, differentiates that by differences with hundreds of digits,
and compares value, first and second partials; `scan_points` gives it points over the whole range of doubles. mpmath is
needed when a check runs, not to import this module.
"""

from .exact import exact_partial as exact_partial
from .exact import exact_value as exact_value
from .gradcheck import check_grads as check_grads
from .rowcheck import check_primitive as check_primitive
from .rowcheck import sample as sample
from .strategies import Expression as Expression
from .strategies import arguments as arguments
from .strategies import expressions as expressions
from .whole_range import scan_points as scan_points
from .whole_range import second_partials as second_partials
