"""Order independent steps so that values are used while they are in registers.

A layer of a network computes one sum after another, and each sum takes every number of the layer before: in program
order each number is fetched anew for each sum, and each addition waits for the one before. Here as many sums grow side
by side as there are registers for, and a number that was fetched serves all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence


class Schedule:
    """Order the steps of one function.

    Args:
        made: the value that each step makes.
        taken: for each step the values that it takes, without constants.
        heavy: for each step whether it calls a function, which leaves no register as it was.
        room: how many values registers hold.
        stored: tells of a value whether it stands in memory anyway.
    """

    def __init__(
        self,
        made: Sequence[int],
        taken: Sequence[Sequence[int]],
        heavy: Sequence[bool],
        room: int,
        stored: Callable[[int], bool],
    ) -> None:
        self.made, self.taken, self.heavy, self.room, self.stored = made, taken, heavy, room, stored
        step_of = {value: step for step, value in enumerate(made)}
        self.takers: dict[int, list[int]] = {}  # steps that take a value, in order
        self.waiting = [0] * len(made)  # for how many values
        for step, values in enumerate(taken):
            for value in set(values):
                self.takers.setdefault(value, []).append(step)
                self.waiting[step] += value in step_of
        self.left = {value: len(steps) for value, steps in self.takers.items()}
        self.able: dict[int, list[int]] = {}  # steps that take a value and could come next, a heap
        self.next = [step for step, count in enumerate(self.waiting) if not count]  # all that could, a heap
        for step in self.next:
            self._offer(step)
        self.done = bytearray(len(made))
        self.held: dict[int, None] = {}  # in registers, the latest used last
        self.sums = 0  # how many of them stand in no memory

    def order(self) -> list[int]:
        """Return the steps' numbers in the chosen order."""
        found = []
        for _ in self.made:
            step = self._choose()
            self._take(step)
            found.append(step)
        return found

    def _offer(self, step: int) -> None:
        for value in set(self.taken[step]):
            heapq.heappush(self.able.setdefault(value, []), step)

    def _choose(self) -> int:
        """Return the step that fetches least and starts no more sums than there are registers for."""
        best, least = -1, (2, 9, 0)
        for value in self.held:
            steps = self.able.get(value)
            while steps and self.done[steps[0]]:
                heapq.heappop(steps)
            if steps:
                cost = self._cost(steps[0])
                if cost < least:
                    best, least = steps[0], cost
        if best >= 0 and least[0] == 0:
            return best
        while self.done[self.next[0]]:
            heapq.heappop(self.next)
        first = self.next[0]
        return first if best < 0 or self._cost(first) < least else best

    def _cost(self, step: int) -> tuple[int, int, int]:
        if self.heavy[step]:
            return (1, 9, step)
        held, left = self.held, self.left
        values = self.taken[step]
        growth = left.get(self.made[step], 0) > 0 and not self.stored(self.made[step])
        fetched = 0
        for value in values:
            if value not in held:
                # What is fetched for one step alone takes no room for long.
                fetched += left[value] > 1
            elif left[value] == 1 and not self.stored(value):
                growth = False
        return (int(growth and self.sums >= self.room - 2), fetched, step)

    def _take(self, step: int) -> None:
        self.done[step] = 1
        if self.heavy[step]:
            self.held.clear()
            self.sums = 0
        for value in set(self.taken[step]):
            self.left[value] -= 1
            self._touch(value)
        value = self.made[step]
        self._touch(value)
        for taker in self.takers.get(value, ()):
            self.waiting[taker] -= 1
            if not self.waiting[taker]:
                heapq.heappush(self.next, taker)
                self._offer(taker)
        while len(self.held) > self.room:
            self._drop(next(iter(self.held)))

    def _touch(self, value: int) -> None:
        if value in self.held:
            self._drop(value)
        if self.left.get(value):
            self.held[value] = None
            self.sums += not self.stored(value)

    def _drop(self, value: int) -> None:
        del self.held[value]
        self.sums -= not self.stored(value)
