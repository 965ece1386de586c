"""Write the call of one loop as LLVM IR: lay out what goes in and comes out.

Without a batch the iterations of a map take the vector's lanes, where that is worth the gathering.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ....programs import Loop, inputs_differ
from . import moves
from .blocking import blocked
from .columns import shared_columns, summed_columns, takes_lanes
from .iterations import Iterations
from .memory import Sink, Spot, progression
from .writer import Writer

_IN_PLACE = 4  # shared numbers side by side that are read where they are, not packed, at least
_GATHER = 16  # what it costs to gather a vector, in operations

_SHORT = 60  # operations of a body that leaves registers free for several vectors
_WASTE = 0.15  # share of vectors that may be computed twice so that several go side by side

Placed = tuple[Spot, int]  # where a number stands in the first iteration, and how many bytes it moves on in each
Result = tuple[Spot, int, bool]  # the same of what a loop returns, and whether it is added to what stands there


class LoopCall:
    """Write the step that runs a loop into the parent's function, and the loop's functions."""

    def __init__(self, parent: Writer, op: Loop, args: Sequence[int], first: int) -> None:
        self.module, self.lanes = parent.module, parent.lanes
        machine = self.module.machine
        if self.lanes > 1:
            # Sums of all iterations should stay in registers.
            op = blocked(op, machine.registers * machine.lanes // (2 * self.lanes))
        self.parent, self.op, self.args, self.first = parent, op, args, first
        flags = [parent.differs[k] for k in args]
        self.flags = inputs_differ(op, flags) if self.lanes > 1 else [False] * len(op.body.names)
        self.regions: list[tuple[str, int, int]] = []  # pointer, bytes from it, bytes from one iteration to the next
        self._region_of: dict[tuple[str, int, int], int] = {}
        own = machine.lanes
        self.across = self.lanes == 1 and takes_lanes(op, own)  # iterations may take the lanes
        self.columns_of = own if self.lanes == 1 and not self.across else 0  # so may those of maps inside

    def write(self) -> None:
        """Write the call."""
        op, parent = self.op, self.parent
        placed = [*self._carry(), *self._rows(), *self._shared()]
        outputs = self._outputs()
        inputs = [self._seen(spot, step) for spot, step in placed]
        sinks = [Sink(spot, late=True) for spot in inputs[: op.carry]]
        sinks += [Sink(self._seen(spot, step), adds) for spot, step, adds in outputs]
        steps = tuple([step for _, _, step in self.regions])
        adds = op.sums > 0 or any(sink.adds for sink in sinks)
        lanes = self._lanes_taken(adds) if self._takes_lanes(placed, outputs) else self.lanes
        key = (op, self.lanes, lanes, tuple(inputs), tuple(sinks), steps)
        if key not in self.module.functions:
            self.module.functions[key] = Iterations(parent, op, inputs, sinks, steps, lanes).write()
        written = self.module.functions[key]
        pointers = [parent.pointer(base, offset) for base, offset, _ in self.regions]
        pointers += [parent.child_frame(written.size), "%watch"]
        for name in written.names:
            parent.lines.append(f"call void @{name}({', '.join(f'ptr {p}' for p in pointers)})")

    # ---- where numbers stand, as seen by the parent ----

    def _width(self, differs: bool) -> int:
        return 8 * self.lanes if differs else 8

    def _blocks(self, flags: Sequence[bool], rows: int = 1) -> list[Placed]:
        """Make room for rows of numbers, those that differ from lane to lane apart from the others.

        Where iterations may take the lanes, those of one column stand side by side, else those of one row.
        """
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
            if self.across:
                found.append((Spot("%frame", block + taken * rows * width, flag), width))
            else:
                found.append((Spot("%frame", block + taken * width, flag), count * width))
        return found

    def _carry(self) -> list[Placed]:
        """Place the carry where the result of the loop stands in the end, and set it to what it starts from."""
        placed = self._blocks(self.flags[: self.op.carry])
        for k, (spot, _) in enumerate(placed):
            self.parent.store(self.parent.operand(self.args[k], spot.wide), spot)
            self.parent.homes[self.first + k] = spot
        return [(spot, 0) for spot, _ in placed]

    def _rows(self) -> list[Placed]:
        op, found = self.op, dict[int, Placed]()
        packed: list[int] = []
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
                self._copy(op.column(self.args, j), [spot.further(k * step) for k in range(op.length)])
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
        spots = [spot for spot in map(self.parent.homes.get, column) if spot is not None]
        if len(spots) < len(column) or (self.lanes > 1 and any(spot.lane for spot in spots)):
            return None
        step = progression(spots)
        return None if step is None else (spots[0], step)

    def _copy(self, values: Sequence[int], spots: Sequence[Spot]) -> None:
        parent = self.parent
        moves.move(parent, list(zip(values, spots, strict=True)))
        for value, spot in zip(values, spots, strict=True):
            if spot.wide == parent.differs[value]:
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
            if spot is not None and before is not None and spot == before.further(self._width(spot.wide)):
                runs[-1].append(k)
            else:
                runs.append([k])
        found = self._in_columns(values)
        for run in runs:
            if len(run) >= _IN_PLACE or len(runs) == 1:
                stand = [(k, spot) for k in run if (spot := spots[k]) is not None]
                found.update({k: (spot, 0) for k, spot in stand if k not in found})
        packed = [k for k in range(len(values)) if k not in found]
        own = [spot for spot, _ in self._blocks([flags[k] for k in packed])]
        found.update({k: (spot, 0) for k, spot in zip(packed, own, strict=True)})
        self._copy([values[k] for k in packed], own)
        return [found[k] for k in range(len(values))]

    def _in_columns(self, values: Sequence[int]) -> dict[int, Placed]:
        """Lay out what maps inside read column by column, where it does not stand so already."""
        homes, found = self.parent.homes, dict[int, Placed]()
        columns = shared_columns(self.op, self.columns_of) if self.columns_of else ()
        fresh = [column for column in columns if self._strided([homes.get(values[k]) for k in column])]
        for column, start in self._new_columns(fresh):
            own = [start.further(8 * k) for k in range(len(column))]
            moves.move(self.parent, list(zip([values[k] for k in column], own, strict=True)))
            found.update({k: (spot, 0) for k, spot in zip(column, own, strict=True)})
        return found

    def _strided(self, spots: Sequence[Spot | None]) -> bool:
        """Tell whether numbers stand in memory, but not side by side."""
        known = [spot for spot in spots if spot is not None]
        return not known or len(known) < len(spots) or progression(known) != 8

    def _new_columns(self, columns: Iterable[Sequence[int]]) -> list[tuple[Sequence[int], Spot]]:
        """Make room for columns, in one block; of a number in several the first one's place counts."""
        seen: set[int] = set()
        chosen = []
        for column in columns:
            if seen.isdisjoint(column) and len(set(column)) == len(column):
                seen.update(column)
                chosen.append(column)
        block = self.parent.room.block(8 * len(seen)) if seen else 0
        found = []
        for column in chosen:
            found.append((column, Spot("%frame", block)))
            block += 8 * len(column)
        return found

    def _outputs(self) -> list[Result]:
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
                parent.homes[value] = spot.further(k * step)
        for placed, column in zip(found, columns, strict=True):
            if placed is not None and column[0] not in parent.homes:
                for value in column:
                    parent.waiting.pop(value, None)
        return [*[placed for placed in found if placed is not None], *self._totals(range(end, end + op.sums))]

    def _totals(self, values: Sequence[int]) -> list[Result]:
        """Place the sums, and set to 0 those that are not added to others."""
        parent = self.parent
        found = self._summed_columns(values)
        parent.homes.update(found)
        cleared = list(found.values())
        for value in values:
            if value in found:
                continue
            wanted = self._wanted(range(value, value + 1))
            if wanted is not None and not (wanted[0].lane and self.lanes > 1):
                found[value], _, adds = wanted
                parent.waiting.pop(value, None)
                if not adds:
                    cleared.append(wanted[0])
        others = [value for value in values if value not in found]
        for value, (spot, _) in zip(others, self._blocks([parent.differs[v] for v in others]), strict=True):
            found[value] = parent.homes[value] = spot
        moves.clear(parent, [*cleared, *[found[value] for value in others]])
        return [(found[value], 0, True) for value in values]

    def _summed_columns(self, values: Sequence[int]) -> dict[int, Spot]:
        """Place sums that maps inside add to column by column, if they are not wanted side by side."""
        found = dict[int, Spot]()
        columns = summed_columns(self.op, self.columns_of) if self.columns_of else ()
        fresh: list[Sequence[int]] = []
        for column in columns:
            own: Sequence[int] = [values[k] for k in column]
            wanted = self._wanted(own)
            if wanted is None or wanted[1] != 8:
                fresh.append(own)
        for own, start in self._new_columns(fresh):
            found.update({value: start.further(8 * k) for k, value in enumerate(own)})
        return found

    def _wanted(self, column: Sequence[int]) -> Result | None:
        """Return where all of a column goes, if it goes to one place only, at equal distances."""
        parent = self.parent
        sinks: list[Sequence[Sink]] = [parent.sinks.get(value, ()) for value in column]
        if any(len(own) != 1 or own[0].late for own in sinks) or any(parent.uses[value] != 1 for value in column):
            return None
        first = sinks[0][0]
        if (
            any(own[0].adds != first.adds for own in sinks)
            or (first.adds and parent.dead)
            or first.spot.varies != parent.differs[column[0]]
        ):
            return None
        step = progression([own[0].spot for own in sinks])
        return None if step is None else (first.spot, step, first.adds)

    # ---- as seen by the loop's functions ----

    def _seen(self, spot: Spot, step: int) -> Spot:
        """Return a spot as seen from one of the pointers that are handed over."""
        block = self.parent.room.block_of(spot.offset) if spot.base == "%frame" else -1
        key = (spot.base, block, step)
        if key not in self._region_of:
            self._region_of[key] = len(self.regions)
            self.regions.append((spot.base, spot.offset, step))
        place = self._region_of[key]
        return spot.moved(f"%r{place}", spot.offset - self.regions[place][1])

    def _takes_lanes(self, placed: Sequence[Placed], outputs: Sequence[Result]) -> bool:
        """Tell whether it pays that the iterations of a map take the lanes."""
        op = self.op
        if not self.across:
            return False
        steps = max(1, op.work // op.length)
        moved = [step for _, step in placed] + [step for _, step, _ in outputs[: op.stacked]]
        scattered = sum(step not in (0, 8) for step in moved)
        return steps + _GATHER * scattered < 0.75 * self.module.machine.lanes * steps

    def _lanes_taken(self, adds: bool) -> int:
        """Choose how many iterations go side by side: several vectors where few operations leave registers free."""
        op, own = self.op, self.module.machine.lanes
        vectors = -(-op.length // own)
        for side in (4, 2) if op.work <= _SHORT * op.length else ():
            # The last ones overlap those before them; what is added may not come twice.
            waste = side * -(-op.length // (side * own)) - vectors
            if (
                side * own <= op.length
                and waste <= (0 if adds else _WASTE * vectors)
                and not (adds and op.length % (side * own))
            ):
                return side * own
        return own
