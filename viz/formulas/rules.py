"""Write as a formula the derivative that a rule gives at some numbers: ``2*u`` for ``u**2`` at 3.

The row's own rule runs on objects that hold a number and its formula. Numbers decide every choice the rule makes,
such as which side of a kink it is on, and the steps that change nothing there (times 1, plus 0) are left out.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from chainrule import PRIMITIVES, Primitive
from chainrule.operations import Operators

from .notation import Piece, number, write

_DIGITS = 6


class Worked(Operators):
    """A number and the formula it comes from; `constant` if the formula is just the number."""

    __slots__ = ("constant", "piece", "value")

    def __init__(self, value: float, piece: Piece | None = None) -> None:
        self.value = value
        self.constant = piece is None
        self.piece = piece or number(value, digits=_DIGITS)

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Worked:
        terms = [arg if type(arg) is Worked else Worked(arg) for arg in args]
        if row.name == "where":
            return terms[1] if terms[0].value else terms[2]
        value = row.evaluate(*[term.value for term in terms])
        if all(term.constant for term in terms):
            return Worked(value)
        spelled = _SPELLED.get(row.name)
        if spelled is not None:
            # Its own number: written otherwise, it may cancel or overflow.
            return Worked(value, spelled(*terms).piece)
        return _shorter(row, terms) or Worked(value, write(row, [term.piece for term in terms]))

    def __eq__(self, other: object) -> Any:
        return _compare(operator.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return _compare(operator.ne, self, other)

    def __lt__(self, other: Any) -> Any:
        return _compare(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return _compare(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return _compare(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return _compare(operator.ge, self, other)

    def __bool__(self) -> bool:
        return self.value != 0.0

    __hash__ = None  # type: ignore[assignment]


def partial_pieces(
    row: Primitive,
    value: float,
    result: Piece,
    values: Sequence[float],
    args: Sequence[Piece | None],
    partials: Sequence[float],
) -> list[Piece]:
    """Return the formula of the derivative by each argument.

    Args:
        row: the operation; `value` what it gave, `result` how to write that.
        values: its arguments, and in `args` how to write them; None for one that is a mere number.
        partials: the derivatives as numbers, which stand where there is no formula: a rule of a user's own may call
            functions that take floats only.

    >>> import chainrule as cr
    >>> u, v = Piece("u", 5), Piece("v", 5)
    >>> [piece.text for piece in partial_pieces(cr.mul, 6.0, v, [2.0, 3.0], [u, None], [3.0, 2.0])]
    ['3', 'u']
    >>> partial_pieces(cr.tanh, 0.0, v, [0.0], [u], [1.0])[0].text
    '1/cosh(u)**2'
    """
    terms = [Worked(number, piece) for number, piece in zip(values, args, strict=True)]
    rule = row.partials if row.custom else _FAMILIAR.get(row.name, row.partials)
    try:
        found = rule(Worked(value, result), *terms)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        found = partials
    return [(partial if type(partial) is Worked else Worked(partial)).piece for partial in found]


def _compare(relation: Callable[[float, float], bool], left: Worked, right: Any) -> bool:
    return relation(left.value, right.value if type(right) is Worked else right)


def _shorter(row: Primitive, terms: list[Worked]) -> Worked | None:
    """Simplify a trivial step: multiplied by 1 or -1, divided by 1, to the power of 1, plus or minus 0."""
    name = row.name
    if name == "stop_gradient":
        return terms[0]
    if len(terms) != 2:
        return None
    left, right = terms
    if name in ("mul", "strong_mul"):
        for one, other in ((left, right), (right, left)):
            if one.constant and one.value == 1.0:
                return other
            if one.constant and one.value == -1.0:
                return -other
    if name in ("div", "pow") and right.constant and right.value == 1.0:
        return left
    if name in ("add", "sub", "strong_sub") and right.constant and right.value == 0.0:
        return left
    if name == "add" and left.constant and left.value == 0.0:
        return right
    return None


# Helper rows of the table, in terms that a reader knows.
_SPELLED: dict[str, Callable[..., Any]] = {
    "fma": lambda x, y, z: x * y + z,
    "fraction": lambda x, y: x / (x + y),
    "one_minus_square": lambda x: 1 - x**2,
    "rsqrt": lambda x: 1 / PRIMITIVES["sqrt"](x),
    "share": lambda x, y: x / (x + y),
    "sech_square": lambda x: 1 / PRIMITIVES["cosh"](x) ** 2,
    "unit": lambda x, y: x / PRIMITIVES["hypot"](x, y),
}

# Rules that the table writes so that no digit is lost, as textbooks have them. Only the formula is shown: numbers
# are those of the table.
_FAMILIAR: dict[str, Callable[..., Sequence[Any]]] = {
    "logsumexp": lambda y, *xs: [PRIMITIVES["exp"](x - y) for x in xs],
    "norm": lambda r, *xs: [x / r for x in xs],
    "sigmoid": lambda y, x: [y * (1 - y)],
}
