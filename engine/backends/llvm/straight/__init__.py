"""Generate code for programs without loops: functions of a few hundred steps, scheduled for the registers.

A value is written once and is a register, or a slot of memory where a later function reads it; `Schedule` orders the
steps so that registers suffice. `loops` is the generator for programs that hold loops, whose numbers have to be in
memory, at distances that a loop can follow. Neither imports the other; what both need is in the folder around them.
"""

from .segments import SEGMENT as SEGMENT
from .segments import Section as Section
