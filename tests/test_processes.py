"""Compiled functions in other processes: pickled to fresh ones, in forked ones, with one pool of threads in each."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest

pytest.importorskip("llvmlite")


def loss(w, x):
    return cr.tanh(w * x) - cr.sin(w)


@cr.compile
def decorated(x):
    return cr.sin(x) * 2.0


CASES = {
    "number": (cr.compile(loss), (0.5, 2.0)),
    "batch": (cr.compile(loss, batch="x"), (0.5, np.linspace(0.0, 1.0, 5))),
    "reduced": (cr.compile(loss, batch="x", reduce="sum", threads=2), (0.5, np.linspace(0.0, 1.0, 100_000))),
    "lists": (cr.compile(loss, batch="x"), (0.5, [0.25, 0.5])),
    "llvm": (cr.compile(loss, backend="llvm"), (0.5, 2.0)),
    "numpy": (cr.compile(loss, batch="x", backend="numpy"), (0.5, np.ones(3))),
    "python": (cr.compile(loss, batch="x", backend="python"), (0.5, np.ones(3))),
    "decorated": (decorated, (0.5,)),
}
READ = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
f, args = pickle.loads(sys.stdin.buffer.read())
found = f(*args)
sys.stdout.buffer.write(pickle.dumps((found, f._plan().name)))
"""


@pytest.mark.parametrize("case", CASES)
def test_a_fresh_process_computes_the_same_with_the_same_backend(case):
    f, args = CASES[case]
    expected = f(*args)
    done = subprocess.run(
        [sys.executable, "-c", READ, os.path.dirname(__file__)],
        input=pickle.dumps((f, args)),
        capture_output=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr.decode()
    found, backend = pickle.loads(done.stdout)
    np.testing.assert_array_equal(found, expected)
    assert backend == f._plan().name


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_take_compiled_functions(method):
    f, _ = CASES["number"]
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.starmap_async(f, [(0.5, 2.0), (0.25, 1.0)]).get(timeout=100)
    assert found == [f(0.5, 2.0), f(0.25, 1.0)]


def test_what_a_decorator_made_is_pickled_and_copied():
    for again in (pickle.loads(pickle.dumps(decorated)), copy.deepcopy(decorated), copy.copy(decorated)):
        assert again.f is decorated.f and again(0.5) == decorated(0.5)
    cloudpickle = pytest.importorskip("cloudpickle")
    code = (
        "import chainrule as cr, cloudpickle, sys\n"
        "@cr.compile\n"
        "def f(x):\n"
        "    return cr.sin(x) * 2.0\n"
        "sys.stdout.buffer.write(cloudpickle.dumps(f))\n"
    )
    sent = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=100)
    assert cloudpickle.loads(sent.stdout)(0.5) == decorated(0.5)
