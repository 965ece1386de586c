"""Loops that stay loops: `function`, `map`, `scan`, `while_loop`, and long sums written with them."""
