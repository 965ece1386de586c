"""The installed package: complete, one identity, light to import."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import chainrule
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"engine": "chainrule", "nn": "chainrule.nn", "viz": "chainrule.viz"}
HEAVY = ["numpy", "llvmlite", "matplotlib", "sklearn", "scipy", "torch", "pygraphviz", "mpmath", "hypothesis"]


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_file_is_installed(folder):
    """A strict editable install links the files it saw: after adding one, run pip install -e . again."""
    code = f"import importlib.util as u; print(u.find_spec({PACKAGES[folder]!r}).submodule_search_locations[0])"
    installed = {path.name for path in Path(run(code).strip()).glob("*.py")}
    written = {path.name for path in (ROOT / folder).glob("*.py")}
    assert installed == written, f"files of {folder}/ and of the installation differ; run: pip install -e ."


def test_version_and_types():
    assert metadata.version("chainrule") == chainrule.__version__ == "0.1.0"
    assert "MIT" in (metadata.metadata("chainrule")["License-Expression"] or metadata.metadata("chainrule")["License"])
    assert (Path(chainrule.__file__).parent / "py.typed").exists()


def test_base_dependencies_are_two():
    base = [line for line in metadata.requires("chainrule") or [] if "extra ==" not in line]
    assert sorted(line.split(">")[0] for line in base) == ["graphviz", "tqdm"]


@pytest.mark.parametrize("module", ["chainrule", "chainrule.nn", "chainrule.viz", "chainrule.testing"])
def test_import_is_light(module):
    loaded = run(f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])").split()
    assert loaded == []


def test_import_needs_little_of_python():
    """These take several milliseconds each, of fifty."""
    slow = ["pathlib", "secrets", "hashlib", "random", "argparse", "subprocess", "asyncio"]
    code = f"import sys; before = set(sys.modules); import chainrule; print(set({slow!r}) & set(sys.modules) - before)"
    assert run(code).strip() == "set()"


def test_import_is_lazy_about_its_own_parts():
    assert run("import sys, chainrule; print('chainrule.viz' in sys.modules); chainrule.viz.draw").strip() == "False"


def test_there_is_one_var_class():
    assert run("import chainrule, chainrule.var; print(chainrule.Var is chainrule.var.Var)").strip() == "True"


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'chainrule' has no attribute 'vax'"):
        chainrule.vax  # noqa: B018
