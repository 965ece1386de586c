"""What is made of a module's function can be pickled: derivatives, checkpoints, functions and compiled ones of them."""

import copy
import functools
import importlib.util
import multiprocessing
import os
import pickle
import subprocess
import sys

import chainrule as cr
import pytest


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
