"""Compile a program with loops to the functions that `driver` calls: what runs once, and what runs for each sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ....operations import Primitive
from ....programs import Program, Step, drop, numbers_in_tuple
from ...layout import Layout
from .. import driver, watch
from ..machine import host
from .bodies import Body
from .memory import Sink, Spot
from .module import Module, Written

VECTORS = 4  # of samples, side by side: one number that they share is loaded for all of them


class Nest:
    """Write the module of a program with loops; afterwards `size` and `callbacks` are known."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.callbacks: list[Primitive] = []
        self.size = 0

    def modules(self) -> Iterator[tuple[str, int]]:
        """Yield each module's text and the number of steps in it."""
        layout, machine = self.layout, host()
        module = Module(machine, self.callbacks)
        exported = self._exported()
        slots = {value: k for k, value in enumerate(exported)}
        own = -(-8 * len(exported) // 64) * 64
        once = self._once(module, exported)
        count = len(layout.sizes)
        text = _entry("shared_0", once, count, ["%shared" if layout.has_batch else "%sink"], f"%shared, i64 {own}")
        size = 0
        if layout.has_batch:
            samples = self._samples(module, exported, VECTORS * machine.lanes)
            size = samples.size
            units = 0 if layout.reduce else len(layout.units)
            target = ["%sink"] if layout.reduce else [f"%c{count + k}" for k in range(units)]
            text += _entry("sample_0", samples, count + units, ["%shared", *target], "%scratch, i64 0", count)
        scratch = -(-size // (8 * machine.lanes))
        frame = driver.Frame(layout, machine.lanes, (own + once.size) // 8, scratch, vectors=VECTORS)
        self.size = frame.total
        yield module.text() + text, len(layout.program.steps)
        yield driver.driver(layout, frame, ["shared_0"], ["sample_0"] if layout.has_batch else [], slots), 0

    def _exported(self) -> list[int]:
        """List what the part that runs once has to keep: values that samples read, and results of no sample."""
        layout = self.layout
        if not layout.has_batch:
            return []
        results = [value for value in layout.positions if layout.reduce and not layout.varying[value]]
        return sorted({value for value in layout.exported() if value >= layout.base} | set(results))

    def _spots(self, lanes: int) -> list[Spot]:
        """Return where each input is stored: argument k begins at %rk."""
        layout, found = self.layout, []
        for argument, (size, flag) in enumerate(zip(layout.sizes, layout.batched, strict=True)):
            lane = 8 * size if flag and lanes > 1 else 0
            found += [Spot(f"%r{argument}", 8 * k, lane=lane) for k in range(size)]
        return found

    def _once(self, module: Module, exported: Sequence[int]) -> Written:
        """Write what does not differ between samples; it keeps what samples read."""
        layout = self.layout
        outputs = exported if layout.has_batch else layout.program.outputs
        program = part(layout.program, layout.shared_steps, (), outputs)
        target = f"%r{len(layout.sizes)}"
        sinks = [[Sink(Spot(target, 8 * k))] for k in range(len(outputs))]
        return Body(module, program, 1, self._spots(1), sinks, len(layout.sizes) + 1).write()

    def _samples(self, module: Module, exported: Sequence[int], lanes: int) -> Written:
        """Write what runs for every sample."""
        layout, count = self.layout, len(self.layout.sizes)
        outputs, sinks = [], []
        for position, value in enumerate(layout.program.outputs):
            if layout.reduce and not layout.varying[value]:
                continue
            outputs.append(value)
            if layout.reduce:
                # Every sum has as many lanes as a register.
                own = host().lanes
                fold = own if lanes > 1 else 0
                sinks.append([Sink(Spot(f"%r{count + 1}", 8 * own * position, lanes > 1, fold=fold), True)])
            else:
                unit = layout.unit_at(position)
                start, size = layout.units[unit]
                sinks.append(
                    [Sink(Spot(f"%r{count + 1 + unit}", 8 * (position - start), lane=8 * size if lanes > 1 else 0))]
                )
        program = part(layout.program, layout.sample_steps, exported, outputs)
        inputs = [*self._spots(lanes), *[Spot(f"%r{count}", 8 * k) for k in range(len(exported))]]
        pointers = count + 1 + (1 if layout.reduce else len(layout.units))
        return Body(module, program, lanes, inputs, sinks, pointers).write()


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
    structures = numbers_in_tuple(len(names)), numbers_in_tuple(len(chosen))
    return drop(
        replace(program, names=names, steps=tuple(steps), outputs=chosen, arguments=structures[0], result=structures[1])
    )


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
