"""The installed package: complete, one identity, light to import."""

import ast
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import chainrule
import pytest
from chainrule import MissingDependencyError, uncompiled
from chainrule.errors import needing

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"engine": "chainrule", "nn": "chainrule.nn", "viz": "chainrule.viz"}
HEAVY = ["numpy", "llvmlite", "matplotlib", "sklearn", "scipy", "torch", "pygraphviz", "mpmath", "hypothesis"]


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_every_file_is_installed():
    """A strict editable install links the files it saw: after adding one, run pip install -e . again."""
    code = "import importlib.util as u; print(u.find_spec('chainrule').submodule_search_locations[0])"
    home = Path(run(code).strip())
    kinds = {".py", ".typed", ".pyx", ".pxd", ".h", ".c", ".css", ".js"}
    installed = {path.relative_to(home) for path in home.rglob("*") if path.suffix in kinds}
    written = {
        Path(*name.split(".")[1:]) / path.relative_to(ROOT / folder)
        for folder, name in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in kinds
    }
    assert installed == written, "files of the folders and of the installation differ; run: pip install -e ."
    assert not [path for path in home.rglob("*") if path.suffix in (".md", ".svg")], "pages for readers of the source"


def test_version_and_types():
    assert metadata.version("chainrule") == chainrule.__version__ == "0.1.0"
    assert "MIT" in (metadata.metadata("chainrule")["License-Expression"] or metadata.metadata("chainrule")["License"])
    assert (Path(chainrule.__file__).parent / "py.typed").exists()


def test_base_dependencies_are_two():
    base = [line for line in metadata.requires("chainrule") or [] if "extra ==" not in line]
    assert sorted(line.split(">")[0] for line in base) == ["graphviz", "tqdm"]


def test_only_who_asks_for_peers_gets_torch():
    """From the public index it comes with gigabytes; so tests against it skip where it is missing."""
    extras = {re.search(r'extra == "([\w-]+)"', line)[1] for line in metadata.requires("chainrule") if "torch" in line}
    assert extras == {"test-peers", "bench"}
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "torch" not in ast.unparse(node), f"{path.name}: write pytest.importorskip"


@pytest.mark.parametrize("module", ["chainrule", "chainrule.nn", "chainrule.viz", "chainrule.testing"])
def test_import_is_light(module):
    loaded = run(f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])").split()
    assert loaded == []


def test_import_needs_little_of_python():
    """These take several milliseconds each, of fifty."""
    slow = ["pathlib", "secrets", "hashlib", "random", "argparse", "subprocess", "asyncio"]
    code = f"import sys; before = set(sys.modules); import chainrule; print(set({slow!r}) & set(sys.modules) - before)"
    assert run(code).strip() == "set()"


def test_import_of_nn_waits_with_what_few_trainings_need():
    """A bar of progress, the digest of a checkpoint, and paths: a third of the time that `nn` took."""
    slow = ["tqdm", "hashlib", "pathlib", "statistics"]
    code = f"import sys; old = set(sys.modules); import chainrule.nn; print(set({slow!r}) & set(sys.modules) - old)"
    assert run(code).strip() == "set()"


def test_import_is_lazy_about_its_own_parts():
    assert run("import sys, chainrule; print('chainrule.viz' in sys.modules); chainrule.viz.draw").strip() == "False"


def test_there_is_one_var_class():
    assert (
        run("import chainrule, chainrule.graph.var; print(chainrule.Var is chainrule.graph.var.Var)").strip() == "True"
    )


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'chainrule' has no attribute 'vax'"):
        chainrule.vax  # noqa: B018


def test_advice_on_what_to_install_names_packages_of_the_extras():
    """One place makes the sentence; "chainrule[viz]" would not do for a clone, since no index has it."""
    extras = {re.split(r"[\s<>=;\[]", line)[0] for line in metadata.requires("chainrule") or []}
    advised = set()
    for folder in PACKAGES:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "pip install" not in text or path.name == "errors.py", path
            for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id.strip("_") in ("needing", "missing"):
                    names = [arg.value for arg in call.args[1:] if isinstance(arg, ast.Constant)]
                    advised.update(names if path.name != "errors.py" else [])
    found = {"hypothesis", "matplotlib", "mpmath", "numpy", "onnx", "pandas", "pygraphviz", "safetensors", "scipy"}
    assert found | {"scikit-learn", "torch"} == advised <= extras


def test_imports_that_fail_for_other_reasons_are_passed_on():
    advice = r"^x needs a and b, but nowhere was not found; run pip install a b, or c$"
    with pytest.raises(MissingDependencyError, match=advice), needing("x", "a", "b", otherwise="c"):
        import nowhere  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"chainrule\.nowhere") as caught, needing("x", "a"):
        import chainrule.nowhere  # noqa: F401
    assert not isinstance(caught.value, MissingDependencyError)


def test_a_core_that_was_not_compiled_is_told_once(tmp_path, capsys):
    note = tmp_path / "not_compiled.txt"
    note.touch()
    for told in (1, 0):
        uncompiled.tell_once(str(note))
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == told and all("no C compiler was found" in line for line in lines)
    assert not note.exists() and f'NOTE = "{note.name}"' in (ROOT / "setup.py").read_text()
    assert os.path.basename(uncompiled.NOTE) == note.name


@pytest.mark.parametrize(("backend", "packages"), [("llvm", "numpy llvmlite"), ("numpy", "numpy")])
def test_a_backend_names_its_packages(backend, packages):
    code = f"""
import sys
sys.modules["numpy"] = None
import chainrule as cr
try:
    cr.compile(cr.sin, backend={backend!r})(1.0)
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code).strip().endswith(f'but numpy was not found; run pip install {packages}, or use backend="python"')
