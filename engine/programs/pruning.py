"""Remove from a program whatever no output needs: steps, constants, and results, carries and inputs of loops."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from .loop import COUNTED, Loop
from .nested import values_in_tuple
from .program import Program, Step, flat


def drop(program: Program) -> Program:
    """Remove steps and constants that no output needs; loops, too, compute only what is read."""
    needed = bytearray(program.count)
    for k in program.outputs:
        needed[k] = 1
    steps: list[Step] = []
    changed: dict[int, list[int]] = {}  # which results are left of a loop
    firsts = program.firsts
    for place in range(len(program.steps) - 1, -1, -1):
        step, first = program.steps[place], firsts[place]
        if isinstance(step.op, Loop):
            used = needed[first : first + step.op.results]
            if not any(used):
                continue
            step, changed[place] = narrow(step.op, step.args, used)
        elif not needed[first]:
            continue
        steps.append(step)
        for k in step.args:
            needed[k] = 1
    steps.reverse()
    unchanged = len(steps) == len(program.steps) and all(needed[len(program.names) : program.offset])
    if unchanged and all(new.op is old.op for new, old in zip(steps, program.steps, strict=True)):
        return program
    return _renumbered(program, steps, needed, changed)


def _renumbered(
    program: Program, steps: Sequence[Step], needed: Sequence[int], changed: dict[int, list[int]]
) -> Program:
    """Return the program with these steps, renumbered in order."""
    inputs, offset = len(program.names), program.offset
    constants = [k for k in range(inputs, offset) if needed[k]]
    new = list(range(program.count))
    for place, k in enumerate(constants, inputs):
        new[k] = place
    count = inputs + len(constants)
    for place, (first, step) in enumerate(zip(program.firsts, program.steps, strict=True)):
        if place in changed:
            for old in changed[place]:
                new[first + old] = count
                count += 1
        elif not isinstance(step.op, Loop) and needed[first]:
            new[first] = count
            count += 1
    return program.renumbered(steps, new, constants=tuple([program.constants[k - inputs] for k in constants]))


def narrow(loop: Loop, args: Sequence[int], used: Sequence[int]) -> tuple[Step, list[int]]:
    """Return a step that computes only the used results of a loop, and which these are."""
    carry, stacked = loop.carry, loop.stacked
    body, wanted, read = _closed(loop, tuple(map(bool, used)))
    if all(wanted) and all(read) and body == loop.body:
        return Step(loop, tuple(args)), list(range(loop.results))
    kept = [k for k, flag in enumerate(read) if flag]
    condition = loop.condition
    if condition is not None:
        condition = _with_inputs(condition, kept)
    new = loop.change(
        body=_with_inputs(body, kept),
        carry=sum(map(bool, wanted[:carry])),
        rows=sum(map(bool, read[carry : carry + loop.rows])),
        sums=sum(map(bool, wanted[carry + stacked :])),
        condition=condition,
    )
    return Step(new, tuple([args[k] for k in kept])), [k for k, flag in enumerate(wanted) if flag]


@functools.lru_cache(maxsize=512)
def _closed(loop: Loop, outputs: tuple[bool, ...]) -> tuple[Program, tuple[bool, ...], tuple[bool, ...]]:
    """Return the body with only the outputs that are needed, which these are, and which inputs they read.

    A carried number is wanted where it is read in the next iteration, so what is wanted grows until it is closed.
    """
    body, carry = loop.body, loop.carry
    wanted = list(outputs)
    demand = _Demand(body)
    read = [] if loop.condition is None else _Demand(loop.condition).ask(loop.condition.outputs)
    if loop.kind == COUNTED:
        read.append(carry + loop.rows)
    asked = set(read)
    inputs = [k in asked for k in range(len(body.names))]
    read += demand.ask([value for value, flag in zip(body.outputs, wanted, strict=True) if flag])
    while read:
        grown = [k for k in set(read) if k < carry and not wanted[k]]
        for k in grown:
            wanted[k] = True
        read = demand.ask([body.outputs[k] for k in grown])
    # A carried number that is wanted is an input, too, whether it is read or not.
    inputs = [flag or bool(demand.needed[k]) or (k < carry and wanted[k]) for k, flag in enumerate(inputs)]
    chosen = [value for value, flag in zip(body.outputs, wanted, strict=True) if flag]
    return drop(body if all(wanted) else flat(body, chosen)), tuple(wanted), tuple(inputs)


class _Demand:
    """Find what requested values of a program need, step by step; nothing is visited twice."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.needed = bytearray(program.count)
        self._maker = [-1] * program.count
        for place, (first, step) in enumerate(zip(program.firsts, program.steps, strict=True)):
            self._maker[first : first + step.op.results] = [place] * step.op.results

    def ask(self, values: Sequence[int]) -> list[int]:
        """Return the inputs that these values need and none requested earlier did."""
        found, inputs = [], len(self.program.names)
        waiting, loops = list(values), set[int]()
        while waiting or loops:
            if not waiting:
                # The last loop first: others may come to need more of those before it.
                place = max(loops)
                loops.remove(place)
                waiting += self._read(place)
                continue
            value = waiting.pop()
            if self.needed[value]:
                continue
            self.needed[value] = 1
            place = self._maker[value]
            if value < inputs:
                found.append(value)
            elif place >= 0 and isinstance(self.program.steps[place].op, Loop):
                loops.add(place)
            elif place >= 0:
                waiting += self.program.steps[place].args
        return found

    def _read(self, place: int) -> Sequence[int]:
        """Return the arguments of a loop that its needed results depend on."""
        (op, args), first = self.program.steps[place], self.program.firsts[place]
        assert isinstance(op, Loop)
        return narrow(op, args, self.needed[first : first + op.results])[0].args


def _with_inputs(program: Program, kept: Sequence[int]) -> Program:
    """Return the program with only some of its inputs; nothing reads the others."""
    if len(kept) == len(program.names):
        return program
    inputs, less = len(program.names), len(program.names) - len(kept)
    new = {old: place for place, old in enumerate(kept)} | {k: k - less for k in range(inputs, program.count)}
    names = tuple([program.names[k] for k in kept])
    arguments = values_in_tuple([program.shapes[k] for k in kept])
    return program.renumbered(program.steps, new, names=names, arguments=arguments)
