"""Run machine code: pass it a call's arrays, share a batch among threads, call Python functions back."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding as llvm

from ...data import Structure
from ...floats import DOUBLE, Format
from ...operations import Primitive
from . import machine, work
from .machine import target

LEVEL = 1  # of LLVM's code generator
_GRAIN = 20_000  # steps times samples that are worth a thread of their own
_PARTS = 16  # of a batch, for each thread
_PARTS_MEMORY = 1 << 22  # bytes that parts with sums may take together
_ALIGNED = 64  # samples: parts are multiples of whole groups of vectors
_LONG = 1 << 20  # steps times samples that take longer than a user may want to wait for Ctrl-C
_SILENT = contextlib.nullcontext()
_view = (ctypes.c_char * 0).from_buffer


class Kernel:
    """Run compiled code: ``kernel(arrays, n, out)``.

    `arrays` holds one C-contiguous array of numbers of the `format` for each positional argument, shared ones of shape
    (size,), batched ones (n, size); `out` is a flat array of such numbers. With a reduction, or no batch, it is filled
    with the outputs in order; else the unit of the result that starts at output s and has k numbers fills
    ``out[n*s : n*(s + k)]`` as shape (n, k). Several Python threads may call one kernel at the same time.
    """

    def __init__(
        self,
        objects: list[bytes],
        size: int,
        callbacks: list[Primitive],
        count: int,
        threads: int,
        batched: bool,
        steps: int,
        endless: bool,
        tables: Mapping[str, bytes],
        format: Format = DOUBLE,
    ) -> None:
        self.threads, self.format = threads, format
        self._parts = _entry_module() or work
        self._callbacks = [_callback(row, self._parts.Callback) for row in callbacks]
        self.size = size
        self._spare: list[Any] = []
        self._grain = max(64, _GRAIN // max(1, steps))
        # From how many samples on code that does not look at signals itself runs beside the main thread.
        self._long = sys.maxsize if self._parts is not work else 0 if endless or callbacks else _LONG // max(1, steps)
        self._count = count
        with machine.lock:
            for place, function in enumerate(self._callbacks):
                llvm.add_symbol(f"chainrule_callback_{place}", ctypes.cast(function, ctypes.c_void_p).value)
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target(LEVEL))
            for content in objects:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
            self._engine.finalize_object()
        self._tables = [(name, ctypes.create_string_buffer(data, len(data))) for name, data in tables.items()]
        for name, memory in self._tables:
            place = self._engine.get_global_value_address(name)
            if place:
                ctypes.c_void_p.from_address(place).value = ctypes.addressof(memory)
        self.address = self._engine.get_function_address("run")
        self._shares = threads > 1 and batched
        self.largest = 2 * self._grain if self._shares else sys.maxsize
        self._run = self._native("run")
        self._copies = 1
        if self._shares:
            self._prepare, self._part = self._native("prepare"), self._engine.get_function_address("part")
            address = self._engine.get_function_address("finish")
            self._finish = self._native("finish") if address else None
            # Parts with sums need memory each, others one for each thread.
            self._most = threads * (max(1, min(_PARTS, _PARTS_MEMORY // (threads * size))) if address else _PARTS)
            self._copies = self._most if address else threads

    def entry(
        self,
        structures: Sequence[Structure],
        batched: Sequence[bool],
        units: Sequence[tuple[int, int]],
        per_sample: bool,
        read: Callable[[Any, int], Any],
        exact: Callable[[], Any] | None,
    ) -> Any:
        """Return the way to call the kernel with arguments as they come; None where it was not built, or for others.

        The arguments are those of `entry.Entry`.
        """
        module = _entry_module()
        if module is None or len(structures) > module.MOST_ARGUMENTS:
            return None
        if not all(module.KINDS_READ.issuperset(structure.kinds()) for structure in structures):
            return None
        sharing = None
        if self._shares:
            addresses = [self._engine.get_function_address(name) for name in ("prepare", "part", "finish")]
            sharing = *addresses, self._split
        helpers = self.threads - 1
        native = self, self.address, self.size, bool(self._callbacks), helpers, self.largest, sharing, self.format
        return module.Entry(native, structures, batched, units, per_sample, read, exact)

    def _native(self, name: str) -> Any:
        # Addresses and counts are both 64 bits wide; without argtypes ctypes spends less time on each.
        function = ctypes.CFUNCTYPE(None)(self._engine.get_function_address(name))
        function.argtypes = None  # type: ignore[assignment]
        return function

    def __call__(self, arrays: Sequence[Any], n: int, out: Any) -> None:
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = self._parts.Work(self.size, self._copies, self.threads - 1)
        try:
            addresses = [*map(ctypes.addressof, map(_view, arrays))]
        except (TypeError, ValueError):
            # Read-only arrays do not lend their memory to ctypes that way.
            addresses = [*map(_address, arrays)]
        # Threads that go on after this one was interrupted have all that they need.
        memory.kept = self, arrays, out
        integer = ctypes.c_int64
        views = (ctypes.c_void_p * self._count)(*addresses), integer(n), _view(out), integer(memory.address)
        if n >= self._long and threading.current_thread() is threading.main_thread():
            _beside(functools.partial(self._run_with, memory, views, n), memory)
        else:
            self._run_with(memory, views, n)
        memory.check()
        memory.kept = None
        self._spare.append(memory)

    def _run_with(self, memory: Any, views: tuple[Any, ...], n: int) -> None:
        if n >= self.largest:
            self._share(memory, views, n)
            return
        with self._working(memory):
            self._run(*views)

    def _working(self, memory: Any) -> contextlib.AbstractContextManager[None]:
        """Set which call this thread works for, for code that calls back."""
        return _during(self._parts.running, memory) if self._callbacks else _SILENT

    def _split(self, n: int) -> tuple[int, int, int]:
        """Return the samples of a part, the number of parts, and how many of them need memory at once.

        There are more parts than threads, so that none waits for a slower one. They depend on n alone, so that sums
        come out the same every time.
        """
        parts = min(self._most, n // self._grain)
        parts -= parts % self.threads if parts > self.threads else 0
        each = -(-n // parts // _ALIGNED) * _ALIGNED
        return each, -(-n // each), self._copies

    def _share(self, memory: Any, views: tuple[Any, ...], n: int) -> None:
        """Split the samples over threads: each runs the next part until none is left."""
        _, count, out, _ = views
        each, parts, _ = self._split(n)
        with self._working(memory):
            self._prepare(*views)
        sums = self._finish is not None
        memory.share(self._part, parts, each, n, ctypes.addressof(out), sums, bool(self._callbacks))
        if self._finish is not None and not memory.stopped:
            self._finish(ctypes.c_int64(memory.address), ctypes.c_int64(parts), count, out)


@functools.cache
def _entry_module() -> Any:
    try:
        return importlib.import_module(".entry", __package__)
    except ModuleNotFoundError:
        return None  # there was no C compiler at installation


@contextlib.contextmanager
def _during(running: threading.local, memory: Any) -> Iterator[None]:
    before = getattr(running, "work", None)  # what is called back may call, too
    running.work = memory
    try:
        yield
    finally:
        running.work = before


def _address(data: Any) -> int:
    return data.__array_interface__["data"][0]


def _callback(row: Primitive, wrap: Callable[[Any], Any]) -> Any:
    """Make a row's Python function callable from native code."""
    return ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * row.arity)(wrap(row.evaluate))


def _beside(run: Callable[[], None], memory: Any) -> None:
    """Run code that ignores signals in another thread, so that this one, the main thread, handles them."""
    with ThreadPoolExecutor(1, thread_name_prefix="chainrule") as pool:
        try:
            pool.submit(contextvars.copy_context().run, run).result()
        except BaseException:
            memory.stop()
            raise
