"""Loops that stay loops: `function`, `map`, `scan`, `while_loop`, and what is written with them."""

from . import traced_arrays as traced_arrays  # gives whole arrays their methods
from .branches import cond as cond
from .branches import switch as switch
from .control_flow import fori_loop as fori_loop
from .control_flow import function as function
from .control_flow import map as map
from .control_flow import scan as scan
from .control_flow import while_loop as while_loop
from .shares import log_softmax as log_softmax
from .shares import softmax as softmax
