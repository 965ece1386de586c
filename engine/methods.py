"""Find rows by the names that methods and NumPy's functions have, so that ``x.arcsin()`` and ``np.arcsin(x)`` work."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

from .primitive import PRIMITIVES, Primitive

_methods: dict[str, Primitive] = {}
_comparisons: dict[str, Callable[[Any, Any], Any]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


def methods() -> dict[str, Primitive]:
    """Map method names to rows: each row's own name, and NumPy's where that differs.

    >>> import chainrule
    >>> methods()["arcsin"] is methods()["asin"] is chainrule.asin
    True
    """
    if len(_methods) < len(PRIMITIVES):
        rows = [row for row in PRIMITIVES.values() if type(row) is Primitive]
        _methods.update((row.code.get("numpy", row.name), row) for row in rows)
        _methods.update((row.name, row) for row in rows)
    return _methods


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Do for ``__array_ufunc__`` what NumPy's function does, by the row of that name; arrays broadcast."""
    rule = methods().get(ufunc.__name__) or _comparisons.get(ufunc.__name__)
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
