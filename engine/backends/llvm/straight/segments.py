"""Write a program's steps as LLVM IR: straight-line functions of a few hundred steps each.

One large function would take time quadratic in its length to compile. Values that one segment hands to another
stand in slots of memory, used again as soon as nobody reads them any more.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator

from ....operations import Primitive
from ...layout import Layout
from .. import fusion, sine
from ..instructions import COMPARISONS, Operations, weight
from ..machine import Machine
from .ordering import Schedule
from .registers import Registers

SEGMENT = 500  # steps in a function
_SHORT = 3000  # steps of a program whose functions are worth twice that

_Instruction = tuple[int, Primitive, tuple[int, ...], str]


class Section:
    """Write either the shared steps, on scalars, or those of every sample, on vectors.

    With `sum_lanes` the vectors are shorter than sums over the samples, which have so many lanes.
    `declarations` collects what the functions written so far call; `callbacks` the rows that only Python can evaluate.
    """

    def __init__(
        self,
        layout: Layout,
        machine: Machine,
        callbacks: list[Primitive],
        *,
        sample: bool,
        vectors: int = 1,
        sum_lanes: int = 0,
    ) -> None:
        self.layout, self.sample = layout, sample
        self.lanes = machine.lanes * vectors if sample else 1
        self.operations = Operations(machine, self.lanes, callbacks)
        self.prefix = "single" if sum_lanes else "sample" if sample else "shared"
        self.memory = "%scratch" if sample else "%shared"
        self.size, self.scalar = machine.size, machine.scalar
        self.width = self.size * self.lanes
        self.align = min(64, self.width)
        self.sum_width = self.size * (sum_lanes or self.lanes)
        self.type, self.mask = self.operations.type, self.operations.mask
        self.slots: dict[int, int] = {}
        self.slot_count = 0
        self.declarations = self.operations.declarations
        self.places = layout.shared_steps
        if sample:
            self.places = sine.beside(layout) if self.operations.trigonometric else layout.sample_steps
        self.names: list[str] = []
        self._length = 2 * SEGMENT if len(self.places) <= _SHORT else SEGMENT
        self._fused = self._products()
        self._absorbed = {product for product, _ in self._fused.values()}
        self._free: list[int] = []
        # Two stay free for what a step computes on its way.
        self._room = max(3, machine.registers // (vectors if sample else 1) - 2)

    def _products(self) -> dict[int, tuple[int, int]]:
        """Return the sums that take a product of the same function, see `fusion`."""
        program, base = self.layout.program, self.layout.base
        uses = Counter(itertools.chain(program.outputs, *[args for _, args in program.steps]))
        function_of = {place: k // self._length for k, place in enumerate(self.places)}
        made = {base + k: (op.name, args, function_of.get(k, -1)) for k, (op, args) in enumerate(program.steps)}
        return {value: pair for value, pair in fusion.fused(made, uses).items() if value - base in function_of}

    # ---- one function after another ----

    def write(self, shared_slots: dict[int, int]) -> Iterator[tuple[str, int]]:
        """Yield each function's text and its number of steps; `shared_slots` are those of the shared section."""
        layout, places = self.layout, self.places
        chunks = [places[k : k + self._length] for k in range(0, len(places), self._length)] or [[]]
        self._shared_slots = shared_slots
        self._last: dict[int, int] = {}
        steps = layout.program.steps
        for k, chunk in enumerate(chunks):
            for place in chunk:
                for arg in steps[place].args:
                    self._last[arg] = k
        own = {layout.base + place for place in places}
        # What is written out but not computed here waits for the last function.
        if self.sample:
            late = [v for v in layout.positions if v not in own and (not layout.reduce or layout.varying[v])]
        elif layout.has_batch:
            exported = layout.exported()
            for value in exported:
                self._last[value] = len(chunks)
            late = [v for v in layout.positions if v not in own and v in exported] if layout.reduce else []
        else:
            late = [v for v in layout.positions if v not in own]
        if self.sample:
            for value in late:
                self._last[value] = len(chunks) - 1
        for k, chunk in enumerate(chunks):
            self.names.append(f"{self.prefix}_{k}")
            yield self._function(k, chunk, late if k == len(chunks) - 1 else []), len(chunk)

    def _function(self, k: int, chunk: list[int], late: list[int]) -> str:
        layout, last = self.layout, self._last
        self._known: dict[int, str] = {}
        self._conditions: dict[int, str] = {}
        self._loads: Counter[int] = Counter()
        self._pointers: set[int] = set()
        self._turns: set[int] = set()
        self._lines: list[str] = []
        self._segment = k
        written = self.sample or not layout.has_batch
        steps = self._in_order(list(self._instructions(chunk)))
        registers = Registers(self._room, [self._variables(args) for _, _, args, _ in steps], late)
        for position, (value, op, args, template) in enumerate(steps):
            operands = [self._known.get(arg) or self._load(arg) for arg in args]
            idle = registers.hold(self._variables(args), position)
            if weight(op) > 1:
                # A function that is called leaves no register as it was.
                for gone in registers.clear():
                    self._put_away(gone)
            self._step(value, op, args, operands, template)
            self._known[value] = f"%v{value}"
            if last.get(value, -1) > k:
                self._save(value)
            if written and value in layout.positions:
                self._output(value)
            for done in [*idle, *registers.hold([value], position)]:
                if last.get(done) == k and done in self.slots:
                    heapq.heappush(self._free, self.slots.pop(done))
            for gone in registers.surplus():
                self._put_away(gone)
        for value in late:
            if value not in self._known:
                self._load(value)
            if written:
                self._output(value)
            else:
                self._save(value)
        for value in [value for value in self.slots if last[value] == k]:
            heapq.heappush(self._free, self.slots.pop(value))
        parameters = "ptr %cursors, ptr noalias %shared, ptr noalias %scratch, ptr noalias %sink"
        head = f"define void @{self.prefix}_{k}({parameters})"
        return f"{head} #0 {{\n" + "\n".join(self._lines) + "\nret void\n}\n"

    def _variables(self, args: tuple[int, ...]) -> list[int]:
        """Drop the constants: instructions read them from memory directly."""
        return [arg for arg in args if not self.layout.inputs <= arg < self.layout.base]

    def _instructions(self, chunk: list[int]) -> Iterator[_Instruction]:
        """Yield each computed value, with its operation, operands and text."""
        base, steps, operations = self.layout.base, self.layout.program.steps, self.operations
        for place in chunk:
            op, args = steps[place]
            value = base + place
            if value in self._fused:
                product, other = self._fused[value]
                yield value, op, (*steps[product - base].args, other), operations.fused()
            elif value not in self._absorbed:
                yield value, op, args, operations.template(op)

    def _in_order(self, steps: list[_Instruction]) -> list[_Instruction]:
        """Order the steps by what is in registers at the time."""
        made = [value for value, _, _, _ in steps]
        own, last, k = set(made), self._last, self._segment
        schedule = Schedule(
            made,
            [self._variables(args) for _, _, args, _ in steps],
            [weight(op) > 1 for _, op, _, _ in steps],
            self._room,
            lambda value: value not in own or last.get(value, -1) > k,
        )
        return [steps[place] for place in schedule.order()]

    def _step(self, value: int, op: Primitive, args: tuple[int, ...], operands: list[str], template: str) -> None:
        """Write one operation."""
        lines, conditions, operations, name = self._lines, self._conditions, self.operations, op.name
        if operations.trigonometric and name in ("sin", "cos") and not op.custom:
            if args[0] not in self._turns:
                self._turns.add(args[0])
                lines.append(operations.sine_and_cosine(f"%t{args[0]}", operands[0]))
            lines.append(operations.of_pair(value, f"%t{args[0]}", name))
        elif name == "where":
            if args[0] not in conditions:
                # Its truth is known from here on.
                conditions[args[0]] = f"%d{operands[0][2:]}"
                lines.append(operations.truth(conditions[args[0]], operands[0]))
            lines.append(template.format(*operands, v=value, c=conditions[args[0]]))
        elif name in ("maximum", "minimum") and args[0] in conditions and args[1] in conditions:
            gate = "or" if name == "maximum" else "and"
            lines.append(f"%c{value} = {gate} {self.mask} {conditions[args[0]]}, {conditions[args[1]]}")
            lines.append(operations.flag(value))
        else:
            lines.append(template.format(*operands, v=value))
        if name in COMPARISONS:
            conditions[value] = f"%c{value}"

    # ---- values ----

    def _put_away(self, value: int) -> None:
        """Spill a value to memory until it is loaded again."""
        layout = self.layout
        if value >= layout.base:
            elsewhere = self.sample and not layout.varying[value]
        else:
            elsewhere = value >= layout.inputs or not layout.batched[layout.argument_of[value]] or not self.sample
        if not elsewhere and value not in self.slots:
            self._save(value)
        del self._known[value]
        self._conditions.pop(value, None)

    def _load(self, value: int) -> str:
        """Load a value from memory; each reload has a new name."""
        layout = self.layout
        if layout.inputs <= value < layout.base:
            constant = layout.program.constants[value - layout.inputs]
            assert isinstance(constant, float)  # programs with arrays are written by `loops`
            text = self.operations.literal(constant)
            self._known[value] = text
            return text
        tag = f"{value}.{self._loads[value]}"
        self._loads[value] += 1
        self._known[value] = f"%v{tag}"
        if value in self.slots:
            self._load_slot(value, tag)
        elif value < layout.inputs:
            argument = layout.argument_of[value]
            if self.sample and layout.batched[argument]:
                self._gather(value, argument, tag)
                if self._last[value] > self._segment:
                    self._save(value)
            else:
                self._load_scalar(self._pointer(argument), self.size * (value - layout.starts[argument]), tag)
        else:
            self._load_scalar("%shared", self.size * self._shared_slots[value], tag)
        return self._known[value]

    def _load_scalar(self, base: str, offset: int, tag: str) -> None:
        self._lines.append(f"%p{tag} = getelementptr i8, ptr {base}, i64 {offset}")
        if not self.sample:
            self._lines.append(f"%v{tag} = load {self.scalar}, ptr %p{tag}, align {self.size}")
            return
        self._lines.append(
            f"%s{tag} = load {self.scalar}, ptr %p{tag}, align {self.size}\n"
            f"%i{tag} = insertelement {self.type} poison, {self.scalar} %s{tag}, i64 0\n"
            f"%v{tag} = shufflevector {self.type} %i{tag}, {self.type} poison, <{self.lanes} x i32> zeroinitializer"
        )

    def _load_slot(self, value: int, tag: str) -> None:
        self._lines.append(
            f"%p{tag} = getelementptr i8, ptr {self.memory}, i64 {self.width * self.slots[value]}\n"
            f"%v{tag} = load {self.type}, ptr %p{tag}, align {self.align}"
        )

    def _gather(self, value: int, argument: int, tag: str) -> None:
        """Read one number of each sample from the samples' consecutive rows."""
        size, offset = self.layout.sizes[argument], value - self.layout.starts[argument]
        pointer = self._pointer(argument)
        if size == 1:
            self._lines.append(f"%v{tag} = load {self.type}, ptr {pointer}, align {self.size}")
            return
        before = "poison"
        for lane in range(self.lanes):
            after = f"%v{tag}" if lane == self.lanes - 1 else f"%l{tag}.{lane}"
            self._lines.append(
                f"%g{tag}.{lane} = getelementptr i8, ptr {pointer}, i64 {self.size * (lane * size + offset)}\n"
                f"%h{tag}.{lane} = load {self.scalar}, ptr %g{tag}.{lane}, align {self.size}\n"
                f"{after} = insertelement {self.type} {before}, {self.scalar} %h{tag}.{lane}, i64 {lane}"
            )
            before = after

    def _pointer(self, cursor: int) -> str:
        if cursor not in self._pointers:
            self._pointers.add(cursor)
            self._lines.append(
                f"%k{cursor} = getelementptr i8, ptr %cursors, i64 {8 * cursor}\n"
                f"%b{cursor} = load ptr, ptr %k{cursor}, align 8"
            )
        return f"%b{cursor}"

    def _save(self, value: int) -> None:
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot = self.slot_count
            self.slot_count += 1
        self.slots[value] = slot
        self._lines.append(
            f"%z{value} = getelementptr i8, ptr {self.memory}, i64 {self.width * slot}\n"
            f"store {self.type} {self._known[value]}, ptr %z{value}, align {self.align}"
        )

    def _output(self, value: int) -> None:
        layout, type_ = self.layout, self.type
        text = self._known[value]
        for place in layout.positions[value]:
            if not layout.has_batch:
                self._lines.append(
                    f"%o{place} = getelementptr i8, ptr %sink, i64 {self.size * place}\n"
                    f"store {self.scalar} {text}, ptr %o{place}, align {self.size}"
                )
            elif layout.reduce:
                self._lines.append(
                    f"%o{place} = getelementptr i8, ptr %sink, i64 {self.sum_width * place}\n"
                    f"%a{place} = load {type_}, ptr %o{place}, align {self.align}\n"
                    f"%n{place} = fadd {type_} %a{place}, {text}\n"
                    f"store {type_} %n{place}, ptr %o{place}, align {self.align}"
                )
            else:
                self._scatter(place, text)

    def _scatter(self, place: int, text: str) -> None:
        layout = self.layout
        unit = layout.unit_at(place)
        start, size = layout.units[unit]
        pointer = self._pointer(len(layout.sizes) + unit)
        if size == 1:
            self._lines.append(f"store {self.type} {text}, ptr {pointer}, align {self.size}")
            return
        for lane in range(self.lanes):
            self._lines.append(
                f"%e{place}_{lane} = extractelement {self.type} {text}, i64 {lane}\n"
                f"%o{place}_{lane} = getelementptr i8, ptr {pointer}, i64 {self.size * (lane * size + place - start)}\n"
                f"store {self.scalar} %e{place}_{lane}, ptr %o{place}_{lane}, align {self.size}"
            )
