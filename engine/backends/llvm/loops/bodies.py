"""Write programs with loops as LLVM IR: functions of a few hundred steps for each inner program.

A function gets pointers: to runs of numbers that it reads or writes, and to a frame of memory for what it keeps. What a
loop takes stands in memory at equal distances from one iteration to the next, so an iteration's pointers are those of
the one before, moved on; what stands elsewhere is packed first.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Collection, Iterator, Sequence

from ....operations import Primitive
from ....programs import Gather, Loop, Place, Scatter, Structural, View
from ..fusion import fused
from ..instructions import COMPARISONS
from ..turns import in_blocks
from . import moves
from .calls import LoopCall
from .in_line import Line, any_nan
from .memory import Sink, Spot, together
from .module import Module, Written
from .parts import order_of, overlaps
from .passing_on import PassedOn
from .rows_by_index import gather, scatter
from .side_by_side import exponentials, exponentials_together, next_to
from .writer import Run, Writer

CHUNK = 200  # steps in a function
_FEW = 4  # functions that are written where they stand, not called


class Body(Writer):
    """Write the functions that run a program once, or once for every lane; loops inside need ``%watch``, too."""

    def __init__(self, module: Module, run: Run) -> None:
        if run.lanes == 1:
            run = run._replace(program=exponentials_together(module, run.program))
        super().__init__(module, run)
        self._many_functions = sum(self.wide.spells(op) for op, _ in run.program.steps) > _FEW
        self.doubtful: set[int] = set()  # outputs of which none is written if any is nan
        self.copy = ""  # how the names of values end
        self._parameters = ", ".join([*[f"ptr %r{k}" for k in range(run.pointers)], "ptr %frame, ptr %watch"])

    def inner(self, run: Run) -> Written:
        return Body(self.module, run).write()

    # ---- functions ----

    def write(self) -> Written:
        """Write the functions."""
        names, texts = [], []
        for lines in self._functions():
            names.append(self.module.name("body"))
            texts.append(self._function(names[-1], lines))
        return Written(names, self.hand_over(texts))

    def function(self) -> str:
        """Write what was written last as one function more, and return its name."""
        self.module.texts.append(self._function(name := self.module.name("body"), self.lines))
        return name

    def _function(self, name: str, lines: list[str]) -> str:
        text = "\n".join([*in_blocks(lines), "ret void"])
        return f"define internal void @{name}({self._parameters}) #0 {{\n{text}\n}}\n"

    def in_line(
        self,
        run: Run,
        sums: Sequence[Spot],
        reserved: int,
        doubtful: Collection[int] = (),
        copy: str = "",
        takes: str = "",
    ) -> Line | None:
        if sum(_cost(op) for op, _ in run.program.steps) > _chunk(self.module.machine.lanes, run.lanes):
            return None
        body = Body(self.module, run)
        body._temporary = self._temporary  # others write into the same function
        body.copy, body.takes = copy, takes
        body.held = {spot: f"%sum.{k}{copy}" for k, spot in enumerate(sums)}
        body.doubtful = {body.program.outputs[place] for place in doubtful}
        if reserved:
            body.room.block(reserved)
        text, found = "\n".join(in_blocks(*body._functions())), list(body.held.values())
        machine = self.module.machine
        types = [machine.type(spot.fold or (run.lanes if spot.wide else 1)) for spot in sums]
        return Line(text, list(sums), types, found, body.hand_over([]), self.size, copy)

    def _functions(self) -> Iterator[list[str]]:
        """Write the lines of one function after another."""
        program = self.program
        passed_on = PassedOn(self)
        self._absorbed = passed_on.absorbed
        cost = list(itertools.accumulate(_cost(op) for op, _ in program.steps))
        size = _chunk(self.module.machine.lanes, self.lanes)
        chunk_of = [max(0, total - 1) // size for total in cost]
        self._last: dict[int, int] = {}
        for chunk, (_, args) in zip(chunk_of, program.steps, strict=True):
            self._last.update(dict.fromkeys(args, chunk))
        final = chunk_of[-1] if chunk_of else 0
        self.waiting = dict.fromkeys([*self._left_over(), *self.doubtful])
        self._last.update(dict.fromkeys(self.waiting, final))
        self._fuse(chunk_of)
        place = 0
        for chunk in range(final + 1):
            self._chunk = chunk
            self.begin()
            if not chunk:
                for spot in passed_on.to_clear:
                    moves.clear(self, spot)
            self._conditions: dict[tuple[int, bool], str] = {}
            while place < len(program.steps) and chunk_of[place] == chunk:
                several = self._several(place, chunk_of)
                if not several:
                    self._step(place)
                place += several or 1
            if chunk == final:
                self._finish()
            yield self.lines

    def _left_over(self) -> list[int]:
        """List the outputs written at the end: carried ones, and those that no step here computes."""
        program = self.program
        computed = {
            first for (op, _), first in zip(program.steps, program.firsts, strict=True) if not isinstance(op, Loop)
        }
        return [
            value for value, sinks in self.sinks.items() if value not in computed or any(sink.late for sink in sinks)
        ]

    def _fuse(self, chunk_of: Sequence[int]) -> None:
        """Find the sums of a product in the same function and with the same lanes, see `fusion`."""
        program = self.program
        made = {
            first: (op.name, args, chunk)
            for (op, args), first, chunk in zip(program.steps, program.firsts, chunk_of, strict=True)
        }
        self._fused: dict[int, tuple[int, ...]] = {}  # factors and summand
        for value, (product, other) in fused(made, self.uses).items():
            if self.differs[product] == self.differs[value]:
                self._fused[value] = (*made[product][1], other)
                self._absorbed.add(product)

    # ---- steps ----

    def _several(self, place: int, chunk_of: Sequence[int]) -> int:
        """Write exponentials of single numbers that follow one another, if these are some; return how many."""
        program, end = self.program, bisect.bisect(chunk_of, self._chunk)
        count = next_to(self.module, program, place, end) if self.lanes == 1 else 0
        if not count:
            return 0
        values = program.firsts[place : place + count]
        operands = [self.operand(program.steps[k].args[0], False) for k in range(place, place + count)]
        names = [f"%v{value}{self.copy}" for value in values]
        self.lines += exponentials(self.module, operands, names, self.temporary())
        for value in values:
            self._is_known(value)
        return count

    def _is_known(self, value: int) -> None:
        """Send what a step has computed where it is wanted."""
        self.known[value] = f"%v{value}{self.copy}"
        self._out(value, late=False)
        if self._last.get(value, -1) > self._chunk:
            self.keep(value)

    def _step(self, place: int) -> None:
        (op, args), value = self.program.steps[place], self.program.firsts[place]
        if isinstance(op, Loop):
            LoopCall(self, op, args, value).write()
            return
        if value in self._absorbed:
            return
        if isinstance(op, Structural):
            self._arrange(op, args, value)
            return
        differs = self.differs[value]
        operations = self.wide if differs else self.plain
        template, name = operations.template(op, self._many_functions), op.name
        if value in self._fused:
            args, template, name = self._fused[value], operations.fused(), "fma"
        only = self._only_added(value) if name == "mul" else None
        operands = [self.operand(arg, differs) for arg in args]
        if only is not None:
            # The product is rounded once, together with the sum that takes it.
            self._add_product(value, only, operands, differs)
            return
        if name == "where":
            condition = self._condition(args[0], operands[0], differs)
            self.lines.append(template.format(*operands, v=f"{value}{self.copy}", c=condition))
        else:
            self.lines.append(template.format(*operands, v=f"{value}{self.copy}"))
        if name in COMPARISONS:
            self._conditions[value, differs] = f"%c{value}{self.copy}"
        self._is_known(value)

    def _arrange(self, op: Structural, args: Sequence[int], value: int) -> None:
        """Write an operation that moves numbers, or find where they stand already."""
        if isinstance(op, View):
            self.homes[value] = self._seen(op, args[0])
        elif isinstance(op, Place):
            self._place(op, args, value)
        else:
            sinks = self.sinks.get(value, [])
            direct = len(sinks) == 1 and self.uses[value] == 1 and not sinks[0].late
            adds = direct and sinks[0].adds
            if direct and not (adds and (isinstance(op, Gather) or self.dead)) and self._fits(value, sinks[0]):
                target = sinks[0].spot
            else:
                target = self.homes[value] = self.block(op.shapes[0], self.differs[value])
                direct = adds = False
            source, index = (args[0], args[1]) if isinstance(op, Gather) else (args[1], args[0])
            where, which = self.home_of(source), self.home_of(index)
            if isinstance(op, Gather):
                gather(self, where, which, target)
            elif isinstance(op, Scatter):
                if not adds:
                    moves.clear(self, target)
                with self.all_lanes():
                    scatter(self, which, where, target)
            if direct:
                self.waiting.pop(value, None)
                return
        self._out(value, late=False)

    def _fits(self, value: int, sink: Sink) -> bool:
        """Return whether numbers that differ between lanes, or do not, can be written, or added, one by one."""
        spot = sink.spot
        return not spot.lane and (sink.adds or not spot.fold) and spot.wide == self.differs[value]

    def _seen(self, op: View, value: int) -> Spot:
        found = self.homes[value].part(op.part)
        if found is None:
            # Rows that stand apart are joined.
            aside = self.block(op.of, self.differs[value])
            moves.copy(self, self.homes[value], aside)
            found = aside.part(op.part)
            assert found is not None
        return found

    def _place(self, op: Place, args: Sequence[int], value: int) -> None:
        """Put values into an array, unless they stand in order already."""
        order = order_of(op)
        if order is not None:
            known = [spot for k in order if (spot := self.homes.get(args[k])) is not None]
            found = together(known, op.shapes[0]) if len(known) == len(args) else None
            if found is not None:
                self.homes[value] = found
                return
        target = self.homes[value] = self.block(op.shapes[0], self.differs[value])
        if order is None:
            moves.clear(self, target)
        spots = [target.part(part) for part in op.parts]
        sinks = [Sink(spot, adds) for spot, adds in zip(spots, overlaps(op), strict=True) if spot is not None]
        with self.all_lanes():
            moves.send_all(self, list(zip(args, sinks, strict=True)))

    def home_of(self, value: int) -> Spot:
        """Return where a value stands in memory; a number that does not is put there."""
        if value not in self.homes:
            spot = Spot("%frame", self.room.slot(self.width_of(self.differs[value])), self.differs[value])
            self.store(self.operand(value, spot.wide), spot)
            if self.constant(value) is None:
                self.homes[value] = spot
            return spot
        return self.homes[value]

    def _condition(self, value: int, operand: str, differs: bool) -> str:
        known = self._conditions.get((value, differs))
        if known is None:
            key = self.temporary()
            operations = self.wide if differs else self.plain
            self.lines.append(f"%y{key} = fcmp une {operations.type} {operand}, {operations.zero}")
            known = self._conditions[value, differs] = f"%y{key}"
        return known

    # ---- outputs ----

    def _only_added(self, value: int) -> Sink | None:
        """Return the target of a product that is used by one sum only."""
        sinks = self.sinks.get(value, ()) if value not in self.doubtful else ()
        return sinks[0] if len(sinks) == 1 and self.uses[value] == 1 and sinks[0].adds and not sinks[0].late else None

    def _add_product(self, value: int, sink: Sink, operands: list[str], differs: bool) -> None:
        operations = self.wide if sink.spot.varies else self.plain
        if sink.spot.fold:
            operands = [text if differs else self.splat(text) for text in operands]
            self.fold(sink.spot, [self.alive(text) for text in operands] if self.takes else operands)
            return
        if differs != sink.spot.varies:
            operands = [self.splat(text) if not text.startswith("splat") else text for text in operands]
        total = self.load(sink.spot)
        if self.dead or self.takes:
            operands = [self.alive(text) for text in operands]
        self.lines.append(operations.fused().format(*operands, total, v=f"{value}{self.copy}"))
        self.store(f"%v{value}{self.copy}", sink.spot)

    def _out(self, value: int, *, late: bool) -> None:
        for sink in self.sinks.get(value, ()):
            if late or not (sink.late or value in self.waiting):
                moves.send(self, value, sink)

    def _finish(self) -> None:
        """Write the remaining outputs; the carry last, since others are read from it."""
        if self.doubtful:
            types = {value: (self.wide if self.differs[value] else self.plain).type for value in self.doubtful}
            told = [(types[value], self.operand(value, self.differs[value])) for value in sorted(self.doubtful)]
            self.lines.append(any_nan("out", told) + "br i1 %out.bad, label %i.done, label %i.good\ni.good:")
        found = [(value, sink) for value in self.waiting for sink in self.sinks[value]]
        moves.send_all(self, [(value, sink) for value, sink in found if not sink.late])
        moves.exchange(self, [(value, sink.spot) for value, sink in found if sink.late])


def _chunk(own: int, lanes: int) -> int:
    """Return how many steps a function has, on a machine with so many lanes."""
    return max(CHUNK // 4, CHUNK * own // lanes) if lanes > 1 else CHUNK


def _cost(op: Primitive) -> int:
    return 40 if isinstance(op, Loop) else 0 if isinstance(op, View) else 1
