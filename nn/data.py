"""Divide samples into those to train on and those held out, and into the batches of an epoch."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

from chainrule.data import Row, rows_of, targets_of, to_float
from chainrule.errors import describe

_MANY = 1_000  # samples whose order is found by NumPy, where it is loaded

Samples = tuple[list[Row], list[Any]]


def samples_of(X: Any, y: Any, reader: str, width: int | None = None, mark: str = "") -> Samples:
    """Return rows and the same number of targets, both checked; `mark` precedes their names in messages.

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


def split(samples: Samples, validation: Any, source: random.Random) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those held out: a share chosen at random, or a given pair.

    >>> kept, held_out = split(([[1], [2], [3], [4]], [1, 2, 3, 4]), 0.25, random.Random(0))
    >>> len(kept[0]), len(held_out[0])
    (3, 1)
    """
    if validation is None:
        return samples, None
    rows = samples[0]
    if isinstance(validation, tuple | list):
        if len(validation) != 2:
            raise ValueError(f"fit expected a pair of rows and targets but got {describe('validation', validation)}")
        X, y = validation
        return samples, samples_of(X, y, "fit", len(rows[0]), "validation ")
    count = held_out("fit", "validation", validation, len(rows))
    order = shuffled(len(rows), source)
    return _chosen(samples, sorted(order[count:])), _chosen(samples, sorted(order[:count]))


def held_out(reader: str, name: str, share: Any, count: int) -> int:
    """Return how many of `count` samples a share is; `ValueError` if that leaves none on one side.

    >>> held_out("fit", "validation", 0.25, 4)
    1
    """
    number = to_float(share, reader, name)
    if not 0.0 < number < 1.0 or not 0 < round(number * count) < count:
        raise ValueError(
            f"{reader} expected a share between 0 and 1 that leaves samples on both sides of {count} but got "
            f"{describe(name, share)}"
        )
    return round(number * count)


def batches(count: int, size: int, source: random.Random) -> list[Sequence[int]]:
    """Return the positions of samples, `size` at a time: each once, in random order; a single batch keeps their order.

    >>> [len(batch) for batch in batches(5, 2, random.Random(0))]
    [2, 2, 1]
    """
    order = shuffled(count, source) if size < count else list(range(count))
    return [order[start : start + size] for start in range(0, count, size)]


def shuffled(count: int, source: random.Random) -> Sequence[int]:
    """Return the numbers below `count` in random order, the same with NumPy as without; sorting random keys is fastest.

    >>> sorted(shuffled(4, random.Random(0)))
    [0, 1, 2, 3]
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or count < _MANY:
        keys = [source.random() for _ in range(count)]
        return sorted(range(count), key=keys.__getitem__)
    # The words that source.random() takes, 27 and 26 bits of two for each number.
    words = numpy.frombuffer(source.getrandbits(64 * count).to_bytes(8 * count, "little"), "<u4").astype(numpy.uint64)
    keys = ((words[::2] >> 5) << 26) + (words[1::2] >> 6)
    order = numpy.argsort(keys)
    if (numpy.diff(keys[order]) == 0).any():
        order = numpy.argsort(keys, kind="stable")
    positions: Sequence[int] = order
    return positions


def _chosen(samples: Samples, positions: Sequence[int]) -> Samples:
    rows, targets = samples
    return [rows[k] for k in positions], [targets[k] for k in positions]
