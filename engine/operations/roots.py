"""Find the powers of roots that are smooth where the root is not: of `norm` at the origin, of ``sqrt`` at 0.

The chain rule goes through the root, and what it has there is a kink or a pole: 2 r r' at r = 0 is 0, and so is its
derivative, whatever the square's may be. So a recorded power of a root is, at 0, a power of what the root was taken of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..floats import ieee
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

    The number may be multiplied by constants on the way. Two numbers that are equal count as two.

    >>> from chainrule import Var, abs, square
    >>> power_of_root(square, (abs(Var(0.0)),)).op, power_of_root(square, (Var(0.0),))
    (<primitive square>, None)
    """
    if row is table.square:
        power, (factor, root) = 2.0, unscaled(args[0])
    elif row is table.pow and type(args[1]) is float:
        power, (factor, root) = args[1], unscaled(args[0])
    elif row is table.mul and args[0] is not args[1] and not (_is_scaled(args[0]) or _is_scaled(args[1])):
        return None
    elif row is table.mul or (row is table.dot and len(args) == 2) or (row is table.fma and _is_zero(args[2])):
        (factor, root), (other, same) = unscaled(args[0]), unscaled(args[1])
        if root is not same:
            return None
        power, factor = 2.0, factor * other
    else:
        return None
    smooth = None if getattr(root, "op", None) is None else _smooth_power(root, power)
    if smooth is None or factor == 1.0:
        return smooth
    scale = factor if row not in (table.square, table.pow) else ieee.pow(factor, power)
    return table.mul(scale, smooth) if 0.0 < abs(scale) < math.inf else None


def unscaled(x: Any) -> tuple[float, Any]:
    """Return the constants that a number was multiplied by, as one, and the number without them.

    >>> from chainrule import Var
    >>> unscaled(-2.0 * Var(3.0))
    (-2.0, Var(3.0, grad=0.0))
    """
    factor = 1.0
    while True:
        op = getattr(x, "op", None)
        if op is table.neg:
            factor, x = -factor, x.args[0]
        elif op is table.pos:
            x = x.args[0]
        elif op is table.mul and float in map(type, x.args):
            constant, x = x.args if type(x.args[0]) is float else reversed(x.args)
            factor *= constant
        elif op is table.div and type(x.args[1]) is float:
            x, constant = x.args
            factor = ieee.div(factor, constant)
        else:
            return factor, x


_SCALES = frozenset(map(id, (table.neg, table.pos, table.mul, table.div)))


def _is_scaled(x: Any) -> bool:
    return id(getattr(x, "op", None)) in _SCALES


def _is_zero(x: Any) -> bool:
    return type(x) is float and x == 0.0


def chosen(x: Any) -> tuple[list[tuple[Any, ...]], Any]:
    """Return the choices between a number and constants that `where` made, the last one first, and the number."""
    choices: list[tuple[Any, ...]] = []
    while getattr(x, "op", None) is table.where and [type(arg) is float for arg in x.args[1:]].count(True) == 1:
        choices.append(x.args)
        x = x.args[1] if type(x.args[2]) is float else x.args[2]
    return choices, x


def _smooth_power(root: Any, exponent: float) -> Scalar | None:
    choices, root = chosen(root)
    smooth = None if getattr(root, "op", None) is None else _power_of_itself(root, exponent)
    if smooth is not None:
        for condition, *branches in reversed(choices):
            a, b = [ieee.pow(x, exponent) if type(x) is float else smooth for x in branches]
            smooth = table.where(condition, a, b)
    return smooth


def _power_of_itself(root: Any, exponent: float) -> Scalar | None:
    if root.op.record is not None:  # a checkpoint's: its function tells
        return power_of_root(table.pow, (root.op.replay(*root.args), exponent))
    if getattr(root, "comes_out", False):
        smooth: Scalar | None = root.power(exponent)
        return smooth
    if root.op not in ROOTS:
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
