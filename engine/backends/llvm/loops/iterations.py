"""Write the functions that run one loop's iterations: counted, in the lanes of vectors, or while a condition holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from ....operations import table
from ....programs import CALL, COUNTED, MAP, WHILE, Loop, Program, differing, drop, flat, size_of
from .. import watch
from ..turns import calls_of, in_strips, loop, moved_pointers, watched
from . import apart, moves
from .beyond import cleared, iterations, takes_part
from .in_line import Line, in_plain_products, is_held
from .memory import Sink, Spot, in_order, size_in
from .module import Written
from .writer import Run, Writer

_MANY = 64  # numbers that a counted scan carries and sums, from which on its code is worth having twice


class Iterations:
    """Write the functions of a loop that the parent's functions call.

    `inputs` and `sinks` say where the numbers of the first iteration stand, seen from the pointers that are handed
    over, `steps` by how many bytes each pointer moves on from one iteration to the next. Where `lanes` are not the
    parent's the iterations take them; the last vector then begins so that it ends with the last iteration.
    `clears` says of what a counted scan stacks whether rows that take no part are set to 0.
    """

    def __init__(
        self,
        parent: Writer,
        op: Loop,
        inputs: Sequence[Spot],
        sinks: Sequence[Sink],
        steps: tuple[int, ...],
        lanes: int,
        clears: tuple[bool, ...] = (),
    ) -> None:
        self.parent, self.op, self.inputs, self.sinks, self.steps = parent, op, inputs, sinks, steps
        self.lanes, self.module, self.clears = lanes, parent.module, clears

    def write(self) -> Written:
        """Write the functions."""
        op, inputs, sinks, steps = self.op, self.inputs, self.sinks, self.steps
        if self.lanes != self.parent.lanes:
            return self._in_lanes()
        if self._ends_apart():
            if op.kind == COUNTED and (found := self._products()) is not None:
                return found
            return self._apart() if op.kind == WHILE or self._moves() < _MANY else self._first_together()
        if op.kind == WHILE:
            return self._while()
        if op.kind == CALL:
            return self.parent.inner(Run(op.body, self.lanes, inputs, [[sink] for sink in sinks], len(steps)))
        name, text, stop = self.module.name("loop"), "", f"{op.length}"
        if op.kind == COUNTED:
            text, stop = self._length(), "%n"
        turns, size = self._turns(inputs, sinks, (), stop)
        self._define(name, len(steps), text + turns + self._cleared(0))
        return Written([name], size)

    def _turns(
        self,
        inputs: Sequence[Spot],
        sinks: Sequence[Sink],
        own: Sequence[str],
        stop: str,
        reserved: int = 0,
        last: int | None = None,
    ) -> tuple[str, int]:
        """Write the loop over the iterations, and tell how large a frame it needs.

        After the pointers that move on come `own` ones; so many bytes of the frame are `reserved`. No turn begins after
        the `last` place: rather it begins there once more.
        """
        op, lanes, steps, parent = self.op, self.lanes, self.steps, self.parent
        step = lanes if lanes != parent.lanes else 1
        targets, count = [[sink] for sink in sinks], len(steps) + len(own)
        cost = self._cost(step)
        turns = watch.turns(cost, -(-op.length // step))

        def place(index: str, name: str, ahead: int = 0) -> str:
            """Write the iteration, and the pointers that move, from how many there were before."""
            at = f"%{name} = add i64 {index}, {ahead}\n"
            if op.backwards:
                at = f"%{name}.last = sub i64 {stop}, {1 + ahead}\n%{name} = sub i64 %{name}.last, {index}\n"
            if last is not None:
                at = f"%{name}.over = icmp sgt i64 {index}, {last}\n"
                at += f"%{name} = select i1 %{name}.over, i64 {last}, i64 {index}\n"
            return at + moved_pointers(steps, f"%{name}", f"{name}q")

        def calls(index: str, name: str, names: Sequence[str]) -> str:
            pointers = [*[f"%{name}q{k}" for k in range(len(steps))], *own]
            return place(index, name) + calls_of(names, pointers, "%f" if reserved else "%frame")

        line = self._line(op.body, inputs, sinks, own, reserved)
        if line is None:
            body = parent.inner(Run(op.body, lanes, inputs, targets, count))
            return watched("i", "0", stop, step, calls("%i", "k", body.names), turns, cost), reserved + body.size
        size = line.size
        again, rest = Written([], 0), Written([], 0)
        sums = [place for place, sink in enumerate(sinks) if is_held(sink, steps)]
        plain, doubtful = in_plain_products(op.body, sinks, sums) if op.kind == MAP else (op.body, set())
        if doubtful:
            is_safe = doubtful.isdisjoint(sums)
            doubtful.difference_update(sums)
            line = self._line(plain, inputs, sinks, own, reserved, doubtful) or line
            if not is_safe:
                only = drop(flat(op.body, [op.body.outputs[place] for place in sums]))
                again = parent.inner(Run(only, lanes, inputs, [targets[place] for place in sums], count))
            if doubtful:
                rest = parent.inner(Run(op.body, lanes, inputs, targets, count))
            size = max(line.size, reserved + again.size, reserved + rest.size)

        lines = [line]
        if op.kind == MAP and last is None and not rest.names:
            # Several sums of each kind take turns, so that none waits for the addition before.
            side = line.side_by_side(max(1, lanes // self.module.machine.lanes), stop, step)
            copies = [self._line(plain, inputs, sinks, own, reserved, doubtful, f".{k}") for k in range(1, side)]
            lines += [copy for copy in copies if copy is not None]
            turns = -(-turns // side) * side

        def inside(start: str, end: str) -> str:
            each = [place("%i", f"k{copy.copy}", k * step) + copy.text for k, copy in enumerate(lines)]
            phis = "".join([copy.phis("i") for copy in lines])
            text = loop("i", start, end, step * len(lines), "\n".join(each), phis)
            # The loop may have been left at %i.
            slow = loop("z", start, "%i", step, calls("%z", "zk", again.names)) if again.names else ""
            text += line.ended(lines[1:], slow)
            return text + (loop("y", "%i", end, step, calls("%y", "yk", rest.names)) if rest.names else "")

        return in_strips("i", "0", stop, step, inside, turns, cost), size

    def _line(
        self,
        body: Program,
        inputs: Sequence[Spot],
        sinks: Sequence[Sink],
        own: Sequence[str],
        reserved: int,
        doubtful: Collection[int] = (),
        copy: str = "",
        takes: str = "",
    ) -> Line | None:
        """Write one iteration in line if it is short; its names have an ending of their own if it is a copy."""
        if any(isinstance(op, Loop) for op, _ in body.steps):
            return None
        names = [*[f"%k{copy}q{k}" if step else f"%r{k}" for k, step in enumerate(self.steps)], *own]

        def named(spot: Spot) -> Spot:
            return spot._replace(base=names[int(spot.base[2:])])

        targets = [sink._replace(spot=named(sink.spot)) for sink in sinks]
        sums = [target.spot for sink, target in zip(sinks, targets, strict=True) if is_held(sink, self.steps)]
        every, places = [[target] for target in targets], list(map(named, inputs))
        return self.parent.in_line(Run(body, self.lanes, places, every), sums, reserved, doubtful, copy, takes)

    def _ends_apart(self) -> bool:
        """Return whether some lanes may end before others."""
        op, inputs = self.op, self.inputs
        if op.kind == COUNTED:
            return inputs[op.carry + op.rows].varies
        if op.kind != WHILE or self.lanes == 1:
            return False
        asked = [spot.varies for spot in _without_rows(op, inputs)]
        return any(asked[: op.carry]) or differing(op.condition, asked)[op.condition.outputs[0]]

    def _in_lanes(self) -> Written:
        """Run as many iterations at a time as there are lanes; at the end some run twice, but are added once."""
        op, inputs, sinks, steps, lanes = self.op, self.inputs, self.sinks, self.steps, self.lanes
        width = self.module.size * lanes
        count, rest = len(steps), op.length % lanes

        def lane(spot: Spot) -> Spot:
            return spot._replace(lane=steps[int(spot.base[2:])])

        sums, own = [], 0
        for sink in sinks[op.stacked :]:
            sums.append(in_order(f"%r{count}", own, sink.spot.shape, width, wide=True))
            own += width * size_in(sink.spot)
        every = [Sink(lane(sink.spot), sink.adds) for sink in sinks[: op.stacked]]
        # What the only turn gives is the sum.
        is_only = op.length == lanes
        every += [Sink(spot, not is_only) for spot in sums]

        places = list(map(lane, inputs))
        text = f"%f = getelementptr i8, ptr %frame, i64 {-(-own // 64) * 64}\n"
        if own and not is_only:
            text += f"call void @llvm.memset.p0.i64(ptr %frame, i8 0, i64 {own}, i1 false)\n"
        own = -(-own // 64) * 64
        last, adds = op.length - lanes, any(sink.adds for sink in every)
        stop = op.length - rest if adds else op.length
        turns, size = self._turns(places, every, ["%frame"], f"{stop}", own, last=None if adds else last)
        text += turns
        if adds and rest:
            targets = [[sink] for sink in every]
            tail = self.parent.inner(Run(op.body, lanes, places, targets, count + 1, lanes - rest))
            size = max(size, own + tail.size)
            pointers = [*[f"%w{k}" for k in range(count)], "%frame"]
            text += (
                f"%w = add i64 0, {last}\n" + moved_pointers(steps, "%w", "w") + calls_of(tail.names, pointers, "%f")
            )
        text += self._added_up([sink.spot for sink in sinks[op.stacked :]], sums, lanes)
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], size)

    def _added_up(self, targets: Sequence[Spot], sums: Sequence[Spot], lanes: int) -> str:
        """Add the lanes of each sum to where it is wanted."""
        machine, parent, size, scalar = self.module.machine, self.parent, self.module.size, self.module.scalar
        type_, symbol = machine.type(lanes), f"llvm.vector.reduce.fadd.{machine.suffix(lanes)}"
        parent.wide.declarations[symbol] = f"declare {scalar} @{symbol}({scalar}, {type_})\n"

        def fold(spots: list[Spot], _: Sequence[str]) -> None:
            key, (p, q) = parent.temporary(), [parent.pointer(spot.base, spot.offset) for spot in spots]
            parent.lines.append(
                f"%v{key}l = load {type_}, ptr {p}, align {size}\n%o{key} = load {scalar}, ptr {q}, align {size}\n"
                f"%s{key} = call reassoc {scalar} @{symbol}({scalar} %o{key}, {type_} %v{key}l)\n"
                f"store {scalar} %s{key}, ptr {q}, align {size}"
            )

        def write() -> None:
            own_frame = [spot._replace(base="%frame", wide=False) for spot in sums]
            for own, target in apart.pairs_together(list(zip(own_frame, targets, strict=True))):
                moves.walk(parent, ("fold", lanes), [own, target], fold)

        return self.parent.written(write)

    def _while(self) -> Written:
        """Iterate while all lanes go on together."""
        op, inputs, count = self.op, self.inputs, len(self.steps)
        asked = Sink(Spot(f"%r{count}", 0))
        condition = self.parent.inner(Run(op.condition, self.lanes, _without_rows(op, inputs), [[asked]], count + 1))
        body = self.parent.inner(Run(op.body, self.lanes, inputs, [[sink] for sink in self.sinks], count))
        text = "%f = getelementptr i8, ptr %frame, i64 64\nbr label %enter\nenter:\nbr label %head\nhead:\n"
        text += self._limit(f"{op.length}")
        text += calls_of(condition.names, [*[f"%r{k}" for k in range(count)], "%frame"], "%f")
        scalar = self.module.scalar
        text += f"%c = load {scalar}, ptr %frame, align {self.module.size}\n%on = fcmp une {scalar} %c, 0.0\n"
        text += "%go = and i1 %limit, %on\nbr i1 %go, label %turn, label %done\nturn:\n"
        text += watch.look("w", "done", self._cost(self.lanes)) + "br label %body\nbody:\n"
        text += moved_pointers(self.steps, "%i") + calls_of(body.names, [f"%q{k}" for k in range(count)], "%f")
        text += self._again()
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], 64 + max(condition.size, body.size))

    def _moves(self) -> int:
        """Return how many numbers a loop carries and sums."""
        op = self.op
        return sum(map(size_of, op.shapes[: op.carry])) + sum(map(size_of, op.shapes[op.carry + op.stacked :]))

    def _products(self) -> Written | None:
        """Add up products in registers, where a counted scan does no more: in the lanes that take part."""
        op, steps = self.op, self.steps
        made = {first: op for (op, _), first in zip(op.body.steps, op.body.firsts, strict=True)}
        products = all(made.get(value) is table.mul for value in op.body.outputs)
        are_held = all(is_held(sink, steps) and sink.spot.wide for sink in self.sinks)
        uses = Counter([*op.body.outputs, *[k for _, args in op.body.steps for k in args]])
        if op.sums < op.results or not (products and are_held) or any(uses[value] > 1 for value in op.body.outputs):
            return None
        line = self._line(op.body, self.inputs, self.sinks, (), 0, takes="%on")
        if line is None:
            return None
        text = "%k = add i64 %i, 0\n" + moved_pointers(steps, "%k", "kq")
        text += takes_part(self.module, "on", "%k", self.lanes) + line.text

        def inside(start: str, end: str) -> str:
            return loop("i", start, end, 1, text, line.phis("i")) + line.ended((), "")

        cost = self._cost(self.lanes)
        turns = in_strips("i", "0", "%n", 1, inside, watch.turns(cost, op.length), cost)
        name = self.module.name("loop")
        self._define(name, len(steps), self._length() + turns)
        return Written([name], line.size)

    def _first_together(self) -> Written:
        """Run the rows of a counted scan in which all lanes take part as of any loop, and only the others apart."""
        turns, size = self._turns(self.inputs, self.sinks, (), "%least")
        name = self.module.name("loop")
        self._define(name, len(self.steps), self._length() + turns)
        others = self._apart("%least")
        return Written([*others.names, name] if self.op.backwards else [name, *others.names], max(size, others.size))

    def _apart(self, first: str = "0") -> Written:
        """Iterate while any lane goes on; lanes that have ended keep their carry and add nothing.

        Of a counted scan only rows from the `first` on are left.
        """
        op, inputs, count, lanes = self.op, self.inputs, len(self.steps), self.lanes
        width, end = self.module.size * lanes, op.carry + op.stacked
        fresh, own = [], 0
        for spot in [*inputs[: op.carry], *[sink.spot for sink in self.sinks[end:]]]:
            fresh.append(in_order(f"%r{count}", own, spot.shape, width, wide=True))
            own += width * size_in(spot)
        asked = Spot(f"%r{count}", own, True)
        place, own = own, -(-(own + width) // 64) * 64
        sinks = [*map(Sink, fresh[: op.carry]), *self.sinks[op.carry : end], *map(Sink, fresh[op.carry :])]
        body = self.parent.inner(Run(op.body, lanes, inputs, [[sink] for sink in sinks], count + 1))
        type_, mask, size = self.module.machine.type(lanes), f"<{lanes} x i1>", body.size
        text = f"%f = getelementptr i8, ptr %frame, i64 {own}\n"
        if op.kind == WHILE:
            found = _without_rows(op, inputs)
            condition = self.parent.inner(Run(op.condition, lanes, found, [[Sink(asked)]], count + 1))
            size = max(size, condition.size)
            text += "br label %enter\nenter:\nbr label %head\nhead:\n" + self._limit(f"{op.length}")
            text += calls_of(condition.names, [*[f"%r{k}" for k in range(count)], "%frame"], "%f")
            text += (
                f"%cp = getelementptr i8, ptr %frame, i64 {place}\n%c = load {type_}, ptr %cp, align {width // lanes}\n"
            )
            symbol = f"llvm.vector.reduce.or.v{lanes}i1"
            self.module.declare(f"declare i1 @{symbol}({mask})\n")
            text += f"%on = fcmp une {type_} %c, zeroinitializer\n%any = call i1 @{symbol}({mask} %on)\n"
            text += "%go = and i1 %limit, %any\n"
        else:
            text += self._length() + f"%more = sub i64 %n, {first}\n"
            text += "br label %enter\nenter:\nbr label %head\nhead:\n" + self._limit("%more")
            text += "%go = and i1 %limit, %limit\n"
        text += "br i1 %go, label %turn, label %done\nturn:\n"
        text += watch.look("w", "done", self._cost(lanes)) + "br label %body\nbody:\n"
        text += "%last = sub i64 %n, 1\n%k = sub i64 %last, %i\n" if op.backwards else f"%k = add i64 %i, {first}\n"
        text += takes_part(self.module, "on", "%k", lanes) if op.kind == COUNTED else ""
        text += moved_pointers(self.steps, "%k")
        text += calls_of(body.names, [*[f"%q{k}" for k in range(count)], "%frame"], "%f")
        own_frame = [spot._replace(base="%frame") for spot in fresh]
        text += self.parent.written(lambda: apart.choose(self.parent, inputs[: op.carry], own_frame[: op.carry], mask))
        text += self.parent.written(lambda: apart.add(self.parent, self.sinks[end:], own_frame[op.carry :], mask))
        text += self._again() + self._cleared(lanes)
        name = self.module.name("loop")
        self._define(name, count, text)
        return Written([name], own + size)

    def _limit(self, stop: str) -> str:
        """Begin a turn, %i, and tell whether it is one of so many."""
        if self.op.is_branch:
            # A branch is over after its one iteration, without being asked again.
            return "%i = add i64 0, 0\n%limit = add i1 1, 0\n"
        limit = "add i1 1, 0" if stop == "0" else f"icmp slt i64 %i, {stop}"
        return f"%i = phi i64 [ 0, %enter ], [ %next, %body ]\n%limit = {limit}\n"

    def _again(self) -> str:
        return ("br label %done\n" if self.op.is_branch else "%next = add i64 %i, 1\nbr label %head\n") + "done:\n"

    def _length(self) -> str:
        op = self.op
        return iterations(self.module, self.inputs[op.carry + op.rows], op.length, self.lanes)

    def _cleared(self, lanes: int) -> str:
        """Set to 0 what a counted scan stacks for rows that take no part; some `lanes` may end before others."""
        op, carry = self.op, self.op.carry
        if op.kind != COUNTED:
            return ""
        pairs = zip(self.sinks[carry : carry + op.stacked], self.clears, strict=True)
        return cleared(self.parent, [sink.spot for sink, flag in pairs if flag], self.steps, op.length, lanes)

    def _cost(self, lanes: int) -> int:
        """Estimate what one turn of the loop takes."""
        body = self.op.body
        return watch.cost(body, range(len(body.steps)), -(-lanes // self.module.machine.lanes))

    def _define(self, name: str, count: int, text: str) -> None:
        parameters = ", ".join([*[f"ptr %r{k}" for k in range(count)], "ptr %frame, ptr %watch"])
        self.module.declare(watch.DECLARED)
        self.module.texts.append(f"define internal void @{name}({parameters}) #0 {{\n{text}ret void\n}}\n")


def _without_rows(op: Loop, inputs: Sequence[Spot]) -> list[Spot]:
    """Return where the inputs of a while loop's condition stand."""
    return [*inputs[: op.carry], *inputs[op.carry + op.rows :]]
