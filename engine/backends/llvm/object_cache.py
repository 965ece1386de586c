"""Name a program's object code in the cache, by all that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ...cache import directory as directory
from ...cache import load as load
from ...cache import revision as revision
from ...cache import store as store
from ...operations import Primitive
from ...programs import Program, digest_of
from .machine import Machine


def key_of(
    program: Program, batched: Sequence[bool], reduce: str | None, own: list[Primitive], machine: Machine
) -> str:
    """Return the name of a program's object code for a machine."""
    digest = hashlib.sha256(revision() + machine.identity.encode())
    sizes = [part.size for part in program.arguments.parts], [unit.size for unit in program.result.units()]
    digest.update(repr((sizes, tuple(map(bool, batched)), reduce)).encode())
    if own:
        # Names do not tell which of them are the same.
        digest.update(repr([own.index(row) for row in program.rows() if row.custom]).encode())
    digest.update(digest_of(program))
    return f"{digest.hexdigest()}.o"
