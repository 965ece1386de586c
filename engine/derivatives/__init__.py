"""Derivatives of functions, and the rules by which they pass through graphs and loops."""

from . import loop_rules as loop_rules  # gives loops their derivatives
