"""Decide which values of straight-line code stay in registers: those needed soonest (Belady's rule).

LLVM's allocator sees one function after the other and stores what it cannot keep a second time, beside the slots that
values which cross functions have anyway. Told in time what to fetch again from memory, it stores next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Registers:
    """Track the values in registers through the steps of one function.

    Args:
        size: how many values there is room for.
        steps: for each step, the values that it takes.
        late: values that are needed after the last step.
    """

    def __init__(self, size: int, steps: Sequence[Sequence[int]], late: Iterable[int]) -> None:
        self._size = size
        self._uses: dict[int, list[int]] = {}
        for value in late:
            self._uses[value] = [len(steps)]
        for position in range(len(steps) - 1, -1, -1):
            for value in steps[position]:
                self._uses.setdefault(value, []).append(position)
        self._held: dict[int, int] = {}  # the next step that takes a value

    def hold(self, values: Iterable[int], position: int) -> list[int]:
        """Add the values that the step at a position used or made; return those no longer needed."""
        done = []
        for value in values:
            uses = self._uses.get(value, [])
            while uses and uses[-1] <= position:
                uses.pop()
            if uses:
                self._held[value] = uses[-1]
            else:
                self._held.pop(value, None)
                done.append(value)
        return done

    def surplus(self) -> list[int]:
        """Release and return the surplus values, those needed last."""
        gone = []
        while len(self._held) > self._size:
            value = max(self._held, key=self._held.__getitem__)
            del self._held[value]
            gone.append(value)
        return gone

    def clear(self) -> list[int]:
        """Release and return everything, as for a function call."""
        gone = list(self._held)
        self._held.clear()
        return gone
