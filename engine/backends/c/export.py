"""Write a program as one self-contained C99 file and its header: `source`, `files`, `write`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...data import write_whole
from ...errors import BackendError, describe
from ...programs import Gather, Program, Scatter, contiguous
from ..layout import Layout
from ..lowering import lower
from .expressions import definitions, identifier, supported
from .functions import Body, Functions
from .places import Frame, Slot, Target, array, moved

_ON_STACK = 1024
"""Functions that work in at most so many doubles have them on the stack, others are given them by their caller."""


def source(program: Program, batched: Sequence[bool] = (), reduce: str | None = None, name: str = "f") -> str:
    """Return C99 source with one function, documented by its leading comment; it allocates nothing.

    Args:
        program: what to compute.
        batched: for each positional argument, whether it carries a leading axis of samples; none by default.
        reduce: "sum" or "mean" over the samples; None gives each sample's result.
        name: of the function; characters that C does not allow become underscores.

    `BackendError` names an operation that C's library lacks.
    """
    return files(program, batched, reduce, name)[0]


def files(
    program: Program, batched: Sequence[bool] = (), reduce: str | None = None, name: str = "f"
) -> tuple[str, str]:
    """Return the source and a header for C and C++, which defines how much memory the function works in."""
    batched = tuple(batched) or (False,) * len(program.arguments.parts)
    lowered = lower(program, supported)
    unknown = next((op for op in lowered.rows() if not supported(op)), None)
    if unknown is not None:
        raise BackendError(
            f'the backend "c" has no operation {unknown.name!r}, since math.h lacks it; use another backend, '
            'or give a row of your own its expression: primitive(..., code={"c": "{0} * exp(-{0})"})'
        )
    function = _Exported(lowered, Layout(lowered, batched, reduce), identifier(name))
    return "\n".join(function.source()), "\n".join(function.header())


def write(path: Any, program: Program, batched: Sequence[bool], reduce: str | None) -> Path:
    """Write the source to a path that ends in ``.c``, and the header beside it; return the path."""
    target = Path(path)
    if target.suffix != ".c":
        raise ValueError(f"export_c expected a path ending in .c but got {describe('path', str(path))}")
    text, header = files(program, batched, reduce, program.name)
    write_whole(target, text.encode())
    write_whole(target.with_suffix(".h"), header.encode())
    return target


class _Exported:
    """Write the function of a program, those that it calls, and the header."""

    def __init__(self, program: Program, layout: Layout, name: str) -> None:
        self.program, self.layout, self.name = program, layout, name
        self.functions = Functions(name)
        slots = []
        for argument, offset, shape in zip(layout.argument_of, layout.offsets, program.shapes, strict=True):
            row = "row" if layout.batched[argument] else "a"
            slots.append(Slot(f"{row}{argument}", offset, contiguous(shape)))
        frame = Frame(program, [*slots, *self.functions.constants(program)])
        pointers = {f"a{k}": f"const double *a{k}" for k in range(len(layout.sizes))}
        pointers |= {f"row{k}": f"const double *row{k}" for k in range(len(layout.sizes))}
        pointers |= {"n": "size_t n", "i": "size_t i", "out": "double *out"}
        self.body = Body(program, frame, self.functions, pointers)
        self.body.steps(layout.shared_steps)
        if layout.reduce:
            self.body.text(f"for (size_t k = 0; k < {layout.outputs}; k++)\n    out[k] = 0.0;", "out")
        if layout.has_batch:
            self.body.begin_samples()
        self.body.steps(layout.sample_steps)
        for values, target in self._targets():
            self.body.move(values, target, "+=" if layout.reduce else "=")
        self.lines = list(self.body.lines(name, self._rows()))
        self.work = frame.own + frame.scratch

    def _rows(self) -> dict[str, str]:
        """Return the definitions inside the loop over samples that are used there."""
        sizes = enumerate(self.layout.sizes)
        return {f"row{k}": f"const double *const row{k} = a{k} + i * {size};" for k, size in sizes}

    def _targets(self) -> Iterator[tuple[Sequence[int], Target]]:
        """Yield groups of outputs that are stored alike, and where they go."""
        outputs, layout = self.program.outputs, self.layout
        if not layout.per_sample:
            yield outputs, array("out")
            return
        place = 0
        alone: list[int] = []  # the values of the units before that hold but one number
        for start, size in [*layout.units, (layout.outputs, 0)]:
            first = place
            while place < len(outputs) and layout.output_starts[place] < start + size:
                place += 1
            if alone and size != 1:
                yield alone, _column(start - len(alone))
                alone = []
            if size == 1:
                alone += outputs[first:place]
            elif size:
                yield outputs[first:place], _block(start, size)

    @functools.cached_property
    def prototype(self) -> str:
        parameters = [f"const double *a{k}" for k in range(len(self.layout.sizes))]
        parameters += ["size_t n"] if self.layout.has_batch else []
        parameters += ["double *out"]
        parameters += ["double *work"] if self.work > _ON_STACK else []
        return f"void {self.name}({', '.join(parameters)})"

    @property
    def macro(self) -> str:
        given = self.work if self.work > _ON_STACK else 0
        return f"#define {self.name.upper()}_WORK {given}"

    def source(self) -> Iterator[str]:
        layout = self.layout
        yield from self.comment()
        yield f"#include <math.h>\n#include <stddef.h>\n#include <string.h>\n\n{self.macro}\n"
        has_rows = any(isinstance(op, (Gather, Scatter)) for op in self.program.rows_and_loops())
        yield from definitions(self.program.rows(), has_rows)
        yield from self.functions.tables(self.body.used)
        yield from self.functions.written
        yield f"{self.prototype};\n\n{self.prototype}\n{{"
        if 0 < self.work <= _ON_STACK:
            yield f"    double work[{self.work}];"
        used = self.body.used | {name.replace("row", "a") for name in self.body.used}
        yield from (f"    (void)a{k};" for k in range(len(layout.sizes)) if f"a{k}" not in used)
        if not self.program.outputs:
            yield "    (void)out;"
        yield from self.lines
        if layout.reduce == "mean":
            yield f"    for (size_t k = 0; k < {layout.outputs}; k++)\n        out[k] /= (double)n;"
        yield "}\n"

    def header(self) -> Iterator[str]:
        guard = f"CHAINRULE_{self.name.upper()}_H"
        yield from self.comment()
        yield f"#ifndef {guard}\n#define {guard}\n\n#include <stddef.h>\n\n{self.macro}\n"
        yield '#ifdef __cplusplus\nextern "C" {\n#endif\n'
        yield f"{self.prototype};\n\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"

    def comment(self) -> Iterator[str]:
        """Return the comment that documents the function's arguments and results."""
        program, layout = self.program, self.layout
        yield f"/* {self.name}: {len(program.steps)} operations, written by chainrule."
        yield " *"
        for argument, (size, flag) in enumerate(zip(layout.sizes, layout.batched, strict=True)):
            first = program.names[layout.inputs_of(argument).start].split("[")[0] if size else "empty"
            label = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in first)
            shape = f"n rows of {size}" if flag else f"{size}"
            yield f" *   a{argument}   {label.replace('*/', '')}: {shape} numbers, one after the other"
        if layout.has_batch:
            yield " *   n    how many samples"
        if layout.per_sample:
            yield f" *   out  n * {layout.outputs} numbers: for each part of the result a block of n rows;"
            blocks = ", ".join(f"n * {size}" for _, size in layout.units[:8])
            yield f" *        the blocks hold {blocks}{' ...' if len(layout.units) > 8 else ''} numbers"
        else:
            over = f", the {layout.reduce} over all samples" if layout.reduce else ""
            yield f" *   out  {layout.outputs} numbers{over}"
        if self.work > _ON_STACK:
            yield f" *   work {self.name.upper()}_WORK numbers to work in, whatever they are; each thread needs its own"
        yield " *"
        yield " * Nothing is allocated; arrays must not overlap. Compile with -std=c99 and link with -lm;"
        yield " * -ffast-math would break the handling of nan and infinity. */"


def _block(start: int, size: int) -> Target:
    """Return where one sample's row of a block of several columns goes."""
    head = f"n * {start} + i * {size}" if start else f"i * {size}"
    return Target(
        lambda index, *steps: f"out[{head} + {moved(index, *steps)}]", ("out", "n", "i") if start else ("out", "i")
    )


def _column(start: int) -> Target:
    """Return the target of numbers that are alone in their blocks, one block after another."""
    return Target(lambda index, *steps: f"out[n * ({moved(start + index, *steps)}) + i]", ("out", "n", "i"), False)
