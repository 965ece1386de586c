"""Turn what users hold their data in (lists, arrays, data frames) into checked rows of numbers, and divide it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import Any

from chainrule.primitive import describe, to_float

Row = list[float]
Samples = tuple[list[Row], list[Any]]

_PLAIN = frozenset((float, int))


def plain(data: Any) -> Any:
    """Return arrays, columns and data frames as nested lists; anything else as it is.

    >>> plain((1.0, 2.0))
    (1.0, 2.0)
    """
    if hasattr(data, "to_numpy"):
        data = data.to_numpy()
    return data.tolist() if hasattr(data, "tolist") else data


def samples_of(X: Any, y: Any, reader: str, width: int | None = None, mark: str = "") -> Samples:
    """Return rows and as many targets, both checked; `mark` goes before their names in messages.

    >>> samples_of([[1, 2]], [3], "fit")
    ([[1, 2]], [3])
    """
    rows, targets = rows_of(X, reader, width, f"{mark}X"), targets_of(y, reader, f"{mark}y")
    if len(rows) != len(targets):
        raise ValueError(
            f"{reader} expected a target for each sample but got {len(rows)} rows in {mark}X and {len(targets)} "
            f"targets in {mark}y"
        )
    return rows, targets


def rows_of(X: Any, reader: str, width: int | None = None, name: str = "X") -> list[Row]:
    """Return samples as equally long rows of finite numbers; a number is a row of one.

    Errors: `TypeError` for what is no iterable of rows or numbers, `ValueError` for none, for rows of differing
    lengths or lengths other than `width`, and for nan and infinities, with their place.

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

    Errors are those of `rows_of`.

    >>> targets_of([[1], [2]], "fit")
    [1, 2]
    """
    items = plain(y)
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


def _target(item: Any, reader: str, name: str, position: int) -> float | Row:
    # Most rows are plain, and there may be very many.
    if type(item) is list and _PLAIN.issuperset(map(type, item)) and all(map(math.isfinite, item)):
        return item.copy()
    place, item = f"{name}[{position}]", plain(item)
    if isinstance(item, str | dict) or not isinstance(item, Iterable):
        return _finite(item, reader, place)
    return [_finite(number, reader, f"{place}[{column}]") for column, number in enumerate(item)]


def _finite(number: Any, reader: str, place: str) -> float:
    # Whole numbers stay whole: they may be classes.
    found = number if type(number) in _PLAIN else to_float(number, reader, place)
    if not math.isfinite(found):
        raise ValueError(
            f"{reader} expected finite numbers but got {describe(place, found)}; drop or fill such samples"
        )
    return found


def split(samples: Samples, validation: Any, source: random.Random) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those held out: a share, chosen at random, or a pair that was given.

    >>> kept, held_out = split(([[1], [2], [3], [4]], [1, 2, 3, 4]), 0.25, random.Random(0))
    >>> len(kept[0]), len(held_out[0])
    (3, 1)
    """
    if validation is None:
        return samples, None
    rows, _ = samples
    if isinstance(validation, tuple | list):
        if len(validation) != 2:
            raise ValueError(f"fit expected a pair of rows and targets but got {describe('validation', validation)}")
        X, y = validation
        return samples, samples_of(X, y, "fit", len(rows[0]), "validation ")
    share = to_float(validation, "fit", "validation")
    count = round(share * len(rows))
    if not 0.0 < share < 1.0 or not 0 < count < len(rows):
        raise ValueError(
            f"fit expected a share between 0 and 1 that leaves samples on both sides of {len(rows)} but got "
            f"{describe('validation', validation)}"
        )
    order = shuffled(len(rows), source)
    return _chosen(samples, sorted(order[count:])), _chosen(samples, sorted(order[:count]))


def batches(count: int, size: int, source: random.Random) -> Iterator[list[int]]:
    """Yield the positions of samples, `size` at a time: each once, in random order; one batch of all in theirs.

    >>> [len(batch) for batch in batches(5, 2, random.Random(0))]
    [2, 2, 1]
    """
    order = shuffled(count, source) if size < count else list(range(count))
    for start in range(0, count, size):
        yield order[start : start + size]


def shuffled(count: int, source: random.Random) -> list[int]:
    """Return the numbers below `count` in random order; sorting random keys is faster than `random.shuffle`.

    >>> sorted(shuffled(4, random.Random(0)))
    [0, 1, 2, 3]
    """
    keys = [source.random() for _ in range(count)]
    return sorted(range(count), key=keys.__getitem__)


def _chosen(samples: Samples, positions: list[int]) -> Samples:
    rows, targets = samples
    return [rows[k] for k in positions], [targets[k] for k in positions]
