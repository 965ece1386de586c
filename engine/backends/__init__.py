"""Run or write programs, each backend in a module of its own: Python, NumPy, C, LLVM; `lower` spells what one lacks."""

from . import buffers as buffers
from .layout import Layout as Layout
