"""Move what depends on shared arguments only to the front: it runs once for a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ..programs import Program, varying


def hoist(program: Program, batched: Sequence[bool]) -> Program:
    """Move the steps that depend on shared arguments only before all others."""
    varies, firsts = varying(program, batched), program.firsts
    order = sorted(range(len(program.steps)), key=lambda place: varies[firsts[place]])
    if order == list(range(len(order))):
        return program
    new = list(range(program.count))
    count = program.offset
    for place in order:
        first, results = firsts[place], program.steps[place].op.results
        new[first : first + results] = range(count, count + results)
        count += results
    return program.renumbered([program.steps[place] for place in order], new)
