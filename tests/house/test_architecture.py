"""Imports point one way, files stay short, and the folders hold what the design page says."""

import ast
from functools import cache
from pathlib import Path

import chainrule
import pytest
from floors import expected, shown

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"engine": "chainrule", "nn": "chainrule.nn", "viz": "chainrule.viz"}

# Within each folder a module may import those before it in its line, and what stands before the folder in its own line.
# A name that ends with a stroke is a folder, with a line of its own.
LAYERS = {
    "engine": """
        errors misspelt uncompiled forking cache floats/ pickling data/ operations/ graph/ programs/
        rewriting/ loops/ derivatives/ backends/ compilation/ testing/ __init__ __main__
    """,
    "engine/floats": "formats decimals ieee special __init__",
    "engine/data": "reading numbers csr structure jacobians reordering samples files __init__",
    "engine/operations": """
        signatures primitive table roots methods untraceable ufunc_rules arrays functions array_functions
        numpy_calls operators mathematics unlisted custom __init__
    """,
    "engine/graph": "modes blame runs var backward copying closures __init__",
    "engine/programs": """
        views gathering tables loop nested naming listing older_form file program digests pruning builder
        dependence unknown tracer traced_inputs tracing loop_powers long_sums wrapping __init__
    """,
    "engine/rewriting": """
        weighing long_chains repetition rows rerolling inlining fusing merging outer_sums keeping looking_up
        separating simplifying unnesting hoisting relaxing narrowing of_loops pipeline remembering __init__
    """,
    "engine/loops": """
        carries bodies lengths leading_axis eager checkpoints control_flow branches nests indexing
        array_reductions rearranging products writing writers aliases whole_functions whole_arrays
        traced_arrays shares __init__
    """,
    "engine/derivatives": """
        sweeps loop_rules patterns sparsity moved_inputs sparse_arrays dense_arrays running transforms
        series loop_series expanding checkpointing __init__
    """,
    "engine/backends": """
        layout buffers meeting array_moves half_powers lowering python_ repeating numpy_ c/ llvm/ __init__
    """,
    "engine/compilation": """
        given_arrays packing choosing specialising parts replaying recorded_calls grouping plan counting
        splitting reporting reductions compiled compiling __init__
    """,
    "engine/testing": "gradcheck strategies exact whole_range rowcheck __init__",
    "engine/backends/c": "places expressions arrays loops functions export __init__",
    "engine/backends/llvm": """
        machine workers work kernel object_cache bounded guarding fusion exponential sine instructions watch
        turns squares frame sums driver straight/ loops/ scalars emission __init__
    """,
    "engine/backends/llvm/straight": "ordering registers segments __init__",
    "engine/backends/llvm/loops": """
        memory module turning matrices products blocking columns in_line parts outer results writer
        transposing passing_on moves side_by_side rows_by_index beyond apart iterations sharing calls bodies nest
        __init__
    """,
    "viz": "theme drawing/ formulas/ pages/ plots/ showing command __init__",
    "viz/drawing": """
        picture units highlight folding ranks cards measuring columns rows layered placing svg layout writer
        network dot themed images notebook __init__
    """,
    "viz/formulas": "notation rules writing chain_rule expression __init__",
    "viz/pages": "page javascript templates steps play __init__",
    "viz/plots": "axes outputs attention curves boundary gradients surface film animation __init__",
    "nn": """
        architecture predicting losses/ metrics evaluating data tensors overview inside module activations
        initialise layers blocks/ lowest schedules optimisers/ recipe history eager_steps step_functions
        machine_steps steps full_steps arguments callbacks checkpoints resuming patience progress interrupts
        running training building saving chain converting export estimators/ __init__
    """,
    "nn/blocks": "rows dropout normalising recurrent sequences residual __init__",
    "nn/optimisers": "optimiser descent squares moments full_batch groups lbfgs least_squares naming __init__",
    "nn/losses": "items numbers classes naming __init__",
    "nn/estimators": "settings moves objectives solving estimator regressor classifier __init__",
}
LIMIT = 400
# The table is a table; var.py is one class, with the functions that its operators share.
LONG = {"table": 500, "var": 860}


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


def order(folder):
    """Yield all modules in a folder, those in folders inside it too, from the ground up."""
    for name in LAYERS[folder].split():
        if name.endswith("/"):
            yield from order(f"{folder}/{name[:-1]}")
        else:
            yield ROOT / folder / name


def located(path):
    """Return the module or the folder's face at this path; None if it is only a name in a module."""
    if (path / "__init__.py").exists():
        return path / "__init__"
    return path if any(path.with_name(path.name + suffix).exists() for suffix in (".py", ".pyx")) else None


def imported(path):
    """Yield the modules that a module's relative imports name, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            yield from (located(base / alias.name) or located(base) for alias in node.names)


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_import_downwards_only(folder):
    place = {module: k for k, module in enumerate(order(folder))}
    assert sorted(place) == [path.with_suffix("") for path in modules(folder)], "name every module in LAYERS"
    for path in modules(folder):
        for module in imported(path):
            assert place[module] < place[path.with_suffix("")], f"{path} stands below {module}, which it imports"


def test_the_two_code_generators_know_nothing_of_each_other():
    folders = [ROOT / "engine/backends/llvm/straight", ROOT / "engine/backends/llvm/loops"]
    for own, other in (folders, folders[::-1]):
        crossing = [path for path in modules(own) for module in imported(path) if module.parent == other]
        assert not crossing, f"{crossing} import {other.name}; share what both need in the folder around them"


def test_files_of_the_generator_for_loops_hand_each_other_typed_things():
    """An `Any` between two of them once hid that they wrote one another's fields, in a circle."""
    for path in modules("engine/backends/llvm/loops"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
                assert "Any" not in ast.unparse(node.annotation), f"{path}, line {node.lineno}: {ast.unparse(node)}"
            if isinstance(node, ast.FunctionDef) and node.returns is not None:
                assert "Any" not in ast.unparse(node.returns), f"{path}, line {node.lineno}: {node.name}"


def open_modules(face):
    """Return the modules that a folder's face lists as a whole: others may import from them, too."""
    listed = [node for node in ast.parse(face.with_suffix(".py").read_text()).body if isinstance(node, ast.ImportFrom)]
    return {face.with_name(alias.name) for node in listed if node.module is None for alias in node.names}


@pytest.mark.parametrize("folder", FOLDERS)
def test_other_folders_are_entered_by_their_faces(folder):
    """A module imports from its own folder and those around it; from others, faces and the modules listed there."""
    for path in modules(folder):
        for module in imported(path):
            face = module if module.name == "__init__" else module.with_name("__init__")
            near = module.parent in path.parents or (module == face and module.parent.parent in path.parents)
            assert near or module in open_modules(face), f"{path} imports {module} past its folder's __init__"
        for level, module in imports(path):
            if not level and module.startswith("chainrule."):
                found = located(ROOT / "engine" / module.removeprefix("chainrule.").replace(".", "/"))
                assert found, f"{path} imports {module}, which engine/ does not have"
                near = ROOT / "engine" in (found.parent, found.parent.parent if found.name == "__init__" else None)
                assert near or found in open_modules(found.with_name("__init__")), f"{path} imports {module}"


@cache
def needs():
    """Return for each folder and file in engine/ the others that it imports from, in the order of LAYERS."""
    ground = ROOT / "engine"
    rooms = [name.strip("/") for name in LAYERS["engine"].split()]
    found = {room: set() for room in rooms}
    for path in modules("engine"):
        room = path.relative_to(ground).with_suffix("").parts[0]
        found[room].update(module.relative_to(ground).parts[0] for module in imported(path))
    return {room: [other for other in rooms if other in found[room] - {room}] for room in rooms}


@cache
def floor(room):
    return 1 + max(map(floor, needs()[room]), default=-1)


def floors():
    """List the rooms of each floor, top first; a room lies above everything it imports from."""
    rooms = [room for room in needs() if room != "__main__"]
    return [[room for room in rooms if floor(room) == k] for k in reversed(range(1 + max(map(floor, rooms))))]


def arrows():
    """Return for each room those that it is built on directly, not only by way of others."""

    @cache
    def below(room):
        return {other for near in needs()[room] for other in (near, *below(near))}

    return {
        room: [other for other in near if not any(other in below(third) for third in near)]
        for room, near in needs().items()
        if room != "__main__"
    }


def sentences():
    """Return what each room says of itself, up to the first colon or full stop."""
    files = {room: ROOT / "engine" / room for room in arrows()}
    texts = {room: (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")) for room, path in files.items()}
    openings = {room: ast.get_docstring(ast.parse(path.read_text())) for room, path in texts.items()}
    return {room: text.replace("\n", " ").split(":")[0].split(". ")[0].strip(".") for room, text in openings.items()}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_floors_are_those_of_the_picture(theme):
    """`pytest -s -k floors` prints them."""
    for height, rooms in zip(reversed(range(len(floors()))), floors(), strict=True):
        print(height, *rooms)
    picture = (ROOT / f"engine/floors_{theme}.svg").read_text(encoding="utf-8")
    assert shown(picture) == expected(arrows(), sentences()), "run: python tests/house/floors.py"


ROOMS = [
    path
    for folder in FOLDERS
    for path in modules(folder)
    if path.name == "__init__.py" and path.parent != ROOT / folder
]


def test_modules_imported_by_a_string_lie_below_too():
    place = {module: k for k, module in enumerate(order("engine"))}
    for path in modules("engine"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] != "import_module":
                continue
            # Of an f-string what is before its first gap: the folder.
            first = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            name = first.value if isinstance(first, ast.Constant) else ""
            level = len(name) - len(name.lstrip("."))
            found = path.parents[level - 1].joinpath(*name[level:].split(".")) if level else None
            if found in place or (found and found / "__init__" in place):
                module = found if found in place else found / "__init__"
                assert place[module] < place[path.with_suffix("")], f"{path} stands below {module}, which it imports"


def assigned(node):
    """Yield what a statement, or a call of setattr, assigns to or deletes: `a` and `c` of ``a.b[0].c = 1``."""
    if isinstance(node, (ast.Assign, ast.Delete)):
        waiting = list(node.targets)
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        waiting = [node.target]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
        waiting = [ast.Attribute(node.args[0], "an attribute")]
    else:
        return
    while waiting:
        target = waiting.pop()
        waiting += getattr(target, "elts", [])
        base = target
        while isinstance(base, (ast.Attribute, ast.Subscript)):
            base = base.value
        if base is not target and isinstance(base, ast.Name):
            yield base.id, getattr(target, "attr", "an item")


def at_import(body):
    """Yield the statements of a module that run when it is loaded: those within `if`, `for`, `try`, too."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        yield statement
        for part in ("body", "orelse", "finalbody", "handlers"):
            for inner in getattr(statement, part, []):
                yield from at_import(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_assigns_to_what_is_anothers(folder):
    """Neither to a module or class that is imported, nor, when a file is loaded, to anything that is not its own."""
    for path in modules(folder):
        tree = ast.parse(path.read_text())
        own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        foreign = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                foreign |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = path.parents[node.level - 1].joinpath(*(node.module or "").split(".")) if node.level else path
                foreign |= {
                    alias.asname or alias.name
                    for alias in node.names
                    if located(base / alias.name) or alias.name.lstrip("_")[:1].isupper()
                }
        for node in ast.walk(tree):
            for name, attribute in assigned(node):
                assert name not in foreign, f"{path}, line {node.lineno}, assigns to {attribute} of {name}"
        for statement in at_import(tree.body):
            nodes = [statement.value] if isinstance(statement, ast.Expr) else [statement]
            for name, attribute in (part for node in nodes for part in assigned(node)):
                # The functions that the package exports bear its name (see pickling.py).
                exports = path.parent == ROOT / "engine" and attribute == "__module__"
                assert name in own or exports, f"{path}, line {statement.lineno}, assigns to {attribute} of {name}"


ROOMS = [path for path in modules("engine") if path.name == "__init__.py" and path.parent != ROOT / "engine"]


@pytest.mark.parametrize("face", ROOMS, ids=lambda face: face.parent.relative_to(ROOT).as_posix())
def test_faces_are_lists_of_names(face):
    """`X as X` tells readers and type checkers that the name is meant for others; no file bears the name of one."""
    _, *statements = ast.parse(face.read_text()).body
    files = {path.stem for path in face.parent.glob("*.py")}
    for statement in statements:
        assert isinstance(statement, ast.ImportFrom), f"{face} holds more than imports: line {statement.lineno}"
        for alias in statement.names:
            assert alias.asname == alias.name, f"{face}: write `{alias.name} as {alias.name}`"
            assert alias.name not in files or statement.module is None, (
                f"{face} exports the name of a file, {alias.name}"
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


def test_scripts_and_styles_of_pages_are_short():
    for path in (ROOT / "viz/assets").rglob("*.*"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LIMIT, f"{path} has more than {LIMIT} lines"


@pytest.mark.parametrize("folder", ["engine", "viz"])
def test_traits_of_rows_are_columns_and_no_sets_of_names(folder):
    # Which rows a backend has instructions for is the backend's to say.
    for path in [path for path in modules(folder) if ROOT / "engine/backends" not in path.parents]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Set):
                names = [item.value for item in node.elts if isinstance(item, ast.Constant)]
                found = [name for name in names if isinstance(name, str) and name in chainrule.PRIMITIVES]
                assert len(found) < 2, f"{path} line {node.lineno} tells rows by name: {found}; make it a column"


def test_root_holds_the_given_folders_only():
    allowed = {"engine", "nn", "viz", "tests", "demos", "build", "dist", "out"}
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert {name for name in found - allowed if not name.endswith(".egg-info")} == set()
