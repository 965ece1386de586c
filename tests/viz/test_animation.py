"""Animations: the frames of a GIF, and the page in a headless browser."""

import base64
import io
import json
import re

import pytest
from chainrule import nn, viz

XS = [k / 10 - 1 for k in range(20)]
CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]]
CURVE = nn.fit(nn.MLP(1, [3, 1], seed=0), XS, [x * x for x in XS], epochs=30, batch_size=5, seed=0, record=True)
MAP = nn.fit(nn.MLP(2, [4, 1], seed=0), CORNERS, [-1, 1, 1, -1], loss="hinge", epochs=4, record=True)
SEVERAL = nn.fit(nn.MLP(2, [3], seed=0), CORNERS, [0, 1, 2, 1], loss="cross_entropy", epochs=4, record=True)
KINDS = {"curve": CURVE, "map": MAP, "several": SEVERAL}


def data_of(path):
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', path.read_text(encoding="utf-8"))[1])


@pytest.mark.parametrize("history", KINDS.values(), ids=KINDS)
def test_gif_has_its_frames_and_rests_on_the_last(history, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    path = viz.animate(history, tmp_path / "new" / "film.gif", max_frames=4, fps=5, theme="dark")
    film = image.open(io.BytesIO(path.read_bytes()))
    assert film.n_frames == 4
    pictures, times = [], []
    for frame in range(4):
        film.seek(frame)
        pictures.append(film.convert("RGB").tobytes())
        times.append(film.info["duration"])
    assert times == [200, 200, 200, 2000]
    assert len(set(pictures)) == 4
    assert film.info["loop"] == 0
    assert [item.name for item in (tmp_path / "new").iterdir()] == ["film.gif"]


def test_page_holds_what_the_model_gave(tmp_path):
    data = data_of(viz.animate(CURVE, tmp_path / "film.html", max_frames=4, scale=(10, 100), xlabel="x", ylabel="y"))
    assert data["epochs"] == [0, 10, 20, 30]
    assert data["losses"] == [None, *[CURVE.loss[k - 1] for k in (10, 20, 30)]]
    model = nn.MLP(1, [3, 1], seed=0)
    for epoch, frame in zip(data["epochs"], data["frames"], strict=True):
        model.load_state_dict(CURVE.parameters[epoch])
        wanted = [100 * y for y in model.predict([x / 10 for x in data["places"]])]
        assert frame == pytest.approx(wanted, rel=2e-3, abs=0.1)
    assert data["samples"][3] == pytest.approx([10 * XS[3], 100 * XS[3] ** 2])


def test_numbers_are_as_fine_as_the_picture(tmp_path):
    xs = [10_000.0 + k for k in range(10)]
    history = nn.fit(lines(), xs, xs, lr=0.0, epochs=1, record=True)
    data = data_of(viz.animate(history, tmp_path / "film.html"))
    assert [x for x, _ in data["samples"]] == xs
    assert len(set(data["places"])) == 120 and len({y for _, y in data["samples"]}) == 10


def test_scores_near_the_border_are_finer_than_a_byte_would_be(tmp_path):
    history = nn.fit(lines(2), CORNERS, [-1, 1, 1, -1], loss="hinge", lr=0.0, epochs=1, record=True)
    data = data_of(viz.animate(history, tmp_path / "film.html", threshold=0.0))
    first = data["frames"][0]
    digits = [data["digits"].index(digit) for digit in first]
    scores = [64 * a + b - 2047 for a, b in zip(digits[::2], digits[1::2], strict=True)]
    assert len(scores) == data["width"] ** 2
    # x + y from -0.2 to 2.2; the colours end at 2 since few are above.
    wanted = [2047 * min(1.0, max(-1.0, (i + j) * 1.2 / 47 - 0.2) / 2) for j in range(48) for i in range(48)]
    assert scores == pytest.approx(wanted, abs=0.51)


def test_page_of_a_single_loss_has_no_empty_figure(load):
    page = load(nn.fit(lines(), XS, XS, epochs=1, record=True))
    assert [figure.is_visible() for figure in page.locator("figure").all()] == [True, False]


def lines(width=1):
    return nn.Neuron(width, activation=None, initialise=lambda source, nin, nout: 1.0)


def test_pages_are_small_and_the_same_every_time(tmp_path):
    for name, history in KINDS.items():
        first, second = (viz.animate(history, tmp_path / f"{name}{k}.html").read_bytes() for k in range(2))
        assert first == second
        assert len(first) < 300_000
        assert not re.search(rb"(src|href)=.?https?:|url\(http|import ", first)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: viz.animate(CURVE, "film.mp4"), ValueError, "ending in .gif or .html but got path='film.mp4'"),
        (lambda: viz.animate(CURVE, 3), TypeError, "a str or path but got path=3"),
        (lambda: viz.animate([1.0], "film.gif"), TypeError, "the History that fit returns"),
        (lambda: viz.animate(CURVE, "film.gif", fps=0), ValueError, "fps=0"),
        (lambda: viz.animate(CURVE, "film.gif", max_frames=1), ValueError, "max_frames=1"),
        (lambda: viz.animate(CURVE, "film.gif", fps=True), ValueError, "fps=True"),
        (lambda: viz.animate(CURVE, "film.gif", max_frames=2.5), ValueError, "2 or above, but got max_frames=2.5"),
        (lambda: viz.animate(CURVE, "film.gif", theme="pink"), ValueError, "theme='pink'"),
        (lambda: viz.animate(nn.fit(nn.Neuron(1), [0], [0], epochs=1), "film.gif"), ValueError, "record=True"),
        (lambda: viz.animate(regression(), "film.html"), ValueError, "at most 12 classes but got 20 .* use plot_fit"),
        (lambda: viz.animate(wide(), "film.gif"), ValueError, "one or two inputs but got rows of 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_animated_is_named(call, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        call()
    assert list(tmp_path.iterdir()) == []


def test_counts_may_be_numpys(tmp_path):
    int64 = pytest.importorskip("numpy").int64
    data = data_of(viz.animate(CURVE, tmp_path / "film.html", max_frames=int64(3), fps=int64(5)))
    assert len(data["frames"]) == 3 and data["fps"] == 5


def wide():
    return nn.fit(nn.Neuron(3), [[1, 2, 3]], [0], epochs=1, record=True)


def regression():
    return nn.fit(nn.Neuron(2), [[k, 1] for k in range(20)], [0.1 * k for k in range(20)], epochs=1, record=True)


def test_a_colour_that_comes_twice_has_another_shape(load):
    rows = [[k, k % 3] for k in range(12)]
    page = load(nn.fit(nn.MLP(2, [12], seed=0), rows, list(range(12)), loss="cross_entropy", epochs=1, record=True))
    marks = page.eval_on_selector_all(
        "#legend path", "paths => paths.map(path => path.getAttribute('d') + path.getAttribute('fill'))"
    )
    assert len(marks) == len(set(marks)) == 13


@pytest.fixture
def load(open_page, tmp_path):
    """Write and load a page."""
    return lambda history, animation=None, **options: open_page(
        viz.animate(history, tmp_path / "film.html", **(animation or {})), **options
    )


@pytest.mark.parametrize("history", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_steps_by_keys_buttons_and_slider(history, scheme, load):
    page = load(history, color_scheme=scheme, viewport={"width": 380, "height": 700})
    caption = page.locator("#caption")
    count = len(data_of_page(page)["frames"])

    def picture():
        return page.evaluate("document.getElementById('picture').toDataURL()")

    assert caption.inner_text() == "before training"
    pictures = [picture()]
    page.keyboard.press("ArrowRight")
    assert caption.inner_text().startswith(f"epoch 1 of {count - 1}, loss ")
    pictures.append(picture())
    page.get_by_label("Last picture").click()
    assert page.locator("#count").inner_text() == f"{count} of {count}"
    pictures.append(picture())
    assert len(set(pictures)) == 3
    page.get_by_label("Picture", exact=True).fill("1")
    assert picture() == pictures[1]
    page.keyboard.press("Home")
    assert picture() == pictures[0]
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert caption.inner_text() in page.locator("#picture").get_attribute("aria-label")


def data_of_page(page):
    return json.loads(page.locator("#data").text_content())


def test_page_plays_to_the_end(load):
    page = load(MAP, {"fps": 20})
    page.get_by_label("Play").click()
    page.get_by_text("5 of 5", exact=True).wait_for()
    assert page.locator("#play").inner_text() == "▶ Play"


def test_border_on_the_page_is_where_scores_change_sign(load):
    """The colours on both sides of the border, read back from the picture."""
    image = pytest.importorskip("PIL.Image")
    model = nn.Neuron(2, activation=None, initialise=lambda source, nin, nout: 1.0)
    history = nn.fit(model, CORNERS, [-1, -1, 1, 1], loss="hinge", optimiser=nn.SGD, lr=0.0, epochs=1, record=True)
    page = load(history, {"threshold": 1.0}, color_scheme="light")
    address = page.evaluate("document.getElementById('picture').toDataURL()")
    picture = image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    # Along the diagonal from the lowest to the highest score, a fourth from each end.
    low, high = (
        # The square in the middle: both axes have the same unit.
        picture.getpixel(
            (picture.width // 2 + (x - 2) * picture.height // 6, picture.height // 2 - (x - 2) * picture.height // 6)
        )
        for x in (1, 3)
    )
    assert low[2] > low[0], "scores below the border are blue"
    assert high[0] > high[2], "scores above it orange"


def test_hostile_labels_stay_text(load):
    hostile = "</script><img src=x onerror=alert(1)>"
    page = load(CURVE, {"xlabel": hostile})
    assert data_of_page(page)["labels"][0] == hostile
    assert page.locator("img").count() == 0


def test_films_have_the_size_that_is_asked_for(tmp_path):
    image = pytest.importorskip("PIL.Image")
    history = nn.fit(nn.Neuron(1, seed=0), [0.0, 1.0, 2.0], [0.0, 0.4, 0.7], epochs=2, record=True)
    for size, wanted in ((None, (512, 352)), ((800, 450), (800, 450))):
        with image.open(viz.animate(history, tmp_path / "film.gif", size=size)) as film:
            assert film.size == wanted
    assert '"size": [800, 450]' in viz.animate(history, tmp_path / "film.html", size=(800, 450)).read_text("utf-8")
    with pytest.raises(ValueError, match="width"):
        viz.animate(history, tmp_path / "film.gif", size=(10, 10))
