"""Run several iterations of a map as one, step by step side by side: what they share is fetched once for all.

The maps inside run side by side, too, as one map over what each of the iterations gives them: an inner sum of products
then takes several rows by several vectors at a time, and all that it adds up stays in registers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ....operations import table
from ....programs import (
    COUNTED,
    MAP,
    Builder,
    Loop,
    Place,
    Program,
    Shape,
    Structural,
    View,
    differing,
    row_at,
    size_of,
    values_in_tuple,
    whole,
)

_SHARED = 4  # numbers that iterations share, at least: else there is nothing to gain
_FEW = 4  # iterations that always go side by side, and results from which on a body holds several already
_PRODUCTS = 4  # rows of a product of two matrices that go side by side, by as many columns or a few more
_FLAT = 64  # operations side by side where there are no loops among them: numbers of more leave the registers
_MOST = 600  # operations side by side where there are loops among them,
_MOST_AROUND = 4_800  # and where these do nearly all of the work: so many times what stands around them
_MOSTLY = 50

Copies = tuple[int, ...]  # the value of each copy


def blocked(loop: Loop, most: int, sums: int) -> Loop:
    """Return the loop with as many iterations in one as divide its length, at most `most`.

    Arguments and results stay what they are and where they are, but for a second axis along the iterations in one. Only
    maps change, whose body is not long and holds no loops but maps; what these add up, number by number, are at most so
    many `sums`, which is how many registers there are for them.

    >>> from chainrule import dot, map, trace
    >>> program = trace(lambda w, x: map(dot, w, x), [[1.0] * 4] * 6, [2.0] * 4)
    >>> loop = next(op for op, _ in program.steps if op.name == "map")
    >>> [blocked(loop, most, 32).length for most in (1, 2, 4)]
    [6, 3, 2]
    """
    if loop.kind != MAP or not _joins(loop.body):
        return loop
    if any(op.kind == COUNTED for op in loop.body.rows_and_loops() if isinstance(op, Loop)):
        most, sums = _PRODUCTS, min(sums, _PRODUCTS * (_PRODUCTS + 2))
    shapes, given = loop.body.shapes, loop.body.output_shapes
    if sum(map(size_of, shapes[loop.rows :])) < _SHARED:
        return loop
    if any(given[loop.stacked :]) and not loop.body.has_loops:
        return loop
    most = max(min(most, _FEW), most // max(1, len(given) // _FEW))
    own = max(1, operations(loop.body))
    if not loop.body.has_loops:
        most = min(most, max(_FEW, _FLAT // own))
    else:
        is_around = loop.work >= _MOSTLY * own * loop.length
        most = min(most, max(1, sums // _sums_inside(loop.body)), (_MOST_AROUND if is_around else _MOST) // own)
    count = max(k for k in range(1, max(1, most) + 1) if loop.length % k == 0)
    if count == 1:
        return loop
    return loop.change(body=_several(loop.body, loop.rows, loop.stacked, count), length=loop.length // count)


def operations(body: Program) -> int:
    """Return about how many operations stand in a program and those inside, each of which counts once."""
    found = 0
    for op, args in body.steps:
        found += operations(op.body) if isinstance(op, Loop) else op.work if isinstance(op, Structural) else len(args)
    return found


def _sums_inside(body: Program) -> int:
    """Return how many numbers a loop of a program adds up side by side, at most, if these are several: else 1."""
    sums = [most_sums(op) for op, _ in body.steps if isinstance(op, Loop)]
    found = max(sums, default=0)
    return found if found >= _FEW else 1


def most_sums(op: Loop) -> int:
    """Return how many sums a loop, or one inside, adds to at once, at most."""
    return max([op.sums, *[most_sums(inner) for inner, _ in op.body.steps if isinstance(inner, Loop)]])


def _joins(body: Program) -> bool:
    """Return whether a body holds no loops but maps, and counted ones that do no more than add up."""
    return all(
        (op.kind == MAP and _joins(op.body)) or (op.kind == COUNTED and op.sums == op.results and not op.body.has_loops)
        for op, _ in body.steps
        if isinstance(op, Loop)
    )


def _several(body: Program, rows: int, stacked: int, count: int) -> Program:
    """Return the program of several iterations; what it sums is added up as soon as it is computed."""
    shapes, given = body.shapes, body.output_shapes
    builder = Builder(len(body.names))
    inputs: list[Copies] = []
    for k, shape in enumerate(shapes):
        if k < rows:
            parts = [row_at(copy, shape) for copy in range(count)]
            inputs.append(tuple([builder.step(View((count, *shape), part), (k,)) for part in parts]))
        else:
            inputs.append((k,) * count)
    totals = [place >= stacked for place in range(len(given))]
    outputs = []
    for copies, shape in zip(_side_by_side(builder, body, inputs, totals), given, strict=True):
        if len(copies) > 1:
            parts = [row_at(copy, shape) for copy in range(count)]
            outputs.append(builder.step(Place((count, *shape), parts), copies))
        else:
            outputs += copies
    taken = [*[(count, *shape) for shape in shapes[:rows]], *shapes[rows:]]
    found = [*[(count, *shape) for shape in given[:stacked]], *given[stacked:]]
    frame = replace(body, arguments=values_in_tuple(taken), result=values_in_tuple(found))
    return builder.finish(frame, outputs)


def _side_by_side(builder: Builder, body: Program, inputs: Sequence[Copies], totals: Sequence[bool]) -> list[Copies]:
    """Write the steps of a program once for each copy, and return each output's copies; of `totals` the sum."""
    count = len(inputs[0])
    values = [*inputs, *[(builder.constant(item),) * count for item in body.constants]]
    uses = Counter([*body.outputs, *[k for _, args in body.steps for k in args]])
    summed = {value for value, is_total in zip(body.outputs, totals, strict=True) if is_total}
    found: dict[int, int] = {}  # sums by their value
    shapes = body.value_shapes

    def add_up(value: int) -> None:
        first, *others = values[value]
        if shapes[value]:
            place = Place(shapes[value], [whole(shapes[value])] * count)
            found[value] = builder.step(place, values[value])
            return
        for other in others:
            first = builder.step(table.add, (first, other))
        found[value] = first

    for (op, args), first in zip(body.steps, body.firsts, strict=True):
        own = [values[k] for k in args]
        results = range(first, first + op.results)
        if isinstance(op, Loop) and any(len(set(copies)) > 1 for copies in own):
            only = [value in summed and uses[value] == 1 for value in results]
            given = _joined(builder, op, own, only)
            found.update({k: copies[0] for k, copies, is_total in zip(results, given, only, strict=True) if is_total})
            values += [copies * (count // len(copies)) for copies in given]
        else:
            made = [builder.step(op, arguments) for arguments in zip(*own, strict=True)]
            values += [tuple([start + k for start in made]) for k in range(op.results)]
        for value in results:
            if value in summed and value not in found:
                add_up(value)
    for value in sorted(summed - found.keys()):
        add_up(value)
    return [
        (found[value],) if is_total else values[value] for value, is_total in zip(body.outputs, totals, strict=True)
    ]


def _joined(builder: Builder, op: Loop, args: Sequence[Copies], totals: Sequence[bool]) -> list[Copies]:
    """Write one map for those of all copies, and return the copies of each result; of `totals` the sum alone."""
    count = len(args[0])
    apart = [len(set(copies)) > 1 for copies in args]
    differs = differing(op.body, apart)
    # What is the same in all copies is taken, and given, once.
    names: list[str] = []
    shapes: list[Shape] = []
    inputs: list[Copies] = []
    taken: list[int] = []
    for name, shape, copies, is_apart in zip(op.body.names, op.body.shapes, args, apart, strict=True):
        own = range(len(names), len(names) + (count if is_apart else 1))
        inputs.append(tuple(own) if is_apart else (own[0],) * count)
        names += [f"{name}_{k}" for k in range(count)] if is_apart else [name]
        shapes += [shape] * len(own)
        taken += copies if is_apart else copies[:1]
    inner = Builder(len(names))
    outputs: list[int] = []
    sizes = []
    each = _side_by_side(inner, op.body, inputs, totals)
    for value, copies, is_total in zip(op.body.outputs, each, totals, strict=True):
        sizes.append(count if differs[value] and not is_total else 1)
        outputs += copies[: sizes[-1]]
    given = [shape for shape, size in zip(op.body.output_shapes, sizes, strict=True) for _ in range(size)]
    frame = replace(
        op.body,
        names=tuple(names),
        arguments=values_in_tuple(shapes),
        result=values_in_tuple(given),
    )
    rows = sum(count if is_apart else 1 for is_apart in apart[: op.rows])
    joined = op.change(body=inner.finish(frame, outputs), rows=rows, sums=sum(sizes[op.stacked :]))
    first = builder.step(joined, tuple(taken))
    found: list[Copies] = []
    for size in sizes:
        found.append(tuple(range(first, first + size)))
        first += size
    return found
