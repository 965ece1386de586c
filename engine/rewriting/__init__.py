"""Rewrite programs, one file per pass: recover loops, unnest them, share, fold, hoist and simplify steps."""

from .hoisting import hoist as hoist
from .relaxing import relax as relax
from .rerolling import recognise as recognise
from .simplifying import optimise as optimise
from .simplifying import values_only as values_only
from .unnesting import restructure as restructure
