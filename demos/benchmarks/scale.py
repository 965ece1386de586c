"""Measure for `benchmark.py scale`: whole arrays of up to ten million numbers, from a cold start.

Each contender has a process of its own, with an empty cache, that has loaded its library and the data before the clock
starts. Then come its first result (all that tracing and compiling takes, without the compiler of the C++ by hand), how
much memory that took at most beyond what the process had, and calls in turns. A first result is compared with
chainrule's before anything is printed. Where a workload has bars, which issue 16 set, each is met or missed; a time
within a fifth of its bar is undecided, since a shared machine swings as much.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import multiprocessing
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .memory import forget_peak, resident
from .peers import turn
from .scale_workload import THREADS
from .scale_workloads import FULL, QUICK

_TURN = 0.3  # seconds that a contender has before the next one comes
_LONGEST = 12.0  # seconds after which a contender takes no more turns
_PATIENCE = 120.0  # seconds that a first result may take
_MOST = 6 * 2**30  # bytes that a contender may take
_NEAR = 1.2  # how far a time may swing


# ---- in the process of one contender ----


def serve(name: str, contender: str, quick: bool, profile: bool, folder: str, pipe: Connection) -> None:
    """Send what the first result took and save it in the folder; then the times of a turn for each request."""
    try:
        workload = (QUICK if quick else FULL)[name]()
        call = getattr(workload, contender)()
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    if call is None:
        pipe.send("not installed")
        return
    profiler = cProfile.Profile() if profile else None
    forget_peak()
    before, start = resident("VmRSS"), time.perf_counter()
    try:
        result = profiler.runcall(call) if profiler else call()
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    found = {"first": time.perf_counter() - start, "peak": resident("VmHWM") - before, "data": workload.data()}
    if hasattr(workload, "traced"):
        found["traced"] = workload.traced
    np.savez(Path(folder) / f"{contender}.npz", *workload.comparable(result))
    del result
    pipe.send(found | {"profile": _listing(profiler) if profiler else ""})
    while (seconds := pipe.recv()) is not None:
        pipe.send(turn(call, seconds))


def _listing(profiler: cProfile.Profile) -> str:
    """Return where time went, the functions that took most of it first: by themselves, then with all that they call."""
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text).strip_dirs()
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(14)
    return "\n".join(line for line in text.getvalue().splitlines() if line.strip() and "Ordered by" not in line)


# ---- in the process that was started ----


class Contender:
    """The process of one contender; it is ended if it takes too long or too much."""

    def __init__(self, name: str, contender: str, quick: bool, profile: bool, folder: str) -> None:
        self.contender, self.trouble, self.times = contender, "", list[float]()
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        cache = tempfile.mkdtemp(dir=folder)
        # Threads that wait by spinning take a busy machine's time from each other: OpenMP's in C++ and torch.
        with _environment(CHAINRULE_CACHE=cache, OMP_WAIT_POLICY="passive"):
            self.process = context.Process(
                target=serve, args=(name, contender, quick, profile, folder, other), daemon=True
            )
            self.process.start()
        other.close()
        self.found: dict[str, Any] = self._answer() or {}

    def _answer(self) -> Any:
        """Wait for what the process sends; None, and a `trouble`, if there is none."""
        end = time.monotonic() + _PATIENCE
        while not self.pipe.poll(0.1):
            if time.monotonic() > end:
                return self._give_up(f"no result in {_PATIENCE:.0f} s")
            with contextlib.suppress(FileNotFoundError, StopIteration):  # it ended
                if resident("VmRSS", self.process.pid) > _MOST:
                    return self._give_up(f"no result in {_MOST >> 30} GB of memory")
        try:
            answer = self.pipe.recv()
        except EOFError:
            self.process.join()
            return self._give_up(f"its process ended with code {self.process.exitcode}")
        return self._give_up(answer) if isinstance(answer, str) else answer

    def _give_up(self, trouble: str) -> None:
        self.trouble = trouble
        self.process.kill()
        self.process.join()

    def turn(self, seconds: float) -> None:
        """Time some calls, unless it has had its share."""
        if self.trouble or sum(self.times) > 1e6 * _LONGEST:
            return
        self.pipe.send(seconds)
        self.times += self._answer() or []

    def end(self) -> None:
        """Let the process end."""
        if self.process.is_alive():
            self.pipe.send(None)
            self.process.join()


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set variables for processes that start meanwhile."""
    old = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    yield
    for name, text in old.items():
        if text is None:
            del os.environ[name]
        else:
            os.environ[name] = text


def compare(contenders: list[Contender], folder: str, tolerance: float) -> None:
    """Exit if a first result is not that of the first contender, part by part, relative to its greatest number."""
    usable = [each for each in contenders if not each.trouble]
    results = [np.load(Path(folder) / f"{each.contender}.npz") for each in usable]
    for each, result in zip(usable[1:], results[1:], strict=True):
        for part in result.files:
            a, b = results[0][part], result[part]
            if a.shape != b.shape:
                sys.exit(f"{each.contender} has a result of shape {b.shape} where {usable[0].contender} has {a.shape}")
            error = np.abs(a - b).max(initial=0.0) / (np.abs(a).max(initial=0.0) or 1.0)
            if not error <= tolerance:
                sys.exit(f"{each.contender} computes other numbers than {usable[0].contender}: {part} by {error:.1e}")


def report(workload: Any, contenders: list[Contender], quick: bool) -> bool:
    """Print the table of a workload and its bars; return whether chainrule has its results."""
    print(f"\n{workload.title} (to {workload.tolerance:.0e})")
    print(f"  {'':20} {'first s':>9} {'call us':>12} {'least':>12} {'peak MB':>9}")
    for each in contenders:
        label = workload.contenders[each.contender]
        if each.trouble:
            print(f"  {label:20} {each.trouble}")
            continue
        median, least = statistics.median(each.times), min(each.times)
        first, peak = each.found["first"], each.found["peak"] / 1e6
        print(f"  {label:20} {first:9.3f} {median:12,.1f} {least:12,.1f} {peak:9.1f}")
    found = {each.contender: each for each in contenders}
    for own in [found[name] for name in workload.own]:
        if not quick:
            print(f"  {workload.contenders[own.contender]}:")
        for bar, limit in () if quick else workload.bars.items():
            peers = [each for each in contenders if workload.contenders[each.contender].startswith(bar)]
            print("    " + verdict(own, bar, limit, peers))
        if own.found.get("profile"):
            print(own.found["profile"])
    sys.stdout.flush()
    return not any(found[name].trouble for name in workload.own)


def verdict(own: Contender, bar: str, limit: float, peers: Sequence[Contender]) -> str:
    """Say whether a bar of `Workload.bars` is met, beside the quickest of the peers that it names."""
    if peers:
        words = f"{limit} x the speed of {bar}"
        peers = [peer for peer in peers if not peer.trouble]
        if not peers:
            return f"{words}: not measured"
    else:
        words = f"memory under {limit} x the data" if bar == "memory" else f"{bar} within {limit} s"
    if own.trouble:
        return f"{words}: missed, no result"
    if bar == "memory":  # which does not swing
        ratio = own.found["peak"] / own.found["data"]
        return f"{words}: {'met' if ratio < limit else 'missed'}, {ratio:.2f} x"
    if not peers:
        return f"{words}: {judged(limit / own.found[bar])}, {own.found[bar]:.3f} s"
    ratio = min(statistics.median(peer.times) for peer in peers) / statistics.median(own.times)
    least = min(min(peer.times) for peer in peers) / min(own.times)
    return f"{words}: {judged(ratio / limit)}, {ratio:.2f} x (of least times {least:.2f} x)"


def judged(score: float) -> str:
    """Say "met" where a score is above 1, "missed" below, and "undecided" near it."""
    return "met" if score >= _NEAR else "missed" if score * _NEAR <= 1.0 else "undecided"


def run(repeats: int, quick: bool, only: list[str] | None = None, profile: bool = False) -> None:
    """Print a table for each workload; `quick` takes tiny sizes."""
    unknown = set(only or ()) - set(FULL)
    if unknown:
        sys.exit(f"--only expected some of {', '.join(FULL)} but got {', '.join(sorted(unknown))}")
    print(f"{THREADS} threads for all; doubles; first results agree to a share of their greatest number.")
    if quick:
        print("Quick: these sizes show that everything runs; they say nothing of speed, so no bar is judged.")
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        print(
            f"This machine is busy (load {os.getloadavg()[0]:.1f}): times say little, and those of more threads least."
        )
    lacking = []
    for name in only or FULL:
        workload = (QUICK if quick else FULL)[name]()
        with tempfile.TemporaryDirectory() as folder:
            contenders = []
            try:
                for contender in workload.contenders:
                    wanted = profile and contender in workload.own
                    contenders.append(Contender(name, contender, quick, wanted, folder))
                compare(contenders, folder, workload.tolerance)
                for _ in range(1 if quick else repeats):
                    for each in contenders:
                        each.turn(0.0 if quick else _TURN)
            finally:
                for each in contenders:
                    each.end()
        if not report(workload, contenders, quick):
            lacking.append(name)
    if lacking:
        sys.exit(f"no result from chainrule: {', '.join(lacking)}")
