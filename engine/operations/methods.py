"""Find rows by the names of methods and of NumPy's functions, so that ``x.arcsin()`` and ``np.arcsin(x)`` work."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from ..misspelt import FIELDS, FUNCTIONS, advice
from .primitive import PRIMITIVES, Primitive, on_register

comparisons: dict[str, Callable[[Any, Any], Any]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


# Rows that only rules of derivatives are made of: named in listings, but in no list of what there is.
PARTS = frozenset(
    ("exp_remainder", "fraction", "gelu_slope", "one_minus_square", "sech_square")
    + ("share", "silu_slope", "sinc_derivative", "strong_mul", "strong_sub", "unit")
)
_ALSO = {"fabs": "abs"}  # a second name that NumPy has for a row

_functions: dict[str, Callable[[Any], Any]] = {}  # of one number, without a row of their own
_offers: list[Callable[[Callable[..., Any], str], None]] = []


def method(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a function of one number a method of the number types, as rows are."""
    _functions[function.__name__] = function
    for add in _offers:
        add(function, function.__name__)
    return function


def method_named(name: str) -> Callable[..., Any] | None:
    """Return the row or function for a method name."""
    return method_row(name) or _functions.get(name)


def method_or_advice(name: str, kind: str) -> Callable[..., Any]:
    """Return the row or function for a method name; `AttributeError` says what may have been meant."""
    function = method_named(name)
    if function is None:
        meant = FUNCTIONS.get(name, "")
        others = {name: f"{meant}()"} if method_named(meant) else FIELDS
        raise AttributeError(f"{kind!r} object has no attribute {name!r}{advice(name, others, ())}")
    return function


def method_row(name: str) -> Primitive | None:
    """Return the row for a method name: the row's own name, or NumPy's if that differs.

    >>> import chainrule
    >>> method_row("arcsin") is method_row("asin") is chainrule.asin
    True
    """
    row = PRIMITIVES.get(name) or _numpy_names().get(name) or PRIMITIVES.get(_ALSO.get(name, ""))
    return row if type(row) is Primitive else None


def method_names() -> list[str]:
    """List the names that `method_named` knows."""
    return [name for name in (*PRIMITIVES, *_numpy_names(), *_ALSO, *_functions) if method_named(name)]


def offer(kind: type) -> None:
    """Give a class every row as a method, including rows registered later; its own methods stay.

    With a ``__getattr__`` in its place, Python would look up every attribute of the class the slow way.
    """
    own = set(dir(kind))

    def add(function: Callable[..., Any], name: str) -> None:
        if name not in own:
            setattr(kind, name, method_of(function, name))

    for name in method_names():
        function = method_named(name)
        assert function is not None
        add(function, name)
    known = {name for name, meant in FUNCTIONS.items() if method_named(meant)}.difference(method_names())
    for name in (known | FIELDS.keys()) - own:
        setattr(kind, name, property(functools.partial(_missing, name, kind.__name__)))
    _offers.append(add)

    def offered(row: Primitive) -> None:
        for name in (row.name, _numpy_name(row)):
            if method_row(name) is row:
                add(row, name)

    on_register(offered)


def _missing(name: str, kind: str, self: Any) -> Any:
    return method_or_advice(name, kind)


def method_of(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the method that represents a row, or a function of one number, in a class."""

    def own(self: Any, *args: Any, **named: Any) -> Any:
        return function(self, *args, **named)

    own.__name__ = name
    own.__doc__ = function.__doc__
    return own


@functools.cache
def _numpy_names() -> dict[str, Primitive]:
    # Of two rows the table's, which came first, has the name.
    return {_numpy_name(row): row for row in reversed(PRIMITIVES.values()) if "numpy" in row.code}


def _numpy_name(row: Primitive) -> str:
    return row.code.get("numpy", "").rpartition(".")[2]


on_register(lambda row: _numpy_names.cache_clear())


def both(quotient: Any, rest: Any) -> Any:
    """Return divmod's result from those of `//` and `%`; NotImplemented if they are."""
    return NotImplemented if rest is NotImplemented else (quotient, rest)


@method
def conjugate(x: Any) -> Any:
    """Return x, a real number; NumPy's variance and products of vectors ask for it."""
    return x


@method
def item(x: Any) -> Any:
    """Return x, a number already, as NumPy's of no axes do."""
    return x
