"""Write loops that stay loops: `function`, `map`, `scan`, `while_loop` and `fori_loop` are each one step of a program.

On floats and Vars they are ordinary Python loops, whose items and carries are floats or Vars, as they are in a trace,
whatever small or whole numbers come in. While `trace` or `compile` runs, the body is traced once, and the
program holds it as an inner program, so that compiling takes as long as the code is, not as long as it runs. Names and
the order of arguments are those of JAX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from ..data import NONE, NUMBER, Structure, flatten, unflatten, whole_number
from ..errors import describe
from ..graph import recording, session
from ..operations import table
from ..programs import (
    CALL,
    MAP,
    SCAN,
    WHILE,
    ArrayTracer,
    Loop,
    Part,
    counted,
    function_name,
    is_unrecorded,
    made_of_function,
    positional,
    size_of,
    traced,
    values_in,
    whole,
)
from .bodies import Body, any_traced, as_step, holds_traced, seen, short, shown_as, unchanging
from .carries import Carry
from .checkpoints import checkpointed
from .eager import map_eagerly, mean, pair, scan_eagerly, while_eagerly
from .leading_axis import Items, stack

__all__ = ["fori_loop", "function", "map", "scan", "while_loop"]

F = TypeVar("F", bound=Callable[..., Any])
_PAIR = Structure("tuple", (NUMBER, NUMBER))


@made_of_function
def function(f: F) -> F:
    """Return `f` as one step of a traced program, traced once for each structure of its arguments.

    Outside of a trace nothing changes. What the body does must depend on its arguments, and on traced numbers that it
    closes over, alone.

    >>> from chainrule import grad, tanh, trace
    >>> @function
    ... def squash(x):
    ...     return tanh(x) * x
    >>> print(trace(lambda a, b: squash(a) + squash(b), 1.0, 1.0))
    lambda(a, b):
        v1 = call squash with a:
            squash(x):
                v1 = tanh(x)
                v2 = v1 × x
                return v2
        v2 = call squash with b
        v3 = v1 + v2
        return v3
    >>> grad(squash)(0.0)
    0.0
    """
    known: dict[tuple[int, bool, Structure], Body] = {}

    def called(*args: Any, **named: Any) -> Any:
        if named:
            args = positional(f, args, named, function_name(f))
        if not holds_traced(args):
            return f(*args)
        numbers, structure = values_in(args, function_name(f), "args")
        # Another trace may find other numbers in the closure; within no_grad the body has no derivative.
        key = (session.number, is_unrecorded(), structure)
        body = known.get(key)
        if body is None:
            body = Body("function", unchanging(f), structure)
            body.finish(body.numbers)
            if not body.lifted:
                if known and next(iter(known))[0] != session.number:
                    known.clear()
                known[key] = body
        loop = Loop(CALL, body.program, 1, 0, 0, 0)
        return shown_as(body.result, loop.apply((*numbers, *body.lifted)))

    return cast(F, called)


def map(f: Callable[..., Any], xs: Any, *shared: Any, reduce: str | None = None, length: Any = None) -> Any:
    """Return ``f(x, *shared)`` for each x along the leading axis of `xs`; iterations may run in any order.

    Args:
        f: a function of numbers or nested structures of them; its results must all have one structure.
        xs: a list of items, an array, or a tuple or dict of these with one length. In a trace an array is taken whole,
            row by row, where a list is looked at item by item.
        shared: what every iteration gets as it is.
        reduce: "sum" or "mean" adds each number of the result over the items.
        length: a number, which may be traced: only so many of the first items take part. Results of the others are 0,
            and nothing is computed for them. As for `scan`.

    In a trace `f` runs once, or twice where its arrays are better kept whole (see `bodies.short`), so it should only
    return what it computes.

    Results are stacked as `xs` is: where `f` returns a tuple or dict, a tuple or dict of what its parts give;
    else a list of the results, or an array where `xs` holds arrays.

    >>> map(lambda x, w: w * x, [1.0, 2.0, 3.0], 10.0)
    [10.0, 20.0, 30.0]
    >>> map(lambda x: (x, x * x), [1.0, 2.0], reduce="sum")
    (3.0, 5.0)
    >>> from chainrule import trace
    >>> print(trace(lambda w: map(lambda x: w * x, [1.0, 2.0]), 3.0))
    lambda(w):
        v1 = map lambda × 2 over 1.0, 2.0 with w:
            lambda(x, w):
                v1 = w × x
                return v1
        return [v1[0], v1[1]]
    """
    if reduce not in (None, "sum", "mean"):
        raise ValueError(f'map expected reduce to be None, "sum" or "mean" but got {describe("reduce", reduce)}')
    items = Items(xs, "map", f, length)
    if not items.traced and not holds_traced(shared):
        given, structure = flatten(shared, "map", "shared", least=1)
        found = map_eagerly(f, items, unflatten(structure, given), reduce)
        if found is not None:
            return found[0]
    item, columns = items.columns()

    def own() -> tuple[Body, list[Any]]:
        given, structure = values_in(shared, "map", "shared")
        body = Body("map", f, Structure("tuple", (item, *structure.parts)), truths=items.truths)
        body.finish(body.numbers)
        return body, given

    body, given = short(own)
    sums = len(body.numbers) if reduce else 0
    values = repeated(items, MAP, body, 0, columns, [*given, *body.lifted], sums)
    if reduce is None:
        return stack(body.result, values, items.count, items.arrays)
    return shown_as(
        body.result,
        values if reduce == "sum" else [_each(mean, value, items.length) for value in values],
    )


def scan(
    f: Callable[..., Any],
    carry: Any,
    xs: Any,
    *shared: Any,
    length: Any = None,
    reverse: bool = False,
    checkpoint: int = 0,
) -> tuple[Any, Any]:
    """Return the carry at the end and the stacked results of ``carry, y = f(carry, x, *shared)`` for each x of `xs`.

    Args:
        f: returns a pair: a carry of the same structure, and a result of any structure, or None.
        carry: what the first iteration gets.
        xs: as for `map`; None, with `length`, for iterations that have nothing of their own.
        shared: what every iteration gets as it is.
        length: how many of the first items take part; a traced number where samples of a batch differ. What is stacked
            for the others is 0, and nothing is computed for them. `ValueError` for a number that is known and not a
            whole one from 0 to the number of items; of one that is not known yet the whole part counts, below 0 it
            counts as 0, above the number of items as that, and nan as 0. No derivative passes it.
        reverse: begin with the last x; results keep the place of their x.
        checkpoint: levels of recomputation for derivatives in reverse of the compiled program. With 0 the carry of
            every iteration is kept; with 1 about the square root of their number, and the rest computed again; with k
            about the (k+1)-th root. Worth it where the carries of all iterations are more than memory holds well.

    >>> scan(lambda total, x: (total + x, total * x), 0.0, [1.0, 2.0, 3.0])
    (6.0, [0.0, 2.0, 9.0])
    >>> scan(lambda total, x: (total + x, total * x), 0.0, [1.0, 2.0, 3.0], length=2)
    (3.0, [0.0, 2.0, 0.0])
    """
    checkpoint = whole_number("scan", "checkpoint", checkpoint, 0, "whole number of levels")
    items = Items(xs, "scan", f, length)
    if not holds_traced(carry) and not items.traced and not holds_traced(shared):
        given, structure = flatten(shared, "scan", "shared", least=1)
        found = scan_eagerly(f, Carry("scan", carry), items, unflatten(structure, given), reverse)
        if found is not None:
            return found
    held = Carry("scan", carry, traced=True)
    first, kind = held.numbers, held.structure
    given, structure = values_in(shared, "scan", "shared")
    item, columns = items.columns()
    arguments = Structure("tuple", (kind, item, *structure.parts))
    masks = [len(first) + k for k in items.truths]
    while True:
        truths = held.truths
        body = Body("scan", f, arguments, empty=items.nothing, carry=held, truths=masks)
        new, result, shape = pair(f, body.value, held)
        if held.truths == truths:
            break  # else what began as a truth value goes on as a number
    body.finish([*new, *result])
    values = repeated(items, SCAN, body, len(first), [*first, *columns], [*given, *body.lifted], 0, reverse, checkpoint)
    own = values[len(first) :]
    return held.give(values[: len(first)]), None if shape is NONE else stack(shape, own, items.count, items.arrays)


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: Any, limit: int | None = None) -> Any:
    """Return the carry after ``carry = body(carry)`` has run for as long as ``cond(carry)`` holds.

    Args:
        cond: from the carry to a number or truth value.
        body: from the carry to a carry of the same structure.
        carry: a number or a nested structure of numbers.
        limit: at most so many iterations; a loop that would go on gives nan. A compiled derivative in reverse
            (`grad`) needs it, since it keeps the carry of each iteration that there was; forward mode (`jvp`) needs
            none.

    In a batch each sample goes on as long as its own condition holds; no row of your own is asked for those that ended.

    >>> while_loop(lambda x: x < 100.0, lambda x: x * x, 3.0)
    6561.0
    """
    if limit is not None:
        limit = whole_number("while_loop", "limit", limit, noun="whole number of iterations")
    if not holds_traced(carry):
        found = while_eagerly(cond, body, Carry("while_loop", carry), limit)
        if found is not None:
            return found[0]
    held = Carry("while_loop", carry, traced=True)
    numbers = held.numbers
    arguments = Structure("tuple", (held.structure,))
    while True:
        truths = held.truths
        inner = Body("while_loop", body, arguments, carry=held)
        inner.numbers = held.take(body, inner.value, "the result of")
        if held.truths == truths:
            break  # else what began as a truth value goes on as a number
    asked = Body("while_loop", cond, arguments, inner.inputs, carry=held)
    if asked.result is not NUMBER:
        raise TypeError(f"while_loop expected {function_name(cond)} to return one number but got {asked.result}")
    inner.finish(inner.numbers)
    asked.finish(asked.numbers)
    lifted = [*inner.lifted, *[tracer for tracer in asked.lifted if all(tracer is not t for t in inner.lifted)]]
    inner.finish(inner.numbers, lifted)
    asked.finish(asked.numbers, lifted)
    loop = Loop(WHILE, inner.program, limit or 0, len(numbers), 0, 0, condition=asked.program)
    found_numbers = as_step(loop, (*numbers, *lifted))
    if limit is not None:
        with recording():
            (goes_on,) = asked.program.run([*found_numbers, *lifted])
            found_numbers = [
                _each(lambda x, on: table.where(on, math.nan, x), number, goes_on) for number in found_numbers
            ]
    return held.give(found_numbers)


def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], carry: Any, limit: int | None = None) -> Any:
    """Return the carry after ``carry = body(i, carry)`` has run for i = lower, lower + 1, ... below upper.

    Args:
        lower, upper: finite numbers. Plain ones make a `scan`, which has derivatives of every kind; with traced ones it
            is a `while_loop`, with its limits: a compiled derivative in reverse (`grad`) needs `limit`.
        body: from i, a float that is an index, too, and the carry to a carry of the same structure.
        carry: a number or a nested structure of numbers.
        limit: at most so many iterations, where a bound is traced; a loop that would go on gives nan.

    >>> fori_loop(1, 5, lambda i, product: product * i, 1.0)
    24.0
    """
    bounds, structure = flatten((lower, upper), "fori_loop", "bounds")
    if structure != _PAIR:
        raise TypeError(
            f"fori_loop expected numbers as bounds but got {describe('lower', lower)} and {describe('upper', upper)}"
        )
    start, end = bounds = seen(bounds)

    def once(own: tuple[Any, Any]) -> tuple[Any, Any]:
        # Iterations are counted: a number of 2**53 and more would stay what it is when 1 is added.
        count, found = own
        return count + 1.0, body(_counted(count if type(start) is float and start == 0.0 else start + count), found)

    if any_traced(bounds):
        length = end - start
        return while_loop(lambda own: own[0] < length, once, (0.0, carry), limit)[1]
    first, last = (getattr(bound, "value", bound) for bound in bounds)
    if not math.isfinite(last - first):
        raise ValueError(f"fori_loop expected finite bounds but got lower={first!r} and upper={last!r}")
    return scan(lambda own, _: (once(own), None), (0.0, carry), None, length=max(0, math.ceil(last - first)))[0][1]


class _Count(float):
    """A whole number that counts iterations: a float, so that it computes as in a trace, which may be an index."""

    __slots__ = ()

    def __index__(self) -> int:
        return int(self)


def _counted(number: Any) -> Any:
    return _Count(number) if type(number) is float and number.is_integer() else number


# ---- traced ----


def repeated(
    items: Items,
    kind: str,
    body: Body,
    carry: int,
    own: Sequence[Any],
    shared: Sequence[Any],
    sums: int,
    reverse: bool = False,
    checkpoint: int = 0,
) -> list[Any]:
    """Run a map or scan over items; where not all of them take part it is a scan that counts its iterations."""
    loop = Loop(kind, body.program, items.count, carry, len(own) - carry, sums, reverse)
    if type(items.length) is int and items.length == items.count:
        return checkpointed(loop, (*own, *shared), checkpoint)
    length = float(items.length) if type(items.length) is int else items.length
    return checkpointed(counted(loop), (*own, length, *shared), checkpoint)


def _each(f: Callable[..., Any], value: Any, *shared: Any) -> Any:
    """Return a function of a number, or of each number of a whole array as an array of its shape."""
    if type(value) is not ArrayTracer:
        return f(value, *shared)
    flat = value.view(Part(0, (size_of(value.shape),), (1,)))
    names = ["x", *[f"shared[{k}]" for k in range(len(shared))]]
    body = traced(function_name(f), names, lambda xs: [f(*xs)])
    (found,) = Loop(MAP, body, size_of(value.shape), 0, 1, 0).apply((flat, *shared))
    return found.view(whole(value.shape))
