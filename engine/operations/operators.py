"""Give a number type Python's operators: each calls its row, so the type only defines how to apply rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data import to_float
from ..errors import describe
from ..misspelt import POWER
from . import table
from .methods import both, offer
from .numpy_calls import call_function, call_ufunc
from .primitive import Primitive


class Operators:
    """Spell arithmetic as rows of the table; the class below defines ``__apply__(row, args)``."""

    __slots__ = ()
    __apply_rank__ = 0

    def __add__(self, other: Any) -> Any:
        return _apply(table.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _apply(table.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _apply(table.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _apply(table.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _apply(table.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _apply(table.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _apply(table.div, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _apply(table.div, other, self)

    def __pow__(self, other: Any) -> Any:
        return _apply(table.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return _apply(table.pow, other, self)

    def __xor__(self, other: Any) -> Any:
        raise TypeError(POWER.format(got=describe("x ^ y", other)))

    __rxor__ = __xor__

    def __mod__(self, other: Any) -> Any:
        return _apply(table.remainder, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _apply(table.remainder, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _apply(table.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _apply(table.floor_divide, other, self)

    def __divmod__(self, other: Any) -> Any:
        return both(self.__floordiv__(other), self.__mod__(other))

    def __rdivmod__(self, other: Any) -> Any:
        return both(self.__rfloordiv__(other), self.__rmod__(other))

    def __neg__(self) -> Any:
        return table.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return table.abs(self)

    def __floor__(self) -> Any:
        return table.floor(self)

    def __ceil__(self) -> Any:
        return table.ceil(self)

    def __trunc__(self) -> Any:
        return table.trunc(self)

    def __round__(self) -> Any:
        return table.round(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call_function(function, types, args, kwargs)

    if TYPE_CHECKING:  # every row is a method

        def __getattr__(self, name: str) -> Any: ...


offer(Operators)


def _apply(row: Primitive, left: Any, right: Any) -> Any:
    try:
        args = [arg if hasattr(type(arg), "__apply__") else to_float(arg, row.name, "other") for arg in (left, right)]
    except TypeError:
        return NotImplemented
    return row.apply(tuple(args))
