"""Refuse NumPy's functions that need values, which traced numbers do not have yet, and name what to write instead."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..data import is_symbolic

_ORDER = (
    "find the order outside and hand it in as an index array (x[order]), or write maximum, minimum and where, which "
    "choose without one"
)
_ALGEBRA = (
    "write out its steps (products, a scan over rows, a few iterations in fori_loop), or hand in what is computed "
    "outside"
)
_CHOICE = "write numpy.where(condition, x, y)"
_BY_ORDER = (
    *("sort", "argsort", "lexsort", "partition", "argpartition", "searchsorted", "digitize", "median", "quantile"),
    *("percentile", "nanmedian", "nanquantile", "nanpercentile", "unique", "histogram", "bincount", "argmax", "argmin"),
    *("nanargmax", "nanargmin"),
)
_REMEDIES = {
    **dict.fromkeys(_BY_ORDER, _ORDER),
    **dict.fromkeys(["nonzero", "flatnonzero", "argwhere", "compress", "extract"], _CHOICE),
    "interp": (
        "find the intervals outside (k = numpy.searchsorted(...)), hand in k as an index array, and write "
        "y[k] + slope[k] * (x - xs[k])"
    ),
}
_OTHERWISE = "write it by arithmetic, where, maximum and sums, or hand in what is computed outside"


def traced_in(tree: Any) -> Any:
    """Return the first traced number in arguments; None where there is none."""
    if isinstance(tree, np.ndarray):
        tree = tree.ravel().tolist() if tree.dtype == object else ()
    elif isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return next((found for found in map(traced_in, tree) if found is not None), None)
    return tree if is_symbolic(tree) and hasattr(tree, "refuse") else None


def refuse(number: Any, function: Any) -> NoReturn:
    """Raise `TraceError`: a function, named if it is NumPy's, asked for the value of a traced number."""
    name = function if isinstance(function, str) else function.__name__
    module = getattr(function, "__module__", None) or "numpy"
    if module.startswith("numpy.fft"):
        remedy = "multiply by the matrices of cosines and sines: numpy.cos(angles) @ x, numpy.sin(angles) @ x"
    else:
        remedy = _REMEDIES.get(name, _ALGEBRA if module.startswith("numpy.linalg") else _OTHERWISE)
    path = ".".join([part for part in module.split(".") if not part.startswith("_")])
    number.refuse(f"{path}.{name} asked for it", remedy)
    raise AssertionError


def symbolic_in(index: Any) -> Any:
    """Return the type of a traced number, or of an array of some, in an index."""
    if isinstance(index, (tuple, list)):
        return next((found for found in map(symbolic_in, index) if found is not None), None)
    if isinstance(index, np.ndarray):
        return symbolic_in(index.ravel().tolist()) if index.dtype == object else None
    return type(index) if is_symbolic(index) else None
