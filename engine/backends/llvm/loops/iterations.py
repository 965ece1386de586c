"""Write the functions that run one loop's iterations: counted, in the lanes of vectors, or while a condition holds."""

from __future__ import annotations

from collections.abc import Sequence

from ....programs import CALL, COUNTED, WHILE, Loop
from .. import watch
from ..driver import watched
from . import moves
from .memory import Sink, Spot, in_order, size_in, together
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
        if op.kind == COUNTED:
            return self._counted_scan()
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
        """Run as many iterations at a time as there are lanes; at the end some run twice, but are added once."""
        op, inputs, sinks, steps, lanes = self.op, self.inputs, self.sinks, self.steps, self.lanes
        width = 8 * lanes
        count, rest = len(steps), op.length % lanes

        def lane(spot: Spot) -> Spot:
            return spot._replace(lane=steps[int(spot.base[2:])])

        sums, own = [], 0
        for sink in sinks[op.stacked :]:
            sums.append(in_order(f"%r{count}", own, sink.spot.shape, width, wide=True))
            own += width * size_in(sink.spot)
        every = [
            *[Sink(lane(sink.spot), sink.adds) for sink in sinks[: op.stacked]],
            *[Sink(spot, True) for spot in sums],
        ]

        places, targets = list(map(lane, inputs)), [[sink] for sink in every]
        body = self.parent.inner(op.body, lanes, places, targets, count + 1)
        text = f"%f = getelementptr i8, ptr %frame, i64 {-(-own // 64) * 64}\n"
        if own:
            text += f"call void @llvm.memset.p0.i64(ptr %frame, i8 0, i64 {own}, i1 false)\n"
        own = -(-own // 64) * 64
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
        text += self._added_up([sink.spot for sink in sinks[op.stacked :]], sums, lanes)
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], own + size)

    def _added_up(self, targets: Sequence[Spot], sums: Sequence[Spot], lanes: int) -> str:
        """Add the lanes of each sum to where it is wanted."""
        type_, symbol = f"<{lanes} x double>", f"llvm.vector.reduce.fadd.v{lanes}f64"
        parent = self.parent
        parent.wide.declarations[symbol] = f"declare double @{symbol}(double, {type_})\n"

        def fold(spots: list[Spot], _: Sequence[str]) -> None:
            key, (p, q) = parent.temporary(), [parent.pointer(spot.base, spot.offset) for spot in spots]
            parent.lines.append(
                f"%v{key}l = load {type_}, ptr {p}, align 8\n%o{key} = load double, ptr {q}, align 8\n"
                f"%s{key} = call reassoc double @{symbol}(double %o{key}, {type_} %v{key}l)\n"
                f"store double %s{key}, ptr {q}, align 8"
            )

        lines, parent.lines = parent.lines, []
        pairs = zip(targets, sums, strict=True)
        for target, own in _together([(spot._replace(base="%frame", wide=False), to) for to, spot in pairs]):
            moves.walk(parent, ("fold", lanes), [target, own], fold)
        text, parent.lines = "".join(f"{line}\n" for line in parent.lines), lines
        return text

    def _while(self) -> Written:
        """Iterate while any lane goes on; lanes that have ended keep their carry and their sums."""
        op, inputs, count = self.op, self.inputs, len(self.steps)
        differs = any(spot.varies for spot in inputs[: op.carry])
        width = 8 * self.lanes if differs else 8
        fresh, targets, own = self._aside(differs)
        asked = Sink(Spot(f"%r{count}", own, differs))
        condition = self.parent.inner(op.condition, self.lanes, inputs, [[asked]], count + 1)
        body = self.parent.inner(op.body, self.lanes, inputs, targets, count + 1)
        place, own = own, -(-(own + width) // 64) * 64
        type_ = f"<{self.lanes} x double>" if differs else "double"
        mask = f"<{self.lanes} x i1>" if differs else "i1"
        pointers = [*[f"%r{k}" for k in range(count)], "%frame"]
        more = f"%limit = icmp slt i64 %i, {op.length}\n" if op.length else "%limit = add i1 1, 0\n"
        # A branch is over after its one iteration, without being asked again.
        more = "%limit = add i1 1, 0\n" if op.is_branch else "%i = phi i64 [ 0, %enter ], [ %next, %body ]\n" + more
        text = f"%f = getelementptr i8, ptr %frame, i64 {own}\nbr label %enter\nenter:\nbr label %head\nhead:\n"
        text += more + _calls(condition.names, pointers, "%f")
        text += f"%cp = getelementptr i8, ptr %frame, i64 {place}\n%c = load {type_}, ptr %cp, align 8\n"
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
        text += self._turn(body, "%i", fresh, mask)
        text += "br label %done\n" if op.is_branch else "%next = add i64 %i, 1\nbr label %head\n"
        text += "done:\n"
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], own + max(condition.size, body.size))

    def _counted_scan(self) -> Written:
        """Iterate over the first rows, as many as a shared number says; lanes of which there are fewer wait."""
        op, parent, steps = self.op, self.parent, self.steps
        spot = self.inputs[op.carry + op.rows]
        lines, parent.lines = parent.lines, []
        number = parent.load(spot)
        text, parent.lines = "".join(f"{line}\n" for line in parent.lines), lines
        differs = spot.varies
        if differs:
            type_, symbol = f"<{self.lanes} x double>", f"llvm.vector.reduce.fmax.v{self.lanes}f64"
            parent.wide.declarations[symbol] = f"declare double @{symbol}({type_})\n"
            text += f"%most = call double @{symbol}({type_} {number})\n"
            number, counts = "%most", number
        text += f"%rows = fptosi double {number} to i64\n%fewer = icmp slt i64 %rows, {op.length}\n"
        text += f"%n = select i1 %fewer, i64 %rows, i64 {op.length}\n%end = sub i64 %n, 1\n"
        inside = f"%k = {'sub i64 %end, %i' if op.backwards else 'add i64 %i, 0'}\n"
        name = self.module.name("loop")
        if differs:
            fresh, targets, own = self._aside(True)
            own = -(-own // 64) * 64
            body = parent.inner(op.body, self.lanes, self.inputs, targets, len(steps) + 1)
            text += f"%f = getelementptr i8, ptr %frame, i64 {own}\n"
            inside += f"%kd = sitofp i64 %k to double\n%k0 = insertelement {type_} poison, double %kd, i64 0\n"
            inside += f"%ks = shufflevector {type_} %k0, {type_} poison, <{self.lanes} x i32> zeroinitializer\n"
            inside += f"%on = fcmp olt {type_} %ks, {counts}\n"
            inside += self._turn(body, "%k", fresh, f"<{self.lanes} x i1>")
            size = own + body.size
        else:
            body = parent.inner(op.body, self.lanes, self.inputs, [[sink] for sink in self.sinks], len(steps))
            inside += _moved(steps, "%k") + _calls(body.names, [f"%q{k}" for k in range(len(steps))])
            size = body.size
        self._define(name, len(steps), text + self._counted("%n", 1, inside))
        return Written([name], size)

    def _aside(self, differs: bool) -> tuple[list[Spot], list[list[Sink]], int]:
        """Place what an iteration hands on, and where lanes differ what it sums, in the frame.

        Returns these places, seen from a pointer more, the targets of the body's outputs, and the bytes taken.
        """
        op, sinks, count = self.op, self.sinks, len(self.steps)
        width = 8 * self.lanes if differs else 8
        ends = op.carry + op.stacked
        fresh, own = [], 0
        for spot in [*self.inputs[: op.carry], *[sink.spot for sink in sinks[ends:] if differs]]:
            fresh.append(in_order(f"%r{count}", own, spot.shape, width, wide=differs))
            own += width * size_in(spot)
        targets = [[Sink(spot)] for spot in fresh]
        rest = [[sink] for sink in sinks[op.carry : ends]]
        if not differs:
            return fresh, [*targets, *rest, *[[sink] for sink in sinks[ends:]]], own
        return fresh, [*targets[: op.carry], *rest, *targets[op.carry :]], own

    def _turn(self, body: Written, place: str, fresh: Sequence[Spot], mask: str) -> str:
        """Write an iteration, with rows at a place, and take over what is left aside in the lanes that go on, `%on`."""
        op, parent, steps = self.op, self.parent, self.steps
        text = _moved(steps, place) if any(steps) else ""
        pointers = [f"%{'q' if any(steps) else 'r'}{k}" for k in range(len(steps))]
        text += _calls(body.names, [*pointers, "%frame"], "%f")
        fresh = [spot._replace(base="%frame") for spot in fresh]

        def choose(spots: list[Spot], which: Sequence[str]) -> None:
            new, old, key = parent.load(spots[0]), parent.load(spots[1]), parent.temporary()
            type_ = (parent.wide if spots[0].wide else parent.plain).type
            parent.lines.append(f"%z{key} = select {mask} {which[0]}, {type_} {new}, {type_} {old}")
            parent.store(f"%z{key}", spots[1])

        def add(spots: list[Spot], which: Sequence[str]) -> None:
            new, key, type_ = parent.load(spots[0]), parent.temporary(), parent.wide.type
            parent.lines.append(f"%z{key} = select {mask} {which[0]}, {type_} {new}, {type_} {parent.wide.zero}")
            if spots[1].fold:
                parent.fold(spots[1], [f"%z{key}"])
            else:
                parent.store(parent.sum(f"%z{key}", spots[1]), spots[1])

        lines, parent.lines = parent.lines, []
        carry, sums = self.inputs[: op.carry], [sink.spot for sink in self.sinks[op.carry + op.stacked :]]
        for new, old in _together(list(zip(fresh, carry, strict=False))):
            moves.walk(parent, ("choose",), [new, old], choose, [f"{mask} %on"])
        for new, total in zip(fresh[op.carry :], sums, strict=False):
            moves.walk(parent, ("add where on",), [new, total], add, [f"{mask} %on"])
        chosen, parent.lines = "".join(f"{line}\n" for line in parent.lines), lines
        return text + chosen

    def _counted(self, stop: str, lanes: int, inside: str) -> str:
        """Write the loop over iterations, so many at a time, so that it can be stopped."""
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


def _together(pairs: Sequence[tuple[Spot, Spot]]) -> list[list[Spot]]:
    """Join pairs of numbers that stand at equal distances to pairs of arrays."""
    runs: list[list[tuple[Spot, Spot]]] = []
    for pair in pairs:
        last = [*runs[-1][-2:], pair] if runs else []
        if last and all(together([one[k] for one in last], (len(last),)) for k in (0, 1)) and not pair[0].shape:
            runs[-1].append(pair)
        else:
            runs.append([pair])
    found = []
    for run in runs:
        joined = [together([pair[k] for pair in run], (len(run),)) for k in (0, 1)]
        found.append([spot for spot in joined if spot is not None] if len(run) > 1 else list(run[0]))
    return found


def _moved(steps: Sequence[int], index: str, name: str = "q") -> str:
    """Write the pointers of one iteration."""
    return "".join(
        f"%{name}o{k} = mul i64 {index}, {step}\n%{name}{k} = getelementptr i8, ptr %r{k}, i64 %{name}o{k}\n"
        for k, step in enumerate(steps)
    )


def _calls(names: Sequence[str], pointers: Sequence[str], frame: str = "%frame") -> str:
    operands = ", ".join(f"ptr {pointer}" for pointer in (*pointers, frame, "%watch"))
    return "".join(f"call void @{name}({operands})\n" for name in names)
