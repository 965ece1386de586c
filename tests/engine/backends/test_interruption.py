"""Running machine code can be stopped, keeps what it needs, and reports errors to its own caller."""

import os
import subprocess
import sys
from concurrent.futures import Future

import chainrule as cr
import numpy as np
import pytest
from helpers import in_threads

pytest.importorskip("llvmlite")
from chainrule.backends.llvm import kernel, work

START = """
import os, signal, sys
import numpy as np
import chainrule as cr
from chainrule.backends.llvm import kernel
if sys.argv[1] == "ctypes":
    kernel._entry_module = lambda: None

class Stop(Exception):
    pass

def stop(*args):
    raise Stop

def endless(x, step=lambda a: a * 0.5 + 1.0):
    return cr.while_loop(lambda a: a > 0.0, step, x)

@cr.primitive(partials=lambda y, x: (1.0,))
def plain(x):
    return x

def nest(x, depth=4, sum=0.0):
    if not depth:
        return cr.sin(sum)
    return cr.map(lambda a: nest(x, depth - 1, sum + a * a), x, reduce="sum")

def chain(x, depth=3, c=1.0):
    if not depth:
        return cr.sin(c)
    return cr.scan(lambda c, y: (chain(x, depth - 1, c + y), y), c, x)[0]

def long(x):
    for _ in range(1500):
        x = cr.tan(x)
    return x

ones = np.ones(3)
"""
FORMS = ["entry", "ctypes"]


def run(code, form):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", START + code, form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:] or f"ended by signal {-done.returncode}"
    return done.stdout.split()


ENDLESS = {
    "a number": "call(endless, 1.0)",
    "an array": "call(lambda x: endless(cr.sum(x)), ones)",
    "a list": "call(lambda x: endless(x[0]), [1.0])",
    "a batch": "call(endless, ones, batch='x')",
    "a reduced batch": "call(endless, ones, batch='x', reduce='sum')",
    "threads": "call(endless, np.ones(100_000), batch='x', threads=2)",
    "threads that sum": "call(endless, np.ones(100_000), batch='x', threads=2, reduce='sum')",
    "in a map": "call(lambda x: cr.map(endless, x), np.ones(20))",
    "in a scan": "call(lambda x: cr.scan(lambda c, y: (endless(c + y), y), 1.0, x)[0], np.ones(20))",
    "in a while_loop": "call(lambda x: cr.while_loop(lambda a: a > 0, endless, x), 1.0)",
    "what is shared": "call(lambda x, y: endless(x) * y, 1.0, np.ones(100_000), batch='y', threads=2)",
    "a derivative": "call(cr.grad(lambda w, x: endless(x) * w), 1.0, 1.0)",
    "a row of Python's": "call(lambda x: endless(x, lambda a: plain(a) * 0.5 + 1.0), 1.0)",
    "rows in threads": "call(lambda x: endless(x, lambda a: plain(a) + 1.0), np.ones(100_000), batch='x', threads=2)",
    "loops of length": "call(nest, np.arange(1000.0))",
    "scans of length": "call(chain, np.arange(2000.0))",
    "a long batch": "call(long, np.ones(20_000_000), batch='x', reduce='sum')",
    "a long batch of rows": "call(lambda x: plain(x) * 2.0, np.ones(20_000_000), batch='x')",
}


@pytest.mark.parametrize("form", FORMS)
def test_signals_stop_what_runs(form):
    """Twice: the second time what runs is as it was compiled, and called the short way. What was stopped troubles none.

    A process for each would take longer to start than to stop.
    """
    code = """
signal.signal(signal.SIGALRM, stop)
def call(f, *args, **options):
    compiled = cr.compile(f, backend="llvm", **options)
    compiled.trace(*args) if "batch" not in options else compiled.trace(*[a[:2] if np.ndim(a) else a for a in args])
    for _ in range(2):
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            compiled(*args)
            print("ended", flush=True)
        except Stop:
            print("stopped", flush=True)
"""
    code += "".join(f"print({case.replace(' ', '_')!r}, flush=True)\n{call}\n" for case, call in ENDLESS.items())
    assert run(code, form) == [word for case in ENDLESS for word in (case.replace(" ", "_"), "stopped", "stopped")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_handler_that_returns_lets_the_code_go_on(form, threads):
    code = f"""
seen = []
signal.signal(signal.SIGTERM, lambda *args: seen.append(args[0]))
count = lambda x: cr.while_loop(lambda a: a < 2e7, lambda a: a + 1.0, x)
f = cr.compile(count, batch="x", backend="llvm", threads={threads})
f.trace(ones)
import threading
sender = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(3)])
sender.start()
print(*f(np.ones(4) * 0.5) == 2e7 + 0.5)
print(len(seen) > 0)
"""
    assert run(code, form) == ["True"] * 5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reduce", ["None", "'sum'"])
def test_what_runs_keeps_its_code_when_the_call_is_interrupted(form, reduce):
    """Each round drops its compiled function and its arrays, like a notebook cell that is run again."""
    code = f"""
import random
def interrupt(*args):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
program = lambda x: cr.while_loop(lambda a: a < 300.0, lambda a: a + cr.exp(-x), x)
count = 0
for round in range(15):
    f = cr.compile(program, batch="x", reduce={reduce}, backend="llvm", threads=2)
    x = np.random.default_rng(round).normal(size=200_000)
    f.trace(x[:2])
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.02))
        f(x)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except KeyboardInterrupt:
        count += 1
    del f, x
print(count > 3)
"""
    assert run(code, form) == ["True"]


@pytest.mark.parametrize("form", FORMS)
def test_threads_that_were_starting_when_a_call_was_interrupted_end(form):
    """Else the interpreter would wait for them at its end."""
    code = """
import threading
start = threading.Thread.start
def interrupted(thread):
    start(thread)
    if threading.current_thread() is threading.main_thread():
        raise Stop
f = cr.compile(endless, batch="x", backend="llvm", threads=2)
f.trace(ones)
threading.Thread.start = interrupted
try:
    f(np.ones(100_000))
except Stop:
    print("stopped")
threading.Thread.start = start
f = cr.compile(lambda x: x * 2.0, batch="x", backend="llvm", threads=2)
print((f(np.ones(1_000_000)) == 2.0).all())
"""
    assert run(code, form) == ["stopped", "True"]


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    if request.param == "ctypes":
        monkeypatch.setattr(kernel, "_entry_module", lambda: None)
    return request.param


def test_a_thread_that_comes_when_the_call_is_over_finds_nothing_to_do(form, monkeypatch):
    kept = []

    def submit(count, function, size=0):
        kept.extend([function] * count)
        return [Future() for _ in range(count)]

    place = kernel._entry_module() or work.workers  # none where the core is interpreted
    monkeypatch.setattr(place, "submit", submit)
    f = cr.compile(lambda x: cr.sin(x), batch="x", backend="llvm", threads=2)
    xs = np.linspace(0.0, 1.0, 100_000)
    for _ in range(2):
        expected = np.sin(xs)
        np.testing.assert_allclose(f(xs), expected, rtol=1e-14)
    del f, xs
    assert kept
    for function in kept:
        function()


@pytest.mark.parametrize("batch", [None, "x"])
@pytest.mark.parametrize("threads", [1, 3])
def test_errors_reach_the_call_that_made_them_only(form, batch, threads):
    @cr.primitive(partials=lambda y, x: (1.0,), name="refuses_negative")
    def refuses_negative(x):
        if x < 0.0:
            raise RuntimeError(f"refused {x}")
        return x

    compiled = cr.compile(lambda x: refuses_negative(x) * 2.0, batch=batch or (), backend="llvm", threads=threads)
    size = 2000 if batch else 1
    good = np.ones(size) if batch else 1.0
    compiled(good)
    wrong = []

    def right():
        for _ in range(60 if batch else 600):
            try:
                if not np.array_equal(compiled(good), 2.0 * np.asarray(good)):
                    wrong.append("nan without an error")
            except RuntimeError as error:
                wrong.append(error)

    def faulty(number):
        bad = np.full(size, number) if batch else number
        for _ in range(60 if batch else 600):
            try:
                compiled(bad)
                wrong.append("no error")
            except RuntimeError as error:
                if str(error) != f"refused {number}":
                    wrong.append(error)

    in_threads(right, right, lambda: faulty(-1.0), lambda: faulty(-2.0))
    assert wrong == []


def test_what_is_called_back_may_call_and_catch(form):
    """A row that calls compiled code, and handles its error, leaves the outer call as it was."""

    @cr.primitive(partials=lambda y, x: (1.0,), name="refuses_all")
    def refuses_all(x):
        raise RuntimeError(f"inner {x}")

    inner = cr.compile(lambda x: refuses_all(x), backend="llvm")

    @cr.primitive(partials=lambda y, x: (1.0,), name="falls_back")
    def falls_back(x):
        try:
            return inner(x)
        except RuntimeError:
            if x == 3.0:
                raise ValueError("outer") from None
            return -x

    outer = cr.compile(lambda x: falls_back(x) + falls_back(2.0 * x), backend="llvm")
    for _ in range(3):
        assert outer(1.0) == -3.0
        with pytest.raises(ValueError, match="outer"):
            outer(3.0)
        with pytest.raises(RuntimeError, match=r"inner 5\.0"):
            inner(5.0)


def test_an_error_in_a_loop_ends_it(form):
    """The rest of the iterations would never end: a nan in the condition counts as true."""

    @cr.primitive(partials=lambda y, x: (1.0,), name="refuses_ten")
    def refuses_ten(x):
        if x == 10.0:
            raise RuntimeError("ten")
        return x

    f = cr.compile(lambda x: cr.while_loop(lambda a: 1.0, lambda a: refuses_ten(a + 1.0), x), backend="llvm")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ten"):
            f(0.0)
    assert refuses_ten(2.0) == 2.0


@pytest.mark.parametrize("form", FORMS)
def test_the_interpreter_may_end_while_a_daemon_runs_code(form):
    """It would end the thread that asks it for anything now, in the midst of machine code."""
    code = """
import threading, time
f = cr.compile(endless, backend="llvm")
f.trace(1.0)
for _ in range(4):
    threading.Thread(target=f, args=(1.0,), daemon=True).start()
time.sleep(0.3)
class Slow:
    def __del__(self):
        time.sleep(0.2)
sys.slow = Slow()
print("end")
"""
    assert run(code, form) == ["end"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_signals_stop_what_runs_in_a_process_forked_by_another_thread(form):
    """There this thread is the main one."""
    code = """
import threading
f = cr.compile(endless, backend="llvm")
f.trace(1.0)
def fork():
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            f(1.0)
        except Stop:
            os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
thread = threading.Thread(target=fork)
thread.start()
thread.join()
"""
    assert run(code, form) == ["7"]
