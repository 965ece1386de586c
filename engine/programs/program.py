"""A function as data: a `Program` lists the operations of a function in order.

Every value has a shape: () is that of a number, any other that of an array, which is one value whatever it holds. The
values are the inputs, the constants, and the results of the steps. A step takes and gives whole values; there are

    rows of the table   a number from numbers: ``v3 = v1 × v2``
    loops               an inner program runs on the rows of some arrays, and on other values as they are; it stacks
                        results as the rows of arrays, or sums them (see loop.py)
    View, Place         a part of an array, by start, shape and strides; an array that is put together from parts
    Gather, Scatter     the same for rows, whose places are numbers of the program (see views.py and gathering.py)

and that is all. Who renumbers, shares or drops values need not know what they are, and nobody lists an array's numbers.
`View` and `Place` are each other's derivative, and so are `Gather` and `Scatter`. What users pass and get is nested:
`arguments` and `result` say which value stands where. In them an array is one value if it is `whole`, else each of its
numbers is one.
"""

from __future__ import annotations

import importlib
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..data import Structure, flatten, is_symbolic, unflatten
from ..forking import kept
from ..operations import Primitive
from ..pickling import Reduced, pickled_as, unpickled
from . import file, listing, older_form
from .loop import COUNTED, Loop
from .nested import as_array, in_arrays, values_in_tuple
from .tables import Numbers
from .views import Shape, Structural, elements, size_of

__all__ = ["Program", "Step"]


class Step(NamedTuple):
    """One operation of a program and the numbers of the values that it takes."""

    op: Primitive
    args: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """List the operations of a function in order.

    Values are numbered: inputs first, then constants, then the results of the steps, of which a loop has several.
    Calling a program runs it step by step: that is its meaning, which every backend reproduces. Arguments may hold
    Vars, and then so does the result.

    Attributes:
        names: of the inputs, in order: ``("w[0]", "w[1]", "x")``; a whole array is one.
        constants: what steps take that is known: floats, and arrays as `Numbers`.
        steps: each an operation and the numbers of the values that it takes.
        outputs: the numbers of the values returned, flat.
        arguments: the structure of the arguments, a tuple with one part for each.
        result: the structure of the result.
        name: of the function that was traced.
        closed: the Vars that the function closes over. A call reads them, and derivatives pass on to them; they are
            the last of `arguments`, a tuple, which a file of the program has as any other.

    >>> from chainrule import trace
    >>> program = trace(lambda x, y: x * y + 1.0, 2.0, 3.0)
    >>> print(program)
    lambda(x, y):
        v1 = x × y
        v2 = v1 + 1.0
        return v2
    >>> program(4.0, 5.0), len(program)
    (21.0, 2)
    """

    names: tuple[str, ...]
    constants: tuple[float | Numbers, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    arguments: Structure
    result: Structure
    name: str = "f"
    closed: tuple[Any, ...] = ()

    @kept
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of each input."""
        if not self.arguments.has_whole:
            return ((),) * len(self.names)
        return tuple([leaf.shape for leaf in self.arguments.leaves()])

    @property
    def offset(self) -> int:
        """The number of the first step's value."""
        return len(self.names) + len(self.constants)

    @kept
    def firsts(self) -> tuple[int, ...]:
        """The number of each step's first value."""
        counts = [op.results for op, _ in self.steps]
        return tuple(itertools.accumulate(counts, initial=self.offset))[:-1]

    @kept
    def count(self) -> int:
        """How many values there are."""
        return self.firsts[-1] + self.steps[-1].op.results if self.steps else self.offset

    @kept
    def value_shapes(self) -> list[Shape]:
        """The shape of each value."""
        found = [*self.shapes, *[item.shape if type(item) is Numbers else () for item in self.constants]]
        for op, _ in self.steps:
            found += op.shapes if isinstance(op, Structural) else ((),)
        return found

    @kept
    def output_shapes(self) -> tuple[Shape, ...]:
        """The shape of each output."""
        shapes = self.value_shapes
        return tuple([shapes[k] for k in self.outputs])

    @kept
    def has_loops(self) -> bool:
        """Whether any step is a loop."""
        return any(isinstance(op, Loop) for op, _ in self.steps)

    @kept
    def has_arrays(self) -> bool:
        """Whether any value is an array."""
        return any(self.value_shapes)

    def rows(self) -> Iterator[Primitive]:
        """Yield the row of each step, also of those inside loops, of each inner program once."""
        return (op for op in self.rows_and_loops() if not isinstance(op, Structural))

    def rows_and_loops(self) -> Iterator[Primitive]:
        """Yield the operation of each step, of loops and of those inside them, of each inner program once."""
        seen: set[int] = set()
        waiting = [iter(self.steps)]
        while waiting:
            for op, _ in waiting[-1]:
                yield op
                new = [inner for inner in op.programs() if id(inner) not in seen] if isinstance(op, Loop) else []
                if new:
                    seen.update(map(id, new))
                    waiting += [iter(inner.steps) for inner in reversed(new)]
                    break
            else:
                waiting.pop()

    def __len__(self) -> int:
        return len(self.steps)

    def __call__(self, *args: Any) -> Any:
        given = (*args, self.closed) if self.closed else args
        values, structure = flatten(given, self.name, "args", least=self._least)
        if structure != self.arguments:
            expected, came = self.arguments.in_numbers(), structure.in_numbers()
            if came != expected:
                raise ValueError(f"{self.name} expected arguments like {expected} but got {came}")
            values = in_arrays(values, structure, self.arguments)
        elif structure.has_whole:
            traced = any(map(is_symbolic, values))
            leaves = structure.leaves()
            values = [as_array(x, traced) if leaf.shape else x for x, leaf in zip(values, leaves, strict=True)]
        found = self.run(values)
        return unflatten(self.result, [item.tolist() if type(item) is Numbers else item for item in found])

    @kept
    def _least(self) -> float:
        """The size of the smallest array among the arguments that is one value."""
        return min([size_of(shape) for shape in self.shapes if shape], default=math.inf)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """Return the outputs for inputs: floats, or numbers of any type that rows take, and arrays as lists of them."""
        found = self.values(values)
        return [found[k] for k in self.outputs]

    def values(self, inputs: Sequence[Any]) -> list[Any]:
        """Return all values, in order, for given inputs."""
        values = [*inputs, *self.constants]
        if not any(map(is_symbolic, inputs)):
            values[len(inputs) :] = [item.tolist() if type(item) is Numbers else item for item in self.constants]
        for op, args in self.steps:
            found = op.apply(tuple([values[k] for k in args]))
            values += found if isinstance(op, Loop) else (found,)
        return values

    def renumbered(self, steps: Iterable[Step], new: Sequence[int] | Mapping[int, int], **changes: Any) -> Program:
        """Return the program with other steps and fields; `new` has the new number of each value by its old one."""
        return replace(
            self,
            steps=tuple([Step(op, tuple([new[k] for k in args])) for op, args in steps]),
            outputs=tuple([new[k] for k in self.outputs]),
            **changes,
        )

    def reordered(self, order: Sequence[int]) -> Program:
        """Return the program with its steps in this order of their places, each after those that it takes from."""
        if all(map(operator.eq, order, range(len(order)))):
            return self
        new, count = list(range(self.count)), self.offset
        for place in order:
            first, results = self.firsts[place], self.steps[place].op.results
            new[first : first + results] = range(count, count + results)
            count += results
        return self.renumbered([self.steps[place] for place in order], new)

    def with_lists_apart(self) -> Program:
        """Return the program with a value for each number of a list in its result, where a list is one value."""
        if not any(leaf.parts for leaf in self.result.leaves()):
            return self
        steps, outputs, count = list(self.steps), [], self.count
        for value, leaf in zip(self.outputs, self.result.leaves(), strict=True):
            if not leaf.parts:
                outputs.append(value)
                continue
            steps += [Step(op, (value,)) for op in elements(leaf.shape)]
            outputs += range(count, count + leaf.size)
            count += leaf.size
        return replace(self, steps=tuple(steps), outputs=tuple(outputs), result=self.result.lists_apart())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Program) and hash(self) == hash(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return self._hash

    @kept
    def _hash(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        # In hexadecimal -0.0 differs from 0.0, and nan equals nan.
        constants = tuple([item.hex() if isinstance(item, float) else item for item in self.constants])
        # Rows are themselves: one that was made again has the name of the old one.
        closed = tuple(map(id, self.closed))
        return self.names, constants, tuple(self.steps), self.outputs, self.arguments, self.result, closed

    def __reduce__(self) -> Reduced:
        steps = tuple(map(tuple, self.steps))
        own = self.names, self.constants, steps, self.outputs, self.arguments, self.result, self.name, self.closed
        return unpickled, ("program of arrays", *own)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        return f"<program {self.name}: {len(self.names)} inputs, {len(self.steps)} steps, {len(self.outputs)} outputs>"

    def lines(self) -> Iterator[str]:
        """Yield the listing, one line per step, inner programs of loops indented."""
        yield from listing.lines(self)

    def save(self, path: Any) -> None:
        """Write the program as JSON, which `Program.load` reads; the file appears whole or not at all."""
        file.write(self, path)

    @staticmethod
    def load(path: Any) -> Program:
        """Read a program that `save` wrote; a `ValueError` says where the file is wrong. Nothing in it is executed."""
        program: Program = file.read(path, lambda fields, steps: Program(**fields, steps=tuple(map(Step._make, steps))))
        return program


@pickled_as("program of arrays")
def _program(names: Any, constants: Any, steps: Any, *others: Any) -> Program:
    return Program(names, constants, tuple(map(Step._make, steps)), *others)


@pickled_as("program")
def _older_program(names: Any, constants: Any, steps: Any, outputs: Any, *others: Any) -> Program:
    steps, outputs = older_form.in_arrays(len(names) + len(constants), steps, outputs)
    return _program(names, constants, steps, tuple(outputs), *others)


def flat(program: Program, outputs: Sequence[int]) -> Program:
    """Return the program with other outputs, in a tuple."""
    shapes = program.value_shapes
    return replace(program, outputs=tuple(outputs), result=values_in_tuple([shapes[k] for k in outputs]))


def with_constant(program: Program, number: float) -> tuple[Program, int]:
    """Return the program with a constant, and the number of its value."""
    inputs = len(program.names)
    for place, item in enumerate(program.constants, inputs):
        if type(item) is float and item == number:
            return program, place
    new = [k + (k >= program.offset) for k in range(program.count)]
    return program.renumbered(program.steps, new, constants=(*program.constants, number)), program.offset


def counted(loop: Loop) -> Loop:
    """Return the scan of as many iterations as a number says, which comes before what the loop shares."""
    body, place = loop.body, loop.carry + loop.rows
    shapes = [*body.shapes[:place], (), *body.shapes[place:]]
    names = (*body.names[:place], "iterations", *body.names[place:])
    new = [k + (k >= place) for k in range(body.count)]
    body = body.renumbered(body.steps, new, names=names, arguments=values_in_tuple(shapes))
    return loop.change(kind=COUNTED, body=body, condition=None)
