"""The playground in a headless browser: what people do on it by mouse and keyboard, at three widths in two themes."""

import re

import pytest
from chainrule import Var, viz


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return viz.playground(tmp_path_factory.mktemp("page") / "playground.html")


@pytest.fixture
def load(open_page, path):
    """Load the page, at a state if one is given; anything it logs or asks of a network fails the test."""

    def load(state="", **options):
        page = open_page(path, **options)
        if state:
            go_to(page, state)
        return page

    return load


def go_to(page, state):
    page.evaluate("state => { location.hash = state; }", state)
    page.wait_for_function("state => document.getElementById(state.split('?')[0]).hidden === false", arg=state)


def test_one_file_that_asks_for_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"https?://[^\s\"'`<>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=\"(?!data:)", text)


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"playground expected a path ending in \.html"):
        viz.playground(tmp_path / "page.png")
    with pytest.raises(TypeError, match="playground expected a str or path"):
        viz.playground(3)
    assert list(tmp_path.iterdir()) == []


def test_an_expression_by_keyboard_alone(load):
    page = load()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "tab-expression"
    while page.evaluate("document.activeElement.id") != "text":
        page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("tanh(w*x + b)")
    assert page.locator("#fields input[type=text]").count() == 3
    while page.evaluate("document.activeElement.id") != "input-w":
        page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("0.5")
    page.keyboard.press("Tab")  # hold w
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.locator("#graph").focus()
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#told h2") == "Forward: compute u"
    assert "u = w*x = 0.5*2 = 1" in page.inner_text("#told")
    page.keyboard.press("End")
    names = {"w": 0.5, "x": 2.0, "b": 3.0}
    w, x, b = [Var(value, label=name) for name, value in names.items()]
    y = (w * x + b).tanh()
    y.backward()
    found = page.eval_on_selector_all("#fields output", "all => all.map((output) => Number(output.dataset.gradient))")
    assert found == pytest.approx([w.grad, x.grad, b.grad], rel=1e-12)
    # Downhill: held inputs stay, the others go against their gradients.
    page.locator("#rate").fill("0.1")
    page.locator("#descend").press("Enter")
    inputs = page.eval_on_selector_all("#fields input[type=text]", "all => all.map((input) => Number(input.value))")
    assert inputs == pytest.approx([0.5, 2 - 0.1 * x.grad, 3 - 0.1 * b.grad], rel=1e-12)
    page.locator("#return").press("Enter")
    assert page.input_value("#input-x") == "2"
    # The graph shows what each value is and, on the way back, each line's own slope.
    assert "∂ " in page.text_content("#graph .node.input .grad")
    assert page.locator("#graph .slope.shown").count() == 5
    page.locator("#graph").focus()
    page.keyboard.press("Home")
    assert page.locator("#graph .slope.shown").count() == 0
    assert page.text_content("#graph .node.result .value") == "= ?"


def test_a_mistake_is_told_and_the_graph_stays(load):
    page = load()
    before = page.inner_html("#graph")
    page.fill("#text", "x**2 + foo(x)")
    assert "foo is not a function of chainrule" in page.inner_text("#fault")
    assert page.inner_text("#fault mark") == "f" and page.get_attribute("#text", "aria-invalid") == "true"
    assert page.inner_html("#graph") == before
    page.fill("#text", "</svg><img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0
    page.fill("#text", "x**2")
    assert page.inner_text("#fault") == "" and page.get_attribute("#text", "aria-invalid") == "false"
    page.fill("#input-x", "1,5")
    assert page.get_attribute("#input-x", "title").startswith("A number is wanted")


def test_every_example_runs(load):
    page = load()
    for k in range(page.locator("#formulas button").count()):
        page.locator("#formulas button").nth(k).click()
        assert page.inner_text("#fault") == ""
        assert page.locator("#graph .node.result .value").count() == 1
        page.click("#descend-many")
        first, last = re.search(r"= (\S+) → (\S+)", page.inner_text("#moved")).groups()
        assert float(last) < float(first)
    go_to(page, "network")
    for k in range(page.locator("#problems button").count()):
        page.locator("#problems button").nth(k).click()
        start = float(page.inner_text("#loss"))
        for _ in range(5):
            page.click("#epoch")
        assert page.inner_text("#epochs") == "5" and float(page.inner_text("#loss")) < start
        assert page.inner_text("#message") == ""


def test_a_network_by_keyboard_alone(load):
    page = load("network?samples=50&layer1=3&layer2=2&noise=0")
    page.keyboard.press("e")
    assert page.inner_text("#epochs") == "1"
    page.keyboard.press(" ")
    page.wait_for_function("() => Number(document.getElementById('epochs').textContent) > 5")
    assert page.get_attribute("#train", "aria-pressed") == "true"
    page.keyboard.press(" ")
    assert page.get_attribute("#train", "aria-pressed") == "false"
    stopped = page.inner_text("#epochs")
    # One sample: forward, backward, update, each told by itself.
    page.keyboard.press("s")
    assert page.locator(".link h3").all_inner_texts() == ["1 Forward: from the inputs to the loss"]
    page.keyboard.press("s")
    assert page.locator(".link").count() == 3 and page.locator(".factor").count() == 4
    before = page.evaluate("location.hash")
    told = page.inner_text(".link:nth-child(2)") + page.inner_text(".product")
    page.keyboard.press("s")
    assert (
        page.inner_text(".link:nth-child(2)") + page.inner_text(".product") == told
    )  # of the numbers before the update
    assert "w1[1,1] = " in page.inner_text(".link:nth-child(4)")
    assert page.evaluate("location.hash") != before and page.inner_text("#epochs") == stopped
    page.keyboard.press("s")
    assert page.input_value("#which") == "2"
    # Another weight, by the field; then new weights.
    while page.evaluate("document.activeElement.id") != "weight":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#weight") == "1" and "dL/dw1[1,2]" in page.inner_text("#links")
    page.locator("#train").focus()
    page.keyboard.press("r")
    assert page.inner_text("#epochs") == "0"
    page.locator("#tab-network").focus()
    page.keyboard.press("ArrowLeft")
    assert page.is_visible("#expression") and page.is_hidden("#network")


def test_every_frame_is_an_epoch(load):
    """Of 2-8-8-1 and 200 samples: drawing and training have time in each frame that the browser shows."""
    page = load("network")
    assert (
        page.get_attribute("#scene", "aria-label").startswith("A network 2-8-8-1")
        and page.inner_text("#of") == "of 200"
    )
    found = page.evaluate(
        """async () => {
          const epochs = () => Number(document.getElementById("epochs").textContent);
          document.getElementById("train").click();
          const start = epochs();
          for (let k = 0; k < 30; k += 1) await new Promise(requestAnimationFrame);
          return epochs() - start;
        }"""
    )
    assert 29 <= found <= 31


def test_lines_and_samples_can_be_clicked(load):
    page = load("network?layer1=3&layer2=2", viewport={"width": 1280, "height": 900})
    wanted, x, y = page.evaluate(
        """() => {
          const canvas = document.getElementById("scene");
          const room = Math.max(340, Math.min(640, 0.48 * window.innerHeight));
          const scene = scene_of([2, 3, 2, 1], canvas.parentElement.clientWidth, room);
          const edge = scene.edges.find(({ name }) => name === "w2[2,3]");
          return [edge.name, ...bent(edge, 0.5)];
        }"""
    )
    page.click("#scene", position={"x": x, "y": y})
    assert wanted in page.inner_text(".factor.result")
    assert "weight=w2" in page.evaluate("decodeURIComponent(location.hash)")
    page.click("#map", position={"x": 60, "y": 20})
    assert page.input_value("#which") != "1"


def test_own_data_and_a_rate_that_is_too_large(load):
    page = load("network")
    page.click("summary")
    page.fill("#csv", "a,b,kind\n1,2,cat\n3,x,dog")
    page.click("#use")
    assert page.inner_text("#csv-fault").startswith("Line 3: expected a number but got x")
    page.fill("#csv", "a,b,kind\n1,2,cat\n3,1,dog\n2,2,dog")
    page.click("#use")
    assert page.inner_text("#of") == "of 3" and page.inner_text("#map-title").lower() == "cat or dog?"
    saved = page.evaluate("location.hash")
    go_to(page, "network?data=celsius&activation=relu&rate=10&batch=all")
    page.click("#train")
    page.wait_for_selector("#message:has-text('the rate is too large')")
    assert page.get_attribute("#train", "aria-pressed") == "false"
    go_to(page, saved[1:])
    page.wait_for_function("() => document.getElementById('of').textContent === 'of 3'")


def test_a_link_shows_the_same(load):
    page = load("network?data=circles&layer1=4&layer2=0&loss=hinge&activation=relu&seed=3")
    for _ in range(3):
        page.click("#epoch")
    page.select_option("#weight", label="w1[2,1]")
    page.fill("#which", "7")
    page.keyboard.press("Enter")
    link, told = page.evaluate("location.hash")[1:], page.inner_text("#links")
    other = load(link)
    assert other.inner_text("#links") == told and other.inner_text("#epochs") == "3"
    assert other.evaluate("location.hash")[1:] == link
    page.click("#tab-expression")
    page.fill("#text", "x*sin(y) + 1e3")
    page.fill("#input-y", "0.1")
    page.locator("#graph").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    link, told = page.evaluate("location.hash")[1:], page.inner_text("#told")
    other = load(link)
    assert other.inner_text("#told") == told and other.input_value("#input-y") == "0.1"
    # What somebody has cut or altered does not break the page.
    broken = ["network?data=nothing&weights=%%&epochs=-1&sample=1e9", "network?weights=AAAA", "expression?text=(&at=x"]
    for link in [*broken, "else"]:
        page.evaluate("hash => { location.hash = hash; }", link)
        page.wait_for_timeout(50)


CONTRAST = """() => {
  const channel = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const parts = (text) => {
    const found = (text.match(/[\\d.]+/g) ?? []).map(Number);
    return found.length === 3 ? [...found, 1] : found;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found[3] === 1) return found;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  for (const node of document.querySelectorAll("main *")) {
    const texts = [...node.childNodes].filter((child) => child.nodeType === 3);
    const text = texts.map((child) => child.textContent.trim()).join("");
    const style = getComputedStyle(node);
    const unseen = node.closest("[hidden], button:disabled, select:disabled, noscript, option");
    if (!text || unseen || style.display === "none" || !node.getClientRects().length) continue;
    let [front, back] = [parts(style.color), behind(node)];
    if (node instanceof SVGElement) {
      if (node.tagName === "title") continue;
      front = parts(style.fill);
      const own = node.closest("g").querySelector(node.classList.contains("sign") ? "rect.sign" : "rect");
      const filled = own && getComputedStyle(own).fill;
      if (filled && filled !== "none") back = parts(filled);
    }
    const [low, high] = [luminance(front), luminance(back)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), text.slice(0, 40), node.className.baseVal ?? node.className]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""

UNNAMED = """() => [
  ...document.querySelectorAll("button, input, select, textarea, summary, canvas, svg"),
].filter((node) => {
  const labels = node.labels ? [...node.labels].map((label) => label.textContent.trim()).join("") : "";
  const ids = (node.getAttribute("aria-labelledby") ?? "").split(" ");
  const by = ids.map((id) => document.getElementById(id)?.textContent ?? "").join("");
  const own = ["SELECT", "TEXTAREA"].includes(node.tagName) ? "" : node.textContent.trim();
  return !(labels || by || node.getAttribute("aria-label") || own);
}).map((node) => node.outerHTML.slice(0, 80))"""

SMALL = """() => [...document.querySelectorAll("button, input, select, textarea, summary")].filter((node) => {
  const box = node.getBoundingClientRect();
  return box.width > 0 && !node.closest("label") && (box.width < 24 || box.height < 24);
}).map((node) => node.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_widths_themes_contrast_and_labels(load, scheme):
    """4.5 to 1 is what WCAG 2.2 asks of text, and 24 pixels of what is pressed; every control has a name."""
    page = load(color_scheme=scheme)
    for width, tab in [(width, tab) for tab in ("expression", "network") for width in (390, 1280, 1920)]:
        page.set_viewport_size({"width": width, "height": 900})
        page.click(f"#tab-{tab}")
        if tab == "network":
            page.click("#epoch")
        else:
            page.fill("#text", "(x**2 + 3)**2 + y")
            page.click("#descend")
            page.fill("#text", "(x**2 + 3)**2 + y + q(x)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        worst = page.evaluate(CONTRAST)
        assert len(worst) > 20 and worst[0][0] >= 4.5, worst[:8]
        assert page.evaluate(UNNAMED) == [] and page.evaluate(SMALL) == []
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")
        assert len(ids) == len(set(ids))
    # Text on canvases.
    inks = page.evaluate("['--ink', '--quiet', '--page'].map(colour)")
    for ink in inks[:2]:
        low, high = sorted([luminance(ink), luminance(inks[2])])
        assert (high + 0.05) / (low + 0.05) >= 4.5
    sizes = "all => all.map((canvas) => [canvas.clientWidth, canvas.clientHeight, canvas.width])"
    canvases = page.eval_on_selector_all("#network canvas", sizes)
    assert all(wide > 150 and high > 90 and pixels >= wide for wide, high, pixels in canvases)


def luminance(ink):
    """Return the relative luminance that WCAG 2.2 defines."""
    parts = [byte / 255 for byte in bytes.fromhex(ink[1:])]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
