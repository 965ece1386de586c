"""Rewrite programs, one file a pass: loops found again, loops taken apart, steps shared, folded and made plain."""

from .hoisting import hoist as hoist
from .relaxing import relax as relax
from .rerolling import recognise as recognise
from .simplifying import optimise as optimise
from .simplifying import values_only as values_only
from .unnesting import restructure as restructure
