"""Every script in demos/ runs without a warning, says what it should, and leaves pictures that open."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

DEMOS = Path(__file__).resolve().parent.parent / "demos"
# Of benchmark.py.
PARTS = {"compilation.py", "compilation_peers.py", "engines.py", "loops_benchmark.py", "workloads.py"}
SCRIPTS = sorted({path.name for path in DEMOS.glob("*.py")} - PARTS)

# What a script needs to be quick enough for a test.
ARGUMENTS = {
    "accuracy.py": ["--quick"],
    "gallery.py": ["--nodes", "6000", "--frames", "4"],
    "regression.py": ["--rows", "4000", "--epochs", "3"],
}

# Numbers that a script must print, and their bounds. gates.py and layers.py stop by themselves where they are wrong.
MEASURED = {
    "celsius.py": (r"greatest error after 2000 iterations: (\S+) °F", 0.0, 0.01),
    "iris.py": (r"accuracy on the held-out third: \d+ of 50, (\S+)%", 93.0, 100.0),
    "moons.py": (r"accuracy after 100 steps: (\S+)%", 97.0, 100.0),
    "regression.py": (r"variance explained: (\S+) %", 75.0, 100.0),
}


# How files begin and end, by suffix.
ENDS = {
    ".gif": (b"GIF89a", b"\x3b"),
    ".html": (b"<!doctype html>", b"</html>\n"),
    ".pdf": (b"%PDF-", b"%%EOF\n"),
    ".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".svg": (b"<svg ", b"</svg>"),
}


def check_picture(path):
    """Read the file far enough to know that it is a picture."""
    data = path.read_bytes()
    start, end = ENDS[path.suffix]
    assert data.startswith(start) and data.endswith(end), path
    if path.suffix == ".svg":
        assert sum(1 for _ in ElementTree.fromstring(data).iter()) > 10


# test_benchmark.py runs the benchmark.
@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "benchmark.py"])
def test_demo_runs(script, tmp_path):
    command = [sys.executable, "-W", "error", str(DEMOS / script), *ARGUMENTS.get(script, [])]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "a demo prints what it does"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    pictures = list((tmp_path / "out").iterdir())
    assert pictures
    for picture in pictures:
        check_picture(picture)
        assert f"out/{picture.name}" in done.stdout
        # Those of a gallery come in two themes.
        shown = re.sub("_(light|dark)", "", picture.name)
        assert f"`{shown}" in (DEMOS / "README.md").read_text(encoding="utf-8")
    if script in MEASURED:
        pattern, low, high = MEASURED[script]
        found = re.search(pattern, done.stdout)
        assert found, done.stdout
        assert low <= float(found[1]) <= high


def test_pictures_of_the_readme_are_those_of_the_gallery(tmp_path):
    stored = sorted((DEMOS / "pictures").glob("*.svg"))
    command = [sys.executable, str(DEMOS / "gallery.py"), "--only", "paths", "network", "folded", "compiled"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=300)
    for path in stored:
        # The layout depends on the fonts of the machine, the texts do not.
        texts = [
            [text.text for text in ElementTree.parse(folder / path.name).iter("{http://www.w3.org/2000/svg}text")]
            for folder in (DEMOS / "pictures", tmp_path / "out")
        ]
        assert texts[0] == texts[1], path.name
        for page in ("README.md", "demos/README.md"):
            assert f"pictures/{path.name}" in (DEMOS.parent / page).read_text(encoding="utf-8"), path.name


def test_the_readme_names_every_demo():
    text = (DEMOS / "README.md").read_text(encoding="utf-8")
    assert set(SCRIPTS) == set(re.findall(r"\]\((\w+\.py)\)", text))


def test_what_is_said_of_demos_is_said_of_scripts_that_exist():
    assert set(ARGUMENTS) | set(MEASURED) <= set(SCRIPTS)
