"""Turn a function into data: `trace` runs it once on symbols and lists what it did as a `Program`.

A `Tracer` stands for a number that is not known yet. Like a computed Var it holds an operation and its arguments, so
that derivatives (`grad`, `hessian`, ...) can be traced too. What it lacks is a value: code that asks for one, as ``if
x > 0`` does, raises `TraceError`.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from . import program_file, table
from .errors import TraceError
from .methods import call_ufunc
from .modes import recording, user_line
from .operators import Operators
from .primitive import Primitive
from .structure import Structure, flatten, unflatten
from .var import Var

__all__ = ["Program", "Step", "Tracer", "trace"]

_births = itertools.count()


class Tracer(Operators):
    """Stand for a number while a function is traced: an input by its name, or the result of an operation."""

    __slots__ = ("args", "birth", "name", "op")
    __apply_rank__ = 3
    __symbolic__ = True
    requires_grad = True  # an input of the trace counts as a Var from outside for derivatives taken inside

    def __init__(self, name: str, op: Primitive | None = None, args: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.op = op
        self.args = args
        self.birth = next(_births)

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Any:
        if row.replay is not None:
            return row.replay(*args)
        # A Var from outside the trace is a constant of it.
        return Tracer("", row, tuple([arg.value if type(arg) is Var else arg for arg in args]))

    @property
    def partials(self) -> Sequence[Any]:
        """The derivative by each argument, as traced expressions."""
        assert self.op is not None
        partials: Sequence[Any] = self.op.partials(self, *self.args)
        return partials

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    # ---- comparisons are operations ----

    def __lt__(self, other: Any) -> Any:
        return table.less(self, other)

    def __le__(self, other: Any) -> Any:
        return table.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return table.less(other, self)

    def __ge__(self, other: Any) -> Any:
        return table.less_equal(other, self)

    def __eq__(self, other: object) -> Any:
        return table.equal(self, other)

    def __ne__(self, other: object) -> Any:
        return table.not_equal(self, other)

    __hash__ = object.__hash__

    # ---- what needs a value ----

    @property
    def value(self) -> float:
        """Raise: it is not known while tracing."""
        self._refuse(".value was read", "compute with the number itself")

    def __bool__(self) -> bool:
        self._refuse(
            "a condition (if, while, and, or, not, min, max) was asked for",
            "write chainrule.where(condition, a, b), maximum or minimum instead",
        )

    def __float__(self) -> float:
        self._refuse("float() or a function of math was called", "call chainrule's functions (chainrule.sin)")

    def __int__(self) -> int:
        self._refuse("int() was called", "use chainrule.floor, trunc or round")

    def __index__(self) -> int:
        self._refuse("it was used as an index or a count", "use chainrule.take(items, index), or pass a plain int")

    def __repr__(self) -> str:
        return f"Tracer({self.name or (self.op.name if self.op else '')})"

    def _refuse(self, what: str, advice: str) -> NoReturn:
        name = f" {self.name}" if self.name else ""
        raise TraceError(f"traced number{name} has no value yet, but {what} at {user_line()}; {advice}")


class Step(NamedTuple):
    """Hold one operation of a program and the numbers of the values that it takes."""

    op: Primitive
    args: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """List the operations of a function in order.

    Values are numbered: inputs first, then constants, then the results of the steps. Calling a program runs it step
    by step: that is its meaning, which every backend reproduces. Arguments may hold Vars, and then so does the result.

    Attributes:
        names: of the inputs, flat, in order: ``("w[0]", "w[1]", "x")``.
        constants: the plain numbers that steps take.
        steps: each a row of the table and the numbers of its arguments.
        outputs: the numbers of the values returned, flat.
        arguments: the structure of the arguments, a tuple with one part for each.
        result: the structure of the result.
        name: of the function that was traced.

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
    constants: tuple[float, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    arguments: Structure
    result: Structure
    name: str = "f"

    @property
    def offset(self) -> int:
        """The number of the first step's value."""
        return len(self.names) + len(self.constants)

    def __len__(self) -> int:
        return len(self.steps)

    def __call__(self, *args: Any) -> Any:
        numbers, structure = flatten(args, self.name, "args")
        if structure != self.arguments:
            raise ValueError(f"{self.name} expected arguments like {self.arguments} but got {structure}")
        return unflatten(self.result, self.run(numbers))

    def run(self, numbers: Sequence[Any]) -> list[Any]:
        """Return the flat outputs for flat inputs: floats, or numbers of any type that rows take."""
        values = [*numbers, *self.constants]
        for op, args in self.steps:
            values.append(op.apply(tuple([values[k] for k in args])))
        return [values[k] for k in self.outputs]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        # In hexadecimal -0.0 differs from 0.0, and nan equals nan.
        constants = tuple([number.hex() for number in self.constants])
        steps = tuple([(step.op.name, step.args) for step in self.steps])
        return self.names, constants, steps, self.outputs, self.arguments, self.result

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<program {self.name}: {len(self.names)} inputs, {len(self.steps)} steps, {len(self.outputs)} outputs>"

    def lines(self) -> Iterator[str]:
        """Yield the listing, a step a line."""
        words = [*self.names, *map(repr, self.constants)]
        yield f"{self.name}({', '.join(_parameters(self))}):"
        for place, (op, args) in enumerate(self.steps, 1):
            words.append(f"v{place}")
            yield f"    v{place} = {_expression(op, [words[k] for k in args])}"
        yield f"    return {_result(self.result, iter([words[k] for k in self.outputs]))}"

    def save(self, path: Any) -> None:
        """Write the program as JSON, which `Program.load` reads; the file appears whole or not at all."""
        program_file.write(self, path)

    @staticmethod
    def load(path: Any) -> Program:
        """Read a program that `save` wrote; `ValueError` says where the file is not one. Nothing in it is executed."""
        fields = program_file.read(path)
        return Program(**fields | {"steps": tuple([Step(op, args) for op, args in fields["steps"]])})


def trace(f: Callable[..., Any], *examples: Any) -> Program:
    """Run `f` once on symbols in place of numbers and return what it did as a `Program`.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts or arrays of them. Loops unroll; a condition on a
            traced number raises `TraceError` (use `where`). Vars that `f` closes over are constants of the program.
        examples: arguments; only their structure matters.

    >>> from chainrule import grad, tanh, trace
    >>> print(trace(grad(lambda x: tanh(x)), 1.0))
    lambda(x):
        v1 = pos(x)
        v2 = sech²(v1)
        return v2
    """
    _, structure = flatten(examples, "trace", "examples")
    names = input_names(f, structure)
    inputs = [Tracer(name) for name in names]
    with recording():
        result = f(*unflatten(structure, inputs))
    if result is None:
        raise TypeError(f"trace expected {function_name(f)} to return a number but got None; is a return missing?")
    outputs, shape = flatten(result, "trace", f"the result of {function_name(f)}")
    return listed(function_name(f), inputs, outputs, structure, shape)


def function_name(f: Callable[..., Any]) -> str:
    """Name a function for listings and messages."""
    return getattr(f, "__name__", type(f).__name__).strip("<>")


def listed(
    name: str, inputs: Sequence[Tracer], outputs: Sequence[Any], arguments: Structure, result: Structure
) -> Program:
    """Number everything that the outputs need, in the order in which it was computed."""
    known = {id(tracer) for tracer in inputs}
    needed: list[Tracer] = []
    stack = [item for item in outputs if type(item) is Tracer]
    constants: dict[str, float] = {}
    while stack:
        tracer = stack.pop()
        if id(tracer) in known:
            continue
        if tracer.op is None:
            raise TraceError(f"trace expected a result of {name}'s own arguments but got {tracer!r} of another trace")
        known.add(id(tracer))
        needed.append(tracer)
        stack.extend([arg for arg in tracer.args if type(arg) is Tracer])
    needed.sort(key=lambda tracer: tracer.birth)
    for number in itertools.chain((arg for tracer in needed for arg in tracer.args), outputs):
        if type(number) is not Tracer:
            plain = _plain(number)
            constants.setdefault(plain.hex(), plain)
    place = {id(tracer): k for k, tracer in enumerate(inputs)}
    of_constant = {key: len(inputs) + k for k, key in enumerate(constants)}

    def number_of(item: Any) -> int:
        return place[id(item)] if type(item) is Tracer else of_constant[_plain(item).hex()]

    steps = []
    for k, tracer in enumerate(needed, len(inputs) + len(constants)):
        assert tracer.op is not None
        steps.append(Step(tracer.op, tuple([number_of(arg) for arg in tracer.args])))
        place[id(tracer)] = k
    chosen = tuple([number_of(item) for item in outputs])
    names = tuple([tracer.name for tracer in inputs])
    return Program(names, tuple(constants.values()), tuple(steps), chosen, arguments, result, name)


def _plain(number: Any) -> float:
    value: float = number.value if type(number) is Var else number
    return value if value == value else math.nan


def input_names(f: Callable[..., Any], structure: Structure) -> list[str]:
    """Name every number of the arguments, as the function's signature does."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for position, part in enumerate(structure.parts):
        plain = position < len(parameters) and parameters[position].kind is not inspect.Parameter.VAR_POSITIONAL
        names += _names(parameters[position].name if plain else f"x{position}", part)
    return names


def _names(name: str, structure: Structure) -> Iterator[str]:
    if structure.kind == "number":
        yield name
    elif structure.kind == "array":
        for place in itertools.product(*map(range, structure.shape)):
            yield f"{name}[{','.join(map(str, place))}]"
    else:
        keys = map(repr, structure.keys) if structure.kind == "dict" else map(str, range(len(structure.parts)))
        for key, part in zip(keys, structure.parts, strict=True):
            yield from _names(f"{name}[{key}]", part)


def _parameters(program: Program) -> Iterator[str]:
    names = iter(program.names)
    for part in program.arguments.parts:
        own = [next(names) for _ in range(part.size)]
        yield own[0] if part.kind == "number" else f"{own[0].split('[')[0] if own else '_'}: {part}"


_INFIX = {"add", "sub", "mul", "div", "pow", "remainder", "floor_divide", "less", "less_equal", "equal", "not_equal"}


def _expression(op: Primitive, words: Sequence[str]) -> str:
    if op.name in _INFIX:
        return f"{words[0]} {op.symbol} {words[1]}"
    if op.name == "neg":
        return f"−{words[0]}"
    symbol = op.name if "x" in op.symbol else op.symbol
    return f"{symbol if len(symbol) > 1 or symbol.isalpha() else op.name}({', '.join(words)})"


def _result(structure: Structure, words: Iterator[str]) -> str:
    if structure.kind == "number":
        return next(words)
    if structure.kind == "array":
        return f"array{list(structure.shape)}({', '.join(next(words) for _ in range(structure.size))})"
    parts = [_result(part, words) for part in structure.parts]
    if structure.kind == "dict":
        return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(structure.keys, parts, strict=True)) + "}"
    inside = ", ".join(parts)
    return f"[{inside}]" if structure.kind == "list" else f"({inside}{',' if len(parts) == 1 else ''})"
