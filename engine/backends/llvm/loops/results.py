"""Make arrays of a program's result values again where they are made of numbers of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ....data import Structure
from ....programs import Part, Place, Program, Step, View, contiguous, drop

_RUN = 3  # numbers of an array in order, at least

_Run = tuple[list[int], int, int]  # the outputs, the array that they are of, and from one to the next


def with_whole_results(program: Program, in_order: bool) -> Program:
    """Return the program with arrays of results as one value each, if they hold numbers of other arrays in order.

    Args:
        program: of which backends get the numbers of the result.
        in_order: whether all these stand side by side, so that a list of numbers is as good as an array.

    >>> from chainrule import map, trace
    >>> program = trace(lambda x: map(lambda a: a * a, x), [1.0, 2.0, 3.0, 4.0])
    >>> str(program.result), str(with_whole_results(program, True).result)
    ('[number, number, number, number]', '[number × 4]')
    """
    made = {
        value: (args[0], op.part.start)
        for (op, args), value in zip(program.steps, program.firsts, strict=True)
        if isinstance(op, View) and not op.shape
    }
    if not made:
        return program
    joiner = _Joiner(program, made, in_order)
    result = joiner.structure(program.result)
    if result is program.result:
        return program
    return drop(replace(program, steps=tuple(joiner.steps), outputs=tuple(joiner.outputs), result=result))


class _Joiner:
    """Go through a result's structure, and collect steps and outputs."""

    def __init__(self, program: Program, made: dict[int, tuple[int, int]], in_order: bool) -> None:
        self.shapes, self.made, self.in_order = program.value_shapes, made, in_order
        self.steps, self.count = list(program.steps), program.count
        self.outputs: list[int] = []
        self._given = iter(program.outputs)

    def structure(self, result: Structure) -> Structure:
        """Return the structure with arrays whole where that pays off."""
        is_list = self.in_order and result.kind == "list" and result.kinds() == {"list", "number"}
        is_list = is_list and not result.has_whole
        if result.parts and not is_list and not result.whole:
            parts = [self.structure(part) for part in result.parts]
            is_same = all(new is old for new, old in zip(parts, result.parts, strict=True))
            return result if is_same else replace(result, parts=tuple(parts))
        values = [next(self._given) for _ in range(result.count)]
        if is_list or (result.kind == "array" and not result.whole):
            runs = list(self._runs(values))
            if any(len(own) >= _RUN for own, _, _ in runs):
                shape = result.shape or (len(values),)
                self.outputs.append(self._joined(shape, runs))
                return Structure("array", shape=shape, whole=True)
        self.outputs += values
        return result

    def _runs(self, values: Sequence[int]) -> Iterator[_Run]:
        own: list[int] = []
        source, step = -1, 0
        for value in values:
            found, start = self.made.get(value, (-1, 0))
            if own and found == source >= 0:
                moved = start - self.made[own[-1]][1]
                if len(own) == 1 or moved == step:
                    step = moved
                    own.append(value)
                    continue
            if own:
                yield own, source, step
            own, source = [value], found
        yield own, source, step

    def _joined(self, shape: tuple[int, ...], runs: Sequence[_Run]) -> int:
        parts, args, place = [], [], 0
        for own, source, step in runs:
            if len(own) >= _RUN:
                length = (len(own),)
                parts.append(Part(place, length, contiguous(length)))
                part = Part(self.made[own[0]][1], length, (step,))
                args.append(self._add(View(self.shapes[source], part), (source,)))
            else:
                parts += [Part(place + k, (), ()) for k in range(len(own))]
                args += own
            place += len(own)
        return self._add(Place(shape, parts), tuple(args))

    def _add(self, op: View | Place, args: tuple[int, ...]) -> int:
        self.steps.append(Step(op, args))
        self.count += 1
        return self.count - 1
