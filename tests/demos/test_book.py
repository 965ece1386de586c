"""The book describes every public name on one page, and lists all of its pages."""

import inspect
import re
import sys
from pathlib import Path

import chainrule
import pytest
from chainrule import nn, testing, viz

BOOK = Path(__file__).resolve().parents[2] / "demos" / "book"


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK))
    monkeypatch.delitem(sys.modules, "reference", raising=False)
    return pytest.importorskip("reference")


@pytest.mark.parametrize("module", [chainrule, nn, viz, testing])
def test_every_public_name_is_on_one_page(reference, module):
    described = [
        name for page, (of, *_) in reference.PAGES.items() if of is module for name in reference.names_on(page)
    ]
    shown = {name for name in dir(module) if not name.startswith("_") and not inspect.ismodule(getattr(module, name))}
    assert len(described) == len(set(described))
    assert set(described) == shown - reference.ALIASES


def test_signatures_are_names_and_defaults(reference):
    assert reference.signature(chainrule.leaky_relu) == "(x, slope=0.01)"
    assert reference.signature(Var := chainrule.Var) == "(value, label=None, requires_grad=True)"
    assert reference.signature(Var.backward, is_method=True) == "(seed=1.0)"
    assert "0x" not in reference.signature(nn.fit)
    assert reference.signature(chainrule.TraceError) == ""


def test_every_page_is_in_a_list_of_pages():
    pages = {path.relative_to(BOOK).with_suffix("").as_posix() for path in BOOK.rglob("*.md")}
    listed = {"index"}
    for index in BOOK.rglob("index.md"):
        folder = index.parent.relative_to(BOOK)
        for tree in re.findall(r"^```{toctree}\n(.*?)^```$", index.read_text(), re.DOTALL | re.MULTILINE):
            listed |= {(folder / line).as_posix() for line in tree.split("\n") if line and not line.startswith(":")}
    assert pages | {"reference/index"} == listed
