"""Run programs or write them as code: Python, NumPy, C, LLVM; `lower` spells out what a backend lacks."""

from . import buffers as buffers
from .layout import Layout as Layout
