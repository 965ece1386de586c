"""Write in C where numbers are stored, and move many at once: by copying memory, by a loop, or one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ...programs import Part, Program, Shape, View, contiguous, seen_through, size_of

_ALIKE = 4  # numbers in a row that are moved at once


class Slot(NamedTuple):
    """Where a value stands: in an array of C from a place on; or in a local variable or a literal, without a place.

    An array stands there with strides: its number (i, j, ...) at ``place + i * strides[0] + j * strides[1] + ...``.
    """

    name: str = ""
    place: int | None = None
    strides: tuple[int, ...] = ()

    def along(self, *counters: str) -> list[tuple[int, str]]:
        """Return the steps that counters make along its first axes (see `moved`)."""
        return list(zip(self.strides, counters, strict=False))


class Run(NamedTuple):
    """A run of values: the first in a list, how many, and their distance in one array."""

    start: int
    length: int
    stride: int


class Statement(NamedTuple):
    """A few lines that belong together.

    Attributes:
        lines: yields them, once it is settled where each value stands.
        reads: the values that they read.
        makes: the value that they leave in a local variable, -1 for none.
    """

    lines: Callable[[], Iterator[str]]
    reads: Sequence[int]
    makes: int = -1


def step_between(one: Slot, next_: Slot) -> int | None:
    """Return the distance of two numbers in one array, 0 for the same number, None for no relation."""
    if one == next_:
        return 0
    if one.name != next_.name or one.place is None or next_.place is None:
        return None
    return next_.place - one.place


def runs(places: Sequence[Slot]) -> Iterator[Run]:
    """Split places into runs of constant stride; only runs of several are worth a loop.

    >>> list(runs([*[Slot("a", k) for k in range(4)], Slot("v1")]))
    [Run(start=0, length=4, stride=1), Run(start=4, length=1, stride=0)]
    """
    start = 0
    while start < len(places):
        count, stride = 1, 0
        if start + 1 < len(places):
            between = step_between(places[start], places[start + 1])
            while between is not None and start + count < len(places):
                if step_between(places[start + count - 1], places[start + count]) != between:
                    break
                count, stride = count + 1, between
        if count < _ALIKE:
            # One number alone: the next one may begin a longer run.
            count, stride = 1, 0
        yield Run(start, count, stride)
        start += count


class Target(NamedTuple):
    """Describe where numbers go.

    Attributes:
        write: writes the place of the number of an index (see `moved`).
        names: the arrays and counters in what it writes.
        contiguous: whether the numbers stand side by side.
    """

    write: Callable[..., str]
    names: tuple[str, ...]
    contiguous: bool = True


def array(name: str, first: int = 0, *more: tuple[int, str]) -> Target:
    """Return an array from an index on as a target; `more` advances the index (see `moved`)."""
    names = (name, *[counter for _, counter in more])
    return Target(lambda index, *steps: f"{name}[{moved(first + index, *more, *steps)}]", names)


def copied(source: Target, target: Target, count: int, sign: str = "=", stride: int = 1) -> Iterator[str]:
    """Yield lines that copy adjacent numbers, or add them (sign "+="), to places with a stride."""
    if count < _ALIKE:
        yield from (f"{target.write(k * stride)} {sign} {source.write(k)};" for k in range(count))
    elif sign == "=" and stride == 1:
        yield f"memcpy(&{target.write(0)}, &{source.write(0)}, {count} * sizeof(double));"
    else:
        yield f"for (size_t k = 0; k < {count}; k++)"
        yield f"    {target.write(0, (stride, 'k'))} {sign} {source.write(0, (1, 'k'))};"


def zeroed(target: Target, count: int) -> Iterator[str]:
    """Yield lines that set adjacent numbers to 0."""
    if count < _ALIKE:
        yield from (f"{target.write(k)} = 0.0;" for k in range(count))
    else:
        yield f"memset(&{target.write(0)}, 0, {count} * sizeof(double));"


class Side(NamedTuple):
    """One side of a move of an array: how its number is written where counters stand, and its strides."""

    write: Callable[..., str]
    strides: Sequence[int]
    contiguous: bool = True


def copied_array(shape: Shape, source: Side, target: Side, sign: str = "=") -> Iterator[str]:
    """Yield lines that copy an array, or add it (sign "+=")."""
    if not size_of(shape):
        return
    axes: list[tuple[int, int, int]] = []
    for length, one, other in zip(shape, source.strides, target.strides, strict=True):
        if length == 1:
            continue
        if axes and axes[-1][1:] == (one * length, other * length):
            length *= axes.pop()[0]
        axes.append((length, one, other))
    if len(axes) == 1 and axes[0][1:] == (1, 1) and sign == "=" and target.contiguous:
        yield f"memcpy(&{target.write()}, &{source.write()}, {axes[0][0]} * sizeof(double));"
        return
    counters = counters_of(len(axes))
    yield from nested([axis[0] for axis in axes], counters)
    steps = [[(axis[side], counter) for axis, counter in zip(axes, counters, strict=True)] for side in (1, 2)]
    yield f"{'    ' * len(axes)}{target.write(*steps[1])} {sign} {source.write(*steps[0])};"


def counters_of(count: int, first: str = "k") -> list[str]:
    """Name so many counters.

    >>> counters_of(3)
    ['k', 'k1', 'k2']
    """
    return [f"{first}{k or ''}" for k in range(count)]


def nested(lengths: Sequence[int], counters: Sequence[str]) -> Iterator[str]:
    """Yield the heads of loops, one within another."""
    for depth, (length, counter) in enumerate(zip(lengths, counters, strict=True)):
        yield f"{'    ' * depth}for (size_t {counter} = 0; {counter} < {length}; {counter}++)"


class Frame:
    """Where the values of one C function are stored, and the memory that it works in.

    Attributes:
        slots: of each value.
        own: how many doubles of `work` are taken.
        scratch: how many more loops need, one loop at a time.
        used: the names of arrays and counters that the lines written since the last look refer to.
        numbers: the values that are numbers of arrays, which stand there: how, and in which.
    """

    def __init__(self, program: Program, slots: Sequence[Slot]) -> None:
        self.shapes = program.value_shapes
        self.slots = [*slots, *[Slot()] * (program.count - program.offset)]
        self.own = 0
        self.scratch = 0
        self.used: set[str] = set()
        self.numbers: dict[int, tuple[View, int]] = {
            first: (op, args[0])
            for (op, args), first in zip(program.steps, program.firsts, strict=True)
            if isinstance(op, View) and not op.shape
        }

    def take(self, count: int) -> int:
        """Reserve memory that keeps its numbers until the function returns."""
        first = self.own
        self.own += count
        return first

    def take_array(self, shape: Shape) -> Slot:
        """Reserve memory for a value."""
        return Slot("work", self.take(size_of(shape)), contiguous(shape))

    def slot(self, value: int) -> Slot:
        """Return where a value stands; a number of an array stands there."""
        if not self.slots[value].name and value in self.numbers:
            op, source = self.numbers[value]
            self.slots[value] = self.seen(op.part, op.of, self.slot(source)) or Slot()
        return self.slots[value]

    def seen(self, part: Part, of: Shape, slot: Slot) -> Slot | None:
        """Return where a part of an array stands; None where no strides give it."""
        assert slot.place is not None
        found = seen_through(part, of, slot.place, slot.strides)
        return None if found is None else Slot(slot.name, *found)

    def text(self, value: int, *steps: tuple[int, str]) -> str:
        """Write a value, or one further on in the same array (see `moved`)."""
        return self.element(self.slot(value), *steps)

    def element(self, slot: Slot, *steps: tuple[int, str]) -> str:
        """Write the element at a place, or one further on."""
        if slot.place is None:
            return slot.name
        self.used.add(slot.name)
        return f"{slot.name}[{moved(slot.place, *steps)}]"

    def side(self, slot: Slot) -> Side:
        """Return a value as one side of a move."""
        return Side(lambda *steps: self.element(slot, *steps), slot.strides)

    def move(self, values: Sequence[int], target: Target, sign: str = "=") -> Iterator[Statement]:
        """Yield statements that write the numbers of values to a target, or add them to it (sign "+=")."""
        place = 0
        alone: list[int] = []  # the values before that are numbers
        for value in values:
            if not self.shapes[value]:
                alone.append(value)
                continue
            yield from self._numbers_moved(alone, place, target, sign)
            yield self._array_moved(value, place + len(alone), target, sign)
            place += len(alone) + size_of(self.shapes[value])
            alone = []
        yield from self._numbers_moved(alone, place, target, sign)

    def _array_moved(self, value: int, place: int, target: Target, sign: str) -> Statement:
        shape = self.shapes[value]

        def lines() -> Iterator[str]:
            self.used.update(target.names)
            into = Side(lambda *steps: target.write(place, *steps), contiguous(shape), target.contiguous)
            yield from copied_array(shape, self.side(self.slot(value)), into, sign)

        return Statement(lines, ())

    def _numbers_moved(self, values: Sequence[int], place: int, target: Target, sign: str) -> Iterator[Statement]:
        for run in runs([self.slot(value) for value in values]):
            first, at = values[run.start], place + run.start
            yield Statement(lambda run=run, first=first, at=at: self._moved(first, run, at, target, sign), (first,))  # type: ignore[misc]

    def _moved(self, first: int, run: Run, at: int, target: Target, sign: str) -> Iterator[str]:
        self.used.update(target.names)
        if run.length == 1:
            yield f"{target.write(at)} {sign} {self.text(first)};"
        elif target.contiguous and sign == "=" and run.stride == 1:
            yield f"memcpy(&{target.write(at)}, &{self.text(first)}, {run.length} * sizeof(double));"
        else:
            yield f"for (size_t k = 0; k < {run.length}; k++)"
            yield f"    {target.write(at, (1, 'k'))} {sign} {self.text(first, (run.stride, 'k'))};"


def moved(index: int, *steps: tuple[int, str]) -> str:
    """Write an index that advances by a stride for each count of a counter.

    >>> moved(3), moved(0, (1, "k")), moved(9, (-2, "k"), (3, "row"))
    ('3', 'k', '9 - 2 * k + 3 * row')
    """
    text = str(index)
    for stride, counter in steps:
        if stride:
            text += f" {'-' if stride < 0 else '+'} {counter if abs(stride) == 1 else f'{abs(stride)} * {counter}'}"
    return text.removeprefix("0 + ")
