"""Divide samples into those to train on and those held out and into the batches of an epoch; weigh them."""

from __future__ import annotations

import collections
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chainrule.data import Row, number_within, plain, rows_of, targets_of, to_float
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


class Division(NamedTuple):
    """Samples to train on and those held out, with the positions of both among all samples given."""

    training: Samples
    held_out: Samples | None = None
    kept: Sequence[int] | None = None
    taken: Sequence[int] | None = None


def split(samples: Samples, validation: Any, source: random.Random, taken: Sequence[int] | None = None) -> Division:
    """Return the samples to train on and those held out: a share chosen at random, or those `taken`, or a given pair.

    >>> parts = split(([[1], [2], [3], [4]], [1, 2, 3, 4]), 0.25, random.Random(0))
    >>> len(parts.training[0]), len(parts.held_out[0])
    (3, 1)
    """
    if validation is None:
        return Division(samples)
    rows = samples[0]
    if isinstance(validation, tuple | list):
        if len(validation) != 2:
            raise ValueError(f"fit expected a pair of rows and targets but got {describe('validation', validation)}")
        X, y = validation
        return Division(samples, samples_of(X, y, "fit", len(rows[0]), "validation "))
    count = held_out("fit", "validation", validation, len(rows))
    if taken is None:
        taken = sorted(int(k) for k in shuffled(len(rows), source)[:count])
    left = set(range(len(rows))).difference(taken)
    kept = sorted(left)
    return Division(_chosen(samples, kept), _chosen(samples, taken), kept, taken)


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


class Batches:
    """Divide the positions of samples into batches, epoch after epoch.

    Args:
        count: how many samples there are.
        size: how many a batch has; one of all keeps their order.
        source: where the order comes from; None for the order of the samples.
        each: how many batches an epoch has, which go on where those before it ended; None for every sample once.

    >>> order = Batches(5, 2, random.Random(0))
    >>> [len(batch) for batch in order.epoch()]
    [2, 2, 1]
    >>> Batches(4, 2, None, each=3).epoch()
    [[0, 1], [2, 3], [0, 1]]
    """

    def __init__(self, count: int, size: int, source: random.Random | None, each: int | None = None) -> None:
        self.count, self.size, self.source = count, size, source
        self.each = -(-count // size) if each is None else each
        self.waiting: list[Sequence[int]] = []
        self.fixed: list[Sequence[int]] = []

    def epoch(self) -> list[Sequence[int]]:
        """Return the batches of the next epoch."""
        while len(self.waiting) < self.each:
            self.waiting += self.once()
        found, self.waiting = self.waiting[: self.each], self.waiting[self.each :]
        return found

    def once(self) -> list[Sequence[int]]:
        """Return batches that hold each sample once."""
        if self.source is not None and self.size < self.count:
            return self._divided(shuffled(self.count, self.source))
        # The same objects each time, so that who copied their samples sees it.
        self.fixed = self.fixed or self._divided(list(range(self.count)))
        return self.fixed

    def _divided(self, order: Sequence[int]) -> list[Sequence[int]]:
        return [order[start : start + self.size] for start in range(0, self.count, self.size)]


def weights_of(weights: Any, classes: Any, targets: Sequence[Any], reader: str = "fit") -> list[float] | None:
    """Return how much each sample counts: its own weight, times that of its class; None for alike.

    Args:
        weights: numbers, 0 or above, one for each sample, not all 0; or None.
        classes: a dict of weights by class, "balanced" for classes that count alike in sum, or None.
        targets: of the samples.

    >>> weights_of(None, "balanced", [0, 0, 0, 1])
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    >>> weights_of([1.0, 2.0], {0: 3.0, 1: 1.0}, [0, 1])
    [3.0, 2.0]
    """
    found = None
    if weights is not None:
        items = plain(weights, reader, "sample_weight")
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise TypeError(f"{reader} expected a weight for each sample but got {describe('sample_weight', weights)}")
        found = [number_within(reader, f"sample_weight[{k}]", weight) for k, weight in enumerate(items)]
        if len(found) != len(targets):
            raise ValueError(
                f"{reader} expected a weight for each of {len(targets)} samples but got {len(found)} in sample_weight"
            )
    if classes is not None:
        each = _class_weights(classes, targets, reader)
        found = [each[t] * (1.0 if found is None else found[k]) for k, t in enumerate(targets)]
    if found is not None and not any(found):
        raise ValueError(f"{reader} expected at least one sample that counts but got weights of 0 alone")
    return found


def _class_weights(classes: Any, targets: Sequence[Any], reader: str) -> dict[Any, float]:
    for k, target in enumerate(targets):
        if isinstance(target, list) or target % 1:
            raise ValueError(
                f"{reader} expected a class for each sample, a whole number, where class_weight is given, but got "
                f"{describe(f'y[{k}]', target)}"
            )
    counts = collections.Counter(targets)
    if isinstance(classes, str) and classes == "balanced":
        return {each: len(targets) / (len(counts) * count) for each, count in counts.items()}
    if not isinstance(classes, Mapping):
        raise TypeError(
            f"{reader} expected a dict of weights by class, or 'balanced', but got {describe('class_weight', classes)}"
        )
    missing = [each for each in counts if each not in classes]
    if missing:
        raise ValueError(
            f"{reader} expected a weight for each class but got {describe('class_weight', classes)} without "
            f"{missing[0]!r}"
        )
    return {each: number_within(reader, f"class_weight[{each!r}]", classes[each]) for each in counts}


def shuffled(count: int, source: random.Random) -> Sequence[int]:
    """Return the numbers below `count` in random order, the same with NumPy as without: sorted by random keys.

    >>> sorted(shuffled(4, random.Random(0)))
    [0, 1, 2, 3]
    """
    if count < _MANY:
        keys = [source.random() for _ in range(count)]
        return sorted(range(count), key=keys.__getitem__)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        numbers = [source.getrandbits(32) for _ in range(count)]
        return sorted(range(count), key=numbers.__getitem__)
    # By the lower half of each key, then by the upper: NumPy sorts 16 bits by counting.
    words = numpy.frombuffer(source.randbytes(4 * count), "<u4")
    order = numpy.argsort(words.astype(numpy.uint16), kind="stable")
    positions: Sequence[int] = order[numpy.argsort((words >> 16).astype(numpy.uint16)[order], kind="stable")]
    return positions


def drawn(count: int, source: random.Random) -> Sequence[float]:
    """Return so many numbers between 0 and 1, as ``source.random()`` gives them, where NumPy is loaded as an array.

    >>> drawn(2, random.Random(0)) == [random.Random(0).random(), 0.7579544029403025]
    True
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or count < _MANY:
        return [source.random() for _ in range(count)]
    # 27 and 26 bits of two words for each number.
    words = numpy.frombuffer(source.randbytes(8 * count), "<u4").astype(numpy.uint64)
    numbers: Sequence[float] = ((words[::2] >> 5 << 26) + (words[1::2] >> 6)) * 2.0**-53
    return numbers


def _chosen(samples: Samples, positions: Sequence[int]) -> Samples:
    rows, targets = samples
    return [rows[k] for k in positions], [targets[k] for k in positions]
