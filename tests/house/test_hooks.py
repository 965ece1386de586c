"""What a lower file cannot import a higher one hands down to it, in one way that is listed here."""

import ast

from test_architecture import ROOT, at_import, modules, order

# What a lower file cannot import a higher one gives it when that is loaded, by a function of the lower file, and in no
# other way. The two files lie in one folder; where they do not, the third column says why they cannot.
HOOKS = {
    "use_arrays": ("data/structure", "operations/numpy_calls", "arrays of Vars follow rows; data holds what has rows"),
    "use_array_calls": ("operations/primitive", "operations/numpy_calls", ""),
    "use_array_methods": ("programs/tracer", "loops/traced_arrays", "what arrays do is made of maps of nodes"),
    "use_row_at": ("operations/functions", "programs/gathering", "a row is read by an operation of programs"),
    "use_long_product": ("operations/functions", "programs/long_sums", "a long product is a loop, a program of rows"),
    "use_fast": ("operations/primitive", "graph/var", "a row runs what Var spells out, and Var is made of rows"),
    "use_functions": ("operations/arrays", "operations/array_functions", ""),
    "use_watcher": ("graph/modes", "graph/var", ""),
    "use_reverse_sweep": ("graph/var", "graph/backward", ""),
    "use_copies": ("graph/var", "graph/copying", ""),
    "use_traces": ("graph/var", "graph/closures", ""),
    "use_long_forms": ("programs/tracer", "programs/long_sums", ""),
    "use_loop_powers": ("programs/tracer", "programs/loop_powers", ""),
    "use_loop_rules": ("derivatives/sweeps", "derivatives/loop_rules", ""),
    "use_loop_series": ("derivatives/series", "derivatives/loop_series", ""),
}
# What else a file calls when it is loaded, for its own sake: others go on as if it had not.
CALLED_AT_IMPORT = {
    "offer": "a class gets the rows as its methods",
    "on_register": "rows of the user's own are heard of",
    "at_fork": "state is put right in forked processes",
    "take_names": "calls of rows take arguments by name",
    "install_nodes": "nodes.h manages the memory of Var",
    "_uncompiled.tell_once": "the first import says that the core is not compiled",
    "sys.exit": "the file is a program",
}


def test_hooks_are_listed_and_lie_in_one_folder():
    defined, called = {}, {}
    for path in modules("engine"):
        where, tree = path.relative_to(ROOT / "engine").with_suffix("").as_posix(), ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("use_"):
                assert node.name not in defined, f"{where} and {defined[node.name]} both define {node.name}"
                defined[node.name] = where
            elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith("use_"):
                called.setdefault(ast.unparse(node.func), []).append(where)
        for statement in at_import(tree.body):
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                name = ast.unparse(statement.value.func)
                known = name in HOOKS or name in CALLED_AT_IMPORT or name == "setattr"
                assert known, f"{where}, line {statement.lineno}: a hook is called use_..., and listed in HOOKS"
    assert defined == {hook: below for hook, (below, _, _) in HOOKS.items()}
    assert called == {hook: [above] for hook, (_, above, _) in HOOKS.items()}
    for hook, (below, above, reason) in HOOKS.items():
        place = {path.relative_to(ROOT / "engine").as_posix(): k for k, path in enumerate(order("engine"))}
        assert place[below] < place[above], f"{hook}: {above} stands below {below}, and may simply be imported"
        assert (below.partition("/")[0] == above.partition("/")[0]) is not bool(reason), hook
