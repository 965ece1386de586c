"""Object code is found again only where every source that it may depend on is the same."""

import shutil
from pathlib import Path

import chainrule as cr
import pytest

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import object_cache
from chainrule.backends.llvm.machine import host

ENGINE = Path(__file__).resolve().parents[3] / "engine"
SUFFIXES = {".py", ".pyx", ".pxd", ".h"}


def sources(root):
    return [path for path in root.rglob("*") if path.suffix in SUFFIXES and "__pycache__" not in path.parts]


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(ENGINE, tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__", "*.so")))


def revision(root):
    return object_cache.revision.__wrapped__(str(root))


def test_a_byte_changed_anywhere_makes_another_key(copy):
    seen = {revision(copy)}
    paths = sources(copy)
    named = {"special.py", "table.py", "ieee.py", "entry.pyx", "nodes.h", "var.pxd", "emission.py"}
    assert named <= {path.name for path in paths}
    for count, path in enumerate(paths, 2):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        seen.add(revision(copy))
        assert len(seen) == count, f"{path} makes no difference"


def test_files_that_come_go_or_are_renamed_make_another_key(copy):
    before = revision(copy)
    (copy / "backends" / "more.py").write_text("")
    assert revision(copy) != before
    (copy / "backends" / "more.py").rename(copy / "more.py")
    assert revision(copy) != before
    (copy / "more.py").unlink()
    assert revision(copy) == before


def test_what_python_caches_makes_none(copy):
    before = revision(copy)
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "table.cpython-311.pyc").write_bytes(b"x")
    (copy / "nn").mkdir()
    (copy / "nn" / "layers.py").write_text("x = 1\n")
    assert revision(copy) == before


def test_keys_depend_on_the_revision(monkeypatch):
    program = cr.trace(lambda x: cr.sin(x) * 2.0, 1.0)
    before = object_cache.key_of(program, (False,), None, [], host())
    assert object_cache.key_of(program, (False,), None, [], host()) == before
    monkeypatch.setattr(object_cache, "revision", lambda: b"another")
    assert object_cache.key_of(program, (False,), None, [], host()) != before
