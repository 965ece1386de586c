"""Wrap functions so that the result keeps name and signature, works as a method, and can be pickled."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

from ..errors import describe
from ..pickling import pickled_as, unpickled

M = TypeVar("M", bound=Callable[..., Any])


def made_of_function(maker: M) -> M:
    """Decorate a function that takes a function `f` first and returns a closure, so that the closure can be pickled.

    A pickle holds the maker and what it was given, so `f` has to be one that can be pickled: of a module, say.
    """

    @functools.wraps(maker)
    def make(f: Callable[..., Any], *args: Any, **named: Any) -> Wrapped:
        if not callable(f):
            raise TypeError(
                f"{maker.__name__} expected a function but got {describe('f', f)}; write it as lambda x: ..., or "
                "run backward() on a Var and read its grad"
            )
        return Wrapped(make, f, args, named, maker(f, *args, **named))

    return cast(M, make)


class Wrapped:
    """A function made from another; it is pickled as the call that made it."""

    def __init__(self, maker: Any, f: Any, args: tuple[Any, ...], named: dict[str, Any], call: Any) -> None:
        self._maker, self._f, self._args, self._named, self._run = maker, f, args, named, call
        functools.update_wrapper(self, f, updated=())

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._run(*args, **named)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return by_name(self) or (unpickled, ("made of function", self._maker, self._f, self._args, self._named))

    def __repr__(self) -> str:
        return f"<{self._maker.__name__} of {getattr(self._f, '__qualname__', repr(self._f))}>"


@pickled_as("made of function")
def _make(maker: Any, f: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return maker(f, *args, **named)


def by_name(wrapper: Any) -> str | None:
    """Return the name by which pickle finds a decorated function of a module; None for any other.

    In ``__main__``, which another process may not have, the wrapper goes as what it was made of, and the function that
    it decorates gets the name by which pickle can find it where it is.
    """
    name: str | None = getattr(wrapper, "__qualname__", None)
    found: Any = sys.modules.get(getattr(wrapper, "__module__", None) or "")
    for part in (name or "").split("."):
        found = getattr(found, part, None)
    if found is not wrapper:
        return None
    if wrapper.__module__ != "__main__":
        return name
    wrapper.__wrapped__.__qualname__ = f"{name}.__wrapped__"
    return None


def positional(f: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any], reader: str) -> tuple[Any, ...]:
    """Return all arguments of a call in order, defaults filled in for those left out between them.

    Errors: `TypeError` names those that `f` takes by keyword only.
    """
    bound = inspect.signature(f).bind(*args, **named)
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"{reader} expected positional arguments but got {sorted(bound.kwargs)}")
    return bound.args
