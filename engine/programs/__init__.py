"""A function as data: `Program`, its loops, and `trace`, which makes one of a Python function."""
