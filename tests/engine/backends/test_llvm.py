"""Machine code: tails, threads, long programs, the cache on disk, Python functions called back."""

import dataclasses
import math
import mmap
import os
import signal
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import emission, machine, object_cache
from chainrule.rewriting.simplifying import optimise


def loss(w, x, y):
    return cr.square(cr.tanh(cr.dot(w, x)) - y)


BOTH = cr.value_and_grad(loss)


def samples(n):
    rng = np.random.default_rng(n)
    return np.array([0.3, -0.2, 0.7]), rng.normal(size=(n, 3)), rng.normal(size=n)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 15, 16, 17, 1000, 40_000])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_threads_share_a_batch_of_any_size(n, reduce):
    args = samples(n)
    one = cr.compile(BOTH, batch=(1, 2), reduce=reduce, backend="llvm")(*args)
    compiled = cr.compile(BOTH, batch=(1, 2), reduce=reduce, backend="llvm", threads=3)
    many, again = compiled(*args), compiled(*args)
    assert np.array_equal(many[1], again[1]), "the same every time"
    np.testing.assert_allclose(many[0], one[0], rtol=1e-12)
    np.testing.assert_allclose(many[1], one[1], rtol=1e-11)


def test_nothing_is_read_beyond_the_arrays():
    """Batches end right before an unreadable page; a fault would end the process."""
    code = (
        "import ctypes, mmap, numpy as np, chainrule as cr\n"
        "page = mmap.PAGESIZE\n"
        "area = mmap.mmap(-1, 2 * page)\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(area))\n"
        "assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address + page), page, 0) == 0\n"
        "f = cr.compile(lambda w, x: w * cr.sin(x[0] + x[1]), batch='x', reduce='sum', backend='llvm')\n"
        "for n in range(1, 20):\n"
        "    x = np.frombuffer(area, float, count=2 * n, offset=page - 16 * n).reshape(n, 2)\n"
        "    x[:] = 0.25\n"
        "    assert abs(f(np.float64(2.0), x) - 2 * n * np.sin(0.5)) < 1e-12\n"
        "print('whole')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "whole\n", done.stderr
    assert mmap.PAGESIZE > 0


@pytest.mark.parametrize("batch", [(), ("x",), ("x", "w")])
def test_long_programs_run_in_segments(batch):
    def f(x, w):
        kept = []
        for k in range(1500):
            x = cr.sin(x * w) + 0.1 * k / 1500
            kept.append(x)
        return [cr.sum(kept[::100]), x, cr.exp(w)]

    derivative = cr.jacobian(f, argnums=(0, 1))
    compiled = cr.compile(derivative, batch=batch, backend="llvm")
    xs, ws = np.linspace(0.1, 1.0, 11), np.linspace(0.9, 1.1, 11)
    found = compiled(xs if "x" in batch else 0.1, ws if "w" in batch else 0.9)
    assert len(compiled.program) > 4 * emission.SEGMENT
    eager = derivative(0.1, 0.9)
    for row, expected in zip(found, eager, strict=True):
        for number, right in zip(row, expected, strict=True):
            assert np.ravel(number)[0] == pytest.approx(right, rel=1e-11, abs=1e-12)


def test_a_row_of_the_users_is_called_back_and_its_errors_come_out():
    @cr.primitive(partials=lambda y, x: (3 * x * x,), name="cube_for_llvm")
    def cube(x):
        if x == 13.0:
            raise RuntimeError("thirteen")
        return x**3

    compiled = cr.compile(cr.value_and_grad(cube), batch=0, backend="llvm")
    value, slope = compiled(np.arange(10.0))
    assert value.tolist() == [k**3 for k in range(10)] and slope.tolist() == [3 * k * k for k in range(10)]
    with pytest.raises(RuntimeError, match="thirteen"):
        compiled(np.full(3, 13.0))
    digamma = cr.compile(cr.digamma, batch=0, backend="llvm")(np.array([0.5, 3.0, -1.5]))
    assert digamma.tolist() == [cr.digamma(x) for x in (0.5, 3.0, -1.5)]


def test_progress_is_told_and_may_stop_the_compilation(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))

    def chain(x):
        for _ in range(10_000):
            x = cr.sin(x) * 1.5
        return x

    program = optimise(cr.trace(chain, 1.0))
    seen = []
    emission.build(program, (False,), None, 1, lambda done, total: seen.append((done, total)))
    assert len(seen) > 3 and seen == sorted(seen) and seen[-1][0] == seen[-1][1] == len(program)

    def stop(done, total):
        raise KeyboardInterrupt

    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        emission.build(program, (False,), None, 1, stop)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_long_compilation_shows_a_bar_and_ctrl_c_ends_it():
    code = (
        "import chainrule as cr\n"
        "def chain(x, w):\n"
        "    for k in range(25_000):\n"
        "        x = cr.tanh(x) * w[k % 7]\n"
        "    return x\n"
        "program = cr.trace(chain, 1.0, [1.0] * 7)\n"
        "cr.compile(program, batch=0, backend='llvm')([1.0], [1.0] * 7)\n"
        "print('compiled')\n"
    )
    environment = {**os.environ, "CHAINRULE_CACHE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    shown = b""
    while b"compile:" not in shown and process.poll() is None:
        shown += process.stderr.read1()
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert b"step" in shown
    assert b"KeyboardInterrupt" in rest and process.returncode != 0 and b"compiled" not in out


@pytest.mark.parametrize(("lanes", "fused"), [(8, True), (4, True), (2, True), (2, False)])
@pytest.mark.parametrize("reduce", [None, "mean"])
def test_code_for_other_widths_computes_the_same(lanes, fused, reduce, monkeypatch):
    """LLVM splits or joins vectors that this processor does not have: AVX-512's, NEON's and SSE2's text runs here."""
    here = machine.host()
    other = dataclasses.replace(here, lanes=lanes, registers=4 * lanes, fused=fused, vector_functions=())
    monkeypatch.setenv("CHAINRULE_CACHE", "0")

    def f(w, x, y):
        return [cr.sin(cr.dot(w, x)) + cr.cos(y), cr.maximum(cr.exp(w[0] * y), cr.pow(cr.abs(y), x[1]))]

    args = samples(21)
    expected = cr.compile(cr.jacobian(f), batch=(1, 2), reduce=reduce, backend="llvm")(*args)
    monkeypatch.setattr(emission, "host", lambda own: other)
    monkeypatch.setattr(emission, "_vectors", lambda layout: 1)
    compiled = cr.compile(cr.jacobian(f), batch=(1, 2), reduce=reduce, backend="llvm")
    found = compiled(*args)
    text = compiled.source("llvm")
    assert f"load <{lanes} x double>" in text
    assert ("chainrule_sincos" in text) == fused
    for row, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, right, rtol=1e-12, atol=1e-15)


# ---- object code on disk ----


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build(number=2.0):
    out = np.empty(1)
    emission.build(optimise(cr.trace(lambda x: cr.sin(x) * number, 1.0)), (False,))([np.array([0.5])], 1, out)
    return out[0]


def files(cache):
    return [path for path in cache.rglob("*") if path.is_file()]


def test_object_code_is_found_again(cache, monkeypatch):
    expected = 2.0 * math.sin(0.5)
    assert build() == expected and len(files(cache)) == 1
    monkeypatch.setattr(emission, "_compile", lambda *args: pytest.fail("compiled again"))
    assert build() == expected


def test_other_programs_have_other_entries(cache):
    assert build(2.0) != build(3.0)
    assert len(files(cache)) == 2


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b[:-1] + b"x", lambda b: b"foreign"]
)
def test_damaged_entries_are_ignored_and_replaced(cache, damage):
    value = build()
    (entry,) = files(cache)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert build() == value
    assert entry.read_bytes() == whole


def test_the_cache_can_be_turned_off_and_may_be_unwritable(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    build()
    assert not files(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "below"))
    assert build() == 2.0 * math.sin(0.5)
    monkeypatch.delenv("CHAINRULE_CACHE")
    build()
    assert [path.parent.name for path in files(tmp_path / ".cache")] == ["chainrule"]


def test_no_folder_is_named_after_a_home_that_is_unknown(tmp_path, monkeypatch):
    """A process without HOME, whose user has no entry either, keeps nothing: it makes no folder `~`."""

    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)
    monkeypatch.chdir(tmp_path)
    for home in (None, "", "relative", "~"):
        for chosen, xdg in ((None, None), ("~/x", None), ("~nobody/x", None), (None, "~/x"), (None, "relative")):
            for name, value in (("HOME", home), ("CHAINRULE_CACHE", chosen), ("XDG_CACHE_HOME", xdg)):
                monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
            folder = object_cache.directory()
            assert folder is None or not str(folder).startswith("~"), (home, chosen, xdg)
            if home is None:
                assert folder is None
                assert build() == 2.0 * math.sin(0.5)
    assert not list(tmp_path.iterdir())


def test_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHAINRULE_CACHE", "~/x")
    build()
    assert [path.parent for path in files(tmp_path)] == [tmp_path / "x"]
    monkeypatch.delenv("CHAINRULE_CACHE")
    for xdg, expected in (("~/y", tmp_path / "y"), ("relative", tmp_path / ".cache"), ("", tmp_path / ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        assert object_cache.directory() == expected / "chainrule"


def test_several_processes_share_the_cache(cache):
    code = (
        "import chainrule as cr\n"
        "f = cr.compile(cr.grad(lambda x: cr.tanh(x) * cr.exp(x)), backend='llvm')\n"
        "print(f(0.5))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = {process.communicate(timeout=100)[0] for process in running}
    assert len(found) == 1 and float(found.pop()) == pytest.approx(cr.grad(lambda x: cr.tanh(x) * cr.exp(x))(0.5))
    assert object_cache is not None and len(files(cache)) >= 1


def test_source_is_llvm_text():
    compiled = cr.compile(loss, batch=("x", "y"), backend="llvm")
    compiled(*samples(3))
    assert "define void @run(" in compiled.source("llvm")
