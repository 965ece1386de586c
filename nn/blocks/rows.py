"""Read what a layer is called on: one row of numbers, or rows one after another, as a list or as a whole array."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import chainrule
from chainrule import Var
from chainrule.errors import describe

from ..layers import inputs

Numbers = Sequence[Any]  # one row: floats and Vars, traced numbers, or a whole array of a trace
Rows = Any  # several: a list of them, or a whole array with two axes


def is_whole(x: Any) -> bool:
    """Return whether `x` is a whole array of a trace, which is not looked at number by number.

    >>> is_whole([1.0])
    False
    """
    return hasattr(type(x), "__whole__")


def is_number(x: Any) -> bool:
    """Return whether `x` is one number, rather than a list or array of them.

    >>> is_number(1.0), is_number([1.0])
    (True, False)
    """
    return not isinstance(x, list | tuple) and not getattr(x, "shape", ())


def holds_rows(x: Any) -> bool:
    """Return whether `x` is several rows, rather than one.

    >>> holds_rows([1.0, 2.0]), holds_rows([[1.0], [2.0]])
    (False, True)
    """
    shape = getattr(x, "shape", None)
    if shape:
        return len(shape) > 1
    return isinstance(x, list | tuple) and not all(map(is_number, x))


def rows_in(x: Any, width: int, reader: str) -> Rows:
    """Return the rows of `width` numbers in `x`, checked: a list of rows, or one long row of all of them.

    >>> rows_in([[1.0, 2.0]], 2, "GRU")
    [[Var(1.0, grad=0.0, label='x1'), Var(2.0, grad=0.0, label='x2')]]
    >>> len(rows_in([1.0, 2.0, 3.0, 4.0], 2, "GRU"))
    2
    """
    if is_whole(x):
        count = math.prod(x.shape)
        if x.shape[1:] == (width,) or (len(x.shape) == 1 and count % width == 0):
            rows: Rows = x.reshape(count // width, width)
            return rows
    elif holds_rows(x):
        return [inputs(row, width, reader) for row in x]
    elif isinstance(x, Iterable) and not isinstance(x, str | Var):
        numbers = list(x)
        if numbers and len(numbers) % width == 0:
            row = inputs(numbers, len(numbers), reader)
            return [row[start : start + width] for start in range(0, len(row), width)]
    plural = "" if width == 1 else "s"
    raise ValueError(f"{reader} expected rows of {width} number{plural}, one or more, but got {describe('x', x)}")


def on_rows(f: Callable[[Numbers], Any], x: Any, width: int, reader: str) -> Any:
    """Return `f` of a row of `width` numbers, or of each of several.

    >>> on_rows(len, [1.0, 2.0], 2, "LayerNorm"), on_rows(len, [[1.0, 2.0]] * 3, 2, "LayerNorm")
    (2, [2, 2, 2])
    """
    if holds_rows(x):
        return of_each(f, rows_in(x, width, reader))
    return f(inputs(x, width, reader))


def of_each(f: Callable[..., Any], *columns: Sequence[Any]) -> Any:
    """Return `f` of the items of one or several sequences, side by side.

    >>> of_each(lambda a, b: a + b, [1.0, 2.0], [10.0, 20.0])
    [11.0, 22.0]
    """
    if any(is_whole(column) for column in columns):
        return chainrule.map(lambda items: f(*items), tuple(columns))
    return [f(*items) for items in zip(*columns, strict=True)]
