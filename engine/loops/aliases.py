"""Give views of whole traced arrays where NumPy's functions give views, and arrays of their own where they copy.

Which it is, and of which numbers, NumPy itself tells: its function is called with an array that lies in memory as the
traced one lies in what it is a view of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..programs import ArrayTracer, Part, contiguous, size_of
from .nests import base_of, holds_conditions
from .writing import copy_of, handed_out, is_of, placed

VIEWS = {
    *(np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.expand_dims, np.squeeze),
    *(np.broadcast_to, np.diagonal, np.diag, np.flip, np.fliplr, np.flipud, np.rot90, np.real, np.linalg.diagonal),
    *(np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.matrix_transpose, np.linalg.matrix_transpose),
    *(np.atleast_1d, np.atleast_2d, np.atleast_3d, np.real_if_close, np.lib.stride_tricks.sliding_window_view),
    *(getattr(np, name) for name in ("unstack",) if hasattr(np, name)),
}
"""What gives views of the array that comes first, if NumPy can."""


def views(function: Callable[[Any], Any], x: ArrayTracer) -> Any:
    """Return the views of an array that a function of NumPy's gives; None where it copies."""
    root, part = placed(x)
    if part is None:
        return None
    low = part.start + sum([min(0, step * (n - 1)) for n, step in zip(part.shape, part.strides, strict=True)])
    if low < 0 or not size_of(part.shape):
        return None
    memory = np.zeros(size_of(root.shape))  # which nobody reads, so that none is taken up
    steps = [8 * step for step in part.strides]
    found = function(np.lib.stride_tricks.as_strided(memory[part.start :], part.shape, steps))
    several = found if type(found) in (list, tuple) else [found]
    parts = [part_in(memory, own) for own in several]
    if any(own is None for own in parts):
        return None
    nodes = [handed_out(_view(root, own, x)) for own in parts]
    return type(found)(nodes) if type(found) in (list, tuple) else nodes[0]


def _view(root: ArrayTracer, part: Any, x: ArrayTracer) -> Any:
    found = root.__whole__().view(part)
    if holds_conditions(x) and isinstance(found, ArrayTracer):
        base_of(found).holds_conditions = True
    return found


def part_in(memory: Any, found: Any) -> Part | None:
    """Return which part of an array that lies side by side another one is; None for one with memory of its own."""
    if not isinstance(found, np.ndarray) or not found.size or not np.may_share_memory(memory, found):
        return None
    start = (found.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // memory.itemsize
    part = Part(start, found.shape, tuple([step // memory.itemsize for step in found.strides]))
    return part._replace(strides=contiguous(part.shape)) if part.is_contiguous else part


def of_its_own(found: Any, since: int) -> Any:
    """Return results that are not written to when an array from before some birth is."""
    if type(found) in (list, tuple):
        return type(found)([of_its_own(own, since) for own in found])
    return copy_of(found) if is_of(found, since) else found


def with_views(found: Any, given: Sequence[tuple[ArrayTracer, Any]]) -> Any:
    """Return results of a function of arrays of numbers, views of these as views of the whole arrays."""
    if type(found) in (list, tuple):
        return type(found)([with_views(own, given) for own in found])
    for x, items in given:
        part = part_in(items, found)
        if part is not None:
            return handed_out(_view(x, part, x))
    return found
