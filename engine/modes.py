"""Switch, for a block of code and this thread only, recording off (`no_grad`) or the search for nan on (`strict`)."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .errors import NonFiniteError
from .primitive import Primitive

__all__ = ["no_grad", "strict"]

F = TypeVar("F", bound=Callable[..., Any])

_HERE = os.path.dirname(os.path.abspath(__file__))
_lock = threading.Lock()
_blocks = 0  # open blocks in all threads: while it is 0, no operation needs to ask for its thread's modes
_listeners: list[Callable[[int], None]] = []


class _Modes(threading.local):
    """Hold one thread's modes, and in strict mode where its nodes were recorded."""

    no_grad_depth = 0
    strict_depth = 0

    # When the trace that runs began, and when the outermost function did that is being differentiated, checkpointed or
    # traced (`var.begin`; 0 where there is none): what is copied of Vars made since then stays connected.
    tracing = 0.0
    since = 0.0

    # Inputs of a trace, by identity, that nothing but the derivative which is traced has in hand.
    unseen: frozenset[int] = frozenset()

    def __init__(self) -> None:
        # What pickles made inside that outermost function stand for, by their keys (see copying.py).
        self.links: dict[Any, tuple[Any, Primitive]] = {}
        self.places: dict[int, tuple[Any, str]] = {}


modes = _Modes()


def listen(listener: Callable[[int], None]) -> None:
    """Have the number of open blocks told to a module that keeps it where it is quick to read."""
    _listeners.append(listener)


_derivatives: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


def derivative(function: F) -> F:
    """Say of a function that it hands its arguments to `transforms.run_on_copies`, and to nothing else before."""
    _derivatives.add(function)
    return function


def is_derivative(function: Callable[..., Any]) -> bool:
    """Tell whether `derivative` was said of a function."""
    try:
        return function in _derivatives
    except TypeError:
        return False  # not every callable can be hashed or referred to weakly


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Hold the garbage collector off: a trace makes many small objects that stay, which it would visit again and again.

    Programs of 5,000 steps and more take a tenth to a fifth less time to compile.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _change(step: int) -> None:
    global _blocks
    with _lock:
        _blocks += step
        for listener in _listeners:
            listener(_blocks)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block (or the decorated function), in this thread only.

    >>> from chainrule import Var
    >>> x = Var(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.requires_grad, y.is_leaf
    (False, True)
    """
    modes.no_grad_depth += 1
    _change(1)
    try:
        yield
    finally:
        modes.no_grad_depth -= 1
        _change(-1)


@contextlib.contextmanager
def recording() -> Iterator[bool]:
    """Record inside the block even within `no_grad`, and tell whether the surroundings record."""
    depth = modes.no_grad_depth
    modes.no_grad_depth = 0
    try:
        yield not depth
    finally:
        modes.no_grad_depth = depth


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Raise `NonFiniteError` where an operation on Vars first makes nan or inf, or a sweep first makes a gradient so.

    The message names the operation, its operands and the line of your code. What was nan or infinite before the
    operation is not blamed on it. In a sweep the line is known for nodes recorded inside the block.

    >>> from chainrule import Var, log, sqrt
    >>> with strict():
    ...     y = log(Var(0.0))
    Traceback (most recent call last):
        ...
    chainrule.errors.NonFiniteError: log made -inf of x=0.0 at <doctest chainrule.modes.strict[1]>, line 2
    >>> with strict():
    ...     sqrt(Var(0.0)).backward()
    Traceback (most recent call last):
        ...
    chainrule.errors.NonFiniteError: the gradient by x of sqrt became inf: gradient 1.0 times partial inf at x=0.0, \
recorded at <doctest chainrule.modes.strict[2]>, line 2
    """
    modes.strict_depth += 1
    _change(1)
    try:
        yield
    finally:
        modes.strict_depth -= 1
        if not modes.strict_depth:
            modes.places.clear()
        _change(-1)


@contextlib.contextmanager
def lenient() -> Iterator[bool]:
    """Let the numbers inside a derivative rule be infinite even within `strict`, and tell whether it is on."""
    depth = modes.strict_depth
    modes.strict_depth = 0
    try:
        yield depth > 0
    finally:
        modes.strict_depth = depth


def is_recording() -> bool:
    """Tell whether this thread records."""
    return not modes.no_grad_depth


class inside:  # a generator would cost a small derivative a tenth of its time
    """Say that a function which began at `start` is being differentiated, checkpointed or traced."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __enter__(self) -> None:
        self.outermost = not modes.since
        if self.outermost:
            modes.since = self.start

    def __exit__(self, *error: object) -> None:
        if self.outermost:
            modes.since = 0.0
            modes.links.clear()


@contextlib.contextmanager
def while_tracing(start: float) -> Iterator[None]:
    """Have operations on Vars recorded even where no gradient is wanted, for a trace that began at `start` to read."""
    before, modes.tracing = modes.tracing, start
    _change(1)
    try:
        with inside(start):
            yield
    finally:
        modes.tracing = before
        _change(-1)


def is_tracing() -> bool:
    """Tell whether this thread traces a function."""
    return modes.tracing != 0.0


def is_strict() -> bool:
    """Tell whether this thread searches for nan and inf."""
    return modes.strict_depth > 0


def check_value(row: Primitive, value: float, values: Sequence[float]) -> None:
    """Raise if an operation made nan or inf of operands that had none."""
    if math.isfinite(value) or any(x != x or (math.isinf(x) and value == value) for x in values):
        return
    raise NonFiniteError(f"{row.name} made {value} of {_operands(row, values)} at {user_line()}")


def check_gradient(
    node: Any, row: Primitive, position: int, values: Sequence[float], gradient: float, partial: float, product: float
) -> None:
    """Raise if a sweep made nan or inf at one argument of a node, out of a finite gradient."""
    if math.isfinite(product) or not math.isfinite(gradient):
        return
    _, line = modes.places.get(id(node), (None, None))
    where = f", recorded at {line}" if line else ", recorded outside strict()"
    raise NonFiniteError(
        f"the gradient by {row.name_of(position)} of {row.name} became {product}: gradient {gradient} times partial "
        f"{partial} at {_operands(row, values)}{where}"
    )


def remember(node: Any) -> None:
    """Keep, until the block ends, which line of the user's recorded a node."""
    modes.places[id(node)] = (node, user_line())


def _operands(row: Primitive, values: Sequence[float]) -> str:
    shown = [f"{row.name_of(position)}={value!r}" for position, value in enumerate(values[:6])]
    return ", ".join(shown) + (f" and {len(values) - 6} more" if len(values) > 6 else "")


def user_line() -> str:
    """Return file and line of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}"


def called_by_us() -> bool:
    """Tell whether the line that reads a property of a Var stands in this package."""
    frame = sys._getframe(2)  # compiled code has no frames
    while os.path.abspath(frame.f_code.co_filename) == os.path.join(_HERE, "var.py") and frame.f_back is not None:
        frame = frame.f_back
    return os.path.abspath(frame.f_code.co_filename).startswith(_HERE + os.sep)


def _is_ours(filename: str) -> bool:
    return os.path.dirname(os.path.abspath(filename)) == _HERE or filename == contextlib.__file__
