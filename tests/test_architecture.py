"""Imports point one way, files stay short, and the folders hold what the design page says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"engine": "chainrule", "nn": "chainrule.nn", "viz": "chainrule.viz"}

# Within each folder a module may import those before it in its line.
LAYERS = {
    "engine": """
        errors files forking uncompiled reading primitive custom csr arguments rows decimals ieee special table roots
        methods arrays operators modes blame runs wrapping var backward copying functions loop structure naming
        listing sweeps sparsity transforms series checkpointing gradcheck strategies exact scanning testing
        program_file program pruning closures tracing loop_rules loop_series stacking carries loop_bodies loops
        branches long_rows passes lowering guarding restructuring repetition recognition specialising backends
        choosing packing recorded_calls plan replaying compile __init__ __main__
    """,
    "engine/backends": """
        layout buffers python_ numpy_ c_places c_loops c_functions c machine workers work kernel object_cache fusion
        sine operations ordering registers segments watch driver memory moves module blocking lane_order
        loop_functions loop_calls bodies loop_kernels llvm __init__
    """,
    "viz": """
        picture theme units highlight fold ranks cards text svg render notation formula rules paths javascript page
        explain expression command notebook predictions axes plots boundary gradients surface film animation __init__
    """,
    "nn": """
        predicting module activations initialise layers losses schedules optimisers data history steps
        training saving estimators __init__
    """,
}
LIMIT = 400
# The table is a table; var.py is one class, with the functions that its operators share.
LONG = {"table": 500, "var": 840}


def modules(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imports(path):
    """Yield (level, module) of every import statement, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.level, node.module
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, alias.name) for alias in node.names)


@pytest.mark.parametrize("folder", LAYERS)
def test_modules_import_downwards_only(folder):
    order = LAYERS[folder].split()
    own = [path for path in modules(folder) if path.parent == ROOT / folder]
    inside = [name for name in order if f"{folder}/{name}" in LAYERS]
    assert sorted(order) == sorted([*(path.stem for path in own), *inside]), "name every module in LAYERS"
    outer = LAYERS["engine"].split()
    for path in own:
        allowed = {1: order[: order.index(path.stem)], 2: outer[: outer.index("backends")]}
        for level, module in imports(path):
            if level:
                assert module.split(".")[0] in allowed[level], (
                    f"{path.name} may import {allowed[level]}, not {module!r}"
                )


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_keep_apart(folder):
    for path in modules(folder):
        for level, module in imports(path):
            assert level <= len(path.relative_to(ROOT / folder).parts), (
                f"{path} reaches across folders with a relative import"
            )
            if folder == "engine":
                assert not module.startswith("chainrule"), (
                    f"{path} imports {module}; inside a folder imports are relative"
                )
            for other in {"nn", "viz"} - {folder}:
                assert not module.startswith(f"chainrule.{other}"), f"{path} imports {module}"
            assert not module.startswith("tests")


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", "demos"])
def test_files_are_short_and_say_what_they_are_for(folder):
    for path in modules(folder):
        text = path.read_text()
        limit = LONG.get(path.stem, LIMIT)
        assert len(text.splitlines()) <= limit, f"{path} has more than {limit} lines"
        assert ast.get_docstring(ast.parse(text)), f"{path} opens with no docstring"
        assert path.stem != "utils"


def test_root_holds_the_given_folders_only():
    allowed = {"engine", "nn", "viz", "tests", "demos", "build", "dist", "out"}
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert {name for name in found - allowed if not name.endswith(".egg-info")} == set()
