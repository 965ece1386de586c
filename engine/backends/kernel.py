"""Run machine code: hand it the arrays of a call, share a batch among threads, call Python's own functions back."""

from __future__ import annotations

import ctypes
import functools
import importlib
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding as llvm

from ..primitive import Primitive
from . import buffers
from .machine import target

LEVEL = 1  # of LLVM's code generator
_GRAIN = 20_000  # steps times samples that are worth a thread of their own
_PARTS = 16  # of a batch, for each thread
_PARTS_MEMORY = 1 << 22  # bytes that parts with sums may take together
_ALIGNED = 64  # samples: parts are multiples of whole groups of vectors
_lock = threading.Lock()
_view = (ctypes.c_char * 0).from_buffer


class Kernel:
    """Run compiled code: ``kernel(arrays, n, out)``.

    `arrays` holds one C-contiguous array of doubles for each positional argument, shared ones of shape (size,),
    batched ones (n, size); `out` is a flat array of doubles. With a reduction, or no batch, it is filled with the
    outputs in order; else the unit of the result that starts at output s and has k numbers fills
    ``out[n*s : n*(s + k)]`` as shape (n, k). Several Python threads may call one kernel at the same time.
    """

    def __init__(
        self, objects: list[bytes], size: int, callbacks: list[Primitive], count: int, threads: int, work: int
    ) -> None:
        self.threads = threads
        self.errors: list[BaseException] = []
        self._callbacks = [_callback(row, self.errors) for row in callbacks]
        self.size = size
        self._spare: list[Any] = []
        self._grain = max(64, _GRAIN // max(1, work))
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0  # that the pool belongs to
        self._count = count
        with _lock:
            for place, function in enumerate(self._callbacks):
                llvm.add_symbol(f"chainrule_callback_{place}", ctypes.cast(function, ctypes.c_void_p).value)
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target(LEVEL))
            for content in objects:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
            self._engine.finalize_object()
        self.address = self._engine.get_function_address("run")
        self.largest = 2 * self._grain if threads > 1 else sys.maxsize
        self._run = self._native("run")
        self._copies = 1
        if threads > 1:
            self._prepare, self._part = self._native("prepare"), self._native("part")
            address = self._engine.get_function_address("finish")
            self._finish = self._native("finish") if address else None
            # Parts with sums need memory each, others one for each thread.
            self._most = threads * (max(1, min(_PARTS, _PARTS_MEMORY // (threads * size))) if address else _PARTS)
            self._copies = self._most if address else threads

    def entry(
        self,
        shapes: Sequence[tuple[int, ...]],
        batched: Sequence[bool],
        units: Sequence[tuple[int, int]],
        per_sample: bool,
        read: Callable[[Any, int], Any],
        exact: Callable[[], Any] | None,
    ) -> Any:
        """Return the way to call the kernel with arrays and numbers as they are, None where it was not built.

        The arguments are those of `entry.Entry`.
        """
        module = _entry_module()
        if module is None or len(shapes) > module.MOST_ARGUMENTS:
            return None
        results = buffers.ARRAY, buffers.np.empty, read
        sharing = None
        if self.threads > 1:
            addresses = [self._engine.get_function_address(name) for name in ("prepare", "part", "finish")]
            sharing = *addresses, self._split, self._workers
        native = self, self.address, self.size, self.errors, self.largest, sharing
        return module.Entry(native, shapes, batched, units, per_sample, results, exact)

    def _native(self, name: str) -> Any:
        # Addresses and counts are both 64 bits wide; without argtypes ctypes spends less time on each.
        function = ctypes.CFUNCTYPE(None)(self._engine.get_function_address(name))
        function.argtypes = None  # type: ignore[assignment]
        return function

    def __call__(self, arrays: Sequence[Any], n: int, out: Any) -> None:
        try:
            work = self._spare.pop()
        except IndexError:
            work = _aligned(self.size * self._copies)
        try:
            addresses = [*map(ctypes.addressof, map(_view, arrays))]
        except (TypeError, ValueError):
            # Read-only arrays do not lend their memory to ctypes that way.
            addresses = [*map(_address, arrays)]
        views = [(ctypes.c_void_p * self._count)(*addresses), ctypes.c_int64(n), _view(out), work]
        if n < self.largest:
            self._run(*views)
        else:
            self._share(views, n)
        self._spare.append(work)
        if self.errors:
            error = self.errors[0]
            self.errors.clear()
            raise error

    def _split(self, n: int) -> tuple[int, int, int]:
        """Return the samples of a part, how many parts there are, and for how many there must be memory.

        There are more parts than threads, so that none waits for a slower one. They depend on n alone, so that sums
        come out the same every time.
        """
        parts = min(self._most, n // self._grain)
        parts -= parts % self.threads if parts > self.threads else 0
        each = -(-n // parts // _ALIGNED) * _ALIGNED
        return each, -(-n // each), self._copies

    def _workers(self) -> tuple[ThreadPoolExecutor, int]:
        """Return the pool of the other threads, and how many threads there are in all."""
        if self._pool is None or self._process != os.getpid():
            # A forked process has none of its parent's threads.
            self._process = os.getpid()
            self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="chainrule")
        return self._pool, self.threads

    def _share(self, views: list[Any], n: int) -> None:
        """Split the samples over threads: each runs the next part until none is left."""
        count, out, work = views[-3:]
        integer = ctypes.c_int64
        each, parts, _ = self._split(n)
        places, workers = itertools.count(), itertools.count()
        self._prepare(*views)

        def run() -> None:
            own = next(workers)
            while (place := next(places)) < parts:
                bounds = integer(place * each), integer(min(n, (place + 1) * each))
                self._part(work, integer(own if self._finish is None else place), *bounds, count, out)

        pool, threads = self._workers()
        others = [pool.submit(run) for _ in range(threads - 1)]
        run()
        for other in others:
            if not other.cancel():
                other.result()
        if self._finish is not None:
            self._finish(work, integer(parts), count, out)


@functools.cache
def _entry_module() -> Any:
    try:
        return importlib.import_module(".entry", __package__)
    except ModuleNotFoundError:
        return None  # there was no C compiler at installation


def _address(data: Any) -> int:
    return data.__array_interface__["data"][0]


def _aligned(size: int) -> Any:
    """Return memory that starts at a multiple of 64, as full vectors need."""
    memory = (ctypes.c_char * (size + 64))()
    # The view keeps the memory alive.
    return (ctypes.c_char * 0).from_buffer(memory, -ctypes.addressof(memory) % 64)


def _callback(row: Primitive, errors: list[BaseException]) -> Any:
    """Make a row's Python function callable from native code; what it raises is kept for the caller."""

    def evaluate(*xs: float) -> float:
        try:
            return float(row.evaluate(*xs))
        except BaseException as error:
            errors.append(error)
            return math.nan

    return ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * row.arity)(evaluate)
