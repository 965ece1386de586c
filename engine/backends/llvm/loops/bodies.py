"""Write programs that hold loops as LLVM IR: for each inner program functions of some hundred steps.

A function gets pointers: to runs of numbers that it reads or writes, and to a frame of memory for what it keeps. What a
loop takes stands in memory at equal distances from one iteration to the next, so an iteration's pointers are those of
the one before, moved on; what stands elsewhere is packed first.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from ....programs import Loop, Program, differing
from ..fusion import fused
from ..instructions import COMPARISONS
from . import moves
from .calls import LoopCall
from .memory import Room, Sink, Spot
from .module import Module

CHUNK = 200  # steps in a function
_BLOCK = 200  # pieces of text between two labels: the order of a block's loads and stores takes quadratic time
_CHILD = "CHILD.FRAME"  # stands for where the frames of inner loops begin, until that is known


class Body:
    """Write the functions that run a program once, or once for every lane.

    `inputs` says where each number is, `sinks` where each output goes (to several places, or nowhere), all seen from
    the pointers ``%r0, %r1, ...`` (so many as `pointers`) and ``%frame``; loops need ``%watch``, too. The first `dead`
    lanes add nothing to sums: they did so before. Afterwards `names` are the functions to call one after another,
    `size` the bytes of the frame.
    """

    def __init__(
        self,
        module: Module,
        program: Program,
        lanes: int,
        inputs: Sequence[Spot],
        sinks: Sequence[Sequence[Sink]],
        pointers: int,
        dead: int = 0,
    ) -> None:
        self.module, self.program, self.lanes, self.pointers, self.dead = module, program, lanes, pointers, dead
        self.wide, self.plain = module.operations(lanes), module.operations(1)
        self.differs = differing(program, [spot.varies for spot in inputs]) if lanes > 1 else [False] * program.count
        self.homes: dict[int, Spot] = dict(enumerate(inputs))
        self.room = Room()
        self.child = 0  # bytes for the frames of inner loops, one at a time
        self.names: list[str] = []
        self.sinks: dict[int, list[Sink]] = {}
        for value, own in zip(program.outputs, sinks, strict=True):
            self.sinks.setdefault(value, []).extend(own)
        self.uses = Counter(itertools.chain(program.outputs, *[args for _, args in program.steps]))
        self.temporary = itertools.count()
        self._write()
        frame = -(-self.room.size // 64) * 64
        self.size = frame + self.child
        for text in self._functions:
            module.texts.append(text.replace(_CHILD, str(frame)))

    # ---- functions ----

    def _write(self) -> None:
        program = self.program
        cost = list(itertools.accumulate(40 if isinstance(op, Loop) else 1 for op, _ in program.steps))
        size = max(CHUNK // 4, CHUNK * self.module.machine.lanes // self.lanes) if self.lanes > 1 else CHUNK
        chunk_of = [(total - 1) // size for total in cost]
        self._last: dict[int, int] = {}
        for chunk, (_, args) in zip(chunk_of, program.steps, strict=True):
            self._last.update(dict.fromkeys(args, chunk))
        final = chunk_of[-1] if chunk_of else 0
        self.waiting = dict.fromkeys(self._left_over())
        self._last.update(dict.fromkeys(self.waiting, final))
        self._fused = self._products(chunk_of)
        self._absorbed = {product for product, _ in self._fused.values()}
        self._functions: list[str] = []
        place = 0
        for chunk in range(final + 1):
            self._chunk = chunk
            self.lines: list[str] = []
            self.known: dict[int, str] = {}
            self._splats: dict[int, str] = {}
            self._conditions: dict[tuple[int, bool], str] = {}
            while place < len(program.steps) and chunk_of[place] == chunk:
                self._step(place)
                place += 1
            if chunk == final:
                self._finish()
            self._close()

    def _close(self) -> None:
        name = self.module.name("body")
        self.names.append(name)
        parameters = ", ".join([*[f"ptr %r{k}" for k in range(self.pointers)], "ptr %frame, ptr %watch"])
        self._functions.append(
            f"define internal void @{name}({parameters}) #0 {{\n"
            + "\n".join(_in_blocks(self.lines))
            + "\nret void\n}\n"
        )

    def _left_over(self) -> list[int]:
        """List the outputs that are written at the end: carried ones, and those that no step here computes."""
        program = self.program
        computed = {
            first for (op, _), first in zip(program.steps, program.firsts, strict=True) if not isinstance(op, Loop)
        }
        return [
            value for value, sinks in self.sinks.items() if value not in computed or any(sink.late for sink in sinks)
        ]

    def _products(self, chunk_of: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the sums that take a product of the same function and as many lanes, see `fusion`."""
        program = self.program
        made = {
            first: (op.name, args, chunk)
            for (op, args), first, chunk in zip(program.steps, program.firsts, chunk_of, strict=True)
        }
        found = fused(made, self.uses)
        return {value: pair for value, pair in found.items() if self.differs[pair[0]] == self.differs[value]}

    # ---- steps ----

    def _step(self, place: int) -> None:
        (op, args), value = self.program.steps[place], self.program.firsts[place]
        if isinstance(op, Loop):
            LoopCall(self, op, args, value).write()
            return
        if value in self._absorbed:
            return
        differs = self.differs[value]
        operations = self.wide if differs else self.plain
        template, name = operations.template(op), op.name
        if value in self._fused:
            product, other = self._fused[value]
            first = self.program.steps[self._place_of(product)].args
            args, template, name = (*first, other), operations.fused(), "fma"
        only = self._only_added(value) if name == "mul" else None
        operands = [self.operand(arg, differs) for arg in args]
        if only is not None:
            # The product is rounded once, together with the sum that takes it.
            self._add_product(value, only, operands, differs)
            return
        if name == "where":
            condition = self._condition(args[0], operands[0], differs)
            self.lines.append(template.format(*operands, v=value, c=condition))
        else:
            self.lines.append(template.format(*operands, v=value))
        if name in COMPARISONS:
            self._conditions[value, differs] = f"%c{value}"
        self.known[value] = f"%v{value}"
        self._out(value, late=False)
        if self._last.get(value, -1) > self._chunk:
            self.keep(value)

    def _place_of(self, value: int) -> int:
        if not hasattr(self, "_places"):
            self._places = {first: place for place, first in enumerate(self.program.firsts)}
        return self._places[value]

    def _condition(self, value: int, operand: str, differs: bool) -> str:
        known = self._conditions.get((value, differs))
        if known is None:
            key = next(self.temporary)
            operations = self.wide if differs else self.plain
            self.lines.append(f"%y{key} = fcmp une {operations.type} {operand}, {operations.zero}")
            known = self._conditions[value, differs] = f"%y{key}"
        return known

    # ---- values ----

    def constant(self, value: int) -> float | None:
        """Return the number that a value is, None where it is not a constant."""
        place = value - len(self.program.names)
        return self.program.constants[place] if 0 <= place < len(self.program.constants) else None

    def operand(self, value: int, differs: bool) -> str:
        """Bring a value into reach, as one double or, where lanes differ, as a vector."""
        constant = self.constant(value)
        if constant is not None:
            return (self.wide if differs else self.plain).literal(constant)
        text = self.known.get(value)
        if text is None:
            text = self.known[value] = self.load(self.homes[value])
        if differs and not self.differs[value]:
            if value not in self._splats:
                self._splats[value] = self._splat(text)
            text = self._splats[value]
        return text

    def _splat(self, text: str) -> str:
        key, type_, lanes = next(self.temporary), self.wide.type, self.lanes
        if lanes == 1:
            return text
        self.lines.append(
            f"%i{key} = insertelement {type_} poison, double {text}, i64 0\n"
            f"%u{key} = shufflevector {type_} %i{key}, {type_} poison, <{lanes} x i32> zeroinitializer"
        )
        return f"%u{key}"

    def pointer(self, base: str, offset: int) -> str:
        """Return a pointer some bytes on."""
        if not offset:
            return base
        key = next(self.temporary)
        self.lines.append(f"%p{key} = getelementptr i8, ptr {base}, i64 {offset}")
        return f"%p{key}"

    def load(self, spot: Spot) -> str:
        """Read what stands at a spot."""
        if spot.lane and spot.lane != 8:
            return self._gather(spot)
        pointer, key = self.pointer(spot.base, spot.offset), next(self.temporary)
        type_ = self.wide.type if spot.varies else "double"
        self.lines.append(f"%x{key} = load {type_}, ptr {pointer}, align 8")
        return f"%x{key}"

    def _gather(self, spot: Spot) -> str:
        before = "poison"
        for lane in range(self.lanes):
            pointer, key = self.pointer(spot.base, spot.offset + lane * spot.lane), next(self.temporary)
            self.lines.append(
                f"%h{key} = load double, ptr {pointer}, align 8\n"
                f"%x{key} = insertelement {self.wide.type} {before}, double %h{key}, i64 {lane}"
            )
            before = f"%x{key}"
        return before

    def store(self, text: str, spot: Spot) -> None:
        """Write a double, or a vector where the spot is one for all lanes or for each."""
        if spot.lane and spot.lane != 8:
            for lane in range(self.lanes):
                pointer, key = self.pointer(spot.base, spot.offset + lane * spot.lane), next(self.temporary)
                self.lines.append(
                    f"%e{key} = extractelement {self.wide.type} {text}, i64 {lane}\n"
                    f"store double %e{key}, ptr {pointer}, align 8"
                )
            return
        type_ = self.wide.type if spot.varies else "double"
        self.lines.append(f"store {type_} {text}, ptr {self.pointer(spot.base, spot.offset)}, align 8")

    def keep(self, value: int) -> None:
        """Keep a value in the frame for functions to come."""
        differs = self.differs[value]
        spot = Spot("%frame", self.room.slot(8 * self.lanes if differs else 8), differs)
        self.store(self.known[value], spot)
        self.homes[value] = spot

    def child_frame(self, size: int) -> str:
        """Return the pointer to the frame of an inner loop, which needs so many bytes."""
        self.child = max(self.child, size)
        key = next(self.temporary)
        self.lines.append(f"%p{key} = getelementptr i8, ptr %frame, i64 {_CHILD}")
        return f"%p{key}"

    # ---- outputs ----

    def _only_added(self, value: int) -> Sink | None:
        """Return where a product goes that nothing but one sum takes."""
        sinks = self.sinks.get(value, ())
        return sinks[0] if len(sinks) == 1 and self.uses[value] == 1 and sinks[0].adds and not sinks[0].late else None

    def _add_product(self, value: int, sink: Sink, operands: list[str], differs: bool) -> None:
        operations = self.wide if sink.spot.varies else self.plain
        if sink.spot.fold:
            self._fold(sink.spot, [text if differs else self._splat(text) for text in operands])
            return
        if differs != sink.spot.varies:
            operands = [self._splat(text) if not text.startswith("splat") else text for text in operands]
        total = self.load(sink.spot)
        if self.dead:
            operands = [self._alive(text) for text in operands]
        self.lines.append(operations.fused().format(*operands, total, v=value))
        self.store(f"%v{value}", sink.spot)

    def _out(self, value: int, *, late: bool) -> None:
        for sink in self.sinks.get(value, ()):
            if late or not (sink.late or value in self.waiting):
                self._send(value, sink)

    def _send(self, value: int, sink: Sink) -> None:
        text = self.operand(value, sink.spot.varies)
        if sink.spot.fold:
            self._fold(sink.spot, [text])
            return
        self.store(self.sum(text, sink.spot) if sink.adds else text, sink.spot)

    def sum(self, text: str, spot: Spot) -> str:
        """Return the sum of a value and what stands at a spot."""
        type_ = self.wide.type if spot.varies else "double"
        if self.dead:
            text = self._alive(text)
        total, key = self.load(spot), next(self.temporary)
        self.lines.append(f"%s{key} = fadd {type_} {total}, {text}")
        return f"%s{key}"

    def _alive(self, text: str) -> str:
        """Return a vector with 0 in the lanes that add nothing."""
        type_, key = self.wide.type, next(self.temporary)
        mask = ", ".join(f"i1 {int(lane >= self.dead)}" for lane in range(self.lanes))
        self.lines.append(f"%l{key} = select {self.wide.mask} <{mask}>, {type_} {text}, {type_} {self.wide.zero}")
        return f"%l{key}"

    def _fold(self, spot: Spot, factors: list[str]) -> None:
        """Add a vector, or the product of two, to a sum over a shorter vector, part by part."""
        size = spot.fold
        short, pointer, key = self.module.operations(size), self.pointer(spot.base, spot.offset), next(self.temporary)
        total = f"%f{key}"
        self.lines.append(f"{total} = load {short.type}, ptr {pointer}, align 8")
        for first in range(0, self.lanes, size):
            parts = []
            for factor in factors:
                part = next(self.temporary)
                chosen = ", ".join(f"i32 {k}" for k in range(first, first + size))
                self.lines.append(
                    f"%f{part} = shufflevector {self.wide.type} {factor}, {self.wide.type} poison, "
                    f"<{size} x i32> <{chosen}>"
                )
                parts.append(f"%f{part}")
            key = next(self.temporary)
            if len(parts) == 2:
                self.lines.append(short.fused().format(*parts, total, v=f"f{key}"))
                total = f"%vf{key}"
            else:
                self.lines.append(f"%f{key} = fadd {short.type} {total}, {parts[0]}")
                total = f"%f{key}"
        self.lines.append(f"store {short.type} {total}, ptr {pointer}, align 8")

    def _finish(self) -> None:
        """Write what is left; the carry at the end, since it is what others are read from."""
        copied: dict[bool, list[moves.Move]] = {False: [], True: []}
        late = []
        for value in self.waiting:
            for sink in self.sinks[value]:
                if sink.late:
                    late.append((value, sink.spot))
                elif sink.spot.fold or (sink.adds and self.dead):
                    self._send(value, sink)
                else:
                    copied[sink.adds].append((value, sink.spot))
        for adds, own in copied.items():
            moves.move(self, own, adds=adds)
        moves.exchange(self, late)


def _in_blocks(lines: list[str]) -> list[str]:
    """Cut a long run of instructions into basic blocks."""
    found: list[str] = []
    for start in range(0, len(lines), _BLOCK):
        if start:
            found.append(f"br label %block{start}\nblock{start}:")
        found += lines[start : start + _BLOCK]
    return found
