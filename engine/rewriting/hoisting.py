"""Move what depends on shared arguments only to the front: it runs once for a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ..programs import Program, varying


def hoist(program: Program, batched: Sequence[bool]) -> Program:
    """Move the steps that depend on shared arguments only before all others."""
    varies, firsts = varying(program, batched), program.firsts
    return program.reordered(sorted(range(len(firsts)), key=lambda place: varies[firsts[place]]))
