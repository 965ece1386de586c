"""Find the powers of roots that are smooth where the root is not: of `norm` at the origin, of ``sqrt`` at 0.

The chain rule goes through the root, and what it has there is a kink or a pole: 2 r r' at r = 0 is 0, and so is its
derivative, whatever the square's may be. So a recorded power of a root is, at 0, a power of what the root was taken of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import table
from .primitive import Primitive, Scalar

ROOTS: dict[Primitive | None, tuple[float, Callable[..., Scalar]]] = {
    table.abs: (2.0, table.square),
    table.sqrt: (2.0, table.pos),
    table.cbrt: (3.0, table.pos),
    table.hypot: (2.0, lambda x, y: table.square(x) + table.square(y)),
    table.norm: (2.0, lambda *xs: table.dot(xs, xs)),
    table.pow: (0.0, table.pos),  # its exponent tells
}
"""To which power a root is smooth, and what that power is, by the root."""


def power_of_root(row: Primitive, args: tuple[Any, ...]) -> Scalar | None:
    """Return a power, square or self-product in a form that is smooth at 0; None where the row itself is.

    >>> from chainrule import Var, abs, square
    >>> power_of_root(square, (abs(Var(0.0)),)).op, power_of_root(square, (Var(0.0),))
    (<primitive square>, None)
    """
    root: Any = args[0]
    if root.op not in ROOTS:
        return None
    if row is table.square or (row is table.mul and args[1] is root):
        exponent = 2.0
    elif row is table.pow and type(args[1]) is float:
        exponent = args[1]
    else:
        return None
    if root.op is table.pow:
        x, fraction = root.args
        if type(fraction) is not float or fraction.is_integer() or not (fraction > 0.0 and exponent > 1.0):
            return None
        return table.pow(x, fraction * exponent)
    degree, base = ROOTS[root.op]
    if exponent < degree or exponent % degree:
        return None
    smooth = base(*root.args)
    return smooth if exponent == degree else table.pow(smooth, exponent / degree)
