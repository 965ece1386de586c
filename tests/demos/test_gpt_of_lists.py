"""The GPT of `benchmark.py gpt` as everybody writes it compiles to loops, and computes what the recorded one does."""

import sys
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demos"))
from benchmarks import gpt_model


def test_a_gpt_of_lists_becomes_loops():
    p = {name: np.array(rows) for name, rows in gpt_model.parameters().items()}
    tokens = gpt_model.tokens_of("marguerite")
    compiled = cr.compile(cr.value_and_grad(lambda p: gpt_model.loss(p, tokens)), backend="llvm")
    value, gradient = compiled(p)
    assert len(compiled.program) < 1_000  # of 170,000 that are traced
    # Differences along a random direction say what is right.
    draw = np.random.default_rng(0)
    direction = {name: draw.normal(size=rows.shape) for name, rows in p.items()}

    def along(t):
        moved = {name: (p[name] + t * direction[name]).tolist() for name in p}
        return gpt_model.loss(moved, tokens)

    assert value == pytest.approx(along(0.0), rel=1e-12)
    slope = (along(1e-6) - along(-1e-6)) / 2e-6  # across few kinks of ReLU, if any
    assert sum((gradient[name] * direction[name]).sum() for name in p) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("word", ["a", "ada", "lovelace"])
def test_a_gpt_of_lists_has_the_recorded_gradient(word):
    p, tokens = gpt_model.parameters(3), gpt_model.tokens_of(word)
    f = cr.value_and_grad(lambda p: gpt_model.loss(p, tokens))
    value, gradient = f(p)
    for backend in ("llvm", "numpy"):
        found, own = cr.compile(f, backend=backend)(p)
        assert found == pytest.approx(value, rel=1e-12)
        for name, rows in gradient.items():
            np.testing.assert_allclose(own[name], rows, rtol=1e-9, atol=1e-13)
