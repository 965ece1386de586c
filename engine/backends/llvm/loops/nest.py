"""Compile a program with loops to the functions that `driver` calls: what runs once, and what runs for each sample."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ....floats import DOUBLE
from ....operations import Primitive
from ....programs import Gather, Program, Step, Structural, View, drop, size_of, values_in_tuple
from ...layout import Layout
from .. import driver, watch
from ..frame import POINTER, Frame
from ..machine import Machine
from ..turns import at
from .blocking import operations
from .bodies import Body
from .memory import Room, Sink, Spot, in_order
from .module import Module, Written
from .outer import ONES, Outer, outer_products
from .products import Shape, product, tile
from .transposing import MOST, write_rows
from .writer import Run

_VECTORS = 4  # of samples, side by side: one number that they share is loaded for all of them
_LONG = 500  # operations of a program, from which on it is worth having them once only
_MUCH = 32  # operations of a sample for each shared number and sum, from which on loading these is no more to save


class Nest:
    """Write the module of a program with loops; afterwards `size` and `callbacks` are known."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self.layout, self.machine = layout, machine
        self.callbacks: list[Primitive] = []
        self.size = 0

    def modules(self) -> Iterator[tuple[str, int]]:
        """Yield each module's text and the number of steps in it."""
        layout, machine = self.layout, self.machine
        width = machine.size
        module = Module(machine, self.callbacks)
        most = _vectors(layout)
        self.program, self.outer = outer_products(layout, machine.lanes) if layout.reduce else (layout.program, [])
        self.aside = self._make_room(most * machine.lanes, module)
        self.places = self._sample_places()
        exported = self._exported()
        sizes = [size_of(layout.program.value_shapes[value]) for value in exported]
        *starts, total = itertools.accumulate(sizes, initial=0)
        slots = dict(zip(exported, starts, strict=True))
        own = -(-width * total // 64) * 64
        once = self._once(module, slots)
        count = len(layout.sizes)
        text = _entry("shared_0", once, count, ["%shared" if layout.has_batch else "%sink"], f"%shared, i64 {own}")
        size = 0
        widths = list(dict.fromkeys([most, 1])) if layout.has_batch else []
        for vectors in widths:
            samples = self._samples(module, slots, vectors * machine.lanes)
            size = max(size, samples.size)
            units = 0 if layout.reduce else len(layout.units)
            target = ["%sink"] if layout.reduce else [f"%c{count + k}" for k in range(units)]
            more = ["%shared", *target, *(["%scratch"] if self.outer else [])]
            text += _entry(f"sample_{vectors}", samples, count + units, more, f"%scratch, i64 {self.aside}", count)
            if self.outer:
                text += self._products(f"products_{vectors}", module, vectors * machine.lanes)
        scratch = -(-(self.aside + size) // (width * machine.lanes))
        lanes, shared = machine.lanes, (own + once.size) // width
        found = [self._numbers_of(one) for one in self.outer]
        frame = Frame(layout, machine, lanes, most * lanes, lanes, shared, scratch, 0, found)
        self.size = frame.total
        yield module.text() + text, len(layout.program.steps)
        names = [f"sample_{vectors}" for vectors in widths]
        products = [f"products_{vectors}" for vectors in (widths[0], widths[-1])] if self.outer else []
        yield driver.driver(layout, frame, ["shared_0"], names[:1], names[-1:], slots, products), 0

    # ---- sums of outer products ----

    def _numbers_of(self, one: Outer) -> tuple[int, int]:
        """Return where a sum of outer products begins in the result, and how many numbers it has."""
        layout = self.layout
        return layout.output_starts[one.output], size_of(layout.program.output_shapes[one.output])

    def _in_rows(self, value: int | None) -> bool:
        """Return whether a value is an input of which each sample has its own in memory."""
        layout = self.layout
        return value is not None and value < layout.inputs and layout.batched[layout.argument_of[value]]

    def _make_room(self, lanes: int, module: Module) -> int:
        """Find room for the factors of outer products, where these lie lane by lane, and for a tile of one of them."""
        room, width, shapes = Room(), self.machine.size * lanes, self.layout.program.output_shapes
        self.rows = [room.block(width * size_of(self.program.output_shapes[one.output])) for one in self.outer]
        others = {one.columns: shapes[one.output][1] for one in self.outer if not self._in_rows(one.only)}
        self.columns = {pieces: room.block(width * count) for pieces, count in others.items()}
        self.tile = room.block(tile(module, lanes)) if self.outer else 0
        return room.size

    def _products(self, name: str, module: Module, lanes: int) -> str:
        """Write the function that adds the outer products of some samples to the sums."""
        layout, width, text, sums = self.layout, self.machine.size, "", 0
        for k, (one, start) in enumerate(zip(self.outer, self.rows, strict=True)):
            rows, columns = layout.program.output_shapes[one.output]
            stride = 0
            if one.only is not None and self._in_rows(one.only):
                argument = layout.argument_of[one.only]
                stride = width * layout.sizes[argument]
                text += at(f"c{k}", "%cursors", POINTER * argument) + f"%a{k} = load ptr, ptr %c{k}, align 8\n"
                text += at(f"x{k}", f"%a{k}", width * layout.offsets[one.only])
            else:
                text += at(f"x{k}", "%scratch", self.columns[one.columns])
                for place, (value, part) in enumerate(one.columns):
                    if value == ONES:
                        type_, number = module.machine.type(lanes), f"splat ({module.scalar} 1.0)"
                        text += at(f"x{k}.{place}", f"%x{k}", width * lanes * part.start)
                        text += f"store {type_} {number}, ptr %x{k}.{place}, align {width}\n"
            text += at(f"d{k}", "%scratch", start) + at(f"s{k}", "%sums", DOUBLE.size * sums)
            text += at(f"t{k}", "%scratch", self.tile)
            function = product(module, Shape(rows, columns, lanes, stride))
            text += f"call void @{function}(ptr %d{k}, ptr %x{k}, ptr %s{k}, ptr %t{k}, i64 %count)\n"
            sums += rows * columns
        parameters = "ptr %cursors, ptr noalias %scratch, ptr noalias %sums, i64 %count"
        return f"define void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n"

    # ---- the parts ----

    def _sample_places(self) -> list[int]:
        """List the steps that run for every sample, and those that look for these at what is shared."""
        layout = self.layout
        if not layout.has_batch:
            return []
        steps, firsts = layout.program.steps, layout.program.firsts
        made = {firsts[place]: place for place in layout.shared_steps if isinstance(steps[place].op, View)}
        found = list(layout.sample_steps)
        seen: set[int] = set()
        for place in found:
            for value in steps[place].args:
                if value in made and value not in seen:
                    seen.add(value)
                    found.append(made[value])
        return sorted(found)

    def _exported(self) -> list[int]:
        """List what the part that runs once has to keep: values that samples read, and results of no sample."""
        layout = self.layout
        if not layout.has_batch:
            return []
        program = layout.program
        own = {program.firsts[place] for place in self.places}
        found = {value for place in self.places for value in program.steps[place].args if not layout.varying[value]}
        found = {value for value in found if value >= layout.base} - own
        results = {value for value in layout.positions if not layout.varying[value] and self._is_kept(value)}
        return sorted(found | results)

    def _is_kept(self, value: int) -> bool:
        """Return whether what differs between no samples is a result, one that has to be computed."""
        return bool(self.layout.reduce) or value >= self.layout.base

    def _spots(self, lanes: int) -> list[Spot]:
        """Return where each input is stored: argument k begins at %rk."""
        layout, width, found = self.layout, self.machine.size, list[Spot]()
        for argument, offset, shape in zip(layout.argument_of, layout.offsets, layout.program.shapes, strict=True):
            lane = width * layout.sizes[argument] if layout.batched[argument] and lanes > 1 else 0
            found.append(in_order(f"%r{argument}", width * offset, shape, width, lane=lane))
        return found

    def _once(self, module: Module, slots: dict[int, int]) -> Written:
        """Write what does not differ between samples; it keeps what samples read."""
        layout = self.layout
        outputs, starts = layout.program.outputs, layout.output_starts
        if layout.has_batch:
            outputs, starts = tuple(slots), list(slots.values())
        program = part(layout.program, layout.shared_steps, (), outputs)
        target, width = f"%r{len(layout.sizes)}", self.machine.size
        spots = [
            in_order(target, width * k, shape, width) for k, shape in zip(starts, program.output_shapes, strict=True)
        ]
        sinks = [[Sink(spot)] for spot in spots]
        return Body(module, Run(program, 1, self._spots(1), sinks, len(layout.sizes) + 1)).write()

    def _samples(self, module: Module, slots: dict[int, int], lanes: int) -> Written:
        """Write what runs for every sample."""
        layout, count, width = self.layout, len(self.layout.sizes), self.machine.size
        outputs: list[int] = []
        sinks: list[list[Sink]] = []
        shapes, sums = layout.program.output_shapes, 0
        products = {one.output: start for one, start in zip(self.outer, self.rows, strict=True)}
        aside = f"%r{count + 2}"
        turned = self._turned(lanes)
        for position, (value, start) in enumerate(zip(layout.program.outputs, layout.output_starts, strict=True)):
            if layout.reduce and not layout.varying[value]:
                continue
            outputs.append(value)
            if position in products:
                shape = self.program.output_shapes[position]
                sinks.append([Sink(in_order(aside, products[position], shape, width * lanes, wide=True))])
                sums += size_of(shapes[position])
            elif layout.reduce:
                # Every sum has as many lanes as a register.
                own = self.machine.lanes
                fold = own if lanes > own else 0
                base = f"%r{count + 1}"
                spot = in_order(
                    base, width * own * (start - sums), shapes[position], width * own, wide=lanes > 1, fold=fold
                )
                sinks.append([Sink(spot, True)])
            else:
                unit = layout.unit_at(start)
                first, size = layout.units[unit]
                if unit in turned:
                    place = turned[unit] + width * lanes * (start - first)
                    sinks.append([Sink(in_order("%frame", place, shapes[position], width * lanes, wide=True))])
                    continue
                lane = width * size if lanes > 1 else 0
                base = f"%r{count + 1 + unit}"
                sinks.append([Sink(in_order(base, width * (start - first), shapes[position], width, lane=lane))])
        for pieces, place in self.columns.items():
            for value, piece in pieces:
                if value != ONES:
                    outputs.append(value)
                    far = place + width * lanes * piece.start
                    sinks.append([Sink(in_order(aside, far, piece.shape, width * lanes, wide=True))])
        program = part(self.program, self.places, tuple(slots), outputs)
        values = layout.program.value_shapes
        kept = [in_order(f"%r{count}", width * k, values[value], width) for value, k in slots.items()]
        inputs = [*self._spots(lanes), *kept]
        pointers = count + 1 + (1 if layout.reduce else len(layout.units)) + (1 if self.outer else 0)
        body = Body(module, Run(program, lanes, inputs, sinks, pointers))
        for unit in turned:
            body.room.block(width * lanes * layout.units[unit][1])
        written = body.write()
        if turned:
            body.begin()
            for unit, place in turned.items():
                base, size = f"%r{count + 1 + unit}", layout.units[unit][1]
                rows = [body.pointer(base, width * size * lane) for lane in range(lanes)]
                write_rows(body, in_order("%frame", place, (size,), width * lanes, wide=True), rows, size)
            written.names.append(body.function())
        return written

    def _turned(self, lanes: int) -> dict[int, int]:
        """Return where results of several numbers stand in the frame, as vectors, before they are written as rows."""
        found: dict[int, int] = {}
        place = 0
        for unit, (_, size) in enumerate(self.layout.units):
            if self.layout.reduce or not 1 < size <= MOST or lanes % self.machine.lanes or lanes == 1:
                continue
            found[unit] = place
            place += -(-self.machine.size * lanes * size // 64) * 64
        return found


def _vectors(layout: Layout) -> int:
    """Choose how many vectors of samples run side by side: one if they share little, and there is much to compile.

    An LSTM of 1,305 operations, 50 steps, was ready after 0.35 s rather than 0.53 s, and took 1.65 ms for 64 samples
    rather than 1.83 ms; a network of 16,641 parameters with four vectors 3.0 ms rather than 3.9 ms.
    """
    program = layout.program
    flags = [layout.batched[argument] for argument in layout.argument_of]
    tables = {args[0] for op, args in program.steps if isinstance(op, Gather)}  # of which each sample reads a row
    tables -= {k for op, args in program.steps for k in (args[1:] if isinstance(op, Gather) else args)}
    shared = sum(
        [
            size_of(shape[1:] if k in tables else shape)
            for k, (shape, flag) in enumerate(zip(program.shapes, flags, strict=True))
            if not flag
        ]
    )
    shared += layout.outputs if layout.reduce else 0
    work = sum([op.work if isinstance(op, Structural) else len(args) for op, args in program.steps])
    return 1 if operations(program) >= _LONG and work >= _MUCH * shared else _VECTORS


def part(program: Program, places: Sequence[int], more: Sequence[int], outputs: Sequence[int]) -> Program:
    """Return the program of some steps, with the values `more` as inputs after its own."""
    inputs = len(program.names)
    new = {k: k for k in range(inputs)}
    new.update({value: inputs + k for k, value in enumerate(more)})
    count = inputs + len(more)
    for k in range(inputs, program.offset):
        new.setdefault(k, count + k - inputs)
    count += len(program.constants)
    steps = []
    for place in places:
        op, args = program.steps[place]
        steps.append(Step(op, tuple([new[k] for k in args])))
        for k in range(op.results):
            new[program.firsts[place] + k] = count + k
        count += op.results
    names = (*program.names, *[f"s{k}" for k in range(len(more))])
    chosen = tuple([new[value] for value in outputs])
    shapes = program.value_shapes
    arguments = values_in_tuple([*program.shapes, *[shapes[value] for value in more]])
    result = values_in_tuple([shapes[value] for value in outputs])
    return drop(replace(program, names=names, steps=tuple(steps), outputs=chosen, arguments=arguments, result=result))


def _entry(name: str, body: Written, cursors: int, more: Sequence[str], frame: str, arguments: int = -1) -> str:
    """Write the function that reads the addresses in the cursors and calls a body's functions.

    These get the first `arguments` of the addresses (all if it is -1), then `more`, then the pointers to their frame
    and to the watch.
    """
    text = f"%frame = getelementptr i8, ptr {frame}\n%watch = getelementptr i8, ptr %cursors, i64 -{watch.SIZE}\n"
    for k in range(cursors):
        text += f"%p{k} = getelementptr i8, ptr %cursors, i64 {8 * k}\n%c{k} = load ptr, ptr %p{k}, align 8\n"
    own = [f"%c{k}" for k in range(cursors if arguments < 0 else arguments)]
    operands = ", ".join(f"ptr {p}" for p in [*own, *more, "%frame", "%watch"])
    text += "".join(f"call void @{function}({operands})\n" for function in body.names)
    parameters = "ptr %cursors, ptr noalias %shared, ptr noalias %scratch, ptr noalias %sink"
    return f"define void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n"
