"""Compiled functions in other processes: pickled to fresh ones, in forked ones, with one pool of threads in each."""

import copy
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading

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
for text in pickle.loads(sys.stdin.buffer.read()):
    f, args = pickle.loads(text)
    found = f(*args)
    sys.stdout.buffer.write(pickle.dumps((found, f._plan().name)))
"""


def test_a_fresh_process_computes_the_same_with_the_same_backend():
    expected = [f(*args) for f, args in CASES.values()]
    done = subprocess.run(
        [sys.executable, "-c", READ, os.path.dirname(__file__)],
        input=pickle.dumps([pickle.dumps(case) for case in CASES.values()]),
        capture_output=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = io.BytesIO(done.stdout)
    for (name, (f, _)), numbers in zip(CASES.items(), expected, strict=True):
        found, backend = pickle.load(told)
        np.testing.assert_array_equal(found, numbers, name)
        assert backend == f._plan().name, name


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


BUSY = {
    "compiles": "cr.compile(lambda x: x * next(fresh) + cr.sin(x), backend='llvm')(1.0)",
    "compiles loops": "cr.compile(lambda x: cr.scan(lambda c, y: (c * y + next(fresh), c), x, [1.0, 2.0])[0])(1.0)",
    "compiles at length": "cr.compile(chain)(1.0 + 0.0 * next(fresh))",
    "no_grad": "cr.no_grad().__enter__(); cr.no_grad()(abs)(1.0)",
    "strict": "cr.strict()(abs)(1.0)",
    "sweeps": "deep.backward()",
    "differentiates": "cr.grad(chain)(1.0)",
    "shares a batch": "shared(np.ones(100_000))",
    "asks for more threads": "cr.compile(cr.sin, batch=0, threads=2 + int(next(fresh)) % 4)(np.ones(50_000))",
}
FORKS = """
import faulthandler, gc, itertools, os, sys, threading, time
import numpy as np
import chainrule as cr
fresh = itertools.count(2.0)
def chain(x):
    for k in range(200):
        x = cr.sin(x) * (1.0 + k / 7.0 + 1e-9 * next(fresh))
    return x
shared = cr.compile(lambda x: cr.sin(x), batch="x", threads=3, backend="llvm")
deep = chain(cr.Var(1.0))
shared(np.ones(100_000))
def busy():
    while True:
        %s
for _ in range(2):
    threading.Thread(target=busy, daemon=True).start()
def child():
    assert gc.isenabled()
    assert abs(cr.compile(lambda x: x * next(fresh) * os.getpid(), backend="llvm")(0.0)) == 0.0
    with cr.no_grad(), cr.strict():
        assert not cr.grad(lambda x: x * x)(2.0) - 4.0
    x = cr.Var(2.0)
    (x * x).backward()
    assert x.grad == 4.0 and shared(np.zeros(100_000)).sum() == 0.0
for _ in range(12):
    time.sleep(0.005)
    pid = os.fork()
    if not pid:
        faulthandler.dump_traceback_later(20, exit=True)
        child()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("case", BUSY)
def test_forked_processes_go_on_whatever_other_threads_did(case, tmp_path):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS % BUSY[case]]
    environment = {**os.environ, "CHAINRULE_CACHE": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.stdout.split() == ["0"] * 12, done.stderr[-3000:]


POOL = """
import atexit, os, sys, threading
import numpy as np
import chainrule as cr
from chainrule.backends.llvm import kernel
if sys.argv[1] == "ctypes":
    kernel._entry_module = lambda: None
def numbers():
    return sum("chainrule" in thread.name for thread in threading.enumerate())
atexit.register(lambda: print(cr.compile(cr.sin, batch=0, threads=4)(np.zeros(100_000)).sum(), numbers()))
for size in range(1, 16):
    f = cr.compile(lambda x: cr.sum(x), batch="x", threads=8, backend="llvm")
    f(np.ones((50_000, size)))
    g = cr.compile(cr.sin, batch=0, threads=2 + size % 3, backend="llvm")
    g(np.ones(100_000))
print(numbers(), threading.active_count())
"""


@pytest.mark.parametrize("form", ["entry", "ctypes"])
def test_one_pool_serves_all_compiled_functions_and_ends_with_the_process(form):
    """As large as the greatest number asked for; what runs while the interpreter ends runs alone."""
    done = subprocess.run([sys.executable, "-c", POOL, form], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.split() == ["7", "8", "0.0", "0"]


def test_the_pool_grows_while_it_is_used():
    """Calls of several threads that ask for ever more threads all come out right."""
    xs = np.linspace(0.0, 1.0, 100_000)
    expected = cr.compile(cr.sin, batch=0, backend="llvm")(xs)
    wrong = []

    def work(first):
        for count in range(first, 12, 3):
            compiled = cr.compile(cr.sin, batch=0, threads=count, backend="llvm")
            for _ in range(5):
                if not np.array_equal(compiled(xs), expected):
                    wrong.append(count)

    threads = [threading.Thread(target=work, args=(first,)) for first in (2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
