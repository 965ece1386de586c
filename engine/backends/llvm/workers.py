"""Run functions in native threads: one pool per process, as large as the largest request so far."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ...forking import at_fork, open_in_children

_lock = open_in_children(threading.Lock())
_pool: ThreadPoolExecutor | None = None
_size = 0


def submit(count: int, function: Callable[[], Any]) -> list[Future[Any]]:
    """Make up to so many threads call a function, once each; busy ones follow later.

    Where the system or an interpreter that is ending starts no more threads there are fewer calls, or none.
    """
    global _pool, _size
    with _lock:
        if _pool is None or _size < count:
            if _pool is not None:
                _pool.shutdown(wait=False)  # its threads finish what they have, then end
            _pool, _size = ThreadPoolExecutor(count, thread_name_prefix="chainrule"), count
        futures: list[Future[Any]] = []
        with contextlib.suppress(RuntimeError):
            while len(futures) < count:
                futures.append(_pool.submit(function))
        return futures


def finish(futures: list[Future[Any]]) -> None:
    """Wait for submitted functions; one that has not begun is not waited for."""
    for future in futures:
        if not future.cancel():
            future.result()


def _forget() -> None:
    """Start afresh in a forked process: it has none of its parent's threads."""
    global _pool, _size
    _pool, _size = None, 0


at_fork(after_in_child=_forget)
