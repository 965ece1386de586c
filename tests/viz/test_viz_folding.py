"""Check what draw folds, frames, marks and colours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import chainrule as cr
import pytest
from chainrule import Var, nn, viz
from chainrule.viz.theme import LIGHT


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


def written_neuron(neuron: nn.Neuron, xs: list[object]) -> Var:
    """Compute a neuron as many write it: one product and one sum after the other."""
    total = neuron.bias
    for weight, x in zip(neuron.weights, xs, strict=True):
        total = total + weight * x
    return cr.tanh(total)


def test_neurons_written_out_belong_to_their_frames_whole() -> None:
    model = nn.MLP(2, [3, 1], activation="tanh", output_activation="tanh", seed=1)
    xs: list[object] = [0.5, -1.0]
    for layer in model.layers:
        xs = [written_neuron(neuron, xs) for neuron in layer.neurons]
    drawing = viz.draw(xs[0] * 2, module=model, collapse="neuron")  # type: ignore[operator]
    assert drawing.source.count("class=unit") == 4
    # The product with 2 is all that stands outside.
    assert len([line for line in drawing.body if re.match(r"\top\d+ \[", line)]) == 1


def test_parts_of_a_model_stand_in_their_order() -> None:
    pytest.importorskip("pygraphviz")
    model, loss = network()
    svg = ElementTree.fromstring(viz.to_svg(loss, module=model))
    heights = {
        text.text: float(text.get("y", "0")) for text in svg.iter("{http://www.w3.org/2000/svg}text") if text.text
    }
    neurons = [heights[f"b1[{k}]"] for k in (1, 2, 3)]
    assert neurons == sorted(neurons)
    assert heights["w1[1,1]"] < heights["w1[1,2]"] < heights["b1[1]"]
    lefts = {text.text: float(text.get("x", "0")) for text in svg.iter("{http://www.w3.org/2000/svg}text") if text.text}
    assert lefts["layer 1"] < lefts["layer 2"]
    assert max(lefts[f"b1[{k}]"] for k in (1, 2, 3)) < lefts["b2[1]"]


def test_a_summary_is_short_and_has_few_arrows() -> None:
    model = nn.MLP(2, [16, 16, 1], activation="relu", seed=1)
    loss = nn.hinge([model([0.01 * k, 1.0]) for k in range(100)], [1.0] * 100)
    for options in ({}, {"module": model}):
        body = viz.draw(loss, **options).body
        assert len([line for line in body if re.match(r"\t+v\d+ \[", line)]) <= 60
        assert len([line for line in body if "->" in line]) <= 180
    # 16 neurons, each connected with 16: no number at every arrow.
    crowded = viz.draw(loss, module=model, collapse="neuron")
    assert len([line for line in crowded.body if "->" in line]) > 250
    assert not [line for line in crowded.body if "->" in line and "label" in line]


def test_operations_that_are_alike_are_counted_by_name() -> None:
    w = Var(2.0, label="w")
    source = viz.draw(cr.sum([w * Var(k / 300, "x", False) for k in range(300)])).source
    assert "<mul × 300>" in source


def test_drawing_changes_nothing() -> None:
    x = Var(2.0, label="x")
    y = 3.0 - x * 2.0
    before = y.args, y.args[1].args
    viz.draw(y)
    assert (y.args, y.args[1].args) == before == ((3.0, y.args[1]), (x, 2.0))
    assert x.grad == 0.0 and not x.has_grad


def test_models_are_found_by_the_labels_of_nn() -> None:
    model, loss = network()
    for collapse in ("auto", "neuron", "layer", "module"):
        found, given = (
            re.sub(r'lp="[^"]*"', "", viz.draw(loss, collapse=collapse, module=module).source)  # titles differ in width
            for module in (None, model)
        )
        assert found.replace("network", "MLP") == given
    twins = model([1.0, 0.5]) * network()[0]([1.0, 0.5])
    assert "cluster" not in viz.draw(twins).source
    matrix = Var(1.0, label="w1[1,1]") * Var(2.0, label="w1[1,2]")
    assert "cluster" not in viz.draw(matrix).source


def test_results_of_a_program_are_named() -> None:
    program = cr.trace(lambda x: {"a": cr.sin(x), "b": [x * 2, x]}, 1.0)
    source = viz.draw(program).source
    assert "<b>result['a']</b>" in source.replace("&#x27;", "'") and "<b>result['b'][0]</b>" in source.replace(
        "&#x27;", "'"
    )


def recurrence(steps: int) -> Var:
    """Compute r = sin(r) * y + x, again and again."""
    x, y = Var(0.5, label="x"), Var(0.25, label="y")
    r = x
    for _ in range(steps):
        r = cr.sin(r) * y + x
    r.backward()
    return r


def test_inputs_used_far_away_are_drawn_again() -> None:
    """Otherwise Graphviz takes minutes for 40 steps."""
    pytest.importorskip("pygraphviz")
    short, long = viz.draw(recurrence(2)).source, viz.draw(recurrence(40))
    assert "class=again" not in short
    assert 60 <= long.source.count("class=again") < 80 and "far away" in long.source
    assert long.source.count("class=input") == 2
    assert viz.to_svg(recurrence(40)).count('class="node again"') == long.source.count("class=again")
    # With the edges from all of them counted, the graph is the same.
    assert len([line for line in long.body if "->" in line]) == 40 * (5 + 3)


def test_results_used_far_away_are_drawn_again_where_many_are() -> None:
    start = cr.exp(Var(0.5, label="h"))
    start.label = "start"
    r = start
    for _ in range(3):
        r = cr.sin(r) + start
    assert "class=again" not in viz.draw(r).source
    for _ in range(40):
        r = cr.sin(r) + start
    source = viz.draw(r).source
    assert source.count("class=again") > 30 and source.count("class=input") == 1
    program = cr.trace(lambda x: _powers(cr.exp(x)), 1.0)
    assert "nan" not in viz.draw(program).source


def _powers(x: object) -> object:
    start = r = x
    for _ in range(40):
        r = cr.sin(r) + start
    return r


def test_a_folded_part_tells_of_nan_among_its_gradients() -> None:
    model = nn.MLP(2, [3, 1], seed=0)
    model.parameters()[0].value = float("nan")
    out = model([1.0, 2.0])
    out.backward()
    source = viz.draw(out, collapse="neuron").source
    (first,) = [line for line in source.splitlines() if "w1[1,1]" in line]
    assert "</font> 0.695162, nan<" in first and f'fillcolor="{LIGHT.not_finite}"' in first
    (third,) = [line for line in source.splitlines() if "w1[3,1]" in line]
    assert "nan" not in third
    assert "inf, nan" in source
