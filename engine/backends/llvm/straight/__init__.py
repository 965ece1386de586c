"""Write programs without loops as functions of a few hundred steps, scheduled for the registers."""

from .segments import SEGMENT as SEGMENT
from .segments import Section as Section
