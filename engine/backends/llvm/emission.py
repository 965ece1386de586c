"""Compile a program to SIMD machine code with LLVM: `build` returns a `Kernel`, `source` the LLVM IR.

A vector holds one value of several samples. What depends on shared arguments only is computed once for a call.
Object code is kept on disk by `object_cache`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import llvmlite.binding as llvm

from ...floats import DOUBLE, Format
from ...operations import PRIMITIVES, Primitive
from ...programs import WHILE, Loop, Program, Structural
from ..layout import Layout
from ..lowering import lower
from . import driver, object_cache
from .frame import Frame
from .guarding import guard
from .instructions import weight, written
from .kernel import LEVEL, Kernel
from .loops import Nest, large_tables, turned, with_products, with_whole_results
from .machine import Machine, host, target
from .object_cache import key_of
from .scalars import in_scalars
from .straight import SEGMENT, Section

_MODULE = 4 * SEGMENT  # steps compiled between two looks at Ctrl-C
# Up to how many steps side by side, and in all, so many vectors of samples are worth while.
_SIDE_BY_SIDE = ((3.0, 500, 4), (6.0, 1000, 2))

Progress = Callable[[int, int], None]


def build(
    program: Program,
    batched: Sequence[bool],
    reduce: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    format: Format = DOUBLE,
) -> Kernel:
    """Compile a program, or load its object code from disk.

    Args:
        program: what to compute.
        batched: for each positional argument, whether it carries a leading axis of samples.
        reduce: "sum" or "mean" over the samples; None gives each sample's result.
        threads: how many native threads may share a batch, or a long loop without one.
        progress: called with the steps compiled so far and their number.
        format: of the numbers.

    The result is a function of ``(arrays, n, out)``; see `Kernel`.
    """
    program, machine = guard(in_scalars(program)), host(format)
    own = _own_rows(program)
    key = key_of(program, batched, reduce, own, machine)
    parts = object_cache.load(key)
    if parts is None:
        parts = _compile(program, batched, reduce, own, progress, machine)
        object_cache.store(key, parts)
    header, *objects = parts
    size, *names = header.decode().split("\n")
    callbacks = [own[int(name)] if name.isdigit() else PRIMITIVES[name] for name in names]
    count = len(program.arguments.parts)
    tables, is_batched = large_tables(program, machine), any(batched)
    endless = _is_endless(program)
    return Kernel(objects, int(size), callbacks, count, threads, is_batched, _work(program), endless, tables, format)


def _work(program: Program) -> int:
    """Return about how many steps run for a sample."""
    return sum([op.work if isinstance(op, Structural) else 1 for op, _ in program.steps])


def _is_endless(program: Program) -> bool:
    """Return whether a program has no limit on how long it runs."""
    return any(isinstance(op, Loop) and op.kind == WHILE and not op.length for op in program.rows_and_loops())


def source(program: Program, batched: Sequence[bool], reduce: str | None = None, format: Format = DOUBLE) -> str:
    """Return the LLVM IR of a program, all modules one after another."""
    emission = _Emission(guard(in_scalars(program)), batched, reduce, host(format))
    return "\n".join(text for text, _ in emission.modules())


class _Emission:
    """Write the modules of a program; afterwards `size` and `callbacks` are known."""

    def __init__(self, program: Program, batched: Sequence[bool], reduce: str | None, machine: Machine) -> None:
        if reduce not in (None, "sum", "mean"):
            raise ValueError(f"llvm expected reduce=None, 'sum' or 'mean' but got reduce={reduce!r}")
        in_memory = program.has_loops or program.has_arrays
        lowered = lower(program, written(machine, in_memory), machine.format)
        if in_memory:
            lowered = turned(with_products(lowered) if any(batched) else lowered)
            lowered = with_whole_results(lowered, in_order=reduce is not None or not any(batched))
        self.layout, self.machine = Layout(lowered, batched, reduce), machine
        self.callbacks: list[Primitive] = []
        self.size = 0
        self._nest = Nest(self.layout, self.machine) if in_memory else None

    def modules(self) -> Iterator[tuple[str, int]]:
        """Yield each module's text and the number of steps in it; the last one drives the others."""
        if self._nest is not None:
            for text, count in self._nest.modules():
                yield text + self._attributes(), count
            self.size, self.callbacks = self._nest.size, self._nest.callbacks
            return
        shared = Section(self.layout, self.machine, self.callbacks, sample=False)
        vectors = _vectors(self.layout)
        sample = single = Section(self.layout, self.machine, self.callbacks, sample=True, vectors=vectors)
        yield from self._grouped(shared, {})
        if self.layout.has_batch:
            yield from self._grouped(sample, shared.slots)
            if vectors > 1:
                single = Section(self.layout, self.machine, self.callbacks, sample=True, sum_lanes=sample.lanes)
                yield from self._grouped(single, shared.slots)
        slots, lanes = max(sample.slot_count, single.slot_count), sample.lanes
        count = len(sample.names)
        frame = Frame(self.layout, self.machine, lanes, lanes, single.lanes, shared.slot_count, slots, count)
        self.size = frame.total
        text = driver.driver(self.layout, frame, shared.names, sample.names, single.names, shared.slots)
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
    """Choose how many vectors of samples run side by side: more if each step has to wait for the one before.

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


def _compile(
    program: Program,
    batched: Sequence[bool],
    reduce: str | None,
    own: list[Primitive],
    progress: Progress | None,
    machine: Machine,
) -> list[bytes]:
    emission = _Emission(program, batched, reduce, machine)
    total, done = len(emission.layout.program.steps), 0
    objects, generator = [], target(LEVEL)
    for text, steps in emission.modules():
        module = llvm.parse_assembly(text)
        objects.append(generator.emit_object(module))
        done += steps
        if progress is not None:
            progress(done, total)
    # Several rows of a user's own may have the same name.
    names = [str(own.index(row)) if row.custom else row.name for row in emission.callbacks]
    header = "\n".join([str(emission.size), *names])
    return [header.encode(), *objects]


def _own_rows(program: Program) -> list[Primitive]:
    """List the user's own rows, in order of appearance."""
    return list(dict.fromkeys(op for op in program.rows() if op.custom))
