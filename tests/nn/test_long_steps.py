"""Calls of many steps: they release the interpreter's lock, and are short enough for Ctrl-C to be heard soon."""

import sys
import threading
import time

import pytest
from chainrule import nn
from chainrule.nn import machine_steps
from chainrule.nn.eager_steps import EagerSteps
from chainrule.nn.machine_steps import MachineSteps
from chainrule.nn.recipe import Recipe
from trained_models import NUMBERS, ROWS, model_of

numpy = pytest.importorskip("numpy")


def steps_of(model, rows, targets, size):
    return MachineSteps(EagerSteps(model, Recipe(nn.mse, nn.SGD(model.parameters(), 1e-4), size), rows, targets))


def test_other_threads_run_while_steps_are_taken():
    source = numpy.random.default_rng(0)
    model = nn.MLP(8, [64, 256, 64, 1], seed=0)
    steps = steps_of(model, source.normal(size=(4096, 8)).tolist(), source.normal(size=4096).tolist(), 256)
    calls, ticks, is_over = [], [], threading.Event()
    call = steps.functions.steps

    def timed(*arguments):
        start = time.perf_counter()
        result = call(*arguments)
        calls.append((start, time.perf_counter()))
        return result

    def tick():
        while not is_over.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    steps.functions.steps = timed
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60.0)  # so that no thread runs unless the lock is given up
    thread = threading.Thread(target=tick)
    try:
        thread.start()
        for _ in range(4):
            list(steps.run([range(k * 256, k * 256 + 256) for k in range(16)]))
    finally:
        is_over.set()
        sys.setswitchinterval(interval)
        steps.functions.steps = call
    thread.join()
    assert any(start < at < end for start, end in calls for at in ticks)


def test_a_call_takes_as_many_steps_as_are_soon_done(monkeypatch):
    model = model_of()
    assert steps_of(model, ROWS, NUMBERS, 1).most == 32  # for 20, of the powers of two that calls are compiled for
    assert steps_of(model, ROWS, NUMBERS, 20).most == 1
    monkeypatch.setattr(machine_steps, "_MOST_WORK", 4 * 17 * 2)
    assert steps_of(model, ROWS, NUMBERS, 2).most == 4
    monkeypatch.setattr(machine_steps, "_MOST_WORK", 1)
    assert steps_of(model, ROWS, NUMBERS, 2).most == 1


@pytest.mark.parametrize(
    "options", [{"shuffle": False}, {"batch_size": None}, {"batch_size": None, "sample_weight": 1}]
)
def test_batches_that_stay_the_same_are_not_copied_again(options, monkeypatch):
    options = options | ({"sample_weight": [1.0 + k % 3 for k in range(20)]} if "sample_weight" in options else {})
    options = {"seed": 0, "epochs": 5, "batch_size": 8, **options}
    taken, take = [], numpy.take
    monkeypatch.setattr(numpy, "take", lambda *args, **own: taken.append(args) or take(*args, **own))
    model, other = model_of(), model_of()
    compiled = nn.fit(model, ROWS, NUMBERS, compiled=True, **options)
    assert len(taken) <= 4, "rows and targets, once for the trial and once for all epochs"
    graphs = nn.fit(other, ROWS, NUMBERS, compiled=False, **options)
    assert compiled.batch_loss == pytest.approx(graphs.batch_loss, rel=1e-9)
    assert model.state_dict() == pytest.approx(other.state_dict(), rel=1e-9)
