"""Read users' data (lists, arrays, data frames) as checked rows of numbers, for `nn` and `viz`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

from ..errors import describe
from .numbers import to_float
from .reading import held

Row = list[float]

_PLAIN = frozenset((float, int))


def plain(data: Any, reader: str = "nn", name: str = "data") -> Any:
    """Return arrays, tensors, columns and data frames as nested lists; anything else unchanged.

    Errors: `TypeError` of the reader for masked numbers, and for tensors that PyTorch differentiates by.

    >>> plain((1.0, 2.0))
    (1.0, 2.0)
    """
    data = held(data, reader, name)
    return data.tolist() if hasattr(data, "tolist") else data


def rows_of(X: Any, reader: str, width: int | None = None, name: str = "X") -> list[Row]:
    """Return samples as equally long rows of finite numbers; a number is a row of one.

    Errors: `TypeError` for what is no iterable of rows or numbers, `ValueError` for none, for rows of differing
    lengths or lengths other than `width`, and for nan, infinities and numbers beyond doubles, with their place.

    >>> rows_of([1, 2.0], "fit")
    [[1], [2.0]]
    """
    rows = [item if type(item) is list else [item] for item in targets_of(X, reader, name, unwrap=False)]
    wanted = len(rows[0]) if width is None else width
    for position, row in enumerate(rows):
        if len(row) != wanted:
            what = describe(f"{name}[{position}]", row)
            raise ValueError(f"{reader} expected rows of {wanted} numbers but got {what} of {len(row)}")
    return rows


def targets_of(y: Any, reader: str, name: str = "y", unwrap: bool = True) -> list[Any]:
    """Return targets as finite numbers, or rows of them; with `unwrap`, rows of one number become the number.

    Whole numbers stay whole, since they may be classes; False and True are 0 and 1. Errors are those of `rows_of`.

    >>> targets_of([[1], [2]], "fit")
    [1, 2]
    """
    data = held(y, reader, name)
    if _is_checked(data):
        return (data.ravel() if unwrap and data.shape[1:] == (1,) else data).tolist()
    items = plain(data, reader, name)
    if isinstance(items, str | dict) or not isinstance(items, Iterable):
        raise TypeError(f"{reader} expected one row or number for each sample but got {describe(name, items)}")
    found: list[Any] = [
        item if type(item) is float and math.isfinite(item) else _target(item, reader, name, position)
        for position, item in enumerate(items)
    ]
    if not found:
        raise ValueError(f"{reader} expected at least one sample but got an empty {name}")
    if unwrap and all(type(item) is list and len(item) == 1 for item in found):
        return [item[0] for item in found]
    return found


def _is_checked(data: Any) -> bool:
    """Return whether data are an array of finite numbers, which are looked at all at once."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(data) is not numpy.ndarray or data.ndim not in (1, 2) or not data.size:
        return False
    return data.dtype.kind in "iu" or (data.dtype.kind == "f" and bool(numpy.isfinite(data.astype(float)).all()))


def _target(item: Any, reader: str, name: str, position: int) -> float | Row:
    # Most rows are plain, and there may be very many.
    try:
        if type(item) is list and _PLAIN.issuperset(map(type, item)) and all(map(math.isfinite, item)):
            return item.copy()
    except OverflowError:
        pass  # named below
    place = f"{name}[{position}]"
    item = plain(item, reader, place)
    if isinstance(item, str | dict) or not isinstance(item, Iterable):
        return _finite(item, reader, place)
    return [_finite(number, reader, f"{place}[{column}]") for column, number in enumerate(item)]


def _finite(number: Any, reader: str, place: str) -> float:
    if type(number) is bool:
        return int(number)
    if isinstance(number, str) and place.startswith("y"):
        advice = "number the classes 0, 1, 2 ..., or use MLPClassifier, which takes their names"
        raise TypeError(f"{reader} expected numbers as targets but got {describe(place, number)}; {advice}")
    try:
        found = number if type(number) in _PLAIN else to_float(number, reader, place)
        finite = math.isfinite(found)
    except OverflowError:
        found, finite = number, False
    if not finite:
        raise ValueError(
            f"{reader} expected finite numbers but got {describe(place, found)}; drop or fill such samples"
        )
    return found
