"""Check that the DOT text shows the graph that ran, and what is refused."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys

import chainrule as cr
import graphviz
import pytest
from chainrule import Var, nn, viz


def example() -> Var:
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    z = (x**2 + 3) ** 2 + y
    z.label = "z"
    return z


def edges(root: Var) -> list[str]:
    return re.findall(r"^\t(\w+ -> \w+)", viz.draw(root).source, re.MULTILINE)


def label(root: Var, node: str) -> str:
    """Return the DOT label of a node, its tags replaced by spaces."""
    found = re.search(rf"^\t{node} \[label=<(.*)> class=", viz.draw(root).source, re.MULTILINE)
    assert found is not None
    return " ".join(re.sub("<[^>]*>", " ", found[1]).split())


# ---- the text ----


def test_text_of_a_small_graph() -> None:
    x = Var(2.0, label="x")
    y = x * 3.0
    y.backward()
    drawing = viz.draw(y)
    lines = [line.strip() for line in drawing.body]
    assert [line.split(" ")[0] for line in lines] == ["v0", "v1", "op2", "v2", "v0", "v1", "op2"]
    assert re.findall(r">([^<>]+)<", lines[0]) == ["x", "value", "2", "grad", "3"]
    assert 'tooltip="x: value 2.0, gradient 3.0"' in lines[0]
    assert re.findall(r">([^<>]+)<", lines[1]) == ["3"] and 'tooltip="constant 3.0"' in lines[1]
    assert "label=<\N{MULTIPLICATION SIGN}>" in lines[2]
    assert re.findall(r">([^<>]+)<", lines[3]) == ["value", "6", "grad", "1"]
    assert lines[4].startswith("v0 -> op2 [label=<") and "<td>3</td>" in lines[4]
    assert lines[5:] == ["v1 -> op2 [weight=1]", "op2 -> v2 [weight=8]"]
    assert "gradient" in drawing.graph_attr["label"], "a legend says what the colours mean"


def test_draw_gives_a_digraph() -> None:
    assert isinstance(viz.draw(example()), graphviz.Digraph)


def test_shared_values_are_drawn_once() -> None:
    a = Var(3.0, label="a")
    b = a * a
    assert edges(b + b) == ["v0 -> op1", "v0 -> op1", "op1 -> v1", "v1 -> op2", "v1 -> op2", "op2 -> v2"]
    assert viz.draw(b + b).source.count("<b>a</b>") == 1


def test_argument_used_twice_has_two_edges() -> None:
    a = Var(3.0)
    assert edges(a + a) == ["v0 -> op1", "v0 -> op1", "op1 -> v1"]


def test_edges_follow_the_order_of_arguments() -> None:
    x, y = Var(1.0, label="x"), Var(2.0, label="y")
    product = x * y
    difference = y - x
    assert edges(product / difference)[3:] == [
        "v1 -> op3",
        "v0 -> op3",
        "op3 -> v3",
        "v2 -> op4",
        "v3 -> op4",
        "op4 -> v4",
    ]


def test_operation_on_many_values() -> None:
    total = cr.sum([Var(1.0), 2.0, Var(3.0)])
    assert edges(total) == ["v0 -> op3", "v1 -> op3", "v2 -> op3", "op3 -> v3"]
    assert label(total, "v1") == "2"


@pytest.mark.parametrize("row", cr.PRIMITIVES.values(), ids=lambda row: row.name)
def test_every_operation_is_drawn_with_its_symbol(row: cr.Primitive) -> None:
    result = row.apply(tuple([Var(0.5) for _ in row.domain]))
    if not result.is_leaf:
        assert f"<{html.escape(row.symbol)}>" in viz.draw(result).source


def test_gradient_never_computed_differs_from_zero() -> None:
    x, unused = Var(2.0, label="x"), Var(5.0, label="unused")
    y = x + unused * 0.0
    assert label(y, "v0") == "x value 2 grad —"
    y.backward()
    assert label(y, "v0") == "x value 2 grad 1"
    assert label(y, "v1") == "unused value 5 grad 0"
    x.zero_grad()
    assert label(y, "v0") == "x value 2 grad —"


def test_gradient_assigned_by_hand_shows() -> None:
    x = Var(2.0)
    x.grad = 0.5
    assert label(x, "v0") == "value 2 grad 0.5"


def test_constants_have_no_gradient_row() -> None:
    k = Var(2.0, label="k", requires_grad=False)
    y = k * Var(1.0) + 7
    assert label(y, "v0") == "k 2"
    assert label(y, "v3") == "7"


def test_roles_are_told_apart() -> None:
    x = Var(1.0)
    source = viz.draw((x + 1) * x).source
    roles = re.findall(r'class=(\w+) color="(#\w+)" fillcolor="(#\w+)"', source)
    assert [role for role, *_ in roles] == ["input", "constant", "operation", "step", "operation", "root"]
    assert len(set(roles)) == 5


@pytest.mark.parametrize("root", [Var(1.0), Var(1.0, requires_grad=False)])
def test_single_values_can_be_drawn(root: Var) -> None:
    assert viz.draw(root).source.startswith('digraph "Computation graph of 1 node" {')
    assert edges(root) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (24.704081632653, "24.7041"),
        (1e-300, "1e-300"),
        (-123456789.0, "-1.23457e+08"),
        (1 / 3, "0.333333"),
        (-0.0, "-0"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_have_six_digits_and_the_tooltip_all(value: float, text: str) -> None:
    x = Var(value)
    assert label(x, "v0") == f"value {text} grad —"
    assert f'tooltip="value {value!r}, no gradient yet"' in viz.draw(x).source


@pytest.mark.parametrize("direction", ["LR", "RL", "TB", "BT"])
def test_directions(direction: str) -> None:
    assert f"rankdir={direction} " in viz.draw(example(), direction=direction).source


def test_text_is_the_same_in_every_process() -> None:
    program = (
        "from chainrule import Var, viz; x, y = Var(2.0, label='x'), Var(3.0, label='y')\n"
        "z = (x * y + x.sin()) ** 2 / (y - x) + 1; z.backward(); print(ascii(viz.draw(z).source))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "12345")
    ]
    assert printed[0] == printed[1]
    assert viz.draw(example()).source == viz.draw(example()).source


def test_import_loads_no_heavy_package() -> None:
    program = (
        "import sys, chainrule.viz\n"
        "print([name for name in ('pygraphviz', 'matplotlib', 'numpy', 'chainrule.nn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- refusals ----


def chain(length: int) -> Var:
    x = Var(1.0)
    for _ in range(length):
        x = -x
    return x


def test_limit_counts_every_value() -> None:
    assert viz.draw(chain(499)).source.startswith('digraph "Computation graph of 500 nodes"')
    with pytest.raises(ValueError, match=r"at most 500 nodes but got 501 below root=Var.*max_nodes="):
        viz.draw(chain(500), collapse=None)
    assert viz.draw(chain(500), max_nodes=501).source.count(" -> ") == 1000
    with pytest.raises(ValueError, match="at most 2 nodes"):
        viz.draw(Var(1.0) + 1.0, max_nodes=2, collapse=None)


def test_huge_graph_is_folded_and_says_so() -> None:
    source = viz.draw(chain(200_000)).source
    assert source.count("\n") < 2_000
    assert "200,001 nodes, folded to" in source


@pytest.mark.parametrize("root", ["x", 1.0, None, [Var(1.0)]])
def test_root_must_be_a_var(root: object) -> None:
    kind = type(root).__name__
    with pytest.raises(
        TypeError, match=rf"draw expected a Var, a Program or a compiled function but got root.* \({kind}\)"
    ):
        viz.draw(root)  # type: ignore[arg-type]
    for write in (viz.to_svg, lambda root: viz.render(root, "never.svg")):
        with pytest.raises(TypeError, match=rf"expected a Var or a graphviz\.Digraph but got root=.* \({kind}\)"):
            write(root)


@pytest.mark.parametrize("direction", ["lr", "up", "", None, ["LR"]])
def test_direction_must_be_known(direction: object) -> None:
    with pytest.raises(ValueError, match=r"expected direction to be one of 'LR', 'RL', 'TB', 'BT' but got direction="):
        viz.draw(Var(1.0), direction=direction)  # type: ignore[arg-type]


def test_limit_must_be_a_positive_whole_number() -> None:
    with pytest.raises(TypeError, match=r"whole number but got max_nodes=2.5 \(float\)"):
        viz.draw(Var(1.0), max_nodes=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"at least 1 but got max_nodes=0 \(int\)"):
        viz.draw(Var(1.0), max_nodes=0)


# ---- folding, highlighting, themes ----


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
