"""Every script in demos/ runs without a warning, says what it should, and leaves pictures that open."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest

DEMOS = Path(__file__).resolve().parents[2] / "demos"
# needed.py is part of all.
SCRIPTS = sorted({path.name for path in DEMOS.glob("*.py")} - {"needed.py"})

# What a script needs to be quick enough for a test.
ARGUMENTS = {
    "accuracy.py": ["--quick"],
    "gpt.py": ["--steps", "100", "--batch", "4"],
    "gallery.py": ["--nodes", "6000", "--frames", "4"],
    "regression.py": ["--rows", "4000", "--epochs", "3"],
}

# Numbers that a script must print, and their bounds. gates.py and layers.py stop by themselves where they are wrong.
MEASURED = {
    "celsius.py": (r"greatest error after 2000 iterations: (\S+) °F", 0.0, 0.01),
    "digits.py": (r"accuracy on the held-out third: \d+ of 599, (\S+)%", 96.0, 100.0),
    "gates.py": (r"XOR is learned from (\d+) of 20 starts", 12, 19),
    "gpt.py": (r"step   100   loss (\S+)", 2.0, 2.9),
    "iris.py": (r"accuracy on the held-out third: \d+ of 50, (\S+)%", 93.0, 100.0),
    "moons.py": (r"accuracy after 100 steps: (\S+)%", 97.0, 100.0),
    "regression.py": (r"variance explained: (\S+) %", 75.0, 100.0),
}


def check_gates(text):
    """Find the tutorial's rate, iterations and results in what gates.py printed."""
    assert "the rate 1.\n" in text
    assert "It predicts 0.500, 0.500, 0.500, 0.500." in text
    assert "By steps of 1: " in text and "9 parameters" in text and "2000 iterations" in text
    gradients = re.findall(r"By (finite differences|backpropagation): first gradients (.*);", text)
    assert [way for way, _ in gradients] == ["finite differences", "backpropagation"] * 2
    assert gradients[0][1] == gradients[1][1] and gradients[2][1] == gradients[3][1]


# How files begin and end, by suffix.
ENDS = {
    ".gif": (b"GIF89a", b"\x3b"),
    ".html": (b"<!doctype html>", b"</html>\n"),
    ".pdf": (b"%PDF-", b"%%EOF\n"),
    ".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".svg": (b"<svg ", b"</svg>"),
}


# What the page says to install beside the extra `all`.
BESIDE = {"accuracy.py": ["mpmath"], "gpt.py": ["names"]}

# Runs a script as if some modules were not installed.
HIDE = """
import runpy, sys
end = sys.argv.index("--")
hidden = set(sys.argv[1:end])
sys.argv[:] = sys.argv[end + 1:]
class Finder:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Finder, sys.meta_path)
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def plain(name):
    """Return a distribution's name in the form used to compare packages."""
    return re.sub(r"[-_.]+", "-", name).lower()


def extras_of(name, extra):
    """Return the distributions that an extra of another requires."""
    found = set()
    for line in metadata.requires(name) or []:
        if f'extra == "{extra}"' in line:
            inner = re.match(r"chainrule\[(.*?)\]", line)
            found |= set() if inner else {first_name(line)}
            for each in inner[1].split(",") if inner else ():
                found |= extras_of(name, each)
    return found


def hidden_but(names):
    """List the installed modules that these distributions do not bring."""
    allowed = with_all_that_they_need(names)
    owners = metadata.packages_distributions()
    return [module for module, names in owners.items() if not allowed.intersection(map(plain, names))]


def first_name(line):
    return plain(re.match(r"[\w.-]+", line)[0])


def with_all_that_they_need(names):
    """Add what installed distributions need without extras."""
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        left |= {first_name(line) for line in lines if "extra ==" not in line} - found
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_is_missing_is_said_in_one_line(script, tmp_path):
    """With nothing but chainrule's own dependencies installed, a demo names what to install."""
    command = [sys.executable, "-c", HIDE, *hidden_but({"chainrule"}), "--", str(DEMOS / script)]
    environment = os.environ | {"PATH": str(tmp_path)}  # where no dot is
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert re.fullmatch(rf"{re.escape(script)}.* pip install .*\n", done.stderr), done.stderr
    if script == "benchmark.py":
        return  # it asks for each engine by itself
    # In a clone that is not installed, chainrule itself is what is missing.
    command[3:-2] = ["chainrule"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.stderr == f'{script} needs chainrule: pip install "{DEMOS.parent}[all]"\n'


def check_picture(path):
    """Read enough of the file to know that it is a picture."""
    data = path.read_bytes()
    start, end = ENDS[path.suffix]
    assert data.startswith(start) and data.endswith(end), path
    if path.suffix == ".svg":
        assert sum(1 for _ in ElementTree.fromstring(data).iter()) > 10


# test_benchmark.py runs the benchmark.
@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "benchmark.py"])
def test_demo_runs(script, tmp_path):
    """With only what its page says installed."""
    for package in BESIDE.get(script, []):
        pytest.importorskip(package)
    extra = "viz" if script in ("gates.py", "layers.py") else "all"
    hidden = hidden_but({"chainrule", *extras_of("chainrule", extra), *BESIDE.get(script, [])})
    command = [sys.executable, "-W", "error", "-c", HIDE, *hidden, "--", str(DEMOS / script)]
    command += ARGUMENTS.get(script, [])
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
    if script == "gates.py":
        check_gates(done.stdout)
    if script in MEASURED:
        pattern, low, high = MEASURED[script]
        found = re.search(pattern, done.stdout)
        assert found, done.stdout
        assert low <= float(found[1]) <= high


def test_pictures_of_the_readme_are_those_of_the_gallery(tmp_path):
    stored = sorted((DEMOS / "pictures").glob("*.svg"))
    command = [sys.executable, str(DEMOS / "gallery.py"), "--only", "paths", "network", "folded", "compiled", "model"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=300)
    for path in stored:
        # The layout depends on the fonts of the machine, the texts do not.
        texts = [
            [text.text for text in ElementTree.parse(folder / path.name).iter("{http://www.w3.org/2000/svg}text")]
            for folder in (DEMOS / "pictures", tmp_path / "out")
        ]
        assert texts[0] == texts[1], path.name
        for page in ("demos/book/tour.md", "demos/README.md"):
            assert f"pictures/{path.name}" in (DEMOS.parent / page).read_text(encoding="utf-8"), path.name


def test_the_readme_names_every_demo():
    text = (DEMOS / "README.md").read_text(encoding="utf-8")
    assert set(SCRIPTS) == set(re.findall(r"\]\((\w+\.py)\)", text))


def test_what_is_said_of_demos_is_said_of_scripts_that_exist():
    assert set(ARGUMENTS) | set(MEASURED) <= set(SCRIPTS)
