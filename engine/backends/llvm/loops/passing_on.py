"""Find which values are written where they go at once, without an array of their own."""

from __future__ import annotations

from collections.abc import Sequence

from ....programs import MAP, Loop, Part, Place, Structural, View, size_of
from .memory import Sink, Spot, together
from .parts import is_disjoint, leaves_out
from .writer import Writer


class PassedOn:
    """Write what is put into an array that only goes out directly where the array goes: this changes `sinks`.

    Attributes:
        absorbed: the arrays that are not needed any more.
        to_clear: where zeros are written first, since parts leave some places out.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer, self.program, self.sinks, self.uses = writer, writer.program, writer.sinks, writer.uses
        self.absorbed: set[int] = set()
        self.to_clear: list[Spot] = []
        program = self.program
        # Arrays of numbers that maps stack.
        self._stacked = {
            first + k
            for (op, _), first in zip(program.steps, program.firsts, strict=True)
            if isinstance(op, Loop) and op.kind == MAP
            for k in range(op.stacked)
            if not op.body.output_shapes[k]
        }
        views: dict[int, list[tuple[int, Part]]] = {}  # of each array
        for (op, args), value in zip(reversed(program.steps), reversed(program.firsts), strict=True):
            if isinstance(op, View):
                views.setdefault(args[0], []).append((value, op.part))
            elif isinstance(op, Structural):
                for k in range(value, value + op.results):
                    if k in views:
                        self._join_sinks(k, views[k])
            if isinstance(op, Loop):
                self._write_over(op, args, value)
            sinks = self.sinks.get(value, [])
            if not isinstance(op, Place) or len(sinks) != 1 or self.uses[value] != 1 or sinks[0].late:
                continue
            (sink,) = sinks
            targets = [sink.spot.part(part) for part in op.parts]
            if None in targets or not (sink.adds or is_disjoint(op)):
                continue
            if not sink.adds and leaves_out(op):
                self.to_clear.append(sink.spot)
            del self.sinks[value]
            for arg, target in zip(args, targets, strict=True):
                assert target is not None
                self.sinks.setdefault(arg, []).append(Sink(target, sink.adds))
            self.absorbed.add(value)

    def _write_over(self, op: Loop, args: Sequence[int], first: int) -> None:
        """Keep rows that only a map reads where it writes a result row by row, so that they need no memory."""
        # The last vector of iterations may begin among those before it: it would find results instead of rows.
        if op.kind != MAP or self.writer.lanes > 1 or op.length % (4 * self.writer.module.machine.lanes):
            return
        targets = [
            sinks[0].spot
            for value in range(first, first + op.stacked)
            if self.uses[value] == 1 and len(sinks := self.sinks.get(value, [])) == 1
            if not (sinks[0].adds or sinks[0].late) and len(sinks[0].spot.shape) == 1
        ]
        for value in args[: op.rows]:
            if targets and value in self._stacked and self.uses[value] == 1 and value not in self.sinks:
                self.writer.homes[value] = targets.pop()

    def _join_sinks(self, value: int, views: Sequence[tuple[int, Part]]) -> None:
        """Write an array that only goes out, part by part, directly where it goes, if that is one place."""
        shape, own = self.program.value_shapes[value], views[0][1].shape
        found = {part.start: (k, part) for k, part in views}
        size = size_of(own)
        if (
            not len(found) == len(views) == self.uses[value]
            or not size
            or len(found) * size != size_of(shape)
            or sorted(found) != list(range(0, size_of(shape), size))
        ):
            return
        ordered = [found[start] for start in sorted(found)]
        if any(part.shape != own or not part.is_contiguous or self.uses[k] != 1 for k, part in ordered):
            return
        sinks = [sink for k, _ in ordered for sink in self.sinks.get(k, [])]
        if len(sinks) != len(ordered) or any(sink.late or sink.adds != sinks[0].adds for sink in sinks):
            return
        spot = together([sink.spot for sink in sinks], (len(ordered), *own))
        spot = None if spot is None else spot.of_shape(shape)
        if spot is None:
            return
        for k, _ in ordered:
            self.sinks.pop(k)
            self.absorbed.add(k)
        self.sinks[value] = [Sink(spot, sinks[0].adds)]
        self.uses[value] = 1
