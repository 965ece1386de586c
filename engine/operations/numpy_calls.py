"""Answer NumPy without loading it: arrays.py, which has what its functions do with Vars, is imported when it asks."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from ..data import use_arrays
from ..errors import needing
from ..pickling import pickled_as
from .primitive import use_array_calls


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Implement ``__array_ufunc__`` by the row of NumPy's name; arrays broadcast."""
    return _arrays().apply_ufunc(ufunc, method, inputs, options)


def call_function(function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Implement ``__array_function__``."""
    return _arrays().apply_function(function, types, args, kwargs)


def rule_of(ufunc: Any) -> tuple[Any, bool]:
    """Return the function of numbers that a ufunc is, None if there is none, and whether it tells truth values."""
    rule, _, predicate, _ = _arrays().read(ufunc)
    return rule, predicate


@functools.cache
def _arrays() -> Any:
    """Import the module that needs NumPy: when NumPy asks for it, or there is an array."""
    return importlib.import_module(".array_functions", __package__)


use_arrays(lambda: _arrays().Array)
use_array_calls(lambda function, args, options: _arrays().on_arrays(function, args, options))


@pickled_as("array")
def array(data: Any) -> Any:
    """Return a NumPy array of Vars, traced numbers and floats, whose functions are chainrule's.

    Args:
        data: a number, nested lists of numbers, or an array.

    Arrays that chainrule hands to functions are such arrays, and so is what NumPy's functions make of them, or of a
    Var beside an array. What ``np.array`` and ``np.asarray`` make is an array of objects, of which NumPy asks no more
    than operators, comparisons and methods:

    - Arithmetic, ``np.sin`` and other functions that are methods, ``sum``, ``prod``, ``mean``, ``std``, ``var``,
      ``vdot`` and products of matrices are right.
    - ``maximum``, ``minimum``, ``max``, ``min``, ``clip``, ``fmax`` and ``fmin`` choose by comparison: they may lose a
      nan, and give the derivative at a tie to one item alone. ``nan_to_num`` leaves a nan; sorting misplaces it.
    - ``sign`` of nan, ``isnan``, ``isfinite``, ``isinf``, ``signbit``, ``heaviside``, ``float_power``, ``divmod``,
      ``modf``, ``ldexp``, ``logaddexp``, ``copysign``, ``percentile`` and ``quantile`` raise.

    This function makes the one of the other, and copies nothing: ``np.max(chainrule.array(xs))``.

    >>> import numpy as np
    >>> from chainrule import Var
    >>> xs = array([Var(1.0), Var(1.0)])
    >>> np.max(xs).backward()
    >>> [x.grad for x in xs]
    [0.5, 0.5]
    >>> np.isnan(xs), np.std(xs).value
    (array([False, False]), 0.0)
    """
    with needing("array", "numpy"):
        return _arrays().array(data)
