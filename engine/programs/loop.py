"""A loop as data: a `Loop` is an operation that runs an inner program several times, in one step.

Four kinds are one class. Its arguments come as carried numbers, a row of numbers for each iteration, and numbers that
all iterations share; the inner program takes ``(*carry, *row, *shared)`` and returns ``(*carry, *stacked, *summed)``.
A map carries nothing, so its iterations may run in any order; a call is a map of one iteration; a while loop has no
rows, and a condition that says whether to go on. A while loop of at most one iteration is a branch: it replaces its
carry where the condition holds, and runs nothing where it does not. `cond` and `switch` are one such loop for each
function, one after another, so all that runs, differentiates or stores while loops serves branches.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..forking import kept
from ..operations import Primitive
from ..pickling import pickled_as, unpickled

CALL, MAP, SCAN, WHILE = "call", "map", "scan", "while"
KINDS = (CALL, MAP, SCAN, WHILE)


@pickled_as("loop")
class Loop(Primitive):
    """Run an inner program for each row of numbers.

    Args:
        kind: "call", "map", "scan" or "while".
        body: the inner `Program`; all it needs are its inputs.
        length: how many iterations; of a while loop at most, 0 for any number.
        carry: how many numbers one iteration hands to the next.
        rows: how many numbers each iteration has for itself.
        sums: how many of the body's last outputs are summed over the iterations; what stands between carry and
            sums is stacked.
        backwards: whether the last iteration comes first (its rows and results keep their places).
        condition: of a while loop, the program of ``(*carry, *shared)`` that is not 0 while it goes on.

    Its arguments are the carry, then one row after another, then what is shared; its results the carry at the end, then
    the stacked rows, then the sums.
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
        self.kind = self.name = self.__name__ = kind
        self.is_branch = kind == WHILE and length == 1
        self.symbol = f"{'when' if self.is_branch else kind} {body.name}{f' × {length}' if length != 1 else ''}"
        self.body, self.length, self.condition, self.backwards = body, length, condition, backwards
        self.carry, self.rows, self.sums = carry, rows, sums
        self.shared = len(body.names) - carry - rows
        self.stacked = len(body.outputs) - carry - sums
        self.arity = carry + length * rows + self.shared
        self.results = carry + length * self.stacked + sums
        self.custom, self.replay, self.record, self.fast, self.fast_type = False, None, None, None, None
        self.__doc__ = f"Run {body.name}."

    @property
    def iterations(self) -> range:
        """The order of the rows."""
        return range(self.length - 1, -1, -1) if self.backwards else range(self.length)

    def apply(self, args: tuple[Any, ...]) -> list[Any]:
        """Return the results: in one step if a number's type supports that, as traced ones do, else one by one.

        Of several such types the one of the highest rank stands for the result: a series takes traced numbers as
        coefficients, and no traced number can hold a series.
        """
        kinds = [kind for kind in set(map(type, args)) if hasattr(kind, "__apply_loop__")]
        if not kinds:
            return self.unroll(args)
        taker: Any = max(kinds, key=operator.attrgetter("__apply_rank__"))
        found: list[Any] = taker.__apply_loop__(self, args)
        return found

    def unroll(self, args: Sequence[Any]) -> list[Any]:
        """Run the iterations one after another on numbers of any type."""
        first, rows, stacked = self.carry, self.rows, self.stacked
        carry, shared = list(args[:first]), list(args[first + self.length * rows :])
        if self.kind == WHILE:
            return self._repeat(carry, shared)
        kept: list[list[Any]] = [[] for _ in range(self.length)]
        totals: list[Any] = [0.0] * self.sums
        for k in self.iterations:
            found = self.body.run([*carry, *args[first + k * rows : first + (k + 1) * rows], *shared])
            carry, kept[k] = found[:first], found[first : first + stacked]
            totals = [total + number for total, number in zip(totals, found[first + stacked :], strict=True)]
        return [*carry, *[number for row in kept for number in row], *totals]

    def _repeat(self, carry: list[Any], shared: list[Any]) -> list[Any]:
        count = 0
        while (not self.length or count < self.length) and self.condition.run([*carry, *shared])[0]:
            carry = self.body.run([*carry, *shared])
            count += 1
        return carry

    @property
    def columns(self) -> list[int]:
        """The output of the body that each result comes from."""
        stacked = range(self.carry, self.carry + self.stacked)
        return [*range(self.carry), *[*stacked] * self.length, *range(stacked.stop, stacked.stop + self.sums)]

    @kept
    def work(self) -> int:
        """Roughly how many operations a run takes."""
        own = sum([op.work if isinstance(op, Loop) else len(args) for op, args in self.body.steps])
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

    def column(self, args: Sequence[Any], row: int) -> Sequence[Any]:
        """Return the argument that one number of the row is in each iteration."""
        return args[self.carry + row : self.carry + self.length * self.rows : self.rows]

    def result_at(self, place: int) -> int:
        """Return the number of a result from its place in a trace: carry, sums, then the stacked columns in turn.

        These places stay as they are when a loop is made to stack more in each row.
        """
        if place < self.carry:
            return place
        if place < self.carry + self.sums:
            return place + self.length * self.stacked
        column, row = divmod(place - self.carry - self.sums, self.length)
        return self.carry + row * self.stacked + column

    def name_of(self, position: int) -> str:
        """Name one argument, for messages."""
        return f"number {position}"

    def _fields(self) -> tuple[Any, ...]:
        return (*(self.kind, self.body, self.length, self.carry, self.rows, self.sums, self.backwards, self.condition),)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Loop) and hash(self) == hash(other) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return self._hash

    @kept
    def _hash(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.body.name}, {self.length} iterations>"

    def __reduce__(self) -> Any:
        return unpickled, ("loop", *self._fields())


_FIELDS = ("kind", "body", "length", "carry", "rows", "sums", "backwards", "condition")
