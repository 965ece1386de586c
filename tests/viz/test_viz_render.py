"""Check that pictures show what the graph says, whatever its labels hold, and are written completely or not at all."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import chainrule as cr
import graphviz
import pytest
from chainrule import MissingDependencyError, Var, viz
from helpers import example

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" and 'quoted'",
    "a|b{c}<d>[e]",
    r"\N \G \E \L \l \n \\ \\N",
    "ends with a backslash\\",
    "&amp; & &lt; &#92;N",
    "é ∂L/∂w 漢字 🙂 שלום",
    "  spaced   out  ",
    "]]> --> <!-- <![CDATA[",
    'charset="latin-1"',
    "v0 -> v1; }",
    "%3",
    "<b>",
]

needs_renderer = pytest.mark.skipif(
    shutil.which("dot") is None and importlib.util.find_spec("pygraphviz") is None,
    reason="neither dot nor pygraphviz is installed",
)


def parsed(root: object, **options: object) -> ElementTree.Element:
    return ElementTree.fromstring(viz.to_svg(root, **options))


def shape(svg: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(group for group in svg.iter(f"{SVG}g") if group.get("id") == name)


def texts(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def title(element: ElementTree.Element) -> str | None:
    return element.findtext(f"{SVG}title")


@pytest.fixture
def no_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


# ---- SVG ----


@needs_renderer
def test_svg_is_self_contained(capfd: pytest.CaptureFixture[str]) -> None:
    source = viz.to_svg(example())
    assert source.startswith("<svg ")
    for unwanted in ("<!", "<?", "script", "href", "xlink", "DTD", "\xa0"):
        assert unwanted not in source
    assert re.findall("https?://[^\"']*", source) == ["http://www.w3.org/2000/svg"]
    assert capfd.readouterr() == ("", "")


@needs_renderer
def test_svg_shows_values_and_tells_them_in_full() -> None:
    z = example()
    z.backward()
    svg = parsed(z)
    assert title(svg) == "Computation graph of 9 nodes"
    assert svg.get("role") == "img"
    assert re.fullmatch(r"\d+", svg.get("width", ""))
    assert texts(shape(svg, "v0")) == ["x", "value", "2", "grad", "56"]
    assert title(shape(svg, "v0")) == "x: value 2.0, gradient 56.0"
    assert texts(shape(svg, "v1")) == ["2"]
    assert title(shape(svg, "v1")) == "constant 2.0"
    assert texts(shape(svg, "op2")) == ["**"]
    assert title(shape(svg, "op2")) == "pow"
    assert texts(shape(svg, "v8")) == ["z", "value", "52", "grad", "1"]
    assert shape(svg, "v8").get("class") == "node root"
    assert len([group for group in svg.iter(f"{SVG}g") if group.get("class") == "edge"]) == 12
    # No title speaks of DOT's names for nodes.
    assert not [name.text for name in svg.iter(f"{SVG}title") if re.match(r"(v|op)\d", name.text or "")]


@needs_renderer
def test_hostile_labels_show_as_they_are() -> None:
    leaves = [Var(1.0, label=name) for name in HOSTILE]
    total = cr.sum(leaves)
    total.label = HOSTILE[0]
    svg = parsed(total)
    for place, name in enumerate([*HOSTILE, HOSTILE[0]]):
        node = shape(svg, f"v{place}")
        assert texts(node) == [name, "value", f"{total.value:g}" if place == len(HOSTILE) else "1", "grad", "—"]
        assert (title(node) or "").startswith(f"{name}: value ")
    assert {element.tag.removeprefix(SVG) for element in svg.iter()} <= {
        "svg", "g", "title", "desc", "path", "polygon", "polyline", "ellipse", "text",
    }  # fmt: skip


@needs_renderer
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", ["two", "lines"]),
        ("two\r\nlines", ["two", "lines"]),
        ("a\tb", ["a    b"]),
        ("\x00\x1b[31m\ud800\ufffe", [r"\x00\x1b[31m\ud800\ufffe"]),
        ("", []),
        (" ", []),
        ("w" * 200, ["w" * 39 + "…"]),
    ],
)
def test_labels_that_svg_cannot_hold_as_they_are(name: str, shown: list[str]) -> None:
    node = shape(parsed(Var(1.0, label=name)), "v0")
    assert texts(node) == [*shown, "value", "1", "grad", "—"]
    assert len(name) < 200 or title(node) == f"{name}: value 1.0, no gradient yet"


@needs_renderer
def test_operation_with_a_hostile_symbol() -> None:
    square = cr.Primitive(
        r"\N<square>", r'<\N>&"', evaluate=lambda x: x * x, partials=lambda y, x: (2 * x,), domain=(cr.Interval(0, 1),)
    )
    node = shape(parsed(square(Var(0.5))), "op1")
    assert texts(node) == [r'<\N>&"']
    assert title(node) == r"\N<square>"


@needs_renderer
def test_drawing_can_be_changed_before_it_is_rendered() -> None:
    drawing = viz.draw(Var(2.0, label="x"))
    drawing.node("more", "more", URL="https://example.org", tooltip="a link")
    drawing.edge("v0", "more", tooltip="an edge")
    svg = parsed(drawing)
    assert texts(shape(svg, "more")) == ["more"]
    link = next(svg.iter(f"{SVG}a"))
    assert link.get("{http://www.w3.org/1999/xlink}href") == "https://example.org"
    assert title(shape(svg, "edge1")) == "an edge"


@needs_renderer
def test_graph_without_a_name_has_no_title() -> None:
    assert title(parsed(graphviz.Digraph(body=["a -> b"]))) is None


# ---- files ----


@needs_renderer
@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<svg "), ("a.png", b"\x89PNG\r\n\x1a\n"), ("a.pdf", b"%PDF-"), ("A.SVG", b"<svg ")]
)
def test_render_writes_each_format(tmp_path: Path, name: str, start: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "folder" / name
    assert viz.render(example(), path) == path
    assert path.read_bytes().startswith(start)
    assert [file.name for file in path.parent.iterdir()] == [name]
    assert capfd.readouterr() == ("", "")


@needs_renderer
def test_render_takes_a_drawing_or_options(tmp_path: Path) -> None:
    z = example()
    drawn = viz.render(viz.draw(z, direction="TB"), str(tmp_path / "drawn.svg"))
    direct = viz.render(z, str(tmp_path / "direct.svg"), direction="TB")
    assert isinstance(drawn, Path)
    assert drawn.read_text("utf-8") == direct.read_text("utf-8") == viz.to_svg(z, direction="TB")
    with pytest.raises(TypeError, match=r"render expected no options with a graphviz\.Digraph but got direction"):
        viz.render(viz.draw(z), tmp_path / "never.svg", direction="TB")


@needs_renderer
def test_render_replaces_a_file_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "graph.svg"
    path.write_text("before")

    def full_disk(*args: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        with pytest.raises(OSError, match="no space left"):
            viz.render(Var(1.0), path)
    assert path.read_text() == "before"
    with pytest.raises(RuntimeError, match=r"Graphviz could not make the SVG picture: .*Error"):
        viz.render(graphviz.Digraph(body=["][\n"]), path)
    assert path.read_text() == "before"
    viz.render(Var(1.0), path)
    assert path.read_text("utf-8").startswith("<svg ")
    assert list(tmp_path.iterdir()) == [path]


@needs_renderer
def test_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    assert viz.render(Var(1.0), tmp_path / "graph.svg").stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("name", ["graph.gif", "graph", "svg", ".svg", "graph.svg.txt"])
def test_suffix_must_be_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"ending in one of \.svg, \.png, \.pdf but got path=.* \(str\)"):
        viz.render(Var(1.0), tmp_path / name)


def test_path_must_be_that_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"render expected a str or path but got path=.* \(StringIO\)"):
        viz.render(Var(1.0), io.StringIO())  # type: ignore[arg-type]
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(IsADirectoryError, match="but got a folder"):
        viz.render(Var(1.0), tmp_path / "folder.svg")


# ---- renderers ----


@pytest.mark.usefixtures("no_renderer")
def test_missing_renderer_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install pygraphviz, .*graphviz\.org"):
        viz.render(Var(1.0), tmp_path / "new" / "graph.svg")
    assert list(tmp_path.iterdir()) == []
    assert viz.draw(Var(1.0)).source


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for dot is a shell script")
@pytest.mark.parametrize("status", [0, 1])
def test_dot_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    dot = tmp_path / "dot"
    dot.write_text(f'#!/bin/sh\necho "Error: $*" >&2\necho "picture made with $*"\nexit {status}\n')
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    if status == 0:
        assert viz.render(Var(1.0), tmp_path / "a.png").read_text() == "picture made with -Tpng -Gdpi=144\n"
    else:
        with pytest.raises(RuntimeError, match="could not make the PDF picture: Error: -Tpdf"):
            viz.render(Var(1.0), tmp_path / "a.pdf")


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for dot is a shell script")
def test_broken_dot_gives_way_to_pygraphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygraphviz")
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\nexit 1\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert title(parsed(Var(1.0))) == "Computation graph of 1 node"


# ---- notebooks ----


@needs_renderer
@pytest.mark.skipif(importlib.util.find_spec("pygraphviz") is None, reason="pygraphviz is not installed")
def test_drawing_renders_itself_without_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the methods that every `graphviz.Digraph` has."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    drawing = viz.draw(example())
    assert drawing.pipe("svg", encoding="utf-8") == viz.to_svg(example()) == drawing.pipe(format="svg").decode()
    assert drawing.pipe().startswith(b"%PDF")
    assert drawing.render("g") == "g.pdf" and Path("g.pdf").read_bytes().startswith(b"%PDF")
    assert Path("g").read_text("utf-8") == drawing.source
    written = viz.draw(example()).render("graph.gv", directory="new", format="png", cleanup=True)
    assert Path(written) == Path("new/graph.gv.png") and Path(written).read_bytes().startswith(b"\x89PNG")
    assert not Path("new/graph.gv").exists()
    assert viz.draw(example()).render(outfile="out.svg") == "out.svg"
    assert Path("out.svg").read_text("utf-8") == viz.to_svg(example())
    opened: list[str] = []
    monkeypatch.setattr(graphviz, "view", lambda path, quiet: opened.append(path))
    assert viz.draw(example()).view("seen") == "seen.pdf" and opened == ["seen.pdf"]
    for needs_program in (lambda: drawing.pipe("svg", engine="neato"), lambda: drawing.render("h", engine="neato")):
        with pytest.raises(graphviz.ExecutableNotFound) as caught:
            needs_program()
        assert caught.value.__notes__ == ["engine needs it; viz.render(drawing, 'graph.svg') does not"]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for dot is a shell script")
def test_drawing_renders_itself_by_dot_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\ncase "$*" in *-O*) echo picture > g.pdf ;; *) cat >e; echo picture ;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    drawing = viz.draw(example())
    assert drawing.pipe("svg") == b"picture\n"
    assert drawing.render("g") == "g.pdf" and Path("g.pdf").read_text() == "picture\n"


def test_notebook_shows_text_and_picture() -> None:
    z = example()
    bundle = viz.mimebundle(z)
    assert bundle == {"text/plain": repr(z), "image/svg+xml": viz.to_svg(z, theme="auto")}
    assert z._repr_mimebundle_() == bundle
    assert z._repr_svg_() == bundle["image/svg+xml"]
    assert viz.draw(z)._repr_mimebundle_()["image/svg+xml"] == viz.to_svg(z)


@pytest.mark.usefixtures("no_renderer")
def test_notebook_shows_text_where_nothing_renders() -> None:
    z = example()
    assert viz.mimebundle(z) == {"text/plain": repr(z)}
    assert z._repr_svg_() is None


@needs_renderer
def test_no_arrow_goes_round_a_card_to_keep_an_order_that_does_not_matter() -> None:
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    svg = parsed(x * y + cr.sin(x))
    above, below = (float(next(shape(svg, name).iter(f"{SVG}text")).get("y") or "nan") for name in ("v0", "v1"))
    assert above < below


@needs_renderer
def test_pictures_in_notebooks_follow_the_theme_of_the_page() -> None:
    z = example()
    z.backward()
    both, light, dark = (viz.to_svg(z, theme=theme) for theme in ("auto", "light", "dark"))
    assert ElementTree.fromstring(both).get("class") == "chainrule"
    style = re.search("<style>(.*?)</style>", both, re.DOTALL)
    assert style is not None
    colours = {}
    for theme, rule in (("light", r"^svg.chainrule {(.*?)}"), ("dark", r"dark\) { svg.chainrule {(.*?)}")):
        rules = re.search(rule, style[1], re.MULTILINE)
        assert rules is not None
        colours[theme] = dict(re.findall("(--[0-9a-f-]+):(#[0-9a-f]{6});", rules[1]))
    # Whoever knows no variables sees the light picture; with those of one theme it is the picture of that theme.
    plain = re.sub(' style="[^"]*"', "", both.replace(style[0], "").replace(' class="chainrule"', "", 1))
    assert plain == light
    for theme, picture in (("light", light), ("dark", dark)):
        shapes = re.findall("<(?:path|polygon|ellipse|text)[^>]*>", both.replace(style[0], ""))
        wanted = re.findall("<(?:path|polygon|ellipse|text)[^>]*>", picture)
        assert len(shapes) == len(wanted) > 30
        for shape, other in zip(shapes, wanted, strict=True):
            painted = dict(re.findall('(fill|stroke)="([^"]*)"', shape))
            painted |= {
                what: colours[theme][name] for what, name in re.findall(r"(fill|stroke):var\((--[^)]*)\)", shape)
            }
            assert painted == dict(re.findall('(fill|stroke)="([^"]*)"', other))
