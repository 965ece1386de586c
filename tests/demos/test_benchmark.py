"""The benchmark measures what it says: all engines compute the same; a difference or a missing engine is reported."""

import os
import subprocess
import sys
from pathlib import Path

import chainrule
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
