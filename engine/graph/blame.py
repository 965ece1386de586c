"""Find the operation that first made nan or inf (for `strict`), and the user's line that ran it."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import NonFiniteError
from ..operations import Primitive
from .modes import places

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def check_value(row: Primitive, value: float, values: Sequence[float]) -> None:
    """Raise if an operation made nan or inf from operands that had none."""
    if is_to_blame(value, values):
        raise NonFiniteError(f"{row.name} made {value} of {operands(row, values)} at {user_line()}")


def is_to_blame(value: float, values: Sequence[float]) -> bool:
    """Return whether a value is nan or infinite and none of the operands explains it."""
    return not (math.isfinite(value) or any(x != x or (math.isinf(x) and value == value) for x in values))


def check_gradient(
    node: Any, row: Primitive, position: int, values: Sequence[float], gradient: float, partial: float, product: float
) -> None:
    """Raise if a sweep made nan or inf at an argument of a node, from a gradient and operands that had none."""
    if not is_to_blame(product, (gradient, *values)):
        return
    _, line = places().get(id(node), (None, None))
    where = f", recorded at {line}" if line else ", recorded outside strict()"
    raise NonFiniteError(
        f"the gradient by {row.name_of(position)} of {row.name} became {product}: gradient {gradient} times partial "
        f"{partial} at {operands(row, values)}{where}"
    )


def remember(node: Any) -> None:
    """Remember, until the block ends, which line of the user's code recorded a node."""
    places()[id(node)] = (node, user_line())


def warn_of_lost_step(sign: str, x: Any) -> None:
    """Warn that ``p -= lr * p.grad`` makes a new Var and leaves the parameter as it is."""
    name = x.label or "p"
    is_interpreted = sys._getframe(1).f_code.co_filename.endswith("var.py")  # compiled code has no frames
    warnings.warn(
        f"{name} {sign} ... makes a new Var and leaves the one that has the gradient as it was; to change that one, "
        f"write {name}.value {sign} ..., for a new Var {name} = {name} {sign[0]} ...",
        RuntimeWarning,
        stacklevel=3 if is_interpreted else 2,
    )


def operands(row: Primitive, values: Sequence[float]) -> str:
    """Format the names and values of a row's operands, the first six."""
    shown = [f"{row.name_of(position)}={value!r}" for position, value in enumerate(values[:6])]
    return ", ".join(shown) + (f" and {len(values) - 6} more" if len(values) > 6 else "")


def user_line() -> str:
    """Return file and line of the innermost frame that belongs neither to chainrule nor to an installed library.

    Where all frames do, the outermost is named.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}"


def called_by_us() -> bool:
    """Return whether the line that reads a property of a Var belongs to this package."""
    frame = sys._getframe(2)  # compiled code has no frames
    while frame.f_code.co_filename.endswith("var.py") and frame.f_back is not None:
        frame = frame.f_back
    return os.path.abspath(frame.f_code.co_filename).startswith(os.path.join(_PACKAGE, ""))


@functools.cache
def _is_library(filename: str) -> bool:
    """Return whether a file is chainrule's (nn and viz too), Python's own or an installed package's."""
    # Frozen modules, and code that chainrule's Python backend or NumPy generated.
    if filename.startswith(("<frozen ", "<chainrule ", "<__array_function__")):
        return True
    path = os.path.abspath(filename)
    return any(path.startswith(folder) for folder in _folders()) or not _INSTALLED.isdisjoint(path.split(os.sep))


_INSTALLED = {"site-packages", "dist-packages"}


@functools.cache
def _folders() -> tuple[str, ...]:
    """List the folders that hold libraries, each with a separator at its end."""
    import site  # imported here, since only a message needs them
    import sysconfig

    known = sysconfig.get_paths()
    folders = [_PACKAGE, *(known[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    # A virtual environment may link to the standard library, whose code then names the files behind the link.
    folders += [os.path.dirname(os.path.abspath(contextlib.__file__)), site.getusersitepackages()]
    return tuple(os.path.join(folder, "") for folder in folders)
