"""Find the powers of roots that come out of a loop: there, too, they are smooth where the roots are not.

Beside each number that an iteration hands on, and beside the result that is asked for, a second loop has its power,
which the table's rules know to be smooth where the number itself is a root (see operations/roots.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..operations import ROOTS, chosen, table, unscaled
from .gathering import Gather
from .loop import MAP, Loop
from .program import Program
from .tracer import ArrayTracer, Tracer, structural, use_loop_powers
from .tracing import traced
from .views import Part, Place, Shape, Structural, View, size_of, whole


def power_of(x: Any, exponent: float) -> Any:
    """Return the power of a number that comes out of a loop; None where it is no root, or a sum."""
    if x.place >= 0:
        is_root = _is_root_of(x.args[0].loop, x.args[0].args, x.place)
        return _power_of_result(x, exponent) if is_root else None
    return structural(x.op, [_power(x.args[0], exponent)]) if _is_array_of_roots(x.args[0]) else None


def _power_of_result(x: Any, exponent: float) -> Any:
    loop, args, place = x.args[0].loop, x.args[0].args, x.place
    carry, rows, body = loop.carry, loop.rows, loop.body
    column = loop.result_at(place)
    wanted = [*range(carry), *([column] if column >= carry else [])]
    handed = {*range(carry), *[body.outputs[k] for k in wanted]}

    def powers(numbers: Sequence[Any], first: int) -> list[Any]:
        return [_power(x, exponent) if first + k in handed else _zero(x) for k, x in enumerate(numbers)]

    middle, shared = args[carry : carry + rows], args[carry + rows :]
    doubled = [*args[:carry], *powers(args[:carry], 0), *middle, *powers(middle, carry)]
    doubled += [*shared, *powers(shared, carry + rows)]
    counts = carry, rows, loop.shared
    shapes = _doubled_shapes(body.shapes, counts)

    def split(xs: Sequence[Any], sizes: Sequence[int]) -> tuple[list[Any], list[Any]]:
        plain: list[Any] = []
        raised: list[Any] = []
        for size in sizes:
            plain, raised, xs = [*plain, *xs[:size]], [*raised, *xs[size : 2 * size]], xs[2 * size :]
        return plain, raised

    def both(xs: Sequence[Any]) -> list[Any]:
        plain, raised = split(xs, (carry, rows, loop.shared))
        found = body.run(plain)
        places = [body.outputs[k] for k in wanted]
        outputs = [
            raised[place] if place < len(raised) else _power(found[k], exponent)
            for k, place in zip(wanted, places, strict=True)
        ]
        return [*found[:carry], *outputs]

    names = _doubled(body.names, (carry, rows, loop.shared))
    condition = None
    if loop.condition is not None:
        asked = _doubled(loop.condition.names, (carry, loop.shared))
        condition = traced(
            loop.condition.name,
            asked,
            lambda xs: loop.condition.run(split(xs, (carry, loop.shared))[0]),
            _doubled_shapes(loop.condition.shapes, (carry, loop.shared)),
        )
    program = traced(body.name, names, both, shapes)
    found = loop.change(body=program, carry=2 * carry, rows=2 * rows, sums=0, condition=condition).apply(tuple(doubled))
    return found[carry + column] if column < carry else found[2 * carry]


def _power(x: Any, exponent: float) -> Any:
    if type(x) is not ArrayTracer:
        return table.pow(x, exponent)
    if _is_array_of_roots(x):
        if x.place >= 0:
            return _power_of_result(x, exponent)
        if not isinstance(x.op, Place):
            return structural(x.op, [_power(x.args[0], exponent), *x.args[1:]])
        if x.op.fills:
            return structural(x.op, [_power(arg, exponent) for arg in x.args])
    count = size_of(x.shape)
    body = traced("pow", ["x"], lambda xs: [table.pow(xs[0], exponent)])
    (found,) = Loop(MAP, body, count, 0, 1, 0).apply((x.view(Part(0, (count,), (1,))),))
    return found.view(whole(x.shape))


def _zero(x: Any) -> Any:
    return Place(x.shape, ()).apply(()) if type(x) is ArrayTracer else 0.0


def _doubled_shapes(shapes: Sequence[Shape], sizes: Sequence[int]) -> list[Shape]:
    doubled: list[Shape] = []
    for size in sizes:
        doubled += [*shapes[:size], *shapes[:size]]
        shapes = shapes[size:]
    return doubled


def _doubled(names: Sequence[str], sizes: Sequence[int]) -> list[str]:
    doubled: list[str] = []
    for size in sizes:
        own, names = names[:size], names[size:]
        doubled += [*own, *[f"power of {name}" for name in own]]
    return doubled


# ---- whether a root of the table comes out ----


def _is_root(x: Any) -> bool:
    """Return whether a traced number is a root, or comes out of loops as one."""
    root = chosen(unscaled(x)[1])[1]
    if not isinstance(root, Tracer):
        return False
    if root.place >= 0:
        return _is_root_of(root.args[0].loop, root.args[0].args, root.place)
    return _is_array_of_roots(root.args[0]) if isinstance(root.op, View) else root.op in ROOTS


def _is_array_of_roots(array: Any) -> bool:
    """Return whether a traced array can contain a root; the answer is kept, since each of its numbers asks."""
    if type(array) is not ArrayTracer or array.op is None:
        return False
    if array.holds_roots is None:
        if array.place >= 0:
            array.holds_roots = _is_root_of(array.args[0].loop, array.args[0].args, array.place)
        elif isinstance(array.op, Place):
            array.holds_roots = any(map(_is_root_or_array, array.args))
        else:
            array.holds_roots = isinstance(array.op, (View, Gather)) and _is_array_of_roots(array.args[0])
    return array.holds_roots


def _is_root_or_array(x: Any) -> bool:
    return _is_array_of_roots(x) if type(x) is ArrayTracer else _is_root(x)


def _is_root_of(loop: Loop, args: Sequence[Any], place: int) -> bool:
    return _gives_root(loop, loop.result_at(place), lambda position: _is_root_or_array(args[position]))


def _gives_root(loop: Loop, column: int, is_root: Callable[[int], bool]) -> bool:
    """Return whether an output of a loop's body can be a root; `is_root` answers for the loop's arguments."""
    if column >= loop.carry + loop.stacked:
        return False
    seen: set[int] = set()
    waiting = [column]

    def of_input(place: int) -> bool:
        if place < loop.carry:
            waiting.append(place)
            return is_root(place)
        return is_root(place)

    while waiting:
        column = waiting.pop()
        if column in seen:
            continue
        seen.add(column)
        if column < loop.carry and is_root(column):  # a loop may end before it begins
            return True
        if _holds_root(loop.body, loop.body.outputs[column], of_input):
            return True
    return False


def _holds_root(program: Program, value: int, of_input: Callable[[int], bool]) -> bool:
    if value < len(program.names):
        return of_input(value)
    first = program.offset
    if value < first:
        return False
    step = 0
    while value >= first + program.steps[step].op.results:
        first += program.steps[step].op.results
        step += 1
    op, args = program.steps[step]
    if isinstance(op, Loop):
        return _gives_root(op, value - first, lambda k: _holds_root(program, args[k], of_input))
    if isinstance(op, Structural):
        return any(_holds_root(program, k, of_input) for k in args)
    constants = [len(program.names) <= k < program.offset for k in args]
    if op is table.pow:
        exponent = program.constants[args[1] - len(program.names)] if constants[1] else 0.0
        return isinstance(exponent, float) and not exponent.is_integer()
    if op is table.where:
        return any(constants[1:]) and _holds_root(program, args[2 if constants[1] else 1], of_input)
    if op in (table.neg, table.div) or (op is table.mul and any(constants)):
        return any(_holds_root(program, k, of_input) for k in args)
    return op in ROOTS


use_loop_powers(power_of)
