"""Find what a traced function closes over: Vars older than the trace become inputs of its program."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import TraceError
from ..operations import table
from .blame import called_by_us, user_line
from .modes import recording
from .var import Var, begin, born_since, use_traces


class Outside:
    """Replace Vars by traced numbers, for one trace.

    A Var from before the trace is an input, whose value a program reads at each call. One that the function computed,
    of such Vars, is computed again by the program; one that it made is a constant.

    Args:
        symbol: makes the traced number that stands for an input of the given name.
    """

    def __init__(self, symbol: Callable[[str], Any]) -> None:
        self.start = begin()
        self.inputs: dict[int, Var] = {}  # by the identity of the traced number
        self._symbol = symbol
        # By the identity of the Var, which is kept so that it stays its own.
        self._known: dict[int, tuple[Var, Any]] = {}

    def lift(self, root: Var) -> Any:
        """Return the traced number, or the float, that represents a Var."""
        if id(root) not in self._known:
            with recording():  # what runs now may not record, but what computed the Var did, or it wants no gradient
                self._lift(root)
        return self._known[id(root)][1]

    def _lift(self, root: Var) -> None:
        known = self._known
        stack = [root]
        while stack:
            node = stack[-1]
            if id(node) in known:
                stack.pop()
                continue
            if not born_since(node, self.start):
                lifted = self._symbol(node.label or "outer")
                self.inputs[id(lifted)] = node
            elif node.op is None:
                lifted = node.value
            else:
                args = [arg for arg in node.args if type(arg) is Var and id(arg) not in known]
                if args:
                    stack += args
                    continue
                lifted = node.op.apply(tuple([known[id(x)][1] if type(x) is Var else x for x in node.args]))
                if not node.requires_grad:
                    lifted = table.stop_gradient(lifted)
            known[id(node)] = node, lifted


class _Session(threading.local):
    """The outermost trace that runs in a thread: its number, and what it is for."""

    depth = 0
    number = 0
    first = 0  # the birth of what was traced first
    since = 0  # the birth of what was traced first by the innermost function, of a loop, too
    outside: Outside | None = None  # of the innermost trace
    alone = False  # the program will run without a batch
    least: int | None = None  # from how many numbers on arrays are whole in the code that runs, if that is said
    kept = 0  # bodies of loops in which small arrays stayed whole


session = _Session()


@contextlib.contextmanager
def running_alone(alone: bool) -> Iterator[None]:
    """Set, while tracing, whether the program will run without a batch."""
    before, session.alone = session.alone, alone
    try:
        yield
    finally:
        session.alone = before


@contextlib.contextmanager
def arrays_whole_from(least: int) -> Iterator[None]:
    """Set, while tracing, from how many numbers on an array is one value."""
    before, session.least = session.least, least
    try:
        yield
    finally:
        session.least = before


def lift(number: Any) -> Any:
    """Return what represents a number in the running trace: for a Var, an input or something computed from inputs."""
    if type(number) is not Var:
        return number
    if session.outside is not None:
        return session.outside.lift(number)
    if number.requires_grad:
        raise TraceError(
            f"a traced number met {number!r} at {user_line()} in a thread that does not trace, "
            "where it would be frozen; compute in the thread that calls the function"
        )
    return number.value


def _check_reading(node: Var) -> None:
    """Raise if the user's code reads a number that may have changed when the program is called."""
    if session.outside is not None and not called_by_us() and type(session.outside.lift(node)) is not float:
        raise TraceError(
            f".value of a Var was read at {user_line()}, in a function that is being traced: the Var may have another "
            "value when the program runs; compute with the Var itself"
        )


use_traces(lift, _check_reading)
