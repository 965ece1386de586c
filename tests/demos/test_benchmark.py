"""The benchmark measures what it says: all engines compute the same; a difference or a missing engine is reported."""

import os
import subprocess
import sys
from pathlib import Path

import chainrule
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demos"))

import benchmark
from benchmarks import engines, workloads

DEMOS = Path(benchmark.__file__).parent


def small(name):
    """Return a fresh workload: Adam counts its steps."""
    if name == "moons":
        return workloads.Moons(samples=8, hidden=4)
    if name == "arrays":
        return workloads.MoonsInArrays(samples=8, hidden=4)
    return workloads.Chain(operations=400) if name == "chain" else workloads.GPT(width=4, heads=2, context=6)


def check(key, name):
    return benchmark.Worker(engines.ENGINES[key]()).check(small(name))


def run(*arguments, folder):
    """Run the script in a folder, where its modules take precedence over installed ones."""
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-W", "error", str(DEMOS / "benchmark.py"), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.mark.parametrize("name", ["moons", "arrays", "chain", "gpt"])
@pytest.mark.parametrize("key", ["value", "micrograd", "torch", "autograd", "xad"])
@pytest.mark.filterwarnings("ignore")
def test_engines_compute_the_same(key, name):
    package = engines.ENGINES[key].package
    if package:
        pytest.importorskip(package)
    if key == "micrograd" and name == "gpt":
        pytest.skip("micrograd has no exp")
    answers = {each: check(each, name) for each in ("chainrule", key)}
    benchmark.compare(answers)
    nodes = {answer["nodes"] for answer in answers.values()}
    assert len(nodes) == 1 or key in ("torch", "autograd", "xad"), "the same code makes the same graph"
    assert any(answers[key]["gradients"])


def test_the_chain_has_as_many_nodes_as_it_says():
    assert check("chainrule", "chain")["nodes"] == small("chain").operations


def test_the_gpt_is_the_one_that_speed_is_promised_for():
    gpt = workloads.GPT()
    assert len(gpt.start) == 4192
    assert len(gpt.tokens) == 17
    assert {len(word) for word in workloads.WORDS} == {15}


def test_a_step_learns():
    for name in ("moons", "gpt"):
        answer = check("chainrule", name)
        assert answer["value after an update"] < answer["value"]


def test_a_turn_leaves_the_parameters_as_they_were():
    worker = benchmark.Worker(engines.Chainrule())
    before = worker.check(small("moons"))
    phases = worker.turn(0.01)
    assert len(phases) == len(benchmark.PHASES)
    assert all(seconds >= 0 for seconds in phases)
    assert worker.check(small("moons")) == before


def test_differences_are_refused():
    same = {"value": 1.0, "gradients": [1.0, 0.0]}
    benchmark.compare({"a": same, "b": {"value": 1.0 + 1e-11, "gradients": [1.0, 1e-17]}})
    benchmark.compare({"a": same, "b": {"value": 1.0}})
    with pytest.raises(SystemExit, match=r"value is 1.0 with a but 1.00000001 with b"):
        benchmark.compare({"a": same, "b": same | {"value": 1.00000001}})
    with pytest.raises(SystemExit, match=r"gradients is 0.0 with a but 1e-06 with b \(number 1; 1 of 2 differ\)"):
        benchmark.compare({"a": same, "b": same | {"gradients": [1.0, 1e-6]}})


def test_not_a_number_is_a_difference():
    with pytest.raises(SystemExit, match="mismatch"):
        benchmark.compare({"a": {"value": 1.0}, "b": {"value": float("nan")}})


def test_one_table_for_each_workload(tmp_path):
    done = run("eager", "--quick", "--peers", "chainrule", "pure", "value", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "picture: out/benchmark.png" in done.stdout
    assert (tmp_path / "out" / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    core = chainrule.core()
    for title in ("moons: MLP", "chain: 4,000 operations", "gpt: one layer", "memory: bytes"):
        table = done.stdout[done.stdout.index(f"\n{title}") + 1 :].split("\n")
        assert [row.split("  ")[0] for row in table[2:5]] == [
            f"chainrule {core}",
            "chainrule interpreted",
            "plain Value class",
        ]
        assert table[5] == ""


def test_a_missing_engine_is_told(tmp_path):
    (tmp_path / "autograd.py").write_text("raise ImportError")
    done = run("eager", "--quick", "--only", "chain", "--peers", "chainrule", "autograd", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nautograd: not installed\n" in done.stdout


def test_an_engine_that_ends_is_told(tmp_path):
    (tmp_path / "autograd.py").write_text("import os; os._exit(3)")
    done = run("eager", "--quick", "--only", "chain", "--peers", "chainrule", "autograd", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nautograd: no result: its process ended with code 3\n" in done.stdout


def test_nothing_is_timed_where_an_engine_is_wrong(tmp_path):
    right = DEMOS.joinpath("benchmarks/workloads.py").read_text()
    wrong = right.replace("child.grad += local_grad", "child.grad -= local_grad")
    wrong += "\nValue._prev = property(lambda self: self.children)\n"
    (tmp_path / "micrograd").mkdir()
    (tmp_path / "micrograd" / "__init__.py").write_text("")
    (tmp_path / "micrograd" / "engine.py").write_text(wrong)
    arguments = ["eager", "--quick", "--only", "chain", "--peers", "chainrule", "micrograd"]
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("mismatch, so nothing is timed: gradients is")
    assert "step ms" not in done.stdout
    assert not (tmp_path / "out").exists()


def test_few_repeats_are_refused(tmp_path):
    done = run("eager", "--repeats", "4", folder=tmp_path)
    assert done.returncode == 2
    assert "--repeats expected at least 5 but got 4" in done.stderr


def test_loops_are_compared_and_timed(tmp_path):
    pytest.importorskip("llvmlite")
    done = run("loops", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for title in ("MLP 3-5-1", "LSTM cell", "Runge-Kutta", "log-sum-exp", "Gaussian mixture", "GPT layer"):
        assert title in done.stdout


def test_compiled_functions_are_compared_and_timed(tmp_path):
    pytest.importorskip("llvmlite")
    done = run("compile", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for title in ("MLP 2-4-1, hinge loss", "50 chained sines", "second process", "us per step"):
        assert title in done.stdout


def test_whole_arrays_are_compared_and_timed(tmp_path):
    pytest.importorskip("llvmlite")
    done = run("scale", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    titles = ("log-sum-exp of 1,200", "MLP 20-16-3", "chained Rosenbrock", "Gaussian mixture", "k-means", "bundle")
    for title in (*titles, "LSTM of 2 layers", "tanh(A @ B)", "determinant", "no bar is judged"):
        assert title in done.stdout


def test_trainings_are_compared_and_timed(tmp_path):
    pytest.importorskip("llvmlite")
    pytest.importorskip("sklearn")
    done = run("train", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for title in ("An epoch of 700 x 5", "NumPy by hand", "two moons", "wine: fit of 89 samples", "predictions of 300"):
        assert title in done.stdout


def test_steps_of_a_gpt_are_compared_and_timed(tmp_path):
    pytest.importorskip("llvmlite")
    pytest.importorskip("names")
    done = run("gpt", "--quick", "--only", "names", "all", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for title in ("2 names a step, double", "20 steps of one name each", "chainrule, one call", "no bar is judged"):
        assert title in done.stdout
    done = run("gpt", "--only", "nothing", folder=tmp_path)
    assert done.returncode == 1
    assert "--only expected some of one, names" in done.stderr and "but got nothing" in done.stderr


@pytest.mark.parametrize(
    "contender", ["plain", "arrays", "in_place", "lanes", "recorded", "Numpy", "c", "jax", "torch"]
)
@pytest.mark.filterwarnings("ignore")
def test_steps_of_a_gpt_by_hand_are_those_of_the_graph(contender):
    pytest.importorskip("llvmlite")
    pytest.importorskip("names")
    from benchmarks import gpt_padded, gpt_programs

    make = getattr(gpt_padded if contender in ("jax", "torch") else gpt_programs, contender)
    setting = gpt_programs.Setting(16, *gpt_programs.names(3, 1, 3))
    own, recorded = make(setting), gpt_programs.recorded_arrays(setting)
    if own is None:
        pytest.skip("its tool is not installed")
    found = [[step(k) for k in range(3)] for step in (own, recorded)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)
    np.testing.assert_allclose(own.means, recorded.means, rtol=1e-8, atol=1e-13)
    if contender in ("Numpy", "c", "jax", "torch", "arrays", "lanes"):  # several names, of different lengths
        setting = gpt_programs.Setting(16, *gpt_programs.names(3, 11))
        found = [[step(k) for k in range(3)] for step in [make(setting)]]
        wanted = [step(k) for step in [gpt_programs.Numpy(setting)] for k in range(3)]
        np.testing.assert_allclose(found[0], wanted, rtol=1e-10)


def test_bars_of_a_gpt_are_judged():
    pytest.importorskip("llvmlite")
    pytest.importorskip("names")
    from benchmarks.gpt import verdict
    from benchmarks.gpt_rows import Bar

    own, slow = Answered("chainrule", [], first=0.5), Answered("C", [])
    own.step, slow.step = 100.0, 130.0
    own.name, slow.name = "chainrule", "C"
    both = {"chainrule": own, "C": slow}
    assert verdict(Bar("chainrule", "letter", 2.0), both, 100.0) == "chainrule: letter within 2 us: met, 1.00"
    assert verdict(Bar("chainrule", "step", 50.0), both, 1.0) == "chainrule: step within 50 us: missed, 100.00"
    assert verdict(Bar("chainrule", "first", 0.51), both, 1.0) == "chainrule: first within 0.51 s: undecided, 0.50"
    assert verdict(Bar("chainrule", "C", 1.0), both, 1.0) == "chainrule: 1 x the speed of C: met, 1.30 x"
    slow.trouble = "not installed"
    assert "not measured" in verdict(Bar("chainrule", "C", 1.0), both, 1.0)
    own.trouble = "TypeError"
    assert "missed, no result" in verdict(Bar("chainrule", "C", 1.0), both, 1.0)


def test_unknown_workloads_are_refused(tmp_path):
    done = run("scale", "--only", "nothing", folder=tmp_path)
    assert done.returncode == 1
    assert "--only expected some of logsumexp" in done.stderr and "but got nothing" in done.stderr
    done = run("eager", "--only", "nothing", folder=tmp_path)
    assert done.returncode == 2
    assert "--only expected some of moons" in done.stderr


class Answered:
    """A contender that has answered."""

    def __init__(self, contender, times, trouble="", **found):
        self.contender, self.times, self.trouble, self.found = contender, times, trouble, found


def test_bars_near_a_time_are_undecided():
    pytest.importorskip("llvmlite")
    from benchmarks.scale import verdict

    own = Answered("chainrule", [1.0, 2.0, 3.0], first=0.5, peak=40.0, data=8.0)
    assert verdict(own, "first", 0.6, []) == "first within 0.6 s: met, 0.500 s"
    assert verdict(own, "first", 0.55, []) == "first within 0.55 s: undecided, 0.500 s"
    assert verdict(own, "first", 0.4, []) == "first within 0.4 s: missed, 0.500 s"
    assert "missed, 5.00 x" in verdict(own, "memory", 5.0, [])
    assert "met, 5.00 x" in verdict(own, "memory", 5.1, [])
    peer = [Answered("jax", [2.0, 6.0, 7.0]), Answered("slow", [9.0]), Answered("none", [], "not installed")]
    assert verdict(own, "JAX jit", 2.5, peer) == "2.5 x the speed of JAX jit: met, 3.00 x (of least times 2.00 x)"
    assert "missed, 3.00 x" in verdict(own, "JAX jit", 4.0, peer)
    assert "not measured" in verdict(own, "JAX jit", 1.0, [Answered("jax", [], "not installed")])
    assert "missed, no result" in verdict(Answered("chainrule", [], "TypeError"), "JAX jit", 1.0, peer)


def test_other_numbers_end_the_run(tmp_path):
    pytest.importorskip("llvmlite")
    from benchmarks.scale import compare

    np.savez(tmp_path / "chainrule.npz", np.array(2.0), np.array([1.0, -4.0]))
    np.savez(tmp_path / "jax.npz", np.array(2.0), np.array([1.0 + 1e-9, -4.0]))
    both = [Answered("chainrule", []), Answered("jax", [])]
    compare(both, tmp_path, 1e-9)
    with pytest.raises(SystemExit, match=r"jax computes other numbers than chainrule: arr_1 by 2\.5e-10"):
        compare(both, tmp_path, 1e-10)
    np.savez(tmp_path / "jax.npz", np.array(np.nan), np.array([1.0, -4.0]))
    with pytest.raises(SystemExit, match="arr_0 by nan"):
        compare(both, tmp_path, 1.0)
    np.savez(tmp_path / "jax.npz", np.array(2.0), np.array([1.0, -4.0, 0.0]))
    with pytest.raises(SystemExit, match="shape"):
        compare(both, tmp_path, 1.0)


@pytest.mark.parametrize("contender", ["by_cpp", "torch", "jax"])
@pytest.mark.filterwarnings("ignore")
def test_jacobians_of_the_bundle_by_hand_are_those_of_differences(contender):
    pytest.importorskip("llvmlite")
    from benchmarks.bundle import Bundle, residual

    workload = Bundle(5, 7, 12)
    call = getattr(workload, contender)()
    if call is None:
        pytest.skip("its tool is not installed")
    found = np.stack(workload.comparable(call()), 1).reshape(12, 2, 15)
    cameras, points, weights = workload.arguments
    own = np.hstack([cameras[workload.camera], points[workload.point], weights[:, None]])

    def at(own):
        return np.stack(residual(own[:, :11].T, own[:, 11:14].T, own[:, 14], workload.seen.T), 1)

    for k in range(15):
        step = 1e-6 * np.eye(15)[k]
        np.testing.assert_allclose(found[:, :, k], (at(own + step) - at(own - step)) / 2e-6, rtol=1e-5, atol=1e-4)
