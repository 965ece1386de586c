"""Lay out the memory that the machine code of a call works in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..layout import Layout
from . import watch
from .machine import Machine

POINTER = 8  # bytes
_FUNCTIONS = 4  # and more are longer than the cache for instructions
_GROUPS = 8
_SCRATCH = 200_000  # bytes for the values of all groups, which have to stand in the cache


class Frame:
    """Lay out one worker's memory, in bytes: everything that native code writes apart from the result.

    `total` is what each worker needs; the first worker's holds the arguments' addresses and the shared values, too.
    Functions run `step` samples at a time, and others a `single` vector of them where these fill no step, the last of
    them beside copies. A sum over samples has `lanes` lanes, to which a longer vector's parts are added one after
    another; lanes are added up at the end, and `narrow` ones, with fewer digits than doubles, every few samples before,
    in doubles. `groups` is how many groups of samples go through one function before the next: code that is longer than
    the processor's cache for instructions is then read once for all of them. Of the result `products`, the first number
    of each and how many there are, are added up in doubles from the start, without lanes; they stand `plain` behind the
    `padded` others, all `totals` in all.
    """

    def __init__(
        self,
        layout: Layout,
        machine: Machine,
        lanes: int,
        step: int,
        single: int,
        shared_slots: int,
        sample_slots: int,
        functions: int,
        products: Sequence[tuple[int, int]] = (),
    ) -> None:
        size = machine.size
        width = size * lanes
        self.machine, self.double = machine, machine.double or machine
        self.lanes, self.step, self.single = lanes, step, single
        self.scratch_size = -(-width * sample_slots // 64) * 64
        fitting = _SCRATCH // max(1, self.scratch_size)
        self.groups = max(1, min(_GROUPS, fitting)) if functions >= _FUNCTIONS else 1
        outputs, self.products = layout.outputs, products
        plain = sum(count for _, count in products)
        self.wide = outputs - plain
        self.padded = -(-self.wide // lanes) * lanes
        self.total = 0
        self._take(watch.SIZE)
        # Right behind the watch, which functions find that way.
        self.cursors = self._take(POINTER * (len(layout.sizes) + len(layout.units)))
        self.arguments = self._take(POINTER * len(layout.sizes))
        self.shared = self._take(size * shared_slots)
        self.tail_in = self._take(size * single * layout.numbers if layout.has_batch else 0)
        self.tail_out = self._take(size * single * outputs if layout.per_sample else 0)
        self.scratch = self._take(self.scratch_size * self.groups)
        self.group_cursors = self._take(POINTER * (len(layout.sizes) + len(layout.units)) * self.groups)
        rows = self.padded if layout.reduce else 0
        self.narrow = layout.reduce is not None and machine.double is not None
        self.sums = self._take(width * rows)
        self.totals = rows + (-(-plain // lanes) * lanes if layout.reduce else 0)
        self.partial = self._take(self.double.size * self.totals)
        self.plain = self.partial + self.double.size * rows

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield where numbers of the result stand among the totals, their position in it, and how many there are."""
        place, plain, position = 0, self.padded, 0
        for first, count in (*self.products, (self.wide + sum(count for _, count in self.products), 0)):
            if first > position:
                yield place, position, first - position
            if count:
                yield plain, first, count
            place, plain, position = place + first - position, plain + count, first + count

    def _take(self, size: int) -> int:
        place = self.total
        self.total += -(-size // 64) * 64
        return place
