"""Move numbers between users' arguments and the contiguous memory that kernels read and write.

With NumPy arrays of a kernel's format in C order go to it as they are. Without NumPy the standard library's serve.
"""

from __future__ import annotations

import array
import importlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..data import Structure
from ..floats import Format

np: Any = None
DOUBLE: Any = None
ARRAY: Any = None  # numpy.ndarray, None where NumPy is missing


def load() -> None:
    """Import NumPy if it is installed, when something is compiled, so that ``import chainrule`` does not have to."""
    global np, DOUBLE, ARRAY
    try:
        np = importlib.import_module("numpy")
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        return
    DOUBLE, ARRAY = np.dtype(float), np.ndarray


def pack(numbers: Sequence[float], own: Format) -> Any:
    """Return floats as contiguous memory."""
    if np is None:
        return array.array(own.code, numbers)
    with np.errstate(over="ignore"):
        return np.array(numbers, own.name)


def chain(pieces: Sequence[Any], own: Format) -> Any:
    """Return arrays and lists of floats concatenated."""
    if len(pieces) == 1:
        return pack(pieces[0], own) if type(pieces[0]) is list else convert(pieces[0], own)
    if np is None:
        return pack([number for piece in pieces for number in piece], own)
    return convert(np.concatenate([np.ravel(piece) for piece in pieces] or [()], dtype=DOUBLE), own)


def convert(item: Any, own: Format) -> Any:
    """Return a NumPy array as numbers of a format in C order, unchanged if it is that already."""
    if item.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of real numbers but got dtype {item.dtype}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(item, dtype=own.name)


def join(parts: Sequence[Any], rows: int, own: Format) -> Any:
    """Join arrays with the same number of rows side by side."""
    columns = [convert(part, own).reshape(rows, math.prod(part.shape[1:])) for part in parts]
    return np.ascontiguousarray(np.hstack(columns))


def empty(size: int, own: Format) -> Any:
    """Return memory for that many numbers."""
    return array.array(own.code, bytes(own.size * size)) if np is None else np.empty(size, own.name)


def has_nan(out: Any) -> bool:
    """Return whether results contain nan."""
    if np is None:
        return any(number != number for number in out)
    # Squares add up to nan only where one is nan; the call costs less than isnan and any, and unlike dot does not warn
    # of squares that overflow.
    total = np.vdot(out, out) if len(out) < 4096 else np.minimum.reduce(out)
    return bool(total != total)


def all_finite(out: Any) -> bool:
    """Return whether results contain neither nan nor infinities."""
    return all(map(math.isfinite, out)) if np is None else bool(np.isfinite(out).all())


def reader(result: Structure, per_sample: bool) -> Callable[[Any, int], Any]:
    """Return the function that turns what a kernel wrote for n samples into the result's structure."""
    if np is None:
        return lambda out, n: _plain(result, out, n if per_sample else None, [0])
    if per_sample:
        return lambda out, n: _blocks(result, out, n, [0])
    return _reader(result, 0)


def _reader(result: Structure, start: int) -> Callable[[Any, int], Any]:
    """Return the reader of what starts at an output; made once, since small calls take microseconds."""
    if result.kind == "number":
        return lambda out, n: out.item(start)
    end, shape = start + result.size, result.shape
    if result.places is not None:
        make = result.places.filled
        return lambda out, n: make(out[start:end])
    if result.kind == "array":
        if len(shape) == 1:
            return lambda out, n: out[start:end]
        return lambda out, n: out[start:end].reshape(shape)
    if result.parts and result.of_numbers and result.kind == "list":
        return lambda out, n: out[start:end].tolist()
    if result.parts and result.of_numbers and result.kind == "tuple":
        return lambda out, n: tuple(out[start:end].tolist())
    starts = itertools.accumulate([part.size for part in result.parts], initial=start)
    parts = [_reader(part, place) for part, place in zip(result.parts, starts, strict=False)]
    if result.kind == "list":
        return lambda out, n: [part(out, n) for part in parts]
    if result.kind == "tuple":
        return lambda out, n: tuple([part(out, n) for part in parts])
    return lambda out, n: result.build([part(out, n) for part in parts])


def _blocks(result: Structure, out: Any, n: int, place: list[int]) -> Any:
    """Return views of the blocks of n rows, one for each number or array of the result; a list for sparse ones."""
    if result.kind in ("number", "array"):
        start = place[0]
        place[0] += result.size
        return out[n * start : n * place[0]].reshape(n, *result.shape)
    if result.places is not None:
        # SciPy has no batches of sparse arrays.
        start, size, make = place[0], result.size, result.places.filled
        place[0] += size
        return [make(row) for row in out[n * start : n * place[0]].reshape(n, size)]
    return result.build([_blocks(part, out, n, place) for part in result.parts])


def _plain(result: Structure, out: Any, n: int | None, place: list[int]) -> Any:
    """Read results without NumPy: floats, or over a batch lists of floats."""
    if result.kind == "number":
        start = place[0]
        place[0] += 1
        return out[start] if n is None else out[n * start : n * (start + 1)].tolist()
    return result.build([_plain(part, out, n, place) for part in result.parts])
