"""Every code block of the README runs, and its first two commands are the ones that CI and the demos serve."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def blocks(page):
    """Return the languages and the texts of a page's code blocks."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


BLOCKS = blocks("README.md")


def run(page):
    """Run the Python of a page in one namespace from top to bottom, as a reader would type it, and return that."""
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, (language, code) in enumerate(blocks(page)):
        if language != "python":
            continue
        if ">>>" in code:
            example = doctest.DocTestParser().get_doctest(code, names, f"{page}, block {number}", None, 0)
            runner.run(example, clear_globs=False)
            names.update(example.globs)
        else:
            exec(compile(code, f"{page}, block {number}", "exec"), names)
    assert runner.summarize(verbose=False).failed == 0
    return names


def test_the_tour_runs(tmp_path, monkeypatch):
    pytest.importorskip("numpy")
    pytest.importorskip("pygraphviz")
    monkeypatch.chdir(tmp_path)
    assert len(run("demos/book/tour.md")) > 50


def test_the_readme_runs_and_is_short(tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz")
    monkeypatch.chdir(tmp_path)
    names = run("README.md")
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
    assert names["x"].grad == 56.0
    assert names["y"].grad == 1.0
    # The layout depends on the fonts of the machine, the texts do not.
    texts = [
        re.findall(r"<text[^>]*>([^<]*)<", path.read_text())
        for path in (tmp_path / "graph.svg", ROOT / "demos/example.svg")
    ]
    assert texts[0] == texts[1]


def test_the_two_commands_stand_first():
    commands = [code.strip() for language, code in BLOCKS if language == "sh"]
    assert commands == ['pip install ".[viz]" && python demos/gates.py', 'pip install -e ".[all,test]" && pytest']
    assert BLOCKS[0][0] == BLOCKS[1][0] == "sh"


def test_links_lead_somewhere():
    for page in ("README.md", "CONTRIBUTING.md", "engine/README.md", "demos/README.md", "demos/book/tour.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r' src(?:set)?="([^"]+)"', text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
