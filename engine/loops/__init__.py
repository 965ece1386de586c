"""Loops that stay loops: `function`, `map`, `scan`, `while_loop`, and long sums written with them."""

from . import long_sums as long_sums  # gives traced sums and softmax their loops
from .branches import cond as cond
from .branches import switch as switch
from .control_flow import fori_loop as fori_loop
from .control_flow import function as function
from .control_flow import map as map
from .control_flow import scan as scan
from .control_flow import while_loop as while_loop
