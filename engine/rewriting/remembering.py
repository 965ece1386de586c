"""Remember on disk what passes made of a long program: the next process that traces the same one need not repeat them.

Passes go by what a program does, by how many values each argument has, and by their options: these, and the sources of
the engine, name an entry. In it, the values of the program are what there is of its arguments and its result; how these
are nested is told by the program at hand. One with rows of the user's own is rewritten each time, since a name does not
tell what they do. Entries are as trusted as the machine code that stands beside them.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

from ..operations import PRIMITIVES
from ..programs import Loop, Program, digest_of, values_in_tuple

_LONG = 1_000  # steps, those of inner programs included, whose passes take longer than reading and writing entries
_PLAIN = {"number", "array", "list", "tuple", "none"}  # kinds of structures that are told without the user's classes


def remembered(name: str, rewrite: Callable[..., Program], program: Program, *options: Any) -> Program:
    """Return ``rewrite(program, *options)``, which `name` and the options identify, or the program that it once was.

    The program has the arguments and the result that it had; where it comes back as it is, it does so from disk, too.
    """
    if not _is_long(program):
        return rewrite(program, *options)
    cache = importlib.import_module("..cache", __package__)  # which needs much of Python that takes long to load
    if cache.directory() is None or not _is_told_by_content(program):
        return rewrite(program, *options)
    sizes = [part.count for part in program.arguments.parts]
    content = cache.revision() + repr((name, options, sizes)).encode() + digest_of(program, named=True)
    entry = cache.entry_of(content, "program")
    found = cache.load(entry)
    if found is not None:
        return _with_structures_of(program, pickle.loads(found[0])) if found else program
    made = rewrite(program, *options)
    cache.store(entry, [] if made is program else [pickle.dumps(_without_structures(made), pickle.HIGHEST_PROTOCOL)])
    return made


def _is_long(program: Program) -> bool:
    return len(program) >= _LONG or any(True for _ in islice(program.rows_and_loops(), _LONG, None))


def _is_told_by_content(program: Program) -> bool:
    """Return whether a program in another process with the same digest is the same, and pickles."""
    if program.closed or any(op.custom or PRIMITIVES.get(op.name) is not op for op in program.rows()):
        return False
    inner = [body for op in program.rows_and_loops() if isinstance(op, Loop) for body in op.programs()]
    return all(_PLAIN.issuperset([*body.arguments.kinds(), *body.result.kinds()]) for body in inner)


def _without_structures(program: Program) -> Program:
    """Return a program whose arguments and result are its values."""
    arguments, result = values_in_tuple(program.shapes), values_in_tuple(program.output_shapes)
    return replace(program, names=(), arguments=arguments, result=result)


def _with_structures_of(program: Program, made: Program) -> Program:
    return replace(made, names=program.names, arguments=program.arguments, result=program.result, name=program.name)
