"""The step-through page: its JavaScript against Python row by row, and the page itself in a headless browser."""

import json
import math

import chainrule as cr
import pytest
from chainrule import PRIMITIVES, GraphError, Var, nn, viz
from chainrule.graph.var import local_partials
from chainrule.testing import sample
from chainrule.viz.pages.javascript import library, literal
from helpers import example, special_points

# Rows that no page computes: what they are made of has no JavaScript.
MISSING = {"sinc", "erfinv", "gamma", "lgamma", "digamma", "polygamma", "sinc_derivative"}
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def load(open_page, tmp_path):
    """Write and load a page."""
    pytest.importorskip("pygraphviz")
    return lambda root, **options: open_page(viz.explain(root, tmp_path / "steps.html"), **options)


def gradients(page):
    page.get_by_label("Step", exact=True).press("End")  # a text field would keep the key
    pairs = page.eval_on_selector_all(
        ".leaf",
        "boxes => boxes.map(b => [b.querySelector('label').textContent, b.querySelector('output').dataset.gradient])",
    )
    return {name: float(gradient) for name, gradient in pairs if gradient}


def test_rows_in_javascript_equal_python(browser):
    rows = [(row, row.arity) for row in PRIMITIVES.values() if not row.custom]
    program, missing = library(rows)
    assert set(missing) == MISSING
    cases = []
    for row, arity in rows:
        if row.name in MISSING:
            continue
        special = special_points(arity)
        for point in [*sample(row, 20, 1), *special]:
            value = row.evaluate(*point)
            cases.append((f"{row.name}/{arity}", point, [value, *local_partials(row, value, point)]))
    listed = ",".join([f"[{json.dumps(key)},[{','.join(map(literal, point))}]]" for key, point, _ in cases])
    found = browser.new_page().evaluate(
        f"() => {{ {program}\nreturn [{listed}].map(([key, xs]) => {{ const y = rows[key].value(xs);"
        " return [y, ...rows[key].partials(y, xs)].map(String); }); }"
    )
    for (key, point, wanted), got in zip(cases, found, strict=True):
        for number, text in zip(wanted, got, strict=True):
            other = float(text.replace("Infinity", "inf"))
            assert (
                number == other
                or (math.isnan(number) and math.isnan(other))
                or abs(number - other) <= 1e-12 * max(abs(number), 1e-290)
            ), (key, point, wanted, got)


def test_stepping_with_keys_buttons_and_slider(load):
    page = load(example())
    assert page.inner_text("#count") == "1 of 11"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#told h2") == "Forward: compute u"
    assert "u = x**2 = 2**2 = 4" in page.inner_text("#told")
    assert "now" in page.get_attribute("#v2", "class") and "from" in page.get_attribute("#v0", "class")
    page.click("#next")
    assert page.inner_text("#told h2") == "Forward: compute v"
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert "dz/dx = dz/du * du/dx = 14 * 4 = 56" in page.inner_text("#told")
    page.keyboard.press("Home")
    assert page.inner_text("#count") == "1 of 11" and page.is_disabled("#back")
    page.fill("#slider", "5")
    assert page.inner_text("#told h2") == "Backward: start at the result"
    page.keyboard.press(" ")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    page.keyboard.press(" ")
    assert page.get_attribute("#play", "aria-pressed") == "false"


def test_editing_recomputes(load):
    page = load(example())
    page.get_by_label("x", exact=True).fill("-1.5")
    x = Var(-1.5)
    z = (x**2 + 3) ** 2 + 3
    z.backward()
    assert gradients(page) == {"x": x.grad, "y": 1.0}
    page.get_by_label("x", exact=True).fill("1,5")
    assert page.get_attribute("input[aria-invalid=true]", "title").startswith("A number is wanted")


def test_network_gradients_equal_python(load):
    model = nn.MLP(2, [3, 1], activation="tanh", seed=1)
    loss = (cr.sigmoid(model([0.5, -1.0])) - 0.25) ** 2
    page = load(loss)
    loss.backward()
    wanted = {parameter.label: parameter.grad for parameter in model.parameters()}
    assert gradients(page) == wanted
    first = model.parameters()[0]
    page.get_by_label(first.label, exact=True).fill("0.75")
    first.value = 0.75
    model.zero_grad()
    ((cr.sigmoid(model([0.5, -1.0])) - 0.25) ** 2).backward()
    assert gradients(page) == pytest.approx({p.label: p.grad for p in model.parameters()}, rel=1e-12)


def test_hostile_labels_stay_text(load):
    h, k = Var(1.5, label=HOSTILE), Var(2.0, label="\\N <!-- <b>&amp;\n{}")
    root = h * k
    root.label = "<!--<script>"
    page = load(root)
    page.keyboard.press("End")
    assert page.locator("img").count() == page.locator("b").count() == 0
    assert HOSTILE in page.inner_text("#leaves")


def test_what_cannot_be_computed_there_locks_the_inputs(load):
    page = load(cr.erfinv(Var(0.5, label="x")) * 2)
    assert "erfinv is an operation it cannot compute again" in page.inner_text("#leaves")
    assert page.is_disabled("input[type=text]")
    page.keyboard.press("End")
    assert page.inner_text("#told h2") == "Done: all gradients"


def test_narrow_and_dark(load):
    page = load(example(), viewport={"width": 360, "height": 700}, color_scheme="dark")
    page.keyboard.press("End")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"


def test_keyboard_alone_is_enough(load):
    page = load(example())
    page.keyboard.press("Tab")  # first and back are disabled at the start
    assert page.evaluate("document.activeElement.id") == "play"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.inner_text("#count") == "2 of 11"
    while page.evaluate("document.activeElement.type") != "text":
        page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("1e8")
    assert page.inner_text("#told h2") == "Forward: compute u" and "(1e+8)" not in page.inner_text("#told")
    assert "u = x**2 = 1e+8**2 = 1e+16" in page.inner_text("#told")
    page.keyboard.press("ArrowLeft")  # moves in the text, not through the steps
    assert page.inner_text("#count") == "2 of 11"


def test_every_step_is_in_view_on_a_phone(load):
    model = nn.MLP(2, [4, 4, 1], activation="tanh", seed=1)
    page = load(cr.square(model([0.5, -1.0])), viewport={"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    for step in range(1, int(page.get_attribute("#slider", "max"))):
        page.fill("#slider", str(step))
        inside = page.evaluate(
            "() => { const frame = document.querySelector('#graph').getBoundingClientRect();"
            " const box = document.querySelector('.node.now:not(.operation)').getBoundingClientRect();"
            " return box.left >= frame.left && box.right <= frame.right"
            " && box.top >= frame.top && box.bottom <= frame.bottom; }"
        )
        assert inside, page.inner_text("#told h2")


def test_negative_numbers_stand_in_parentheses_where_they_are_needed(load):
    x = Var(-0.5, label="x")
    page = load(cr.tanh(x) * cr.square(x))
    page.keyboard.press("ArrowRight")
    assert "tanh(x) = tanh(-0.5) = -0.462117" in page.inner_text("#told")
    page.keyboard.press("ArrowRight")
    assert "x**2 = (-0.5)**2 = 0.25" in page.inner_text("#told")


def test_a_partial_beside_others_is_not_written_as_the_whole_derivative(load):
    x = Var(2.0, label="x")
    page = load(x**2 * x)
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "dL/dx = dL/dL * ∂L/∂x = 1 * 4 = 4" in page.inner_text("#told")


def test_refusals(tmp_path):
    x = Var(1.0)
    root = x
    for _ in range(300):
        root = root + x
    with pytest.raises(ValueError, match="at most 300 nodes but got 301"):
        viz.explain(root, tmp_path / "a.html")
    with pytest.raises(GraphError, match="requires grad"):
        viz.explain(Var(1.0, requires_grad=False), tmp_path / "a.html")
    with pytest.raises(TypeError, match="explain expected a Var"):
        viz.explain(1.0, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []
