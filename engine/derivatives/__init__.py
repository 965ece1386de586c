"""Derivatives of functions, and the rules by which they pass through graphs and loops."""
