"""What a compiled function runs for arguments of one kind: a program after all passes, and its machine code."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..backends import Layout, buffers
from ..floats import Format
from ..programs import Program
from ..rewriting import look_up, narrowed, prepared, relax, remembered
from .choosing import BACKENDS, backend_module, choose, steps_of
from .given_arrays import Given
from .grouping import Grouping
from .packing import Argument
from .recorded_calls import with_slopes

_COPIED = 1 << 15  # numbers of results that are copied to where a call wants them in some microseconds
_LONG = 5_000  # steps that take a while to compile
MAX_STEPS = 200_000
"""Programs longer than this go to NumPy when the backend is "auto": machine code would take long to generate."""


class Options(NamedTuple):
    """How a function is compiled: the options of `compile`."""

    reduce: str | None
    backend: str
    threads: int
    max_steps: int
    format: Format


class Plan:
    """Run one program: optimised, built by a backend, results returned in their structure."""

    def __init__(self, traced: Program, flags: tuple[bool, ...], options: Options) -> None:
        self.traced = traced
        self.closed = traced.closed
        self.flags = flags = (*flags, False) if traced.closed else flags
        self.options = options
        self.reduce = options.reduce
        program = narrowed(remembered("prepared", prepared, traced, flags), options.format)
        # Of a batch each number of a list has a block of its own.
        self.program = program.with_lists_apart() if any(flags) and options.reduce is None else program
        self.layout = Layout(self.program, flags, options.reduce)
        self.steps = steps_of(self.program)
        self.name = choose(options.backend, self.steps, options.max_steps)
        self.grouping = Grouping(self.layout, self.name == "llvm")
        relaxed = relax(self.program)
        self.optimistic = relaxed != self.program
        self._kernel = self._build(relaxed)
        self._exact: Any = None if self.optimistic else self._kernel
        self.read = buffers.reader(self.program.result, self.layout.per_sample)
        self._outputs = self.program.result.size
        self._slopes: tuple[Plan | None] | None = None
        entry = self._entry(self._kernel, self._exact_entry if self.optimistic else None)
        # With what the function closes over among the arguments, a call is no call of the entry; nor are sorted ones.
        self.enter = None if entry is None or self.closed or self.grouping.keys else entry.call

    def _build(self, program: Program) -> Any:
        build = backend_module(BACKENDS[self.name]).build
        own = self.options.format
        if self.name == "llvm" and not any(self.flags):
            program = look_up(program)
        if self.name != "llvm" or self.steps < _LONG:
            return build(program, self.flags, self.reduce, self.options.threads, format=own)
        # The bar shows when this takes longer than two seconds.
        with importlib.import_module("tqdm").tqdm(unit="step", desc="compile", delay=2.0, leave=False) as bar:

            def tell(done: int, total: int) -> None:
                bar.total = total  # more than the program's steps, where some are spelled out in others
                bar.update(done - bar.n)

            return build(program, self.flags, self.reduce, self.options.threads, tell, own)

    def _entry(self, kernel: Any, exact: Callable[[], Any] | None) -> Any:
        """Return the kernel's native entry, or None if there is none for such arguments."""
        if self.name != "llvm":
            return None
        results = self.layout.units, self.layout.per_sample
        return kernel.entry(self.program.arguments.parts, self.flags, *results, self.read, exact)

    def _exact_entry(self) -> Any:
        return self._entry(self._exact_kernel(), None)

    def _exact_kernel(self) -> Any:
        if self._exact is None:
            self._exact = self._build(self.program)
        return self._exact

    def slopes(self) -> Plan | None:
        """Return the plan of the results and their derivatives by what the function closes over, if there is one."""
        if self._slopes is None:
            program = with_slopes(self.traced)
            self._slopes = (None if program is None else Plan(program, self.flags, self.options),)
        return self._slopes[0]

    def arrays(self, packed: Sequence[Argument], n: int) -> list[Any]:
        """Return the arrays that the kernel reads: the arguments and the numbers that the function closes over."""
        arrays = [argument.memory(n, self.options.format) for argument in packed]
        if self.closed:
            arrays.append(buffers.pack([number.value for number in self.closed], self.options.format))
        return arrays

    def run(self, arrays: Sequence[Any], n: int) -> Any:
        """Run the kernel, and return its results in their structure."""
        return self.read(self.numbers(arrays, n), n)

    def run_into(self, out: Any, arrays: Sequence[Any], n: int) -> Any:
        """Run the kernel, and write its results into the arrays of `out`."""
        given = Given(out, self.program.result, n if self.layout.per_sample else None, self.options.format)
        memory = given.memory(self.layout.units, arrays)
        return given.filled(self.read(self.numbers(arrays, n, memory), n), written=memory is not None)

    def enter_into(self, out: Any, args: tuple[Any, ...]) -> Any:
        """Call the native entry, and copy its results into the arrays of `out`; None where that is not the quick way.

        To read small results once more takes less than to find out whether arguments share memory with them.
        """
        if self.enter is None or self.layout.per_sample or self._outputs > _COPIED:
            return None
        found = self.enter(args)
        return None if found is None else Given(out, self.program.result, None, self.options.format).filled(found)

    def numbers(self, arrays: Sequence[Any], n: int, out: Any = None) -> Any:
        """Run the kernel, and return what it wrote, to `out` if there is one."""
        if out is None:
            out = buffers.empty(self._outputs * n if self.layout.per_sample else self._outputs, self.options.format)
        order = self.grouping.order(arrays, n)
        if order is not None:
            arrays = self.grouping.sorted(arrays, n, order)
        self._kernel(arrays, n, out)
        if self.optimistic and buffers.has_nan(out):
            # A plain product may have made it of 0 and infinity (see `relax`).
            self._exact_kernel()(arrays, n, out)
        if order is not None:
            self.grouping.put_back(out, n, order)
        return out
