"""Write the call of one loop as LLVM IR: lay out its inputs and outputs.

Without a batch the iterations of a map take the vector's lanes, where that is worth the gathering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....programs import CALL, COUNTED, Loop, Shape, inputs_differ, size_of
from . import moves
from .blocking import blocked, most_sums, operations
from .columns import lanes_for, shared_columns, summed_columns, takes_lanes
from .iterations import Iterations
from .memory import Sink, Spot, by_columns, in_order, size_in
from .sharing import Shared, parts_of
from .writer import Writer

_IN_PLACE = 4  # shared numbers side by side that are read where they are, not packed, at least
_GATHER = 16  # what it costs to gather a vector, in operations
_PACKED = 1 << 12  # numbers of each lane that are gathered at once, at most: longer arrays are read where they are
_NARROW = 8  # numbers of a row, below which it stands beside the other rows of its iteration

_SHORT = 60  # operations of a body that leaves registers free for several vectors
_WASTE = 0.15  # share of vectors that may be computed twice so that several go side by side

Placed = tuple[Spot, int]  # where a value stands in the first iteration, and how many bytes it moves on in each
Result = tuple[Spot, bool]  # where a loop's result stands, and whether it is added to what stands there


class LoopCall:
    """Write the step that runs a loop into the parent's function, and the loop's functions."""

    def __init__(self, parent: Writer, op: Loop, args: Sequence[int], first: int) -> None:
        self.module, self.lanes = parent.module, parent.lanes
        machine = self.module.machine
        own, self.length = machine.lanes, op.length
        # Iterations may take the lanes: also where inner ones would, but what they take lies side by side along these.
        self.parent, self.args = parent, args
        lies_across = any(map(self._is_across, range(op.carry, op.carry + op.rows)))
        self.across = self.lanes == 1 and takes_lanes(op, own, lies_across)
        # Sums of all iterations should stay in registers.
        if self.lanes > 1:
            room = machine.registers * machine.lanes // self.lanes
            op = blocked(op, room // 4, room)
        elif not self.across and op.body.has_loops:
            op = blocked(op, machine.registers // 4, machine.registers)
        self.op, self.first = op, first
        flags = [parent.differs[k] for k in args]
        self.flags = inputs_differ(op, flags) if self.lanes > 1 else [False] * len(op.body.names)
        self.regions: list[tuple[str, int, int]] = []  # pointer, bytes from it, bytes from one iteration to the next
        self._region_of: dict[tuple[str, int, int], int] = {}
        # A function that calls functions gets its numbers side by side at each call, so that there is one of it.
        self.packed = op.kind == CALL and any(isinstance(inner, Loop) for inner, _ in op.body.steps)
        self.own = lanes_for(op, own)
        self.columns_of = own if self.lanes == 1 and not self.across else 0  # so may those of maps inside

    def write(self) -> None:
        """Write the call."""
        op, parent = self.op, self.parent
        placed = [*self._carry(), *self._rows(), *self._shared()]
        stacked, totals = self._stacked(), self._totals()
        outputs = [self._iteration(spot) for spot, _ in stacked]
        inputs = [self._seen(spot, step) for spot, step in placed]
        sinks = [Sink(spot, late=True) for spot in inputs[: op.carry]]
        sinks += [Sink(self._seen(*one), adds) for one, (_, adds) in zip(outputs, stacked, strict=True)]
        sinks += [Sink(self._seen(spot, 0), True) for spot in totals]
        steps = tuple([step for _, _, step in self.regions])
        adds = op.sums > 0 or any(sink.adds for sink in sinks)
        lanes = self._lanes_taken(adds) if self._takes_lanes([*placed, *outputs]) else self.lanes
        first = self.first + op.carry
        clears = tuple([value in parent.read_beyond for value in range(first, first + op.stacked)])
        parts = None
        if self.lanes == 1 and self.module.shares:
            parts = parts_of(op, self.module.machine, lanes, sinks, steps)
        key = (op, self.lanes, lanes, tuple(inputs), tuple(sinks), steps, clears, parts)
        if key not in self.module.functions:
            loop = Iterations(parent, op, inputs, sinks, steps, lanes, clears)
            self.module.functions[key] = (Shared(loop, parts) if parts else loop).write()
        written = self.module.functions[key]
        pointers = [parent.pointer(base, offset) for base, offset, _ in self.regions]
        pointers += [parent.child_frame(written.size), "%watch"]
        for name in written.names:
            parent.lines.append(f"call void @{name}({', '.join(f'ptr {p}' for p in pointers)})")

    # ---- where values stand, as seen by the parent ----

    def _is_across(self, k: int) -> bool:
        """Return whether an argument is a matrix whose rows are its columns in memory."""
        spot, size = self.parent.homes.get(self.args[k]), self.module.size
        return spot is not None and len(spot.shape) > 1 and spot.strides[0] == size and spot.strides[-1] > size

    def _blocks(self, shapes: Sequence[Shape], flags: Sequence[bool]) -> list[Spot]:
        """Make room for values side by side; those that differ between lanes are kept apart from the others."""
        places = {}
        for kind in (False, True):
            count = sum(size_of(shape) for shape, flag in zip(shapes, flags, strict=True) if flag is kind)
            places[kind] = self.parent.room.block(count * self.parent.width_of(kind)) if count else 0
        found = []
        for shape, flag in zip(shapes, flags, strict=True):
            width = self.parent.width_of(flag)
            found.append(in_order("%frame", places[flag], shape, width, wide=flag))
            places[flag] += size_of(shape) * width
        return found

    def _columns(self, shapes: Sequence[Shape], flags: Sequence[bool]) -> list[Spot]:
        """Make room for arrays of rows.

        Where iterations may take the lanes, what comes first in a row stands side by side for all rows, and so on; else
        each row, and short ones of several arrays together.
        """
        found: dict[int, Spot] = {}
        for kind in (False, True):
            own = [k for k, flag in enumerate(flags) if flag is kind]
            width = self.parent.width_of(kind)
            if self.across:
                start = self.parent.room.block(sum(size_of(shapes[k]) for k in own) * width)
                for k in own:
                    found[k] = by_columns("%frame", start, shapes[k], width, wide=kind)
                    start += size_of(shapes[k]) * width
                continue
            short = [k for k in own if size_of(shapes[k][1:]) < _NARROW]
            each = sum(size_of(shapes[k][1:]) for k in short) * width
            start = self.parent.room.block(self.length * each)
            for k in short:
                row = in_order("%frame", start, shapes[k][1:], width, wide=kind)
                found[k] = row._replace(shape=shapes[k], strides=(each, *row.strides))
                start += size_of(row.shape) * width
            for k in own:
                if k not in found:
                    found[k] = self.parent.block(shapes[k], kind)
        return [found[k] for k in range(len(shapes))]

    def _iteration(self, spot: Spot) -> Placed:
        """Return what one iteration gets of an array of rows, or gives."""
        if self.op.kind == CALL:
            return spot, 0
        count = self.length // self.op.length if self.op.length else 1
        return (spot if count == 1 else spot.in_rows_of(count)).row()

    def _carry(self) -> list[Placed]:
        """Place the carry where the loop's result will be, and set it to its initial values."""
        parent, count = self.parent, self.op.carry
        spots = self._blocks(self.op.body.shapes[:count], self.flags[:count])
        moves.send_all(parent, [(self.args[k], Sink(spot)) for k, spot in enumerate(spots)])
        parent.homes.update({self.first + k: spot for k, spot in enumerate(spots)})
        return [(spot, 0) for spot in spots]

    def _rows(self) -> list[Placed]:
        op = self.op
        return [self._iteration(self._gathered(value)) for value in self.args[op.carry : op.carry + op.rows]]

    def _gathered(self, value: int) -> Spot:
        """Return where an array is; one of which each lane has its own somewhere is first brought together."""
        parent = self.parent
        spot = parent.homes[value]
        if spot.lane not in (0, self.module.size) and self.lanes > 1 and size_in(spot) <= _PACKED:
            aside = parent.homes[value] = parent.block(spot.shape, True)
            moves.copy(parent, spot, aside)
        return parent.homes[value]

    def _shared(self) -> list[Placed]:
        op = self.op
        start = op.carry + op.rows
        values, flags, shapes = self.args[start:], self.flags[start:], op.body.shapes[start:]
        found = self._in_columns(values)
        numbers = []
        for k, (value, shape) in enumerate(zip(values, shapes, strict=True)):
            if not shape:
                numbers.append(k)
            elif k not in found:
                found[k] = self._gathered(value)
        found.update(self._shared_numbers([values[k] for k in numbers], [flags[k] for k in numbers], numbers))
        return [(found[k], 0) for k in range(len(values))]

    def _shared_numbers(self, values: Sequence[int], flags: Sequence[bool], keys: Sequence[int]) -> dict[int, Spot]:
        """Place shared numbers: where they are, if many stand side by side, else in a block of their own."""
        parent = self.parent
        spots = [parent.homes.get(value) for value in values]
        spots = [None if spot is not None and spot.lane and self.lanes > 1 else spot for spot in spots]
        runs: list[list[int]] = []
        for k, spot in enumerate(spots):
            before = spots[runs[-1][-1]] if runs else None
            if spot is not None and before is not None and spot == before.further(self.parent.width_of(spot.wide)):
                runs[-1].append(k)
            else:
                runs.append([k])
        found: dict[int, Spot] = {}
        for run in runs:
            if not self.packed and (len(run) >= _IN_PLACE or len(runs) == 1):
                found.update({keys[k]: spot for k in run if (spot := spots[k]) is not None})
        packed = [k for k in range(len(values)) if keys[k] not in found]
        own = self._blocks([()] * len(packed), [flags[k] for k in packed])
        moves.send_all(parent, [(values[k], Sink(spot)) for k, spot in zip(packed, own, strict=True)])
        for k, spot in zip(packed, own, strict=True):
            found[keys[k]] = spot
            if spot.wide == parent.differs[values[k]] and parent.constant(values[k]) is None:
                parent.homes[values[k]] = spot
        return found

    def _in_columns(self, values: Sequence[int]) -> dict[int, Spot]:
        """Lay out by columns what inner maps read, unless it lies so already."""
        parent, found = self.parent, dict[int, Spot]()
        for k in shared_columns(self.op, self.columns_of) if self.columns_of else ():
            home = parent.homes[values[k]]
            if home.strides[0] not in (0, self.module.size):
                found[k] = self._by_columns(home.shape)
                moves.copy(parent, home, found[k])
        return found

    def _by_columns(self, shape: Shape) -> Spot:
        size = self.module.size
        return by_columns("%frame", self.parent.room.block(size * size_of(shape)), shape, size)

    def _stacked(self) -> list[Result]:
        """Place what is stacked: at its target, if that is the only one, else in the frame."""
        op, parent = self.op, self.parent
        first = self.first + op.carry
        values = range(first, first + op.stacked)
        given = op.body.output_shapes[op.carry : op.carry + op.stacked]
        count = self.length // op.length if op.length else 1
        shapes = given
        if op.kind != CALL:
            shapes = [(self.length, *(shape if count == 1 else shape[1:])) for shape in given]
        found: dict[int, Result] = {}
        if not self.packed:
            found = {value: wanted for value in values if (wanted := self._wanted(value)) is not None}
            for value in values:
                if value not in found and (spot := self._output(value)) is not None:
                    found[value] = spot, False
                    parent.homes[value] = spot
            # Where the map that takes it writes over it.
            found.update({value: (spot, False) for value in values if (spot := parent.homes.get(value)) is not None})
        if op.kind == COUNTED:
            # Rows beyond the last are set to 0, and so they stand by themselves.
            found = {value: (spot, adds) for value, (spot, adds) in found.items() if not adds}
        parent.waiting = {value: None for value in parent.waiting if value not in found}
        others = [k for k, value in enumerate(values) if value not in found]
        flags = [parent.differs[values[k]] for k in others]
        own = [shapes[k] for k in others]
        spots = self._blocks(own, flags) if op.kind == CALL else self._columns(own, flags)
        for k, spot in zip(others, spots, strict=True):
            found[values[k]] = spot, False
            parent.homes[values[k]] = spot
        return [found[value] for value in values]

    def _totals(self) -> list[Spot]:
        """Place the sums, and set to 0 those that are not added to others."""
        op, parent = self.op, self.parent
        end = self.first + op.carry + op.stacked
        values = range(end, end + op.sums)
        shapes = op.body.output_shapes[op.carry + op.stacked :]
        columns = set[int]()
        if self.columns_of:
            across = frozenset([k for k in range(op.carry + op.rows, len(self.args)) if self._is_across(k)])
            columns.update(summed_columns(op, self.columns_of, across))
        found: dict[int, Spot] = {}
        cleared: list[Spot] = []
        for k, (value, shape) in enumerate(zip(values, shapes, strict=True)):
            wanted = self._wanted(value)
            if k in columns and (wanted is None or wanted[0].strides[0] != self.module.size):
                found[value] = parent.homes[value] = self._by_columns(shape)
                cleared.append(found[value])
            elif wanted is not None and not (wanted[0].lane and self.lanes > 1):
                found[value], adds = wanted
                parent.waiting.pop(value, None)
                if not adds:
                    cleared.append(found[value])
        others = [k for k, value in enumerate(values) if value not in found]
        spots = self._blocks([shapes[k] for k in others], [parent.differs[values[k]] for k in others])
        for k, spot in zip(others, spots, strict=True):
            found[values[k]] = parent.homes[values[k]] = spot
        for spot in _side_by_side([*cleared, *spots], parent.width):
            moves.clear(parent, spot)
        return [found[value] for value in values]

    def _wanted(self, value: int) -> Result | None:
        """Return the target of a result, if it has only one."""
        parent = self.parent
        sinks = parent.sinks.get(value, ())
        if len(sinks) != 1 or sinks[0].late or parent.uses[value] != 1:
            return None
        (sink,) = sinks
        if (sink.adds and parent.dead) or sink.spot.varies != parent.differs[value]:
            return None
        return sink.spot, sink.adds

    def _output(self, value: int) -> Spot | None:
        """Return where a result goes out, if it does so once: later steps may read it there, too."""
        parent = self.parent
        sinks = parent.sinks.get(value, ())
        if len(sinks) != 1 or sinks[0].late or sinks[0].adds or value in parent.homes:
            return None
        spot = sinks[0].spot
        return None if spot.lane or spot.wide != parent.differs[value] else spot

    # ---- as seen by the loop's functions ----

    def _seen(self, spot: Spot, step: int) -> Spot:
        """Return a spot relative to one of the pointers that are passed."""
        block = self.parent.room.block_of(spot.offset) if spot.base == "%frame" else -1
        key = (spot.base, block, step)
        if key not in self._region_of:
            self._region_of[key] = len(self.regions)
            self.regions.append((spot.base, spot.offset, step))
        place = self._region_of[key]
        return spot.moved(f"%r{place}", spot.offset - self.regions[place][1])

    def _takes_lanes(self, moved: Sequence[Placed]) -> bool:
        """Return whether running a map's iterations in the lanes pays off."""
        op = self.op
        if not self.across:
            return False
        steps = max(1, op.work // op.length)
        scattered = sum(size_in(spot) for spot, step in moved if step not in (0, self.module.size))
        return steps + _GATHER * scattered < 0.75 * self.own * steps

    def _lanes_taken(self, adds: bool) -> int:
        """Choose how many iterations run side by side: several vectors if the few operations leave registers free."""
        op, own = self.op, self.own
        vectors = -(-op.length // own)
        for side in (4, 2):
            if operations(op.body) > _SHORT or side * most_sums(op) > self.module.machine.registers // 2:
                continue
            # The last ones overlap those before them; what is added may not come twice.
            waste = side * -(-op.length // (side * own)) - vectors
            if (
                side * own <= op.length
                and waste <= (0 if adds else _WASTE * vectors)
                and not (adds and op.length % (side * own))
            ):
                return side * own
        return own


def _side_by_side(spots: Sequence[Spot], width: Callable[[Spot], int]) -> list[Spot]:
    """Join numbers that stand side by side to arrays."""
    found: list[Spot] = []
    for spot in spots:
        if found and not spot.shape and not spot.lane:
            last, own = found[-1], width(spot)
            count = size_in(last)
            if (
                len(last.shape) <= 1
                and last.strides in ((), (own,))
                and spot == last._replace(offset=last.offset + own * count, shape=(), strides=())
            ):
                found[-1] = last._replace(shape=(count + 1,), strides=(own,))
                continue
        found.append(spot)
    return found
