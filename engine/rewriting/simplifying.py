"""Simplify programs: each pass takes a `Program` and returns a cheaper one with the same values and derivatives.

    share      equal steps once
    fold       steps on constants alone are constants
    simplify   identities that hold for every double, nan, inf and signed zero included
    optimise   these three together, then drops steps that no output needs

`values_only` keeps values, not derivatives: it is for what goes to a backend.
"""

from __future__ import annotations

import math

from ..operations import Primitive, table
from ..programs import Builder, Loop, Program, Rule, View, drop, rewrite

__all__ = ["fold", "optimise", "share", "simplify", "values_only"]


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
    """Share, fold and simplify, then drop what is not needed."""

    def rule(builder: Builder, op: Primitive, args: tuple[int, ...]) -> int:
        return _simplify(builder, op, args, _fold)

    return drop(rewrite(program, rule))


def _simplify(builder: Builder, op: Primitive, args: tuple[int, ...], step: Rule = Builder.step) -> int:
    """Return the value of a step, by an identity if one applies."""
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
    """Return whether a value is 0 or 1, and never varies smoothly."""
    made = builder.step_of(place)
    return made is not None and made.op.compares


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


def values_only(program: Program) -> Program:
    """Remove what matters to derivatives only: `stop_gradient`."""
    if not _stops(program, set()):
        return program

    def rule(builder: Builder, op: Primitive, args: tuple[int, ...]) -> int:
        return args[0] if op is table.stop_gradient else builder.step(op, args)

    return drop(rewrite(program, rule, values_only=True))


def _stops(program: Program, seen: set[int]) -> bool:
    """Return whether derivatives stop anywhere in a program; `seen` has the inner ones where they do not."""
    for op, _ in program.steps:
        if op is table.stop_gradient or (isinstance(op, View) and op.stops):
            return True
        if isinstance(op, Loop):
            for inner in op.programs():
                if id(inner) not in seen and _stops(inner, seen):
                    return True
    seen.add(id(program))
    return False
