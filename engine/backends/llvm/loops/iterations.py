"""Write the functions that run one loop's iterations: counted, in the lanes of vectors, or while a condition holds."""

from __future__ import annotations

from collections.abc import Sequence

from ....programs import CALL, WHILE, Loop
from .. import watch
from ..driver import at, loop, watched
from .memory import Sink, Spot
from .module import Written
from .writer import Writer


class Iterations:
    """Write the functions of a loop that the parent's functions call.

    `inputs` and `sinks` say where the numbers of the first iteration stand, seen from the pointers that are handed
    over, `steps` by how many bytes each pointer moves on from one iteration to the next. Where `lanes` are not the
    parent's the iterations take them; the last vector then begins so that it ends with the last iteration.
    """

    def __init__(
        self,
        parent: Writer,
        op: Loop,
        inputs: Sequence[Spot],
        sinks: Sequence[Sink],
        steps: tuple[int, ...],
        lanes: int,
    ) -> None:
        self.parent, self.op, self.inputs, self.sinks, self.steps = parent, op, inputs, sinks, steps
        self.lanes, self.module = lanes, parent.module

    def write(self) -> Written:
        """Write the functions."""
        op, inputs, sinks, steps = self.op, self.inputs, self.sinks, self.steps
        if op.kind == WHILE:
            return self._while()
        if self.lanes != self.parent.lanes:
            return self._in_lanes()
        body = self.parent.inner(op.body, self.lanes, inputs, [[sink] for sink in sinks], len(steps))
        if op.kind == CALL:
            return body
        name = self.module.name("loop")
        count = f"sub i64 {op.length - 1}, %i" if op.backwards else "add i64 %i, 0"
        text = f"%k = {count}\n" + _moved(steps, "%k") + _calls(body.names, [f"%q{k}" for k in range(len(steps))])
        self._define(name, len(steps), self._counted(f"{op.length}", 1, text))
        return Written([name], body.size)

    def _in_lanes(self) -> Written:
        """Run as many iterations at a time as there are lanes; some come twice in the end, but are added once."""
        op, inputs, sinks, steps, lanes = self.op, self.inputs, self.sinks, self.steps, self.lanes
        width = 8 * lanes
        count, rest = len(steps), op.length % lanes

        def lane(spot: Spot) -> Spot:
            return spot._replace(lane=steps[int(spot.base[2:])])

        sums = [Sink(Spot(f"%r{count}", k * width, True), True) for k in range(op.sums)]
        every = [*[Sink(lane(sink.spot), sink.adds) for sink in sinks[: op.stacked]], *sums]

        places, targets = list(map(lane, inputs)), [[sink] for sink in every]
        body = self.parent.inner(op.body, lanes, places, targets, count + 1)
        own = -(-op.sums * width // 64) * 64
        text = f"%f = getelementptr i8, ptr %frame, i64 {own}\n"
        if op.sums:
            text += f"call void @llvm.memset.p0.i64(ptr %frame, i8 0, i64 {op.sums * width}, i1 false)\n"
        pointers, last, size = [*[f"%q{k}" for k in range(count)], "%frame"], op.length - lanes, body.size
        if not rest:
            inside = _moved(steps, "%i") + _calls(body.names, pointers, "%f")
            text += self._counted(f"{op.length}", lanes, inside)
        elif not any(sink.adds for sink in every):
            start = f"%tail = icmp sgt i64 %i, {last}\n%s = select i1 %tail, i64 {last}, i64 %i\n"
            inside = start + _moved(steps, "%s") + _calls(body.names, pointers, "%f")
            text += self._counted(f"{op.length}", lanes, inside)
        else:
            tail = self.parent.inner(op.body, lanes, places, targets, count + 1, lanes - rest)
            size = max(size, tail.size)
            inside = _moved(steps, "%i") + _calls(body.names, pointers, "%f")
            text += self._counted(f"{op.length - rest}", lanes, inside)
            text += f"%w = add i64 0, {last}\n"
            pointers = [*[f"%w{k}" for k in range(count)], "%frame"]
            text += _moved(steps, "%w", "w") + _calls(tail.names, pointers, "%f")
        text += self._added_up(sinks[op.stacked :], lanes)
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], own + size)

    def _added_up(self, sinks: Sequence[Sink], lanes: int) -> str:
        """Add the lanes of each sum to where it is wanted."""
        width, text = 8 * lanes, ""
        type_, symbol = f"<{lanes} x double>", f"llvm.vector.reduce.fadd.v{lanes}f64"
        self.parent.wide.declarations[symbol] = f"declare double @{symbol}(double, {type_})\n"
        spots = [sink.spot for sink in sinks]
        for first, last in _contiguous(spots):
            name = f"z{first}"
            text += at(f"{name}t", spots[first].base, spots[first].offset) + at(f"{name}a", "%frame", first * width)
            fold = f"%{name}b = mul i64 %{name}, {width}\n" + at(f"{name}x", f"%{name}a", f"%{name}b")
            fold += f"%{name}y = getelementptr double, ptr %{name}t, i64 %{name}\n"
            fold += f"%{name}v = load {type_}, ptr %{name}x, align 8\n%{name}o = load double, ptr %{name}y, align 8\n"
            fold += f"%{name}s = call reassoc double @{symbol}(double %{name}o, {type_} %{name}v)\n"
            text += loop(name, "0", f"{last - first}", 1, fold + f"store double %{name}s, ptr %{name}y, align 8\n")
        return text

    def _while(self) -> Written:
        """Run while any lane goes on; lanes that have ended keep their carry."""
        op, inputs, count = self.op, self.inputs, len(self.steps)
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
        # A branch is over after its one iteration, without being asked again.
        more = "%limit = add i1 1, 0\n" if op.is_branch else "%i = phi i64 [ 0, %enter ], [ %next, %body ]\n" + more
        text = f"%f = getelementptr i8, ptr %frame, i64 {own}\nbr label %enter\nenter:\nbr label %head\nhead:\n"
        text += more + _calls(condition.names, pointers, "%f")
        text += f"%cp = getelementptr i8, ptr %frame, i64 {op.carry * width}\n%c = load {type_}, ptr %cp, align 8\n"
        zero = "zeroinitializer" if differs else "0.0"
        text += f"%on = fcmp une {type_} %c, {zero}\n"
        if differs:
            symbol = f"llvm.vector.reduce.or.v{self.lanes}i1"
            self.parent.wide.declarations[symbol] = f"declare i1 @{symbol}({mask})\n"
            text += f"%any = call i1 @{symbol}({mask} %on)\n"
        else:
            text += "%any = and i1 %on, 1\n"
        text += "%go = and i1 %limit, %any\nbr i1 %go, label %turn, label %done\nturn:\n"
        text += watch.look("w", "done", self._cost(self.lanes)) + "br label %body\nbody:\n"
        text += _calls(body.names, pointers, "%f")
        for k, spot in enumerate(inputs[: op.carry]):
            text += (
                at(f"n{k}", "%frame", k * width)
                + at(f"o{k}", spot.base, spot.offset)
                + f"%x{k} = load {type_}, ptr %n{k}, align 8\n%y{k} = load {type_}, ptr %o{k}, align 8\n"
                f"%z{k} = select {mask} %on, {type_} %x{k}, {type_} %y{k}\nstore {type_} %z{k}, ptr %o{k}, align 8\n"
            )
        text += "br label %done\n" if op.is_branch else "%next = add i64 %i, 1\nbr label %head\n"
        text += "done:\n"
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], own + max(condition.size, body.size))

    def _counted(self, stop: str, lanes: int, inside: str) -> str:
        """Write the loop over iterations, so many at a time, in such a way that it can be stopped."""
        cost = self._cost(lanes)
        return watched("i", "0", stop, lanes, inside, watch.turns(cost, -(-self.op.length // lanes)), cost)

    def _cost(self, lanes: int) -> int:
        """Estimate what one turn of the loop takes."""
        body = self.op.body
        return watch.cost(body, range(len(body.steps)), -(-lanes // self.module.machine.lanes))

    def _define(self, name: str, count: int, text: str) -> None:
        parameters = ", ".join([*[f"ptr %r{k}" for k in range(count)], "ptr %frame, ptr %watch"])
        self.module.declare(watch.DECLARED)
        self.module.texts.append(f"define internal void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n")


def _contiguous(spots: Sequence[Spot]) -> list[tuple[int, int]]:
    """Return first and last of each run of doubles that stand one behind the other."""
    starts = [k for k, spot in enumerate(spots) if not k or spot != spots[k - 1].further(8)]
    return list(zip(starts, [*starts[1:], len(spots)], strict=True)) if spots else []


def _moved(steps: Sequence[int], index: str, name: str = "q") -> str:
    """Write the pointers of one iteration."""
    return "".join(
        f"%{name}o{k} = mul i64 {index}, {step}\n%{name}{k} = getelementptr i8, ptr %r{k}, i64 %{name}o{k}\n"
        for k, step in enumerate(steps)
    )


def _calls(names: Sequence[str], pointers: Sequence[str], frame: str = "%frame") -> str:
    operands = ", ".join(f"ptr {pointer}" for pointer in (*pointers, frame, "%watch"))
    return "".join(f"call void @{name}({operands})\n" for name in names)
