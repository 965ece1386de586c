"""Measure how fast and how small chainrule is beside other engines: `python demos/benchmark.py eager`.

Every engine has a process of its own, a fresh one for each workload of `benchmarks/workloads.py`. First each says its
values and gradients, and a difference ends the run. Then they take turns, one at a time, so that whatever else the
machine does strikes all alike: a turn lasts two seconds, or one step where that is longer, and gives the mean of its
steps.
Every step starts from the same parameters, so all engines do the same work however many steps fit in a turn.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import itertools
import math
import multiprocessing
import os
import platform
import statistics
import sys
import time
import warnings
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from needed import needed

with needed("numpy"):
    from benchmarks.engines import ENGINES, Chainrule, Engine
    from benchmarks.memory import resident
    from benchmarks.workloads import GPT, Chain, Moons, MoonsInArrays

TOLERANCE = 1e-9  # relative, between values and gradients of the engines
ROUNDING = 1e-12  # of the greatest gradient: what may be left where terms cancel
SECONDS = 2.0  # of a turn
LIMIT = 120.0  # seconds after which an engine takes no more turns at a workload
MISSING = "not installed"
PHASES = ["build", "sweep", "update", "free"]
WORKLOADS = {"moons": Moons, "arrays": MoonsInArrays, "chain": Chain, "gpt": GPT, "memory": Chain}
FULL = {"moons": {}, "arrays": {}, "chain": {}, "gpt": {}, "memory": {"operations": 300_000}}
QUICK = {
    "moons": {"samples": 6},
    "arrays": {"samples": 6},
    "chain": {"operations": 4000},
    "gpt": {"width": 4, "heads": 2, "context": 4},
    "memory": {"operations": 20_000},
}


# ---- in the process of one engine ----


def serve(name: str, pipe: Connection) -> None:
    """Answer requests, (method of Worker, arguments), with ("ok", answer) or (what went wrong, None)."""
    if not issubclass(ENGINES[name], Chainrule):
        warnings.simplefilter("ignore")
    try:
        worker = Worker(ENGINES[name]())
    except ImportError:
        pipe.send((MISSING, None))
        return
    except Exception as error:
        pipe.send((explain(error), None))
        return
    pipe.send(("ok", worker.engine.name))
    while True:
        try:
            method, *arguments = pipe.recv()
        except EOFError:  # the process that asks has ended
            return
        try:
            pipe.send(("ok", getattr(worker, method)(*arguments)))
        except Exception as error:
            pipe.send((explain(error), None))


def explain(error: Exception) -> str:
    return f"no result: {type(error).__name__}: {error}"


class Worker:
    """Measure one engine in this process, with Python's default garbage collection."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def check(self, workload: Any) -> dict[str, Any]:
        """Take one step untimed; return its value, gradients and number of nodes, and the value after the update."""
        engine = self.engine
        for function in workload.needs:
            if getattr(engine.functions, function) is None:
                raise NotImplementedError(f"it has no {function}")
        engine.start(workload)
        engine.build()
        answer = {"value": engine.value(), "nodes": engine.nodes()}
        engine.sweep()
        answer["gradients"] = engine.gradients()
        engine.free()
        updated = workload.update(workload.start, answer["gradients"])
        if updated != workload.start:
            engine.assign(updated)
            engine.build()
            answer["value after an update"] = engine.value()
            engine.free()
            engine.assign(workload.start)
        gc.collect()
        return answer

    def turn(self, seconds: float) -> list[float]:
        """Repeat the step for some time; return the mean seconds of each phase."""
        phases = self.step()
        if sum(phases) > seconds:
            return phases
        steps: list[list[float]] = []  # without the first, which warmed the caches
        end = time.perf_counter() + seconds
        while not steps or time.perf_counter() < end:
            steps.append(self.step())
        return [statistics.fmean(phase) for phase in zip(*steps, strict=True)]

    def step(self) -> list[float]:
        engine, clock = self.engine, time.perf_counter
        times = [clock()]
        engine.build()
        times.append(clock())
        engine.sweep()
        times.append(clock())
        engine.assign(engine.workload.update(engine.workload.start, engine.gradients()))
        times.append(clock())
        engine.free()
        times.append(clock())
        engine.assign(engine.workload.start)
        return [after - before for before, after in itertools.pairwise(times)]

    def memory(self, workload: Any) -> dict[str, Any]:
        """Return bytes for each operation of the chain: of its graph, at the peak of its sweep, of one node object."""
        engine, operations = self.engine, workload.operations
        self.check(Chain(400))
        engine.start(workload)
        before = resident("VmRSS")
        engine.build()
        answer = {"graph": (resident("VmRSS") - before) / operations, "value": engine.value()}
        answer["object"] = sys.getsizeof(engine.loss) if engine.sized else None
        try:
            engine.sweep()
            answer |= {"gradients": engine.gradients(), "peak": (resident("VmHWM") - before) / operations}
        except RecursionError:  # micrograd
            answer["peak"] = None
        return answer


# ---- in the process that was started ----


class Peer:
    """The process of one engine."""

    def __init__(self, key: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(key, other), daemon=True)
        self.process.start()
        other.close()
        self.name = self.trouble = ""

    def ask(self, *request: Any) -> Any:
        """Send a request and return its answer; without one, wait until the engine is imported. None if it cannot."""
        try:
            if request:
                self.pipe.send(request)
            trouble, answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            trouble, answer = f"no result: its process ended with code {self.process.exitcode}", None
        self.trouble = "" if trouble == "ok" else trouble
        return answer


def start(keys: list[str]) -> dict[str, Peer]:
    peers = {key: Peer(key) for key in keys}
    for key, peer in peers.items():
        peer.name = peer.ask() or key
    return peers


def end(peers: dict[str, Peer]) -> None:
    for peer in peers.values():
        peer.process.terminate()
        peer.process.join()


def check(peers: dict[str, Peer], method: str, workload: Any) -> dict[str, dict[str, Any]]:
    """Ask all engines for values and gradients; exit if two differ."""
    answers = {}
    for key, peer in peers.items():
        if peer.trouble != MISSING:
            answers[key] = peer.ask(method, workload)
    answers = {key: answer for key, answer in answers.items() if answer is not None}
    compare(answers)
    return answers


def compare(answers: dict[str, dict[str, Any]]) -> None:
    """Raise SystemExit at the first engine whose values or gradients are not those of the first."""
    first = next(iter(answers), "")
    for other in answers:
        for what in ("value", "gradients", "value after an update"):
            a, b = answers[first].get(what), answers[other].get(what)
            if a is None or b is None:
                continue
            a, b = (a, b) if isinstance(a, list) else ([a], [b])
            least = ROUNDING * max(map(abs, a))
            wrong = [k for k in range(len(a)) if not math.isclose(a[k], b[k], rel_tol=TOLERANCE, abs_tol=least)]
            if wrong:
                k = wrong[0]
                raise SystemExit(
                    f"mismatch, so nothing is timed: {what} is {a[k]!r} with {first} but {b[k]!r} with {other} "
                    f"(number {k}; {len(wrong)} of {len(a)} differ)"
                )


def measure_time(peers: dict[str, Peer], workload: Any, repeats: int, seconds: float) -> dict[str, float]:
    """Compare the engines in turns and print the table; return each one's milliseconds per step."""
    answers = check(peers, "check", workload)
    turns: dict[str, list[list[float]]] = {key: [] for key in answers}
    for _ in range(repeats):
        for key in answers:
            if sum(map(sum, turns[key])) > 1000 * LIMIT:
                continue
            turn = peers[key].ask("turn", seconds)
            if turn is None:
                raise SystemExit(f"{peers[key].name}: {peers[key].trouble}")
            turns[key].append([1000 * phase for phase in turn])
    steps = {key: [sum(turn[:3]) for turn in turns[key]] for key in answers}
    medians = {key: statistics.median(steps[key]) for key in answers}
    whole = {key: statistics.median(map(sum, turns[key])) for key in answers}
    rows = []
    for key in answers:
        phases = [statistics.median(phase) for phase in zip(*turns[key], strict=True)]
        ratios = [ratio(medians, key, "chainrule"), ratio(medians, key, "pure"), ratio(whole, key, "chainrule")]
        span = f"{short(min(steps[key]))} - {short(max(steps[key]))}"
        if len(turns[key]) < repeats:
            span += f" ({len(turns[key])} turns)"
        nodes = answers[key]["nodes"]
        rows.append(
            [peers[key].name, short(medians[key]), span, *ratios, *map(short, phases), f"{nodes:,}" if nodes else "-"]
        )
    heads = ["engine", "step ms", "min - max", "ratio", "to pure", "with free", *PHASES, "nodes"]
    print_table(workload.title, heads, rows, peers)
    return {peers[key].name: medians[key] for key in answers}


def measure_memory(peers: dict[str, Peer], workload: Any) -> dict[str, float]:
    """Compare the engines and print the table; return each one's bytes per node."""
    answers = check(peers, "memory", workload)
    graph = {key: answers[key]["graph"] for key in answers}
    rows = []
    for key, answer in answers.items():
        numbers = ["-" if answer[what] is None else f"{answer[what]:,.0f}" for what in ("graph", "object", "peak")]
        rows.append([peers[key].name, numbers[0], ratio(graph, key, "chainrule"), *numbers[1:]])
    title = f"memory: bytes for each of the {workload.operations:,} operations of the chain (resident memory)"
    heads = ["engine", "graph", "ratio", "of which node object", "peak after sweep"]
    print_table(title, heads, rows, peers)
    return {peers[key].name: graph[key] for key in answers}


def ratio(numbers: dict[str, float], key: str, to: str) -> str:
    return short(numbers[key] / numbers[to]) + "x" if numbers.get(to) else "-"


def short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def print_table(title: str, heads: list[str], rows: list[list[str]], peers: dict[str, Peer]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print(f"\n{title}")
    for row in [heads, *rows]:
        print(
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            sep="  ",
        )
    for peer in peers.values():
        if peer.trouble:
            print(f"{peer.name}: {peer.trouble}")
    sys.stdout.flush()


def print_header(quick: bool) -> None:
    """Print the machine and the versions that were measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((line.split(": ")[1] for line in info.read_text().splitlines() if "model name" in line), cpu)
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    print(f"{cpu}, {os.cpu_count()} cores{load}; {platform.system()}, {platform.python_implementation()}", end=" ")
    versions = [platform.python_version()]
    for package in dict.fromkeys(engine.package for engine in ENGINES.values() if engine.package):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    print(*versions, sep=", ")
    print("A step is build + sweep + update; ratios are of its median, and beside it with the freeing of the graph.")
    if quick:
        print("Quick: these sizes show that everything runs; they say nothing of speed.")


def draw(path: Path, results: dict[str, dict[str, float]]) -> None:
    """Save a chart for each workload: dots, since a logarithmic axis has no zero for bars to start at."""
    from chainrule.viz.theme import LIGHT
    from matplotlib.figure import Figure

    ours, others = LIGHT.cards["root"]["color"], LIGHT.cards["input"]["color"]
    figure = Figure(figsize=(9, 1 + 2 * len(results)), layout="constrained", facecolor=LIGHT.background)
    figure.suptitle("chainrule beside other engines: less is better", color=LIGHT.ink)
    for axes, (workload, found) in zip(figure.subplots(len(results), squeeze=False).flat, results.items(), strict=True):
        numbers = {name: max(number, 1e-3) for name, number in found.items()}  # which a logarithm can show
        colours = [ours if name.startswith("chainrule") else others for name in numbers]
        axes.hlines(
            list(numbers), 0, 1, transform=axes.get_yaxis_transform(), color=LIGHT.line, alpha=0.35, linewidth=0.8
        )
        axes.scatter(list(numbers.values()), list(numbers), color=colours, s=64, zorder=3)
        for name, number in numbers.items():
            place = {"xytext": (9, 0), "textcoords": "offset points", "va": "center", "color": LIGHT.ink}
            axes.annotate(short(number), (number, name), **place)
        axes.set(xscale="log", title=workload, xlabel="bytes per operation" if workload == "memory" else "ms per step")
        axes.margins(x=0.15, y=0.15)
        axes.tick_params(which="both", color=LIGHT.line, labelcolor=LIGHT.ink)
        for spine in axes.spines.values():
            spine.set_color(LIGHT.line)
        axes.invert_yaxis()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"\npicture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "what",
        choices=["eager", "compile", "loops", "scale", "gpt", "train"],
        help="what of chainrule is measured: recording and backward(), compiled functions, loops in them, whole "
        "arrays, the training of a GPT, of small networks",
    )
    parser.add_argument("--repeats", type=int, default=7, help="turns of each engine, at least 5 (default: 7)")
    parser.add_argument("--only", nargs="+", help="workloads of eager, scale or gpt")
    parser.add_argument("--peers", nargs="+", choices=ENGINES, default=list(ENGINES), help="engines")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one turn: see that everything runs")
    parser.add_argument("--profile", action="store_true", help="scale: where the time of first results goes")
    arguments = parser.parse_args()
    if arguments.repeats < 5:
        parser.error(f"--repeats expected at least 5 but got {arguments.repeats}")

    if arguments.what != "eager":
        # Imported here, so that peers start without chainrule: "pure" loads it in another form.
        module = {"compile": "compilation"}.get(arguments.what, arguments.what)
        own = {"scale": [arguments.only, arguments.profile], "gpt": [arguments.only]}.get(arguments.what, [])
        importlib.import_module(f"benchmarks.{module}").run(arguments.repeats, arguments.quick, *own)
        return
    only = arguments.only or list(WORKLOADS)
    if not set(only) <= set(WORKLOADS):
        parser.error(f"--only expected some of {', '.join(WORKLOADS)} but got {' '.join(only)}")
    print_header(arguments.quick)
    keys = [key for key in ENGINES if key in arguments.peers]
    peers: dict[str, Peer] = {}
    results = {}
    for name in [name for name in WORKLOADS if name in only]:
        workload = WORKLOADS[name](**(QUICK if arguments.quick else FULL)[name])
        if not (peers and arguments.quick):
            peers = start(keys)
        if name == "memory":
            results[name] = measure_memory(peers, workload)
        elif arguments.quick:
            results[name] = measure_time(peers, workload, 1, 0.01)
        else:
            results[name] = measure_time(peers, workload, arguments.repeats, SECONDS)
        if not arguments.quick:
            end(peers)
    end(peers)
    results = {name: numbers for name, numbers in results.items() if numbers}
    if not results:
        raise SystemExit("no engine could be measured")
    try:
        draw(Path("out") / "benchmark.png", results)
    except ImportError:
        print("\nno picture: it needs matplotlib")


if __name__ == "__main__":
    with needed():
        main()
