"""Write one loop as LLVM IR: lay out what goes in and comes out, call the inner program's functions, count.

Without a batch the iterations of a map take the vector's lanes, where that is worth the gathering; those left over
then run one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..loop import CALL, MAP, WHILE, Loop
from .driver import at
from .memory import Sink, Spot, inputs_differ, progression

_RUN = 4  # shared numbers side by side that are read where they are, not packed
_GATHER = 16  # what it costs to gather a vector, in operations

_SIDE, _MANY, _SHORT = 4, 256, 60  # vectors of iterations side by side, for many iterations of few operations

Placed = tuple[Spot, int]  # where a number stands in the first iteration, and how many bytes it moves on in each


class LoopCall:
    """Write the step of a `bodies.Body` that runs a loop, and the loop's functions."""

    def __init__(self, parent: Any, op: Loop, args: Sequence[int], first: int) -> None:
        self.parent, self.op, self.args, self.first = parent, op, args, first
        self.module, self.lanes = parent.module, parent.lanes
        flags = [parent.differs[k] for k in args]
        self.flags = inputs_differ(op, flags) if self.lanes > 1 else [False] * len(op.body.names)
        self.regions: list[tuple[str, int, int]] = []  # pointer, bytes from it, bytes from one iteration to the next
        self._next: Spot | None = None

    def write(self) -> None:
        """Write the call."""
        op, parent = self.op, self.parent
        placed = [*self._carry(), *self._rows(), *self._shared()]
        outputs = self._outputs()
        inputs = [self._seen(spot, step) for spot, step in placed]
        sinks = [Sink(spot, late=True) for spot in inputs[: op.carry]]
        sinks += [Sink(self._seen(spot, step), adds) for spot, step, adds in outputs]
        steps = tuple([step for _, _, step in self.regions])
        lanes = self.lanes
        if self._takes_lanes(placed, outputs):
            lanes = self.module.machine.lanes * (_SIDE if op.length >= _MANY and op.work <= _SHORT * op.length else 1)
        key = (op, self.lanes, lanes, tuple(inputs), tuple(sinks), steps)
        if key not in self.module.functions:
            self.module.functions[key] = self._functions(inputs, sinks, steps, lanes)
        names, size = self.module.functions[key]
        pointers = [parent.pointer(base, offset) for base, offset, _ in self.regions]
        pointers.append(parent.child_frame(size))
        for name in names:
            parent.lines.append(f"call void @{name}({', '.join(f'ptr {p}' for p in pointers)})")

    # ---- where numbers stand, as seen by the parent ----

    def _width(self, differs: bool) -> int:
        return 8 * self.lanes if differs else 8

    def _blocks(self, flags: Sequence[bool], rows: int = 1) -> list[Placed]:
        """Make room for rows of numbers, those that differ from lane to lane apart from the others."""
        found: list[Placed] = []
        places = {}
        for kind in (False, True):
            count = sum(flag is kind for flag in flags)
            if count:
                places[kind] = [self.parent.room.block(rows * count * self._width(kind)), count, 0]
        for flag in flags:
            block, count, taken = places[flag]
            places[flag][2] += 1
            width = self._width(flag)
            found.append((Spot("%frame", block + taken * width, flag), count * width))
        return found

    def _carry(self) -> list[Placed]:
        """Place the carry where the result of the loop stands in the end, and set it to what it starts from."""
        placed = self._blocks([bool(flag) for flag in self.flags[: self.op.carry]])
        for k, (spot, _) in enumerate(placed):
            self.parent.store(self.parent.operand(self.args[k], spot.wide), spot)
            self.parent.homes[self.first + k] = spot
        return [(spot, 0) for spot, _ in placed]

    def _rows(self) -> list[Placed]:
        op, found, packed = self.op, {}, []
        for j in range(op.rows):
            column = op.column(self.args, j)
            placed = self._constant(column) or self._in_place(column)
            if placed is None:
                packed.append(j)
            else:
                found[j] = placed
        if packed:
            for j, placed in zip(
                packed, self._blocks([self.flags[op.carry + j] for j in packed], op.length), strict=True
            ):
                found[j] = placed
                spot, step = placed
                for k, value in enumerate(op.column(self.args, j)):
                    self._copy(value, replace(spot, offset=spot.offset + k * step))
        return [found[j] for j in range(op.rows)]

    def _constant(self, column: Sequence[int]) -> Placed | None:
        """Place a column of constants in the code's own data."""
        program = self.parent.program
        inputs = len(program.names)
        if not all(inputs <= value < program.offset for value in column):
            return None
        numbers = [program.constants[value - inputs] for value in column]
        same = len(set(column)) == 1
        return Spot(self.module.array(numbers[:1] if same else numbers), 0), 0 if same else 8

    def _in_place(self, column: Sequence[int]) -> Placed | None:
        """Find a column at equal distances where it stands already; a gather for every iteration would cost more."""
        homes = self.parent.homes
        spots = [homes.get(value) for value in column]
        if any(spot is None or (spot.lane and self.lanes > 1) for spot in spots):
            return None
        step = progression(spots)
        return None if step is None else (spots[0], step)

    def _copy(self, value: int, spot: Spot) -> None:
        parent = self.parent
        parent.store(parent.operand(value, spot.wide), spot)
        if spot.wide == parent.differs[value] and value >= 0:
            parent.homes[value] = spot

    def _shared(self) -> list[Placed]:
        op = self.op
        start = op.carry + op.length * op.rows
        values = self.args[start:]
        flags = self.flags[op.carry + op.rows :]
        homes = self.parent.homes
        spots = [homes.get(value) for value in values]
        spots = [None if spot is not None and spot.lane and self.lanes > 1 else spot for spot in spots]
        runs: list[list[int]] = []
        for k, spot in enumerate(spots):
            before = spots[runs[-1][-1]] if runs else None
            if spot is not None and before is not None and spot == _after(before, self._width(spot.wide)):
                runs[-1].append(k)
            else:
                runs.append([k])
        found: dict[int, Placed] = {}
        for run in runs:
            if len(run) >= _RUN or (len(runs) == 1 and spots[0] is not None):
                found.update({k: (spots[k], 0) for k in run})
        packed = [k for k in range(len(values)) if k not in found]
        for k, (spot, _) in zip(packed, self._blocks([bool(flags[k]) for k in packed]), strict=True):
            found[k] = (spot, 0)
            self._copy(values[k], spot)
        return [found[k] for k in range(len(values))]

    def _outputs(self) -> list[tuple[Spot, int, bool]]:
        """Place what is stacked and summed: where it is wanted, if that is one regular place, else in the frame."""
        op, parent, first = self.op, self.parent, self.first
        end = first + op.carry + op.length * op.stacked
        columns = [range(first + op.carry + j, end, op.stacked) for j in range(op.stacked)]
        found = [self._wanted(column) for column in columns]
        others = [j for j in range(op.stacked) if found[j] is None]
        flags = [parent.differs[columns[j][0]] for j in others]
        for j, (spot, step) in zip(others, self._blocks(flags, op.length), strict=True):
            found[j] = (spot, step, False)
            for k, value in enumerate(columns[j]):
                parent.homes[value] = replace(spot, offset=spot.offset + k * step)
        for placed, column in zip(found, columns, strict=True):
            if placed is not None and column[0] not in parent.homes:
                for value in column:
                    parent.waiting.pop(value, None)
        return [*[placed for placed in found if placed is not None], *self._totals(range(end, end + op.sums))]

    def _totals(self, values: Sequence[int]) -> list[tuple[Spot, int, bool]]:
        """Place the sums, and set to 0 those that are not added to others."""
        parent = self.parent
        found: dict[int, Spot] = {}
        for value in values:
            wanted = self._wanted(range(value, value + 1))
            if wanted is not None and not (wanted[0].lane and self.lanes > 1):
                found[value], _, adds = wanted
                parent.waiting.pop(value, None)
                if not adds:
                    parent.store((parent.wide if wanted[0].varies else parent.plain).zero, wanted[0])
        others = [value for value in values if value not in found]
        for value, (spot, _) in zip(others, self._blocks([parent.differs[v] for v in others]), strict=True):
            found[value] = parent.homes[value] = spot
        for kind in (False, True):
            own = [found[value].offset for value in others if found[value].wide is kind]
            if own:
                pointer, size = parent.pointer("%frame", own[0]), len(own) * self._width(kind)
                parent.lines.append(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {size}, i1 false)")
        return [(found[value], 0, True) for value in values]

    def _wanted(self, column: Sequence[int]) -> tuple[Spot, int, bool] | None:
        """Return where all of a column goes, if it goes to one place only, at equal distances."""
        parent = self.parent
        sinks = [parent.sinks.get(value, ()) for value in column]
        if any(len(own) != 1 or own[0].late for own in sinks) or any(parent.uses[value] != 1 for value in column):
            return None
        first = sinks[0][0]
        if any(own[0].adds != first.adds for own in sinks) or first.spot.varies != parent.differs[column[0]]:
            return None
        step = progression([own[0].spot for own in sinks])
        return None if step is None else (first.spot, step, first.adds)

    # ---- as seen by the loop's functions ----

    def _seen(self, spot: Spot, step: int) -> Spot:
        """Return a spot as seen from one of the pointers that are handed over: neighbours share one."""
        if self._next != spot or self.regions[-1][2] != step:
            self.regions.append((spot.base, spot.offset, step))
        offset = spot.offset - self.regions[-1][1]
        self._next = _after(spot, 8 * spot.fold or self._width(spot.wide))
        return spot.moved(f"%r{len(self.regions) - 1}", offset)

    def _takes_lanes(self, placed: Sequence[Placed], outputs: Sequence[tuple[Spot, int, bool]]) -> bool:
        """Tell whether the iterations of a map should take the lanes."""
        op, most = self.op, self.module.machine.lanes
        if self.lanes > 1 or op.kind != MAP or op.length < most or op.carry:
            return False
        steps = max(1, op.work // op.length)
        moved = [step for _, step in placed] + [step for _, step, _ in outputs[: op.stacked]]
        scattered = sum(step not in (0, 8) for step in moved)
        return steps + _GATHER * scattered < 0.75 * most * steps

    def _functions(
        self, inputs: list[Spot], sinks: list[Sink], steps: tuple[int, ...], lanes: int
    ) -> tuple[list[str], int]:
        op = self.op
        if op.kind == WHILE:
            return self._while(inputs, sinks)
        if lanes != self.lanes:
            return self._in_lanes(inputs, sinks, steps, lanes)
        body = self.parent.inner(op.body, lanes, inputs, [[sink] for sink in sinks], len(steps))
        if op.kind == CALL:
            return body.names, body.size
        name = self.module.name("loop")
        count = f"sub i64 {op.length - 1}, %i" if op.backwards else "add i64 %i, 0"
        text = f"%k = {count}\n" + _moved(steps, "%k") + _calls(body.names, [f"%q{k}" for k in range(len(steps))])
        self._define(name, len(steps), _counted("i", 0, op.length, 1, text))
        return [name], body.size

    def _in_lanes(
        self, inputs: list[Spot], sinks: list[Sink], steps: tuple[int, ...], lanes: int
    ) -> tuple[list[str], int]:
        """Run as many iterations at a time as there are lanes, then the rest one by one."""
        op, width = self.op, 8 * lanes
        count = len(steps)

        def lane(spot: Spot) -> Spot:
            return replace(spot, lane=steps[int(spot.base[2:])])

        sums = [Sink(Spot(f"%r{count}", k * width, True), True) for k in range(op.sums)]
        several = [Sink(lane(sink.spot), sink.adds) for sink in sinks[: op.stacked]]
        vector = self.parent.inner(
            op.body, lanes, list(map(lane, inputs)), [[sink] for sink in (*several, *sums)], count + 1
        )
        single = self.parent.inner(op.body, 1, inputs, [[sink] for sink in sinks], count)
        whole = op.length - op.length % lanes
        own = -(-op.sums * width // 64) * 64
        type_ = f"<{lanes} x double>"
        text = f"%f = getelementptr i8, ptr %frame, i64 {own}\n"
        if op.sums:
            text += f"call void @llvm.memset.p0.i64(ptr %frame, i8 0, i64 {op.sums * width}, i1 false)\n"
        pointers = [f"%q{k}" for k in range(count)]
        text += _counted("i", 0, whole, lanes, _moved(steps, "%i") + _calls(vector.names, [*pointers, "%frame"], "%f"))
        symbol = f"llvm.vector.reduce.fadd.v{lanes}f64"
        self.parent.wide.declarations[symbol] = f"declare double @{symbol}(double, {type_})\n"
        spots = [sink.spot for sink in sinks[op.stacked :]]
        for first, last in _side_by_side(spots):
            name = f"z{first}"
            text += at(f"{name}t", spots[first].base, spots[first].offset) + at(f"{name}a", "%frame", first * width)
            fold = f"%{name}b = mul i64 %{name}, {width}\n" + at(f"{name}x", f"%{name}a", f"%{name}b")
            fold += f"%{name}y = getelementptr double, ptr %{name}t, i64 %{name}\n"
            fold += f"%{name}v = load {type_}, ptr %{name}x, align 8\n%{name}o = load double, ptr %{name}y, align 8\n"
            fold += f"%{name}s = call reassoc double @{symbol}(double %{name}o, {type_} %{name}v)\n"
            text += _counted(name, 0, last - first, 1, fold + f"store double %{name}s, ptr %{name}y, align 8\n")
        rest = _moved(steps, "%j", "w") + _calls(single.names, [f"%w{k}" for k in range(count)], "%f")
        text += _counted("j", whole, op.length, 1, rest)
        name = self.module.name("loop")
        self._define(name, count, text)
        return [name], own + max(vector.size, single.size)

    def _while(self, inputs: list[Spot], sinks: list[Sink]) -> tuple[list[str], int]:
        """Run while any lane goes on; lanes that have ended keep their carry."""
        op, count = self.op, len(self.regions)
        differs = any(spot.wide for spot in inputs[: op.carry])
        width = 8 * self.lanes if differs else 8
        own = -(-(op.carry + 1) * width // 64) * 64
        asked = Sink(Spot(f"%r{count}", op.carry * width, differs))
        fresh = [Sink(Spot(f"%r{count}", k * width, differs)) for k in range(op.carry)]
        condition = self.parent.inner(op.condition, self.lanes, inputs, [[asked]], count + 1)
        body = self.parent.inner(op.body, self.lanes, inputs, [[sink] for sink in fresh], count + 1)
        type_ = f"<{self.lanes} x double>" if differs else "double"
        mask = f"<{self.lanes} x i1>" if differs else "i1"
        pointers = [*[f"%r{k}" for k in range(count)], "%frame"]
        more = f"%limit = icmp slt i64 %i, {op.length}\n" if op.length else "%limit = add i1 1, 0\n"
        text = f"%f = getelementptr i8, ptr %frame, i64 {own}\nbr label %enter\nenter:\nbr label %head\nhead:\n"
        text += "%i = phi i64 [ 0, %enter ], [ %next, %body ]\n" + more + _calls(condition.names, pointers, "%f")
        text += f"%cp = getelementptr i8, ptr %frame, i64 {op.carry * width}\n%c = load {type_}, ptr %cp, align 8\n"
        zero = "zeroinitializer" if differs else "0.0"
        text += f"%on = fcmp une {type_} %c, {zero}\n"
        if differs:
            symbol = f"llvm.vector.reduce.or.v{self.lanes}i1"
            self.parent.wide.declarations[symbol] = f"declare i1 @{symbol}({mask})\n"
            text += f"%any = call i1 @{symbol}({mask} %on)\n"
        else:
            text += "%any = and i1 %on, 1\n"
        text += "%go = and i1 %limit, %any\nbr i1 %go, label %body, label %done\nbody:\n"
        text += _calls(body.names, pointers, "%f")
        for k, spot in enumerate(inputs[: op.carry]):
            text += (
                at(f"n{k}", "%frame", k * width)
                + at(f"o{k}", spot.base, spot.offset)
                + f"%x{k} = load {type_}, ptr %n{k}, align 8\n%y{k} = load {type_}, ptr %o{k}, align 8\n"
                f"%z{k} = select {mask} %on, {type_} %x{k}, {type_} %y{k}\nstore {type_} %z{k}, ptr %o{k}, align 8\n"
            )
        text += "%next = add i64 %i, 1\nbr label %head\ndone:\n"
        name = self.module.name("loop")
        self._define(name, count, text)
        return [name], own + max(condition.size, body.size)

    def _define(self, name: str, count: int, text: str) -> None:
        parameters = ", ".join([*[f"ptr %r{k}" for k in range(count)], "ptr %frame"])
        self.module.texts.append(f"define internal void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n")


def _after(spot: Spot, width: int) -> Spot:
    return replace(spot, offset=spot.offset + width)


def _side_by_side(spots: Sequence[Spot]) -> list[tuple[int, int]]:
    """Return first and last of each run of doubles that stand one behind the other."""
    starts = [k for k, spot in enumerate(spots) if not k or spot != _after(spots[k - 1], 8)]
    return list(zip(starts, [*starts[1:], len(spots)], strict=True)) if spots else []


def _moved(steps: Sequence[int], index: str, name: str = "q") -> str:
    """Write the pointers of one iteration."""
    return "".join(
        f"%{name}o{k} = mul i64 {index}, {step}\n%{name}{k} = getelementptr i8, ptr %r{k}, i64 %{name}o{k}\n"
        for k, step in enumerate(steps)
    )


def _calls(names: Sequence[str], pointers: Sequence[str], frame: str = "%frame") -> str:
    operands = ", ".join(f"ptr {pointer}" for pointer in (*pointers, frame))
    return "".join(f"call void @{name}({operands})\n" for name in names)


def _counted(name: str, start: int, stop: int, step: int, body: str) -> str:
    """Write a counted loop over %name."""
    return (
        f"br label %{name}.enter\n{name}.enter:\nbr label %{name}.head\n{name}.head:\n"
        f"%{name} = phi i64 [ {start}, %{name}.enter ], [ %{name}.next, %{name}.body ]\n"
        f"%{name}.more = icmp slt i64 %{name}, {stop}\n"
        f"br i1 %{name}.more, label %{name}.body, label %{name}.done\n{name}.body:\n{body}"
        f"%{name}.next = add i64 %{name}, {step}\nbr label %{name}.head\n{name}.done:\n"
    )
