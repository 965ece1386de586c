"""Write what every function of a program with loops needs: operands, loads, stores and sums of numbers in memory."""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from ....programs import Numbers, Program, Shape, differing, read_beyond, size_of
from .in_line import Line
from .memory import Room, Sink, Spot, in_order
from .module import TABLE, Module, Written

_CHILD = "CHILD.FRAME"  # stands for where the frames of inner loops begin, until that is known


class Run(NamedTuple):
    """A program to write, and where its numbers are, seen from the pointers ``%r0, %r1, ...`` and ``%frame``.

    Attributes:
        program: what runs once, or once for every lane.
        lanes: how many runs go side by side.
        inputs: where each input is.
        sinks: where each output goes: to several places, or nowhere.
        pointers: how many a function gets, beside that to its frame.
        dead: how many of the first lanes add nothing to sums: they did so before.
    """

    program: Program
    lanes: int
    inputs: Sequence[Spot]
    sinks: Sequence[Sequence[Sink]]
    pointers: int = 0
    dead: int = 0


class Writer(ABC):
    """Where the numbers of a program are while its functions are written, and the lines of the current one.

    Attributes:
        module: collects the functions.
        program: whose values the numbers are.
        lanes: how many runs of the program go side by side.
        dead: how many of the first lanes add nothing to sums.
        takes: what says in which lanes products are added to sums, if not in all.
        wide, plain: write operations on vectors and on single numbers.
        scalar, size: the type of one number, and its bytes.
        differs: of each value, whether it differs between lanes.
        homes: where values are that stand in memory.
        sinks: where outputs go; those in `waiting` are written at the end.
        uses: how often each value is taken.
        read_beyond: what counted scans stack of which rows beyond the last are read, too.
        room: the frame of memory.
        lines: of the present function.
        known: what holds a value in the present function.
        held: what holds a sum that stays in registers.
    """

    def __init__(self, module: Module, run: Run) -> None:
        program, lanes, inputs, sinks, _, dead = run
        self.module, self.program, self.lanes, self.dead = module, program, lanes, dead
        self.takes = ""
        self.wide, self.plain = module.operations(lanes), module.operations(1)
        self.scalar, self.size = module.scalar, module.size
        self.differs = differing(program, [spot.varies for spot in inputs]) if lanes > 1 else [False] * program.count
        self.homes: dict[int, Spot] = dict(enumerate(inputs))
        for value, item in enumerate(program.constants, len(program.names)):
            if isinstance(item, Numbers):
                self.homes[value] = module.array(item)
        self.sinks: dict[int, list[Sink]] = {}
        for value, own in zip(program.outputs, sinks, strict=True):
            self.sinks.setdefault(value, []).extend(own)
        self.waiting: dict[int, None] = {}
        self.uses = Counter(itertools.chain(program.outputs, *[args for _, args in program.steps]))
        self.read_beyond = read_beyond(program)
        self.room = Room()
        self.held: dict[Spot, str] = {}
        self._child = 0  # bytes for the frames of inner loops, one at a time
        self._temporary = itertools.count()
        self.begin()

    @abstractmethod
    def inner(self, run: Run) -> Written:
        """Write the functions of an inner program into the same module."""

    @abstractmethod
    def in_line(
        self,
        run: Run,
        sums: Sequence[Spot],
        reserved: int,
        doubtful: Collection[int] = (),
        copy: str = "",
        takes: str = "",
    ) -> Line | None:
        """Return the text of an inner program, if it is short, with sums in registers; see `Line`.

        Names end as those of this `copy` do. So many bytes of the frame are `reserved` for others. Where any of the
        `doubtful` outputs is nan the text goes to the label `i.done`, before it writes one of them. Products are added
        in the lanes that `takes` says.
        """

    def begin(self) -> None:
        """Begin a function."""
        self.lines: list[str] = []
        self.known: dict[int, str] = {}
        self._splats: dict[int, str] = {}

    def temporary(self) -> int:
        """Return a number unused by any other name in this program's functions."""
        return next(self._temporary)

    def written(self, write: Callable[[], None]) -> str:
        """Return the lines that a function writes, which are left out of the present one."""
        lines, self.lines = self.lines, []
        write()
        text, self.lines = "".join(f"{line}\n" for line in self.lines), lines
        return text

    # ---- values ----

    def constant(self, value: int) -> float | None:
        """Return the number that a value is, if it is a constant number."""
        place = value - len(self.program.names)
        item = self.program.constants[place] if 0 <= place < len(self.program.constants) else None
        return item if isinstance(item, float) else None

    def operand(self, value: int, differs: bool) -> str:
        """Return a value as an operand: one number or, if lanes differ, a vector."""
        constant = self.constant(value)
        if constant is not None:
            return (self.wide if differs else self.plain).literal(constant)
        text = self.known.get(value)
        if text is None:
            text = self.known[value] = self.load(self.homes[value])
        if differs and not self.differs[value]:
            if value not in self._splats:
                self._splats[value] = self.splat(text)
            text = self._splats[value]
        return text

    def splat(self, text: str) -> str:
        """Return a vector with a number in every lane."""
        key, type_ = self.temporary(), self.wide.type
        self.lines.append(
            f"%i{key} = insertelement {type_} poison, {self.scalar} {text}, i64 0\n"
            f"%u{key} = shufflevector {type_} %i{key}, {type_} poison, <{self.lanes} x i32> zeroinitializer"
        )
        return f"%u{key}"

    # ---- memory ----

    def pointer(self, base: str, offset: int) -> str:
        """Return a pointer some bytes on."""
        if base.startswith(TABLE):
            key = self.temporary()
            self.lines.append(f"%b{key} = load ptr, ptr {base}, align 8")
            base = f"%b{key}"
        if not offset:
            return base
        key = self.temporary()
        self.lines.append(f"%p{key} = getelementptr i8, ptr {base}, i64 {offset}")
        return f"%p{key}"

    def load(self, spot: Spot) -> str:
        """Load the number at a spot."""
        if self.held and spot in self.held:
            return self.held[spot]
        if spot.lane and spot.lane != self.size:
            return self._gather(spot)
        pointer, key = self.pointer(spot.base, spot.offset), self.temporary()
        type_ = self.wide.type if spot.varies else self.scalar
        self.lines.append(f"%x{key} = load {type_}, ptr {pointer}, align {self.size}")
        return f"%x{key}"

    def _gather(self, spot: Spot) -> str:
        before = "poison"
        for lane in range(self.lanes):
            pointer, key = self.pointer(spot.base, spot.offset + lane * spot.lane), self.temporary()
            self.lines.append(
                f"%h{key} = load {self.scalar}, ptr {pointer}, align {self.size}\n"
                f"%x{key} = insertelement {self.wide.type} {before}, {self.scalar} %h{key}, i64 {lane}"
            )
            before = f"%x{key}"
        return before

    def store(self, text: str, spot: Spot) -> None:
        """Store a number, or a vector, whether the spot is shared by all lanes or one per lane."""
        if self.held and spot in self.held:
            self.held[spot] = text
            return
        if spot.lane and spot.lane != self.size:
            for lane in range(self.lanes):
                pointer, key = self.pointer(spot.base, spot.offset + lane * spot.lane), self.temporary()
                self.lines.append(
                    f"%e{key} = extractelement {self.wide.type} {text}, i64 {lane}\n"
                    f"store {self.scalar} %e{key}, ptr {pointer}, align {self.size}"
                )
            return
        type_ = self.wide.type if spot.varies else self.scalar
        self.lines.append(f"store {type_} {text}, ptr {self.pointer(spot.base, spot.offset)}, align {self.size}")

    def keep(self, value: int) -> None:
        """Keep a value in the frame for later functions."""
        differs = self.differs[value]
        spot = Spot("%frame", self.room.slot(self.width_of(differs)), differs)
        self.store(self.known[value], spot)
        self.homes[value] = spot

    def block(self, shape: Shape, differs: bool) -> Spot:
        """Make room for an array in the frame."""
        width = self.width_of(differs)
        return in_order("%frame", self.room.block(width * size_of(shape)), shape, width, wide=differs)

    def width(self, spot: Spot) -> int:
        """Return how many bytes a number at a spot takes."""
        return self.size * (spot.fold or self.lanes) if spot.wide else self.size

    def width_of(self, differs: bool) -> int:
        """Return how many bytes a number takes that differs between lanes, or does not."""
        return self.size * self.lanes if differs else self.size

    def child_frame(self, size: int) -> str:
        """Return the pointer to the frame of an inner loop, which needs so many bytes."""
        self._child = max(self._child, size)
        key = self.temporary()
        self.lines.append(f"%p{key} = getelementptr i8, ptr %frame, i64 {_CHILD}")
        return f"%p{key}"

    def hand_over(self, functions: Sequence[str]) -> int:
        """Give functions to the module, now that the frame is complete; return its size with those of inner loops."""
        own = self.room.size
        self.module.texts += [text.replace(_CHILD, f"{own}") for text in functions]
        return own + self._child

    # ---- sums ----

    def sum(self, text: str, spot: Spot) -> str:
        """Return the sum of a value and the number at a spot."""
        type_ = self.wide.type if spot.varies else self.scalar
        if self.dead:
            text = self.alive(text)
        total, key = self.load(spot), self.temporary()
        self.lines.append(f"%s{key} = fadd {type_} {total}, {text}")
        return f"%s{key}"

    @contextlib.contextmanager
    def all_lanes(self) -> Iterator[None]:
        """Make all lanes add in what is written now: it goes to no sum over the lanes."""
        dead, self.dead = self.dead, 0
        yield
        self.dead = dead

    def alive(self, text: str) -> str:
        """Return a vector with 0 in the lanes that add nothing."""
        type_, key = self.wide.type, self.temporary()
        mask = self.takes or f"<{', '.join(f'i1 {int(lane >= self.dead)}' for lane in range(self.lanes))}>"
        self.lines.append(f"%l{key} = select {self.wide.mask} {mask}, {type_} {text}, {type_} {self.wide.zero}")
        return f"%l{key}"

    def fold(self, spot: Spot, factors: Sequence[str]) -> None:
        """Add a vector, or the product of two, to a sum over a shorter vector, part by part."""
        size = spot.fold
        short, total = self.module.operations(size), self.held.get(spot, "")
        if not total:
            pointer, key = self.pointer(spot.base, spot.offset), self.temporary()
            total = f"%f{key}"
            self.lines.append(f"{total} = load {short.type}, ptr {pointer}, align {self.size}")
        for first in range(0, self.lanes, size):
            parts = []
            for factor in factors:
                part = self.temporary()
                chosen = ", ".join(f"i32 {k}" for k in range(first, first + size))
                self.lines.append(
                    f"%f{part} = shufflevector {self.wide.type} {factor}, {self.wide.type} poison, "
                    f"<{size} x i32> <{chosen}>"
                )
                parts.append(f"%f{part}")
            key = self.temporary()
            if len(parts) == 2:
                self.lines.append(short.fused().format(*parts, total, v=f"f{key}"))
                total = f"%vf{key}"
            else:
                self.lines.append(f"%f{key} = fadd {short.type} {total}, {parts[0]}")
                total = f"%f{key}"
        if spot in self.held:
            self.held[spot] = total
        else:
            self.lines.append(f"store {short.type} {total}, ptr {pointer}, align {self.size}")
