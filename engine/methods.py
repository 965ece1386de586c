"""Find rows by the names that methods and NumPy's functions have, so that ``x.arcsin()`` and ``np.arcsin(x)`` work."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable
from typing import Any

from .primitive import PRIMITIVES, Primitive, on_register

_comparisons: dict[str, Callable[[Any, Any], Any]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


def method_row(name: str) -> Primitive | None:
    """Return the row that a method name means: the row's own name, or NumPy's where that differs.

    >>> import chainrule
    >>> method_row("arcsin") is method_row("asin") is chainrule.asin
    True
    """
    row = PRIMITIVES.get(name) or _numpy_names().get(name)
    return row if type(row) is Primitive else None


def method_names() -> list[str]:
    """List the names that `method_row` knows."""
    return [name for name in (*PRIMITIVES, *_numpy_names()) if method_row(name)]


def offer(kind: type) -> None:
    """Give a class every row as a method, also those registered later; what it has of these names stays.

    With a ``__getattr__`` in its place, Python would look up every attribute of the class the slow way.
    """
    own = set(dir(kind))

    def add(row: Primitive, name: str) -> None:
        if name not in own:
            setattr(kind, name, method_of(row, name))

    for name in method_names():
        row = method_row(name)
        assert row is not None
        add(row, name)
    on_register(lambda row: add(row, row.name) if type(row) is Primitive else None)


def method_of(row: Primitive, name: str) -> Callable[..., Any]:
    """Return the function that stands for a row in a class."""

    def method(self: Any, *args: Any) -> Any:
        return row(self, *args)

    method.__name__ = name
    method.__doc__ = row.__doc__
    return method


@functools.cache
def _numpy_names() -> dict[str, Primitive]:
    return {row.code["numpy"]: row for row in PRIMITIVES.values() if "numpy" in row.code}


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Do for ``__array_ufunc__`` what NumPy's function does, by the row of that name; arrays broadcast."""
    rule = _comparisons.get(ufunc.__name__) or method_row(ufunc.__name__)
    if rule is None or method != "__call__" or options:
        return NotImplemented
    if all(getattr(item, "ndim", 0) == 0 for item in inputs):
        return rule(
            *(
                item if hasattr(type(item), "__apply__") else getattr(item, "item", lambda i=item: i)()
                for item in inputs
            )
        )
    numpy = sys.modules["numpy"]
    arrays = []
    for item in inputs:
        array = item
        if hasattr(type(item), "__apply__"):
            array = numpy.empty((), object)
            array[()] = item
        arrays.append(array)
    return numpy.frompyfunc(rule, len(inputs), 1)(*arrays)
