"""Keep what a map computed for a later one over the same rows, where reading it takes less than computing it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..programs import MAP, Loop, Numbers, Program, Step, Structural, drop, values_in_tuple

_LEAST = 64  # iterations


class _Map(NamedTuple):
    """A map seen so far: where it stands, and the key of each value of its body."""

    place: int
    keys: list[int]


def keep(program: Program) -> Program:
    """Return the program with maps that stack what later ones would compute anew, such as exponentials.

    >>> import numpy as np
    >>> from chainrule import logsumexp, trace, value_and_grad
    >>> from chainrule.rewriting.simplifying import optimise
    >>> def exponentials(program):
    ...     return sum(op.name == "exp" for op in program.rows_and_loops())
    >>> program = optimise(trace(value_and_grad(logsumexp), np.ones(300)))
    >>> exponentials(program), exponentials(keep(program))
    (2, 1)
    """
    steps = [*program.steps]
    known: dict[object, int] = {}  # the keys of values in bodies, by how they are computed from the program's
    maps: list[_Map] = []
    # What each map stacks in addition, by its place and the value in its body: a later map, and the value there.
    wanted: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place, (op, args) in enumerate(program.steps):
        if not isinstance(op, Loop) or op.kind != MAP or op.length < _LEAST:
            continue
        keys = _keys(op, args, known)
        own = {
            key: (earlier.place, value)
            for earlier in reversed(maps)
            if _alike(steps[earlier.place].op, op)
            for value, key in enumerate(earlier.keys)
        }
        for value in _costly(op.body, [key in own for key in keys]):
            wanted.setdefault(own[keys[value]], []).append((place, value))
        maps.append(_Map(place, keys))
    return _written(program, wanted) if wanted else program


def _alike(op: object, other: Loop) -> bool:
    return isinstance(op, Loop) and op.length == other.length and op.backwards == other.backwards


def _keys(op: Loop, args: Sequence[int], known: dict[object, int]) -> list[int]:
    """Return keys of the values of a body, equal where equal steps compute them of the same rows and numbers."""
    body = op.body
    found = [known.setdefault((k < op.rows, arg), len(known)) for k, arg in enumerate(args)]
    for item in body.constants:
        key = item if isinstance(item, Numbers) else item.hex()
        found.append(known.setdefault(("constant", key), len(known)))
    for own, taken in body.steps:
        keys = [found[k] for k in taken]
        first = (own, *(sorted(keys) if own.commutes else keys))
        found += [known.setdefault((k, first), len(known)) for k in range(own.results)]
    return found


def _costly(body: Program, is_known: Sequence[bool]) -> list[int]:
    """List the numbers of a body that take long, are needed, and are known to an earlier map."""
    found: list[int] = []
    needed = set(body.outputs)
    for (op, args), value in zip(reversed(body.steps), reversed(body.firsts), strict=True):
        if needed.isdisjoint(range(value, value + op.results)):
            continue
        if is_known[value] and not (op.cheap or op.custom or isinstance(op, Structural)):
            found.append(value)
        else:
            needed.update(args)
    return found


def _written(program: Program, wanted: dict[tuple[int, int], list[tuple[int, int]]]) -> Program:
    """Write the program anew with these values stacked by one map and rows of others."""
    steps = [*program.steps]
    stacks: dict[int, list[int]] = {}  # values of the body that a map stacks in addition
    rows: dict[int, list[tuple[int, int, int]]] = {}  # of a map: its value, and which result of which map that is
    for (place, value), takers in wanted.items():
        own = stacks.setdefault(place, [])
        own.append(value)
        for taker, there in takers:
            rows.setdefault(taker, []).append((there, place, len(own) - 1))
    new = list(range(program.offset))
    first_of: dict[int, int] = {}  # the first of the stacked values in addition
    count = program.offset
    for place, (op, args) in enumerate(program.steps):
        taken = [new[k] for k in args]
        results = list(range(count, count + op.results))
        if isinstance(op, Loop) and (place in rows or place in stacks):
            more = rows.get(place, ())
            taken[op.rows : op.rows] = [first_of[source] + k for _, source, k in more]
            end, added = count + op.stacked, stacks.get(place, [])
            op = _with_stacks(_with_rows(op, [value for value, _, _ in more]), added, len(more))
            first_of[place] = end
            results = [k if k < end else k + len(added) for k in results]
        steps[place] = Step(op, tuple(taken))
        count += op.results
        new += results
    return drop(replace(program, steps=tuple(steps), outputs=tuple([new[k] for k in program.outputs])))


def _with_rows(op: Loop, values: Sequence[int]) -> Loop:
    """Return a map that takes some values of its body as rows, after its own."""
    if not values:
        return op
    body, rows, more = op.body, op.rows, len(values)
    new = [*range(rows), *range(rows + more, body.count + more)]
    for k, value in enumerate(values):
        new[value] = rows + k
    names = (*body.names[:rows], *[f"kept{k}" for k in range(more)], *body.names[rows:])
    shapes = [*body.shapes[:rows], *[()] * more, *body.shapes[rows:]]
    own = body.renumbered(body.steps, new, names=names, arguments=values_in_tuple(shapes))
    return op.change(body=own, rows=rows + more)


def _with_stacks(op: Loop, values: Sequence[int], moved: int) -> Loop:
    """Return a map that stacks values of its body, too, after what it stacks; all but rows have moved on so far."""
    body, stacked = op.body, op.stacked
    more = [value + moved for value in values]
    outputs = (*body.outputs[:stacked], *more, *body.outputs[stacked:])
    shapes = body.value_shapes
    return op.change(body=replace(body, outputs=outputs, result=values_in_tuple([shapes[value] for value in outputs])))
