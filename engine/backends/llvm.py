"""Compile a program to SIMD machine code with LLVM: `build` returns a `Kernel`, `source` the LLVM IR.

A vector holds one value of several samples. What depends on shared arguments only is computed once for a call.
Object code is kept on disk by `object_cache`.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import itertools
import math
import os
import sys
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from .. import lowering
from ..loop import Loop
from ..lowering import lower
from ..primitive import PRIMITIVES, Primitive
from ..program import Program
from . import (
    bodies,
    buffers,
    driver,
    fusion,
    lane_order,
    layout,
    loop_calls,
    loop_functions,
    loop_kernels,
    machine,
    memory,
    module,
    moves,
    object_cache,
    operations,
    ordering,
    registers,
    segments,
    sine,
)
from .layout import Layout
from .loop_kernels import Nest
from .machine import host, target
from .operations import supported, supported_in_loops, weight
from .segments import SEGMENT, Section

_MODULE = 4 * SEGMENT  # steps compiled between two looks at Ctrl-C
_LEVEL = 1  # of LLVM's code generator
_GRAIN = 20_000  # steps times samples that are worth a thread of their own
_PARTS = 16  # of a batch, for each thread
_PARTS_MEMORY = 1 << 22  # bytes that parts with sums may take together
_ALIGNED = 64  # samples: parts are multiples of whole groups of vectors
_LOOPS = (bodies, lane_order, loop_calls, loop_functions, loop_kernels, memory, module, moves)
_SOURCES = (*_LOOPS, driver, fusion, layout, lowering, machine, operations, ordering, registers, segments, sine)
# Up to how many steps side by side, and in all, so many vectors of samples are worth while.
_SIDE_BY_SIDE = ((3.0, 500, 4), (6.0, 1000, 2))
_lock = threading.Lock()
_view = (ctypes.c_char * 0).from_buffer

Progress = Callable[[int, int], None]


def build(
    program: Program,
    batched: Sequence[bool],
    reduce: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Kernel:
    """Compile a program, or take its object code from the disk.

    Args:
        program: what to compute.
        batched: for each positional argument, whether it carries a leading axis of samples.
        reduce: "sum" or "mean" over the samples; None gives each sample's result.
        threads: how many native threads may share a batch.
        progress: called with the steps compiled so far and their number.

    The result is a function of ``(arrays, n, out)``; see `Kernel`.
    """
    key = _key(program, batched, reduce)
    parts = object_cache.load(key)
    if parts is None:
        parts = _compile(program, batched, reduce, progress)
        object_cache.store(key, parts)
    header, *objects = parts
    size, *names = header.decode().split("\n")
    rows = {op.name: op for op in program.rows()}
    callbacks = [rows.get(name) or PRIMITIVES[name] for name in names]
    workers = threads if any(batched) else 1
    return Kernel(objects, int(size), callbacks, len(program.arguments.parts), workers, _work(program))


def _work(program: Program) -> int:
    """Return about how many steps run for a sample."""
    return sum([op.work if isinstance(op, Loop) else 1 for op, _ in program.steps])


def source(program: Program, batched: Sequence[bool], reduce: str | None = None) -> str:
    """Return the LLVM IR of a program, all modules one after another."""
    return "\n".join(text for text, _ in _Emission(program, batched, reduce).modules())


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
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target(_LEVEL))
            for content in objects:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
            self._engine.finalize_object()
        self.address = self._engine.get_function_address("run")
        self.largest = 2 * self._grain if threads > 1 else sys.maxsize
        self._run = self._native("run", 4)
        self._copies = 1
        if threads > 1:
            self._prepare, self._part = self._native("prepare", 4), self._native("part", 6)
            address = self._engine.get_function_address("finish")
            self._finish = self._native("finish", 4) if address else None
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

    def _native(self, name: str, count: int) -> Any:
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


# ---- compilation ----


class _Emission:
    """Write the modules of a program; afterwards `size` and `callbacks` are known."""

    def __init__(self, program: Program, batched: Sequence[bool], reduce: str | None) -> None:
        if reduce not in (None, "sum", "mean"):
            raise ValueError(f"llvm expected reduce=None, 'sum' or 'mean' but got reduce={reduce!r}")
        known = supported_in_loops if program.has_loops else supported
        self.layout = Layout(lower(program, known), batched, reduce)
        self.callbacks: list[Primitive] = []
        self.size = 0
        self._nest = Nest(self.layout) if self.layout.program.has_loops else None

    def modules(self) -> Iterator[tuple[str, int]]:
        """Yield each module's text and the number of steps in it; the last one drives the others."""
        if self._nest is not None:
            for text, count in self._nest.modules():
                yield text + self._attributes(), count
            self.size, self.callbacks = self._nest.size, self._nest.callbacks
            return
        shared = Section(self.layout, host(), self.callbacks, sample=False)
        sample = Section(self.layout, host(), self.callbacks, sample=True, vectors=_vectors(self.layout))
        yield from self._grouped(shared, {})
        if self.layout.has_batch:
            yield from self._grouped(sample, shared.slots)
        frame = driver.Frame(self.layout, sample.lanes, shared.slot_count, sample.slot_count, len(sample.names))
        self.size = frame.total
        text = driver.driver(self.layout, frame, sample.lanes, shared.names, sample.names, shared.slots)
        yield text + self._attributes(), 0

    def _grouped(self, section: Section, slots: dict[int, int]) -> Iterator[tuple[str, int]]:
        texts, total = [], 0
        for text, count in section.write(slots):
            texts.append(text)
            total += count
            if total >= _MODULE:
                yield self._module(section, texts), total
                texts, total = [], 0
        if texts:
            yield self._module(section, texts), total

    def _module(self, section: Section, texts: list[str]) -> str:
        return "".join([*section.declarations.values(), *texts, self._attributes()])

    def _attributes(self) -> str:
        # Without these some processors' code would use half the width that libmvec's functions expect.
        wide = '"min-legal-vector-width"="512" "prefer-vector-width"="512"'
        return (
            f"attributes #0 = {{ nounwind {wide} }}\nattributes #1 = {{ nounwind willreturn memory(none) }}\n"
            f"attributes #2 = {{ nounwind noinline {wide} }}\n"
        )


def _vectors(layout: Layout) -> int:
    """Choose how many vectors of samples go side by side: more where one step has to wait for the one before.

    Steps that do not depend on each other keep the processor busy by themselves, and leave no registers to spare.
    """
    longest = [0] * (layout.base + len(layout.program.steps))
    total = 0
    for place in layout.sample_steps:
        op, args = layout.program.steps[place]
        total += weight(op)
        longest[layout.base + place] = weight(op) + max([longest[arg] for arg in args], default=0)
    abreast = total / max([1, *longest])
    for most, steps, vectors in _SIDE_BY_SIDE:
        if abreast < most and len(layout.sample_steps) <= steps:
            return vectors
    return 1


def _compile(program: Program, batched: Sequence[bool], reduce: str | None, progress: Progress | None) -> list[bytes]:
    emission = _Emission(program, batched, reduce)
    total, done = len(emission.layout.program.steps), 0
    objects, generator = [], target(_LEVEL)
    for text, steps in emission.modules():
        module = llvm.parse_assembly(text)
        objects.append(generator.emit_object(module))
        done += steps
        if progress is not None:
            progress(done, total)
    header = "\n".join([str(emission.size), *[row.name for row in emission.callbacks]])
    return [header.encode(), *objects]


_revision: list[bytes] = []


def _key(program: Program, batched: Sequence[bool], reduce: str | None) -> str:
    """Name the object code of a program on this machine."""
    if not _revision:
        files = [Path(__file__)] + [Path(str(module.__file__)) for module in _SOURCES]
        _revision.append(b"".join(file.read_bytes() for file in files) + host().identity.encode())
    digest = hashlib.sha256(_revision[0])
    sizes = [part.size for part in program.arguments.parts], [unit.size for unit in program.result.units()]
    digest.update(repr((sizes, tuple(map(bool, batched)), reduce)).encode())
    digest.update(_content(program, {}))
    return digest.hexdigest()


def _content(program: Program, known: dict[int, bytes]) -> bytes:
    """Return a digest of what a program does."""
    if id(program) in known:
        return known[id(program)]
    digest = hashlib.sha256()
    rows: dict[Primitive, int] = {}
    flat = array("q")
    for op, args in program.steps:
        flat.append(rows.setdefault(op, len(rows)))
        flat.append(len(args))
        flat.extend(args)
    names = [(row.name, row.custom, row.arity, *_content_of_loop(row, known)) for row in rows]
    digest.update(repr((names, len(program.names), program.outputs, len(flat))).encode())
    digest.update(array("d", program.constants).tobytes())
    digest.update(flat.tobytes())
    known[id(program)] = digest.digest()
    return known[id(program)]


def _content_of_loop(row: Primitive, known: dict[int, bytes]) -> tuple[Any, ...]:
    if not isinstance(row, Loop):
        return ()
    inner = [_content(program, known) for program in row.programs()]
    return row.length, row.carry, row.rows, row.sums, row.backwards, *inner
