"""Rewrite programs, one file per pass: recover loops, unnest them, share, fold, hoist and simplify steps."""

from .fusing import fuse as fuse
from .narrowing import narrowed as narrowed
from .pipeline import look_up as look_up
from .pipeline import prepared as prepared
from .relaxing import relax as relax
from .remembering import remembered as remembered
from .rerolling import WORK as WORK
from .rerolling import recognise as recognise
from .weighing import size as size
from .weighing import work as work
