"""Formulas of operations as templates: texts, and places in which a page fills in names or numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chainrule import Primitive

from ..formulas import ATOM, Piece, partial_pieces, write

# In a template the values of a node and of its arguments stand between these two, by place; the node's own is -1.
_OPEN, _CLOSE = "\ue000", "\ue001"
_RESULT = -1

Template = list[str | int]


def text_template(row: Primitive, arity: int) -> Template:
    """Return the operation as people write it.

    >>> import chainrule as cr
    >>> text_template(cr.mul, 2)
    ['', 0, '*', 1, '']
    """
    return _template(write(row, _marks(arity)))


def rule_templates(
    row: Primitive,
    value: float,
    values: Sequence[float],
    symbols: Sequence[bool],
    partials: Sequence[float],
) -> list[Template | None]:
    """Return the formulas of the derivatives that a row has at `values`; None where one is but a number.

    Args:
        row: the operation; `value` what it gave.
        values: its arguments; those that are no `symbols` are mere numbers.
        partials: the derivatives as numbers.

    >>> import chainrule as cr
    >>> rule_templates(cr.square, 9.0, [3.0], [True], [6.0])
    [['2*', 0, '']]
    """
    marks = _marks(len(values))
    pieces = partial_pieces(
        row,
        value,
        Piece(f"{_OPEN}{_RESULT}{_CLOSE}", ATOM),
        values,
        [mark if symbol else None for mark, symbol in zip(marks, symbols, strict=True)],
        partials,
    )
    # Where a row has kinks the formula is that of one side.
    return [_template(piece) if _OPEN in piece.text and row.smooth is None else None for piece in pieces]


def _marks(count: int) -> list[Piece]:
    return [Piece(f"{_OPEN}{k}{_CLOSE}", ATOM) for k in range(count)]


def _template(piece: Piece) -> Template:
    parts = re.split(f"{_OPEN}(-?\\d+){_CLOSE}", piece.text)
    return [int(part) if k % 2 else part for k, part in enumerate(parts)]
