"""Check what draw folds, frames, marks and colours."""

from __future__ import annotations

import re

import chainrule as cr
import pytest
from chainrule import Var, nn, viz


def example() -> Var:
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    z = (x**2 + 3) ** 2 + y
    z.backward()
    return z


def network() -> tuple[nn.MLP, Var]:
    model = nn.MLP(2, [3, 1], activation="tanh", seed=1)
    loss = nn.mse([model([0.5, -0.5]), model([1.0, 0.25])], [1.0, 0.0])
    loss.backward()
    return model, loss


def test_layers_and_neurons_are_frames_that_name_their_parameters() -> None:
    model, loss = network()
    source = viz.draw(loss, module=model).source
    for words in ("layer 1", "layer 2", "neuron 3", "w1[3,2]", "b2[1]"):
        assert words in source
    assert source.count("subgraph") >= 1 + 2 + 4


@pytest.mark.parametrize(("level", "folded"), [("neuron", 4), ("layer", 2), ("module", 1)])
def test_parts_of_a_model_fold_to_one_node_with_counts(level: str, folded: int) -> None:
    model, loss = network()
    source = viz.draw(loss, module=model, collapse=level).source
    assert source.count("class=unit") == folded
    assert "parameters" in source


def test_highlight_marks_paths_and_multiplies_along_them() -> None:
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    z = (x**2 + 3) ** 2 + y
    for wanted in (x, "x"):
        source = viz.draw(z, highlight=wanted).source
        assert "4 · 1 · 14 · 1 = 56" in source
    with pytest.raises(ValueError, match="highlight"):
        viz.draw(z, highlight=Var(1.0))
    with pytest.raises(ValueError, match="highlight"):
        viz.draw(z, highlight="w")


def test_themes_differ_in_colours_only() -> None:
    light, dark = (viz.draw(example(), theme=theme).source for theme in ("light", "dark"))
    assert light != dark
    strip = re.compile(r"#[0-9a-f]{6}")
    assert strip.sub("", light) == strip.sub("", dark)
    with pytest.raises(ValueError, match="'light' or 'dark' but got theme='blue'"):
        viz.draw(example(), theme="blue")


def test_programs_and_compiled_functions_are_drawn() -> None:
    compiled = cr.compile(lambda x, w: cr.tanh(x * w), backend="python")
    compiled(1.0, 2.0)
    for root in (cr.trace(lambda x, w: cr.tanh(x * w), 1.0, 2.0), compiled):
        source = viz.draw(root).source
        assert "tanh" in source
        assert "<b>x</b>" in source
        assert ">grad<" not in source


def test_equal_parts_fold_to_one_with_their_number() -> None:
    model = nn.MLP(2, [4, 1], activation="tanh", seed=1)
    loss = nn.mse([model([0.01 * k, 1.0]) for k in range(100)], [0.0] * 100)
    drawing = viz.draw(loss)
    assert len([line for line in drawing.body if "->" not in line]) < 500
    assert "folded to" in drawing.source
    assert "100" in drawing.source
