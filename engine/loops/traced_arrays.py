"""Give whole traced arrays the behaviour of NumPy's, which whole_arrays.py has: it is loaded when it is asked for."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from ..programs import ArrayTracer, use_array_methods

_OPERATORS = "add sub mul truediv pow floordiv mod divmod matmul and or xor"
_METHODS = f"""
    {" ".join([f"__{name}__ __r{name}__" for name in _OPERATORS.split()])}
    {" ".join([f"__i{name}__" for name in _OPERATORS.split() if name != "divmod"])}
    __lt__ __le__ __gt__ __ge__ __eq__ __ne__ __neg__ __pos__ __abs__ __invert__ __len__ __iter__ __getitem__
    __setitem__ __copy__ __deepcopy__ __bool__ __float__ __int__ __index__ __array__ __on_arrays__ __array_ufunc__
    __array_function__ reshape transpose flatten tolist item put copy astype take sum mean prod max min var std ptp
    cumsum cumprod compress choose dot fill trace diagonal clip ravel swapaxes squeeze repeat round argmax argmin
    argsort all any sort partition argpartition searchsorted nonzero
"""
_PROPERTIES = "T mT ndim size dtype flat nbytes real imag"

_WRITTEN = {"flat", "real"}  # which may be assigned to


@functools.cache
def _whole_arrays() -> Any:
    return importlib.import_module(".whole_arrays", __package__)


def _method(name: str) -> Any:
    def own(self: ArrayTracer, *args: Any, **kwargs: Any) -> Any:
        return _whole_arrays().METHODS[name](self, *args, **kwargs)

    own.__name__ = name
    return own


def _property(name: str) -> property:
    def read(self: ArrayTracer) -> Any:
        return _whole_arrays().PROPERTIES[name](self)

    def write(self: ArrayTracer, value: Any) -> None:
        getattr(self, name)[...] = value

    return property(read, write if name in _WRITTEN else None)


def _other(self: ArrayTracer, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return _whole_arrays().attribute(self, name)


use_array_methods(
    {
        **{name: _method(name) for name in _METHODS.split()},
        **{name: _property(name) for name in _PROPERTIES.split()},
        "__getattr__": _other,
        "__hash__": object.__hash__,
    },
    lambda array, index: _whole_arrays().item_of(array, index),
    lambda array, dtype: _whole_arrays().as_type(array, dtype),
)
