"""Run maps over the same rows as one: a value and its gradient read their numbers once, and share what both compute.

So do maps of counted length, which are scans that carry nothing, where they count by the same number. And so do short
scans of numbers over any rows: none has to wait for each of its additions while others could be made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..programs import COUNTED, MAP, SCAN, Builder, Loop, Program, Shape, Step, values_in_tuple, waits
from .inlining import body_of, inlined

Key = tuple[int, ...]  # of an argument: its value, and of what is carried also whose it is

_MOST = 4_000  # steps of bodies that are as well run apart
_SMALL = 40  # steps of bodies that are run as one for the memory that they share alone
_SHORT = 4  # steps of the body of a scan that runs beside others
_GAIN = 0.75  # of their steps that may be left where they are more


def merge(program: Program) -> Program:
    """Return the program with maps of one length as one, where they take a row in common and none waits for another.

    Short scans of one length and direction are one, too.

    >>> from chainrule import exp, map, sin, trace
    >>> from chainrule.rewriting.simplifying import share
    >>> def f(xs):
    ...     return map(sin, xs, reduce="sum"), map(lambda x: exp(sin(x)), xs, reduce="sum")
    >>> [(op.length, len(op.body)) for op, _ in merge(share(trace(f, [1.0, 2.0]))).steps if op.name == "map"]
    [(2, 2)]
    """
    if not program.has_loops:
        return program
    return _merged(program, {})


def _merged(program: Program, known: dict[int, tuple[Program, Program]]) -> Program:
    if not program.has_loops:
        return program
    if id(program) not in known:
        # Kept beside its result, so that its id stays its own.
        known[id(program)] = program, _merged_once(program, known)
    return known[id(program)][1]


def _merged_once(program: Program, known: dict[int, tuple[Program, Program]]) -> Program:
    inner = [
        Step(step.op.map_programs(lambda body: _merged(body, known)), step.args) if isinstance(step.op, Loop) else step
        for step in program.steps
    ]
    if any(new.op is not old.op for new, old in zip(inner, program.steps, strict=True)):
        program = replace(program, steps=tuple(inner))
    is_loop = [isinstance(op, Loop) for op, _ in inner]
    waiting = waits(program, is_loop)
    groups = _groups(program, waiting)
    if not groups:
        return program
    order = sorted(range(len(inner)), key=lambda place: (waiting[place], is_loop[place]))
    builder, new = Builder.like(program)
    new += range(program.offset, program.count)
    written: set[int] = set()
    for place in order:
        op, args = program.steps[place]
        if place in written:
            continue
        members = groups.get(place, ())
        if members and place == members[0] and _write(builder, program, members, new):
            written.update(members)
            continue
        start = program.firsts[place]
        new[start : start + op.results] = builder.results(op, tuple([new[k] for k in args]))
    return builder.finish(program, [new[k] for k in program.outputs])


def _groups(program: Program, waiting: Sequence[int]) -> dict[int, list[int]]:
    """Return the loops to run as one by each of them: they wait for none of each other."""
    found: dict[int, list[int]] = {}
    alike: dict[tuple[str, int, int, bool, int], list[list[int]]] = {}
    loops: dict[int, tuple[int, set[int]]] = {}  # how long each is, and its rows
    for place, (op, args) in enumerate(program.steps):
        if not isinstance(op, Loop) or not op.rows or not (_is_map(op) or _is_short(op)):
            continue
        count = args[op.carry + op.rows] if op.kind == COUNTED else -1
        size, rows = loops[place] = len(op.body), set(args[op.carry : op.carry + op.rows])
        groups = alike.setdefault((op.kind, waiting[place], op.length, op.backwards, count), [])
        for members in groups:
            total = size + sum([loops[k][0] for k in members])
            if op.kind == SCAN and total > _SMALL:
                continue
            if total <= _MOST and (op.kind == SCAN or any(rows & loops[k][1] for k in members)):
                members.append(place)
                found.update(dict.fromkeys(members, members))
                break
        else:
            groups.append([place])
    return found


def _is_map(op: Loop) -> bool:
    """Return whether no iteration takes what another gives, whether all run or only some."""
    return op.kind == MAP or (op.kind == COUNTED and not op.carry)


def _is_short(op: Loop) -> bool:
    """Return whether a loop is a scan of a few operations on numbers."""
    body = op.body
    return op.kind == SCAN and len(body) <= _SHORT and not (body.has_loops or body.has_arrays)


def _write(builder: Builder, program: Program, members: Sequence[int], new: list[int]) -> bool:
    """Write the loop that runs several, if they have enough in common; return whether."""
    steps = [program.steps[place] for place in members]
    loops = [(op, tuple([new[k] for k in args])) for op, args in steps if isinstance(op, Loop)]
    names: tuple[dict[Key, str], ...] = ({}, {}, {})  # of what is carried, of rows, and of what is shared
    shapes: dict[tuple[int, Key], Shape] = {}
    taken: list[list[tuple[int, Key]]] = []
    for loop, (op, args) in enumerate(loops):
        own: list[tuple[int, Key]] = []
        for k, (arg, name, shape) in enumerate(zip(args, op.body.names, op.body.shapes, strict=True)):
            kind = (k >= op.carry) + (k >= op.carry + op.rows)
            key = kind, (arg,) if kind else (arg, loop, k)
            names[kind].setdefault(key[1], name)
            shapes[key] = shape
            own.append(key)
        taken.append(own)
    inputs = [(kind, key) for kind, found in enumerate(names) for key in found]
    place_of = {key: k for k, key in enumerate(inputs)}
    body = Builder(len(inputs))
    outputs: tuple[list[int], ...] = ([], [], [])  # what is carried, stacked and summed
    results: list[tuple[int, int]] = []
    for (op, _), own in zip(loops, taken, strict=True):
        for k, value in enumerate(inlined(body, op.body, [place_of[key] for key in own])):
            kind = (k >= op.carry) + (k >= op.carry + op.stacked)
            results.append((kind, len(outputs[kind])))
            outputs[kind].append(value)
    op, before = loops[0][0], sum([len(loop.body) for loop, _ in loops])
    name = "_".join(dict.fromkeys([loop.body.name for loop, _ in loops]))
    arguments = [shapes[key] for key in inputs]
    every = [value for values in outputs for value in values]
    given = body.shapes_of(every, values_in_tuple(arguments))
    whole = body_of(body, name, [name for found in names for name in found.values()], arguments, given, every)
    if before > _SMALL and len(whole) > _GAIN * before:
        return False
    merged = Loop(op.kind, whole, op.length, len(outputs[0]), len(names[1]), len(outputs[2]), op.backwards)
    first = builder.step(merged, tuple([key[0] for _, key in inputs]))
    starts = first, first + merged.carry, first + merged.carry + merged.stacked
    place_of_result = iter(results)
    for place in members:
        start = program.firsts[place]
        for k in range(program.steps[place].op.results):
            kind, position = next(place_of_result)
            new[start + k] = starts[kind] + position
    return True
