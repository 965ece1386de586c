"""Threads that help: they join calls, several at once, also those that wait for the next call, and leave none alone."""

import subprocess
import sys
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from helpers import in_threads

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import kernel

needs_entry = pytest.mark.skipif(kernel._entry_module() is None, reason="the call entry is not compiled here")


def test_threads_take_part_in_a_call():
    seen = set()

    @cr.primitive(partials=lambda y, x: (1.0,), name="notes_its_thread")
    def notes_its_thread(x):
        if x > 0.0:
            seen.add(threading.get_ident())
            time.sleep(0.001)
        return x

    xs = np.zeros(60_000)
    xs[::500] = 1.0
    f = cr.compile(lambda x: notes_its_thread(x), batch="x", backend="llvm", threads=3)
    until = time.monotonic() + 30.0
    while len(seen) < 2 and time.monotonic() < until:
        np.testing.assert_array_equal(f(xs), xs)
    assert len(seen) > 1


@needs_entry
def test_calls_of_several_threads_share_helpers():
    """Batches, loops and calls that are no work for threads, at the same time and one right after the other."""
    x = np.random.default_rng(2).normal(size=1 << 18)
    batch = cr.compile(lambda a: cr.sin(a) * a, batch="a", backend="llvm", threads=3)
    summed = cr.compile(lambda a: cr.sin(a) * a, batch="a", reduce="sum", backend="llvm", threads=2)
    loop = cr.compile(cr.value_and_grad(lambda a: np.sum(np.exp(np.sin(a)))), backend="llvm", threads=3)
    expected = [batch(x), summed(x), *loop(x)]
    wrong = []

    def call():
        for _ in range(30):
            found = [batch(x), summed(x), *loop(x)]
            if not all(map(np.array_equal, found, expected)):
                wrong.append(found)

    in_threads(*[call] * 4)
    assert wrong == []
    np.testing.assert_allclose(expected[0], np.sin(x) * x, rtol=1e-13)


@needs_entry
def test_no_thread_is_called_twice_for_one_call():
    """Those that were called and have not come are counted, and so is what could not be started, or not called."""
    code = """
import chainrule as cr, numpy as np
from chainrule.backends.llvm import kernel
entry, called = kernel._entry_module(), []
def submit(count, function, size):
    called.append((count, size))
    if len(called) == 1:
        raise KeyboardInterrupt
    return [] if len(called) == 3 else [None] * count
entry.submit = submit
f = cr.compile(lambda a: cr.sin(a) * a, batch="a", backend="llvm", threads=9)
x = np.linspace(0.0, 1.0, 100_000)
try:
    f(x)
except KeyboardInterrupt:
    called.append("interrupted")
same = [np.allclose(f(x), np.sin(x) * x, rtol=1e-13) for _ in range(4)]
for _ in range(8):
    entry.linger()
print(all(same), called)
"""
    # A process of its own has no threads that wait already.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True [(8, 8), 'interrupted', (8, 8), (8, 8)]\n", done.stderr
