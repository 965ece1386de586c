"""Write files whole or not at all, for every module that keeps something on disk."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write beside the target and move into place, so that nobody ever finds half a file.

    Errors: `OSError` where the folder is missing or may not be written; the file that was there before stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/greeting.txt", b"hello")
    ...     print(os.listdir(folder), Path(f"{folder}/greeting.txt").read_bytes())
    ['greeting.txt'] b'hello'
    """
    target = Path(path).resolve()
    partial = target.with_name(f".{secrets.token_hex(8)}{target.suffix}")
    try:
        with open(partial, "xb") as file:
            file.write(data)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
