"""Switch recording off (`no_grad`) or the search for nan on (`strict`), for a block of code and nothing else.

A block counts in its own thread, in its own task of asyncio and in tasks that were made inside it, and for as long as
it is open. Entered in a generator, it counts only while the generator runs, not while it is paused: what uses a
generator is not inside of the generator's block.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import sys
import threading
import types
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from ..forking import at_fork, open_in_children

__all__ = ["no_grad", "strict"]

F = TypeVar("F", bound=Callable[..., Any])

_lock = open_in_children(threading.Lock())
blocks = 0  # open blocks in all threads: while it is 0, no operation needs to ask for its modes
_tell: Callable[[int], None]  # var.py gives it


def use_watcher(tell: Callable[[int], None]) -> None:
    """Set the function that keeps the number of open blocks where it is quick to read."""
    global _tell
    _tell = tell


_collects_nothing = 0  # the thread that holds the collector off


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector: it would visit a trace's many lasting objects again and again.

    Programs of 5,000 steps and more take a tenth to a fifth less time to compile.
    """
    global _collects_nothing
    if not gc.isenabled():
        yield
        return
    gc.disable()
    _collects_nothing = threading.get_ident()
    try:
        yield
    finally:
        _collects_nothing = 0
        gc.enable()


def _collect_again() -> None:
    """Switch the collector on in a forked process if a thread of the parent had switched it off."""
    if _collects_nothing not in (0, threading.get_ident()):
        gc.enable()


at_fork(after_in_child=_collect_again)


def watch(step: int) -> None:
    """Change the number of open blocks; while it is not 0, operations ask what is in effect."""
    global blocks
    with _lock:
        blocks += step
        _tell(blocks)


# ---- blocks ----


class _Block:
    """An entered block: what it switches, the blocks around it, and the frame that it belongs to."""

    __slots__ = ("frame", "is_open", "no_grad", "outer", "places", "strict", "task")

    def __init__(self, outer: _Block | None, no_grad: bool | None, strict: bool | None) -> None:
        self.outer = outer
        self.no_grad = no_grad  # None where the block leaves that to what surrounds it
        self.strict = strict
        self.places: dict[int, tuple[Any, str]] = {}  # in strict mode: which line recorded a node
        self.is_open = True
        self.frame: types.FrameType | None = None  # of a generator or coroutine
        self.task: Any = None  # of asyncio, where a coroutine entered the block

    def counts(self) -> bool:
        """Return whether the code that runs now is inside this block, which has a frame."""
        # A frame that is paused hangs on no other. A task that was made inside the block inherits it, paused or not.
        frame = self.frame
        return frame is None or frame.f_back is not None or (self.task is not None and self.task is not _task())

    def runs_elsewhere(self) -> bool:
        """Return whether this block's frame runs here, in a context other than the one it was entered in."""
        wanted = self.frame
        if wanted is None or wanted.f_back is None:
            return False
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and frame is not wanted:
            frame = frame.f_back
        return frame is not None


_framed: list[_Block] = []  # open blocks of generators and coroutines: another thread, or task, may go on with these

# Each context (that of a thread, a task ...) has the innermost block; blocks that were closed out of order are skipped.
_innermost: ContextVar[_Block | None] = ContextVar("_innermost", default=None)


def in_effect() -> tuple[bool, bool]:
    """Return whether operations are recorded now, and whether they are searched for nan and inf."""
    no_grad = strict = None
    block = _innermost.get()
    while block is not None:
        if block.is_open and (block.frame is None or block.counts()):
            if no_grad is None:
                no_grad = block.no_grad
            if strict is None:
                strict = block.strict
        block = block.outer
    if _framed:
        for block in tuple(_framed):
            if no_grad is None and block.no_grad is not None and block.runs_elsewhere():
                no_grad = block.no_grad
            if strict is None and block.strict is not None and block.runs_elsewhere():
                strict = block.strict
    return not no_grad, strict is True


def is_recording() -> bool:
    """Return whether operations are recorded now."""
    return in_effect()[0]


def is_strict() -> bool:
    """Return whether operations are searched for nan and inf now."""
    return in_effect()[1]


def _strict_block() -> _Block | None:
    block = _innermost.get()
    while block is not None:
        if block.strict is not None and block.is_open and (block.frame is None or block.counts()):
            return block if block.strict else None
        block = block.outer
    return next((block for block in tuple(_framed) if block.strict and block.runs_elsewhere()), None)


def places() -> dict[int, tuple[Any, str]]:
    """Return the nodes recorded in a block of `strict`, by identity, each with the user's line."""
    block = _strict_block()
    return {} if block is None else block.places


def _enter(no_grad: bool | None, strict: bool | None) -> _Block:
    block = _Block(_without_closed(_innermost.get()), no_grad, strict)
    _innermost.set(block)
    return block


def _leave(block: _Block) -> None:
    block.is_open = False
    if block.frame is not None:
        _framed.remove(block)
    block.frame = block.task = None
    block.places = {}  # another context may hold the block for long
    _innermost.set(_without_closed(_innermost.get()))


def _without_closed(block: _Block | None) -> _Block | None:
    """Drop closed blocks; other contexts that hold the same blocks see no change."""
    while block is not None and not block.is_open:
        block = block.outer
    inner = block
    while inner is not None:
        while inner.outer is not None and not inner.outer.is_open:
            inner.outer = inner.outer.outer
        inner = inner.outer
    return block


def _task() -> Any:
    """Return the asyncio task that runs now, or None."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None or asyncio._get_running_loop() is None else asyncio.current_task()


_PAUSES = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_ON_BEHALF = {"__enter__", "__exit__", "__aenter__", "__aexit__"}  # of context managers: they serve their caller


def _owner(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the frame that a block belongs to, if it is one that can pause: a generator's or a coroutine's.

    Code of contextlib, a generator that contextlib drives, and methods of context managers act for their caller.
    """
    while frame is not None:
        code, back = frame.f_code, frame.f_back
        if code.co_filename != contextlib.__file__ and code.co_name not in _ON_BEHALF:
            driven = back is not None and back.f_code.co_filename == contextlib.__file__
            if not driven or not code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
                return frame if code.co_flags & _PAUSES else None
        frame = back
    return None


class Mode:
    """Open blocks of one kind: one after another, one inside another, in several tasks at once, or as a decorator."""

    def __init__(self, no_grad: bool | None = None, strict: bool | None = None) -> None:
        self._no_grad = no_grad
        self._strict = strict
        self._entered: list[_Block] = []

    def __enter__(self) -> None:
        around = _strict_block() if self._strict else None
        block = _enter(self._no_grad, self._strict)
        if around is not None:
            block.places = around.places
        frame = _owner(sys._getframe(1))
        if frame is not None:
            block.frame = frame
            _framed.append(block)
            if frame.f_code.co_flags & inspect.CO_COROUTINE:
                block.task = _task()
        self._entered.append(block)
        watch(1)

    def __exit__(self, *_: object) -> None:
        block = self._entered[-1] if len(self._entered) == 1 else self._latest(_owner(sys._getframe(1)))
        self._entered.remove(block)
        _leave(block)
        watch(-1)

    def _latest(self, frame: types.FrameType | None) -> _Block:
        """Return the block that a frame leaves when several are open: usually the latest of its own context."""
        own = set()
        block = _innermost.get()
        while block is not None:
            own.add(id(block))
            block = block.outer
        return max(reversed(self._entered), key=lambda block: (block.frame is frame, id(block) in own))

    def __call__(self, function: F) -> F:
        """Decorate a function so that it runs inside a block of its own; generators do so step by step."""
        run: Callable[..., Any]
        if inspect.isasyncgenfunction(function):

            def run(*args: Any, **named: Any) -> Any:
                return self._asynchronous_steps(function(*args, **named))

        elif inspect.isgeneratorfunction(function):

            def run(*args: Any, **named: Any) -> Any:
                return self._steps(function(*args, **named))

        elif inspect.iscoroutinefunction(function):

            async def run(*args: Any, **named: Any) -> Any:
                with self:
                    return await function(*args, **named)

        else:

            def run(*args: Any, **named: Any) -> Any:
                with self:
                    return function(*args, **named)

        wrapped: Any = functools.wraps(function)(run)
        return wrapped

    def _steps(self, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        step: Callable[..., Any] = generator.send
        given: Any = None
        while True:
            with self:
                try:
                    item = step(given)
                except StopIteration as end:
                    return end.value
            try:
                step, given = generator.send, (yield item)
            except BaseException as error:  # also GeneratorExit, which the generator may answer to
                step, given = generator.throw, error

    async def _asynchronous_steps(self, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
        async def one(step: Callable[[Any], Any], given: Any) -> Any:
            with self:
                return await step(given)

        step: Callable[[Any], Any] = generator.asend
        given: Any = None
        while True:
            try:
                item = await one(step, given)
            except StopAsyncIteration:
                return
            try:
                step, given = generator.asend, (yield item)
            except BaseException as error:
                step, given = generator.athrow, error


def no_grad() -> Mode:
    """Record nothing inside the block, or the decorated function, generator or coroutine.

    It holds for this thread and this task of asyncio, and for tasks made inside the block until the block ends. In a
    generator it holds while the generator runs. What it returns can be entered again, also while it is open. Inside a
    function that is traced or compiled, what runs within the block passes no derivative on.

    >>> from chainrule import Var
    >>> x = Var(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.requires_grad, y.is_leaf
    (False, True)
    """
    return Mode(no_grad=True)


def strict() -> Mode:
    """Raise `NonFiniteError` where an operation on Vars first makes nan or inf, or a sweep first makes a gradient so.

    The message names the operation, its operands and the line of your code. What was nan or infinite before the
    operation is not blamed on it. In a sweep the line is known for nodes recorded inside the block. The block holds
    where one of `no_grad` would.

    >>> from chainrule import Var, log, sqrt
    >>> with strict():
    ...     y = log(Var(0.0))
    Traceback (most recent call last):
        ...
    chainrule.errors.NonFiniteError: log made -inf of x=0.0 at <doctest chainrule.strict[1]>, line 2
    >>> with strict():
    ...     sqrt(Var(0.0)).backward()
    Traceback (most recent call last):
        ...
    chainrule.errors.NonFiniteError: the gradient by x of sqrt became inf: gradient 1.0 times partial inf at x=0.0, \
recorded at <doctest chainrule.strict[2]>, line 2
    """
    return Mode(strict=True)


class recording:
    """Record inside the block even within `no_grad`; the block's value tells whether the surroundings record."""

    __slots__ = ("_block",)

    def __enter__(self) -> bool:
        outside = not blocks or is_recording()
        self._block = None if outside else _enter(False, None)
        return outside

    def __exit__(self, *_: object) -> None:
        if self._block is not None:
            _leave(self._block)


class lenient:
    """Allow infinities inside a derivative rule even within `strict`; the block's value says whether that is on."""

    __slots__ = ("_block",)

    def __enter__(self) -> bool:
        on = blocks > 0 and is_strict()
        self._block = _enter(None, False) if on else None
        return on

    def __exit__(self, *_: object) -> None:
        if self._block is not None:
            _leave(self._block)
