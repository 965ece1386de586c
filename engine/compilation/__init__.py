"""Compile functions: `compile` traces and rewrites them, and a backend runs them."""

from .compiling import compile as compile
