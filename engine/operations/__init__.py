"""Operations, each defined once: `Primitive`, the table, and functions and operators made of its rows."""

from . import functions as functions
from . import table as table
from .custom import Variadic as Variadic
from .custom import custom_primitive as custom_primitive
from .custom import find_row as find_row
from .functions import hardtanh as hardtanh
from .functions import items_of as items_of
from .functions import prod as prod
from .functions import selu as selu
from .functions import take as take
from .methods import both as both
from .methods import call_function as call_function
from .methods import call_ufunc as call_ufunc
from .methods import method_named as method_named
from .methods import method_names as method_names
from .methods import method_of as method_of
from .methods import offer as offer
from .operators import Operators as Operators
from .primitive import PRIMITIVES as PRIMITIVES
from .primitive import Interval as Interval
from .primitive import Primitive as Primitive
from .primitive import Reduction as Reduction
from .primitive import Scalar as Scalar
from .primitive import use_fast as use_fast
from .roots import ROOTS as ROOTS
from .roots import power_of_root as power_of_root
