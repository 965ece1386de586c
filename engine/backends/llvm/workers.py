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


def submit(count: int, function: Callable[[], Any], size: int = 0) -> list[Future[Any]]:
    """Make up to so many threads, of at least `size` in all, call a function, once each; busy ones follow later.

    Where the system or an interpreter that is ending starts no more threads there are fewer calls, or none.
    """
    futures: list[Future[Any]] = []
    with _lock, contextlib.suppress(RuntimeError):
        size = max(size, count)
        if _pool is None or _size < size:
            # Ctrl-C interrupts the main thread only: one that it starts may be left out of the pool, and never end.
            starter = threading.Thread(target=_open, args=(size,))
            starter.start()
            starter.join()
        while _pool is not None and len(futures) < count:
            futures.append(_pool.submit(function))
    return futures


def _open(count: int) -> None:
    """Replace the pool by one of so many threads, and start them."""
    global _pool, _size
    pool, all_there = ThreadPoolExecutor(count, thread_name_prefix="chainrule"), threading.Event()
    with contextlib.suppress(RuntimeError):
        for _ in range(count):
            pool.submit(all_there.wait)  # a thread that waits takes nothing else, so that the next one is started
    all_there.set()
    before, _pool, _size = _pool, pool, count
    if before is not None:
        before.shutdown(wait=False)  # its threads finish what they have, then end


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
