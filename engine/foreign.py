"""Take the numbers that other libraries hold (tensors, data frames, masked arrays, memory) as plain arrays or lists."""

from __future__ import annotations

import array
import importlib
import sys
from typing import Any, NoReturn

from .primitive import describe


def held(value: Any, function: str, name: str) -> Any:
    """Return what holds several numbers as a NumPy array, memory as lists of numbers, anything else as it is.

    Tensors of PyTorch, arrays of JAX, and what has ``to_numpy`` (Series and frames of pandas, polars) become arrays;
    names of rows and columns are not kept. Errors: `TypeError` names masked arrays with masked numbers, which would be
    read as if they were there, and tensors that another library differentiates by, whose derivative would be lost.

    >>> held(memoryview(b"ab"), "f", "x")
    [97, 98]
    """
    if isinstance(value, (memoryview, array.array)):
        return value.tolist()
    shape = getattr(value, "shape", None)
    if not shape or hasattr(type(value), "__apply__"):
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
    """Return the array below a masked one that masks nothing."""
    count = int(value.mask.sum())
    if count:
        advice = f"of which {count} are masked; fill them with filled(number), or drop them with compressed()"
        _refuse(value, function, name, advice)
    return value.data


def _refuse(value: Any, function: str, name: str, advice: str) -> NoReturn:
    raise TypeError(f"{function} expected plain numbers but got {describe(name, value)}, {advice}")
