"""Compile functions: `compile` traces, rewrites and runs them by a backend."""

from .compiled import compile as compile
