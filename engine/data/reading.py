"""Read numbers and truth values of other libraries (tensors, frames, masked arrays, memory) and of Python's own."""

from __future__ import annotations

import array
import importlib
import sys
from numbers import Real
from typing import Any, NoReturn

from ..errors import describe


def held(value: Any, function: str, name: str) -> Any:
    """Return a container of numbers as a NumPy array, a memoryview as lists of numbers, anything else unchanged.

    Tensors of PyTorch, arrays of JAX, and what has ``to_numpy`` (Series and frames of pandas, polars) become arrays;
    names of rows and columns are not kept. Errors: `TypeError` names masked arrays with masked numbers, which would be
    read as if they were there, and tensors that another library differentiates by, whose derivative would be lost.

    >>> held(memoryview(b"ab"), "f", "x")
    [97, 98]
    """
    if isinstance(value, (memoryview, array.array)):
        return value.tolist()
    shape = getattr(value, "shape", None)
    if not shape or hasattr(type(value), "__apply__") or hasattr(type(value), "__whole__"):
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _unmasked(value, function, name) if hasattr(value, "mask") else value
    if hasattr(value, "to_numpy"):
        return value.to_numpy()
    if getattr(value, "requires_grad", False):
        _refuse(value, function, name, "which PyTorch differentiates by; pass its detach()")
    if getattr(getattr(value, "dtype", None), "is_complex", False):
        _refuse(value, function, name, "which is complex; pass real and imaginary parts")
    try:
        if hasattr(value, "double"):  # bfloat16 has no counterpart in NumPy
            value = value.double().cpu()
        found = importlib.import_module("numpy").asarray(value)
        return found.astype(float) if found.dtype.kind == "V" and not found.dtype.names else found
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{function} expected an array of numbers but got {describe(name, value)}: {error}") from error


def _unmasked(value: Any, function: str, name: str) -> Any:
    """Return the data of a masked array that masks nothing."""
    count = int(value.mask.sum())
    if count:
        advice = f"of which {count} are masked; fill them with filled(number), or drop them with compressed()"
        _refuse(value, function, name, advice)
    return value.data


def _refuse(value: Any, function: str, name: str, advice: str) -> NoReturn:
    raise TypeError(f"{function} expected plain numbers but got {describe(name, value)}, {advice}")


def real_of(value: Any) -> Any:
    """Return the real number in a scalar array, a one-element tensor or a `Decimal`; None if there is none."""
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return value
    if getattr(value, "shape", None) != () or getattr(value, "requires_grad", False) or not hasattr(value, "item"):
        return None
    if getattr(value.dtype, "kind", "f") in "mM" or getattr(value, "mask", False):
        return None
    try:
        number = value.item()
    except (TypeError, RuntimeError):
        return None  # known to a trace of the other library's only
    return number if isinstance(number, Real) else None


def truth(condition: Any, function: str, argument: str) -> Any:
    """Return a condition; `TypeError` for -1 and -2, which ``~`` makes of False and True: both would count as true.

    >>> truth(True, "where", "condition")
    True
    """
    if type(condition) is int and condition in (-1, -2):
        raise TypeError(
            f"{function} expected a condition but got {describe(argument, condition)}, which is what ~ makes of a "
            "truth value; write condition ^ True, or turn the comparison round"
        )
    return condition
