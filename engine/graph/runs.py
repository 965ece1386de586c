"""Keep track of the function being traced or differentiated in this thread, and since when."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ..forking import kept
from .modes import watch


class _Runs(threading.local):
    """What runs in a thread."""

    # When the trace that runs began, and when the outermost function did that is being differentiated, checkpointed or
    # traced (`var.begin`; 0 where there is none): what is copied of Vars made since then stays connected.
    tracing = 0.0
    since = 0.0

    def __init__(self) -> None:
        # What pickles made inside that outermost function stand for, by their keys (see copying.py): a node and a row.
        self.links: dict[Any, tuple[Any, Any]] = {}


current = _Runs()


class holding:
    """Record that a function runs on some nodes, for threads that it starts: copies made there are connected, too.

    Nothing tells who started a thread. But whoever has these nodes in hand, or what was computed of them, is the
    function's own.
    """

    open: ClassVar[set[holding]] = set()  # of all threads

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.inputs = inputs

    def __enter__(self) -> None:
        self.links = current.links
        self.open.add(self)

    def __exit__(self, *error: object) -> None:
        self.open.discard(self)

    @kept
    def identities(self) -> frozenset[int]:
        """The inputs."""
        return frozenset(map(id, self.inputs))


class inside:  # a generator would cost a small derivative a tenth of its time
    """Mark a function that began at `start` as being differentiated, checkpointed or traced."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __enter__(self) -> None:
        self.outermost = not current.since
        if self.outermost:
            current.since = self.start

    def __exit__(self, *error: object) -> None:
        if self.outermost:
            current.since = 0.0
            current.links.clear()


@contextlib.contextmanager
def while_tracing(start: float) -> Iterator[None]:
    """Record operations on Vars even if no gradient is wanted, so that a trace that began at `start` can read them."""
    before, current.tracing = current.tracing, start
    watch(1)
    try:
        with inside(start):
            yield
    finally:
        current.tracing = before
        watch(-1)


def is_tracing() -> bool:
    """Return whether this thread is tracing a function."""
    return current.tracing != 0.0
