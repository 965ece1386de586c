"""Compile a program to SIMD machine code with LLVM: `build` returns a `Kernel`, `source` the LLVM IR."""

from .emission import build as build
from .emission import source as source
