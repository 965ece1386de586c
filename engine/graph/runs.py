"""Know which function is being traced or differentiated in this thread, and since when."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from ..forking import kept
from .modes import watch

F = TypeVar("F", bound=Callable[..., Any])


class _Runs(threading.local):
    """Hold what runs in a thread."""

    # When the trace that runs began, and when the outermost function did that is being differentiated, checkpointed or
    # traced (`var.begin`; 0 where there is none): what is copied of Vars made since then stays connected.
    tracing = 0.0
    since = 0.0

    # Inputs of a trace, by identity, that nothing but the derivative which is traced has in hand.
    unseen: frozenset[int] = frozenset()

    def __init__(self) -> None:
        # What pickles made inside that outermost function stand for, by their keys (see copying.py): a node and a row.
        self.links: dict[Any, tuple[Any, Any]] = {}


current = _Runs()


class holding:
    """Say that a function runs on some nodes, for threads that it starts: copies made there are connected, too.

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
    """Say that a function which began at `start` is being differentiated, checkpointed or traced."""

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
    """Have operations on Vars recorded even where no gradient is wanted, for a trace that began at `start` to read."""
    before, current.tracing = current.tracing, start
    watch(1)
    try:
        with inside(start):
            yield
    finally:
        current.tracing = before
        watch(-1)


def is_tracing() -> bool:
    """Tell whether this thread traces a function."""
    return current.tracing != 0.0


_derivatives: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


def derivative(function: F) -> F:
    """Say of a function that it hands its arguments to `transforms.run_on_copies`, and to nothing else before."""
    _derivatives.add(function)
    return function


def is_derivative(function: Callable[..., Any]) -> bool:
    """Tell whether `derivative` was said of a function."""
    try:
        return function in _derivatives
    except TypeError:
        return False  # not every callable can be hashed or referred to weakly
