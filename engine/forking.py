"""Keep locks usable in forked processes, and give keys that no other process gives.

A forked process has the thread that forked and no other, but all the locks that others held: nobody would ever release
them.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


def open_in_children(lock: Any) -> Any:
    """Return a lock, which is open in forked processes unless the thread that forked holds it itself."""

    def reopen() -> None:
        if lock.acquire(blocking=False):
            lock.release()
        else:
            lock._at_fork_reinit()

    at_fork(after_in_child=reopen)
    return lock


def at_fork(**actions: Callable[[], None]) -> None:
    """Register functions to be called where processes fork, as `os.register_at_fork` does."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**actions)


_count = itertools.count()


@functools.cache
def _process() -> bytes:
    """Return what this process, and those forked off it, have in common with no other."""
    return os.urandom(16)


def key_of_its_own() -> tuple[bytes, int, int]:
    """Return a key that no other call gives, in this process or another."""
    return _process(), os.getpid(), next(_count)


class kept(Generic[T]):
    """Make a property that is computed once for each object; unlike Python 3.11's `cached_property` it has no lock."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> kept[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | kept[T]:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
