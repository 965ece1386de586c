"""Measure a compiled function part by part: `report` tells how much each loop does, and how long it takes."""

from __future__ import annotations

import html
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..backends import buffers
from ..data import NUMBER
from ..floats import DOUBLE, Format
from ..programs import Program, flat, size_of, values_in_tuple
from ..rewriting import relax
from .choosing import BACKENDS, backend_module, steps_of
from .counting import Tally, counting, is_fixed, operations_of
from .plan import Plan
from .splitting import Segment, split

_LEAST_RUNS, _MOST_RUNS = 5, 1_000
_SPAN, _LONG = 0.02, 2.0  # seconds that a part is run again and again for, and after which two runs are enough
_CACHE = 1 << 18  # bytes that a part reads and writes of so many samples; there are 64 at least
_FEW = 64


class ReportRow(NamedTuple):
    """One part of a compiled function: a loop, or the steps between two. Counts and times are those of a call.

    Attributes:
        name: of the loop, with its kind; "steps" are no loop.
        length: how many iterations a loop has, at most, 0 for any number; 1 without one.
        runs: how often it runs in a call: once for each sample, or once.
        steps: how many there are in the program, those of inner programs once.
        flops: additions, products and what takes as long (a division, a comparison, a choice), `fma` being two; those
            that add up the results of a batch count where these are computed.
        functions: all other operations of numbers: `exp`, `sqrt`, powers.
        read, written: bytes of the values that it takes and gives; of what a batch adds up those of the sums.
        seconds: the least time of several runs of the part alone; nan where it could not be measured.
        share: of the time of all parts.
    """

    name: str
    length: int
    runs: int
    steps: int
    flops: int
    functions: int
    read: int
    written: int
    seconds: float
    share: float

    @property
    def gflops(self) -> float:
        """Billions of flops a second; functions do not count."""
        return self.flops / self.seconds / 1e9 if self.seconds else math.nan


_HEADS = ("part", "length", "runs", "steps", "flops", "functions", "read", "written", "time", "share", "Gflop/s")


class Report:
    """What a compiled function does in a call, and how long it takes; it prints as a table.

    Attributes:
        name: of the function.
        backend: "llvm", "numpy" or "python".
        samples: how many there were in the call, None without a batch.
        seconds: the least time of several calls.
        rows: a `ReportRow` for each part, in order.
    """

    def __init__(self, name: str, backend: str, samples: int | None, seconds: float, rows: Sequence[ReportRow]) -> None:
        self.name, self.backend, self.samples, self.seconds = name, backend, samples, seconds
        self.rows = tuple(rows)

    @property
    def flops(self) -> int:
        """All flops of a call."""
        return sum([row.flops for row in self.rows])

    @property
    def gflops(self) -> float:
        """Billions of flops a second in a whole call."""
        return self.flops / self.seconds / 1e9

    @property
    def heading(self) -> str:
        """The function, and how long a call takes."""
        text = f"{self.name}, {self.backend}: {_time(self.seconds)} a call, {_short(self.gflops)} Gflop/s"
        if self.samples is None:
            return text
        return f"{text}, {_time(self.seconds / self.samples)} a sample of {self.samples}"

    def cells(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of the table row by row, without its head."""
        for row in self.rows:
            yield (
                row.name,
                str(row.length or "∞"),
                str(row.runs),
                str(row.steps),
                _short(row.flops),
                _short(row.functions),
                f"{_short(row.read)}B",
                f"{_short(row.written)}B",
                _time(row.seconds),
                "–" if math.isnan(row.share) else f"{row.share:.1%}",
                _short(row.gflops),
            )

    def __str__(self) -> str:
        table = [_HEADS, *self.cells()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]).rstrip() for first, *rest in table
        ]
        return "\n".join([self.heading, "", *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = [[html.escape(text) for text in row] for row in (_HEADS, *self.cells())]
        body = "".join(f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in rows)
        columns = "".join(f"<th>{text}</th>" for text in head)
        return f"<table><caption>{html.escape(self.heading)}</caption><tr>{columns}</tr>{body}</table>"


def measured(plan: Plan, arrays: Sequence[Any], n: int, call: Callable[[], Any]) -> Report:
    """Report on a plan by its arrays for a call with n samples, and a function that makes this call."""
    seconds = _least(call)
    program = relax(plan.program)
    parts = _Parts(plan, program, arrays, n)
    found = []
    for segment in parts.segments:
        times = n if segment.varies else 1
        reduced = segment.varies and plan.options.reduce is not None
        tally = parts.tally(segment).plus(Tally(segment.returned * n if reduced else 0))
        read = sum([size * (n if parts.varies[k] else 1) for k, size in segment.read.items()])
        written = segment.handed * times + segment.returned * (1 if reduced else times)
        width = plan.options.format.size
        loop = segment.loop
        found.append(
            ReportRow(
                "steps" if loop is None else f"{'when' if loop.is_branch else loop.kind} {loop.body.name}",
                1 if loop is None else loop.length,
                times,
                steps_of(segment.program),
                tally.flops,
                tally.functions,
                width * read,
                width * written,
                parts.seconds(segment),
                math.nan,
            )
        )
    total = sum([row.seconds for row in found])
    rows = [row._replace(share=row.seconds / total if total else math.nan) for row in found]
    return Report(plan.program.name, plan.name, n if any(plan.flags) else None, seconds, rows)


class _Parts:
    """Runs the segments of a program, each with the numbers that it gets in a call.

    Of a batch some samples stand for all: as many as fit into the cache beside what is computed of them, since that is
    how they are computed in a whole call. Sums over the batch are taken of what a segment hands on, too.
    """

    def __init__(self, plan: Plan, program: Program, arrays: Sequence[Any], n: int) -> None:
        self.plan, self.program, self.n = plan, program, n
        self.segments = split(program, plan.flags)
        self.layout = plan.layout
        self.varies = self.layout.varying
        self.arrays = list(arrays)
        if buffers.np is None:
            return
        sizes = [
            sum(segment.read.values()) + sum(map(size_of, segment.program.output_shapes)) for segment in self.segments
        ]
        fitting = _CACHE // (plan.options.format.size * max([1, *sizes])) // _FEW * _FEW
        self.samples = min(n, max(_FEW, fitting))
        self.values = self._values()
        self.counts = self._counts()
        self.overhead = self._seconds_of(_nothing(), [True], [[0.0] * self.samples], self.samples)
        self.alone = self._seconds_of(_nothing(), [False], [[0.0]], 1)

    def tally(self, segment: Segment) -> Tally:
        """Return the operations of a segment in a call."""
        total = Tally()
        for place in segment.steps:
            op, args = self.program.steps[place]
            own = operations_of(op, len(args))
            if not is_fixed(op) and buffers.np is not None:
                total = total.plus(self.counts[place])
            else:
                total = total.plus(own, self.n if segment.varies else 1)
        return total

    def seconds(self, segment: Segment) -> float:
        """Return the time that a segment takes in a call; nan without NumPy."""
        if buffers.np is None:
            return math.nan
        arrays = [self._list(items) for items in (segment.shared, segment.own) if items]
        arrays += [self.values[k].reshape(-1) for k in segment.arrays]
        if not segment.varies:
            return max(0.0, self._seconds_of(segment.program, segment.batched, arrays, 1) - self.alone)
        found = self._seconds_of(segment.program, segment.batched, arrays, self.samples) - self.overhead
        return max(0.0, found) * self.n / self.samples

    def _list(self, items: Sequence[int]) -> Any:
        """Return numbers side by side, sample by sample where they differ."""
        return buffers.np.ascontiguousarray(buffers.np.stack([self.values[k] for k in items], -1)).reshape(-1)

    def _values(self) -> dict[int, Any]:
        """Return the values that segments take: of each sample a row, or a number; of all alike one."""
        np, plan, layout = buffers.np, self.plan, self.layout
        order = plan.grouping.order(self.arrays, self.n)
        # Those that stand for all lie apart at equal distances, also where a call sorts them by length.
        chosen = np.arange(self.samples) * self.n // self.samples
        chosen = chosen if order is None else order[chosen]
        given = [np.asarray(array).reshape(-1) for array in self.arrays]
        for k, batched in enumerate(plan.flags):
            if batched:
                given[k] = np.ascontiguousarray(given[k].reshape(self.n, -1)[chosen])
        taken = sorted({k for segment in self.segments for k in segment.taken()})
        found = {}
        for k in taken:
            if k < layout.inputs:
                start = layout.offsets[k]
                own = given[layout.argument_of[k]]
                own = own[..., start : start + size_of(self.program.shapes[k])]
                found[k] = own if self.program.shapes[k] else own[..., 0]
        made = [k for k in taken if k >= layout.inputs]
        if not made:
            return found
        program = flat(self.program, made)
        rows = self.samples if any(plan.flags) else 1
        sizes = [size_of(shape) for shape in program.output_shapes]
        out = buffers.empty(rows * sum(sizes), plan.options.format)
        self._kernel(program, plan.flags, None)(given, rows, out)
        for k, size, end in zip(made, sizes, itertools.accumulate(sizes), strict=True):
            block = out[rows * (end - size) : rows * end].reshape(rows, size)
            block = block if self.varies[k] else block[0]
            found[k] = block if self.program.value_shapes[k] else block[..., 0]
        return found

    def _counts(self) -> dict[int, Tally]:
        """Return the operations of the steps that are not fixed, by their places, as a call with all samples counts."""
        places = [place for place, (op, _) in enumerate(self.program.steps) if not is_fixed(op)]
        if not places:
            return {}
        program, batched = counting(self.program), any(self.plan.flags)
        out = buffers.empty(2 * len(places), DOUBLE)
        arrays = [buffers.convert(buffers.np.asarray(array), DOUBLE) for array in self.arrays]
        self._kernel(program, self.plan.flags, "sum" if batched else None, DOUBLE)(arrays, self.n, out)
        found = {}
        for place, flops, functions in zip(places, out[: len(places)], out[len(places) :], strict=True):
            alike = self.n if batched and not self.varies[self.program.firsts[place]] else 1
            found[place] = Tally(round(flops / alike), round(functions / alike))
        return found

    def _seconds_of(self, program: Program, batched: Sequence[bool], arrays: Sequence[Any], n: int) -> float:
        reduce = self.plan.options.reduce if any(batched) else None
        kernel = self._kernel(program, batched, reduce)
        sizes = sum(map(size_of, program.output_shapes))
        out = buffers.empty(sizes if reduce or not any(batched) else sizes * n, self.plan.options.format)
        given = [buffers.convert(buffers.np.asarray(array), self.plan.options.format) for array in arrays]
        return _least(lambda: kernel(given, n, out))

    def _kernel(self, program: Program, batched: Sequence[bool], reduce: str | None, own: Format | None = None) -> Any:
        # Threads share a batch evenly: one shows what they do. Without one they share loops.
        options = self.plan.options
        threads = 1 if any(self.plan.flags) else options.threads
        build = backend_module(BACKENDS[self.plan.name]).build
        return build(program, batched, reduce, threads, format=own or options.format)


def _nothing() -> Program:
    """Return the program that returns a number: it takes the time of a call alone."""
    return Program(("x",), (), (), (0,), values_in_tuple([()]), NUMBER)


def _least(run: Callable[[], Any]) -> float:
    """Return the least time of several runs, in seconds."""
    run()
    least, total, clock = math.inf, 0.0, time.perf_counter
    for k in range(_MOST_RUNS):
        start = clock()
        run()
        took = clock() - start
        least, total = min(least, took), total + took
        if total > _SPAN and (k + 1 >= _LEAST_RUNS or total > _LONG):
            break
    return least


def _short(number: float) -> str:
    """Write a number with three digits: 1.23k, 45.6M.

    >>> _short(0), _short(7), _short(0.1234), _short(12345), _short(4.5e9)
    ('0', '7', '0.123', '12.3k', '4.5G')
    """
    if math.isnan(number):
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _time(seconds: float) -> str:
    """Write a time with three digits.

    >>> _time(1.5), _time(0.0123), _time(4.56e-6), _time(7.89e-8)
    ('1.5 s', '12.3 ms', '4.56 µs', '78.9 ns')
    """
    if math.isnan(seconds):
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
