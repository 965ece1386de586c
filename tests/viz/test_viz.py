"""Check that the DOT text shows the graph that ran, and what is refused."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import chainrule as cr
import graphviz
import numpy as np
import pytest
from chainrule import Var, nn, trace, viz
from chainrule.viz.drawing.picture import gather
from helpers import example


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
    assert viz.draw(y).source == (
        'digraph "Computation graph of 3 nodes" {\n'
        '\tgraph [bgcolor="#ffffff" fontcolor="#1f2933" fontname="Helvetica,Arial,sans-serif" fontsize=11'
        ' label=<<table border="0" cellborder="0" cellspacing="1" cellpadding="2"><tr><td'
        ' align="left"><table border="0" cellborder="0" cellspacing="0" cellpadding="3"><tr><td><font'
        ' color="#5f6b7a">gradient</font></td><td bgcolor="#ffffff" border="1" color="#8b96a5">  0 '
        ' </td><td bgcolor="#fddbb5" border="1" color="#8b96a5">  0.03  </td><td bgcolor="#fbc280"'
        ' border="1" color="#8b96a5">  0.3  </td><td bgcolor="#f9a94b" border="1" color="#8b96a5">  3 '
        " </td></tr></table></td></tr></table>> labeljust=l labelloc=b nodesep=0.2 pad=0.2 rankdir=LR"
        ' ranksep=0.3 tooltip="Computed left to right from 1 input."]\n'
        '\tnode [fontcolor="#1f2933" fontname="Helvetica,Arial,sans-serif" fontsize=12 height=0 id="\\N"'
        ' margin="0.08,0.03" shape=box style="rounded,filled" width=0]\n'
        '\tedge [arrowsize=0.6 color="#8b96a5" fontcolor="#5f6b7a" fontname="Helvetica,Arial,sans-serif"'
        " fontsize=10 weight=4]\n"
        '\tv0 [label=<<table width="49" border="0" cellborder="0" cellspacing="0" cellpadding="2"><tr><td'
        ' align="left" balign="left" colspan="9"><b>x</b></td></tr><tr><td align="left"'
        ' balign="left"><font color="#1f2933">value</font></td><td align="left" balign="left"'
        ' colspan="8">2</td></tr><tr><td align="left" balign="left"><font'
        ' color="#1f2933">grad</font></td><td align="left" balign="left"'
        ' colspan="8">3</td></tr></table>> class=input color="#2f7fb8" fillcolor="#f9a94b" tooltip="x:'
        ' value 2.0, gradient 3.0" width=0.851]\n'
        '\tv1 [label=<<table width="12" border="0" cellborder="0" cellspacing="0" cellpadding="2"><tr><td'
        ' align="left" balign="left">3</td></tr></table>> class=constant color="#b3bcc7"'
        ' fillcolor="#f6f7f9" fontcolor="#5f6b7a" style="rounded,filled,dashed" tooltip="constant 3.0"'
        " width=0.329]\n"
        '\top2 [label=<×> class=operation color="#566373" fillcolor="#566373" fontcolor="#ffffff"'
        " fontsize=14 height=0.4 margin=0 shape=circle tooltip=mul width=0.4]\n"
        '\tv2 [label=<<table width="49" border="0" cellborder="0" cellspacing="0" cellpadding="2"><tr><td'
        ' align="left" balign="left"><font color="#1f2933">value</font></td><td align="left"'
        ' balign="left" colspan="8">6</td></tr><tr><td align="left" balign="left"><font'
        ' color="#1f2933">grad</font></td><td align="left" balign="left"'
        ' colspan="8">1</td></tr></table>> class=root color="#d17a00" fillcolor="#fab564" penwidth=1.6'
        ' tooltip="value 6.0, gradient 1.0" width=0.851]\n'
        '\tv0 -> op2 [label=<<table border="0" cellborder="0" cellspacing="0"'
        ' cellpadding="3"><tr><td>3</td></tr></table>>]\n'
        "\tv1 -> op2 [weight=1]\n"
        "\top2 -> v2 [weight=8]\n"
        "}\n"
    )


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
        "from chainrule import Var, nn, viz; x, y = Var(2.0, label='x'), Var(3.0, label='y')\n"
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


def boxes(drawing: graphviz.Digraph) -> int:
    return len(re.findall(r"^\t+v\d+ \[", drawing.source, re.MULTILINE))


def alternating(length: int) -> Var:
    x = Var(1.0, label="x")
    for k in range(length):
        x = cr.sin(x) if k % 2 else cr.exp(x)
    return x


def test_graph_without_folding_is_refused_above_the_limit() -> None:
    assert viz.draw(chain(499), collapse=None).source.startswith('digraph "Computation graph of 500 nodes"')
    with pytest.raises(ValueError, match=r"at most 500 nodes but got 501 below root=Var.*max_nodes="):
        viz.draw(chain(500), collapse=None)
    assert viz.draw(chain(500), max_nodes=501).source.count(" -> ") == 1000


def test_rows_of_like_operations_fold_to_one() -> None:
    drawing = viz.draw(chain(500))
    assert "500 − in a row" in drawing.source
    assert "501 nodes, folded to 2" in drawing.source
    assert boxes(drawing) == 2


def test_equal_parts_fold_with_their_number() -> None:
    w = Var(2.0, label="w")
    samples = [cr.tanh(w * Var(k / 300, "x", False)) for k in range(300)]
    source = viz.draw(cr.sum(samples)).source
    assert "tanh × 300" in source
    assert "equal parts are one" in source


def test_far_part_folds_to_one_box() -> None:
    drawing = viz.draw(alternating(5000))
    assert "… 4,9" in drawing.source and "operations" in drawing.source
    assert boxes(drawing) <= 60
    assert "<b>x</b>" in drawing.source  # an input with a name is kept


def test_million_nodes_give_a_summary() -> None:
    x = chain(1_000_000)
    assert "1,000,000 − in a row" in viz.draw(x).source
    assert list(viz.mimebundle(x)) == ["text/plain"]


def test_highlight_tells_the_paths() -> None:
    x = Var(3.0, label="x")
    source = viz.draw(x * x + x, highlight="x").source
    assert "sum over the 3 paths: 7" in source
    assert source.count("a3126b") == viz.draw(x * x + x, highlight=x).source.count("a3126b")
    with pytest.raises(ValueError, match="label of one value but none"):
        viz.draw(x * x, highlight="y")
    with pytest.raises(ValueError, match="a Var of the graph"):
        viz.draw(x * x, highlight=Var(1.0))


def test_partials_stand_at_the_edges() -> None:
    x, y = Var(2.0), Var(5.0)
    assert "<td>5</td>" in viz.draw(x * y).source
    assert "<td>5</td>" not in viz.draw(x * y, show=("value",)).source


def test_model_is_framed_and_folds() -> None:
    model = nn.MLP(2, [3, 1], seed=1)
    score = model([1.0, -1.0])
    source = viz.draw(score, module=model).source
    assert source.count("label=<layer") == 2 and source.count("label=<neuron") == 4
    folded = viz.draw(score, module=model, collapse="neuron").source
    assert folded.count("<b>neuron") == 4 and "w1[2,1], w1[2,2], b1[2]" in folded
    assert viz.draw(score, module=model, collapse="layer").source.count("<b>layer") == 2
    assert "13 parameters" in viz.draw(score, module=model, collapse="module").source
    with pytest.raises(ValueError, match="model in module="):
        viz.draw(example(), collapse="layer")


def test_program_is_drawn_without_numbers() -> None:
    steps = [(cr.PRIMITIVES["mul"], (0, 1)), (cr.PRIMITIVES["sin"], (2,))]
    program = SimpleNamespace(names=("x",), constants=(2.0,), steps=steps, outputs=(3,))
    source = viz.draw(SimpleNamespace(program=program)).source
    assert "<b>x</b>" in source and "sin" in source and "nan" not in source


def test_themes() -> None:
    assert viz.draw(example()).source != viz.draw(example(), theme="dark").source
    with pytest.raises(ValueError, match="'light' or 'dark'"):
        viz.draw(example(), theme="pink")


@pytest.mark.parametrize("root", ["x", 1.0, None, [1.0]])
def test_root_must_be_a_var(root: object) -> None:
    kind = type(root).__name__
    wanted = "a Var, a list or dict of Vars, a model, a Program, a compiled function or a History"
    with pytest.raises(TypeError, match=rf"draw expected {wanted} but got root=.* \({kind}\)"):
        viz.draw(root)  # type: ignore[arg-type]
    for write in (viz.to_svg, lambda root: viz.render(root, "never.svg")):
        with pytest.raises(TypeError, match=rf"expected a Var, .* but got root=.* \({kind}\)"):
            write(root)


@pytest.mark.parametrize("direction", ["lr", "up", "", None, ["LR"]])
def test_direction_must_be_known(direction: object) -> None:
    with pytest.raises(ValueError, match=r"expected direction to be one of 'LR', 'RL', 'TB', 'BT' but got direction="):
        viz.draw(Var(1.0), direction=direction)  # type: ignore[arg-type]


def test_limit_must_be_a_positive_whole_number() -> None:
    for wrong in (2.5, 0, True):
        with pytest.raises(ValueError, match=f"draw expected a whole number, 1 or above, but got max_nodes={wrong}"):
            viz.draw(Var(1.0), max_nodes=wrong)  # type: ignore[arg-type]


def test_arguments_keep_their_order_only_where_it_matters():
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    ordered = [line.split()[0] for line in viz.draw((x * y + x) / (x - y)).body if "ordering=in" in line]
    assert ordered == ["op4", "op5"]


def test_parts_of_arrays_have_no_boxes_of_their_own() -> None:
    def f(w: Any, x: Any) -> Any:
        products = cr.map(lambda row, x: row[0] * x, w, x)
        return cr.sin(products[1]), cr.map(lambda a, b: a * b, [products[2], products[0], x], x)

    program = trace(f, np.ones((300, 2)), 1.0)
    assert {"view", "place"} <= {op.name for op, _ in program.steps}
    picture = gather(program)
    assert [node.op.name for node in picture.nodes if node.op is not None] == ["map", "sin", "map"]
    assert [node.label for node in picture.nodes if node.role == "root"] == [
        "result[0]",
        "result[1][0], result[1][1], result[1][2]",
    ]


def test_arrays_of_constants_are_drawn_by_their_shape() -> None:
    table = list(np.linspace(0.0, 1.0, 300))
    source = viz.draw(trace(lambda x: cr.map(lambda a: a * x, table), 1.0)).source
    assert "numbers[300]" in source and "nan" not in source and "map lambda × 300" in source
