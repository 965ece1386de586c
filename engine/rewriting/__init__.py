"""Rewrite programs, one file a pass: loops found again, loops taken apart, steps shared, folded and made plain."""

from .pipeline import prepared as prepared
from .relaxing import relax as relax
from .rerolling import recognise as recognise
