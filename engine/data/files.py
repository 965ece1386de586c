"""Write a file completely or not at all, for every module that keeps something on disk."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ..errors import describe


def check_path(reader: str, path: Any) -> None:
    """Refuse what is no path of a file, such as one that is open.

    >>> check_path("save", None)
    Traceback (most recent call last):
    TypeError: save expected the path of a file but got path=None (NoneType)
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{reader} expected the path of a file but got {describe('path', path)}")


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write beside the target and move into place, so that nobody ever finds half a file.

    A device or a pipe, such as ``/dev/null``, is written to and stays what it is.

    Errors: `OSError` where the folder is missing or may not be written; the file that was there before stays.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/greeting.txt", b"hello")
    ...     print(os.listdir(folder), pathlib.Path(f"{folder}/greeting.txt").read_bytes())
    ['greeting.txt'] b'hello'
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            file.write(data)
        return
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{os.urandom(8).hex()}{os.path.splitext(name)[1]}")
    try:
        with open(partial, "xb") as file:
            file.write(data)
        os.replace(partial, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
