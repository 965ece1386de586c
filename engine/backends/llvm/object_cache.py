"""Cache object code on disk, so that a program is compiled once per machine, not once per process.

Entries stand in ``$CHAINRULE_CACHE``, else ``$XDG_CACHE_HOME/chainrule``, else ``~/.cache/chainrule``;
``CHAINRULE_CACHE=0`` turns the cache off, as does a ``~`` that stands for no known folder.
Files are written whole and then renamed, so several processes may share the directory; what is damaged or foreign is
passed over and written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ...operations import Primitive
from ...programs import Loop, Numbers, Program, Structural
from .machine import Machine

_MAGIC = b"chainrule object 1\n"
_SOURCES = (".py", ".pyx", ".pxd", ".h")
_APART = {"nn", "viz"}  # stand beside the engine in the package, and only use it


@cache
def revision(root: str = str(Path(__file__).parents[2])) -> bytes:
    """Return a digest of all sources below a folder, by default the engine's.

    Object code depends on what writes it and on all that shapes a program before, down to single constants: any change
    makes another key. Reading everything takes about a millisecond, once, when something is first compiled.
    """
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(root, followlinks=True):
        skipped = {"__pycache__"} | (_APART if folder == root else set())
        folders[:] = sorted(set(folders) - skipped)
        for name in sorted(names):
            if name.endswith(_SOURCES):
                path = os.path.join(folder, name)
                with open(path, "rb", buffering=0) as file:
                    content = file.read()
                digest.update(f"{path[len(root) :]} {len(content)}\n".encode() + content)
    return digest.digest()


def directory() -> Path | None:
    """Return the folder of the entries, or None if the cache is off."""
    chosen = os.environ.get("CHAINRULE_CACHE", "")
    if chosen == "0":
        return None
    if chosen:
        folder = os.path.expanduser(chosen)
        return None if folder.startswith("~") else Path(folder)
    # The XDG specification has relative paths ignored.
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.join("~", ".cache")):
        folder = os.path.expanduser(base)
        if os.path.isabs(folder):
            return Path(folder) / "chainrule"
    return None


def load(key: str) -> list[bytes] | None:
    """Return the parts stored under a key, or None if there is no valid entry."""
    folder = directory()
    if folder is None:
        return None
    try:
        content = (folder / f"{key}.o").read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    body = content[start:]
    if content[:start] != _MAGIC + hashlib.sha256(key.encode() + body).digest():
        return None
    parts = []
    position = 8 + 8 * int.from_bytes(body[:8], "little")
    for place in range(8, position, 8):
        size = int.from_bytes(body[place : place + 8], "little")
        parts.append(body[position : position + size])
        position += size
    return parts


def store(key: str, parts: list[bytes]) -> None:
    """Store parts under a key; if the folder cannot be written, the cache stays unchanged."""
    folder = directory()
    if folder is None:
        return
    body = b"".join([number.to_bytes(8, "little") for number in (len(parts), *map(len, parts))] + parts)
    content = _MAGIC + hashlib.sha256(key.encode() + body).digest() + body
    # A cache is a convenience: a full disk or a read-only home must not stop the computation.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, folder / f"{key}.o")
        except BaseException:
            os.unlink(temporary)
            raise


def key_of(
    program: Program, batched: Sequence[bool], reduce: str | None, own: list[Primitive], machine: Machine
) -> str:
    """Return the cache key of a program's object code for a machine."""
    digest = hashlib.sha256(revision() + machine.identity.encode())
    sizes = [part.size for part in program.arguments.parts], [unit.size for unit in program.result.units()]
    digest.update(repr((sizes, tuple(map(bool, batched)), reduce)).encode())
    if own:
        # Names do not tell which of them are the same.
        digest.update(repr([own.index(row) for row in program.rows() if row.custom]).encode())
    digest.update(_content(program, {}))
    return digest.hexdigest()


def _content(program: Program, known: dict[int, bytes]) -> bytes:
    """Return a digest of what a program does."""
    if id(program) in known:
        return known[id(program)]
    digest = hashlib.sha256()
    rows: dict[Primitive, int] = {}
    flat = array("q")
    for op, args in program.steps:
        flat.append(rows.setdefault(op, len(rows)))
        flat.append(len(args))
        flat.extend(args)
    names = [(row.name, row.custom, row.arity, *_content_of_structural(row, known)) for row in rows]
    shapes = program.shapes, [item.shape if isinstance(item, Numbers) else () for item in program.constants]
    digest.update(repr((names, shapes, program.outputs, len(flat))).encode())
    for item in program.constants:
        digest.update(item.data if isinstance(item, Numbers) else struct.pack("<d", item))
    digest.update(flat.tobytes())
    known[id(program)] = digest.digest()
    return known[id(program)]


def _content_of_structural(row: Primitive, known: dict[int, bytes]) -> tuple[Any, ...]:
    if not isinstance(row, Structural):
        return ()
    if not isinstance(row, Loop):
        return (row.shapes, *[getattr(row, name) for name in ("of", "part", "parts", "index") if hasattr(row, name)])
    inner = [_content(program, known) for program in row.programs()]
    return row.length, row.carry, row.rows, row.sums, row.backwards, *inner
