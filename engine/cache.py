"""Keep on disk what takes long to make, object code and rewritten programs, so that a machine makes it once.

Entries stand in ``$CHAINRULE_CACHE``, else ``$XDG_CACHE_HOME/chainrule``, else ``~/.cache/chainrule``;
``CHAINRULE_CACHE=0`` turns the cache off, as does a ``~`` that stands for no known folder.
Files are written whole and then renamed, so several processes may share the directory; what is damaged or foreign is
passed over and written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

_MAGIC = b"chainrule object 1\n"
_SOURCES = (".py", ".pyx", ".pxd", ".h")
_APART = {"nn", "viz"}  # stand beside the engine in the package, and only use it


@cache
def revision(root: str = str(Path(__file__).parent)) -> bytes:
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


def entry_of(content: bytes, kind: str) -> str:
    """Return the name of the entry of a kind for what is made of some content."""
    return f"{hashlib.sha256(content).hexdigest()}.{kind}"


def load(name: str) -> list[bytes] | None:
    """Return the parts stored under a name, or None if there is no valid entry."""
    folder = directory()
    if folder is None:
        return None
    try:
        content = (folder / name).read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    body = content[start:]
    if content[:start] != _MAGIC + hashlib.sha256(name.encode() + body).digest():
        return None
    parts = []
    position = 8 + 8 * int.from_bytes(body[:8], "little")
    for place in range(8, position, 8):
        size = int.from_bytes(body[place : place + 8], "little")
        parts.append(body[position : position + size])
        position += size
    return parts


def store(name: str, parts: list[bytes]) -> None:
    """Store parts under a name; if the folder cannot be written, the cache stays unchanged."""
    folder = directory()
    if folder is None:
        return
    body = b"".join([number.to_bytes(8, "little") for number in (len(parts), *map(len, parts))] + parts)
    content = _MAGIC + hashlib.sha256(name.encode() + body).digest() + body
    # A cache is a convenience: a full disk or a read-only home must not stop the computation.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, folder / name)
        except BaseException:
            os.unlink(temporary)
            raise
