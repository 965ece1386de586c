"""The state of one call of machine code: the memory it writes, what its callbacks raised, the flag that ends it.

`entry.pyx` has the same class for where Cython is at hand; machine code then looks for Ctrl-C itself (see `watch`).
"""

from __future__ import annotations

import ctypes
import itertools
import math
import threading
from typing import Any

from . import workers

running = threading.local()  # .work is that of the call whose code a thread runs


class Work:
    """Zeroed memory for a number of workers, `size` bytes each, aligned to 64 as full vectors need.

    Threads share batches, but no loops.
    """

    def __init__(self, size: int, copies: int, helpers: int = 0) -> None:
        raw = (ctypes.c_char * (size * copies + 64))()
        # The view keeps the memory alive.
        self._memory: Any = (ctypes.c_char * 0).from_buffer(raw, -ctypes.addressof(raw) % 64)
        self.address = ctypes.addressof(self._memory)
        self._helpers = helpers
        self.errors: list[BaseException] = []
        self.kept: Any = None  # what the code reads and writes, as long as it may run
        self._flag = ctypes.c_int64()
        for k in range(copies):
            ctypes.c_int64.from_address(self.address + k * size + 8).value = ctypes.addressof(self._flag)

    @property
    def stopped(self) -> bool:
        """Whether the code was told to end."""
        return self._flag.value != 0

    def stop(self) -> None:
        """Make the code that runs on this memory end."""
        self._flag.value = 1

    def fail(self, error: BaseException) -> None:
        """Record what a callback raised: the call ends and raises it."""
        self.errors.append(error)
        self.stop()

    def check(self) -> None:
        """Raise the first error of a call that has ended."""
        if self.errors:
            raise self.errors[0]

    def share(self, part: int, parts: int, each: int, n: int, out: int, sums: bool, calls_back: bool) -> None:
        """Run the parts of a batch in threads, each so many samples; what they call back works for this call."""
        code, integer = ctypes.CFUNCTYPE(None)(part), ctypes.c_int64
        places, numbers = itertools.count(), itertools.count()

        def run() -> None:
            own, before = next(numbers), getattr(running, "work", None)
            if calls_back:
                running.work = self
            while (place := next(places)) < parts and not self.stopped:
                bounds = integer(place * each), integer(min(n, (place + 1) * each))
                code(integer(self.address), integer(place if sums else own), *bounds, integer(n), integer(out))
            running.work = before

        others: list[Any] = []
        try:
            others = workers.submit(self._helpers, run)
            run()
            workers.finish(others)
        except BaseException:
            # Ctrl-C came while this thread waited.
            self.stop()
            workers.finish(others)
            raise


class Callback:
    """A row's Python function, callable from machine code; what it raises goes to the call its thread works for."""

    def __init__(self, evaluate: Any) -> None:
        self._evaluate = evaluate

    def __call__(self, *xs: float) -> float:
        work = running.work
        try:
            # Nothing more is asked of the user's code once the call is to end.
            return math.nan if work.stopped else float(self._evaluate(*xs))
        except BaseException as error:
            work.fail(error)
            return math.nan
