"""The notebook of the tour runs from top to bottom, and was saved with its pictures."""

import json
from pathlib import Path

import chainrule
import pytest

NOTEBOOK = json.loads((Path(__file__).parents[2] / "demos/tour.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_cells_run(tmp_path, monkeypatch):
    pytest.importorskip("numpy")
    pytest.importorskip("IPython", reason="IPython, which shows formulas in notebooks, is not installed")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    if not hasattr(chainrule, "compile"):
        pytest.skip("chainrule.compile is missing")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    names: dict[str, object] = {}
    for number, cell in enumerate(CODE, 1):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert names["x"].grad == 56.0


def test_pictures_are_saved():
    kinds = [kind for cell in CODE for output in cell["outputs"] for kind in output.get("data", {})]
    assert kinds.count("image/svg+xml") >= 3 and kinds.count("image/png") >= 5 and "image/gif" in kinds
    # Each section under a heading shows one.
    sections, shown = [], set()
    for cell in NOTEBOOK["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and text.startswith("## "):
            sections.append(text.splitlines()[0])
        if any(kind.startswith("image/") for output in cell.get("outputs", []) for kind in output.get("data", {})):
            shown.add(sections[-1])
    assert shown == set(sections) and len(sections) == 5
    assert not [output for cell in CODE for output in cell["outputs"] if output["output_type"] == "error"]
