"""Check pictures of models themselves, of several outputs and of trainings, and that they open."""

from __future__ import annotations

import base64
import re
import webbrowser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import chainrule as cr
import pytest
from chainrule import Var, nn, viz
from chainrule.viz.drawing.measuring import label_size

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(drawing: Any) -> dict[str, tuple[str, float, str]]:
    """Return colour, width and tooltip of each line, by the names of its ends."""
    found = {}
    for line in drawing.body:
        ends = re.match(r'\t"?(n[\d.]+)"? -> "?(n[\d.]+)"? \[', line)
        if ends:
            colour, width, told = (
                re.search(rf'{name}=("[^"]*"|[^ \]]*)', line)[1].strip('"')  # type: ignore[index]
                for name in ("color", "penwidth", "tooltip")
            )
            found[f"{ends[1]} {ends[2]}"] = colour, float(width), told
    return found


def model_of_known_weights() -> nn.MLP:
    model = nn.MLP(3, [2, 1], activation="tanh", seed=0)
    for k, parameter in enumerate(model.parameters()):
        parameter.value = [0.5, -2.0, 0.0, 0.1, 1.0, 4.0, -4.0, 0.2, 0.3, 0.7, 0.0][k]
    return model


def test_lines_tell_weights_by_colour_and_width() -> None:
    model = model_of_known_weights()
    drawing = viz.draw(model)
    lines = lines_of(drawing)
    assert len(lines) == 3 * 2 + 2 * 1
    widths = {name: width for name, (_, width, _) in lines.items()}
    assert widths["n0.1 n1.1"] == max(widths.values())  # 4.0
    assert widths["n0.2 n1.0"] == min(widths.values())  # 0.0
    assert widths["n0.0 n1.0"] < widths["n0.1 n1.0"]
    negative, positive = lines["n0.1 n1.0"][0], lines["n0.0 n1.1"][0]
    assert int(negative[1:3], 16) < int(negative[5:7], 16) and int(positive[1:3], 16) > int(positive[5:7], 16)
    assert lines["n0.1 n1.1"][2] == "w1[2,2] 4.0"
    assert drawing.name == "MLP 3-2-1, 11 parameters"


def test_lines_tell_gradients_where_there_are_some() -> None:
    model = model_of_known_weights()
    with pytest.raises(ValueError, match="call backward"):
        viz.draw(model, by="gradient")
    model([1.0, 0.0, 3.0]).backward()
    widths = {name: width for name, (_, width, _) in lines_of(viz.draw(model, by="gradient")).items()}
    grads = {
        f"n{k}.{tail} n{k + 1}.{head}": abs(weight.grad)
        for k, layer in enumerate(model.layers)
        for head, neuron in enumerate(layer.neurons)
        for tail, weight in enumerate(neuron.weights)
    }
    by_width, by_grad = (sorted(table, key=table.__getitem__) for table in (widths, grads))
    assert [round(widths[name], 2) for name in by_grad] == [round(widths[name], 2) for name in by_width]
    with pytest.raises(ValueError, match="by to be 'weight' or 'gradient' but got by='value'"):
        viz.draw(model, by="value")


def places(drawing: Any) -> dict[str, tuple[float, float]]:
    found = re.findall(r'^\t"?(n\d\.\d+)"? \[.*?pos="(-?[\d.]+),(-?[\d.]+)"', drawing.source, re.MULTILINE)
    return {name: (float(x), float(y)) for name, x, y in found}


@pytest.mark.parametrize("direction", ["LR", "RL", "TB", "BT"])
def test_layers_stand_in_a_row_and_neurons_in_order(direction: str) -> None:
    at = places(viz.draw(nn.MLP(3, [4, 2], seed=0), direction=direction))
    along, across = (0, 1) if direction in ("LR", "RL") else (1, 0)
    steps = [at["n0.0"][along], at["n1.0"][along], at["n2.0"][along]]
    assert steps == sorted(steps, reverse=direction in ("RL", "TB"))
    for layer, count in enumerate((3, 4, 2)):
        column = [at[f"n{layer}.{k}"] for k in range(count)]
        assert len({place[along] for place in column}) == 1
        places_across = [place[across] for place in column]
        assert places_across == sorted(places_across, reverse=direction in ("LR", "RL"))


def test_neurons_of_two_inputs_show_what_they_make_of_them() -> None:
    """The upper left cell is the output for small x1 and great x2."""
    neuron = nn.Neuron(2, activation="tanh")
    neuron.load_state_dict({"weights.0": 3.0, "weights.1": 0.0, "bias": 0.0})
    source = viz.draw(neuron, inputs=[[-1, -1], [1, 1]]).source
    rows = re.search(r'"?n1\.0"? \[(.*?)</table>', source)[1].split("<tr>")[1:]  # type: ignore[index]
    assert len(rows) == 16
    for row in rows:
        colours = re.findall('bgcolor="(#[0-9a-f]{6})"', row)
        left, right = colours[0], colours[-1]
        assert int(left[1:3], 16) < int(left[5:7], 16) and int(right[1:3], 16) > int(right[5:7], 16)
        assert sum(int(count) for count in re.findall('colspan="(\\d+)"', row)) == 16
    assert "x1 from -1.2 to 1.2" in source
    # What is done to the outputs after the last layer is not seen: then nothing is claimed.
    hidden = nn.Sequential(nn.Layer(2, 2, seed=1), cr.softmax)
    assert "colspan" not in viz.draw(hidden).source
    with pytest.raises(ValueError, match="rows of 3"):
        viz.draw(neuron, inputs=[[1, 2, 3]])


def test_wide_layers_show_the_first_and_last_neurons() -> None:
    drawing = viz.draw(nn.MLP(40, [100, 3], seed=0))
    assert "25 more" in drawing.source and "85 more" in drawing.source
    assert len(places(drawing)) == 15 + 15 + 3
    assert len(lines_of(drawing)) == 15 * 15 + 15 * 3


@pytest.mark.parametrize("direction", ["LR", "RL", "TB", "BT"])
@pytest.mark.parametrize(("inputs", "layers"), [(3, [17, 1]), (17, [3, 1]), (3, [4, 17]), (2, [20, 1]), (2, [4, 1])])
def test_headings_stand_clear_of_neurons(direction: str, inputs: int, layers: list[int]) -> None:
    """Of folded layers too, whose number of hidden neurons takes a place."""
    source = viz.draw(nn.MLP(inputs, layers, activation="leaky_relu", seed=1), direction=direction).source
    half = 72 * float(re.search(r'n1\.0"? \[.*? width=([\d.]+)', source, re.DOTALL)[1]) / 2  # type: ignore[index]
    heads = re.findall(r'^\thead\d \[label=(<.*?>) class=heading.*?pos="(-?[\d.]+),(-?[\d.]+)"', source, re.MULTILINE)
    assert len(heads) == 1 + len(layers)
    for text, x, y in heads:
        width, height = label_size(text, 11.0)
        for name, (at_x, at_y) in places(viz.draw(nn.MLP(inputs, layers, seed=1), direction=direction)).items():
            beside = abs(float(x) - at_x) >= width / 2 + half
            assert beside or abs(float(y) - at_y) >= height / 2 + half, (text, name)


def test_what_is_no_network_of_layers_is_refused() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            self.slope = Var(2.0)

    class Odd(nn.Module):
        def __init__(self) -> None:
            self.layers = [nn.Layer(2, 3), nn.Layer(2, 1)]

    for model in (Line(), Odd(), nn.Sequential(cr.sin)):
        with pytest.raises(ValueError, match="draw expected a model of layers of neurons"):
            viz.draw(model)
        assert list(model._repr_mimebundle_()) == ["text/plain"]
    with pytest.raises(ValueError, match="no collapse, highlight or module for a model"):
        viz.draw(nn.Neuron(2), highlight="w1")
    with pytest.raises(ValueError, match="by and inputs for a model only"):
        viz.draw(Var(1.0), by="gradient")


def test_models_and_programs_show_in_notebooks() -> None:
    pytest.importorskip("pygraphviz")
    model = nn.MLP(2, [3, 1], seed=0)
    svg = ElementTree.fromstring(model._repr_mimebundle_()["image/svg+xml"])
    kinds = [(group.get("class") or "").split(" ")[-1] for group in svg.iter(f"{SVG}g")]
    assert kinds.count("neuron") == 4 and kinds.count("weight") == 9 and kinds.count("input") == 2
    compiled = cr.compile(lambda x: cr.sin(x) * 2, backend="python")
    assert list(compiled._repr_mimebundle_()) == ["text/plain"]  # nothing was traced yet
    compiled(1.0)
    for thing in (compiled, compiled.program):
        bundle = thing._repr_mimebundle_()
        assert bundle["text/plain"] == repr(thing) and bundle["image/svg+xml"] == viz.to_svg(thing, theme="auto")


def test_several_outputs_are_drawn_together() -> None:
    x = Var(2.0, label="x")
    a, b = cr.sin(x), x * 3
    for outputs in ([a, b], (a, b), {"a": a, "more": [b]}):
        source = viz.draw(outputs).source
        assert source.count("class=root") == 2 and source.count("class=input") == 1
    assert viz.draw([a]).source == viz.draw(a).source
    # One path to each.
    assert "sum over the 2 paths" in viz.draw([a, b], highlight=x).source
    layer = nn.Layer(2, 3, seed=1)
    assert "layout=nop2" in viz.draw(layer([0.5, 1.0])).source
    for wrong in ([], {}, [a, 1.0], ["x"]):
        with pytest.raises(TypeError, match="draw expected a Var, a list or dict of Vars, a model"):
            viz.draw(wrong)


def test_keys_name_results_without_a_label() -> None:
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    named = Var(1.0) * x
    named.label = "own"
    results = {"loss": x * y, "more": [x + y, {"b": x - y}], "named": named, "x again": x, 3: Var(5.0)}
    source = viz.draw(results).source
    for name in ("loss", "more[0]", "more[1][&#x27;b&#x27;]", "own", "x", "3"):
        assert source.count(f"<b>{name}</b>") == 1
    assert "named" not in source and "again" not in source
    both = x / y
    assert "<b>mean, best</b>" in viz.draw([both, {"mean": both, "best": both}]).source
    assert "loss → whole" in viz.draw({"loss": both, "whole": both / 2.0}, highlight="loss").source
    assert both.label is None
    with pytest.raises(TypeError, match="draw expected a Var"):
        viz.draw({"loss": x * y, "count": 3})


def test_trainings_are_plotted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = nn.fit(nn.Neuron(1, seed=0), [0.0, 1.0, 2.0], [0.0, 0.4, 0.7], epochs=5, seed=0)
    assert viz.draw(history).get_xlabel() == "epoch"
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for kind, start in starts.items():
        assert viz.render(history, tmp_path / "new" / f"loss.{kind}", theme="dark").read_bytes().startswith(start)
    bundle = history._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(starts["png"])
    assert (
        'alt="History of 5 epochs, loss' in bundle["text/html"] and "prefers-color-scheme: dark" in bundle["text/html"]
    )
    assert list(nn.History(history.model)._repr_mimebundle_()) == ["text/plain"]
    with pytest.raises(ValueError, match=r"ending in one of \.svg, \.png, \.pdf"):
        viz.render(history, tmp_path / "loss.gif")


def test_history_takes_options_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = nn.fit(nn.Neuron(1, seed=0), [0.0, 1.0, 2.0], [0.0, 0.4, 0.7], epochs=5, seed=0)
    assert viz.draw(history, of="seconds", ylabel="s", theme="dark").get_ylabel() == "s"
    with pytest.raises(TypeError, match=r"draw expected of a History no options but of, ax, ylabel, theme .*digits=3"):
        viz.draw(history, digits=3)
    with pytest.raises(TypeError, match=r"render expected of a History no options but of, ylabel, theme .*ax=None"):
        viz.render(history, tmp_path / "loss.svg", ax=None)
    for function in (viz.draw, viz.render):
        assert "History" in (function.__doc__ or "")


def test_what_cannot_be_drawn_is_told_what_can(tmp_path: Path) -> None:
    everything = "a Var, a list or dict of Vars, a model, a Program, a compiled function or a History"
    for wrong in (nn.MLP, nn.History, cr.Program, Var, 3, "x", None):
        with pytest.raises(TypeError, match=f"draw expected {everything} but got root="):
            viz.draw(wrong)
        with pytest.raises(TypeError, match=f"render expected {everything}, or a graphviz.Digraph, but got root="):
            viz.render(wrong, tmp_path / "g.svg")


def test_show_opens_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygraphviz")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    x = Var(2.0, label="x")
    path = viz.show(x * x, theme="dark")
    assert opened == [path.as_uri()] and path.read_text("utf-8") == viz.to_svg(x * x, theme="dark")
    page = viz.explain(x * x, tmp_path / "steps.html")
    assert viz.show(page) == page and opened[-1] == page.as_uri()
    for wrong in (tmp_path / "missing.svg", "x*x"):
        with pytest.raises(ValueError, match="show expected a Var, a model, or the path of a picture"):
            viz.show(wrong)
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    with pytest.raises(RuntimeError, match="no browser"):
        viz.show(x * x)
