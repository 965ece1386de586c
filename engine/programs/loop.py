"""A loop as data: a `Loop` is an operation that runs an inner program several times, in one step.

Five kinds are one class. Its arguments are values, numbers or arrays: what is carried, then arrays of which each
iteration gets one row, then what all iterations share; the inner program takes ``(*carry, *rows, *shared)`` and returns
``(*carry, *stacked, *summed)``. A map carries nothing, so its iterations may run in any order; a call is a map of one
iteration, which takes rows as they are; a while loop has no rows, and a condition that says whether to go on. A while
loop of at most one iteration is a branch: it replaces its carry where the condition holds, and runs nothing where it
does not. `cond` and `switch` are one such loop for each function, one after another, so all that runs, differentiates
or stores while loops serves branches.

A while loop may stack and sum, too. Rows that it did not come to hold anything, since nothing reads them but counted
scans of as many iterations; the sum of a constant 1 is the number of iterations there were. A counted scan gets their
number as its first shared argument, a whole one from 0 to its length: it runs over the first rows of its arrays, and
what it stacks beyond them is 0. It is the derivative of a while loop, and what a map or scan becomes of which only some
items take part.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..forking import kept
from ..pickling import Reduced, pickled_as, unpickled
from .views import Shape, Structural, size_of, taker_of

CALL, MAP, SCAN, WHILE, COUNTED = "call", "map", "scan", "while", "counted scan"
KINDS = (CALL, MAP, SCAN, WHILE, COUNTED)


@pickled_as("loop")
class Loop(Structural):
    """Run an inner program for each row of arrays.

    Args:
        kind: "call", "map", "scan", "while" or "counted scan".
        body: the inner `Program`; all it needs are its inputs.
        length: how many iterations; of a while loop and a counted scan at most, 0 for any number.
        carry: how many values one iteration hands to the next.
        rows: how many values each iteration has for itself: the rows of as many arrays.
        sums: how many of the body's last outputs are summed over the iterations; what stands between carry and
            sums is stacked, each in an array that has the iterations as first axis.
        backwards: whether the last iteration comes first (its rows and results keep their places).
        condition: of a while loop, the program of ``(*carry, *shared)`` that is not 0 while it goes on.

    Its arguments are the carry, then the arrays of rows, then what is shared; its results the carry at the end, then
    the stacked arrays, then the sums.
    """

    def __init__(
        self,
        kind: str,
        body: Any,
        length: int,
        carry: int,
        rows: int,
        sums: int,
        backwards: bool = False,
        condition: Any = None,
    ) -> None:
        self.kind, self.length, self.backwards = kind, length, backwards
        self.body = body = _only(body)
        self.condition: Any = None if condition is None else _only(condition)
        self.carry, self.rows, self.sums = carry, rows, sums
        self.shared = len(body.names) - carry - rows
        self.stacked = len(body.outputs) - carry - sums
        given = body.output_shapes
        stacked = [(length, *shape) for shape in given[carry : carry + self.stacked]] if kind != CALL else given
        self._begin(kind, len(body.names), (*given[:carry], *stacked, *given[carry + self.stacked :]))
        self.is_branch = kind == WHILE and length == 1
        ran = f"when {self.condition.name}:" if self.is_branch and self.condition is not None else kind
        self.symbol = f"{ran} {body.name}{f' × {length}' if length != 1 else ''}"
        self.__doc__ = f"Run {body.name}."

    @property
    def argument_shapes(self) -> tuple[Shape, ...]:
        """The shape of each argument."""
        shapes, first, end = self.body.shapes, self.carry, self.carry + self.rows
        if self.kind == CALL:
            return tuple(shapes)
        return (*shapes[:first], *[(self.length, *shape) for shape in shapes[first:end]], *shapes[end:])

    @property
    def iterations(self) -> range:
        """The order of the rows."""
        return range(self.length - 1, -1, -1) if self.backwards else range(self.length)

    def apply(self, args: tuple[Any, ...]) -> list[Any]:
        """Return the results: in one step if a number's type supports that, as traced ones do, else one by one.

        Of several such types the one of the highest rank stands for the result: a series takes traced numbers as
        coefficients, and no traced number can hold a series.
        """
        taker = taker_of(args, "__apply_loop__")
        if taker is None:
            return self.unroll(args)
        found: list[Any] = taker.__apply_loop__(self, args)
        return found

    def unroll(self, args: Sequence[Any]) -> list[Any]:
        """Run the iterations one after another, on numbers of any type and arrays as lists of them."""
        first, end = self.carry, self.carry + self.rows
        carry, shared = list(args[:first]), list(args[end:])
        if self.kind == CALL:
            found: list[Any] = self.body.run(args)
            return found
        shapes = self.body.shapes[first:end]
        columns = [row_by_row(array, shape) for array, shape in zip(args[first:end], shapes, strict=True)]
        given = self.body.output_shapes[first:]
        kept: list[list[Any]] = [[zeros_of(shape)] * self.length for shape in given[: self.stacked]]
        totals = [zeros_of(shape) for shape in given[self.stacked :]]
        for k in self._places(shared):
            if self.condition is not None and not self.condition.run([*carry, *shared])[0]:
                break
            found = self.body.run([*carry, *[column[k] for column in columns], *shared])
            carry = found[:first]
            for own, item in zip(kept, found[first:], strict=False):
                own[k] = item
            added = zip(totals, found[first + self.stacked :], strict=True)
            totals = [add_up(total, item) for total, item in added]
        joined = [
            [number for item in own for number in item] if shape else own
            for own, shape in zip(kept, given, strict=False)
        ]
        return [*carry, *joined, *totals]

    def _places(self, shared: Sequence[Any]) -> Iterable[int]:
        """Return the rows of the iterations, in order."""
        if self.kind == WHILE and not self.length:
            return itertools.count()
        if self.kind != COUNTED:
            return self.iterations
        count = min(self.length, int(getattr(shared[0], "value", shared[0])))
        return range(count - 1, -1, -1) if self.backwards else range(count)

    @kept
    def work(self) -> int:
        """Roughly how many operations a run takes."""
        own = sum([op.work if isinstance(op, Structural) else len(args) for op, args in self.body.steps])
        return max(1, self.length) * int(own)

    def change(self, **fields: Any) -> Loop:
        """Return the loop with some fields replaced."""
        own = dict(zip(_FIELDS, self._fields(), strict=True))
        return Loop(**own | fields)

    def map_programs(self, rewrite: Callable[[Any], Any]) -> Loop:
        """Return the loop with its inner programs rewritten; their inputs and outputs stay the same."""
        body = rewrite(self.body)
        condition = None if self.condition is None else rewrite(self.condition)
        return (
            self if body is self.body and condition is self.condition else self.change(body=body, condition=condition)
        )

    def programs(self) -> Iterator[Any]:
        """Yield the inner programs."""
        yield self.body
        if self.condition is not None:
            yield self.condition

    def result_at(self, place: int) -> int:
        """Return the number of a result from its place in a trace.

        Places are those of the carry, then of a stacked array and a sum in turn: they stay as they are when a loop is
        made to stack or to sum more.
        """
        if place < self.carry:
            return place
        k, is_sum = divmod(place - self.carry, 2)
        return self.carry + k + (self.stacked if is_sum else 0)

    def place_of(self, result: int) -> int:
        """Return the place of a result in a trace from its number."""
        k = result - self.carry
        if k < 0:
            return result
        return self.carry + (2 * k if k < self.stacked else 2 * (k - self.stacked) + 1)

    def _fields(self) -> tuple[Any, ...]:
        return (*(self.kind, self.body, self.length, self.carry, self.rows, self.sums, self.backwards, self.condition),)

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.body.name}, {self.length} iterations>"

    def __reduce__(self) -> Reduced:
        return unpickled, ("loop", *self._fields())


_FIELDS = ("kind", "body", "length", "carry", "rows", "sums", "backwards", "condition")


_known: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


def _only(program: Any) -> Any:
    """Return the one object that stands for an inner program in all loops, so that passes find what they have seen.

    Else comparing two programs would follow each path through calls of functions that call functions.
    """
    known = _known.setdefault(program, {})
    found = known.get(program.name)
    same = None if found is None else found()
    if same is None:
        known[program.name] = weakref.ref(program)
        return program
    return same


def zeros_of(shape: Shape) -> Any:
    """Return 0, or the list of an array of zeros."""
    return [0.0] * size_of(shape) if shape else 0.0


def add_up(total: Any, item: Any) -> Any:
    """Add numbers, or arrays as lists."""
    return [a + b for a, b in zip(total, item, strict=True)] if type(total) is list else total + item


def row_by_row(array: Sequence[Any], shape: Shape) -> Sequence[Any]:
    """Take an array, as a list, apart into rows of a shape."""
    size = size_of(shape)
    return [array[k : k + size] for k in range(0, len(array), size)] if shape and size else array
