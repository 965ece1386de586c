"""The demos find the numbers that the tutorials print."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMOS = Path(__file__).resolve().parents[2] / "demos"

numpy = pytest.importorskip("numpy")
for package in ("matplotlib", "sklearn"):
    pytest.importorskip(package)


def run(tmp_path, *arguments):
    """Return what a demo prints, and the pictures it leaves."""
    command = [sys.executable, "-W", "error", str(DEMOS / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, {path.name for path in (tmp_path / "out").iterdir()}


def demo(name, monkeypatch):
    """Import a demo as a module."""
    monkeypatch.syspath_prepend(str(DEMOS))
    spec = importlib.util.spec_from_file_location(name, DEMOS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_regression_prints_the_numbers_of_the_tutorial(tmp_path):
    text, pictures = run(tmp_path, "regression.py", "--tutorial")
    assert "layer by layer, epoch  0: training error 6066.584, validation error 5630.973\n" in text
    assert "layer by layer, epoch 19: training error 82.499, validation error 105.408\n" in text
    assert "layer by layer: test error 105.402441\n" in text
    assert "true gradients: test error 105.403197\n" in text
    whole = float(re.search(r"the rate falling to 0: test error (\S+)\n", text)[1])
    assert whole == pytest.approx(100.46, abs=0.05)
    assert pictures == {"regression_tutorial.png"}


def test_steps_of_the_tutorial_equal_those_by_hand(monkeypatch):
    regression = demo("regression", monkeypatch)
    source = numpy.random.default_rng(0)
    X, y = source.normal(size=(8, 2)), source.normal(size=8)
    for in_order, step in ((True, regression.step_layer_by_layer), (False, regression.step_by_true_gradients)):
        model = regression.nn.MLP(2, [3, 1], activation="relu", seed=0)
        layers = [
            (
                numpy.array([[w.value for w in neuron.weights] for neuron in layer.neurons]),
                numpy.array([neuron.bias.value for neuron in layer.neurons]),
            )
            for layer in model.layers
        ]
        (W1, b1), (W2, b2) = layers
        z = X @ W1.T + b1
        error = numpy.maximum(z, 0.0) @ W2.T + b2 - y[:, None]
        loss = step(model, X.tolist(), y.tolist())
        assert loss == pytest.approx(float((error**2).mean()), rel=1e-12)
        new_W2 = W2 - 1e-5 * error.T @ numpy.maximum(z, 0.0)
        below = (error @ (new_W2 if in_order else W2)) * (z > 0)
        wanted = [W1 - 1e-5 * below.T @ X, b1 - 1e-5 * below.mean(0), new_W2, b2 - 1e-5 * error.mean(0)]
        found = []
        for layer in model.layers:
            found.append([[w.value for w in neuron.weights] for neuron in layer.neurons])
            found.append([neuron.bias.value for neuron in layer.neurons])
        for one, other in zip(found, wanted, strict=True):
            assert numpy.array(one) == pytest.approx(other, rel=1e-13)


def test_degrees_that_are_not_scaled_end_anywhere_and_scaled_ones_at_the_truth(tmp_path):
    text, pictures = run(tmp_path, "celsius.py", "--raw")
    starts = re.findall(r"^ +\d \| +(\S+) \| +(\S+)$", text, re.MULTILINE)
    assert len(starts) == 5
    assert all(1.0 < float(error) < 20.0 for pair in starts for error in pair)
    # A start that differs by 1e-15 ends elsewhere.
    assert all(abs(float(one) - float(other)) > 1e-3 for one, other in starts)
    assert float(re.search(r"the same start with scaled degrees, .*: (\S+) °F", text)[1]) < 1e-12
    assert pictures == {"celsius_raw.png"}


def test_the_confusion_matrix_counts_every_digit_once(monkeypatch):
    digits = demo("digits", monkeypatch)
    actual, found = [0, 1, 1, 8, 8, 8], [0, 1, 7, 8, 1, 1]
    counts = digits.confusion(actual, found)
    assert [sum(row) for row in counts] == [actual.count(digit) for digit in range(10)]
    assert [sum(column) for column in zip(*counts, strict=True)] == [found.count(digit) for digit in range(10)]
    assert counts[8][1] == 2 and counts[1][7] == 1
