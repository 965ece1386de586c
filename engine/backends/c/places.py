"""Write in C where numbers are stored, and move many at once: by copying memory, by a loop, or one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

_ALIKE = 4  # numbers in a row that are moved at once

Place = tuple[str, int | None]
"""An array and an index; or a local variable, or a literal, and None."""


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


def step_between(one: Place, next_: Place) -> int | None:
    """Return the distance of two numbers in one array, 0 for the same number, None for no relation."""
    if one == next_:
        return 0
    if one[0] != next_[0] or one[1] is None or next_[1] is None:
        return None
    return next_[1] - one[1]


def runs(places: Sequence[Place]) -> Iterator[Run]:
    """Split places into runs of constant stride; only runs of several are worth a loop.

    >>> list(runs([("a", 0), ("a", 1), ("a", 2), ("a", 3), ("v1", None)]))
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


def copied(source: Target, target: Target, count: int, sign: str = "=") -> Iterator[str]:
    """Yield lines that copy adjacent numbers, or add them (sign "+=")."""
    if count < _ALIKE:
        yield from (f"{target.write(k)} {sign} {source.write(k)};" for k in range(count))
    elif sign == "=":
        yield f"memcpy(&{target.write(0)}, &{source.write(0)}, {count} * sizeof(double));"
    else:
        yield f"for (size_t k = 0; k < {count}; k++)"
        yield f"    {target.write(0, (1, 'k'))} {sign} {source.write(0, (1, 'k'))};"


class Frame:
    """Where the values of one C function are stored, and the memory that it works in.

    Attributes:
        places: of each value.
        own: how many doubles of `work` are taken.
        scratch: how many more loops need, one loop at a time.
        used: the names of arrays and counters that the lines written since the last look refer to.
    """

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.own = 0
        self.scratch = 0
        self.used: set[str] = set()

    def take(self, count: int) -> int:
        """Reserve memory that keeps its numbers until the function returns."""
        first = self.own
        self.own += count
        return first

    def text(self, value: int, *steps: tuple[int, str]) -> str:
        """Write a value, or one further on in the same array (see `moved`)."""
        return self.element(self.places[value], *steps)

    def element(self, place: Place, *steps: tuple[int, str]) -> str:
        """Write the element at a place, or one further on."""
        name, index = place
        if index is None:
            return name
        self.used.add(name)
        return f"{name}[{moved(index, *steps)}]"

    def move(self, values: Sequence[int], target: Target, sign: str = "=") -> Iterator[Statement]:
        """Yield statements that write values to a target, or add them to it (sign "+=")."""
        for run in runs([self.places[value] for value in values]):
            first = values[run.start]
            yield Statement(lambda run=run, first=first: self._moved(first, run, target, sign), (first,))  # type: ignore[misc]

    def _moved(self, first: int, run: Run, target: Target, sign: str) -> Iterator[str]:
        self.used.update(target.names)
        if run.length == 1:
            yield f"{target.write(run.start)} {sign} {self.text(first)};"
        elif target.contiguous and sign == "=" and run.stride == 1:
            yield f"memcpy(&{target.write(run.start)}, &{self.text(first)}, {run.length} * sizeof(double));"
        else:
            yield f"for (size_t k = 0; k < {run.length}; k++)"
            yield f"    {target.write(run.start, (1, 'k'))} {sign} {self.text(first, (run.stride, 'k'))};"


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
