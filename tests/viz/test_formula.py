"""Formulas read back as what they came from, and the chain rule in words ends in backward's numbers."""

import math
import operator

import chainrule as cr
import pytest
from chainrule import Var, nn, viz
from chainrule.viz.formulas.expression import evaluate
from hypothesis import example, given
from hypothesis import strategies as st


def fourth_tutorial():
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    return (x**2 + 3) ** 2 + y, x, y


def negations(length):
    x = Var(1.0, label="x")
    for _ in range(length):
        x = -x
    return x


# ---- formula ----


@pytest.mark.parametrize(
    "text",
    [
        "(x**2 + 3)**2 + y",
        "x - (y - x)",
        "x - y - x",
        "x/(y/x)",
        "x*(-2)",
        "-x**2",
        "(-x)**2",
        "2**x**y",
        "(2**x)**y",
        "x**(-1)",
        "-(x + y)*2",
        "x % y//2",
        "-(x % y)",
        "-(x//y)*2",
        "-(x % y*2)",
        "-x % y",
        "x - y % x",
        "x % y*x",
        "x*(y % x)",
        "x*y % x",
        "sin(x)**2 + exp(-x*y)",
        "norm([x, y])/logsumexp([x, y])",
        "where(1, x, y)",
    ],
)
def test_parentheses_are_those_needed(text):
    names = {name: getattr(cr, name) for name in ("sin", "exp", "norm", "logsumexp", "where")}
    assert viz.formula(eval(text, names | {"x": Var(2.0, label="x"), "y": Var(3.0, label="y")})) == text


SIGNS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "%": operator.mod, "//": operator.floordiv, "**": operator.pow,
}  # fmt: skip


@given(
    st.recursive(
        st.sampled_from(["x", "y", 2.0, 3.0, -2.0]),
        lambda parts: st.tuples(st.sampled_from(list(SIGNS)), parts, parts) | st.tuples(st.just("minus"), parts),
    )
)
@example(("minus", ("%", "x", "y")))
@example(("minus", ("*", ("//", "x", "y"), 2.0)))
def test_formula_reads_back(tree):
    def build(node):
        if not isinstance(node, tuple):
            return {"x": x, "y": y}.get(node) or Var(node, requires_grad=False)
        sign, *parts = node
        return -build(parts[0]) if sign == "minus" else SIGNS[sign](*map(build, parts))

    x, y = Var(1.25, label="x"), Var(-0.75, label="y")
    root = build(tree)
    names = {"x": x, "y": y}
    *lines, last = viz.formula(root).splitlines()
    for line in lines:
        name, text = line.split(" = ")
        names[name] = evaluate(text, names)
    found = evaluate(last, names).value
    assert found == root.value or (math.isnan(found) and math.isnan(root.value))


def test_what_is_shared_is_named():
    a = Var(3.0)
    b = a * a
    assert viz.formula(b + b) == "u = x1*x1\nu + u"
    b.label = "b"
    assert viz.formula(b + 1, "latex").splitlines()[1] == r"b &= x_{1} \cdot x_{1} \\"


def test_a_product_begins_with_its_first_factor():
    names = [Var(2.0, label=name) for name in "abc"]
    assert viz.formula(cr.prod(names)) == "a*b*c"
    assert cr.prod(iter(names)).value == 8.0 and cr.prod([2]) == 2.0 and cr.prod(names[:1]).op is not None


def test_labels_stay_apart_and_odd_ones_are_quoted():
    total = Var(1.0, label="w") * Var(2.0, label="w") + Var(3.0, label="a + b")
    assert viz.formula(total) == "w*w_2 + `a + b`"
    assert viz.formula(total, "latex").endswith(r"\text{a + b}")


@pytest.mark.parametrize(
    ("build", "latex"),
    [
        (lambda x, y: x / (y + 1), r"\frac{x}{y + 1}"),
        (lambda x, y: (x / y) ** 2, r"\left(\frac{x}{y}\right)^{2}"),
        (lambda x, y: cr.abs(x) - cr.sqrt(y), r"\left|x\right| - \sqrt{y}"),
        (lambda x, y: 2 * x * cr.sin(y), r"2 x \cdot \sin\left(y\right)"),
        (lambda x, y: cr.exp(x) * 1e-7, r"e^{x} \cdot 10^{-7}"),
        (lambda x, y: cr.dot([x, y], [y, 1.0]), r"x \cdot y + y"),
        (lambda x, y: -(x % y), r"-\left(x \bmod y\right)"),
        (lambda x, y: x % y + x * (y // x), r"\left(x \bmod y\right) + x \cdot \left(y \operatorname{div} x\right)"),
    ],
)
def test_latex(build, latex):
    assert viz.formula(build(Var(2.0, label="x"), Var(3.0, label="y")), "latex") == latex


def test_every_operation_is_written():
    for row in [row for row in cr.PRIMITIVES.values() if not row.custom]:
        root = row.apply(tuple([Var(0.5, label=f"a{k}") for k in range(row.arity)]))
        assert "a0" in viz.formula(root) and "a" in viz.formula(root, "latex")
        assert "backward" not in viz.chain(root, "a0")


def test_a_long_chain_takes_no_recursion():
    lines = viz.formula(negations(200_000)).splitlines()
    assert max(map(len, lines)) < 150


def test_formula_refuses():
    with pytest.raises(TypeError, match="formula expected a Var but got root=1"):
        viz.formula(1)
    with pytest.raises(ValueError, match="expected style to be 'text' or 'latex'"):
        viz.formula(Var(1.0), "html")


# ---- chain ----


def test_chain_of_the_fourth_tutorial():
    z, x, y = fourth_tutorial()
    z.label = "z"
    assert viz.chain(z, x).split("\n\n")[1].splitlines() == [
        "dz/dx = dz/dw * dw/dv * dv/du * du/dx",
        "      = 1 * (2*v) * 1 * (2*x)",
        "      = 1 * 14 * 1 * 4",
        "      = 56",
    ]
    assert viz.chain(z, "y").splitlines()[-1] == "dz/dy = 1"
    assert x.grad == y.grad == 0.0 and not x.has_grad


def test_chain_of_a_weight_ends_in_the_gradient_of_backward():
    model = nn.MLP(1, [2, 1], seed=1)
    out = cr.tanh(model([Var(0.5, label="x", requires_grad=False)])) ** 2
    text = {p.label: viz.chain(out, p) for p in model.parameters()}
    out.backward()
    for parameter in model.parameters():
        assert text[parameter.label].endswith(f" = {parameter.grad!r}".replace(".0", ""))
    assert "(1/cosh(" in text["w1[1,1]"]


def test_chain_sums_over_paths():
    a = Var(-3.0, label="a")
    root = a * a + cr.sin(a) * a
    root.backward()
    text = viz.chain(root, a)
    assert text.count("      + ") == 6 and text.endswith(f" = {a.grad!r}")


def test_partials_of_zero_and_missing_paths():
    a, y = Var(-3.0, label="a"), Var(2.0, label="y")
    assert viz.chain(cr.relu(a) * y, a).endswith("dL/da = 0: on every path from a to L a partial is exactly 0.")
    assert "1 more path adds nothing" in viz.chain(cr.relu(a) + a * y, a)
    assert viz.chain(a * 2, y) == "dL/dy = 0: L does not depend on y."
    assert viz.chain(a, a) == "da/da = 1"


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda w: w - w, ["dL/dw = 1 + (-1)", "      = 0"]),
        (lambda w: w / w, ["dL/dw = 1/w + (-L/w)", "      = 0"]),
        (lambda w: (w - w) * 3, ["dL/dw = dL/du * du/dw", "      = 3 * (1 + (-1))", "      = 3 * 0", "      = 0"]),
    ],
)
def test_partials_that_cancel_are_shown(build, wanted):
    assert viz.chain(build(Var(2.0, label="w")), "w").split("\n\n")[1].splitlines() == wanted


def test_partials_beside_others_have_a_sign_of_their_own():
    x = Var(2.0, label="x")
    assert viz.chain(x * x * x, x).split("\n\n")[1].splitlines()[:2] == [
        "dL/dx = ∂L/∂u * du/dx",
        "      + ∂L/∂x",
    ]
    v = cr.sin(x) * x  # holding the one fixed is not the total derivative by the other
    assert "∂L/∂v" in viz.chain(v * v.exp(), x) and "dv/dx" not in viz.chain(v * v.exp(), x)


def test_many_paths_are_counted_and_told_node_by_node():
    x = Var(0.1, label="x")
    root = x
    for _ in range(40):
        root = cr.sin(root) * 0.1 + root
    root.backward()
    text = viz.chain(root, x)
    assert "1,099,511,627,776 paths lead from x to L, more than max_paths=8." in text
    assert text.endswith(f" = {x.grad!r}")


def test_chain_refuses():
    z, _, _ = fourth_tutorial()
    with pytest.raises(ValueError, match=r"got x='X' \(str\); labels are 'x', 'y'"):
        viz.chain(z, "X")
    with pytest.raises(ValueError, match="one Var labelled 'w' but found 2"):
        viz.chain(Var(1.0, label="w") * Var(1.0, label="w"), "w")
    with pytest.raises(ValueError, match="whole number, 0 or above, but got max_paths=-1"):
        viz.chain(z, "x", max_paths=-1)
