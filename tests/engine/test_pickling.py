"""What is made of a module's function can be pickled: derivatives, checkpoints, functions and compiled ones of them."""

import copy
import functools
import gc
import importlib.util
import io
import multiprocessing
import os
import pickle
import subprocess
import sys

import chainrule as cr
import pytest
from chainrule import Var, nn


def cube(x, scale=1.0):
    return scale * x**3


def cubed(x):
    return x**3, {"x": x}


@cr.grad
def slope(x):
    return x**3


@cr.compile(backend="python")
def compiled_cube(x):
    return x**3


class Curve:
    scale = 3.0

    @cr.value_and_grad
    @staticmethod
    def at(x):
        return x**3

    @cr.compile(batch="x")
    def points(self, x):
        return self.scale * x**3


MADE = {
    "grad": (cr.grad(cube), 12.0),
    "twice": (cr.grad(cr.grad(cube)), 12.0),
    "value_and_grad": (cr.value_and_grad(cube), (8.0, 12.0)),
    "argnums": (cr.grad(cube, argnums=(0,)), (12.0,)),
    "aux": (cr.grad(cubed, has_aux=True), (12.0, {"x": 2.0})),
    "jacobian": (cr.jacobian(cube), 12.0),
    "hessian": (cr.hessian(cube), 12.0),
    "checkpoint": (cr.grad(cr.checkpoint(cube)), 12.0),
    "function": (cr.function(cube), 8.0),
    "partial": (cr.grad(functools.partial(cube, scale=2.0)), 24.0),
    "row": (cr.grad(cr.square), 4.0),
    "decorated": (slope, 12.0),
    "compiled": (cr.compile(cr.value_and_grad(cube)), (8.0, 12.0)),
    "compiled python": (cr.compile(cr.value_and_grad(cube), backend="python"), (8.0, 12.0)),
    "static": (cr.compile(cr.grad(cube), static="scale"), 12.0),
    "compiled by decorator": (compiled_cube, 8.0),
}


@pytest.mark.parametrize("name", MADE)
def test_copies_do_the_same(name):
    made, expected = MADE[name]
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert again(2.0) == pytest.approx(expected) if name != "aux" else again(2.0) == expected
        assert getattr(again, "__name__", None) == getattr(made, "__name__", None)


def test_methods_are_pickled_with_their_object():
    curve = Curve()
    curve.scale = 5.0
    assert pickle.loads(pickle.dumps(curve.points))([1.0, 2.0]).tolist() == [5.0, 40.0]


def at_two(f):
    return f(2.0)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_other_processes_run_them(method):
    """Those of spawn and forkserver begin anew: nothing that this process has loaded is there."""
    picked = [name for name in MADE if importlib.util.find_spec("llvmlite") or "python" in name]
    with multiprocessing.get_context(method).Pool(1) as pool:
        for name, found in zip(picked, pool.map(at_two, [MADE[name][0] for name in picked]), strict=True):
            assert found == MADE[name][1], name


def test_what_cannot_be_pickled_says_so():
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(cr.grad(lambda x: x))


def modules_named(thing):
    """List the modules that a pickle names; to follow its memo, it is loaded by an unpickler that notes them."""
    found = set()

    class Noting(pickle.Unpickler):
        def find_class(self, module, name):
            found.add(module)
            return super().find_class(module, name)

    Noting(io.BytesIO(pickle.dumps(thing))).load()
    return {module for module in found if module.partition(".")[0] == "chainrule"}


def nested(x):
    return cr.scan(lambda carry, y: (carry * x + y, None), x, [1.0, 2.0])[0]


PICKLED = {
    "leaf": cr.Var(2.0, label="x"),
    "graph": cr.sum([cr.sin(cr.Var(2.0)), 1.0, cr.Var(3.0) * 2.0]),
    "rows": [cr.sin, cr.dot, cr.where],
    "functions": [cr.softmax, cr.take, cr.grad, cr.map, cr.compile, cr.no_grad, cr.trace, cr.array],
    "interval": cr.Interval(0, 1),
    "program": cr.trace(cr.grad(nested), 1.0),
    "structures": cr.trace(cr.jacobian(lambda x: [x[0] * x[1], {"a": x[1]}]), [1.0, 2.0]),
    **{name: made for name, (made, _) in MADE.items()},
}


@pytest.mark.parametrize("name", PICKLED)
def test_pickles_name_public_functions_only(name):
    """So that files may move within the package, and pickles live on."""
    assert modules_named(PICKLED[name]) <= {"chainrule"}


def test_pickles_of_arrays_and_models_name_public_modules_only():
    numpy = pytest.importorskip("numpy")
    xs = cr.array([cr.Var(1.0), cr.Var(2.0)])
    again = pickle.loads(pickle.dumps(xs))
    assert type(again) is type(xs) and [x.value for x in again] == [1.0, 2.0]
    assert modules_named(xs) == {"chainrule"}
    assert modules_named({"a": numpy.ones(2), "x": cr.Var(1.0)}) == {"chainrule"}
    assert {module.split(".")[1] for module in modules_named(nn.MLP(2, [2, 1])) - {"chainrule"}} == {"nn"}


def test_programs_come_back_equal():
    for program in (PICKLED["program"], PICKLED["structures"]):
        again = pickle.loads(pickle.dumps(program))
        assert again == program and hash(again) == hash(program) and str(again) == str(program)
        assert all(type(step) is type(program.steps[0]) for step in again.steps)


def test_pickles_of_later_versions_are_refused():
    with pytest.raises(ValueError, match="of this version or an older one but got one of a 'hologram'"):
        cr.unpickled("hologram", 1.0)


def _recorded(a):
    """List results of operations that no table has, of a leaf."""
    compiled = cr.compile(lambda x: x * a)(3.0)
    cubed = cr.checkpoint(lambda x: x * x * a)(a)
    above = cr.checkpoint(lambda: cr.compile(lambda x: x * a)(3.0) * a)()
    return [compiled, cubed, above, compiled * 4.0 * cr.checkpoint(cr.sqrt)(a * a) / 2.0]


_IN_ANOTHER_PROCESS = """
import pickle, sys
import chainrule as cr
from chainrule import viz
a, *results = pickle.load(sys.stdin.buffer)
for result in results:
    a.zero_grad()
    result.backward()
    print(result.value, a.grad)
    viz.draw(result)
    again = pickle.loads(pickle.dumps(result))
    print(again.op is result.op, cr.grad(lambda t: t * result)(2.0).value)
try:
    results[0].op.partials(results[0], a)
except ValueError as error:
    print(error)
sys.stdout.flush()
pickle.dump([a, *results], open(sys.argv[1], "wb"))
"""


def test_results_of_functions_of_ones_own_can_be_pickled(tmp_path):
    a = Var(2.0)
    results = _recorded(a)
    numbers = [(6.0, 3.0), (8.0, 12.0), (12.0, 12.0), (24.0, 24.0)]
    script = [sys.executable, "-c", _IN_ANOTHER_PROCESS, str(tmp_path / "back")]
    answer = subprocess.run(script, input=pickle.dumps([a, *results]), capture_output=True, check=True, timeout=60)
    *lines, message = answer.stdout.decode().splitlines()
    assert lines == [line for y, slope in numbers for line in (f"{y} {slope}", f"True {y}")]
    assert message.startswith("compiled lambda expected to run in the process that recorded it")
    # Here, and back here, the operations are what they were: derivatives of every order.
    for data in (pickle.dumps([a, *results]), (tmp_path / "back").read_bytes()):
        leaf, *loaded = pickle.loads(data)
        for found, result, (y, slope) in zip(loaded, results, numbers, strict=True):
            leaf.zero_grad()
            found.backward()
            assert (found.value, leaf.grad, found.op) == (y, slope, result.op)
        assert float(loaded[1].op.partials(loaded[1], leaf, leaf)[0].value) == 8.0


def test_a_pickle_outlives_an_operation():
    a = Var(2.0)
    kept = pickle.dumps([a, cr.checkpoint(lambda x: x * a)(a)])
    gc.collect()
    leaf, result = pickle.loads(kept)
    result.backward()
    assert (result.value, leaf.grad) == (4.0, 4.0)
    with pytest.raises(ValueError, match="expected to run in the process that recorded it"):
        result.op.evaluate(2.0)


def test_joblib_brings_results_back():
    joblib = pytest.importorskip("joblib")
    a = Var(3.0)
    compiled = joblib.delayed(cr.compile(lambda x: x * a))
    results = joblib.Parallel(n_jobs=2)(compiled(float(i)) for i in range(4))
    cr.sum(results).backward()
    assert [result.value for result in results] == [0.0, 3.0, 6.0, 9.0]
    assert [result.parents[0].grad for result in results] == [0.0, 1.0, 2.0, 3.0]


ROWS = """
import chainrule as cr

@cr.primitive(partials=lambda y, x: (3 * x**2,))
def pickled_cube(x):
    return x * x * x

@cr.primitive
class pickled_fourth:
    def evaluate(x):
        return x**4
    def partials(y, x):
        return (4 * x**3,)

@cr.primitive(partials=lambda y, *xs: [2 * x for x in xs])
def pickled_squares(*xs):
    return xs[0] * xs[0] + xs[-1] * xs[-1]

held = [cr.primitive(partials=lambda y, x: (2 * x,), name="pickled_square")(lambda x: x * x)]
renamed = cr.primitive(partials=lambda y, x: (1.0,), name="pickled_same")(lambda x: x)

def everything():
    def both(x):
        return pickled_squares(x, x) + held[0](x)
    rows = [pickled_cube, pickled_fourth, pickled_squares, pickled_squares.of(1), held[0], renamed]
    made = [cr.compile(cr.grad(row), backend="python") for row in (pickled_cube, pickled_fourth)]
    return [*rows, *made, cr.trace(both, 1.0), cr.Var(2.0)]
"""
WRITE = """
import pickle, chainrule, pickled_rows as own
items = own.everything()
items[-1] = own.pickled_cube(items[-1])
pickle.dump([pickle.dumps(item) for item in items], open("pickles", "wb"))
"""
READ = """
import pickle
found = [pickle.loads(item) for item in pickle.load(open("pickles", "rb"))]
assert [f(2.0) for f in found[:-1]] == [8.0, 16.0, 8.0, 8.0, 4.0, 2.0, 12.0, 32.0, 12.0], found
found[-1].backward()
assert found[-1].value == 8.0 and found[-1].op is found[0]
import pickled_rows
assert found[0] is pickled_rows.pickled_cube and found[2] is pickled_rows.pickled_squares
"""


def test_rows_of_the_users_own_are_found_where_they_were_made(tmp_path):
    (tmp_path / "pickled_rows.py").write_text(ROWS)
    for code in (WRITE, READ):
        run = [sys.executable, "-c", code]
        subprocess.run(run, cwd=tmp_path, check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    (tmp_path / "pickled_rows.py").unlink()
    message = r"loads expected the primitive 'pickled_cube' to be made .* its module 'pickled_rows'"
    with pytest.raises(LookupError, match=message):
        pickle.loads(pickle.loads((tmp_path / "pickles").read_bytes())[0])
