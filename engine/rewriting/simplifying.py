"""Rewrite programs: each pass takes a `Program` and returns one with the same values and derivatives, only cheaper.

    share      equal steps once
    fold       steps on constants alone are constants
    simplify   identities that hold for every double, nan, inf and signed zero included
    drop       steps that no output needs
    hoist      steps that depend on shared arguments only come first
    optimise   the first four together

`values_only` and `relax` keep values, not derivatives: they are for what goes to a backend.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..operations import table
from ..operations.primitive import PRIMITIVES, Primitive
from ..programs.loop import WHILE, Loop
from ..programs.program import Program, Step
from ..programs.pruning import drop

__all__ = ["drop", "fold", "hoist", "optimise", "relax", "share", "simplify", "values_only", "varying"]

# Addition and multiplication of floats commute bit for bit, but for which of two nans comes out.
_COMMUTATIVE = {"add", "mul", "strong_mul", "maximum", "minimum", "equal", "not_equal"}


class Builder:
    """Build a program step by step, with equal steps and equal constants once.

    Values have numbers of the builder's own, given as they come; `finish` numbers them as a `Program` does.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        # The results of a loop after the first stand as None behind it.
        self.made: list[float | Step | None] = []
        self._constants: dict[int, float] = {}  # by where they stand in `made`
        self._steps: list[Step] = []
        self._known: dict[tuple[object, ...], int] = {}

    def constant(self, number: float) -> int:
        """Return the value that is this number."""
        return self._number((number.hex(),), number)

    def step(self, op: Primitive, args: tuple[int, ...]) -> int:
        """Return the value of an operation; of a loop the first, others have the numbers that follow."""
        key = tuple(sorted(args)) if op.name in _COMMUTATIVE else args
        return self._number((op, key), Step(op, args))

    def _number(self, key: tuple[object, ...], item: float | Step) -> int:
        place = self._known.get(key)
        if place is None:
            place = self._known[key] = self.inputs + len(self.made)
            if isinstance(item, Step):
                self._steps.append(item)
            else:
                self._constants[len(self.made)] = item
            self.made.append(item)
            if isinstance(item, Step) and item.op.results != 1:
                self.made += [None] * (item.op.results - 1)
        return place

    def constant_of(self, place: int) -> float | None:
        """Return the number that a value is, None where it is not a constant."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, float) else None

    def step_of(self, place: int) -> Step | None:
        """Return the operation that made a value, None for inputs, constants and what loops give."""
        item = self.made[place - self.inputs] if place >= self.inputs else None
        return item if isinstance(item, Step) and not isinstance(item.op, Loop) else None

    def finish(self, program: Program, outputs: Sequence[int]) -> Program:
        """Return what was built, with names and structures of `program`."""
        inputs, constants = self.inputs, self._constants
        place = list(range(inputs))
        done, before = inputs + len(constants), 0
        # Constants are numbered first; what stands between two of them keeps its order.
        for rank, k in enumerate([*constants, len(self.made)]):
            place += range(done, done + k - before)
            done, before = done + k - before, k + 1
            place.append(inputs + rank)
        return replace(
            program,
            constants=tuple(constants.values()),
            steps=tuple([Step(op, tuple([place[k] for k in args])) for op, args in self._steps]),
            outputs=tuple([place[k] for k in outputs]),
        )


Rule = Callable[[Builder, Primitive, tuple[int, ...]], int]


def rewrite(program: Program, rule: Rule) -> Program:
    """Return the program that `rule` makes of each step in turn, also of those of inner programs."""
    return _rewrite(program, rule, {})


def _rewrite(program: Program, rule: Rule, known: dict[int, tuple[Program, Program]]) -> Program:
    builder = Builder(len(program.names))
    values = list(range(len(program.names)))
    values += [builder.constant(number) for number in program.constants]

    def inner(body: Program) -> Program:
        # An inner program that stands in many places is rewritten once; it is kept so that its id stays its own.
        if id(body) not in known:
            known[id(body)] = (body, _rewrite(body, rule, known))
        return known[id(body)][1]

    for op, args in program.steps:
        places = tuple([values[k] for k in args])
        if isinstance(op, Loop):
            first = builder.step(op.map_programs(inner), places)
            values += range(first, first + op.results)
        else:
            values.append(rule(builder, op, places))
    return builder.finish(program, [values[k] for k in program.outputs])


def share(program: Program) -> Program:
    """Compute equal steps once."""
    return rewrite(program, Builder.step)


def fold(program: Program) -> Program:
    """Replace steps on constants by their values."""
    return rewrite(program, lambda builder, op, args: _fold(builder, op, args))


def _fold(builder: Builder, op: Primitive, args: tuple[int, ...]) -> int:
    numbers = [builder.constant_of(k) for k in args]
    # A row of the user's may stand where it is not to run.
    if op.custom or any(number is None for number in numbers):
        return builder.step(op, args)
    value = op.evaluate(*numbers)
    return builder.constant(value if value == value else math.nan)


def simplify(program: Program) -> Program:
    """Apply identities that change neither values nor derivatives (a gradient of 0 may change its sign)."""
    return rewrite(program, _simplify)


def optimise(program: Program) -> Program:
    """Share, fold and simplify, then drop what nobody needs."""

    def rule(builder: Builder, op: Primitive, args: tuple[int, ...]) -> int:
        return _simplify(builder, op, args, _fold)

    return drop(rewrite(program, rule))


def _simplify(builder: Builder, op: Primitive, args: tuple[int, ...], step: Rule = Builder.step) -> int:
    """Return the value of a step, by an identity where one fits."""
    if op is table.pos:
        return args[0]
    if len(args) == 1:
        inner = builder.step_of(args[0])
        if op is table.neg and inner is not None and inner.op is table.neg:
            return inner.args[0]
        # A sum starts at 0.0, so that one of -0.0 is 0.0.
        return (
            step(builder, table.add, (args[0], builder.constant(0.0))) if op is table.sum else step(builder, op, args)
        )
    if op is table.where:
        return _choose(builder, args, step)
    identity = _IDENTITIES.get(op.name)
    found = identity(builder, *args, step) if identity is not None and len(args) == 2 else None
    return step(builder, op, args) if found is None else found


def _choose(builder: Builder, args: tuple[int, ...], step: Rule) -> int:
    condition, x, y = args
    known = builder.constant_of(condition)
    if known is not None:
        return x if known else y
    if x == y:
        return x
    if _is_flag(builder, condition) and builder.constant_of(x) == 1.0 and _is_plus_zero(builder, y):
        return condition
    return step(builder, table.where, args)


def _is_flag(builder: Builder, place: int) -> bool:
    """Tell whether a value is 0 or 1, and never varies smoothly."""
    made = builder.step_of(place)
    return made is not None and made.op in (table.less, table.less_equal, table.equal, table.not_equal)


def _is_plus_zero(builder: Builder, place: int) -> bool:
    number = builder.constant_of(place)
    return number == 0.0 and math.copysign(1.0, number) == 1.0


def _add(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    for one, other in ((x, y), (y, x)):
        number, made = builder.constant_of(other), builder.step_of(other)
        if number == 0.0 and math.copysign(1.0, number) < 0:
            return one
        if made is not None and made.op is table.neg:
            return step(builder, table.sub, (one, made.args[0]))
    return None


def _sub(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    made = builder.step_of(y)
    if made is not None and made.op is table.neg:
        return step(builder, table.add, (x, made.args[0]))
    return x if _is_plus_zero(builder, y) else None


def _mul(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    for one, other in ((x, y), (y, x)):
        number = builder.constant_of(other)
        if number == 1.0:
            return one
        if number == -1.0:
            return _simplify(builder, table.neg, (one,), step)
    return None


def _strong_mul(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    for one, other in ((x, y), (y, x)):
        number = builder.constant_of(other)
        if number == 0.0:
            return builder.constant(0.0)
        if number is not None and math.isfinite(number):
            return _simplify(builder, table.mul, (one, other), step)
        if _is_flag(builder, other):
            return _choose(builder, (other, one, builder.constant(0.0)), step)
        made = builder.step_of(other)
        if made is not None and made.op is table.where:
            branches = [builder.constant_of(k) for k in made.args[1:]]
            if all(branch is not None and math.isfinite(branch) for branch in branches):
                # Each branch of the product is one factor, or 0, or a plain product.
                chosen = [_strong_mul(builder, one, k, step) for k in made.args[1:]]
                if chosen[0] is not None and chosen[1] is not None:
                    return _choose(builder, (made.args[0], chosen[0], chosen[1]), step)
    return None


def _div(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    number = builder.constant_of(y)
    if number is None or not math.isfinite(number) or math.frexp(number)[0] not in (0.5, -0.5):
        return None
    # The reciprocal of a power of two is exact, unless it is beyond the normal doubles.
    if not 2.0**-1000 < abs(number) < 2.0**1000:
        return None
    return _simplify(builder, table.mul, (x, builder.constant(1.0 / number)), step)


def _pow(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    number = builder.constant_of(y)
    if number == 0.0:
        return builder.constant(1.0)
    if number == 1.0:
        return x
    if number == -1.0:
        return step(builder, table.div, (builder.constant(1.0), x))
    if number in (2.0, 3.0, 4.0):
        squared = step(builder, table.square, (x,))
        return squared if number == 2.0 else step(builder, table.mul, (squared, x if number == 3.0 else squared))
    return None


def _dot(builder: Builder, x: int, y: int, step: Rule) -> int | None:
    return step(builder, table.add, (_simplify(builder, table.mul, (x, y), step), builder.constant(0.0)))


_IDENTITIES = {"add": _add, "sub": _sub, "mul": _mul, "strong_mul": _strong_mul, "div": _div, "pow": _pow, "dot": _dot}


def varying(program: Program, batched: Sequence[bool]) -> bytearray:
    """Tell of each value whether it depends on an argument that carries a batch."""
    found = bytearray()
    for part, flag in zip(program.arguments.parts, batched, strict=True):
        found += bytes([flag]) * part.size
    found += bytes(len(program.constants))
    for op, args in program.steps:
        found += bytes([any(map(found.__getitem__, args))]) * op.results
    return found


def hoist(program: Program, batched: Sequence[bool]) -> Program:
    """Bring the steps that depend on shared arguments only before all others."""
    varies, firsts = varying(program, batched), program.firsts
    order = sorted(range(len(program.steps)), key=lambda place: varies[firsts[place]])
    new = list(range(program.count))
    count = program.offset
    for place in order:
        first, results = firsts[place], program.steps[place].op.results
        new[first : first + results] = range(count, count + results)
        count += results
    steps = [program.steps[place] for place in order]
    return replace(
        program,
        steps=tuple([Step(op, tuple([new[k] for k in args])) for op, args in steps]),
        outputs=tuple([new[k] for k in program.outputs]),
    )


def values_only(program: Program) -> Program:
    """Forget what matters to derivatives alone: `stop_gradient`."""

    def rule(builder: Builder, op: Primitive, args: tuple[int, ...]) -> int:
        return args[0] if op is table.stop_gradient else builder.step(op, args)

    return drop(rewrite(program, rule))


def relax(program: Program) -> Program:
    """Make plain products of strong ones where a difference would show as nan in an output.

    A strong product is 0 where a factor is; a plain one differs from it only where the other factor is nan or
    infinite, and is nan there. Where every operation from there on passes a nan on, whoever finds no nan in the outputs
    has the strong result; who finds one has to run the program itself. Products that reach a comparison, or another
    operation that can hide a nan, stay as they are.
    """
    return _relaxed(program, bytes([1]) * len(program.outputs))[0]


def _relaxed(program: Program, seen: Sequence[int]) -> tuple[Program, bytearray]:
    """Relax a program of which some outputs are `seen`; tell of each input whether a nan in it would be, too."""
    shows = bytearray(b"\1" * program.count)
    for k, flag in zip(program.outputs, seen, strict=True):
        shows[k] &= flag
    steps = list(program.steps)
    for place in range(len(steps) - 1, -1, -1):
        (op, args), first = steps[place], program.firsts[place]
        if isinstance(op, Loop):
            op, flags = _relaxed_loop(op, shows[first : first + op.results])
            steps[place] = Step(op, args)
            for k, flag in zip(args, flags, strict=True):
                shows[k] &= flag
            continue
        if op is table.strong_mul and shows[first]:
            steps[place] = Step(table.mul, args)
        for position, k in enumerate(args):
            if not (shows[first] and passes_nan(op, position)):
                shows[k] = 0
    return replace(program, steps=tuple(steps)), shows[: len(program.names)]


def _relaxed_loop(loop: Loop, seen: bytearray) -> tuple[Loop, bytes]:
    """Relax a loop of which some results are `seen`; tell of each argument whether a nan in it would be."""
    carry, rows, length = loop.carry, loop.rows, loop.length
    end = carry + length * loop.stacked
    outputs = bytearray(seen[:carry])
    outputs += bytes([min(seen[carry + j : end : loop.stacked], default=1) for j in range(loop.stacked)]) + seen[end:]
    if loop.kind == WHILE:
        # A nan in what the condition reads can end the loop too early.
        return loop, bytes(loop.arity)
    while True:
        body, inputs = _relaxed(loop.body, outputs)
        # A nan in a carried number is seen at the end, or by way of the next iteration.
        fewer = bytes(map(min, outputs[:carry], inputs[:carry]))
        if fewer == outputs[:carry]:
            break
        outputs[:carry] = fewer
    shared = inputs[carry + rows :]
    return loop.change(body=body), bytes(inputs[:carry] + inputs[carry : carry + rows] * length + shared)


def passes_nan(op: Primitive, position: int) -> bool:
    """Tell whether a nan at this argument always comes out as nan, or as what it stands for.

    The branches of `where` count: one not taken has no effect. So do the factors of a strong product: where the other
    factor is 0, the result is 0 either way.
    """
    if op is table.where:
        return position > 0
    if op in (table.sum, table.mean, table.dot, table.strong_mul):
        return True
    return PRIMITIVES.get(op.name) is op and not op.custom and _found_to_pass_nan(op.name, position)


@functools.cache
def _found_to_pass_nan(name: str, position: int) -> bool:
    op = PRIMITIVES[name]
    if op in (table.norm, table.logsumexp, table.stop_gradient) or name.startswith(("less", "equal", "not_equal")):
        return op is table.stop_gradient
    edges = (0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 3.0, math.inf, -math.inf)
    for others in itertools.product(edges, repeat=op.arity - 1):
        value = op.evaluate(*others[:position], math.nan, *others[position:])
        if value == value:
            return False
    return True
