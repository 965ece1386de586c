"""Compile functions: `compile` traces and rewrites them, and a backend runs them."""

from .compiled import compile as compile
