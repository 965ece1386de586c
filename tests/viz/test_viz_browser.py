"""Pictures in a real browser: they run nothing, ask for nothing, and their text is text."""

import os
import subprocess
import sys

import chainrule as cr
import pytest
from chainrule import Var, viz
from chainrule.viz.theme import THEMES, Scale

HOSTILE = ["<script>alert(1)</script>", "</svg><img src=x onerror=alert(1)>", "a & b", "two\nlines", "'\"\\N"]


@pytest.fixture
def picture(tmp_path):
    pytest.importorskip("pygraphviz")
    total = cr.sum([Var(1.0, label=label) for label in HOSTILE])
    total.label = "<b>sum</b>"
    total.backward()
    return viz.render(total, tmp_path / "picture.svg", highlight=HOSTILE[0])


def test_picture_opens_by_itself(open_page, picture):
    page = open_page(picture)  # which fails on messages, dialogs and requests
    assert page.evaluate("document.documentElement.tagName") == "svg"
    assert page.evaluate("document.querySelectorAll('script, image, a, foreignObject, parsererror').length") == 0
    title, description = page.evaluate(
        "['title', 'desc'].map(tag => document.querySelector('svg > ' + tag).textContent)"
    )
    assert title == "Computation graph of 6 nodes" and description.startswith("Computed left to right from 5 inputs.")


def test_text_of_a_picture_can_be_selected(open_page, picture):
    page = open_page(picture)
    selected = page.evaluate(
        "() => { getSelection().selectAllChildren(document.querySelector('#v0')); return getSelection().toString(); }"
    )
    assert HOSTILE[0] in selected and "value" in selected


def test_picture_is_the_same_in_every_process(tmp_path):
    pytest.importorskip("pygraphviz")
    program = (
        "from chainrule import nn, viz; import sys\n"
        "model = nn.MLP(2, [3, 1], seed=1); loss = (model([0.5, 1.0]) - 1) ** 2; loss.backward()\n"
        "viz.render(loss, sys.argv[1], highlight='w1[1,1]')"
    )
    for name in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / f"{name}.svg")],
            env=os.environ | {"PYTHONHASHSEED": name},
            check=True,
        )
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


def luminance(colour):
    """Return the relative luminance that WCAG 2.2 defines."""
    parts = [byte / 255 for byte in bytes.fromhex(colour[1:])]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_text_stands_out(name):
    """4.5 to 1 is what WCAG 2.2 asks of text."""
    theme = THEMES[name]
    scale = Scale(theme, [1.0, -1.0])
    fills = [scale.fill(sign * 10.0**-k) for sign in (-1, 1) for k in range(5)]
    fills += [theme.zero, theme.not_finite, theme.background, theme.cluster]
    fills += [card["fillcolor"] for card in theme.cards.values()]
    assert min(contrast(theme.ink, fill) for fill in fills) >= 4.5
    assert contrast(theme.operation["fontcolor"], theme.operation["fillcolor"]) >= 4.5
    quiet = [theme.background, theme.cluster, theme.cards["constant"]["fillcolor"], theme.cards["input"]["fillcolor"]]
    assert min(contrast(theme.quiet, fill) for fill in quiet) >= 4.5
    assert min(contrast(theme.path, fill) for fill in (theme.background, theme.cluster)) >= 4.5
