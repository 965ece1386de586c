"""Functions as data: `Program`, its loops, and `trace`, which turns a Python function into one."""

from . import loop_powers as loop_powers  # gives results of loops their powers
from .builder import Builder as Builder
from .builder import Rule as Rule
from .builder import rewrite as rewrite
from .dependence import differing as differing
from .dependence import input_flags as input_flags
from .dependence import inputs_differ as inputs_differ
from .dependence import reached_outputs as reached_outputs
from .dependence import varying as varying
from .long_sums import greatest as greatest
from .loop import CALL as CALL
from .loop import MAP as MAP
from .loop import SCAN as SCAN
from .loop import WHILE as WHILE
from .loop import Loop as Loop
from .naming import function_name as function_name
from .naming import input_names as input_names
from .naming import number_names as number_names
from .program import Program as Program
from .program import Step as Step
from .program import numbers_in_tuple as numbers_in_tuple
from .pruning import drop as drop
from .tracer import LoopNode as LoopNode
from .tracer import Tracer as Tracer
from .tracer import are_conditions as are_conditions
from .tracer import is_unrecorded as is_unrecorded
from .tracing import listed as listed
from .tracing import trace as trace
from .tracing import traced as traced
from .wrapping import by_name as by_name
from .wrapping import made_of_function as made_of_function
from .wrapping import positional as positional
