"""Measure for `benchmark.py gpt`: whole training steps of a character GPT of scalars, Adam included.

Each contender has a process of its own, held to one processor core, with an empty cache. Time is that of the processor,
which other work on the machine does not add to. Names are real; a letter is one of a name, without its end. Losses of
some steps and the slopes of the first are compared with chainrule's before anything is printed; single precision is
compared with double. Each bar, which issue 17 set, is met or missed; a time within a tenth of its bar is undecided.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .gpt_rows import Bar, Row, rows

_TURN = 0.4  # processor seconds that a contender has before the next one comes
_COMPARED = 4  # steps
_NEAR = 1.1  # how far a time may swing
_PATIENCE = 300.0  # seconds that an answer may take


# ---- in the process of one contender ----


def serve(row: str, contender: str, quick: bool, pipe: Connection) -> None:
    """Send what the first steps took and gave; then the microseconds of a step for each request."""
    try:
        own = rows(quick)[row]
        make, setting = own.ready(contender)
        start = time.process_time()
        step = make(setting)
        if step is None:
            pipe.send("not installed")
            return
        losses = [step(0)]
        first, slopes = time.process_time() - start, np.array(step.means, float)
        if own.repeated:
            losses += [step(k) for k in range(1, _COMPARED)]
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send({"first": first, "losses": np.array(losses), "slopes": slopes})
    k = _COMPARED
    while (seconds := pipe.recv()) is not None:
        start = now = time.process_time()
        times = []
        while not times or now - start < seconds:
            step(k)
            k, before, now = k + 1, now, time.process_time()
            times.append(1e6 * (now - before))
        pipe.send(statistics.fmean(times))


# ---- in the process that was started ----


class Contender:
    """The process of one contender."""

    def __init__(self, row: str, name: str, quick: bool) -> None:
        self.name, self.trouble, self.times = name, "", list[float]()
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        with _on_one_core():
            self.process = context.Process(target=serve, args=(row, name, quick, other), daemon=True)
            self.process.start()
        other.close()
        self.found: dict[str, Any] = self._answer() or {}

    def _answer(self) -> Any:
        try:
            answer = self.pipe.recv() if self.pipe.poll(_PATIENCE) else f"no answer in {_PATIENCE:.0f} s"
        except EOFError:
            self.process.join()
            answer = f"its process ended with code {self.process.exitcode}"
        if isinstance(answer, str):
            self.trouble = answer
            self.process.kill()
            return None
        return answer

    def turn(self, seconds: float) -> None:
        """Time some steps."""
        if not self.trouble:
            self.pipe.send(seconds)
            self.times.append(self._answer() or 0.0)

    def end(self) -> None:
        """Let the process end."""
        if not self.trouble:
            self.pipe.send(None)
        self.process.join()

    @property
    def step(self) -> float:
        """The microseconds of a step."""
        return statistics.median(self.times)


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Have processes that start meanwhile run on one core, so that all that they load takes one thread; no cache."""
    before, cores = os.environ.get("CHAINRULE_CACHE"), None
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})
    os.environ["CHAINRULE_CACHE"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CHAINRULE_CACHE"]
        else:
            os.environ["CHAINRULE_CACHE"] = before
        if cores is not None:
            os.sched_setaffinity(0, cores)


def compare(contenders: list[Contender], tolerance: float) -> None:
    """Exit if losses or slopes are not those of the first contender that has any."""
    usable = [each for each in contenders if not each.trouble]
    for each in usable[1:]:
        for part in ("losses", "slopes"):
            a, b = usable[0].found[part], each.found[part]
            error = np.abs(a - b).max() / (np.abs(a).max() or 1.0) if a.shape == b.shape else np.inf
            if not error <= tolerance:
                sys.exit(f"{each.name} computes other {part} than {usable[0].name}: by {error:.1e}")


def report(row: Row, contenders: list[Contender], letters: float, quick: bool) -> None:
    """Print the table of a row and its bars."""
    print(f"\n{row.title} (agree to {row.tolerance:.0e})")
    print(f"  {'':20} {'first s':>9}" + (f" {'step us':>11} {'us a letter':>12}" if row.repeated else ""))
    for each in contenders:
        if each.trouble:
            print(f"  {each.name:20} {each.trouble}")
            continue
        text = f"  {each.name:20} {each.found['first']:9.3f}"
        if row.repeated:
            text += f" {each.step:11,.1f} " + (f"{each.step / letters:12.2f}" if letters else f"{'-':>12}")
        print(text)
    for bar in () if quick else row.bars:
        print("    " + verdict(bar, {each.name: each for each in contenders}, letters))
    sys.stdout.flush()


def verdict(bar: Bar, contenders: dict[str, Contender], letters: float) -> str:
    """Say whether a bar is met, missed, or too near to tell."""
    own, peer = contenders[bar.own], contenders.get(bar.what)
    if peer is not None:
        words = f"{bar.own}: {bar.limit:g} x the speed of {peer.name}"
    else:
        words = f"{bar.own}: {bar.what} within {bar.limit:g} {'s' if bar.what == 'first' else 'us'}"
    if own.trouble:
        return f"{words}: missed, no result"
    if peer is not None:
        if peer.trouble:
            return f"{words}: not measured"
        ratio = peer.step / own.step
        return f"{words}: {judged(ratio / bar.limit)}, {ratio:.2f} x"
    taken = {"first": lambda: own.found["first"], "letter": lambda: own.step / letters, "step": lambda: own.step}
    number = taken[bar.what]()
    return f"{words}: {judged(bar.limit / number)}, {number:.2f}"


def judged(score: float) -> str:
    """Say "met" where a score is above 1, "missed" below, and "undecided" near it."""
    return "met" if score >= _NEAR else "missed" if score * _NEAR <= 1.0 else "undecided"


def run(repeats: int, quick: bool, only: list[str] | None = None) -> None:
    """Print a table for each row; `quick` takes tiny sizes."""
    known = rows(quick)
    unknown = set(only or ()) - set(known)
    if unknown:
        sys.exit(f"--only expected some of {', '.join(known)} but got {', '.join(sorted(unknown))}")
    print("One core and one thread for all; processor time; a letter is one of a name, without its end.")
    if quick:
        print("Quick: these sizes show that everything runs; they say nothing of speed, so no bar is judged.")
    for name in only or known:
        row = known[name]
        contenders: list[Contender] = []
        try:
            for contender in row.contenders:
                contenders.append(Contender(name, contender, quick))
            compare(contenders, row.tolerance)
            for _ in range((1 if quick else repeats) if row.repeated else 0):
                for each in contenders:
                    each.turn(0.0 if quick else _TURN)
        finally:
            for each in contenders:
                each.end()
        report(row, contenders, row.letters(), quick)
